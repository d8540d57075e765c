//! Backfills on every engine: batches along the key, undo images, resuming, later writes left alone.
#![allow(clippy::unwrap_used)]

use dunlin::control::{self, Control};
use dunlin::executor::Runner;
use dunlin::steps::backfill;
use dunlin::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::redact::SecretUrl;
use dunlin_core::source::Project;
use dunlin_core::source::grammar::steps::{Backfill, NewRows, NumberOrAuto};
use dunlin_engines::Purpose;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

fn world(database: &TestDatabase) -> World {
    let project = Project::without_file(SecretUrl::new(database.url()), std::env::temp_dir());
    World::new(project.databases[0].clone(), None, true).unwrap()
}

async fn runner<'w>(world: &'w World, sink: &'w mut dyn Sink, control: Control) -> Runner<'w> {
    let mut asked = control.clone();
    let (lease, work) = dunlin::lease::acquire(world, Purpose::Script, true, sink, &mut asked)
        .await
        .unwrap();
    Runner::new(world, work, lease, sink, control)
}

async fn end(runner: Runner<'_>) {
    runner.lease.release().await;
    runner.work.close().await;
}

fn step(set: &str, only: Option<&str>, batch: u64, new_rows: NewRows) -> Backfill {
    Backfill {
        table: "contacts".into(),
        set: set.into(),
        only: only.map(str::to_owned),
        batch: Some(NumberOrAuto::Number(batch)),
        pause: Some("0s".into()),
        new_rows: Some(new_rows),
        window: None,
    }
}

/// Two hundred rows under a key of two columns, with names that need quotes, values of several kinds, and a column that
/// an update changes by itself where the engine has such.
fn make(kind: TestEngine, database: &TestDatabase) {
    let quoted = |name: &str| {
        let mark = kind.pick("\"", "\"", "`");
        format!("{mark}{name}{mark}")
    };
    let (odd, order) = (quoted("o'dd \u{6cc}"), quoted("order"));
    let changed = kind.pick(
        "changed text",
        "changed timestamptz",
        "changed timestamp(6) NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP(6)",
    );
    let utf8 = kind.pick("", "", " CHARACTER SET utf8mb4");
    database.run(&format!(
        "CREATE TABLE contacts (grp varchar(20) NOT NULL, {order} bigint NOT NULL, user_id bigint, {odd} varchar(60){utf8}, \
         weight double precision, {changed}, PRIMARY KEY (grp, {order}))"
    ));
    let stamp = "'2024-10-27 02:30:00.123456'";
    for chunk in 0..4 {
        let rows: Vec<String> = (0..50)
            .map(|n| {
                let id = chunk * 50 + n;
                let grp = format!("'g{}'", id % 7);
                let text = if id % 3 == 0 {
                    "NULL".to_owned()
                } else {
                    format!("'it''s {id} ی'")
                };
                let user = if id % 5 == 0 {
                    "9".to_owned()
                } else {
                    "NULL".to_owned()
                };
                format!("({grp}, {id}, {user}, {text}, {id} / 3.0, {stamp})")
            })
            .collect();
        database.run(&format!("INSERT INTO contacts VALUES {}", rows.join(", ")));
    }
}

fn rows(kind: TestEngine, database: &TestDatabase) -> Vec<Vec<Option<String>>> {
    let order = kind.pick("\"order\"", "\"order\"", "`order`");
    database.run(&format!("SELECT * FROM contacts ORDER BY grp, {order}"))
}

fn assignments(kind: TestEngine) -> String {
    let mark = kind.pick("\"", "\"", "`");
    let concat = kind.pick("'#' || grp", "'#' || grp", "concat('#', grp)");
    format!("user_id = 1, {mark}o'dd \u{6cc}{mark} = coalesce({mark}o'dd \u{6cc}{mark}, {concat})")
}

fn quiet() -> impl Sink {
    |_: &Event| {}
}

for_each_engine! {
    /// Forward, back: every row holds what it held, columns that an update changes by itself included.
    async fn rows_are_filled_in_batches_and_come_back_as_they_were(kind: TestEngine) {
        let database = kind.database();
        make(kind, &database);
        let before = rows(kind, &database);
        let world = world(&database);
        let mut sink = quiet();
        let mut runner = runner(&world, &mut sink, Control::free()).await;
        let spec = step(&assignments(kind), Some("user_id IS NULL"), 33, NewRows::None);
        assert_eq!(backfill::run(&mut runner, "plan/a/fill", &spec).await.unwrap(), 160);
        assert_eq!(database.scalar("SELECT count(*) FROM contacts WHERE user_id = 1"), "160");
        assert_eq!(database.scalar("SELECT count(*) FROM contacts WHERE user_id = 9"), "40");
        let batches = database.scalar("SELECT count(*) FROM dunlin_undo");
        assert_eq!(batches, "5", "one image for each batch");
        assert_eq!(backfill::run(&mut runner, "plan/a/fill", &spec).await.unwrap(), 160, "nothing is left to do");
        assert_eq!(database.scalar("SELECT count(*) FROM dunlin_undo"), batches);
        let undone = backfill::undo(&mut runner, "plan/a/fill", &spec).await.unwrap();
        assert_eq!((undone.rows, undone.left), (160, 0));
        assert_eq!(rows(kind, &database), before);
        // Forward again, and back again: batches of before are not taken for those of now.
        assert_eq!(backfill::run(&mut runner, "plan/a/fill", &spec).await.unwrap(), 160);
        let undone = backfill::undo(&mut runner, "plan/a/fill", &spec).await.unwrap();
        assert_eq!((undone.rows, undone.left), (160, 0));
        assert_eq!(rows(kind, &database), before);
        end(runner).await;
    }
}

for_each_engine! {
    /// What others wrote since is left alone and listed, and so is a row that they removed.
    async fn later_writes_are_left_alone_and_listed(kind: TestEngine) {
        let database = kind.database();
        make(kind, &database);
        let world = world(&database);
        let mut sink = quiet();
        let mut runner = runner(&world, &mut sink, Control::free()).await;
        let spec = step("user_id = 1", None, 64, NewRows::None);
        assert_eq!(backfill::run(&mut runner, "u", &spec).await.unwrap(), 200);
        database.run("UPDATE contacts SET user_id = 77 WHERE weight > 65.9");
        database.run("DELETE FROM contacts WHERE grp = 'g0' AND weight < 1");
        let undone = backfill::undo(&mut runner, "u", &spec).await.unwrap();
        assert_eq!((undone.rows, undone.left), (197, 3), "{undone:?}");
        assert_eq!(undone.keys.len(), 3);
        assert!(undone.keys.iter().any(|key| key == "grp = g0, order = 0"), "{undone:?}");
        assert_eq!(database.scalar("SELECT count(*) FROM contacts WHERE user_id = 77"), "2");
        assert_eq!(database.scalar("SELECT count(*) FROM contacts WHERE user_id = 1"), "0");
        assert_eq!(database.scalar("SELECT count(*) FROM contacts WHERE user_id = 9"), "39", "rows that held something hold it again");
        end(runner).await;
    }
}

/// Asks the run to stop after some batches.
struct StopAfter(u32, control::Handle);

impl Sink for StopAfter {
    fn event(&mut self, event: &Event) {
        if matches!(event, Event::Progress { .. }) && self.0 > 0 {
            self.0 -= 1;
            if self.0 == 0 {
                self.1.press();
            }
        }
    }
}

for_each_engine! {
    /// Stopped between batches, forward and back, with the process's memory lost each time: it goes on exactly.
    async fn it_goes_on_after_the_last_batch_that_is_recorded(kind: TestEngine) {
        let database = kind.database();
        make(kind, &database);
        let before = rows(kind, &database);
        let world = world(&database);
        let spec = step("user_id = coalesce(user_id, 0) + 1", None, 30, NewRows::None);
        for forward in [true, false] {
            for stop in [2, 3, 0] {
                let (handle, control) = control::pair();
                let mut sink = StopAfter(stop, handle);
                let mut runner = runner(&world, &mut sink, control).await;
                let outcome = if forward {
                    backfill::run(&mut runner, "u", &spec).await
                } else {
                    backfill::undo(&mut runner, "u", &spec).await.map(|undone| undone.rows)
                };
                end(runner).await;
                match stop {
                    0 => assert_eq!(outcome.unwrap(), 200),
                    _ => assert_eq!(outcome.unwrap_err().code, "interrupted"),
                }
            }
            let twice = database.scalar("SELECT count(*) FROM contacts WHERE user_id NOT IN (1, 10)");
            if forward {
                assert_eq!(twice, "0", "no row was changed twice");
            }
        }
        assert_eq!(rows(kind, &database), before);
    }
}

for_each_engine! {
    /// A session that dies in the middle of a batch leaves nothing of it: rows, image and record go together.
    async fn a_batch_that_fails_leaves_nothing_of_itself(kind: TestEngine) {
        let database = kind.database();
        make(kind, &database);
        database.run(kind.pick(
            "CREATE TRIGGER no BEFORE UPDATE ON contacts WHEN OLD.\"order\" = 170 BEGIN SELECT RAISE(ABORT, 'not this one'); END",
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.\"order\" = 170 THEN RAISE 'not this one'; \
             END IF; RETURN NEW; END $$; CREATE TRIGGER no BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE PROCEDURE no()",
            "CREATE TRIGGER no BEFORE UPDATE ON contacts FOR EACH ROW IF OLD.`order` = 170 THEN SIGNAL SQLSTATE '45000' SET \
             MESSAGE_TEXT = 'not this one'; END IF",
        ));
        let before = rows(kind, &database);
        let world = world(&database);
        let mut sink = quiet();
        let mut runner = runner(&world, &mut sink, Control::free()).await;
        let spec = step("user_id = 1", None, 40, NewRows::None);
        let failure = backfill::run(&mut runner, "u", &spec).await.unwrap_err();
        assert!(failure.message.contains("not this one"), "{failure:?}");
        let images: i64 = database.scalar("SELECT count(*) FROM dunlin_undo").parse().unwrap();
        let records = database.scalar("SELECT count(*) FROM dunlin_journal WHERE unit = 'u' AND event = 'done'");
        assert_eq!(images.to_string(), records);
        assert_eq!(database.scalar("SELECT count(*) FROM contacts WHERE user_id = 1"), (images * 40).to_string());
        let undone = backfill::undo(&mut runner, "u", &spec).await.unwrap();
        assert_eq!(undone.rows.to_string(), (images * 40).to_string());
        assert_eq!(rows(kind, &database), before);
        end(runner).await;
    }
}

for_each_engine! {
    /// Rows that come while the batches go get their values, and only those that the step means; the undo takes the
    /// trigger away.
    async fn rows_that_come_meanwhile_are_filled_by_a_trigger(kind: TestEngine) {
        let database = kind.database();
        make(kind, &database);
        let world = world(&database);
        let mut sink = quiet();
        let mut runner = runner(&world, &mut sink, Control::free()).await;
        let concat = kind.pick("grp || '-' || contacts.grp", "grp || '-' || contacts.grp", "concat(grp, '-', contacts.grp)");
        let set = format!("user_id = weight + 1, {0}o'dd \u{6cc}{0} = {concat}", kind.pick("\"", "\"", "`"));
        let spec = step(&set, Some("user_id IS NULL AND grp <> 'no'"), 50, NewRows::Trigger);
        backfill::run(&mut runner, "u", &spec).await.unwrap();
        let odd = format!("{0}o'dd \u{6cc}{0}", kind.pick("\"", "\"", "`"));
        let order = kind.pick("\"order\"", "\"order\"", "`order`");
        let insert = |grp: &str, id: u32, user: &str| {
            database.run(&format!("INSERT INTO contacts (grp, {order}, user_id, weight) VALUES ('{grp}', {id}, {user}, 6)"));
            let row = database.run(&format!("SELECT user_id, {odd} FROM contacts WHERE {order} = {id}"));
            row[0].clone()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(insert("a", 1000, "NULL"), [some("7"), some("a-a")]);
        assert_eq!(insert("a", 1001, "5"), [some("5"), None], "the condition does not mean it");
        assert_eq!(insert("no", 1002, "NULL"), [None, None]);
        // Again, as after a crash: the trigger is there once.
        backfill::run(&mut runner, "u", &spec).await.unwrap();
        assert_eq!(insert("a", 1003, "NULL"), [some("7"), some("a-a")]);
        backfill::undo(&mut runner, "u", &spec).await.unwrap();
        assert_eq!(insert("a", 1004, "NULL"), [None, None]);
        end(runner).await;
    }
}

for_each_engine! {
    async fn rows_that_come_meanwhile_are_filled_by_a_default(kind: TestEngine) {
        let database = kind.database();
        make(kind, &database);
        let world = world(&database);
        let mut sink = quiet();
        let mut runner = runner(&world, &mut sink, Control::free()).await;
        let spec = step("user_id = 4", None, 50, NewRows::Default);
        let outcome = backfill::run(&mut runner, "u", &spec).await;
        if kind == TestEngine::Sqlite {
            let failure = outcome.unwrap_err();
            assert_eq!(failure.code, "backfill-set");
            assert_eq!(database.scalar("SELECT count(*) FROM contacts WHERE user_id = 4"), "0", "nothing was begun");
        } else {
            outcome.unwrap();
            let order = kind.pick("\"order\"", "\"order\"", "`order`");
            database.run(&format!("INSERT INTO contacts (grp, {order}) VALUES ('a', 1000)"));
            assert_eq!(database.scalar(&format!("SELECT user_id FROM contacts WHERE {order} = 1000")), "4");
            backfill::undo(&mut runner, "u", &spec).await.unwrap();
            database.run(&format!("INSERT INTO contacts (grp, {order}) VALUES ('a', 1001)"));
            assert_eq!(database.scalar(&format!("SELECT user_id FROM contacts WHERE {order} = 1001")), "");
        }
        end(runner).await;
    }
}

for_each_engine! {
    async fn without_a_key_it_is_refused(kind: TestEngine) {
        let database = kind.database();
        database.run("CREATE TABLE contacts (id bigint, user_id bigint)");
        database.run("INSERT INTO contacts VALUES (1, NULL)");
        let world = world(&database);
        let mut sink = quiet();
        let mut runner = runner(&world, &mut sink, Control::free()).await;
        let failure = backfill::run(&mut runner, "u", &step("user_id = 1", None, 10, NewRows::Trigger)).await.unwrap_err();
        assert_eq!(failure.code, "no-unique-key");
        assert!(!database.has_table("dunlin_undo"), "nothing was begun");
        end(runner).await;
    }
}
