//! Crash truth, tried: mixes of migrations and plans, SIGKILL at a random instant, run again until done, compared with an
//! undisturbed run. In some rounds it is the server that dies.
//!
//! A killed process and a killed server lose nothing that they had handed to the operating system, so the servers may
//! skip waiting for the disk; a machine that loses power is another test.

pub mod generate;
pub mod ground;
pub mod journeys;
pub mod look;
pub mod pieces;
pub mod planned;

use anyhow::Context;
use generate::{Rng, Scenario};
use ground::{Ended, Ground};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The engines that rounds run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// PostgreSQL 15.
    Postgres,
    /// MariaDB.
    Mariadb,
    /// Oracle MySQL.
    Mysql,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 4] = [
        Engine::Sqlite,
        Engine::Postgres,
        Engine::Mariadb,
        Engine::Mysql,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
            Engine::Mariadb => "mariadb",
            Engine::Mysql => "mysql",
        }
    }

    /// Whether DDL can be rolled back.
    pub const fn has_transactional_ddl(self) -> bool {
        matches!(self, Engine::Sqlite | Engine::Postgres)
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many rounds of migrations on each engine.
    pub rounds: usize,
    /// How many rounds of plans on each engine.
    pub plan_rounds: usize,
    /// On which engines.
    pub engines: Vec<Engine>,
    /// What everything is made from.
    pub seed: u64,
    /// The binary.
    pub binary: PathBuf,
    /// Where a failing round's files are laid.
    pub keep: PathBuf,
    /// Is told what happened in each round.
    pub story: fn(&str),
}

/// What happened on one engine.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Rounds that ran.
    pub rounds: usize,
    /// Processes killed.
    pub process_kills: usize,
    /// Servers killed.
    pub server_kills: usize,
    /// Kills that came after the end.
    pub too_late: usize,
    /// Migrations that were resumed half way.
    pub resumes: usize,
    /// Doubts settled by rule.
    pub settled: usize,
    /// What went wrong, in sentences.
    pub failures: Vec<String>,
    /// How long all of it took.
    pub took: Duration,
}

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Process,
    Server,
}

/// `dunlin up`, its events kept for counting.
const UP: &[&str] = &["up", "--create", "--events", "events.ndjson"];

/// Rounds that share one set of migrations: an undisturbed run is made for each set.
const ROUNDS_PER_SCENARIO: usize = 5;

/// One in this many rounds kills the server.
const SERVER_EVERY: usize = 4;

/// Runs the rounds of one engine.
pub fn rounds(plan: &Plan, engine: Engine) -> anyhow::Result<Tally> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let ground = Ground::prepare(engine, &plan.binary)?;
    of_migrations(plan, engine, &ground, &mut tally)?;
    journeys::rounds(plan, engine, &ground, &mut tally)?;
    tally.took = started.elapsed();
    Ok(tally)
}

/// Who dies in a round.
fn victim_of(ground: &Ground, round: usize) -> Victim {
    match ground.server() {
        Some(_) if round.is_multiple_of(SERVER_EVERY) => Victim::Server,
        _ => Victim::Process,
    }
}

fn of_migrations(
    plan: &Plan,
    engine: Engine,
    ground: &Ground,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut set = 0;
    while tally.rounds < plan.rounds {
        let seed = plan.seed.wrapping_add(set);
        set += 1;
        let mut rng = Rng::new(seed);
        let scenario = generate::scenario(engine, &mut rng);
        let folder = ground::lay_out(&scenario)?;
        let undisturbed = match undisturbed(ground, &scenario, folder.path()) {
            Ok(undisturbed) => undisturbed,
            Err(error) => {
                let kept = keep(plan, &format!("{}-{seed}", engine.name()), &folder)?;
                tally.failures.push(format!(
                    "seed {seed}: the undisturbed run: {error:#} ({})",
                    kept.display()
                ));
                tally.rounds += ROUNDS_PER_SCENARIO.min(plan.rounds - tally.rounds);
                continue;
            }
        };
        let mut failed = false;
        for _ in 0..ROUNDS_PER_SCENARIO.min(plan.rounds - tally.rounds) {
            tally.rounds += 1;
            let victim = victim_of(ground, tally.rounds);
            let outcome = round(
                ground,
                &scenario,
                folder.path(),
                &undisturbed,
                victim,
                &mut rng,
                tally,
            );
            let number = tally.rounds;
            match outcome {
                Ok(story) => (plan.story)(&format!("{} {number}: {story}", engine.name())),
                Err(error) => {
                    failed = true;
                    tally
                        .failures
                        .push(format!("round {number}, seed {seed}: {error:#}"));
                }
            }
        }
        if failed {
            let kept = keep(plan, &format!("{}-{seed}", engine.name()), &folder)?;
            tally
                .failures
                .push(format!("  (its migrations: {})", kept.display()));
        }
    }
    Ok(())
}

/// Lays a failing round's files aside.
fn keep(plan: &Plan, name: &str, folder: &tempfile::TempDir) -> anyhow::Result<PathBuf> {
    let place = plan.keep.join(name);
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place)?;
    for part in ["", "migrations"] {
        for entry in std::fs::read_dir(folder.path().join(part))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                std::fs::copy(entry.path(), place.join(entry.file_name()))?;
            }
        }
    }
    Ok(place)
}

/// The run that nothing disturbs.
struct Undisturbed {
    lines: Vec<String>,
    took: Duration,
}

fn undisturbed(ground: &Ground, scenario: &Scenario, folder: &Path) -> anyhow::Result<Undisturbed> {
    let database = ground.database();
    let started = Instant::now();
    let ended = ground.start(folder, &database, UP)?.wait()?;
    let took = started.elapsed();
    anyhow::ensure!(
        ended.code == Some(0),
        "exit {:?}\n{}",
        ended.code,
        ended.said
    );
    let lines = look::dump(ground.engine, &database).map_err(anyhow::Error::msg)?;
    exactly_once(scenario, &lines)?;
    Ok(Undisturbed { lines, took })
}

/// One round: kills, and run again until done; then the comparison.
fn round(
    ground: &Ground,
    scenario: &Scenario,
    folder: &Path,
    undisturbed: &Undisturbed,
    victim: Victim,
    rng: &mut Rng,
    tally: &mut Tally,
) -> anyhow::Result<String> {
    let mut story = vec![format!("undisturbed {:.0?}", undisturbed.took)];
    let clock = Instant::now();
    let database = ground.database();
    story.push(format!("database {:.0?}", clock.elapsed()));
    // Mostly one death, now and then a second and a third while the run before is picked up.
    let mut deaths = 1;
    while deaths < 4 && rng.chance(0.3) {
        deaths += 1;
    }
    for _ in 0..deaths {
        let at = undisturbed.took.mul_f64(rng.unit());
        let clock = Instant::now();
        let ended = disturbed(ground, folder, &database, UP, victim, at, tally)?;
        tally.resumes += ended.resumed;
        tally.settled += ended.settled;
        story.push(format!(
            "{victim:?} at {at:.0?}: exit {:?} ({:.0?})",
            ended.code,
            clock.elapsed()
        ));
        anyhow::ensure!(
            ended.code != Some(7),
            "in doubt, {}:\n{}",
            story.join("; "),
            ended.said
        );
    }
    let clock = Instant::now();
    let ended = ground.start(folder, &database, UP)?.wait()?;
    tally.resumes += ended.resumed;
    tally.settled += ended.settled;
    story.push(format!("the rest {:.0?}", clock.elapsed()));
    let clock = Instant::now();
    anyhow::ensure!(
        ended.code == Some(0),
        "{}; then exit {:?}:\n{}",
        story.join("; "),
        ended.code,
        ended.said
    );
    let lines = look::dump(ground.engine, &database).map_err(anyhow::Error::msg)?;
    story.push(format!("looked {:.0?}", clock.elapsed()));
    let clock = Instant::now();
    drop(database);
    story.push(format!("dropped {:.0?}", clock.elapsed()));
    let story = story.join("; ");
    exactly_once(scenario, &lines).with_context(|| story.clone())?;
    let difference = difference(&undisturbed.lines, &lines);
    anyhow::ensure!(difference.is_empty(), "{story}: differs:\n{difference}");
    Ok(story)
}

/// A run that is killed, or whose server is.
fn disturbed(
    ground: &Ground,
    folder: &Path,
    database: &crate::TestDatabase,
    words: &[&str],
    victim: Victim,
    at: Duration,
    tally: &mut Tally,
) -> anyhow::Result<Ended> {
    let mut run = ground.start(folder, database, words)?;
    if !run.runs_after(at)? {
        tally.too_late += 1;
        return run.wait();
    }
    match (victim, ground.server()) {
        (Victim::Server, Some(server)) => {
            server.kill9();
            tally.server_kills += 1;
            let ended = run.wait().context("after its server died");
            server.start();
            ended
        }
        _ => {
            run.kill()?;
            tally.process_kills += 1;
            run.wait()
        }
    }
}

/// Every marked data statement happened once and only once.
fn exactly_once(scenario: &Scenario, lines: &[String]) -> anyhow::Result<()> {
    let times = |wanted: &str| lines.iter().filter(|line| *line == wanted).count();
    let mut wrong = vec![];
    for mark in &scenario.log {
        let found = [
            format!("row | crash_log | ('{mark}')"),
            format!("row | crash_log | ({mark})"),
            format!("row | crash_log | '{mark}'"),
        ];
        let n: usize = found.iter().map(|line| times(line)).sum();
        if n != 1 {
            wrong.push(format!("{mark}: {n} times"));
        }
    }
    for (row, count) in scenario.counts.iter().enumerate() {
        let found = [
            format!("row | crash_count | ({row},{count})"),
            format!("row | crash_count | {row},{count}"),
            format!("row | crash_count | '{row}','{count}'"),
        ];
        if found.iter().map(|line| times(line)).sum::<usize>() != 1 {
            let is: Vec<_> = lines
                .iter()
                .filter(|line| line.starts_with("row | crash_count |"))
                .collect();
            wrong.push(format!("counter {row} should be {count}: {is:?}"));
        }
    }
    anyhow::ensure!(wrong.is_empty(), "not exactly once: {}", wrong.join(", "));
    Ok(())
}

/// Lines that only one of two dumps has, at most twenty of them.
fn difference(expected: &[String], found: &[String]) -> String {
    let (mut a, mut b) = (expected.to_vec(), found.to_vec());
    a.sort();
    b.sort();
    if a == b {
        return String::new();
    }
    let mut lines = vec![];
    let (mut i, mut j) = (0, 0);
    while (i < a.len() || j < b.len()) && lines.len() < 20 {
        let order = match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) => x.cmp(y),
            (Some(_), None) => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        };
        match order {
            std::cmp::Ordering::Equal => (i, j) = (i + 1, j + 1),
            std::cmp::Ordering::Less => {
                lines.push(format!("  missing: {}", a[i]));
                i += 1;
            }
            std::cmp::Ordering::Greater => {
                lines.push(format!("  too much: {}", b[j]));
                j += 1;
            }
        }
    }
    lines.join("\n")
}
