//! The objects of a database by the tool that the server's makers ship: `mariadb-dump` or `mysqldump`. Rows are read by
//! our own snapshot reader; the password reaches the tool by a file that only this user can read.

use super::address::Address;
use crate::DbError;
use crate::dump::{Dumped, Lack, Secret, child};
use crate::tls::{Mode, Roots, Verify};
use dunlin_core::dialect::{Caps, EngineKind};
use dunlin_core::failure::ErrorClass;
use std::path::Path;

/// A tool that is here and fits.
struct Tool {
    program: &'static str,
    /// `mariadb-dump 10.11.6`, for the manifest.
    shown: String,
    mariadb: bool,
}

/// What a tool says of itself: whether it is MariaDB's, and its version.
fn read_version(said: &str) -> Option<(bool, (u32, u32, u32))> {
    let mariadb = said.contains("MariaDB");
    // `Ver 10.19 Distrib 10.11.6-MariaDB`, `from 11.4.2-MariaDB, client 10.19`, `Ver 8.0.36 for Linux`: the program's
    // own number stands elsewhere than the release's.
    let marks = ["Distrib ", "from ", "Ver "];
    let rest = marks
        .iter()
        .find_map(|mark| said.split_once(mark).map(|(_, rest)| rest))?;
    let numbers = dunlin_core::dialect::version_numbers(rest.split([' ', ',', '-']).next()?);
    (numbers.0 > 0).then_some((mariadb, numbers))
}

/// The command that installs a tool for a server.
fn install(caps: &Caps, old: bool) -> String {
    let (major, minor, _) = caps.version;
    match (caps.engine, old) {
        (EngineKind::Mariadb, false) => "install it: apt-get install mariadb-client".into(),
        (EngineKind::Mariadb, true) => format!(
            "install a newer one: curl -LsS https://r.mariadb.com/downloads/mariadb_repo_setup | bash -s -- \
             --mariadb-server-version=mariadb-{major}.{minor} && apt-get install mariadb-client"
        ),
        (_, false) => "install it: apt-get install default-mysql-client".into(),
        (_, true) => format!(
            "install a newer one, of MySQL {major}.{minor}, from https://repo.mysql.com: apt-get install \
             mysql-community-client"
        ),
    }
}

/// The tool for this server, or why there is none.
async fn find(caps: &Caps) -> Result<Tool, Lack> {
    let ours = caps.engine == EngineKind::Mariadb;
    let names: &[&str] = if ours {
        &["mariadb-dump", "mysqldump"]
    } else {
        &["mysqldump", "mariadb-dump"]
    };
    let wanted = (caps.version.0, caps.version.1);
    let mut lack = Lack {
        why: format!("{} is not installed", names[0]),
        help: install(caps, false),
    };
    for program in names {
        let Ok(output) = child(program).arg("--version").output().await else {
            continue;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some((mariadb, found)) = read_version(&said) else {
            continue;
        };
        // MySQL's tool cannot read MariaDB's catalog; MariaDB's reads MySQL's, and the backup is verified.
        if ours && !mariadb {
            continue;
        }
        if mariadb == ours && (found.0, found.1) < wanted {
            lack = Lack {
                why: format!(
                    "{program} is of version {}.{}, older than the server ({}.{})",
                    found.0, found.1, wanted.0, wanted.1
                ),
                help: install(caps, true),
            };
            continue;
        }
        return Ok(Tool {
            program,
            shown: format!("{program} {}.{}.{}", found.0, found.1, found.2),
            mariadb,
        });
    }
    Err(lack)
}

/// A value as option files take it.
fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The address as an option file. The tool reads this one and no other.
fn options(address: &Address, tool: &Tool) -> String {
    let mut lines = vec!["[client]".to_owned()];
    let mut put = |name: &str, value: &str| lines.push(format!("{name}={}", quoted(value)));
    if let Some(user) = &address.user {
        put("user", user);
    }
    if let Some(password) = &address.password {
        put("password", password);
    }
    match &address.socket {
        Some(socket) => {
            put("socket", socket);
            put("protocol", "socket");
        }
        None => {
            put("host", &address.host);
            put("port", &address.port.to_string());
            put("protocol", "tcp");
        }
    }
    put("default-character-set", "utf8mb4");
    let plan = &address.tls;
    if address.socket.is_none() && plan.mode != Mode::Disable {
        if plan.verify() != Verify::Nothing {
            let file = match &plan.roots {
                Roots::File(path) => Some(path.clone()),
                Roots::Public => crate::tls::system_bundle().map(Path::to_path_buf),
            };
            if let Some(file) = file {
                put("ssl-ca", &file.display().to_string());
            }
        }
        if let Some((certificate, key)) = &plan.identity {
            put("ssl-cert", &certificate.display().to_string());
            put("ssl-key", &key.display().to_string());
        }
    }
    let tls = match (tool.mariadb, plan.mode) {
        _ if address.socket.is_some() => "",
        (true, Mode::Disable) => "skip-ssl",
        (true, Mode::Require(Verify::Ca | Verify::Full)) => "ssl\nssl-verify-server-cert",
        (true, _) => "ssl\nloose-skip-ssl-verify-server-cert",
        (false, Mode::Disable) => "ssl-mode=DISABLED",
        (false, Mode::Allow | Mode::Prefer) => "ssl-mode=PREFERRED",
        (false, Mode::Require(Verify::Nothing)) => "ssl-mode=REQUIRED",
        (false, Mode::Require(Verify::Ca)) => "ssl-mode=VERIFY_CA",
        (false, Mode::Require(Verify::Full)) => "ssl-mode=VERIFY_IDENTITY",
    };
    lines.push(tls.to_owned());
    lines.join("\n") + "\n"
}

/// Dumps the objects: of the whole database, or of these tables and views. `beside`: where the option file may stand.
pub(super) async fn objects(
    address: &Address,
    caps: &Caps,
    only: &[String],
    beside: &Path,
) -> Result<Dumped, DbError> {
    let tool = match find(caps).await {
        Ok(tool) => tool,
        Err(lack) => return Ok(Dumped::Own(lack)),
    };
    let file = Secret::write(beside, "cnf", &options(address, &tool))?;
    let mut option = std::ffi::OsString::from("--defaults-file=");
    option.push(file.path());
    let mut command = child(tool.program);
    // The option file has to come first.
    command.arg(option).args([
        "--no-data",
        "--routines",
        "--triggers",
        "--events",
        "--skip-lock-tables",
        "--no-tablespaces",
        "--skip-dump-date",
        "--loose-set-gtid-purged=OFF",
    ]);
    command.arg("--").args(&address.database).args(only);
    let output = command
        .output()
        .await
        .map_err(|error| DbError::new(ErrorClass::Other, format!("{}: {error}", tool.program)))?;
    drop(file);
    if !output.status.success() {
        let why = crate::dump::failed(tool.program, &output).message;
        let help = "see what the tool says; the right SHOW_ROUTINE, EVENT or TRIGGER is often what it lacks";
        return Ok(Dumped::Own(Lack {
            why,
            help: help.into(),
        }));
    }
    match String::from_utf8(output.stdout) {
        Ok(script) if !script.contains("\n-- Dump completed") => Ok(Dumped::Own(Lack {
            why: format!("what {} wrote has no end", tool.program),
            help: "look at the tool: is a wrapper in `PATH`?".into(),
        })),
        Ok(script) => Ok(Dumped::Objects {
            tool: tool.shown,
            script,
        }),
        Err(_) => Ok(Dumped::Own(Lack {
            why: format!(
                "{} wrote text that is no UTF-8 (a routine made by a client of another charset)",
                tool.program
            ),
            help: "make that routine again with a client that speaks utf8mb4".into(),
        })),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_read_as_the_tools_spell_them() {
        for (said, expected) in [
            (
                "mysqldump  Ver 9.7.4-2 for Linux on x86_64 ((Debian))",
                (false, (9, 7, 4)),
            ),
            (
                "mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)",
                (false, (5, 7, 44)),
            ),
            (
                "mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)",
                (true, (10, 11, 19)),
            ),
            (
                "mariadb-dump from 11.4.2-MariaDB, client 10.19 for Linux (x86_64)",
                (true, (11, 4, 2)),
            ),
        ] {
            assert_eq!(read_version(said), Some(expected), "{said}");
        }
        assert_eq!(read_version("command not found"), None);
    }

    #[test]
    fn values_of_an_option_file_are_quoted() {
        assert_eq!(quoted("a#b"), "\"a#b\"");
        assert_eq!(quoted("q\"\\\n"), "\"q\\\"\\\\\\n\"");
    }
}
