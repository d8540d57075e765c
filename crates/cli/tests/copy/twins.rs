//! Two foreign keys of the same columns to the same table: each is made, and gone on with, by itself.

use super::{Ends, all_equal};
use dunlin_testkit::for_each_engine;
use rusqlite::Connection;

/// What `c.a` refers to twice; the third parent has no second key.
const SOURCE: &str = "PRAGMA foreign_keys = OFF; CREATE TABLE p (id INTEGER PRIMARY KEY, u INTEGER UNIQUE);
    CREATE TABLE c (id INTEGER PRIMARY KEY, a INTEGER, FOREIGN KEY (a) REFERENCES p (id), FOREIGN KEY (a) REFERENCES p (u));
    CREATE TABLE z (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id));
    INSERT INTO p VALUES (1, 1), (2, 2), (3, NULL), (9, 9); INSERT INTO c VALUES (1, 1), (2, 2);";

fn keys(ends: &Ends, table: &str) -> String {
    let schema = ends.engine.pick("", "'public'", "database()");
    ends.target.scalar(&format!(
        "SELECT count(*) FROM information_schema.table_constraints WHERE constraint_type = 'FOREIGN KEY' AND \
         constraint_schema = {schema} AND table_name = '{table}'"
    ))
}

for_each_engine! {
    only servers
    async fn the_second_of_two_like_foreign_keys_is_not_taken_for_made(engine: TestEngine) {
        let ends = Ends::new(engine, &format!("{SOURCE} INSERT INTO c VALUES (3, 3);"));
        let json = ends.copy(&[]).code(1).json();
        assert_eq!(json["failure"]["code"], "orphan-row", "{json:#}");
        assert_eq!(keys(&ends, "c"), "1", "the first is made, and the second is not: {json:#}");
        let json = ends.copy(&["--resume"]).code(1).json();
        assert_eq!(json["failure"]["code"], "orphan-row", "{json:#}");
        let json = ends.copy(&["--resume", "--policy", "orphan-row=reject", "--rejects", "r.ndjson"]).code(8).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(keys(&ends, "c"), "2");
        assert!(ends.target.try_run("INSERT INTO c VALUES (9, 3)").is_err());
    }

    async fn two_like_foreign_keys_are_dropped_and_made_again(engine: TestEngine) {
        let ends = Ends::new(engine, &format!("{SOURCE} INSERT INTO z VALUES (1, 5);"));
        let json = ends.copy(&[]).code(1).json();
        assert_eq!(json["failure"]["code"], "orphan-row", "{json:#}");
        assert_eq!((keys(&ends, "c"), keys(&ends, "z")), ("2".into(), "0".into()));
        // A parent comes: its table is copied anew, and nothing may speak of it meanwhile.
        let source = Connection::open(ends.sandbox.path("source.db")).unwrap();
        source.execute_batch("INSERT INTO p VALUES (5, 5)").unwrap();
        let json = ends.copy(&["--resume"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!((keys(&ends, "c"), keys(&ends, "z")), ("2".into(), "1".into()));
    }
}
