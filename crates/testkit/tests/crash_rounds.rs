//! The rounds of `cargo x crash`, as every run of the tests has them: 20 on each engine, and 200 in the long mode.
#![allow(clippy::unwrap_used)]

use dunlin_testkit::crash::{Engine, Plan, rounds};
use dunlin_testkit::sandbox::Sandbox;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

fn nothing_is_lost_or_done_twice(engine: Engine) {
    let long = std::env::var_os("DUNLIN_TEST_LONG").is_some();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let plan = Plan {
        rounds: if long { 200 } else { 20 },
        engines: vec![engine],
        // The instants of death differ from run to run in any case; new migrations come with the long mode.
        seed: if long { now.as_secs() } else { 2_026 },
        binary: Sandbox::new().binary().to_owned(),
        keep: Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-failures"),
        story: |_| {},
    };
    let tally = rounds(&plan, engine).unwrap();
    assert!(tally.failures.is_empty(), "{}", tally.failures.join("\n"));
    assert_eq!(tally.rounds, plan.rounds);
    assert!(tally.process_kills >= plan.rounds / 4, "{tally:?}");
    assert!(
        engine == Engine::Sqlite || tally.server_kills > 0,
        "{tally:?}"
    );
}

#[test]
fn invariant_06_whatever_dies_on_sqlite_nothing_is_lost_or_done_twice() {
    nothing_is_lost_or_done_twice(Engine::Sqlite);
}

#[test]
fn invariant_06_whatever_dies_on_postgres_nothing_is_lost_or_done_twice() {
    nothing_is_lost_or_done_twice(Engine::Postgres);
}

#[test]
fn invariant_06_whatever_dies_on_mariadb_nothing_is_lost_or_done_twice() {
    nothing_is_lost_or_done_twice(Engine::Mariadb);
}

#[test]
fn invariant_06_whatever_dies_on_mysql_nothing_is_lost_or_done_twice() {
    nothing_is_lost_or_done_twice(Engine::Mysql);
}
