//! Rounds of plans: a plan is killed on its way forward, on its way back from its end or from half way, and on the way
//! back that it takes by itself; run again until done, the database is what it is after the same way undisturbed.

use super::generate::Rng;
use super::ground::{Ended, Ground};
use super::planned::{Planned, planned};
use super::{Engine, Plan, ROUNDS_PER_SCENARIO, Tally, Victim, difference, look, victim_of};
use crate::TestDatabase;
use std::path::Path;
use std::time::{Duration, Instant};

/// `dunlin run`, its events kept for counting.
const RUN: &[&str] = &["run", "crash", "--events", "events.ndjson"];
/// `dunlin rollback`.
const BACK: &[&str] = &["rollback", "crash", "--events", "events.ndjson"];

/// What an undisturbed run, and an undisturbed way back, come to.
struct Undisturbed {
    /// The exit code of `run`: 1 where a step fails whenever its turn comes.
    code: i32,
    after: Vec<String>,
    back: Vec<String>,
    run_took: Duration,
    back_took: Duration,
}

/// Which way a round goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Forward, until it is done or has failed.
    Forward,
    /// Forward to the end, and back.
    ThereAndBack,
    /// Killed on the way forward, and back from there.
    ChangeOfMind,
}

/// Runs the rounds of plans of one engine.
pub fn rounds(
    plan: &Plan,
    engine: Engine,
    ground: &Ground,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut set = 0;
    let first = tally.rounds;
    while tally.rounds < first + plan.plan_rounds {
        let seed = plan.seed.wrapping_add(set);
        set += 1;
        let mut rng = Rng::new(seed);
        let planned = planned(engine, &mut rng);
        let folder = lay_out(&planned)?;
        let left = ROUNDS_PER_SCENARIO.min(first + plan.plan_rounds - tally.rounds);
        let known = match undisturbed(ground, &planned, folder.path()) {
            Ok(known) => known,
            Err(error) => {
                let kept = super::keep(plan, &format!("{}-plan-{seed}", engine.name()), &folder)?;
                tally.failures.push(format!(
                    "plan of seed {seed}: the undisturbed run: {error:#} ({})",
                    kept.display()
                ));
                tally.rounds += left;
                continue;
            }
        };
        let mut failed = false;
        for _ in 0..left {
            tally.rounds += 1;
            let number = tally.rounds;
            let victim = victim_of(ground, number);
            let mut round = Round {
                ground,
                folder: folder.path(),
                database: ground.database(),
                known: &known,
                victim,
                rng: &mut rng,
                tally,
                story: vec![],
            };
            match round.go(&planned) {
                Ok(()) => {
                    let story = round.story.join("; ");
                    (plan.story)(&format!("{} {number}, a plan: {story}", engine.name()));
                }
                Err(error) => {
                    failed = true;
                    round.lay_the_journal();
                    let story = round.story.join("; ");
                    tally.failures.push(format!(
                        "round {number}, plan of seed {seed}: {story}: {error:#}"
                    ));
                }
            }
        }
        if failed {
            let kept = super::keep(plan, &format!("{}-plan-{seed}", engine.name()), &folder)?;
            tally
                .failures
                .push(format!("  (its plan: {})", kept.display()));
        }
    }
    Ok(())
}

fn lay_out(planned: &Planned) -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("dunlin-crash-").tempdir()?;
    for (name, text) in &planned.files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
        std::fs::write(path, text)?;
    }
    Ok(folder)
}

/// The database as it is before the plan; outside of it, nothing is done either.
fn prepare(database: &TestDatabase, planned: &Planned, folder: &Path) -> anyhow::Result<()> {
    let _ = std::fs::remove_dir(folder.join("done-outside"));
    let made = database.try_run(&planned.before);
    made.map_err(anyhow::Error::msg).map(drop)
}

/// Catalog and content, and what the plan does outside.
fn picture(engine: Engine, database: &TestDatabase, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut lines = look::dump(engine, database).map_err(anyhow::Error::msg)?;
    let outside = folder.join("done-outside").is_dir();
    lines.push(format!("done outside: {outside}"));
    Ok(lines)
}

fn undisturbed(ground: &Ground, planned: &Planned, folder: &Path) -> anyhow::Result<Undisturbed> {
    let database = ground.database();
    prepare(&database, planned, folder)?;
    let before = picture(ground.engine, &database, folder)?;
    let started = Instant::now();
    let ran = ground.start(folder, &database, RUN)?.wait()?;
    let run_took = started.elapsed();
    let code = i32::from(planned.fails);
    anyhow::ensure!(ran.code == Some(code), "exit {:?}\n{}", ran.code, ran.said);
    let after = picture(ground.engine, &database, folder)?;
    let started = Instant::now();
    let undone = ground.start(folder, &database, BACK)?.wait()?;
    let back_took = started.elapsed();
    anyhow::ensure!(
        undone.code == Some(0),
        "back: exit {:?}\n{}",
        undone.code,
        undone.said
    );
    let back = picture(ground.engine, &database, folder)?;
    let differs = difference(&before, &back);
    anyhow::ensure!(differs.is_empty(), "back is not before:\n{differs}");
    Ok(Undisturbed {
        code,
        after,
        back,
        run_took,
        back_took,
    })
}

struct Round<'r> {
    ground: &'r Ground,
    folder: &'r Path,
    database: TestDatabase,
    known: &'r Undisturbed,
    victim: Victim,
    rng: &'r mut Rng,
    tally: &'r mut Tally,
    story: Vec<String>,
}

impl Round<'_> {
    fn go(&mut self, planned: &Planned) -> anyhow::Result<()> {
        prepare(&self.database, planned, self.folder)?;
        let way = match (planned.fails, self.rng.below(3)) {
            (true, _) | (false, 0) => Way::Forward,
            (false, 1) => Way::ThereAndBack,
            (false, _) => Way::ChangeOfMind,
        };
        self.story.push(format!("{way:?}"));
        let known = self.known;
        if way == Way::ThereAndBack {
            self.last(RUN, 0)?;
        } else {
            self.deaths(RUN, known.run_took)?;
        }
        if way == Way::Forward {
            self.last(RUN, known.code)?;
            return self.compare(&known.after);
        }
        // A change of mind may come to its end without a further death: the first was on the way forward.
        if way == Way::ThereAndBack || self.rng.chance(0.5) {
            self.deaths(BACK, known.back_took)?;
        }
        self.last(BACK, 0)?;
        self.compare(&known.back)
    }

    /// Lays the journal beside the plan's files.
    fn lay_the_journal(&self) {
        let sql = "SELECT id, run, at, event, unit, stmt, detail FROM dunlin_journal ORDER BY id";
        let cell = |cell: &Option<String>| cell.clone().unwrap_or_default();
        let line = |row: &Vec<Option<String>>| row.iter().map(cell).collect::<Vec<_>>().join(" | ");
        let rows = self.database.try_run(sql).unwrap_or_default();
        let text: Vec<String> = rows.iter().map(line).collect();
        let _ = std::fs::write(self.folder.join("journal.txt"), text.join("\n"));
    }

    fn compare(&self, expected: &[String]) -> anyhow::Result<()> {
        let found = picture(self.ground.engine, &self.database, self.folder)?;
        let difference = difference(expected, &found);
        anyhow::ensure!(difference.is_empty(), "differs:\n{difference}");
        Ok(())
    }

    /// Mostly one death, now and then a second and a third while the run before is picked up.
    fn deaths(&mut self, words: &[&str], took: Duration) -> anyhow::Result<()> {
        let mut deaths = 1;
        while deaths < 4 && self.rng.chance(0.3) {
            deaths += 1;
        }
        for _ in 0..deaths {
            let at = took.mul_f64(self.rng.unit());
            let ended = super::disturbed(
                self.ground,
                self.folder,
                &self.database,
                words,
                self.victim,
                at,
                self.tally,
            )?;
            self.note(words, &ended, &format!("{:?} at {at:.0?}", self.victim));
            anyhow::ensure!(ended.code != Some(7), "in doubt:\n{}", ended.said);
        }
        Ok(())
    }

    /// The command once more, undisturbed.
    fn last(&mut self, words: &[&str], code: i32) -> anyhow::Result<()> {
        let run = self.ground.start(self.folder, &self.database, words)?;
        let ended = run.wait()?;
        self.note(words, &ended, "undisturbed");
        anyhow::ensure!(
            ended.code == Some(code),
            "then exit {:?}:\n{}",
            ended.code,
            ended.said
        );
        Ok(())
    }

    fn note(&mut self, words: &[&str], ended: &Ended, how: &str) {
        self.tally.resumes += ended.resumed;
        self.tally.settled += ended.settled;
        let verb = words.first().copied().unwrap_or_default();
        let code = ended.code;
        self.story.push(format!("{verb}, {how}: exit {code:?}"));
        // What failed by itself is told where the round fails.
        if code.is_some_and(|code| code != 0 && code != self.known.code)
            || self.known.code == 0 && code == Some(1)
        {
            self.story.push(format!("it said:\n{}", ended.said));
        }
    }
}
