//! The rounds of `cargo x crash`, as every run of the tests has them: on each engine 20 of migrations and 20 of plans,
//! and 200 in the long mode.
#![allow(clippy::unwrap_used)]

use dunlin_testkit::crash::{Engine, Plan, rounds};
use dunlin_testkit::sandbox::Sandbox;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the rounds are made of.
#[derive(PartialEq)]
enum Of {
    Migrations,
    Plans,
}

fn nothing_is_lost_or_done_twice(engine: Engine, of: Of) {
    let long = std::env::var_os("DUNLIN_TEST_LONG").is_some();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let rounds_wanted = if long { 200 } else { 20 };
    let plan = Plan {
        rounds: if of == Of::Migrations {
            rounds_wanted
        } else {
            0
        },
        plan_rounds: if of == Of::Plans { rounds_wanted } else { 0 },
        engines: vec![engine],
        // The instants of death differ from run to run in any case; new migrations and plans come with the long mode.
        seed: if long { now.as_secs() } else { 2_026 },
        binary: Sandbox::new().binary().to_owned(),
        keep: Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-failures"),
        story: |_| {},
    };
    let tally = rounds(&plan, engine).unwrap();
    assert!(tally.failures.is_empty(), "{}", tally.failures.join("\n"));
    assert_eq!(tally.rounds, rounds_wanted);
    assert!(tally.process_kills >= rounds_wanted / 4, "{tally:?}");
    assert!(
        engine == Engine::Sqlite || tally.server_kills > 0,
        "{tally:?}"
    );
}

#[test]
fn invariant_06_whatever_dies_on_sqlite_nothing_is_lost_or_done_twice() {
    nothing_is_lost_or_done_twice(Engine::Sqlite, Of::Migrations);
}

#[test]
fn invariant_06_whatever_dies_on_postgres_nothing_is_lost_or_done_twice() {
    nothing_is_lost_or_done_twice(Engine::Postgres, Of::Migrations);
}

#[test]
fn invariant_06_whatever_dies_on_mariadb_nothing_is_lost_or_done_twice() {
    nothing_is_lost_or_done_twice(Engine::Mariadb, Of::Migrations);
}

#[test]
fn invariant_06_whatever_dies_on_mysql_nothing_is_lost_or_done_twice() {
    nothing_is_lost_or_done_twice(Engine::Mysql, Of::Migrations);
}

#[test]
fn invariant_06_whatever_dies_on_sqlite_a_plan_goes_on_and_comes_back_exactly() {
    nothing_is_lost_or_done_twice(Engine::Sqlite, Of::Plans);
}

#[test]
fn invariant_06_whatever_dies_on_postgres_a_plan_goes_on_and_comes_back_exactly() {
    nothing_is_lost_or_done_twice(Engine::Postgres, Of::Plans);
}

#[test]
fn invariant_06_whatever_dies_on_mariadb_a_plan_goes_on_and_comes_back_exactly() {
    nothing_is_lost_or_done_twice(Engine::Mariadb, Of::Plans);
}

#[test]
fn invariant_06_whatever_dies_on_mysql_a_plan_goes_on_and_comes_back_exactly() {
    nothing_is_lost_or_done_twice(Engine::Mysql, Of::Plans);
}
