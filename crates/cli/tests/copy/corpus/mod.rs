//! Databases with one hazard each, from the tables of hard cases: what stands in the source, and what must arrive.
//!
//! Every case is copied, and of each is asked: the exit code is 0 exactly where every digest agrees and nothing was
//! rejected; what is asked of the target has the answer that is written here; what the source would refuse, the target
//! refuses; what did not go over is listed by name. A case that the product does not pass yet stands in `KNOWN` with its
//! reason, and must go on failing: who mends the fault takes it from the list.

mod elsewhere;
mod from_mysql;
mod keys;
mod kin;
mod names;
mod same;

mod sqlite;
mod to_mysql;
mod to_sqlite;

use crate::ways;
use dunlin_testkit::TestDatabase;
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::sandbox::{Ran, Sandbox};
use rusqlite::Connection;
use serde_json::Value;
use std::sync::Mutex;

/// How a case's copy ends under the policies as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Exit 0, every digest equal.
    Arrives,
    /// The copy stops with this exit code, its failure of this code. Where it is 1, rejecting ends with 8.
    Stops(i32, &'static str),
}

/// What is tried on the target afterwards, in this order.
#[derive(Debug, Clone)]
enum Act {
    /// A question and its answer.
    Ask(String, String),
    /// It must be refused.
    Refused(String),
    /// It must be taken.
    Taken(String),
    /// Both are files of SQLite, and every cell and statement is as it was.
    Alike,
}

/// One hazard.
#[derive(Debug, Clone)]
pub struct Case {
    id: &'static str,
    source: String,
    ends: Ends,
    acts: Vec<Act>,
    listed: Vec<String>,
}

/// A case whose rows arrive whole, unless said otherwise.
pub fn case(id: &'static str, source: impl Into<String>) -> Case {
    Case {
        id,
        source: source.into(),
        ends: Ends::Arrives,
        acts: vec![],
        listed: vec![],
    }
}

impl Case {
    /// The copy stops under the policy `fail`.
    fn stops(mut self, exit: i32, code: &'static str) -> Case {
        self.ends = Ends::Stops(exit, code);
        self
    }

    /// A question to the target, and its answer.
    fn ask(mut self, sql: &str, answer: &str) -> Case {
        self.acts.push(Act::Ask(sql.to_owned(), answer.to_owned()));
        self
    }

    /// What the target must refuse.
    fn refuse(mut self, sql: &str) -> Case {
        self.acts.push(Act::Refused(sql.to_owned()));
        self
    }

    /// What the target must take.
    fn take(mut self, sql: &str) -> Case {
        self.acts.push(Act::Taken(sql.to_owned()));
        self
    }

    /// A text that `lossy`, `not_carried` or the findings hold.
    fn listed(mut self, text: &str) -> Case {
        self.listed.push(text.to_owned());
        self
    }
}

/// From which engine to which.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// Where the hazards are made.
    pub from: TestEngine,
    /// Where they must arrive.
    pub to: TestEngine,
}

/// One end: a database with its URL.
pub struct End {
    database: TestDatabase,
    engine: TestEngine,
}

impl End {
    /// An empty database.
    pub fn new(engine: TestEngine) -> End {
        let database = engine.database();
        if engine.is_mysql_family() {
            let sql = format!("ALTER DATABASE {} CHARACTER SET utf8mb4", database.name());
            let _ = database.run(&sql);
        }
        End { database, engine }
    }

    /// Makes what a case has. Statements end with `;` at a line's end.
    pub fn fill(&self, sql: &str) -> Result<(), String> {
        if let Some(file) = self.database.file() {
            let connection = Connection::open(file).map_err(|error| error.to_string())?;
            // As applications leave it: rows may refer to nothing.
            return connection
                .execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}"))
                .map_err(|error| error.to_string());
        }
        // One session for all: what a case sets holds for its later statements.
        let all = if self.engine.is_mysql_family() {
            format!("SET SESSION sql_mode = ''; {sql}")
        } else {
            sql.to_owned()
        };
        self.database
            .try_run(&all)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    pub fn url(&self) -> &str {
        self.database.url()
    }
}

/// `dunlin copy`, as JSON.
pub fn copy(sandbox: &Sandbox, from: &End, to: &End, more: &[&str]) -> Ran {
    let mut args = vec!["copy", from.url(), to.url(), "--format", "json"];
    args.extend(more);
    sandbox.dunlin(args)
}

/// Exit 0 exactly where the digests agree and nothing is rejected.
fn honest(ran: &Ran, json: &Value) -> Result<(), String> {
    let data = &json["data"];
    let tables = data["tables"].as_array().cloned().unwrap_or_default();
    let rejected: u64 = tables
        .iter()
        .filter_map(|table| table["rejected"].as_u64())
        .sum();
    let all = tables.iter().all(|table| table["equal"] == true);
    let whole = data["equal"] == true && all && rejected == 0;
    if (ran.code == Some(0)) == whole {
        return Ok(());
    }
    Err(format!(
        "exit {:?} where equal is {} and {rejected} rows are rejected",
        ran.code, data["equal"]
    ))
}

/// What a case is not as it must be, or nothing.
fn run(case: &Case, pair: Pair) -> Result<(), String> {
    let from = End::new(pair.from);
    from.fill(&case.source)
        .map_err(|error| format!("SETUP {error}"))?;
    let (sandbox, to) = (Sandbox::new(), End::new(pair.to));
    let ran = copy(&sandbox, &from, &to, &[]);
    let json = ran.json();
    honest(&ran, &json)?;
    ways::agree(from.url(), to.url())?;
    let said = || {
        format!(
            "{} / {}",
            json["failure"],
            ran.stderr.lines().last().unwrap_or_default()
        )
    };
    match case.ends {
        Ends::Arrives if ran.code != Some(0) => {
            return Err(format!("exit {:?}: {}", ran.code, said()));
        }
        Ends::Arrives => {
            // What was proven a moment ago is so still.
            let args = ["verify", from.url(), to.url(), "--format", "json"];
            let verified = sandbox.dunlin(args);
            if verified.code != Some(0) {
                let found = &verified.json()["data"]["differences"];
                return Err(format!("verify ends with {:?}: {found}", verified.code));
            }
            if case.acts.iter().any(|act| matches!(act, Act::Alike)) {
                alike(&from, &to)?;
            }
            target(case, &to, &json, &ran)?;
        }
        Ends::Stops(exit, code) => {
            if ran.code != Some(exit) || json["failure"]["code"] != code {
                return Err(format!(
                    "wanted exit {exit} ({code}), got {:?}: {}",
                    ran.code,
                    said()
                ));
            }
            if exit == 1 {
                rejects(case, &from, pair)?;
            }
        }
    }
    Ok(())
}

fn target(case: &Case, to: &End, json: &Value, ran: &Ran) -> Result<(), String> {
    let text = format!("{json}{}", ran.stderr);
    for part in &case.listed {
        if !text.contains(part.as_str()) {
            return Err(format!("`{part}` is not listed in {text}"));
        }
    }
    for act in &case.acts {
        tried(act, to).map_err(|why| {
            format!(
                "{why}; lossy {}, not carried {}",
                json["data"]["lossy"], json["data"]["not_carried"]
            )
        })?;
    }
    Ok(())
}

fn tried(act: &Act, to: &End) -> Result<(), String> {
    match act {
        Act::Ask(sql, wanted) => {
            let rows = to
                .database
                .try_run(sql)
                .map_err(|error| format!("{sql}: {error}"))?;
            let cells = rows.into_iter().flatten();
            let found: Vec<String> = cells
                .map(|cell| cell.unwrap_or_else(|| "NULL".into()))
                .collect();
            let found = found.join("|");
            if found == *wanted {
                Ok(())
            } else {
                Err(format!("{sql}: {found:?} and not {wanted:?}"))
            }
        }
        Act::Refused(sql) => match to.database.try_run(sql) {
            Ok(_) => Err(format!("the target takes {sql}")),
            Err(_) => Ok(()),
        },
        Act::Taken(sql) => match to.database.try_run(sql) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("the target refuses {sql}: {error}")),
        },
        // Looked at before anything was tried.
        Act::Alike => Ok(()),
    }
}

/// Every statement of a file of SQLite that made a table or index, and every cell with its class, by SQLite's own words.
fn everything(end: &End) -> rusqlite::Result<Vec<String>> {
    let connection = Connection::open(end.database.file().unwrap())?;
    let list = |sql: &str| -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect()
    };
    const OWN: &str = "sql IS NOT NULL AND tbl_name NOT LIKE 'dunlin%' AND tbl_name NOT LIKE 'sqlite%' AND tbl_name NOT IN \
        (SELECT name FROM pragma_table_list WHERE type IN ('virtual', 'shadow'))";
    let mut all = list(&format!("SELECT sql FROM sqlite_schema WHERE {OWN}"))?;
    for table in list(&format!(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND {OWN}"
    ))? {
        let name = format!("\"{}\"", table.replace('"', "\"\""));
        let columns = list(&format!(
            "SELECT name FROM pragma_table_xinfo('{}')",
            table.replace('\'', "''")
        ))?;
        for columns in columns.chunks(50) {
            let cell = |column: &String| {
                let column = format!("\"{}\"", column.replace('"', "\"\""));
                format!("typeof({column}) || ' ' || hex({column}) || ' ' || quote({column})")
            };
            let cells: Vec<String> = columns.iter().map(cell).collect();
            let own = list(&format!(
                "SELECT hex({}) FROM {name}",
                cells.join(" || ',' || ")
            ))?;
            all.extend(own.into_iter().map(|cells| format!("{table}: {cells}")));
        }
    }
    all.sort();
    Ok(all)
}

/// What of the one is not in the other.
fn alike(from: &End, to: &End) -> Result<(), String> {
    let wrong = |error: rusqlite::Error| error.to_string();
    let (here, there) = (
        everything(from).map_err(wrong)?,
        everything(to).map_err(wrong)?,
    );
    if here == there {
        return Ok(());
    }
    let missing = here.iter().filter(|line| !there.contains(line));
    let added = there.iter().filter(|line| !here.contains(line));
    let few = |lines: Vec<&String>| lines.into_iter().take(3).cloned().collect::<Vec<_>>();
    Err(format!(
        "not alike: {:?} became {:?}",
        few(missing.collect()),
        few(added.collect())
    ))
}

/// Rejecting leaves the rest equal, says how many were rejected, and ends with 8.
fn rejects(case: &Case, from: &End, pair: Pair) -> Result<(), String> {
    let (sandbox, to) = (Sandbox::new(), End::new(pair.to));
    let ran = copy(
        &sandbox,
        from,
        &to,
        &["--on-error", "reject", "--rejects", "r.ndjson"],
    );
    let json = ran.json();
    honest(&ran, &json)?;
    ways::agree(from.url(), to.url())?;
    if ran.code != Some(8) || json["data"]["equal"] != true {
        return Err(format!(
            "rejecting ends with {:?}: {}",
            ran.code, json["failure"]
        ));
    }
    let lines = sandbox.read("r.ndjson").lines().count() as u64;
    let tables = json["data"]["tables"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let rejected: u64 = tables
        .iter()
        .filter_map(|table| table["rejected"].as_u64())
        .sum();
    if lines != rejected {
        return Err(format!("{rejected} rows rejected, {lines} written down"));
    }
    target(case, &to, &json, &ran)
}

/// Runs all cases, a few at once, and names every one that is not as it must be.
fn all(pair: Pair, cases: &[Case], known: &[(&str, &str)]) {
    let queue = Mutex::new(cases.iter().collect::<Vec<_>>());
    let failed = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().unwrap().pop() else {
                        return;
                    };
                    let expected = known.iter().find(|(id, _)| *id == case.id);
                    match (run(case, pair), expected) {
                        (Ok(()), None) => {}
                        (Ok(()), Some(_)) => failed.lock().unwrap().push(format!(
                            "{}: passes; take it from the list of known faults",
                            case.id
                        )),
                        (Err(why), Some((_, part))) if why.contains(part) => {}
                        (Err(why), _) => failed.lock().unwrap().push(format!("{}: {why}", case.id)),
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    assert!(
        failed.is_empty(),
        "{} of {} cases from {} to {}:\n{}",
        failed.len(),
        cases.len(),
        pair.from,
        pair.to,
        failed.join("\n")
    );
}
