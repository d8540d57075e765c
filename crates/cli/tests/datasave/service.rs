//! The form builder's service: the example's own program, started as people start it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The service as a process; it ends with this value.
pub struct Service {
    database: String,
    url: String,
    process: Mutex<Child>,
    /// The lines of every request: path and status.
    served: Arc<Mutex<Vec<String>>>,
}

/// The program, which is built with these tests: `target/debug/deps/test-…` → `target/debug/examples/…`.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let places = own.ancestors().skip(1);
    let found = places
        .map(|folder| folder.join("examples/datasave-service"))
        .find(|file| file.is_file());
    found.expect("the service is not built; run: cargo build -p dunlin-cli --examples")
}

impl Service {
    /// Starts it on a free port and waits until it listens.
    pub fn start(database: &str) -> Service {
        let served = Arc::default();
        let (process, url) = launch(database, "127.0.0.1:0", "1", &served);
        Service {
            database: database.to_owned(),
            url,
            process: Mutex::new(process),
            served,
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Puts the other release in its place, at the same address: the careless one, or the one that answers as ever.
    pub fn deploy(&self, careless: bool) {
        let mut process = self.process.lock().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        let place = self.url.trim_start_matches("http://");
        let release = if careless { "2" } else { "1" };
        let (fresh, url) = launch(&self.database, place, release, &self.served);
        assert_eq!(url, self.url);
        *process = fresh;
    }

    /// How many requests it answered, and those among them that it could not.
    pub fn served(&self) -> (usize, Vec<String>) {
        let served = self.served.lock().unwrap();
        let failed = served.iter().filter(|line| !line.ends_with(" 200 OK"));
        (served.len(), failed.cloned().collect())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Ok(process) = self.process.get_mut() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn launch(
    database: &str,
    place: &str,
    release: &str,
    served: &Arc<Mutex<Vec<String>>>,
) -> (Child, String) {
    let mut process = Command::new(program())
        .env("DATASAVE_DATABASE_URL", database)
        .env("DATASAVE_LISTEN", place)
        .env("DATASAVE_RELEASE", release)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let first = lines.next().expect("the service starts").unwrap();
    let url = first.strip_prefix("listening on ").unwrap().to_owned();
    let served = Arc::clone(served);
    // Ends with the process.
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            served.lock().unwrap().push(line);
        }
    });
    (process, url)
}
