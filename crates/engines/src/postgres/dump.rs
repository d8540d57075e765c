//! Backups by `pg_dump` and `pg_restore`. Passwords reach them by a file that only this user can read.

use super::address::{Address, Host};
use crate::DbError;
use crate::dump::{Dumped, Lack, Secret, child, failed};
use dunlin_core::failure::ErrorClass;
use std::path::Path;
use tokio::process::Command;

/// A password as `.pgpass` spells it, for every server.
fn password_file(beside: &Path, password: &str) -> Result<Secret, DbError> {
    let escaped = password.replace('\\', "\\\\").replace(':', "\\:");
    Secret::write(beside, "pgpass", &format!("*:*:*:*:{escaped}\n"))
}

/// The tool with everything but its own arguments; the file is kept as long as the tool runs.
fn tool(
    program: &str,
    address: &Address,
    beside: &Path,
) -> Result<(Command, Option<Secret>), DbError> {
    let mut command = child(program);
    let (host, password) = address
        .hosts
        .first()
        .cloned()
        .unwrap_or_else(|| (Host::Tcp("localhost".into(), 5432), None));
    match host {
        Host::Tcp(name, port) => command
            .arg("--host")
            .arg(name)
            .arg("--port")
            .arg(port.to_string()),
        Host::Unix(folder, port) => command
            .arg("--host")
            .arg(folder)
            .arg("--port")
            .arg(port.to_string()),
    };
    command
        .arg("--username")
        .arg(&address.user)
        .arg("--no-password");
    command.env("PGAPPNAME", "dunlin");
    for (name, value) in address.tls.environment() {
        command.env(name, value);
    }
    let file = match password {
        Some(password) => Some(password_file(beside, &password)?),
        None => None,
    };
    if let Some(file) = &file {
        command.env("PGPASSFILE", file.path());
    }
    Ok((command, file))
}

/// The major version of a tool, or what is missing.
async fn version(program: &str) -> Result<u32, Lack> {
    let help = "install it: apt-get install postgresql-client".to_owned();
    let output = child(program).arg("--version").output().await;
    let output = output.map_err(|_| Lack {
        why: format!("{program} is not installed"),
        help: help.clone(),
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text
        .split(|c: char| !c.is_ascii_digit())
        .find(|part| !part.is_empty());
    number.and_then(|part| part.parse().ok()).ok_or(Lack {
        why: format!("{program} does not say its version"),
        help,
    })
}

/// Dumps a database from an exported snapshot into a file.
pub(super) async fn dump(
    address: &Address,
    server: u32,
    snapshot: &str,
    to: &Path,
) -> Result<Dumped, DbError> {
    let found = match version("pg_dump").await {
        Ok(found) => found,
        Err(lack) => return Ok(Dumped::Own(lack)),
    };
    if found < server {
        let why =
            format!("pg_dump is of version {found}, and refuses a server of version {server}");
        return Ok(Dumped::Own(Lack {
            why,
            help: format!("install it: apt-get install postgresql-client-{server}"),
        }));
    }
    let (mut command, _password) = tool("pg_dump", address, to)?;
    command
        .args([
            "--format=custom",
            "--compress=0",
            "--snapshot",
            snapshot,
            "--file",
        ])
        .arg(to);
    command.arg("--dbname").arg(&address.database);
    let output = command
        .output()
        .await
        .map_err(|error| DbError::new(ErrorClass::Other, format!("pg_dump: {error}")))?;
    if !output.status.success() {
        return Err(failed("pg_dump", &output));
    }
    Ok(Dumped::Tool(format!("pg_dump {found}")))
}

/// Restores a dump into an empty database.
pub(super) async fn load(address: &Address, from: &Path) -> Result<(), DbError> {
    if let Err(lack) = version("pg_restore").await {
        let mut error = DbError::new(ErrorClass::Other, lack.why);
        error.hint = Some(lack.help);
        return Err(error);
    }
    let (mut command, _password) = tool("pg_restore", address, from)?;
    // By this name a later restore finds it, should this runner be killed: the tool's session would outlive it.
    command.env("PGAPPNAME", "dunlin restore");
    command.args([
        "--exit-on-error",
        "--single-transaction",
        "--no-owner",
        "--dbname",
    ]);
    command.arg(&address.database).arg(from);
    let output = command
        .output()
        .await
        .map_err(|error| DbError::new(ErrorClass::Other, format!("pg_restore: {error}")))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed("pg_restore", &output))
    }
}
