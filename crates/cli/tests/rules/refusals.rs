//! What is refused before anything is written.

use super::{digest, room};
use dunlin_testkit::{TestEngine, for_each_engine};

for_each_engine! {
    /// Names that are not there, queries that the server does not take, rows without a key.
    async fn what_cannot_be_asked_or_cleaned_is_refused_before_any_write(kind: TestEngine) {
        let database = kind.database();
        database.run("CREATE TABLE keyed (id int NOT NULL PRIMARY KEY, a varchar(20))");
        database.run("INSERT INTO keyed VALUES (1, NULL)");
        for (rule, code, verb) in [
            ("required = { table = \"keyd\", columns = [\"a\"] }", "rule-not-askable", "check"),
            ("required = { table = \"keyed\", columns = [\"b\"] }\nclean = \"delete\"", "rule-not-askable", "clean"),
            ("orphans = { table = \"keyed\", columns = [\"a\"], references = \"gone(id)\" }", "rule-not-askable", "check"),
            ("archive = { table = \"keyed\", set = \"b = 1\", where = \"id = 1\" }", "rule-not-askable", "clean"),
            ("archive = { table = \"keyed\", set = \"id = 7\", where = \"id = 1\" }", "rule-not-askable", "clean"),
            ("sql = \"SELECT a_column FROM nowhere\"", "object-missing", "check"),
            ("sql = \"SELECT 1; SELECT 2\"", "rule-not-askable", "check"),
        ] {
            let sandbox = room(&database, &format!("[[rule]]\nid = \"r\"\n{rule}\n"));
            let before = digest(&sandbox);
            let json = sandbox.dunlin([verb, "--format", "json"]).code(4).json();
            assert_eq!(json["failure"]["code"], code, "{rule}: {json}");
            assert_eq!(digest(&sandbox), before);
        }
    }
}

for_each_engine! {
    only servers
    /// A row that cannot be found again is counted and never removed.
    async fn a_table_without_a_key_is_checked_and_not_cleaned(kind: TestEngine) {
        let database = kind.database();
        database.run("CREATE TABLE bare (a varchar(20))");
        database.run("INSERT INTO bare VALUES (NULL), ('x')");
        let sandbox = room(&database, "[[rule]]\nid = \"r\"\nrequired = { table = \"bare\", columns = [\"a\"] }\nclean = \"delete\"\n");
        let _ = sandbox.dunlin(["check"]).code(5);
        let json = sandbox.dunlin(["clean", "--format", "json"]).code(4).json();
        assert_eq!(json["failure"]["code"], "no-unique-key", "{json}");
        assert_eq!(database.scalar("SELECT count(*) FROM bare"), "2");
    }
}

/// SQLite numbers every row: that is a key, too.
#[test]
fn rows_without_a_key_are_found_by_their_number_where_there_is_one() {
    let database = TestEngine::Sqlite.database();
    database.run("CREATE TABLE bare (a text)");
    database.run("INSERT INTO bare VALUES (NULL), ('x'), ('x'), ('y')");
    let sandbox = room(
        &database,
        "[[rule]]\nid = \"r\"\nunique = { table = \"bare\", columns = [\"a\"] }\nclean = \"delete-duplicates\"\n",
    );
    let before = digest(&sandbox);
    let _ = sandbox.dunlin(["clean"]).success();
    assert_eq!(
        database.scalar("SELECT group_concat(coalesce(a, '-')) FROM bare"),
        "-,x,y"
    );
    let _ = sandbox.dunlin(["clean", "--undo"]).success();
    assert_eq!(digest(&sandbox), before);
}

/// Rules that cannot be read stop the verbs that use them, and no others.
#[test]
fn faulty_rules_are_said_all_at_once_and_only_to_who_asks() {
    let database = TestEngine::Sqlite.database();
    database.run("CREATE TABLE t (id integer primary key)");
    let sandbox = room(
        &database,
        "[[rule]]\nid = \"a\"\nclean = \"delete\"\nsql = \"SELECT 1\"\n[[rule]]\nid = \"b\"\norphans = { table = \"t\", columns = \
         [\"id\"], references = \"t\", in_fleet = \"f\" }\n[[rule]]\nid = \"c\"\nunique = { table = \"t\", columns = [] }\n",
    );
    let json = sandbox.dunlin(["check", "--format", "json"]).code(2).json();
    let codes: Vec<&str> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["bad-rule", "comes-later", "bad-rule"], "{json}");
    let json = sandbox
        .dunlin(["check", "nothing", "--format", "json"])
        .code(2)
        .json();
    assert!(json.to_string().contains("unknown-name"), "{json}");
    let _ = sandbox.dunlin(["digest"]).success();
}
