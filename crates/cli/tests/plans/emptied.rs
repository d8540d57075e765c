//! A copy that is taken back while others write into what it has filled.

use crate::last_look::late;
use dunlin_testkit::for_each_engine;
use dunlin_testkit::sandbox::Sandbox;
use rusqlite::Connection;

for_each_engine! {
    only servers
    /// Somebody has written when it is looked at what the copy has left, and commits when that is about to go.
    async fn a_writer_while_a_copy_is_taken_back_loses_nothing(engine: TestEngine) {
        let (sandbox, target) = (Sandbox::new(), engine.database());
        let source = Connection::open(sandbox.path("source.db")).unwrap();
        source.execute_batch(
            "CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
             CREATE TABLE books (id INTEGER PRIMARY KEY, author INTEGER NOT NULL REFERENCES authors(id), title TEXT NOT NULL);
             CREATE VIEW titles AS SELECT title FROM books;
             INSERT INTO authors VALUES (1, 'one'), (2, 'two');
             INSERT INTO books VALUES (1, 1, 'first'), (2, 2, 'second');",
        ).unwrap();
        let url = target.url();
        let _ = sandbox.write("dunlin.toml", format!("[database.old]\nurl = \"sqlite:source.db\"\n[database.new]\nurl = \"{url}\"\n"));
        let head = "name = \"move\"\ndatabase = \"old\"\n[[phase]]\nid = \"one\"\n";
        let _ = sandbox.write("move.plan.toml", format!("{head}[[phase.step]]\nid = \"go\"\ncopy = {{ from = \"old\", to = \"new\" }}\n"));
        let _ = sandbox.dunlin(["run", "move"]).success();
        for (at, word) in [&[][..], &["--discard-later"]].into_iter().enumerate() {
            let title = format!("late {at}");
            let writes = format!("INSERT INTO books (id, author, title) VALUES (7{at}, 1, '{title}')");
            let writer = late(engine, &target, &writes);
            let line = ["rollback", "move", "--format", "json"].iter().chain(word);
            let refused = sandbox.dunlin(line).code(1).json();
            writer.join().unwrap();
            assert!(refused["failure"].to_string().contains("others write into books"), "{refused:#}");
            assert_eq!(target.scalar(&format!("SELECT title FROM books WHERE id = 7{at}")), title, "{refused:#}");
        }
        let refused = sandbox.dunlin(["rollback", "move", "--format", "json"]).code(1).json();
        assert!(refused["failure"].to_string().contains("changed since"), "{refused:#}");
        let _ = sandbox.dunlin(["rollback", "move", "--discard-later"]).success();
        assert!(target.try_run("SELECT * FROM books").is_err());
        assert!(target.try_run("SELECT * FROM authors").is_err());
        let _ = sandbox.dunlin(["run", "move"]).success();
        assert_eq!(target.scalar("SELECT count(*) FROM books"), "2");
    }
}
