//! A sealed room for the binary: its own home, an emptied environment, a fixed clock, and an account of what it said.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The instant at which the sandbox's clock stands, for a binary that reads `DUNLIN_TEST_NOW`.
pub const NOW: &str = "2026-01-02T03:04:05Z";

/// The seed of a sandbox's first command, for a binary that reads `DUNLIN_TEST_SEED`. Each further command has the next
/// number: ids are the same whenever a test runs, and no two commands of a test share one.
pub const SEED: u64 = 42;

/// The longest that a command may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(300);

/// A project folder with a home of its own.
#[derive(Debug)]
pub struct Sandbox {
    dir: tempfile::TempDir,
    binary: PathBuf,
    env: Vec<(String, String)>,
    commands: AtomicU64,
}

impl Default for Sandbox {
    fn default() -> Self {
        Sandbox::new()
    }
}

impl Sandbox {
    /// An empty project. The binary is the one that this build made.
    ///
    /// # Panics
    /// Where the binary was not built, with the command that builds it.
    pub fn new() -> Sandbox {
        Sandbox::with_binary(find_binary())
    }

    /// As [`Sandbox::new`] for a binary at a known place.
    ///
    /// # Panics
    /// Where no temporary folder can be made.
    pub fn with_binary(binary: impl Into<PathBuf>) -> Sandbox {
        let dir = tempfile::Builder::new()
            .prefix("dunlin-box-")
            .tempdir()
            .expect("a temporary folder can be made");
        for folder in ["project", "home", "tmp"] {
            std::fs::create_dir(dir.path().join(folder))
                .expect("a folder can be made in a folder just made");
        }
        Sandbox {
            dir,
            binary: binary.into(),
            env: Vec::new(),
            commands: AtomicU64::new(0),
        }
    }

    /// The project's folder: the working directory of every command.
    pub fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// The home folder, for `.pgpass` and its like.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The binary.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// A path within the project.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.project().join(name)
    }

    /// Writes a file of the project, with the folders on the way to it.
    ///
    /// # Panics
    /// Where it cannot.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> &Sandbox {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(&path))
            .expect("folders of a sandbox can be made");
        std::fs::write(&path, content).expect("files of a sandbox can be written");
        self
    }

    /// Reads a file of the project as text.
    ///
    /// # Panics
    /// Where it is not there.
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        String::from_utf8_lossy(&std::fs::read(&path).expect("the file is there")).into_owned()
    }

    /// Waits until a file of the project, as a command's events, holds a text.
    ///
    /// # Panics
    /// Where it does not within a minute.
    pub fn await_text(&self, name: &str, text: &str) -> Instant {
        let read = || std::fs::read(self.path(name)).unwrap_or_default();
        await_within(read, text)
    }

    /// Sets a variable for every later command.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Sandbox {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// The command as the sandbox would run it, for whoever wants to change it.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let seed = SEED + self.commands.fetch_add(1, Ordering::Relaxed);
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(self.project()).env_clear();
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command
            .env("HOME", self.home())
            .env("TMPDIR", self.dir.path().join("tmp"));
        command
            .env("XDG_CONFIG_HOME", self.home().join(".config"))
            .env("XDG_CACHE_HOME", self.home().join(".cache"));
        command
            .env("TZ", "UTC")
            .env("LANG", "C.UTF-8")
            .env("COLUMNS", "100")
            .env("USER", "tester");
        command
            .env("DUNLIN_TEST_NOW", NOW)
            .env("DUNLIN_TEST_SEED", seed.to_string())
            .env("RUST_BACKTRACE", "0");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the binary and waits for it.
    ///
    /// # Panics
    /// Where it cannot be started or does not end.
    #[must_use = "a command whose outcome nobody looks at proves nothing"]
    pub fn dunlin<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.spawn(args).wait()
    }

    /// Starts the binary and does not wait.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub fn spawn<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        let mut command = self.command(args);
        let line = format!("{command:?}");
        // Files and no pipes: a command whose pipe nobody reads would stand still.
        let said = |suffix: &str| {
            let name = format!("{}.{suffix}", crate::database::fresh_name());
            let path = self.dir.path().join("tmp").join(name);
            (
                std::fs::File::create(&path).expect("files of a sandbox can be written"),
                path,
            )
        };
        let ((out, stdout), (err, stderr)) = (said("out"), said("err"));
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.spawn().expect("the binary starts");
        Running {
            child: Some(child),
            line,
            stdout,
            stderr,
            room: self.dir.path().display().to_string(),
        }
    }
}

/// Looks every few milliseconds until a text is there; gives the moment when it was.
fn await_within(read: impl Fn() -> Vec<u8>, text: &str) -> Instant {
    let started = Instant::now();
    loop {
        let found = String::from_utf8_lossy(&read()).into_owned();
        if found.contains(text) {
            return Instant::now();
        }
        let patient = started.elapsed() < Duration::from_secs(60);
        assert!(patient, "no `{text}` after a minute in:\n{found}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A command that may still run. It is killed with this value.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    line: String,
    stdout: PathBuf,
    stderr: PathBuf,
    room: String,
}

impl Running {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Sends a signal by its name: `KILL`, `STOP`, `CONT`, `INT`, `TERM`.
    ///
    /// # Panics
    /// Where `kill` cannot be run. A process that has ended already is no fault.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.id());
        Command::new("sh")
            .args(["-c", &kill])
            .stderr(Stdio::null())
            .status()
            .expect("a shell is there");
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// What it has said on stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }

    /// Waits until it has said a text on stderr.
    ///
    /// # Panics
    /// Where it does not within a minute.
    pub fn await_said(&self, text: &str) -> Instant {
        await_within(|| std::fs::read(&self.stderr).unwrap_or_default(), text)
    }

    /// What it has said on stdout so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stdout).unwrap_or_default()).into_owned()
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// Where it does not within five minutes.
    #[must_use = "a command whose outcome nobody looks at proves nothing"]
    pub fn wait(mut self) -> Ran {
        let started = Instant::now();
        let mut nap = Duration::from_millis(1);
        let mut child = self.child.take().expect("taken only here and in drop");
        let status = loop {
            if let Some(status) = child.try_wait().expect("our own child can be asked") {
                break status;
            }
            if started.elapsed() > PATIENCE {
                let _ = child.kill();
                let said = self.stderr();
                assert!(
                    started.elapsed() <= PATIENCE,
                    "{} does not end; so far it said:\n{said}",
                    self.line
                );
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(20));
        };
        let (line, room) = (self.line.clone(), self.room.clone());
        Ran {
            code: status.code(),
            line,
            stdout: self.stdout(),
            stderr: self.stderr(),
            room,
            took: started.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
    line: String,
    room: String,
}

impl Ran {
    /// Requires an exit code.
    ///
    /// # Panics
    /// Where it is another, with everything that was said.
    pub fn code(self, expected: i32) -> Ran {
        assert_eq!(
            self.code,
            Some(expected),
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.line,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Requires exit code 0.
    ///
    /// # Panics
    /// Where it is another, with everything that was said.
    pub fn success(self) -> Ran {
        self.code(0)
    }

    /// The one object that stdout is under `--format json`.
    ///
    /// # Panics
    /// Where stdout is not one JSON document.
    pub fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_str(&self.stdout);
        assert!(
            parsed.is_ok(),
            "{}: stdout is not one JSON document: {parsed:?}\n{}",
            self.line,
            self.stdout
        );
        parsed.unwrap_or_default()
    }

    /// Exit code, stdout and stderr as one text for a snapshot: the room's path is `[ROOM]`, and [`settle`] has taken
    /// out what differs from run to run.
    pub fn snapshot(&self) -> String {
        let code = self
            .code
            .map_or("signal".to_owned(), |code| code.to_string());
        let said = |name: &str, text: &str| {
            if text.is_empty() {
                String::new()
            } else {
                format!("--- {name}\n{text}")
            }
        };
        let text = format!(
            "exit {code}\n{}{}",
            said("stdout", &self.stdout),
            said("stderr", &self.stderr)
        );
        settle(&text.replace(&self.room, "[ROOM]"))
    }
}

/// Replaces what differs from run to run: durations by `[TIME]`, ports of this machine by `[PORT]`, generated database
/// names by `[DB]`, instants by `[NOW]`, the size of a backup just made by `[SIZE]`.
pub fn settle(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(next) = rest.chars().next() {
        let fresh = !before.is_some_and(|char: char| char.is_alphanumeric() || char == '_');
        let found = if fresh { settle_here(rest) } else { None };
        let (put, len) = found.unwrap_or((&rest[..next.len_utf8()], next.len_utf8()));
        out.push_str(put);
        before = rest[..len].chars().next_back();
        rest = &rest[len..];
    }
    out
}

/// What the text begins with, if it is something that differs: its replacement and how many bytes it takes.
fn settle_here(text: &str) -> Option<(&'static str, usize)> {
    instant(text)
        .map(|len| ("[NOW]", len))
        .or_else(|| local_address(text).map(|len| ("127.0.0.1:[PORT]", len)))
        .or_else(|| generated_name(text).map(|len| ("[DB]", len)))
        .or_else(|| backup_size(text).map(|len| ("[SIZE]", len)))
        .or_else(|| duration(text).map(|len| ("[TIME]", len)))
}

/// `2026-01-02T03:04:05.123Z`, with `T` or a blank in the middle.
fn instant(text: &str) -> Option<usize> {
    let shape = b"dddd-dd-dd dd:dd:dd";
    let bytes = text.as_bytes();
    let fits = |(have, want): (&u8, &u8)| match want {
        b'd' => have.is_ascii_digit(),
        b' ' => matches!(have, b' ' | b'T'),
        other => have == other,
    };
    if bytes.len() < shape.len() || !bytes.iter().zip(shape).all(fits) {
        return None;
    }
    let fraction = bytes[shape.len()..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .count();
    let end = shape.len() + fraction;
    let zone = ["Z", " UTC", "+00:00", "+00"]
        .into_iter()
        .find(|zone| text[end..].starts_with(zone))
        .map_or(0, str::len);
    Some(end + zone)
}

fn local_address(text: &str) -> Option<usize> {
    let host = "127.0.0.1:";
    let digits = text
        .strip_prefix(host)?
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    (digits > 0).then_some(host.len() + digits)
}

/// As [`crate::database::fresh_name`] makes them.
fn generated_name(text: &str) -> Option<usize> {
    let len = text
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count();
    let mut parts = text[..len].strip_prefix('t')?.split('_');
    let hex = |part: &str, least: usize| {
        part.len() >= least && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let fits = hex(parts.next()?, 8)
        && hex(parts.next()?, 1)
        && parts.next()?.bytes().all(|byte| byte.is_ascii_digit());
    (fits && parts.next().is_none()).then_some(len)
}

/// `401.0 kB, verified`: the figures that a backup holds beside the rows pack a little better or worse.
fn backup_size(text: &str) -> Option<usize> {
    let digits = text
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .count();
    let fits = digits > 0 && text[digits..].starts_with(" kB, verified");
    fits.then_some(digits + " kB".len())
}

/// `12 ms`, `1.5 s`, `300ms`, `2m`, and not `3 more`.
fn duration(text: &str) -> Option<usize> {
    let digits = text
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .count();
    if digits == 0 || !text.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    let blank = usize::from(text[digits..].starts_with(' '));
    let unit = text[digits + blank..]
        .chars()
        .take_while(|char| char.is_alphanumeric())
        .collect::<String>();
    matches!(unit.as_str(), "ns" | "us" | "µs" | "ms" | "s").then_some(digits + blank + unit.len())
}

/// The binary beside this test program: `target/debug/deps/test-…` → `target/debug/dunlin`.
fn find_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("DUNLIN_TEST_BIN") {
        return PathBuf::from(path);
    }
    let own = std::env::current_exe().expect("a test program knows where it is");
    let found = own
        .ancestors()
        .skip(1)
        .map(|folder| folder.join("dunlin"))
        .find(|file| file.is_file());
    assert!(
        found.is_some(),
        "the binary is not built; run: cargo build -p dunlin-cli"
    );
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::settle;

    #[test]
    fn what_differs_from_run_to_run_is_taken_out_and_nothing_else() {
        assert_eq!(
            settle("took 12 ms (1.5s), 3 more, 20 seconds"),
            "took [TIME] ([TIME]), 3 more, 20 seconds"
        );
        assert_eq!(settle("at 2026-01-02T03:04:05.678Z."), "at [NOW].");
        assert_eq!(
            settle("postgres://u@127.0.0.1:5433/t18f_1"),
            "postgres://u@127.0.0.1:[PORT]/t18f_1"
        );
        let name = crate::database::fresh_name();
        assert_eq!(
            settle(&format!("database {name} is there")),
            "database [DB] is there"
        );
        assert_eq!(settle("v12ms 0012_s é"), "v12ms 0012_s é");
    }
}
