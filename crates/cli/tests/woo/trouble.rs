//! Points 6, 7 and the second half of 8: many at once, killed half way, failing half way.

use crate::{CUSTOMERS, Shop};
use dunlin_testkit::servers::Kind;
use dunlin_testkit::{Pause, TestEngine};
use std::time::{Duration, Instant};

on_both!(
    point_06_fifty_workers_activate_at_once,
    point_06_a_killed_workers_lock_frees_itself,
    point_07_killed_half_way_it_resumes_and_nothing_runs_twice,
    point_08_a_failing_migration_is_taken_back_and_the_failure_lists_it,
);

fn point_06_fifty_workers_activate_at_once(kind: Kind) {
    let shop = Shop::new(kind);
    let workers: Vec<_> = (0..50)
        .map(|worker| {
            // Every fifth will not wait.
            let line = if worker % 5 == 0 {
                "up --no-backup --no-wait"
            } else {
                "up --no-backup"
            };
            (worker, shop.sandbox.spawn(line.split(' ')))
        })
        .collect();
    for (worker, running) in workers {
        let ran = running.wait();
        let fine: &[i32] = if worker % 5 == 0 { &[0, 6] } else { &[0] };
        assert!(
            ran.code.is_some_and(|code| fine.contains(&code)),
            "worker {worker}: {}\n{}",
            ran.stdout,
            ran.stderr
        );
    }
    let done = "SELECT unit, count(*) FROM dunlin_journal WHERE scope = 'unit' AND event = 'done' GROUP BY unit ORDER BY unit";
    let once: Vec<_> = ["001", "002", "003", "004"]
        .map(|unit| vec![Some(unit.to_owned()), Some("1".to_owned())])
        .into();
    assert_eq!(shop.database.run(done), once, "each migration ran once");
    assert_eq!(
        shop.database.scalar("SELECT count(*) FROM wp_woo_ai_tags"),
        "4"
    );
}

fn point_06_a_killed_workers_lock_frees_itself(kind: Kind) {
    let shop = Shop::new(kind);
    let _ = shop.dunlin("up --no-backup").success();
    let pause = Pause::over(TestEngine::Server(kind), &shop.database);
    pause.begin();
    shop.sandbox.write(
        "migrations/005_slow.sql",
        "-- dunlin: irreversible = \"only waits\"\n\n-- dunlin: rerunnable = true\nDO SLEEP((SELECT seconds FROM pause));\n",
    );
    let slow = shop.sandbox.spawn(["up", "--events", "events"]);
    wait_for(&shop, "SELECT count(*) FROM dunlin_lease");
    pause.until_waited_for();
    let status = shop.dunlin("status --format json").success().json();
    assert_eq!(status["data"]["lease"]["alive"], true, "{status}");
    let _ = shop.sandbox.await_text("events", "statement_running");
    let slow_one = &status["data"]["migrations"][4];
    assert_eq!(slow_one["state"], "pending", "{status}");
    let note = slow_one["note"].as_str().unwrap_or_default();
    assert!(note.starts_with("under way"), "{status}");
    let _ = shop.dunlin("up --no-wait").code(6);
    let _ = shop.dunlin("unlock").code(6);
    slow.signal("KILL");
    assert_eq!(slow.wait().code, None);
    // The server may need a moment to see that its client is gone; its statement still runs.
    let began = Instant::now();
    loop {
        let unlocked = shop.dunlin("unlock");
        if unlocked.code == Some(0) {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{}",
            unlocked.stderr
        );
    }
    pause.end();
    let _ = shop.dunlin("up --no-wait").success();
    assert_eq!(shop.applied().len(), 5);
}

fn wait_for(shop: &Shop, sql: &str) {
    let began = Instant::now();
    while shop.database.scalar(sql) == "0" {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "nothing came of: {sql}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn point_07_killed_half_way_it_resumes_and_nothing_runs_twice(kind: Kind) {
    let calm = Shop::active(kind);
    let wanted = calm.picture();
    let started = Instant::now();
    let _ = calm.dunlin("down --to 001").success();
    let _ = calm.dunlin("up --no-backup").success();
    let usual = started.elapsed();
    for round in 0..8_u32 {
        let shop = Shop::new(kind);
        kill_until_done(&shop, &["up", "--to", "001"], usual * round / 8);
        shop.database.run(CUSTOMERS);
        kill_until_done(&shop, &["up", "--no-backup"], usual * round / 8);
        let picture = shop.picture();
        for (line, (found, wanted)) in picture.iter().zip(&wanted).enumerate() {
            assert_eq!(
                found, wanted,
                "round {round}, part {line}: otherwise than an undisturbed run"
            );
        }
        assert_eq!(picture.len(), wanted.len(), "round {round}");
    }
}

/// Runs a command, killed once after `after`, until it is through.
fn kill_until_done(shop: &Shop, args: &[&str], after: Duration) {
    let running = shop.sandbox.spawn(args);
    std::thread::sleep(after);
    running.signal("KILL");
    let _ = running.wait();
    let _ = shop.sandbox.dunlin(args).success();
}

fn point_08_a_failing_migration_is_taken_back_and_the_failure_lists_it(kind: Kind) {
    let shop = Shop::active(kind);
    let before = shop.picture();
    shop.sandbox.write(
        "migrations/005_fails.sql",
        "-- dunlin: irreversible = \"never gets that far\"\n\
         CREATE TABLE {prefix}woo_ai_one (id INT PRIMARY KEY);\n\
         ALTER TABLE {prefix}woo_ai_tags ADD COLUMN note VARCHAR(10) NULL;\n\
         CREATE INDEX idx_nothing ON {prefix}woo_ai_tags (no_such_column);\n\
         CREATE TABLE {prefix}woo_ai_two (id INT PRIMARY KEY);\n\
         CREATE TABLE {prefix}woo_ai_three (id INT PRIMARY KEY);\n",
    );
    let up = shop.dunlin("up --format json").code(1).json();
    let failure = &up["failure"];
    assert!(
        failure["message"]
            .as_str()
            .unwrap()
            .contains("no_such_column"),
        "{failure}"
    );
    assert_eq!(failure["where"]["line"], 4, "{failure}");
    assert_eq!(failure["done"].as_array().unwrap().len(), 2, "{failure}");
    assert_eq!(failure["undone"].as_array().unwrap().len(), 2, "{failure}");
    assert_eq!(shop.picture(), before);
    let status = shop.dunlin("status --format json").success().json();
    assert_eq!(status["data"]["migrations"][4]["state"], "failed");
}
