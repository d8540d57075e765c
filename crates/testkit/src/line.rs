//! A line to a server, for counting round trips and for cutting it.

#![allow(clippy::unwrap_used)] // only tests use it: what breaks here breaks the test

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A line to a server that counts how often the client speaks in answer to the server.
pub struct Line {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    turns: Arc<AtomicUsize>,
    waited: Arc<AtomicU64>,
    cut_on: Arc<OnceLock<&'static str>>,
}

impl Line {
    /// A line to a server of this machine.
    ///
    /// # Panics
    ///
    /// Where no port is free.
    pub async fn to(port: u16) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let line = Line {
            port: listener.local_addr().unwrap().port(),
            turns: Arc::default(),
            waited: Arc::default(),
            cut_on: Arc::default(),
        };
        let turns = Arc::clone(&line.turns);
        let waited = Arc::clone(&line.waited);
        let cut_on = Arc::clone(&line.cut_on);
        let since = Instant::now();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                client.set_nodelay(true).unwrap();
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                server.set_nodelay(true).unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                // The first to speak on a new line counts.
                let server_spoke = Arc::new(AtomicBool::new(true));
                let (spoke, turns) = (Arc::clone(&server_spoke), Arc::clone(&turns));
                let cut_on = Arc::clone(&cut_on);
                let waited = Arc::clone(&waited);
                // When one of the two spoke last, in microseconds since the line is there.
                let now = move || u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
                let last = Arc::new(AtomicU64::new(now()));
                let asked = Arc::clone(&last);
                tokio::spawn(async move {
                    let mut buffer = vec![0; 1 << 16];
                    while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
                        let said = String::from_utf8_lossy(&buffer[..n]);
                        // The server hangs up on us, and the other direction ends with that.
                        if cut_on.get().is_some_and(|text| said.contains(text)) {
                            return;
                        }
                        if spoke.swap(false, Ordering::SeqCst) {
                            turns.fetch_add(1, Ordering::SeqCst);
                        }
                        asked.store(now(), Ordering::SeqCst);
                        to_server.write_all(&buffer[..n]).await.unwrap();
                    }
                });
                tokio::spawn(async move {
                    let mut buffer = vec![0; 1 << 16];
                    while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
                        server_spoke.store(true, Ordering::SeqCst);
                        let at = now();
                        let before = last.swap(at, Ordering::SeqCst);
                        waited.fetch_add(at.saturating_sub(before), Ordering::SeqCst);
                        if to_client.write_all(&buffer[..n]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        line
    }

    /// From now on every connection is cut in which the client says this.
    pub fn cut_on(&self, text: &'static str) {
        self.cut_on.set(text).unwrap();
    }

    /// The turns since the last time.
    pub fn taken(&self) -> usize {
        self.turns.swap(0, Ordering::SeqCst)
    }

    /// How long the client waited for the server since the last time: from each of its words to the end of the answer.
    pub fn waited(&self) -> Duration {
        Duration::from_micros(self.waited.swap(0, Ordering::SeqCst))
    }

    /// Forgets the turns so far, a parting word that is still on its way among them.
    pub async fn forget(&self) {
        tokio::time::sleep(Duration::from_millis(60)).await;
        self.taken();
        self.waited();
    }
}
