//! Commands of the application: run by the shell, bounded in time, their last words kept.

use dunlin_core::redact::Redactor;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// How long a command may take where nothing is said.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// How many bytes of a command's last words are kept.
const TAIL: usize = 2_000;

/// What the shell does before it becomes the command: it leaves somebody in the command's process group who ends the whole
/// group when this process dies, however it dies. They read from a pipe: its end without a word means that nobody is left
/// who waits for the command. They are nobody's child, so that a command that waits for all of its own does not wait for
/// them, and hold none of the command's own streams.
const WATCHED: &str = "exec 3<&0 </dev/null
((read -r word <&3 || kill -KILL 0) >/dev/null 2>&1 &)
exec 3<&-
exec sh -c \"$1\"";

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit code; `None`: it was ended by a signal, or after its time.
    pub code: Option<i32>,
    /// It was ended because it took too long.
    pub timed_out: bool,
    /// It was ended because a person asked for that.
    pub stopped: bool,
    /// The end of what it wrote, secrets masked.
    pub tail: String,
    /// How long it took.
    pub duration_ms: u64,
}

impl Ended {
    /// Whether it exited with 0.
    pub fn is_ok(&self) -> bool {
        self.code == Some(0)
    }

    /// `exit code 3: what it said`, for messages.
    pub fn said(&self) -> String {
        let how = match (self.timed_out, self.code) {
            _ if self.stopped => "it was ended by a person".to_owned(),
            (true, _) => "it took too long and was ended".to_owned(),
            (false, Some(code)) => format!("exit code {code}"),
            (false, None) => "it was ended by a signal".to_owned(),
        };
        match self.tail.trim() {
            "" => how,
            tail => format!("{how}: {tail}"),
        }
    }
}

/// Runs a command by `sh -c` in a folder, with its own process group, which is ended as a whole after `timeout`, and when
/// this process dies.
pub async fn run(
    command: &str,
    folder: &Path,
    timeout: Duration,
    redactor: &Redactor,
) -> std::io::Result<Ended> {
    let never = std::future::pending();
    run_until(command, folder, timeout, redactor, never).await
}

/// As [`run`]; its group is ended, too, where `stop` comes first.
pub async fn run_until(
    command: &str,
    folder: &Path,
    timeout: Duration,
    redactor: &Redactor,
    stop: impl Future<Output = ()>,
) -> std::io::Result<Ended> {
    let started = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", WATCHED, "sh", command])
        .current_dir(match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child.id();
    // Waiting for a child closes what is still written to it, which would be the sign that nobody waits.
    let watch = child.stdin.take();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let words = tokio::spawn(async move { tokio::join!(tail_of(out), tail_of(err)) });
    let ended = tokio::select! {
        ended = tokio::time::timeout(timeout, child.wait()) => Some(ended),
        () = stop => None,
    };
    let stopped = ended.is_none();
    let timed_out = matches!(ended, Some(Err(_)));
    if stopped || timed_out {
        end_group(group).await;
        // The shell itself; what it had started is gone with its group.
        let _ = child.kill().await;
    }
    if let Some(mut watch) = watch {
        // Who is left in the background of a command that has ended may stay. Where the watcher is gone, so is its task.
        let _ = watch.write_all(b"ended\n").await;
    }
    let code = match ended {
        Some(Ok(status)) => status?.code(),
        _ => None,
    };
    // Who was started in the background and keeps the pipe open is not waited for.
    let words = tokio::time::timeout(Duration::from_secs(1), words).await;
    let tail = match words {
        Ok(Ok((out, err))) => format!("{out}{err}"),
        _ => String::new(),
    };
    Ok(Ended {
        code,
        timed_out,
        stopped,
        tail: redactor.apply(tail.trim()),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

async fn end_group(group: Option<u32>) {
    let Some(group) = group else { return };
    let kill = Command::new("kill")
        .args(["-KILL", "--", &format!("-{group}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let _ = kill.await;
}

async fn tail_of(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else {
        return String::new();
    };
    let mut tail: Vec<u8> = vec![];
    let mut buffer = [0_u8; 4096];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        tail.extend_from_slice(&buffer[..read]);
        if tail.len() > 2 * TAIL {
            tail.drain(..tail.len() - TAIL);
        }
    }
    let from = tail.len().saturating_sub(TAIL);
    String::from_utf8_lossy(&tail[from..]).into_owned()
}
