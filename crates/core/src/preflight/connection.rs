//! Whether the database answers, and whether it is well.

use super::Checked;

/// The code of the page about a database that does not answer.
pub const CODE: &str = "unreachable";

/// The code of the page about one that is not well.
pub const HEALTH: &str = "unhealthy";

/// The database answers.
pub fn answers(engine: &str, version: &str) -> Checked {
    Checked::passed("connection", CODE, format!("{engine} {version} answers"))
}

/// It does not; `code` is that of the failure.
pub fn silent(code: &'static str, message: &str, help: Option<&str>) -> Checked {
    let checked = Checked::failed("connection", code, message);
    match help {
        Some(help) => checked.help(help),
        None => checked.help("see that the server runs and that the URL names it"),
    }
}

/// What is wrong with it; `None`: it could not be asked, and why.
pub fn health(troubles: Result<&[String], &str>) -> Checked {
    match troubles {
        Ok([]) => Checked::passed("health", HEALTH, "nothing is wrong with the database"),
        Ok(troubles) => Checked::failed("health", HEALTH, troubles.join("; "))
            .help("mend it, or take another server, before anything is changed"),
        Err(why) => Checked::not_run("health", HEALTH, format!("not finished: {why}")),
    }
}
