//! Events for people (standard error), as lines of JSON (`--events`), and as the project's log.

use super::pace::Pace;
use super::table::{bytes, count, duration};
use dunlin_core::event::{Event, Sink};
use dunlin_core::finding::Finding;
use dunlin_core::redact::Redactor;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs::File;
use std::io::{IsTerminal, LineWriter, Write};
use std::time::{Duration, Instant};

/// Shows a run.
pub struct Screen {
    quiet: bool,
    verbose: bool,
    bar: Option<ProgressBar>,
    last_line: Instant,
    began: Instant,
    pace: Pace,
    lines: Option<Box<dyn Write + Send>>,
    log: Option<(File, String)>,
    redactor: Redactor,
    clock: dunlin::world::Clock,
    color: bool,
    told: Vec<Finding>,
}

/// Without a terminal, how often long work says a line.
const LINE_EVERY: Duration = Duration::from_secs(3);

impl Screen {
    /// A screen. `lines`: where events go as JSON; `log`: the project's log and name.
    pub fn new(
        quiet: bool,
        verbose: bool,
        lines: Option<Box<dyn Write + Send>>,
        log: Option<(File, String)>,
        redactor: Redactor,
        clock: dunlin::world::Clock,
    ) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            // The template is ours and constant; the default stands in should it ever not parse.
            let style = ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Screen {
            quiet,
            verbose,
            bar,
            last_line: Instant::now(),
            began: Instant::now(),
            pace: Pace::default(),
            lines,
            log,
            redactor,
            clock,
            color: false,
            told: vec![],
        }
    }

    /// The same with colour in what is found.
    #[must_use]
    pub fn colored(mut self, color: bool) -> Self {
        self.color = color;
        self
    }

    /// The findings that were shown already.
    pub fn told(&self) -> &[Finding] {
        &self.told
    }

    /// Opens the file of `--events`.
    pub fn lines_to(target: &str) -> std::io::Result<Box<dyn Write + Send>> {
        if target == "-" {
            return Ok(Box::new(std::io::stdout()));
        }
        // By the line: who follows the file sees each event as it happens, and a killed run has told all it knew.
        Ok(Box::new(LineWriter::new(File::create(target)?)))
    }

    /// Clears the bar: what follows is the answer.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if let Some(lines) = &mut self.lines {
            // A full disk under the event file must not fail a run that went well.
            let _ = lines.flush();
        }
    }

    fn say(&mut self, line: &str) {
        if self.quiet {
            return;
        }
        let line = self.redactor.apply(line);
        match &self.bar {
            Some(bar) => bar.suspend(|| super::say(&format!("{line}\n"))),
            None => super::say(&format!("{line}\n")),
        }
        self.last_line = Instant::now();
    }

    /// Something that changes often: the bar's text, or a line every few seconds.
    fn tick(&mut self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(self.redactor.apply(line));
        } else if !self.quiet && self.last_line.elapsed() >= LINE_EVERY {
            self.say(line);
        }
    }

    /// What a migration and its statements do.
    fn show_step(&mut self, event: &Event) {
        match event {
            Event::StepBegan {
                version,
                name,
                index,
                of,
                resumed_at,
                direction,
                ..
            } => {
                if let Some(block) = resumed_at {
                    self.say(&format!(
                        "resuming {version} {name} ({direction}) after {block} of its parts"
                    ));
                }
                self.tick(&format!("[{index}/{of}] {version} {name}"));
            }
            Event::StatementBegan {
                version,
                statement,
                line,
                head,
            } => {
                if self.verbose {
                    self.say(&format!(
                        "  {version} statement {statement} (line {line}): {head}"
                    ));
                } else {
                    self.tick(&format!("{version} statement {statement}: {head}"));
                }
            }
            Event::StatementRunning {
                version,
                statement,
                head,
                elapsed_ms,
            } => {
                let so_far = duration(*elapsed_ms);
                self.tick(&format!(
                    "{version} statement {statement}: {head} ({so_far} so far)"
                ));
            }
            Event::StatementDone {
                rows, duration_ms, ..
            } if self.verbose => {
                let rows = count(usize::try_from(*rows).unwrap_or(usize::MAX), "row");
                self.say(&format!("    {rows}, {}", duration(*duration_ms)));
            }
            _ => {}
        }
    }

    /// What a plan's phases do.
    fn show_phase(&mut self, event: &Event) {
        match event {
            Event::PhaseBegan { phase, title } if phase == title => {
                self.say(&format!("phase {phase}"));
            }
            Event::PhaseBegan { phase, title } => self.say(&format!("phase {phase}: {title}")),
            Event::CheckDone { evidence, .. } => {
                self.tick(&format!("check {} {}", evidence.id, evidence.when));
            }
            _ => {}
        }
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Found { finding } if !self.quiet => {
                let source = |file: &str| std::fs::read_to_string(file).ok();
                let shown =
                    super::findings::render(std::slice::from_ref(finding), &source, self.color);
                self.say(shown.trim_end_matches('\n'));
                self.say("");
                self.told.push(finding.clone());
            }
            Event::LeaseWaiting { holder, waited_ms } => {
                let waited = if *waited_ms < 1_000 {
                    String::new()
                } else {
                    format!(" ({} so far)", duration(*waited_ms))
                };
                self.say(&format!("waiting for another runner: {holder}{waited}"));
            }
            Event::PredecessorEnding { holder } => {
                self.say(&format!(
                    "a runner died here; ending what it left running on the server ({holder})"
                ));
            }
            Event::BackupDone {
                path,
                bytes: size,
                duration_ms,
            } => {
                self.say(&format!(
                    "backup {path} ({}, verified, {})",
                    bytes(*size),
                    duration(*duration_ms)
                ));
            }
            Event::StepBegan { .. }
            | Event::StatementBegan { .. }
            | Event::StatementRunning { .. }
            | Event::StatementDone { .. } => {
                self.show_step(event);
            }
            Event::DoubtSettled {
                version,
                statement,
                verdict,
                why,
            } => {
                self.say(&format!(
                    "{version} statement {statement} counts as {verdict}: {why}"
                ));
            }
            Event::Retrying { attempt, error } => {
                self.tick(&format!("trying again ({attempt}): {error}"))
            }
            Event::PhaseBegan { .. } | Event::CheckDone { .. } => self.show_phase(event),
            Event::Undoing { what } => self.say(&format!("taking back {what}")),
            Event::Note { message } => self.say(message),
            Event::Progress {
                what,
                done,
                total,
                unit,
            } => {
                let now = self.began.elapsed();
                let line = self.pace.line(what, (*done, *total), unit, now);
                self.tick(&line);
            }
            _ => {}
        }
    }

    fn write_log(&mut self, event: &Event) {
        let text = match event {
            Event::StepBegan {
                version,
                name,
                direction,
                ..
            } => format!("{} {direction} started", logged(version, name)),
            Event::StepDone {
                version,
                name,
                duration_ms,
                direction,
            } => {
                let what = if direction == "up" {
                    "completed"
                } else {
                    "taken back"
                };
                let seconds = *duration_ms as f64 / 1_000.0;
                format!("{} {what} ({seconds:.1} s)", logged(version, name))
            }
            Event::StepFailed {
                version,
                name,
                failure,
            } => format!("{} failed: {}", logged(version, name), failure.message),
            _ => return,
        };
        let text = self.redactor.apply(&text).replace('\n', " ");
        if let Some((file, project)) = &mut self.log {
            // Best effort, as the design has it: the journal is the truth.
            let _ = writeln!(
                file,
                "[{}] {project}: {text}",
                self.clock.now().strftime("%d-%b-%Y %H:%M:%S UTC")
            );
        }
    }
}

/// What the log calls a migration, as its file is named, or a plan's step, which has its id alone.
fn logged(version: &str, name: &str) -> String {
    match version.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("{version}_{name}"),
        false => version.to_owned(),
    }
}

impl Sink for Screen {
    fn event(&mut self, event: &Event) {
        if let Some(lines) = &mut self.lines {
            let mut value = serde_json::to_value(event).unwrap_or_default();
            if let Some(object) = value.as_object_mut() {
                object.insert("at".into(), self.clock.stamp().into());
            }
            self.redactor.apply_json(&mut value);
            let _ = writeln!(lines, "{value}");
        }
        self.write_log(event);
        self.show(event);
    }
}
