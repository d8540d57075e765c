//! Server processes and who watches them.
//!
//! No unsafe code, so no `prctl`: a small shell script stands between us and the server. It reads a pipe whose other
//! end is ours alone; however our process ends, SIGKILL included, the pipe ends with it, and the script ends the
//! server and removes its folder.

use super::catalog;
use anyhow::{Context, bail};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `nobody` and `nogroup` on every Linux. The servers run so where we are root.
const UNPRIVILEGED: u32 = 65534;

/// How long a server may take to answer after its start. Crash recovery on a busy machine is in it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What both scripts begin with: whatever was left open by those who started us (a build's lock, a test runner's pipe)
/// must not be held for as long as a server lives. Only bash can close descriptors above 9.
const CLOSE_INHERITED: &str = r#"
for open in /proc/self/fd/*; do
  number=${open##*/}
  [ "$number" -gt 2 ] && eval "exec $number>&-"
done 2>/dev/null
"#;

/// Arguments: folder, the signal that ends the server at once, the polite one, the server's command.
const SUPERVISOR: &str = r#"
dir=$1 hard=$2 soft=$3; shift 3
"$@" </dev/null >>"$dir/log" 2>&1 &
pid=$!
echo "$pid" >"$dir/pid.new" && mv "$dir/pid.new" "$dir/pid"
read -r word || word=gone
family=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
alive() { [ -e "/proc/$1/cwd" ]; }
case $word in
  stop) kill -s "$soft" "$pid"; patience=6000 ;;
  crash) kill -s KILL "$pid" $family; patience=500 ;;
  *) kill -s "$hard" "$pid"; patience=500 ;;
esac 2>/dev/null
# Children notice a dead parent a little later, and the next start would find them in the data folder.
for process in $pid $family; do
  while alive "$process" && [ "$patience" -gt 0 ]; do sleep 0.01; patience=$((patience - 1)); done
  alive "$process" && kill -s KILL "$process"
done 2>/dev/null
wait "$pid"
rm -f "$dir/pid"
[ "$word" = gone ] && rm -rf "$dir"
exit 0
"#;

/// Arguments: folder, signal, the file whose lock the users hold, seconds of grace, the server's command.
const WATCHDOG: &str = r#"
dir=$1 hard=$2 users=$3 grace=$4; shift 4
exec 9<"$users" || exit 1
"$@" </dev/null >>"$dir/log" 2>&1 9<&- &
pid=$!
echo "$pid" >"$dir/pid.new" && mv "$dir/pid.new" "$dir/pid"
idle=0
while kill -s 0 "$pid" 2>/dev/null; do
  sleep 2 9<&-
  if flock -n -x 9; then
    idle=$((idle + 2))
    if [ "$idle" -ge "$grace" ]; then
      # Holding the lock: whoever comes now waits until the folder is gone, and starts anew.
      kill -s "$hard" "$pid"; wait "$pid"; break
    fi
    flock -u 9
  else
    idle=0
  fi
done
rm -rf "$dir"
"#;

/// What is said to a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Stop politely, keep the data.
    Stop,
    /// SIGKILL the server and its children, keep the data.
    Crash,
    /// Stop at once, remove everything.
    Gone,
}

/// A server and its supervisor.
#[derive(Debug)]
pub(super) struct Supervised {
    child: Child,
}

impl Supervised {
    /// Says the word and waits until the server is gone.
    pub(super) fn end(mut self, word: Word) -> anyhow::Result<()> {
        let text: &[u8] = match word {
            Word::Stop => b"stop\n",
            Word::Crash => b"crash\n",
            Word::Gone => b"gone\n",
        };
        if let Some(mut pipe) = self.child.stdin.take() {
            pipe.write_all(text).context("talking to the supervisor")?;
        }
        self.child.wait().context("waiting for the supervisor")?;
        Ok(())
    }
}

/// The signals of a kind of server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signals {
    /// Ends the server and its children at once.
    pub hard: &'static str,
    /// Ends it politely.
    pub soft: &'static str,
}

/// Starts a server that lives as long as the value that is given back.
pub(super) fn supervise(
    dir: &Path,
    signals: Signals,
    command: &[String],
) -> anyhow::Result<Supervised> {
    let mut shell = script(SUPERVISOR, "dunlin-supervisor");
    shell
        .arg(dir)
        .args([signals.hard, signals.soft])
        .args(command);
    shell.stdin(Stdio::piped());
    Ok(Supervised {
        child: detached(&mut shell)?,
    })
}

/// Starts a server that lives as long as anyone holds the lock of `users`, and `grace` after.
pub(super) fn watch(
    dir: &Path,
    signals: Signals,
    users: &Path,
    grace: Duration,
    command: &[String],
) -> anyhow::Result<()> {
    let mut shell = script(WATCHDOG, "dunlin-watchdog");
    shell.arg(dir).arg(signals.hard).arg(users);
    shell
        .arg(grace.as_secs().to_string())
        .args(command)
        .stdin(Stdio::null());
    // Never waited for: it outlives this process, and init reaps it.
    detached(&mut shell)?;
    Ok(())
}

fn script(text: &str, name: &str) -> Command {
    let mut shell = unprivileged("bash");
    shell
        .arg("-c")
        .arg(format!("{CLOSE_INHERITED}{text}"))
        .arg(name);
    shell
}

/// In a process group of its own, so that Ctrl-C and a test runner's kill reach us and not it.
fn detached(command: &mut Command) -> anyhow::Result<Child> {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .current_dir("/");
    command
        .spawn()
        .with_context(|| format!("running {:?}", command.get_program()))
}

/// Whether this process is root's.
pub(super) fn is_root() -> bool {
    // The owner of our own /proc entry; no unsafe getuid.
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A number that tells the users of this machine apart.
pub(super) fn user() -> u32 {
    std::fs::metadata("/proc/self")
        .map(|own| own.uid())
        .unwrap_or_default()
}

/// A command as the user that the servers run as.
pub(super) fn unprivileged(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command =
        Command::new(catalog::program(&["setpriv"]).unwrap_or_else(|| PathBuf::from("setpriv")));
    command
        .arg(format!("--reuid={UNPRIVILEGED}"))
        .arg(format!("--regid={UNPRIVILEGED}"))
        .arg("--clear-groups");
    command.arg(program);
    command
}

/// Gives a file or folder to the user that the servers run as, and to nobody else.
pub(super) fn hand_over(path: &Path) -> anyhow::Result<()> {
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    if is_root() {
        std::os::unix::fs::chown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED))?;
    }
    Ok(())
}

/// Runs a command to its end; a failure carries what it said.
pub(super) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).current_dir("/").output();
    let output = output.with_context(|| format!("running {:?}", command.get_program()))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!(
            "{command:?} ended with {}:\n{}",
            output.status,
            tail(&String::from_utf8_lossy(&said), 20)
        );
    }
    Ok(())
}

/// Waits until the server of a folder answers, or says why it does not.
pub(super) fn await_ready(dir: &Path, ready: impl Fn() -> bool) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        if ready() {
            return Ok(());
        }
        let pid = std::fs::read_to_string(dir.join("pid")).ok();
        let gone = match pid.as_deref().map(str::trim) {
            Some(pid) => std::fs::read_link(format!("/proc/{pid}/cwd")).is_err(),
            None => started.elapsed() > Duration::from_secs(10),
        };
        if gone || started.elapsed() > PATIENCE {
            let log = std::fs::read(dir.join("log")).unwrap_or_default();
            let what = if gone {
                "ended"
            } else {
                "did not answer in time"
            };
            bail!(
                "the server {what}; the end of its log:\n{}",
                tail(&String::from_utf8_lossy(&log), 25)
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
