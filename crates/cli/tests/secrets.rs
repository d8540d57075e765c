//! Invariant 12: no secret in anything that leaves the process, on servers, whatever goes well or wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin_testkit::TestDatabase;
use dunlin_testkit::sandbox::{Ran, Sandbox};
use dunlin_testkit::servers::{Kind, Server};

/// A password with what URLs, JSON, SQL and shells each treat in a way of their own.
const PASSWORD: &str = "geh\"eim\\7/Z%ichen";
const PASSWORD_IN_URL: &str = "geh%22eim%5C7%2FZ%25ichen";
/// What the project file takes from the environment, and what a script happens to hold too.
const TOKEN: &str = "tok\"en-4711-abc";
/// A password that a script gives to somebody.
const GIVEN: &str = "g1ven-T0-bob";

/// Everything that would give a secret away: as it is, as a URL has it, as JSON and as Rust's `Debug` have it.
fn traces() -> Vec<String> {
    let mut traces = vec![PASSWORD_IN_URL.to_owned(), GIVEN.to_owned()];
    for secret in [PASSWORD, TOKEN] {
        traces.push(secret.to_owned());
        traces.push(
            serde_json::to_string(secret)
                .unwrap()
                .trim_matches('"')
                .to_owned(),
        );
        traces.push(secret.replace('\\', "\\\\"));
        traces.push(secret.replace('"', "\\\""));
    }
    traces
}

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    for trace in traces() {
        assert!(!text.contains(&trace), "{trace} in {what}:\n{text}");
    }
}

fn assert_clean_ran(line: &str, ran: &Ran) {
    assert_clean(line, &ran.stdout);
    assert_clean(line, &ran.stderr);
}

struct Secretive {
    sandbox: Sandbox,
    database: TestDatabase,
    kind: Kind,
    user: String,
}

impl Secretive {
    fn new(kind: Kind) -> Secretive {
        let server = Server::shared(kind);
        let database = TestDatabase::on(server);
        let name = database.name().to_owned();
        let user = format!("u{}", &name[name.len().saturating_sub(14)..]);
        if kind.is_postgres() {
            let grant = format!(
                "CREATE USER {user} PASSWORD '{PASSWORD}'; ALTER DATABASE {name} OWNER TO {user}"
            );
            database.run(&grant);
        } else {
            let escaped = PASSWORD.replace('\\', "\\\\");
            database.run(&format!(
                "CREATE USER '{user}'@'%' IDENTIFIED BY '{escaped}'; GRANT ALL ON {name}.* TO '{user}'@'%'"
            ));
        }
        let mut sandbox = Sandbox::new();
        let url = server.url_as(&user, "${SHOP_PW}", &name);
        sandbox
            .set("SHOP_PW", PASSWORD_IN_URL)
            .set("PAYMENT_TOKEN", TOKEN)
            .set("HOSTNAME", "host");
        sandbox.write(
            "dunlin.toml",
            format!(
                "[project]\nname = \"shop\"\nlog = \"dunlin.log\"\n\n[database.app]\nurl = \"{url}\"\n\
                 backup_dir = \"backups/${{PAYMENT_TOKEN}}\"\n\
                 [database.app.placeholders]\ntoken = '{TOKEN}'\n"
            ),
        );
        sandbox.write(
            "migrations/001_keys.sql",
            "CREATE TABLE keys_of_shops (id int PRIMARY KEY, secret varchar(100));\n\
             INSERT INTO keys_of_shops VALUES (1, '{token}');\n-- dunlin: undo\nDROP TABLE keys_of_shops;\n",
        );
        Secretive {
            sandbox,
            database,
            kind,
            user,
        }
    }

    /// Runs a line and looks at what it wrote.
    fn run(&self, line: &str) -> Ran {
        let ran = self.sandbox.dunlin(line.split_whitespace());
        assert_clean_ran(line, &ran);
        ran
    }

    /// Every file that was written beside the scripts, and everything in the journal.
    fn look_everywhere(&self) {
        let mut folders = vec![self.sandbox.project()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("migrations") {
                    // People's own.
                } else if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().is_some_and(|name| name != "dunlin.toml") {
                    // Rows in a backup are the database's own, and packed.
                    let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                    assert_clean(&path.display().to_string(), &text);
                }
            }
        }
        let names = "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'dunlin%' AND table_schema \
                     NOT IN ('information_schema', 'pg_catalog')";
        let own = if self.kind.is_postgres() {
            ""
        } else {
            " AND table_schema = database()"
        };
        for row in self.database.run(&format!("{names}{own}")) {
            let table = row[0].clone().unwrap();
            let rows = self.database.run(&format!("SELECT * FROM {table}"));
            assert!(!rows.is_empty() || table != "dunlin_journal");
            assert_clean(&table, &format!("{rows:?}"));
            for cell in rows.into_iter().flatten().flatten() {
                assert_clean(&table, &cell);
            }
        }
    }
}

impl Drop for Secretive {
    fn drop(&mut self) {
        let user = &self.user;
        let _ = self.database.try_run(&if self.kind.is_postgres() {
            format!("ALTER DATABASE {} OWNER TO postgres; DROP OWNED BY {user} CASCADE; DROP USER {user}", self.database.name())
        } else {
            format!("DROP USER '{user}'@'%'")
        });
    }
}

fn nothing_gives_a_secret_away(kind: Kind) {
    let shop = Secretive::new(kind);
    let dry = shop.run("up --dry-run");
    assert!(
        dry.stdout.contains("***"),
        "the filter was at work: {}",
        dry.stdout
    );
    let _ = shop.run("up --dry-run --format json").success();
    let up = shop.run("up -v --events events.jsonl").success();
    assert!(up.stdout.contains("001"), "{}", up.stdout);
    for line in [
        "status --format json",
        "digest",
        "drift",
        "drift --rebuild",
        "schema",
        "backup create",
        "backup list",
    ] {
        let _ = shop.run(line);
    }
    let stored = shop.database.scalar("SELECT secret FROM keys_of_shops");
    assert_eq!(stored, TOKEN, "what runs is not masked");
    shop.look_everywhere();
}

fn nothing_that_fails_gives_a_secret_away(kind: Kind) {
    let mut shop = Secretive::new(kind);
    let _ = shop.run("up").success();
    shop.sandbox.write(
        "migrations/002_fails.sql",
        "-- dunlin: irreversible = \"fails\"\nINSERT INTO keys_of_shops VALUES (2, '{token}');\n\
         INSERT INTO no_such_table VALUES ('{token}');\n",
    );
    for line in [
        "up --format json",
        "up -v --events events.jsonl",
        "status",
        "repair",
        "support -o support.md",
    ] {
        let _ = shop.run(line);
    }
    assert!(shop.sandbox.read("support.md").contains("## Journal"));
    shop.sandbox.write(
        "migrations/002_fails.sql",
        "-- dunlin: irreversible = \"fails\"\nINSERT '{token}' KEYS WITHOUT SENSE '{token}';\n",
    );
    let failed = shop.run("up --format json").code(1).json();
    assert!(
        failed["failure"]["message"]
            .as_str()
            .unwrap()
            .contains("***"),
        "{failed}"
    );
    shop.look_everywhere();

    // The right password's neighbour: refused by the server, in its words.
    shop.sandbox.set("SHOP_PW", format!("{PASSWORD_IN_URL}x"));
    let _ = shop.run("status --format json").code(4);
    let _ = shop.run("digest").code(4);
}

/// Whatever is wrong with the statement that gives it.
fn a_password_that_a_script_gives_is_shown_nowhere(kind: Kind) {
    let shop = Secretive::new(kind);
    let _ = shop.run("up").success();
    let gives = match kind.is_postgres() {
        true => "CREATE ROLE bob PASSWORD",
        false => "CREATE USER bob IDENTIFIED BY",
    };
    for script in [
        // No right to.
        format!("{gives} '{GIVEN}';\n"),
        format!("{gives} '{GIVEN}' NONSENSE;\n"),
        format!("CREATE NONSENSE; {gives} '{GIVEN}';\n"),
        format!("{gives} '{GIVEN}'s';\n"),
        format!("{gives} {GIVEN};\n"),
        format!("{gives}\n'{GIVEN};\n"),
    ] {
        let header = "-- dunlin: irreversible = \"made by hand\"";
        let file = shop.sandbox.project().join("migrations/002_user.sql");
        std::fs::write(&file, format!("{header}\n{script}")).unwrap();
        let refused = shop.run("up");
        assert_ne!(refused.code, Some(0), "{script}");
        assert!(
            refused.stderr.contains("002_user.sql:"),
            "its line is shown: {}",
            refused.stderr
        );
        for line in [
            "up --format json",
            "up -v --events events.jsonl",
            "status",
            "repair",
            "drift --rebuild",
            "support -o support.md",
        ] {
            let _ = shop.run(line);
        }
    }
    shop.look_everywhere();
}

/// The journal keeps what a plan's steps did and how they go back; a person's password it does not keep.
fn a_password_that_a_plan_gives_is_not_recorded(kind: Kind) {
    let shop = Secretive::new(kind);
    let (user, bob) = (&shop.user, format!("{}b", shop.user));
    let (grant, by) = match kind.is_postgres() {
        true => (format!("ALTER USER {user} CREATEROLE"), "PASSWORD"),
        false => (
            format!("GRANT CREATE USER ON *.* TO '{user}'@'%'"),
            "IDENTIFIED BY",
        ),
    };
    shop.database.run(&grant);
    shop.sandbox.write(
        "people.plan.toml",
        format!(
            "name = \"people\"\n[[phase]]\nid = \"bob\"\n\
             [[phase.step]]\nid = \"user\"\nsql = \"CREATE USER {bob} {by} '{GIVEN}'\"\nundo = \"DROP USER {bob}\"\n\
             [[phase.step]]\nid = \"table\"\nsql = \"CREATE TABLE of_bob (id int)\"\n\
             undo = \"ALTER USER {bob} {by} '{GIVEN}'; DROP TABLE of_bob\"\n"
        ),
    );
    for line in [
        "run people --events events.jsonl",
        "runs",
        "report people -o report.html",
        "rollback people",
        "run people",
    ] {
        let _ = shop.run(line).success();
    }
    let plan = shop.sandbox.project().join("people.plan.toml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::remove_file(&plan).unwrap();
    shop.look_everywhere();
    std::fs::write(&plan, text).unwrap();
    let _ = shop.run("rollback people").success();
}

/// A complaint about the command line quotes it.
#[test]
fn a_url_in_the_wrong_place_is_not_repeated() {
    let sandbox = Sandbox::new();
    let url = format!("postgres://a:{PASSWORD_IN_URL}@127.0.0.1:1/db");
    for args in [
        vec![url.as_str()],
        vec!["up", url.as_str()],
        vec!["up", url.as_str(), "--format", "json"],
    ] {
        let ran = sandbox.dunlin(&args);
        assert_clean_ran(&args.join(" "), &ran);
        let _ = ran.code(2);
    }
    sandbox.write("migrations/001_a.sql", "SELECT 1;\n");
    let ran = sandbox.dunlin(["status", "--url", url.as_str()]);
    assert_clean_ran("status", &ran);
    let _ = ran.code(4);
}

mod postgres {
    #[test]
    fn invariant_12_nothing_gives_a_secret_away() {
        super::nothing_gives_a_secret_away(super::Kind::Postgres);
    }
    #[test]
    fn invariant_12_nothing_that_fails_gives_a_secret_away() {
        super::nothing_that_fails_gives_a_secret_away(super::Kind::Postgres);
    }
    #[test]
    fn invariant_12_a_password_that_a_script_gives_is_shown_nowhere() {
        super::a_password_that_a_script_gives_is_shown_nowhere(super::Kind::Postgres);
    }
    #[test]
    fn invariant_12_a_password_that_a_plan_gives_is_not_recorded() {
        super::a_password_that_a_plan_gives_is_not_recorded(super::Kind::Postgres);
    }
}
mod mysql {
    #[test]
    fn invariant_12_nothing_gives_a_secret_away() {
        super::nothing_gives_a_secret_away(super::Kind::Mysql);
    }
    #[test]
    fn invariant_12_nothing_that_fails_gives_a_secret_away() {
        super::nothing_that_fails_gives_a_secret_away(super::Kind::Mysql);
    }
    #[test]
    fn invariant_12_a_password_that_a_script_gives_is_shown_nowhere() {
        super::a_password_that_a_script_gives_is_shown_nowhere(super::Kind::Mysql);
    }
    #[test]
    fn invariant_12_a_password_that_a_plan_gives_is_not_recorded() {
        super::a_password_that_a_plan_gives_is_not_recorded(super::Kind::Mysql);
    }
}
mod mariadb {
    #[test]
    fn invariant_12_a_password_that_a_script_gives_is_shown_nowhere() {
        super::a_password_that_a_script_gives_is_shown_nowhere(super::Kind::Mariadb);
    }
    #[test]
    fn invariant_12_a_password_that_a_plan_gives_is_not_recorded() {
        super::a_password_that_a_plan_gives_is_not_recorded(super::Kind::Mariadb);
    }
}
