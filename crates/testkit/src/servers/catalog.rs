//! Where the server programs are on this machine, and what to say where they are not.

use super::Kind;
use anyhow::bail;
use std::path::{Path, PathBuf};

/// The command that installs what is missing.
pub const INSTALL: &str = "cargo x servers --install";

/// The programs of one kind.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The server itself.
    pub server: PathBuf,
    /// What makes an empty data folder, where that is another program.
    pub init: Option<PathBuf>,
    /// The folder that holds `usr/` where the server was unpacked and not installed.
    pub root: Option<PathBuf>,
    /// The folder with the client programs.
    pub tools: PathBuf,
}

/// The cache folder: unpacked servers and templates of data folders. `DUNLIN_SERVERS_DIR` says otherwise.
///
/// As root it is a system folder, for the unprivileged user that the servers run as must be able to read it.
pub fn cache() -> PathBuf {
    if let Some(dir) = std::env::var_os("DUNLIN_SERVERS_DIR") {
        return PathBuf::from(dir);
    }
    if super::process::is_root() {
        return PathBuf::from("/var/cache/dunlin/servers");
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .or_else(home);
    base.unwrap_or_else(std::env::temp_dir)
        .join("dunlin/servers")
}

/// The programs of a kind, or a sentence that names the command which installs them.
pub fn find(kind: Kind) -> anyhow::Result<Programs> {
    let found = match kind {
        Kind::Postgres => postgres_majors()
            .into_iter()
            .find(|(major, _)| *major <= 15)
            .map(|(_, bin)| postgres(&bin, None)),
        Kind::PostgresNewer => unpacked("postgres-newer")
            .and_then(|root| {
                newest_under(&root.join("usr/lib/postgresql")).map(|bin| postgres(&bin, Some(root)))
            })
            .or_else(|| {
                postgres_majors()
                    .into_iter()
                    .rfind(|(major, _)| *major > 15)
                    .map(|(_, bin)| postgres(&bin, None))
            }),
        Kind::Mariadb => mariadb(),
        Kind::Mysql => unpacked("mysql").map(mysql_in).or_else(mysql_installed),
    };
    match found {
        Some(programs) => Ok(programs),
        None => bail!(
            "{} is not on this machine. Install it: {INSTALL}. Or set {} to the URL of a server of yours \
             (a superuser's; databases are made and dropped in it).",
            describe(kind),
            kind.variables()[0]
        ),
    }
}

/// The kind as a person calls it.
pub const fn describe(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => "PostgreSQL 15",
        Kind::PostgresNewer => "a newer PostgreSQL",
        Kind::Mariadb => "MariaDB",
        Kind::Mysql => "Oracle MySQL",
    }
}

/// The first of these names in the usual folders of programs.
pub fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
        "/usr/libexec",
    ];
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(usual.iter().map(PathBuf::from))
        .collect();
    names.iter().find_map(|name| {
        folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    })
}

/// A root that [`super::install`] unpacked whole.
fn unpacked(name: &str) -> Option<PathBuf> {
    let root = cache().join(name);
    root.join("complete").is_file().then_some(root)
}

fn postgres(bin: &Path, root: Option<PathBuf>) -> Programs {
    Programs {
        server: bin.join("postgres"),
        init: Some(bin.join("initdb")),
        root,
        tools: bin.to_owned(),
    }
}

/// The majors that the distribution installed, ascending.
fn postgres_majors() -> Vec<(u32, PathBuf)> {
    let mut found = majors_under(Path::new("/usr/lib/postgresql"));
    // Fedora and its kin: /usr/pgsql-17/bin.
    for major in 13..40 {
        let bin = PathBuf::from(format!("/usr/pgsql-{major}/bin"));
        if bin.join("postgres").is_file() {
            found.push((major, bin));
        }
    }
    found.sort();
    found
}

fn majors_under(folder: &Path) -> Vec<(u32, PathBuf)> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, bin)| bin.join("postgres").is_file() && bin.join("initdb").is_file())
        .collect();
    found.sort();
    found
}

fn newest_under(folder: &Path) -> Option<PathBuf> {
    majors_under(folder).pop().map(|(_, bin)| bin)
}

fn mariadb() -> Option<Programs> {
    let server = program(&["mariadbd"])?;
    let init = program(&["mariadb-install-db"])?;
    let tools = init.parent()?.to_owned();
    Some(Programs {
        server,
        init: Some(init),
        root: None,
        tools,
    })
}

fn mysql_in(root: PathBuf) -> Programs {
    Programs {
        server: root.join("usr/sbin/mysqld"),
        init: None,
        tools: root.join("usr/bin"),
        root: Some(root),
    }
}

/// An installed `mysqld` that is Oracle's: MariaDB's packages have a program of that name, too.
fn mysql_installed() -> Option<Programs> {
    let server = program(&["mysqld"])?;
    let said = std::process::Command::new(&server)
        .args(["--no-defaults", "--version"])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let tools = program(&["mysqldump"])?.parent()?.to_owned();
    (!said.contains("MariaDB")).then_some(Programs {
        server,
        init: None,
        root: None,
        tools,
    })
}
