//! One instance of a server: its folder, its empty data, its command line.

use super::catalog::{self, Programs};
use super::process::{self, Signals, Supervised};
use super::{Kind, Options, PASSWORD};
use anyhow::Context;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Raised when the content of templates changes.
const TEMPLATE_FORMAT: u32 = 1;

/// A folder with data, ready to be started as often as one likes.
#[derive(Debug)]
pub(super) struct Instance {
    kind: Kind,
    options: Options,
    programs: Programs,
    /// The folder: `data`, `log`, `pid`, the socket.
    pub dir: PathBuf,
    /// The port on 127.0.0.1, the same for the instance's whole life.
    pub port: u16,
}

impl Instance {
    /// Makes the folder and the empty data; starts nothing.
    pub(super) fn create(kind: Kind, options: Options) -> anyhow::Result<Instance> {
        let programs = catalog::find(kind)?;
        let dir = temporary_folder(kind.name())?;
        for (name, content) in &options.files {
            let file = dir.join(name);
            std::fs::write(&file, content)?;
            process::hand_over(&file)?;
        }
        let instance = Instance {
            kind,
            options,
            programs,
            dir,
            port: free_port()?,
        };
        instance
            .fill()
            .with_context(|| format!("making an empty {kind} data folder"))?;
        Ok(instance)
    }

    /// Starts the server for as long as the value lives, and waits until it answers.
    pub(super) fn start_private(&self) -> anyhow::Result<Supervised> {
        let _ = std::fs::remove_file(self.dir.join("pid"));
        let running = process::supervise(&self.dir, signals(self.kind), &self.command())?;
        process::await_ready(&self.dir, || ready(self.kind, &self.dir, self.port))?;
        Ok(running)
    }

    /// Starts the server for as long as somebody holds the lock of `users`, and waits until it answers.
    pub(super) fn start_shared(&self, users: &Path, grace: Duration) -> anyhow::Result<()> {
        process::watch(&self.dir, signals(self.kind), users, grace, &self.command())?;
        process::await_ready(&self.dir, || ready(self.kind, &self.dir, self.port))
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn fill(&self) -> anyhow::Result<()> {
        match self.kind {
            Kind::Postgres | Kind::PostgresNewer => self.fill_postgres(),
            Kind::Mariadb => self.fill_mariadb(),
            Kind::Mysql => self.fill_mysql(),
        }
    }

    /// Not from a template: clones would share PostgreSQL's system identifier, and `initdb` takes half a second.
    fn fill_postgres(&self) -> anyhow::Result<()> {
        let password = self.dir.join("password");
        std::fs::write(&password, PASSWORD)?;
        process::hand_over(&password)?;
        let init = self.programs.init.as_ref().context("initdb")?;
        let mut command = process::unprivileged(init);
        command
            .arg("-D")
            .arg(self.data())
            .arg(format!("--pwfile={}", password.display()));
        command.args([
            "-U",
            Kind::Postgres.user(),
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]);
        process::run(&mut command)?;
        std::fs::remove_file(password)?;
        Ok(())
    }

    fn fill_mariadb(&self) -> anyhow::Result<()> {
        let accounts = self.dir.join("accounts.sql");
        // The script makes accounts for each address of the machine, without password, and they would win over '%'.
        let others = "DELETE FROM mysql.global_priv WHERE Host <> 'localhost' OR User = '';\nFLUSH PRIVILEGES;\n";
        std::fs::write(&accounts, format!("{others}{}", accounts_sql()))?;
        process::hand_over(&accounts)?;
        let init = self.programs.init.as_ref().context("mariadb-install-db")?;
        let mut command = process::unprivileged(init);
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", self.data().display()));
        command.args([
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ]);
        command.args(["--innodb-log-file-size=48M", "--innodb-flush-method=nosync"]);
        command.arg(format!("--extra-file={}", accounts.display()));
        // Two that are made at once take each other's temporary tables away, where they share a folder.
        command.env("TMPDIR", &self.dir);
        process::run(&mut command)
    }

    /// From a template: `--initialize` takes some seconds.
    fn fill_mysql(&self) -> anyhow::Result<()> {
        let template = self.mysql_template().context("making the template")?;
        let mut command = process::unprivileged("cp");
        command
            .args(["-a", "--reflink=auto", "--sparse=always"])
            .arg(&template)
            .arg(self.data());
        process::run(&mut command)?;
        // The identity of the server is made anew at its first start.
        std::fs::remove_file(self.data().join("auto.cnf")).context("auto.cnf of the template")
    }

    fn mysql_template(&self) -> anyhow::Result<PathBuf> {
        let stamp = std::fs::metadata(&self.programs.server)?
            .modified()?
            .duration_since(std::time::UNIX_EPOCH)?;
        let name = format!(
            "template-{}-{TEMPLATE_FORMAT}-{:x}",
            self.kind,
            stamp.as_nanos()
        );
        // A cache that root filled may be read by others and not written.
        let lockable = |folder: PathBuf| {
            std::fs::create_dir_all(&folder)?;
            let lock = std::fs::File::create(folder.join(format!("{name}.lock")))?;
            anyhow::Ok((folder, lock))
        };
        let (folder, lock) =
            lockable(catalog::cache()).or_else(|_| lockable(super::shared::folder()?))?;
        let template = folder.join(&name);
        lock.lock()?;
        if template.is_dir() {
            return Ok(template);
        }
        let work = temporary_folder("template")?;
        let accounts = work.join("accounts.sql");
        std::fs::write(&accounts, accounts_sql())?;
        process::hand_over(&accounts)?;
        let mut command = process::unprivileged(&self.programs.server);
        command
            .args(self.mysql_arguments())
            .arg(format!("--datadir={}", work.join("data").display()));
        command
            .arg("--initialize-insecure")
            .arg(format!("--init-file={}", accounts.display()));
        process::run(&mut command)?;
        // Across file systems a rename does not do, and half a template must not be found.
        let half = folder.join(format!("{name}.half"));
        let _ = std::fs::remove_dir_all(&half);
        process::run(
            std::process::Command::new("cp")
                .args(["-a", "--sparse=always"])
                .arg(work.join("data"))
                .arg(&half),
        )?;
        std::fs::rename(&half, &template)?;
        let _ = std::fs::remove_dir_all(&work);
        Ok(template)
    }

    /// `--no-defaults` has to come first.
    fn mysql_arguments(&self) -> Vec<String> {
        let mut args = vec!["--no-defaults".to_owned()];
        if let Some(root) = &self.programs.root {
            let usr = root.join("usr");
            let usr = usr.display();
            args.push(format!("--basedir={usr}"));
            args.push(format!("--lc-messages-dir={usr}/share/mysql"));
            args.push(format!("--character-sets-dir={usr}/share/mysql/charsets"));
            args.push(format!("--plugin-dir={usr}/lib/mysql/plugin"));
        }
        // Debian builds one in that is not there.
        args.push("--secure-file-priv=NULL".to_owned());
        args.push("--mysqlx=0".to_owned());
        args
    }

    /// Nothing here waits for the disk: what a killed *process* wrote is in the page cache, and machines do not crash
    /// in these tests. Everything else is the server's default, for defaults are what users have.
    fn command(&self) -> Vec<String> {
        let data = self.data();
        let (data, dir, port) = (data.display(), self.dir.display(), self.port);
        let mut command = vec![self.programs.server.display().to_string()];
        if self.kind.is_postgres() {
            command.extend([
                "-D".to_owned(),
                data.to_string(),
                "-k".to_owned(),
                dir.to_string(),
            ]);
            command.extend(["-p".to_owned(), port.to_string(), "-F".to_owned()]);
            for setting in [
                "listen_addresses=127.0.0.1",
                "max_connections=400",
                "full_page_writes=off",
                "max_wal_size=512MB",
            ] {
                command.extend(["-c".to_owned(), setting.to_owned()]);
            }
        } else {
            if self.kind == Kind::Mysql {
                command.extend(self.mysql_arguments());
                command.push("--sync-binlog=0".to_owned());
            } else {
                command.extend([
                    "--no-defaults".to_owned(),
                    "--innodb-log-file-size=48M".to_owned(),
                ]);
            }
            command.push(format!("--datadir={data}"));
            // Of its own: a server that starts removes what it takes for leftovers of a dead one, and would remove the
            // temporary tables of its neighbours.
            command.push(format!("--tmpdir={dir}"));
            command.push(format!("--socket={dir}/sock"));
            command.push(format!("--pid-file={dir}/mysqld.pid"));
            command.push(format!("--port={port}"));
            for option in [
                "bind-address=127.0.0.1",
                "max-connections=500",
                "skip-name-resolve",
            ] {
                command.push(format!("--{option}"));
            }
            for option in [
                "innodb-flush-log-at-trx-commit=2",
                "innodb-flush-method=nosync",
            ] {
                command.push(format!("--{option}"));
            }
        }
        command.extend(
            self.options
                .args
                .iter()
                .map(|arg| arg.replace("{dir}", &dir.to_string())),
        );
        command
    }
}

/// The superuser's accounts, one statement per line as `--init-file` wants it.
fn accounts_sql() -> String {
    let user = Kind::Mysql.user();
    format!(
        "ALTER USER '{user}'@'localhost' IDENTIFIED BY '{PASSWORD}';\n\
         CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT ALL PRIVILEGES ON *.* TO '{user}'@'%' WITH GRANT OPTION;\n"
    )
}

fn signals(kind: Kind) -> Signals {
    if kind.is_postgres() {
        // The postmaster has children: told so, it ends them itself.
        Signals {
            hard: "QUIT",
            soft: "INT",
        }
    } else {
        Signals {
            hard: "KILL",
            soft: "TERM",
        }
    }
}

/// Whether the server of a folder answers. What its files say is not enough: a machine that lost its power leaves them
/// as they were, so the port is asked too.
pub(super) fn ready(kind: Kind, dir: &Path, port: u16) -> bool {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) else {
        return false;
    };
    if kind.is_postgres() {
        // The postmaster says so itself, on the last line of its file.
        let file = std::fs::read_to_string(dir.join("data/postmaster.pid")).unwrap_or_default();
        let ours = std::fs::read_to_string(dir.join("pid"))
            .is_ok_and(|pid| file.lines().next() == Some(pid.trim()));
        return ours
            && file
                .lines()
                .nth(7)
                .is_some_and(|status| status.trim() == "ready");
    }
    // The server speaks first: the fifth byte of the greeting is its protocol version.
    let mut greeting = [0_u8; 5];
    let patient = stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .is_ok();
    patient
        && stream.read_exact(&mut greeting).is_ok()
        && greeting[4] == 10
        && dir.join("pid").exists()
}

/// A folder of our own that the servers' user can reach, with a short name: socket paths end at 107 bytes.
pub(super) fn temporary_folder(name: &str) -> anyhow::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let base = if process::is_root() {
        PathBuf::from("/tmp")
    } else {
        std::env::temp_dir()
    };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .subsec_nanos();
    let dir = base.join(format!(
        "dunlin-{name}-{}-{count}-{nanos:x}",
        std::process::id()
    ));
    std::fs::create_dir(&dir).with_context(|| format!("making {}", dir.display()))?;
    process::hand_over(&dir)?;
    Ok(dir)
}

/// A free port below the range from which outgoing connections take theirs: it must still be free after a restart.
pub(super) fn free_port() -> anyhow::Result<u16> {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .subsec_nanos();
    let mut number = nanos ^ std::process::id().wrapping_mul(0x9E37_79B9);
    for _ in 0..2_000 {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let port = 15_000 + u16::try_from((number >> 16) % 15_000)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no free port between 15000 and 30000")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Kind, free_port, ready};

    /// Server and watchdog killed together leave files that say that all is well.
    #[test]
    fn a_server_that_only_its_files_remember_is_not_ready() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("pid"), "17\n").unwrap();
        let said = "17\ndata\n0\n0\n\nlocalhost\n0 0\nready\n";
        std::fs::write(dir.path().join("data/postmaster.pid"), said).unwrap();
        let port = free_port().unwrap();
        assert!(!ready(Kind::Postgres, dir.path(), port));
        let _listening = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert!(ready(Kind::Postgres, dir.path(), port));
    }
}
