//! One file per verb. A verb gives an [`Answer`]; this page writes it: data on standard output, the rest on standard
//! error, one JSON object where asked, and the exit code.

mod admin;
mod ask;
mod backup;
mod catalog;
mod check;
mod checkpoint;
mod clean;
mod copy;
mod digest;
mod dry_run;
mod export;
mod import;
mod plan;
mod plan_look;
mod records;
mod run;
mod selfhelp;
mod start;
mod status;
mod verify;

use crate::args::{BackupVerb, CheckpointVerb, Cli, Color, Format, Global, PlanVerb, Verb};
use crate::render;
use dunlin_core::exit::Outcome;
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Severity};
use std::io::{IsTerminal, Write};

/// What a verb has to say.
#[derive(Debug, Default)]
pub struct Answer {
    /// The outcome where there is no failure.
    pub ended: Option<Outcome>,
    /// The `data` of the JSON object.
    pub data: serde_json::Value,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The text for people.
    pub text: String,
    /// Findings that the text for people has shown already, before the run.
    pub told: Vec<Finding>,
}

impl Answer {
    /// An answer that went well.
    pub fn done(text: impl Into<String>, data: serde_json::Value) -> Self {
        Answer {
            text: text.into(),
            data,
            ..Answer::default()
        }
    }

    /// A failure.
    pub fn failed(failure: Failure) -> Self {
        Answer {
            failure: Some(failure),
            data: serde_json::json!({}),
            ..Answer::default()
        }
    }

    /// Files that cannot be read: usage, with every finding.
    pub fn unreadable(findings: Vec<Finding>) -> Self {
        let errors: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect();
        let message = match errors.as_slice() {
            [one] => one.message.clone(),
            many => format!(
                "{} faults in the project's files; no database was touched",
                many.len()
            ),
        };
        let code = errors.first().map_or("config", |finding| finding.code);
        let mut failure = Failure::usage(code, message);
        if let [one] = errors.as_slice() {
            failure.place = Some(one.place.clone());
        }
        Answer {
            findings,
            ..Answer::failed(failure)
        }
    }

    /// The same answer with findings.
    #[must_use]
    pub fn with(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings;
        self
    }

    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        match (&self.failure, self.ended) {
            (Some(failure), _) => failure.class.outcome(),
            (None, Some(outcome)) => outcome,
            (None, None) => Outcome::Done,
        }
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Answer::failed(failure)
    }
}

/// Runs a verb and writes its answer; gives the exit code.
pub async fn run(cli: Cli) -> u8 {
    let Cli { global, verb } = cli;
    let (name, asked) = (name_of(&verb), shows(&verb));
    if global.events.as_deref() == Some("-") && global.format == Format::Json {
        let failure = Failure::usage(
            "usage",
            "`--events -` and `--format json` both want standard output",
        );
        return write(&global, name, asked, &Answer::failed(failure));
    }
    let answer = match dispatch(&global, verb).await {
        Ok(answer) | Err(answer) => answer,
    };
    write(&global, name, asked, &answer)
}

/// Whether a verb is asked to show something: that is shown under `--quiet`, too. What the others say of a success is
/// not.
fn shows(verb: &Verb) -> bool {
    match verb {
        Verb::Status { .. }
        | Verb::Drift { .. }
        | Verb::Unlock { .. }
        | Verb::Digest { .. }
        | Verb::Check { .. }
        | Verb::Completions { .. }
        | Verb::Man
        | Verb::Explain { .. }
        | Verb::Plan(_)
        | Verb::Runs { .. }
        | Verb::Verify(_)
        | Verb::Backup(BackupVerb::List)
        | Verb::Checkpoint(CheckpointVerb::List) => true,
        Verb::Up(up) => up.dry_run,
        Verb::Copy(copy) => copy.dry_run,
        Verb::Clean(clean) => clean.dry_run,
        Verb::Repair(repair) => repair.accept.is_empty() && repair.settle.is_empty(),
        Verb::Schema { output, .. } => output.is_none(),
        _ => false,
    }
}

fn name_of(verb: &Verb) -> &'static str {
    match verb {
        Verb::Init => "init",
        Verb::New { .. } => "new",
        Verb::Up(_) => "up",
        Verb::Down(_) => "down",
        Verb::Status { .. } => "status",
        Verb::Drift { .. } => "drift",
        Verb::Repair(_) => "repair",
        Verb::Unlock { .. } => "unlock",
        Verb::Reset { .. } => "reset",
        Verb::Baseline { .. } => "baseline",
        Verb::DropAll { .. } => "drop-all",
        Verb::Schema { .. } => "schema",
        Verb::Support { .. } => "support",
        Verb::Digest { .. } => "digest",
        Verb::Check { .. } => "check",
        Verb::Clean(_) => "clean",
        Verb::Backup(_) => "backup",
        Verb::Plan(PlanVerb::Show { .. }) => "plan show",
        Verb::Plan(PlanVerb::Check { .. }) => "plan check",
        Verb::Run(_) => "run",
        Verb::Approve(_) => "approve",
        Verb::Confirm(_) => "confirm",
        Verb::Pause { .. } => "pause",
        Verb::Resume { .. } => "resume",
        Verb::Abort { .. } => "abort",
        Verb::Rollback(_) => "rollback",
        Verb::Runs { .. } => "runs",
        Verb::Report { .. } => "report",
        Verb::Checkpoint(_) => "checkpoint",
        Verb::Copy(_) => "copy",
        Verb::Verify(_) => "verify",
        Verb::Export(_) => "export",
        Verb::Import(_) => "import",
        Verb::Completions { .. } => "completions",
        Verb::Man => "man",
        Verb::Explain { .. } => "explain",
    }
}

async fn dispatch(global: &Global, verb: Verb) -> Result<Answer, Answer> {
    match verb {
        Verb::Init => start::init(global),
        Verb::New { name } => start::new(global, &name),
        Verb::Up(up) => run::up(global, &up).await,
        Verb::Down(down) => run::down(global, &down).await,
        Verb::Status {
            exit_code,
            write_manifest,
        } => status::status(global, exit_code, write_manifest).await,
        Verb::Repair(repair) => admin::repair(global, &repair).await,
        Verb::Unlock { force } => admin::unlock(global, force).await,
        Verb::Reset { to } => admin::reset(global, &to).await,
        Verb::Baseline { version } => admin::baseline(global, &version).await,
        Verb::Plan(PlanVerb::Show { plan }) => plan_look::show(global, &plan).await,
        Verb::Plan(PlanVerb::Check { plan }) => plan_look::check(global, &plan).await,
        Verb::Run(run) => plan::run(global, run).await,
        Verb::Approve(approve) => plan::approve(global, approve).await,
        Verb::Confirm(confirm) => plan::confirm(global, confirm).await,
        Verb::Pause { plan } => plan::order(global, &plan, plan::Order::Pause).await,
        Verb::Resume { plan } => plan::order(global, &plan, plan::Order::Resume).await,
        Verb::Abort { plan } => plan::order(global, &plan, plan::Order::Abort).await,
        Verb::Rollback(rollback) => plan::rollback(global, &rollback).await,
        Verb::Runs { run } => records::runs(global, run.as_deref()).await,
        Verb::Report { plan, output } => records::report(global, &plan, &output).await,
        Verb::Completions { shell } => Ok(selfhelp::completions(shell)),
        Verb::Man => selfhelp::man(),
        Verb::Explain { code } => selfhelp::explain(code.as_deref()),
        Verb::DropAll {
            confirm,
            everything,
        } => catalog::drop_all(global, &confirm, everything).await,
        Verb::Schema { output, form } => catalog::schema(global, output.as_deref(), form).await,
        Verb::Support { output } => catalog::support(global, &output).await,
        Verb::Drift { rebuild } => catalog::drift(global, rebuild).await,
        Verb::Digest { db, tables, like } => digest::digest(global, db, tables, like).await,
        Verb::Check { rules } => check::check(global, &rules).await,
        Verb::Clean(clean) => clean::clean(global, &clean).await,
        Verb::Backup(verb) => backup::backup(global, verb).await,
        Verb::Checkpoint(verb) => checkpoint::checkpoint(global, verb).await,
        Verb::Copy(copy) => copy::copy(global, &copy).await,
        Verb::Verify(verify) => verify::verify(global, &verify).await,
        Verb::Export(asked) => export::export(global, asked).await,
        Verb::Import(asked) => import::import(global, asked).await,
    }
}

/// Whether to colour standard error.
pub fn colored(global: &Global) -> bool {
    match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}

/// What a failure says beyond a finding that was shown already: ` (and 2 more); nothing has been touched` becomes a
/// line of its own. `None`: it speaks of something else.
fn rest_of(failure: &Failure, shown: &[Finding]) -> Option<String> {
    let mut rests = shown
        .iter()
        .filter_map(|finding| failure.message.strip_prefix(finding.message.as_str()));
    let rest = rests.next()?;
    let said = rest.rsplit_once("; ").map_or("", |(_, said)| said);
    Some(if said.is_empty() {
        String::new()
    } else {
        format!("{said}\n")
    })
}

fn write(global: &Global, name: &str, asked: bool, answer: &Answer) -> u8 {
    let code = answer.outcome().code();
    let veil = crate::context::met();
    let mut stdout = std::io::stdout().lock();
    // Who closed the pipe does not want the rest; nothing can be told to them any more.
    let _ = match global.format {
        Format::Json => writeln!(stdout, "{}", render::json::envelope(name, answer, &veil)),
        Format::Text if global.quiet && !asked => Ok(()),
        Format::Text => write!(stdout, "{}", veil.apply(&answer.text)),
    };
    let _ = stdout.flush();
    if global.format == Format::Text {
        let color = colored(global);
        let shown: Vec<Finding> = answer
            .findings
            .iter()
            .filter(|finding| !answer.told.contains(finding))
            .filter(|finding| {
                finding.severity
                    >= if global.quiet {
                        Severity::Error
                    } else {
                        Severity::Warning
                    }
            })
            .cloned()
            .collect();
        if !shown.is_empty() {
            let source = |file: &str| std::fs::read_to_string(file).ok();
            let text = render::findings::render(&shown, &source, color);
            render::say(&veil.apply(&text));
        }
        match &answer.failure {
            None => render::say(&render::findings::summary(&shown)),
            // A single fault of a file stands above already, with its line.
            Some(failure) => match rest_of(failure, &shown) {
                Some(rest) => {
                    render::say(&format!("{rest}more: dunlin explain {}\n", failure.code));
                }
                None => render::say(&veil.apply(&render::failure::render(failure, color))),
            },
        }
    }
    code
}
