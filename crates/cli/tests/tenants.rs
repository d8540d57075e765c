//! Case C: `examples/03-whatsapp-tenants` on PostgreSQL, eight phases forward, back, forward again, while the bot's old code
//! goes on writing in between.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::{Kind, Server};
use dunlin_testkit::{TestDatabase, console};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The phases whose gate asks for two people, with the points that are confirmed.
const GATES: [(&str, &[&str]); 4] = [
    ("core-tables", &["team available", "communication sent"]),
    ("columns", &[]),
    ("owner", &["the bot's team watches"]),
    ("constraints", &[]),
];

/// What the bot does all the time, with code that knows nothing of tenants.
const BOT: &str = "INSERT INTO contacts (phone_number, name, thread_id) VALUES ('+98 21 ' || (SELECT count(*) FROM contacts), 'تازه', NULL); \
    INSERT INTO messages (contact_id, direction, content_text) SELECT max(id), 'in', 'سلام 👋' FROM contacts";

/// The example's folder.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/03-whatsapp-tenants")
}

struct Service {
    sandbox: Sandbox,
    database: TestDatabase,
}

impl Service {
    fn new(kind: Kind) -> Service {
        let database = TestDatabase::on(Server::shared(kind));
        let mut sandbox = Sandbox::new();
        console::copy_into(&sandbox, &example(), ".");
        let _ = database.run(&sandbox.read("before.sql"));
        sandbox.set("WHATSAPP_DATABASE_URL", database.url());
        Service { sandbox, database }
    }

    fn json(&self, line: &[&str], code: i32) -> Value {
        let line = [line, &["--format", "json"]].concat();
        self.sandbox.dunlin(line).code(code).json()
    }

    /// Opens every gate that is not passed yet.
    fn approve(&self, phase: &str, points: &[&str]) {
        for (by, role) in [("Ann", "dba"), ("Bob", "tech-lead")] {
            let mut line = vec!["approve", "tenants", phase, "--by", by, "--as", role];
            if !points.is_empty() && role == "dba" {
                line.push("--confirm");
                line.extend(points);
            }
            let _ = self.json(&line, 0);
        }
    }

    /// Forward from gate to gate to the review, the bot writing at every stop.
    fn forward(&self) -> Value {
        for (phase, points) in GATES {
            let waits = self.json(&["run", "tenants"], 3);
            assert_eq!(waits["data"]["waiting"]["phase"], phase, "{waits:#}");
            let _ = self.database.run(BOT);
            self.approve(phase, points);
        }
        let waits = self.json(&["run", "tenants"], 3);
        assert_eq!(waits["data"]["waiting"]["phase"], "validation", "{waits:#}");
        let _ = self.json(
            &[
                "approve",
                "tenants",
                "validation",
                "--by",
                "Bob",
                "--as",
                "tech-lead",
            ],
            0,
        );
        self.json(&["run", "tenants"], 0)
    }

    /// The catalog as statements, the journal apart.
    fn catalog(&self) -> String {
        let _ = self
            .sandbox
            .dunlin(["schema", "-o", "schema.sql"])
            .success();
        self.sandbox.read("schema.sql")
    }

    /// The digest of every table.
    fn digests(&self) -> Vec<String> {
        let digest = self.json(&["digest"], 0);
        let tables = digest["data"]["tables"].as_array().unwrap().iter();
        let lines: Vec<String> = tables.map(ToString::to_string).collect();
        assert!(lines.len() >= 5);
        lines
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        let rows = self.database.run(sql);
        rows.iter().map(|row| format!("{row:?}")).collect()
    }

    fn number(&self, sql: &str) -> i64 {
        self.database.run(sql)[0][0]
            .clone()
            .unwrap()
            .parse()
            .unwrap()
    }
}

fn eight_phases_there_and_back(kind: Kind) {
    let service = Service::new(kind);
    let catalog = service.catalog();
    let contacts =
        "SELECT id, phone_number, name, thread_id, contact_status FROM contacts ORDER BY id";
    let orders =
        "SELECT id, contact_id, order_details::text, status, total_amount FROM orders ORDER BY id";
    let (people, sold) = (service.rows(contacts), service.rows(orders));

    let done = service.forward();
    let phases = done["data"]["phases"].as_array().unwrap();
    assert_eq!(phases.len(), 8);
    for phase in phases {
        assert_eq!(phase["state"], "done", "{phase:#}");
        for check in phase["checks"].as_array().unwrap() {
            // A busy machine may be slow; that it was measured is what counts here.
            let wanted = match check["id"] == "lookups-fast" {
                true => &["passed", "warned"][..],
                false => &["passed"],
            };
            assert!(
                wanted.contains(&check["outcome"].as_str().unwrap()),
                "{check:#}"
            );
        }
    }
    // Nothing of before is missing or altered, and what the bot wrote meanwhile has its owner, too.
    let now = service.rows(contacts);
    assert!(now.len() >= people.len() + GATES.len());
    assert!(people.iter().all(|row| now.contains(row)));
    assert_eq!(service.rows(orders), sold);
    let orphans = "SELECT count(*) FROM contacts c FULL JOIN messages m ON m.contact_id = c.id \
                   WHERE c.user_id IS DISTINCT FROM 1 OR (m.id IS NOT NULL AND m.user_id IS DISTINCT FROM 1)";
    assert_eq!(service.number(orphans), 0);
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(service.number(invalid), 0);

    // Phase 5 back: the very constraints that were there, by name, with their deferrability.
    let _ = service.json(&["rollback", "tenants", "--to", "owner"], 0);
    let deferrable = "SELECT count(*) FROM pg_constraint WHERE conname = 'contacts_thread_id_key' AND condeferrable";
    assert_eq!(service.number(deferrable), 1);
    let before = service.rows(contacts);
    // The bot's later rows got their owner by the default: values that no step wrote are not dropped in silence.
    let refused = service.json(&["rollback", "tenants"], 1);
    assert!(
        refused["failure"]
            .to_string()
            .contains("values of column contacts.user_id"),
        "{refused:#}"
    );
    let _ = service.json(&["rollback", "tenants", "--discard-later"], 0);
    assert_eq!(service.catalog(), catalog);
    assert_eq!(service.rows(contacts), before, "later inserts included");
    assert_eq!(service.rows(orders), sold);

    let again = service.forward();
    assert_eq!(again["outcome"], "done");
}

#[test]
fn eight_phases_there_and_back_on_postgres() {
    eight_phases_there_and_back(Kind::Postgres);
}

#[test]
fn eight_phases_there_and_back_on_the_newer_postgres() {
    eight_phases_there_and_back(Kind::PostgresNewer);
}

/// The phases of a plan with the ids of their steps.
fn steps_of(plan: &str) -> Vec<(String, Vec<String>)> {
    let mut phases: Vec<(String, Vec<String>)> = vec![];
    let mut within = "";
    for line in plan.lines().map(str::trim) {
        let id = line
            .strip_prefix("id = \"")
            .map(|id| id.trim_end_matches('"').to_owned());
        match (id, within) {
            (None, _) if line.starts_with("[[") => within = line,
            (Some(id), "[[phase]]") => phases.push((id, vec![])),
            (Some(id), "[[phase.step]]") => phases.last_mut().unwrap().1.push(id),
            _ => {}
        }
    }
    phases
}

/// The plan with a step behind `after` that fails when its turn comes.
fn broken(plan: &str, after: &str) -> String {
    let at = plan.find(&format!("id = \"{after}\"")).unwrap();
    let end = plan[at..].find("\n\n").map_or(plan.len(), |end| at + end);
    let breaks = "\n\n  [[phase.step]]\n  id = \"breaks\"\n  sql = \"INSERT INTO nowhere_at_all (id) VALUES (1)\"\n  \
                  undo = { none = \"it does nothing\" }";
    format!("{}{breaks}{}", &plan[..end], &plan[end..])
}

/// A failure behind each step of each phase: the phase goes back by itself, to the catalog and the digests of before; then
/// the phase goes through as it is written, and the next one has its turn.
#[test]
fn a_failure_after_each_step_takes_its_phase_back() {
    let service = Service::new(Kind::Postgres);
    let whole = service.sandbox.read("tenants.plan.toml");
    let phases = steps_of(&whole);
    assert_eq!(
        phases.iter().map(|(_, steps)| steps.len()).sum::<usize>(),
        28
    );
    for (phase, steps) in &phases {
        let gate = GATES.iter().find(|(gated, _)| gated == phase);
        let open = || {
            if let Some((_, points)) = gate {
                service.approve(phase, points);
            }
        };
        let before = (service.catalog(), service.digests());
        for step in steps {
            service
                .sandbox
                .write("tenants.plan.toml", broken(&whole, step));
            open();
            let ran = service.json(&["run", "tenants"], 1);
            assert!(
                ran["failure"]["undone"].to_string().contains(step.as_str()),
                "{step}: {ran:#}"
            );
            assert_eq!(service.catalog(), before.0, "{step}");
            assert_eq!(service.digests(), before.1, "{step}");
        }
        service.sandbox.write("tenants.plan.toml", &whole);
        open();
        let review = phase == "validation";
        let ran = service.json(
            &["run", "tenants", "--until", phase],
            if review { 3 } else { 0 },
        );
        assert!(
            !review
                || ran["data"]["waiting"]["missing"]
                    .to_string()
                    .contains("approv"),
            "{ran:#}"
        );
    }
}

/// The example's README shows what happens.
#[test]
fn the_example_shows_what_happens() {
    let service = Service::new(Kind::Postgres);
    let mut shell = console::shell();
    console::copy_into(&shell, &example(), ".");
    // Whole test suites run beside this one; what slows a query down is found by tests of that check's own.
    let plan = shell.read("tenants.plan.toml");
    let patient = plan.replace("slower_by_at_most = 3.0", "slower_by_at_most = 1000.0");
    assert_ne!(plan, patient);
    let patient = patient.replace("within = \"100ms\"", "within = \"60s\"");
    shell.write("tenants.plan.toml", patient);
    shell.set("WHATSAPP_DATABASE_URL", service.database.url());
    let names = [(service.database.name(), "whatsapp")];
    console::check(&example().join("README.md"), &shell, &names);
}

/// Rows that violate the new unique constraint are found before anything is changed, with their keys.
#[test]
fn violating_rows_are_listed_before_phase_five_changes_anything() {
    let service = Service::new(Kind::Postgres);
    for (phase, points) in &GATES[..3] {
        let _ = service.json(&["run", "tenants"], 3);
        service.approve(phase, points);
    }
    let waits = service.json(&["run", "tenants"], 3);
    assert_eq!(waits["data"]["waiting"]["phase"], "constraints");
    // A row that somebody sets back to nobody.
    let _ = service
        .database
        .run("UPDATE contacts SET user_id = NULL WHERE id = 7");
    let catalog = service.catalog();
    service.approve("constraints", &[]);
    let failed = service.json(&["run", "tenants"], 1);
    let said = failed["failure"].to_string();
    assert!(said.contains("user_id") && said.contains('7'), "{failed:#}");
    assert_eq!(service.catalog(), catalog);
    let _ = service
        .database
        .run("UPDATE contacts SET user_id = 1 WHERE id = 7");
    service.approve("constraints", &[]);
    let _ = service.json(&["run", "tenants"], 3);
}
