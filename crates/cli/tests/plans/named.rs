//! The table that an undo names: with its schema or without, beside one of the same name in another case or another schema.
//! What others have written into it is asked for, and what is archived is that table and no other.

use crate::Desk;
use dunlin_testkit::servers::Kind;
use dunlin_testkit::{TestEngine, for_each_engine};

const WORDS: &str = "(id int NOT NULL PRIMARY KEY, word varchar(40))";

/// A step that makes a table of two rows, by this name, and drops it by another spelling of it.
fn desk(engine: TestEngine, made: &str, dropped: &str, before: &[&str]) -> Desk {
    let desk = Desk::new(engine);
    for sql in before {
        let _ = desk.database.run(sql);
    }
    desk.sandbox.write(
        "named.plan.toml",
        format!(
            "name = \"named\"\n[[phase]]\nid = \"named\"\n[[phase.step]]\nid = \"named\"\n\
             sql = \"\"\"CREATE TABLE {made} {WORDS}; INSERT INTO {made} VALUES (1, 'one'), (2, 'two')\"\"\"\n\
             undo = \"\"\"DROP TABLE {dropped}\"\"\"\n"
        ),
    );
    desk
}

/// Untouched it goes without a word; changed by others it does not, however they did it; with the word it comes home.
fn asked(desk: &Desk, table: &str) {
    let _ = desk.dunlin("run named").success();
    let _ = desk.dunlin("rollback named").success();
    let _ = desk.dunlin("run named").success();
    let word = format!("SELECT word FROM {table} WHERE id = 1");
    for theirs in [
        format!("UPDATE {table} SET word = 'theirs' WHERE id = 1"),
        format!("INSERT INTO {table} VALUES (3, 'theirs too')"),
    ] {
        let _ = desk.database.run(&theirs);
        let (code, refused) = desk.json("rollback named");
        assert_eq!(code, 1, "{theirs}: {refused:#}");
        let said = refused["failure"].to_string();
        assert!(said.contains("would destroy"), "{theirs}: {refused:#}");
        assert_eq!(desk.database.scalar(&word), "theirs");
        let _ = desk.dunlin("run named").success();
    }
    let _ = desk.dunlin("rollback named --discard-later").success();
    let (code, again) = desk.json("run named");
    assert_eq!(code, 0, "{again:#}");
    let rows = desk
        .database
        .scalar(&format!("SELECT count(*) FROM {table}"));
    assert_eq!(rows, "3", "{again:#}");
}

for_each_engine! {
    async fn a_table_that_is_named_with_its_schema_is_asked_for(engine: TestEngine) {
        let desk = desk(engine, "words", "words", &[]);
        let own = desk.database.name().to_owned();
        let schema = engine.pick("main", "public", &own);
        let plan = desk.sandbox.read("named.plan.toml");
        let named = plan.replace("DROP TABLE words", &format!("DROP TABLE {schema}.words"));
        desk.sandbox.write("named.plan.toml", named);
        asked(&desk, "words");
    }
}

for_each_engine! {
    only servers
    /// Both are there, and the one that has no rows comes first in every list.
    async fn a_table_is_not_taken_for_one_of_its_name_in_another_case(engine: TestEngine) {
        let quoted = engine.pick("", "\"Words\"", "`Words`");
        let other = format!("CREATE TABLE {quoted} {WORDS}");
        asked(&desk(engine, "words", "words", &[&other]), "words");
    }
}

/// The schema in which a session looks for names is not the one that goes without saying.
#[test]
fn a_table_is_looked_for_where_the_session_looks_for_it() {
    for path in ["app, public", "later, app"] {
        let other = format!("CREATE TABLE words {WORDS}");
        let before = ["CREATE SCHEMA app", "CREATE SCHEMA later", &other];
        let desk = desk(
            TestEngine::Server(Kind::Postgres),
            "words",
            "words",
            &before,
        );
        let schema = path.split(',').next().unwrap();
        if schema == "later" {
            let _ = desk
                .database
                .run(&format!("CREATE TABLE app.words {WORDS}"));
        }
        let toml = desk.sandbox.read("dunlin.toml");
        let prelude = format!("prelude = [\"SET search_path = {path}\"]\n");
        desk.sandbox
            .write("dunlin.toml", format!("{toml}{prelude}"));
        asked(&desk, &format!("{schema}.words"));
    }
}

for_each_engine! {
    /// The step gets another name while what its undo has archived waits: that is said, and it comes home under the old one.
    async fn what_waits_for_a_step_of_another_name_is_said(engine: TestEngine) {
        let desk = desk(engine, "words", "words", &[]);
        let _ = desk.dunlin("run named").success();
        let _ = desk.database.run("INSERT INTO words VALUES (3, 'theirs')");
        let _ = desk.dunlin("rollback named --discard-later").success();
        let plan = desk.sandbox.read("named.plan.toml");
        let other = plan.replace("[[phase.step]]\nid = \"named\"", "[[phase.step]]\nid = \"other\"");
        let _ = desk.sandbox.write("named.plan.toml", &other);
        let said = "step `named` of phase `named` is not in the plan";
        let (code, checked) = desk.json("plan check named");
        assert_eq!(code, 0, "{checked:#}");
        let mut all = checked["data"]["checks"].as_array().unwrap().iter();
        let found = all.find(|one| one["code"] == "archive-waits" && one["outcome"] == "warned");
        assert!(found.is_some_and(|one| one["message"].to_string().contains(said)), "{checked:#}");
        let (code, ran) = desk.json("run named");
        assert_eq!(code, 0, "{ran:#}");
        assert!(ran.to_string().contains(said), "{ran:#}");
        let _ = desk.dunlin("rollback named").success();
        let _ = desk.sandbox.write("named.plan.toml", &plan);
        let (code, ran) = desk.json("run named");
        assert_eq!(code, 0, "{ran:#}");
        assert!(!ran.to_string().contains(said), "{ran:#}");
        assert_eq!(desk.database.scalar("SELECT word FROM words WHERE id = 3"), "theirs", "{ran:#}");
    }
}
