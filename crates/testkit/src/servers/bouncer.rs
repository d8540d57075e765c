//! PgBouncer before one of our servers.

use super::process::{self, Signals, Supervised, Word};
use super::{Kind, PASSWORD, Server, catalog, launch};
use anyhow::Context;
use std::net::TcpStream;
use std::path::PathBuf;

/// A running PgBouncer; gone when this value or the test process is gone.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    dir: PathBuf,
    running: Option<Supervised>,
}

impl PgBouncer {
    /// A pooler in transaction mode, with its defaults otherwise, before a PostgreSQL server of ours.
    ///
    /// # Panics
    /// Where PgBouncer is not installed (the message names the command) or the server was handed over by URL.
    #[allow(clippy::panic)]
    pub fn transaction_mode(server: &Server) -> PgBouncer {
        match PgBouncer::try_transaction_mode(server) {
            Ok(bouncer) => bouncer,
            Err(error) => panic!("starting PgBouncer: {error:#}"),
        }
    }

    fn try_transaction_mode(server: &Server) -> anyhow::Result<PgBouncer> {
        let program = catalog::program(&["pgbouncer"]).with_context(|| {
            format!(
                "PgBouncer is not on this machine. Install it: {}",
                catalog::INSTALL
            )
        })?;
        anyhow::ensure!(
            server.kind().is_postgres(),
            "PgBouncer speaks PostgreSQL only"
        );
        anyhow::ensure!(
            server.port() != 0,
            "the pooler is tested before a server of ours: unset DUNLIN_TEST_POSTGRES_URL"
        );
        let dir = launch::temporary_folder("pgbouncer")?;
        let port = launch::free_port()?;
        let user = Kind::Postgres.user();
        let folder = dir.display();
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder}/users\npool_mode = transaction\n\
             max_client_conn = 500\n",
            server.port()
        );
        for (name, content) in [
            ("pgbouncer.ini", config),
            ("users", format!("\"{user}\" \"{PASSWORD}\"\n")),
        ] {
            std::fs::write(dir.join(name), content)?;
            process::hand_over(&dir.join(name))?;
        }
        let command = [
            program.display().to_string(),
            format!("{folder}/pgbouncer.ini"),
        ];
        let running = process::supervise(
            &dir,
            Signals {
                hard: "KILL",
                soft: "TERM",
            },
            &command,
        )?;
        process::await_ready(&dir, || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(PgBouncer {
            port,
            dir,
            running: Some(running),
        })
    }

    /// The URL of a database of the server, through the pooler.
    pub fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://{}:{PASSWORD}@127.0.0.1:{}/{database}",
            Kind::Postgres.user(),
            self.port
        )
    }

    /// The pooler's log so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.join("log")).unwrap_or_default())
            .into_owned()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.end(Word::Gone);
        }
    }
}
