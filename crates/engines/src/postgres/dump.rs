//! Backups by `pg_dump` and `pg_restore`. Passwords reach them by a file that only this user can read.

use super::address::{Address, Host};
use crate::dump::{Dumped, Lack, Secret, child, failed};
use crate::{DbError, Engine, Purpose};
use dunlin_core::failure::ErrorClass;
use dunlin_core::value::{Row, Value};
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

/// The contents of a dump without the schemas that are there: their names, and the numbers that they have in the catalog.
///
/// A line is `8; 2615 18655 SCHEMA - name owner`.
fn without_schemas(contents: &str, there: &[(String, String)]) -> String {
    let made = |line: &&str| {
        let Some((numbers, named)) = line.split_once(" SCHEMA - ") else {
            return true;
        };
        let number = numbers.rsplit(' ').next().unwrap_or_default();
        let is = |(name, its): &(String, String)| {
            let owner = named.strip_prefix(name.as_str());
            let owner = owner.and_then(|rest| rest.strip_prefix(' '));
            // Names may hold blanks: the number is sure, and a name with one word behind it is.
            owner.is_some_and(|owner| its == number || !owner.contains(' '))
        };
        numbers.contains(|c: char| !c.is_ascii_digit() && !"; ".contains(c))
            || !there.iter().any(is)
    };
    let lines = contents.lines().filter(made);
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The contents of a dump without the schemas that this database has, as a file beside it.
async fn contents(engine: &dyn Engine, address: &Address, from: &Path) -> Result<Secret, DbError> {
    let wrong =
        |error: std::io::Error| DbError::new(ErrorClass::Other, format!("pg_restore: {error}"));
    let (mut command, _password) = tool("pg_restore", address, from)?;
    let output = command.arg("--list").arg(from).output().await;
    let output = output.map_err(wrong)?;
    if !output.status.success() {
        return Err(failed("pg_restore", &output));
    }
    let mut session = engine.open(Purpose::Read).await?;
    let schemas = "SELECT nspname::text, oid::text FROM pg_catalog.pg_namespace";
    let there = session.ask(schemas, &[]).await;
    session.close().await;
    let text = |row: &Row, at: usize| {
        row.get(at)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let there: Vec<_> = there?
        .iter()
        .map(|row| (text(row, 0), text(row, 1)))
        .collect();
    let listed = String::from_utf8_lossy(&output.stdout);
    Secret::write(from, "list", &without_schemas(&listed, &there))
}

/// Restores a dump into an empty database. `over`: in place of what of it is there still.
pub(super) async fn load(
    engine: &dyn Engine,
    address: &Address,
    from: &Path,
    over: bool,
) -> Result<(), DbError> {
    if let Err(lack) = version("pg_restore").await {
        let mut error = DbError::new(ErrorClass::Other, lack.why);
        error.hint = Some(lack.help);
        return Err(error);
    }
    let list = match over {
        true => Some(contents(engine, address, from).await?),
        false => None,
    };
    let (mut command, _password) = tool("pg_restore", address, from)?;
    if let Some(list) = &list {
        command.args(["--clean", "--if-exists", "--use-list"]);
        command.arg(list.path());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_that_are_there_are_not_made_again() {
        let contents = "; comment\n5; 2615 11 SCHEMA - s postgres\n6; 2615 12 SCHEMA - s p postgres\n\
                        7; 2615 13 SCHEMA - a b c d\n8; 1259 14 TABLE s SCHEMA - s postgres\n9; 0 0 COMMENT - SCHEMA s postgres\n";
        let there = |names: &[(&str, &str)]| {
            let names = names
                .iter()
                .map(|(name, number)| ((*name).to_owned(), (*number).to_owned()));
            let left = without_schemas(contents, &names.collect::<Vec<_>>());
            left.lines()
                .map(|line| line[..1].to_owned())
                .collect::<String>()
        };
        assert_eq!(there(&[]), ";56789");
        assert_eq!(there(&[("s", "11")]), ";6789");
        assert_eq!(there(&[("s", "99")]), ";6789", "made anew since");
        assert_eq!(there(&[("s p", "99")]), ";5789");
        assert_eq!(there(&[("a b", "13")]), ";5689");
        assert_eq!(there(&[("other", "13")]), ";56789");
    }
}
