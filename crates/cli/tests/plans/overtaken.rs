//! Between a step's look at rows of settings and its own write somebody else writes there: nothing of theirs is lost.

use crate::Desk;
use crate::last_look::late;
use dunlin_testkit::database::ask;
use dunlin_testkit::{TestEngine, for_each_engine};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const STEP: &str = "settings = { table = \"settings\", key = [\"skey\"], rows = [{ skey = \"theme\", svalue = \"light\" }, \
                    { skey = \"ai_enabled\", svalue = \"true\" }] }\n";

fn settings(desk: &Desk) -> Vec<String> {
    let rows = desk
        .database
        .run("SELECT skey, svalue FROM settings ORDER BY skey");
    let text = |row: Vec<Option<String>>| {
        let texts = row
            .into_iter()
            .map(|cell| cell.unwrap_or_else(|| "-".into()));
        texts.collect::<Vec<_>>().join("=")
    };
    rows.into_iter().map(text).collect()
}

/// Runs the plan, which must look once more on the way.
fn looks_again(desk: &Desk) {
    let (code, ran) = desk.json("run on --events events");
    assert_eq!(code, 0, "{ran:#}");
    has_looked_again(desk);
}

fn has_looked_again(desk: &Desk) {
    let events = desk.sandbox.read("events");
    assert!(events.contains("after it was looked at"), "{events}");
}

/// Waits until a question has an answer other than 0.
fn until(desk: &Desk, question: &str) {
    let started = Instant::now();
    while desk.database.scalar(question) == "0" {
        assert!(started.elapsed() < Duration::from_secs(30), "{question}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A plan whose step stands still, before it looks at anything, until the test says `go`.
fn held(desk: &Desk) {
    let check = "\n    [[phase.step.check]]\n    id = \"held\"\n    when = \"before\"\n    \
                 exec = { run = \"echo >> begun; while ! test -e go; do sleep 0.05; done\" }\n";
    desk.plan("on", "", &format!("{STEP}{check}"));
}

for_each_engine! {
    only servers
    /// Its undo gives back what the others wrote, in whatever letters.
    async fn what_others_write_meanwhile_is_what_the_undo_gives_back(engine: TestEngine) {
        for theirs in ["'theirs'", "'FALSE'", "'false '", "NULL"] {
            let desk = Desk::new(engine);
            desk.plan("on", "", STEP);
            let writer = late(engine, &desk.database, &format!("UPDATE settings SET svalue = {theirs} WHERE skey = 'ai_enabled'"));
            looks_again(&desk);
            writer.join().unwrap();
            assert_eq!(settings(&desk), ["ai_enabled=true", "theme=light"], "{theirs}");
            let _ = desk.dunlin("rollback on").success();
            let theirs = theirs.trim_matches('\'').replace("NULL", "-");
            assert_eq!(settings(&desk), [format!("ai_enabled={theirs}"), "theme=dark".into()]);
        }
    }
}

for_each_engine! {
    only servers
    /// Others insert the row, or remove it, and the same of a plugin's switch.
    async fn a_row_that_comes_or_goes_meanwhile_is_looked_at_again(engine: TestEngine) {
        let plugin = "[[plugin]]\nid = \"model\"\nsetting = { table = \"settings\", key = \"skey\", value = \"svalue\", name = \"model\", \
                      on = \"gpt\", off = \"none\" }\n";
        let row = "settings = { table = \"settings\", key = [\"skey\"], rows = [{ skey = \"model\", svalue = \"gpt\" }] }\n";
        for step in [row, "plugin = { enable = \"model\" }\n"] {
            let desk = Desk::new(engine);
            let file = desk.sandbox.read("dunlin.toml");
            let _ = desk.sandbox.write("dunlin.toml", format!("{file}{plugin}"));
            desk.plan("on", "", step);
            let model = || desk.database.scalar("SELECT coalesce(max(svalue), 'gone') FROM settings WHERE skey = 'model'");
            let writer = late(engine, &desk.database, "INSERT INTO settings VALUES ('model', 'theirs')");
            looks_again(&desk);
            writer.join().unwrap();
            assert_eq!(model(), "gpt", "{step}");
            let _ = desk.dunlin("rollback on").success();
            assert_eq!(model(), "theirs", "{step}");

            let writer = late(engine, &desk.database, "DELETE FROM settings WHERE skey = 'model'");
            looks_again(&desk);
            writer.join().unwrap();
            assert_eq!(model(), "gpt", "{step}");
            let _ = desk.dunlin("rollback on").success();
            assert_eq!(model(), "gone", "{step}");
        }
    }
}

for_each_engine! {
    only servers
    /// Others are faster each time: it stops after some, and leaves nothing of its own.
    async fn a_step_that_is_overtaken_each_time_gives_up(engine: TestEngine) {
        let TestEngine::Server(kind) = engine else { unreachable!("only servers") };
        let desk = Desk::new(engine);
        desk.plan("on", "", STEP);
        let _ = desk.database.run("CREATE TABLE counted (id int PRIMARY KEY); INSERT INTO counted VALUES (1)");
        let pause = if engine.is_postgres() { "SELECT pg_sleep(0.2)" } else { "SELECT SLEEP(0.2)" };
        let next = if engine.is_postgres() { "svalue || '+'" } else { "concat(svalue, '+')" };
        let ended = AtomicBool::new(false);
        let (began, begins) = std::sync::mpsc::channel();
        let url = desk.database.url().to_owned();
        let ended = &ended;
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || {
                // The next transaction has written long before a step has looked once more.
                let one = format!("BEGIN; UPDATE settings SET svalue = {next} WHERE skey = 'ai_enabled'; {pause}; COMMIT; ");
                while !ended.load(Ordering::Relaxed) {
                    let _ = began.send(());
                    ask(&url, kind, &one.repeat(40)).unwrap();
                }
            });
            begins.recv().unwrap();
            let (code, ran) = desk.json("run on");
            ended.store(true, Ordering::Relaxed);
            writer.join().unwrap();
            assert_eq!((code, ran["failure"]["code"].as_str()), (1, Some("overtaken")), "{ran:#}");
            assert!(ran["failure"]["message"].as_str().unwrap().contains("10 times"), "{ran:#}");
        });
        let left = settings(&desk);
        assert!(left[0].starts_with("ai_enabled=false+") && left[1] == "theme=dark", "{left:?}");
        let _ = desk.dunlin("run on").success();
        assert_eq!(settings(&desk), ["ai_enabled=true", "theme=light"]);
        let _ = desk.dunlin("rollback on").success();
        assert_eq!(settings(&desk), left);
    }
}

for_each_engine! {
    only servers
    /// A table without transactions: what was written of the step already is taken back before it looks again.
    async fn without_transactions_nothing_is_lost_either(engine: TestEngine) {
        if !engine.is_mysql_family() {
            return;
        }
        for (mode, theirs) in [("", "ai_enabled"), ("", "theme"), ("on_failure = \"stop\"\n", "ai_enabled")] {
            let desk = Desk::new(engine);
            let _ = desk.database.run("ALTER TABLE settings ENGINE = MyISAM");
            held(&desk);
            let text = desk.sandbox.read("on.plan.toml").replace("[[phase]]", &format!("{mode}[[phase]]"));
            let _ = desk.sandbox.write("on.plan.toml", text);
            let running = desk.sandbox.spawn(["run", "on", "--format", "json", "--events", "events"]);
            let _ = desk.sandbox.await_text("begun", "\n");
            // The step looks, and then its beginning is to be recorded, which waits for whoever holds the journal.
            let mut journal = Held::new(&desk, "LOCK TABLES dunlin_journal WRITE");
            let _ = desk.sandbox.write("go", "");
            until(&desk, "SELECT count(*) FROM information_schema.processlist WHERE db = database() AND info LIKE 'INSERT INTO%dunlin_journal%' \
                          AND state LIKE 'Waiting for table%lock'");
            let _ = desk.database.run(&format!("UPDATE settings SET svalue = 'theirs' WHERE skey = '{theirs}'"));
            journal.free();
            let ran = running.wait().json();
            assert_eq!(ran["exit_code"], 0, "{theirs}: {ran:#}");
            has_looked_again(&desk);
            assert_eq!(settings(&desk), ["ai_enabled=true", "theme=light"], "{theirs}");
            let _ = desk.dunlin("rollback on").success();
            let expected = match theirs {
                "theme" => ["ai_enabled=false", "theme=theirs"],
                _ => ["ai_enabled=theirs", "theme=dark"],
            };
            assert_eq!(settings(&desk), expected, "{theirs}");
        }
    }
}

/// What a session of the test's holds until it is freed.
struct Held {
    open: Option<(
        tokio::sync::oneshot::Sender<()>,
        std::thread::JoinHandle<()>,
    )>,
}

impl Held {
    fn new(desk: &Desk, sql: &str) -> Held {
        use mysql_async::prelude::Queryable;
        let (open, opened) = tokio::sync::oneshot::channel();
        let (held, holds) = std::sync::mpsc::channel();
        let url = desk.database.url().replacen("mariadb://", "mysql://", 1);
        let sql = sql.to_owned();
        let holder = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let opts = mysql_async::Opts::from_url(&url).unwrap();
                let mut session = mysql_async::Conn::new(opts).await.unwrap();
                session.query_drop(sql).await.unwrap();
                held.send(()).unwrap();
                let _ = opened.await;
                let _ = session.disconnect().await;
            });
        });
        holds.recv().unwrap();
        Held {
            open: Some((open, holder)),
        }
    }

    fn free(&mut self) {
        if let Some((open, holder)) = self.open.take() {
            drop(open);
            holder.join().unwrap();
        }
    }
}

/// A file: its one writer has written, and commits when the tool has tried to.
#[test]
fn a_writer_of_the_file_loses_nothing() {
    let desk = Desk::new(TestEngine::Sqlite);
    held(&desk);
    let running = desk
        .sandbox
        .spawn(["run", "on", "--format", "json", "--events", "events"]);
    let _ = desk.sandbox.await_text("begun", "\n");
    let other = rusqlite::Connection::open(desk.database.file().unwrap()).unwrap();
    other
        .execute_batch(
            "BEGIN IMMEDIATE; UPDATE settings SET svalue = 'theirs' WHERE skey = 'ai_enabled'",
        )
        .unwrap();
    let _ = desk.sandbox.write("go", "");
    let _ = desk.sandbox.await_text("events", "\"retrying\"");
    other.execute_batch("COMMIT").unwrap();
    let ran = running.wait().json();
    assert_eq!(ran["exit_code"], 0, "{ran:#}");
    has_looked_again(&desk);
    assert_eq!(settings(&desk), ["ai_enabled=true", "theme=light"]);
    let _ = desk.dunlin("rollback on").success();
    assert_eq!(settings(&desk), ["ai_enabled=theirs", "theme=dark"]);
}
