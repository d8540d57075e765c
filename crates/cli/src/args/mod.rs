//! What was typed. One definition feeds help, man page and completions.

mod bulk;
mod copy;
mod help;

pub use bulk::{Export, Import};
use clap::{Args, Parser, Subcommand, ValueEnum};
pub use copy::{Copy, IntoExisting, Verify};
use dunlin_core::redact::{Redactor, SecretUrl};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Takes a live database from the state it is in to the state it should be in, with proof at every step and a rehearsed
/// way back.
#[derive(Debug, Parser)]
#[command(name = "dunlin", version, after_help = help::TOP, max_term_width = 100, disable_help_subcommand = true, disable_help_flag = true)]
pub struct Cli {
    /// Flags that every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print help
    // The short form under both names: what the values of a flag mean is said where it matters, and examples must not
    // be three screens down.
    #[arg(short, long, global = true, action = clap::ArgAction::HelpShort, help_heading = "Global")]
    pub help: Option<bool>,
    /// The project file (default: `dunlin.toml`, searched upwards)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global")]
    pub config: Option<PathBuf>,
    /// The environment whose overrides count
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "DUNLIN_ENV",
        help_heading = "Global"
    )]
    pub env: Option<String>,
    /// The database of the project file
    #[arg(
        short = 'd',
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Global"
    )]
    pub database: Option<String>,
    /// The database, by URL (DATABASE_URL counts where no file names one)
    #[arg(long, global = true, value_name = "URL", help_heading = "Global")]
    pub url: Option<String>,
    /// Text for people, or one JSON object
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, help_heading = "Global")]
    pub format: Format,
    /// Colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, help_heading = "Global")]
    pub color: Color,
    /// Say only what went wrong, and show only what was asked for
    #[arg(short, long, global = true, help_heading = "Global")]
    pub quiet: bool,
    /// Say every statement
    #[arg(
        short,
        long,
        global = true,
        overrides_with = "verbose",
        help_heading = "Global"
    )]
    pub verbose: bool,
    /// Answer questions with yes (never opens gates)
    #[arg(long, global = true, overrides_with = "yes", help_heading = "Global")]
    pub yes: bool,
    /// Wait so long for a server that is starting
    #[arg(long, global = true, value_name = "DUR", help_heading = "Global")]
    pub wait: Option<String>,
    /// Leave with 6 instead of waiting for another runner
    #[arg(long, global = true, help_heading = "Global")]
    pub no_wait: bool,
    /// Write every event as a line of JSON (`-`: standard output)
    #[arg(long, global = true, value_name = "FILE|-", help_heading = "Global")]
    pub events: Option<String>,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Scaffolds a project in this folder
    #[command(after_help = help::INIT)]
    Init,
    /// Makes a migration with its undo part
    #[command(after_help = help::NEW)]
    New {
        /// What it does, in a few words
        name: String,
    },
    /// Applies what is pending
    #[command(after_help = help::UP)]
    Up(Up),
    /// Takes migrations back, newest first
    #[command(after_help = help::DOWN)]
    Down(Down),
    /// Shows each migration: version, name, state, when, how long, by whom
    #[command(after_help = help::STATUS)]
    Status {
        /// Exit 10 if something is pending, 5 if changed, 7 if in doubt
        #[arg(long)]
        exit_code: bool,
        /// Write the applied state back into version.json
        #[arg(long)]
        write_manifest: bool,
    },
    /// Compares the catalog with the one recorded, or with what the migrations make
    #[command(after_help = help::DRIFT)]
    Drift {
        /// Rebuild from the migrations on a scratch database, and compare with that
        #[arg(long)]
        rebuild: bool,
    },
    /// Accepts edited scripts; settles what failed or is in doubt
    #[command(after_help = help::REPAIR)]
    Repair(Repair),
    /// Shows who holds the lease; clears what a dead runner left
    #[command(after_help = help::UNLOCK)]
    Unlock {
        /// End a living holder's session too
        #[arg(long)]
        force: bool,
    },
    /// Moves the recorded version without running SQL
    #[command(after_help = help::RESET)]
    Reset {
        /// The version that counts as the newest applied one (0: none)
        #[arg(long, value_name = "V")]
        to: String,
    },
    /// Takes an existing database as a version
    #[command(after_help = help::BASELINE)]
    Baseline {
        /// The version
        #[arg(value_name = "V")]
        version: String,
    },
    /// Drops what is ours
    #[command(after_help = help::DROP_ALL)]
    DropAll {
        /// The database's name, to be sure
        #[arg(long, value_name = "NAME")]
        confirm: String,
        /// Everything, not only what is ours (what `owns` names, else what the migrations made)
        #[arg(long)]
        everything: bool,
    },
    /// Shows the catalog with sizes
    #[command(after_help = help::SCHEMA)]
    Schema {
        /// The file to write
        #[arg(short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// The form
        #[arg(long = "as", value_enum, default_value_t = SchemaForm::Sql)]
        form: SchemaForm,
    },
    /// Writes a report for a bug: catalog, versions, journal, log, without secrets
    #[command(after_help = help::SUPPORT)]
    Support {
        /// The file to write
        #[arg(short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Fingerprints content, the same on every engine
    #[command(after_help = help::DIGEST)]
    Digest {
        /// The database (name or URL; default: the project's)
        db: Option<String>,
        /// The tables (default: all)
        tables: Vec<String>,
        /// Read it as this database is read, and compare
        #[arg(long, value_name = "DB")]
        like: Option<String>,
    },
    /// Looks for rows that violate the `[[rule]]`s
    #[command(after_help = help::CHECK)]
    Check {
        /// The rules (default: all of the database)
        rules: Vec<String>,
    },
    /// Removes, merges and archives what the rules find, in batches that can be taken back
    #[command(after_help = help::CLEAN)]
    Clean(Clean),
    /// Whole-database backups
    #[command(subcommand, after_help = help::BACKUP)]
    Backup(BackupVerb),
    /// Shows what a plan will do, or checks what must be there before it
    #[command(subcommand, after_help = help::PLAN)]
    Plan(PlanVerb),
    /// Runs a plan, or goes on with it; stops at a gate with 3
    #[command(after_help = help::RUN)]
    Run(RunPlan),
    /// Opens the gate of a phase, or refuses to
    #[command(after_help = help::APPROVE)]
    Approve(Approve),
    /// Says that a manual step is done, or answers a check
    #[command(after_help = help::CONFIRM)]
    Confirm(Confirm),
    /// Asks the runner of a plan to pause before its next step
    #[command(after_help = help::PAUSE)]
    Pause {
        /// The plan's file or name
        plan: PathBuf,
    },
    /// Lets a paused plan go on
    #[command(after_help = help::PAUSE)]
    Resume {
        /// The plan's file or name
        plan: PathBuf,
    },
    /// Stops a plan's runner before its next step, and undoes nothing
    #[command(after_help = help::PAUSE)]
    Abort {
        /// The plan's file or name
        plan: PathBuf,
    },
    /// Takes phases back, newest first
    #[command(after_help = help::ROLLBACK)]
    Rollback(Rollback),
    /// Shows the runs of this database, or one of them
    #[command(after_help = help::RUNS)]
    Runs {
        /// The run's id
        run: Option<String>,
    },
    /// Writes a report of a plan: HTML, Markdown, JSON or JUnit XML, as the file's name says
    #[command(after_help = help::REPORT)]
    Report {
        /// The plan's file or name, or a run's id
        plan: PathBuf,
        /// The file to write
        #[arg(short, value_name = "FILE")]
        output: PathBuf,
    },
    /// The rows of chosen tables, saved and brought back
    #[command(subcommand, after_help = help::CHECKPOINT)]
    Checkpoint(CheckpointVerb),
    /// Copies a database into another one, and proves every row
    #[command(after_help = help::COPY)]
    Copy(Box<Copy>),
    /// Whether two databases hold the same rows, down to rows and columns
    #[command(after_help = help::VERIFY)]
    Verify(Verify),
    /// Writes rows of tables into files, from one snapshot
    #[command(after_help = help::EXPORT)]
    Export(Export),
    /// Brings rows of files into tables, all or nothing
    #[command(after_help = help::IMPORT)]
    Import(Import),
    /// Prints a completion script
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the man page
    #[command(after_help = help::MAN)]
    Man,
    /// Explains a finding or error code
    #[command(after_help = help::EXPLAIN)]
    Explain {
        /// The code, as messages show it (without: a list)
        code: Option<String>,
    },
}

/// `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// The last version to apply
    #[arg(long, value_name = "V")]
    pub to: Option<String>,
    /// Show the exact SQL with hazards and estimates; touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Make no backup
    #[arg(long)]
    pub no_backup: bool,
    /// All of it in one transaction
    #[arg(long)]
    pub one_transaction: bool,
    /// Make the database where it is missing
    #[arg(long)]
    pub create: bool,
}

/// `down`.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Down {
    /// Keep this version, take back all above it (0: all)
    #[arg(long, value_name = "V")]
    pub to: Option<String>,
    /// Take back so many
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Take back just this one
    #[arg(long, value_name = "V")]
    pub only: Option<String>,
}

/// `plan …`.
#[derive(Debug, Subcommand)]
pub enum PlanVerb {
    /// What it will do: phases, steps, risk, estimates, the way back
    Show {
        /// The plan's file or name
        plan: PathBuf,
    },
    /// Whether everything is there that it needs
    Check {
        /// The plan's file or name
        plan: PathBuf,
    },
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunPlan {
    /// The plan's file or name
    pub plan: PathBuf,
    /// The last phase to run
    #[arg(long, value_name = "PHASE")]
    pub until: Option<String>,
    /// The version that is there already: phases up to it are passed over
    #[arg(long, value_name = "N")]
    pub from: Option<u64>,
    /// The last version to go to
    #[arg(long, value_name = "M")]
    pub to: Option<u64>,
    /// Go on where what a rollback has archived cannot come home; it stays in its checkpoint
    #[arg(long)]
    pub leave_archived: bool,
}

/// `rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The plan's file or name
    pub plan: PathBuf,
    /// Keep this phase, take back all after it
    #[arg(long, value_name = "PHASE")]
    pub to: Option<String>,
    /// Take back also what others have written since; it is archived first and comes home when the phase runs again
    #[arg(long)]
    pub discard_later: bool,
    /// Stop the application, restore the last verified backup whole, start the application
    #[arg(long, conflicts_with_all = ["to", "discard_later"])]
    pub emergency: bool,
}

/// `approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// The plan's file or name
    pub plan: PathBuf,
    /// The phase
    pub phase: String,
    /// Who approves
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// In which role
    #[arg(long = "as", value_name = "ROLE")]
    pub role: Option<String>,
    /// Points that are confirmed
    #[arg(long, value_name = "POINT", num_args = 1..)]
    pub confirm: Vec<String>,
    /// Steps whose undo is impossible and which are accepted
    #[arg(long, value_name = "STEP", num_args = 1..)]
    pub accept: Vec<String>,
    /// Refuse
    #[arg(long)]
    pub reject: bool,
    /// A note, for the journal
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// `confirm`.
#[derive(Debug, Args)]
pub struct Confirm {
    /// The plan's file or name
    pub plan: PathBuf,
    /// The step or check
    pub what: String,
    /// Who says so
    #[arg(long, value_name = "NAME")]
    pub by: String,
    /// It was not done, or the answer is no
    #[arg(long)]
    pub no: bool,
    /// A note, for the journal
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
}

/// `repair`.
#[derive(Debug, Args)]
pub struct Repair {
    /// Accept the scripts of these versions as they are now
    #[arg(long, value_name = "V", num_args = 1..)]
    pub accept: Vec<String>,
    /// Say what became of a version
    #[arg(long, num_args = 2, value_names = ["V", "done|not-done"])]
    pub settle: Vec<String>,
    /// Why, for the journal
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub why: String,
}

/// The form of `schema`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaForm {
    /// Statements that make it.
    Sql,
    /// The neutral catalog.
    Json,
    /// Tables for people.
    Md,
}

/// `backup …`.
#[derive(Debug, Subcommand)]
pub enum BackupVerb {
    /// Makes one
    Create {
        /// Only if the newest is older
        #[arg(long, value_name = "DUR")]
        if_older_than: Option<String>,
    },
    /// Lists them
    List,
    /// Restores one into a scratch database and compares digests
    Verify {
        /// The file (default: the newest)
        file: Option<PathBuf>,
    },
    /// Restores one
    Restore {
        /// The file
        file: PathBuf,
        /// Replace what is in the database
        #[arg(long)]
        replace: bool,
    },
    /// Removes old ones
    Prune {
        /// How many stay (default: `backup_keep`)
        #[arg(long, value_name = "N")]
        keep: Option<u32>,
    },
}

/// `checkpoint …`.
#[derive(Debug, Subcommand)]
pub enum CheckpointVerb {
    /// Saves tables and the configuration
    Create {
        /// Its name; several may have the same
        name: String,
        /// The tables (default: all that are ours)
        #[arg(long, value_name = "LIST", value_delimiter = ',')]
        tables: Vec<String>,
    },
    /// Lists them
    List,
    /// Brings the rows of one back, and saves what it replaces first
    Restore {
        /// Its id, or a name: the newest that has it
        name: String,
    },
    /// Removes one
    Drop {
        /// Its id, or a name: the newest that has it
        name: String,
    },
}

/// What a usage error looks like, and its exit code. Help and version are no errors.
pub fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
    };
    let json = std::env::args().any(|arg| arg == "--format=json")
        || std::env::args()
            .zip(std::env::args().skip(1))
            .any(|(a, b)| a == "--format" && b == "json");
    // A URL that stands where none belongs is quoted in the complaint.
    let veil = Redactor::new(std::env::args().flat_map(|arg| SecretUrl::new(arg).secrets()));
    let plain = error.to_string();
    let veiled = veil.apply(&plain);
    match error.kind() {
        DisplayHelp | DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ if json => {
            let mut failure = misunderstood(error);
            failure.message = veil.apply(&failure.message);
            let answer = crate::commands::Answer::failed(failure);
            let json = crate::render::json::envelope(&verb_typed(), &answer, &veil);
            // Who closed the pipe hears of it by the exit code.
            let _ = writeln!(std::io::stdout(), "{json}");
            ExitCode::from(2)
        }
        _ if veiled != plain => {
            crate::render::say(&veiled);
            ExitCode::from(2)
        }
        _ => {
            let _ = error.print();
            ExitCode::from(2)
        }
    }
}

/// What was typed wrongly, as one sentence and hints.
fn misunderstood(error: &clap::Error) -> dunlin_core::failure::Failure {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let sentence = first.strip_prefix("error: ").unwrap_or(first);
    let failure = dunlin_core::failure::Failure::usage("usage", sentence);
    lines
        .filter_map(|line| {
            line.strip_prefix("tip: ")
                .or(line.starts_with("Usage: ").then_some(line))
        })
        .fold(failure, dunlin_core::failure::Failure::hint)
}

/// The verb on the command line, as far as one can be made out: the rest could not be understood.
fn verb_typed() -> String {
    use clap::CommandFactory;
    let known = Cli::command();
    std::env::args()
        .skip(1)
        .find(|arg| known.find_subcommand(arg).is_some())
        .unwrap_or_default()
}

/// Arguments of `clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// The rules (default: all of the database that clean something)
    pub rules: Vec<String>,
    /// Only the numbers; nothing is touched
    #[arg(long)]
    pub dry_run: bool,
    /// Takes a cleaning back: the one with this id, or the newest that stands
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "newest", conflicts_with_all = ["dry_run", "rules"])]
    pub undo: Option<String>,
}
