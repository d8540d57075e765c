//! A terminal with somebody before it: a command whose standard streams are a pseudo-terminal, and what is typed there.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The longest that something expected may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command on a terminal. It is killed with this value.
#[derive(Debug)]
pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    child: Child,
    /// How much of the screen was waited for already.
    seen: usize,
}

impl Terminal {
    /// Starts a command on a terminal of its own.
    ///
    /// # Panics
    /// Where the system gives no terminal, or the command does not start.
    pub fn spawn(mut command: Command) -> Terminal {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a terminal is had");
        grantpt(&keyboard).expect("a terminal just made is ours");
        unlockpt(&keyboard).expect("a terminal just made is ours");
        let name = ptsname(&keyboard, vec![]).expect("a terminal has a name");
        let name = name.to_str().expect("its name is plain text");
        let open = || OpenOptions::new().read(true).write(true).open(name);
        let stream = || open().expect("a terminal just made can be opened");
        command.stdin(stream()).stdout(stream()).stderr(stream());
        let child = command.spawn().expect("the binary starts");
        // The command holds copies of the streams: the screen ends when the last of them is closed.
        drop(command);
        let keyboard = File::from(keyboard);
        let mut shown = keyboard.try_clone().expect("a file can be shared");
        let screen = Arc::new(Mutex::new(vec![]));
        let written = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0_u8; 4096];
            while let Ok(read) = shown.read(&mut buffer)
                && read > 0
            {
                let mut screen = written.lock().expect("nobody panics with the screen");
                screen.extend_from_slice(&buffer[..read]);
            }
        });
        Terminal {
            keyboard,
            screen,
            child,
            seen: 0,
        }
    }

    /// Everything that was shown so far, what was typed among it.
    ///
    /// # Panics
    /// Never in practice: nobody panics with the screen.
    pub fn screen(&self) -> String {
        let screen = self.screen.lock().expect("nobody panics with the screen");
        String::from_utf8_lossy(&screen).into_owned()
    }

    /// Waits until a text is shown, after what was waited for before.
    ///
    /// # Panics
    /// Where it is not within a minute.
    pub fn await_shown(&mut self, text: &str) {
        let started = Instant::now();
        loop {
            let screen = self.screen();
            let rest = screen.get(self.seen..).unwrap_or_default();
            if let Some(at) = rest.find(text) {
                self.seen += at + text.len();
                return;
            }
            let patient = started.elapsed() < PATIENCE;
            assert!(patient, "no `{text}` after a minute on:\n{screen}");
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Types a line.
    ///
    /// # Panics
    /// Where the terminal is gone.
    pub fn type_line(&mut self, line: &str) {
        let typed = self.keyboard.write_all(format!("{line}\n").as_bytes());
        typed.expect("the terminal is there");
    }

    /// Waits for a question and answers it.
    ///
    /// # Panics
    /// Where it is not asked within a minute.
    pub fn answer(&mut self, question: &str, line: &str) {
        self.await_shown(question);
        self.type_line(line);
    }

    /// Waits until it ends; gives the exit code and everything that was shown.
    ///
    /// # Panics
    /// Where it does not within a minute.
    #[must_use = "a command whose outcome nobody looks at proves nothing"]
    pub fn wait(mut self) -> (Option<i32>, String) {
        let started = Instant::now();
        let status = loop {
            let status = self.child.try_wait();
            if let Some(status) = status.expect("our own child can be asked") {
                break status;
            }
            let patient = started.elapsed() < PATIENCE;
            assert!(
                patient,
                "it does not end; on its screen:\n{}",
                self.screen()
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        // What was written last may still be on its way.
        std::thread::sleep(Duration::from_millis(30));
        (status.code(), self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
