//! `plan check` on real servers: rights that are missing, other people's transactions, what is required.

use crate::Desk;
use dunlin_testkit::database::fresh_name;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::servers::Server;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Steps that need rights of several kinds on a table that is another's.
const PLAN: &str = r#"
name = "rights"
[[phase]]
id = "only"
title = "Only"
[[phase.step]]
id = "table"
sql = "CREATE TABLE fresh (id int NOT NULL PRIMARY KEY)"
[[phase.step]]
id = "fill"
sql = "UPDATE contacts SET name = 'x' WHERE id = 1"
undo = { none = "a test" }
[[phase.step]]
id = "columns"
add_columns = { table = "contacts", columns = ["owner bigint"] }
"#;

/// A check of `plan check` by its name.
fn check<'a>(answer: &'a Value, id: &str) -> &'a Value {
    let checks = answer["data"]["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["id"] == id);
    found.unwrap_or(&Value::Null)
}

fn text<'a>(check: &'a Value, key: &str) -> &'a str {
    check[key].as_str().unwrap_or_default()
}

/// Points the desk at its database as somebody else; gives the account as its server spells it.
fn stranger(desk: &Desk, user: &str) -> String {
    let server = Server::shared(desk.engine.kind().unwrap());
    let name = desk.database.name();
    let account = match desk.engine.is_postgres() {
        true => {
            let _ = desk
                .database
                .run(&format!("CREATE ROLE {user} LOGIN PASSWORD 'theirs'"));
            let _ = desk
                .database
                .run(&format!("GRANT SELECT ON contacts TO {user}"));
            user.to_owned()
        }
        false => {
            let account = format!("'{user}'@'%'");
            let _ = desk.database.run(&format!(
                "CREATE USER {account} IDENTIFIED BY 'theirs'; GRANT SELECT ON {name}.* TO {account}"
            ));
            account
        }
    };
    let url = server.url_as(user, "theirs", name);
    desk.sandbox
        .write("dunlin.toml", format!("[database.app]\nurl = \"{url}\"\n"));
    account
}

for_each_engine! {
    only servers
    /// Which right, for which step, and the statement that gives it: run as it is shown, nothing is missing any more.
    async fn rights_that_are_missing_come_with_the_statements_that_give_them(engine: TestEngine) {
        let desk = Desk::new(engine);
        let user = format!("u{}", fresh_name().replace('_', ""));
        let account = stranger(&desk, &user);
        desk.sandbox.write("rights.plan.toml", PLAN);
        desk.plan("emptied", "", "sql = \"TRUNCATE TABLE settings\"\nundo = { none = \"a test\" }\n");
        let (_, answer) = desk.json("plan check emptied");
        let message = text(check(&answer, "rights"), "message");
        for wanted in ["TRUNCATE on settings (step `emptied`)", "CREATE (the journal's tables)"] {
            assert!(message.contains(wanted), "no `{wanted}` in {message}");
        }
        let (code, answer) = desk.json("plan check rights");
        let rights = check(&answer, "rights").clone();
        assert_eq!((code, text(&rights, "outcome")), (4, "failed"), "{answer:#}");
        let message = text(&rights, "message");
        for (right, step) in [("CREATE", "table"), ("UPDATE on contacts", "fill"), ("ALTER on contacts", "columns")] {
            let named = format!("{right} (step `{step}`)");
            assert!(message.contains(&named), "no `{named}` in {message}");
        }
        // What is there is not asked for.
        assert!(!message.contains("SELECT"), "{message}");
        let help = text(&rights, "help").split_once("run: ").expect("what to run").1.to_owned();
        assert!(help.contains(&user) && !help.contains("your_user"), "{help}");
        let _ = desk.database.run(&help);
        let (_, answer) = desk.json("plan check rights");
        assert_eq!(text(check(&answer, "rights"), "outcome"), "passed", "{help}: {answer:#}");
        let leave = match engine.is_postgres() {
            true => format!("REASSIGN OWNED BY {user} TO CURRENT_USER; DROP OWNED BY {user}; DROP ROLE {user}"),
            false => format!("DROP USER {account}"),
        };
        let _ = desk.database.run(&leave);
    }

    /// A table that is written anew stands twice on the disk for a while: so much room is asked for.
    async fn room_is_asked_for_what_is_written_anew(engine: TestEngine) {
        let desk = Desk::new(engine);
        let sql = engine.pick(
            "",
            "ALTER TABLE contacts ALTER COLUMN id TYPE numeric(30)",
            "ALTER TABLE contacts MODIFY id varchar(40) NOT NULL",
        );
        desk.plan("anew", "", &format!("sql = \"{sql}\"\nundo = {{ none = \"a test\" }}\n"));
        let (_, answer) = desk.json("plan check anew");
        let disk = check(&answer, "disk");
        let message = text(disk, "message");
        assert!(message.ends_with("needed for the database (`contacts` is written anew)"), "{disk:#}");
    }

    /// Who, since when and what, in whatever letters; and nobody when it has ended.
    async fn transactions_that_are_open_are_named(engine: TestEngine) {
        let desk = Desk::new(engine);
        desk.sandbox.write("rights.plan.toml", PLAN);
        let (_, answer) = desk.json("plan check rights");
        assert_eq!(text(check(&answer, "open-transactions"), "outcome"), "passed", "{answer:#}");
        let holds = engine.pick(
            "",
            "BEGIN; UPDATE contacts SET name = 'held' WHERE id = 1; SELECT pg_sleep(60) /* 😀 */; ROLLBACK",
            "START TRANSACTION; UPDATE contacts SET name = 'held' WHERE id = 1; SELECT sleep(60) /* 😀 */; ROLLBACK",
        );
        std::thread::scope(|scope| {
            let holder = scope.spawn(|| desk.database.try_run(holds));
            // Some servers show a picture of their transactions that gets older while others look at it, too.
            let started = Instant::now();
            let found = loop {
                let (_, answer) = desk.json("plan check rights");
                let found = check(&answer, "open-transactions").clone();
                if text(&found, "outcome") == "warned" {
                    break found;
                }
                assert!(started.elapsed() < Duration::from_secs(50), "{answer:#}");
                // Looked at more often than ten times a second, InnoDB's picture is never made anew.
                std::thread::sleep(Duration::from_millis(300));
            };
            let message = text(&found, "message");
            let user = engine.pick("", "postgres", "root");
            let words = ["session ", user, "open for ", " since 20", "Z (", "sleep"];
            for word in words {
                assert!(message.contains(word), "no `{word}` in {message}");
            }
            assert!(text(&found, "help").contains("kill_blockers"), "{found:#}");
            let session = message.split("session ").nth(1).unwrap().split(' ').next().unwrap();
            let end = match engine.is_postgres() {
                true => format!("SELECT pg_terminate_backend({session})"),
                false => format!("KILL {session}"),
            };
            let _ = desk.database.run(&end);
            assert!(holder.join().unwrap().is_err(), "the session that is named is the one that holds");
        });
        let (_, answer) = desk.json("plan check rights");
        assert_eq!(text(check(&answer, "open-transactions"), "outcome"), "passed", "{answer:#}");
    }

    /// What is asked for is asked of the server: settings rows, its version, extensions.
    async fn requirements_are_asked_of_the_server(engine: TestEngine) {
        let desk = Desk::new(engine);
        let family = engine.pick("", "postgres", match engine.name() { "mariadb" => "mariadb", _ => "mysql" });
        let extension = "extension:pgcrypto";
        let setting = "setting:settings.ai_enabled=true";
        let (old, new) = (format!("server:{family}>=1"), format!("server:{family}>=99"));
        let plan = format!(
            "requires = [\"{extension}\", \"{setting}\", \"{old}\", \"{new}\"]\n{PLAN}\
             [[phase.step]]\nid = \"settings\"\nsettings = {{ table = \"settings\", key = [\"skey\"], rows = [{{ skey = \"theme\", svalue = \"light\" }}] }}\n"
        );
        desk.sandbox.write("rights.plan.toml", plan);
        let (code, answer) = desk.json("plan check rights");
        assert_eq!(code, 4);
        let of = |answer: &Value, what: &str| check(answer, &format!("requires:{what}")).clone();
        let outcome = |answer: &Value, what: &str| text(&of(answer, what), "outcome").to_owned();
        assert_eq!(outcome(&answer, &old), "passed", "{answer:#}");
        assert_eq!(outcome(&answer, &new), "failed", "{answer:#}");
        assert_eq!(outcome(&answer, setting), "failed", "{answer:#}");
        assert!(text(&of(&answer, setting), "message").contains("false"), "{answer:#}");
        assert_eq!(outcome(&answer, extension), "failed", "{answer:#}");

        let _ = desk.database.run("UPDATE settings SET svalue = 'true' WHERE skey = 'ai_enabled'");
        if engine.is_postgres() {
            let help = text(&of(&answer, extension), "help").to_owned();
            assert!(help.contains("CREATE EXTENSION"), "{help}");
            let _ = desk.database.run("CREATE EXTENSION pgcrypto");
        }
        let (_, answer) = desk.json("plan check rights");
        assert_eq!(outcome(&answer, setting), "passed", "{answer:#}");
        let there = if engine.is_postgres() { "passed" } else { "failed" };
        assert_eq!(outcome(&answer, extension), there, "{answer:#}");
    }
}
