//! The runner is killed at any moment, forward and back; run again until it is done, the database is as if nothing had
//! happened, and nothing was done twice.

use crate::{Desk, PLAN};
use dunlin_testkit::for_each_engine;
use std::time::{Duration, Instant};

/// Kills in one direction, spread evenly over the time that an undisturbed run takes.
const KILLS: u32 = 6;

/// Runs a command line again and again, killing it after `delay` the first time, until it ends well.
pub fn until_done(desk: &Desk, line: &str, delay: Duration) -> u32 {
    let running = desk.sandbox.spawn(line.split_whitespace());
    std::thread::sleep(delay);
    running.signal("KILL");
    let _ = running.wait();
    for round in 1..=5 {
        let (code, answer) = desk.json(line);
        if code == 0 {
            return round;
        }
        assert!([1, 4].contains(&code), "{line}: {answer:#}");
    }
    let (_, answer) = desk.json(line);
    panic!("{line} does not come to its end: {answer:#}");
}

for_each_engine! {
    /// SIGKILL at six moments of the way forward, and at six of the way back.
    async fn killed_forward_and_back(engine: TestEngine) {
        let calm = Desk::new(engine);
        calm.sandbox.write("owners.plan.toml", PLAN);
        let before = calm.picture();
        let started = Instant::now();
        let _ = calm.dunlin("run owners").success();
        let took = started.elapsed();
        let after = calm.picture();
        for kill in 0..KILLS {
            let delay = took * (2 * kill + 1) / (2 * KILLS);
            let desk = Desk::new(engine);
            desk.sandbox.write("owners.plan.toml", PLAN);
            until_done(&desk, "run owners", delay);
            assert_eq!(desk.picture(), after, "killed after {delay:?}");
            until_done(&desk, "rollback owners", delay);
            assert_eq!(desk.picture(), before, "killed on the way back after {delay:?}");
        }
    }
}
