//! What every engine must do, as a list of questions over `&dyn Engine`. An engine is supported when it passes.
//!
//! Each function makes what it needs in the database of the engine it is given and drops it again, so they may run one
//! after the other on one database; two of them at once need two databases.

mod loading;
mod values;
mod whole;

use anyhow::{Result, bail, ensure};
use dunlin_core::dialect::EngineKind;
use dunlin_core::failure::ErrorClass;
use dunlin_core::value::Value;
use dunlin_engines::{Cell, DbError, Engine, Halted, Purpose, Session};
pub use loading::{loading, loading_cut, loading_refused};
use std::time::{Duration, Instant};
pub use whole::whole;

/// Names that only a tool which quotes everything survives.
pub const ODD_NAMES: &[&str] = &[
    "plain",
    "select",
    "with space",
    "it's",
    "back`tick",
    "double\"quote",
    "[bracket]",
    "semi;colon",
    "جدول",
    "🐦 dunlin",
    "percent%",
];

fn kind(session: &dyn Session) -> EngineKind {
    session.caps().engine
}

/// A text that the engine takes `ms` milliseconds to run, and runs nowhere else.
fn sleep(session: &dyn Session, seconds: u32) -> String {
    match kind(session) {
        EngineKind::Postgres => format!("SELECT pg_sleep({seconds})"),
        EngineKind::Mysql | EngineKind::Mariadb => format!("SELECT SLEEP({seconds})"),
        EngineKind::Sqlite => "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                               SELECT count(*) FROM n"
            .into(),
    }
}

fn class_of<T: std::fmt::Debug>(outcome: Result<T, DbError>) -> Result<ErrorClass> {
    match outcome {
        Ok(value) => bail!("an error was expected, there came {value:?}"),
        Err(error) => Ok(error.class),
    }
}

/// Everything, in order. The first failure names the question.
pub async fn all(engine: &dyn Engine) -> Result<()> {
    use anyhow::Context;
    purposes(engine).await.context("purposes")?;
    values(engine).await.context("values")?;
    transactions(engine).await.context("transactions")?;
    one_trip(engine).await.context("one_trip")?;
    whole(engine).await.context("whole")?;
    error_classes(engine).await.context("error_classes")?;
    cancel(engine).await.context("cancel")?;
    streaming(engine).await.context("streaming")?;
    loading(engine).await.context("loading")?;
    loading_refused(engine).await.context("loading_refused")?;
    loading_cut(engine).await.context("loading_cut")?;
    odd_names(engine).await.context("odd_names")?;
    databases(engine).await.context("databases")?;
    Ok(())
}

/// Each purpose opens; a reader cannot write.
pub async fn purposes(engine: &dyn Engine) -> Result<()> {
    for purpose in [Purpose::Script, Purpose::Tool, Purpose::Lease] {
        let mut session = engine.open(purpose).await?;
        let rows = session.query("SELECT 1", &[]).await?;
        ensure!(rows == vec![vec![Value::Int(1)]], "{purpose:?}: {rows:?}");
        ensure!(session.caps().version.0 > 0, "{:?}", session.caps());
        session.close().await;
    }
    let mut tool = engine.open(Purpose::Tool).await?;
    tool.execute("DROP TABLE IF EXISTS reader_t").await?;
    tool.execute("CREATE TABLE reader_t (id INT)").await?;
    let mut reader = engine.open(Purpose::Read).await?;
    ensure!(reader.query("SELECT count(*) FROM reader_t", &[]).await? == vec![vec![Value::Int(0)]]);
    let denied = class_of(reader.execute("INSERT INTO reader_t VALUES (1)").await)?;
    ensure!(denied == ErrorClass::ReadOnly, "INSERT: {denied:?}");
    let denied = class_of(reader.execute("CREATE TABLE reader_u (id INT)").await)?;
    ensure!(denied == ErrorClass::ReadOnly, "CREATE: {denied:?}");
    reader.begin().await?;
    let denied = class_of(reader.execute_with("DELETE FROM reader_t", &[]).await)?;
    ensure!(denied == ErrorClass::ReadOnly, "DELETE: {denied:?}");
    reader.rollback().await?;
    reader.close().await;
    tool.execute("DROP TABLE reader_t").await?;
    tool.close().await;
    Ok(())
}

/// Every value comes back as it went in, by bound values and by text, the first time and again.
pub async fn values(engine: &dyn Engine) -> Result<()> {
    let mut session = engine.open(Purpose::Tool).await?;
    let (bytes, double, text) = match kind(&*session) {
        EngineKind::Postgres => ("BYTEA", "DOUBLE PRECISION", "TEXT"),
        EngineKind::Sqlite => ("BLOB", "DOUBLE", "TEXT"),
        EngineKind::Mysql | EngineKind::Mariadb => {
            ("BLOB", "DOUBLE", "LONGTEXT CHARACTER SET utf8mb4")
        }
    };
    session.execute("DROP TABLE IF EXISTS value_t").await?;
    session
        .execute(&format!(
            "CREATE TABLE value_t (id INT PRIMARY KEY, i BIGINT, f {double}, t {text}, b {bytes})"
        ))
        .await?;
    let mark = |n: usize| session.dialect().param(n);
    let insert = format!(
        "INSERT INTO value_t (id, i, f, t, b) VALUES ({}, {}, {}, {}, {})",
        mark(1),
        mark(2),
        mark(3),
        mark(4),
        mark(5)
    );
    let select = format!("SELECT i, f, t, b FROM value_t WHERE id = {}", mark(1));
    let rows = [
        [
            Value::Int(0),
            Value::Float(0.1),
            "".into(),
            Value::Bytes(vec![]),
        ],
        [
            Value::Int(i64::MAX),
            Value::Float(f64::MAX),
            "é 🐦 'x' \\ \" \n".into(),
            Value::Bytes(vec![0, 255, 39, 92]),
        ],
        [
            Value::Int(i64::MIN),
            Value::Float(5e-324),
            "فارسی".into(),
            Value::Bytes((0..=255).collect()),
        ],
        [Value::Null, Value::Null, Value::Null, Value::Null],
        [
            Value::Int(-1),
            Value::Float(-1.0 / 3.0),
            "t".repeat(100_000).into(),
            Value::Null,
        ],
    ];
    for (id, row) in (1i64..).zip(&rows) {
        let mut params = vec![Value::Int(id)];
        params.extend(row.iter().cloned());
        let changed = session.execute_with(&insert, &params).await?;
        ensure!(changed == 1, "changed {changed}");
        let back = session.query(&select, &[Value::Int(id)]).await?;
        ensure!(back == vec![row.to_vec()], "{back:?} is not {row:?}");
    }
    let changed = session
        .execute("UPDATE value_t SET t = 'x' WHERE id <= 3")
        .await?;
    ensure!(changed == 3, "UPDATE changed {changed}");
    let nothing = session.execute("SELECT * FROM value_t").await?;
    ensure!(nothing == 0, "a SELECT changed {nothing}");
    let text = session
        .query("SELECT i, f FROM value_t WHERE id = 5", &[])
        .await?;
    ensure!(
        text == vec![vec![Value::Int(-1), Value::Float(-1.0 / 3.0)]],
        "{text:?}"
    );
    session.execute("DROP TABLE value_t").await?;
    session.close().await;
    Ok(())
}

/// Commit keeps, roll back does not; the session knows where it stands; a failed transaction is never "committed".
pub async fn transactions(engine: &dyn Engine) -> Result<()> {
    let mut session = engine.open(Purpose::Script).await?;
    session.execute("DROP TABLE IF EXISTS tx_t").await?;
    session
        .execute("CREATE TABLE tx_t (id INT PRIMARY KEY)")
        .await?;
    ensure!(!session.in_transaction());
    session.rollback().await?;
    session.begin().await?;
    ensure!(session.in_transaction(), "after begin");
    session.execute("INSERT INTO tx_t VALUES (1)").await?;
    session.rollback().await?;
    ensure!(!session.in_transaction(), "after rollback");
    session.begin().await?;
    session.execute("INSERT INTO tx_t VALUES (2)").await?;
    session.commit().await?;
    ensure!(!session.in_transaction(), "after commit");
    session.begin().await?;
    session.execute("INSERT INTO tx_t VALUES (3)").await?;
    let failed = class_of(session.execute("INSERT INTO tx_t VALUES (2)").await)?;
    ensure!(failed == ErrorClass::Unique, "{failed:?}");
    let committed = session.commit().await.is_ok();
    let rows = session
        .query("SELECT id FROM tx_t ORDER BY id", &[])
        .await?;
    let kept = rows.contains(&vec![Value::Int(3)]);
    ensure!(
        committed == kept,
        "commit said {committed} and the row is there: {kept}"
    );
    // As a script may do it.
    session.execute("BEGIN").await?;
    ensure!(session.in_transaction(), "after a script's BEGIN");
    session.execute("COMMIT").await?;
    ensure!(!session.in_transaction(), "after a script's COMMIT");
    session.execute("DROP TABLE tx_t").await?;
    session.close().await;
    Ok(())
}

/// What goes together on one trip stops where the first of it fails, and says at which it stopped.
pub async fn one_trip(engine: &dyn Engine) -> Result<()> {
    let mut session = engine.open(Purpose::Script).await?;
    for table in ["trip_t", "trip_made", "trip_journal"] {
        let drop = format!("DROP TABLE IF EXISTS {table}");
        session.execute(&drop).await?;
    }
    for create in [
        "CREATE TABLE trip_t (id INT PRIMARY KEY)",
        "CREATE TABLE trip_journal (what VARCHAR(100) NOT NULL, n INT)",
    ] {
        session.execute(create).await?;
    }
    let cast = |n: usize, ty: &str| match kind(&*session) {
        EngineKind::Postgres => format!("{}::{ty}", session.dialect().param(n)),
        _ => session.dialect().param(n),
    };
    let record = format!(
        "INSERT INTO trip_journal (what, n) VALUES ({}, {})",
        cast(1, "text"),
        cast(2, "integer")
    );
    let good: [Value; 2] = ["it's `odd`? \\ ü".into(), Value::Int(-1)];
    let bad = [Value::Null, Value::Int(1)];
    // Three times: a statement may be prepared at its second use.
    for id in 1..=3 {
        let insert = format!("INSERT INTO trip_t VALUES ({id})");
        ensure!(session.begin_with(&insert).await? == 1, "one row");
        ensure!(session.in_transaction(), "after begin_with");
        session.record_and_commit(&record, &good).await?;
        ensure!(!session.in_transaction(), "after record_and_commit");
    }
    one_trip_fails(&mut *session, &record, &good, &bad).await?;
    let written = session
        .query("SELECT what, n FROM trip_journal", &[])
        .await?;
    let alone = usize::from(!session.caps().transactional_ddl);
    ensure!(
        written == vec![good.to_vec(); 5 + alone],
        "the journal holds {written:?}"
    );
    let there = session.query("SELECT id FROM trip_t", &[]).await?;
    ensure!(there.len() == 3, "{there:?}");
    for table in ["trip_t", "trip_made", "trip_journal"] {
        session.execute(&format!("DROP TABLE {table}")).await?;
    }
    session.close().await;
    Ok(())
}

async fn one_trip_fails(
    session: &mut dyn Session,
    record: &str,
    good: &[Value],
    bad: &[Value],
) -> Result<()> {
    // The statement fails: nothing of it stays, and the error points into the statement alone.
    let failed = session.begin_with("INSERT INTO trip_t VALUES (3)").await;
    ensure!(class_of(failed)? == ErrorClass::Unique);
    session.rollback().await?;
    match session.begin_with("INSERT INTO nowhere VALUES (9)").await {
        Err(error) => ensure!(error.position.is_none_or(|at| at == 12), "{error:?}"),
        Ok(rows) => bail!("{rows} rows in a table that is not there"),
    }
    session.rollback().await?;
    let failed = session.begin_with("SELEKT 1").await;
    ensure!(class_of(failed)? == ErrorClass::Syntax);
    session.rollback().await?;
    ensure!(!session.in_transaction(), "after rollback");
    // The record fails: no commit.
    session.begin_with("INSERT INTO trip_t VALUES (4)").await?;
    match session.record_and_commit(record, bad).await {
        Err(Halted::Record(error)) => ensure!(error.class == ErrorClass::NotNull, "{error:?}"),
        other => bail!("{other:?} of a record that cannot be"),
    }
    session.rollback().await?;
    // The record fails: no statement. The statement fails: the record stays.
    let make = "CREATE TABLE trip_made (id INT PRIMARY KEY)";
    match session.record_then(record, bad, make).await {
        Err(Halted::Record(error)) => ensure!(error.class == ErrorClass::NotNull, "{error:?}"),
        other => bail!("{other:?} of a record that cannot be"),
    }
    session.record_then(record, good, make).await?;
    match session.record_then(record, good, make).await {
        Err(Halted::After(error)) => {
            ensure!(error.class == ErrorClass::ObjectExists, "{error:?}");
        }
        other => bail!("{other:?} of a table that is there"),
    }
    if !session.caps().transactional_ddl {
        // As it commits by itself, so does the record before it.
        session
            .record_then(record, good, "DROP TABLE trip_t")
            .await?;
        session
            .execute("CREATE TABLE trip_t (id INT PRIMARY KEY)")
            .await?;
        session
            .execute("INSERT INTO trip_t VALUES (1), (2), (3)")
            .await?;
    }
    ensure!(!session.in_transaction(), "at the end");
    Ok(())
}

/// Common trouble is classed alike everywhere, and the session lives on after it.
pub async fn error_classes(engine: &dyn Engine) -> Result<()> {
    let mut session = engine.open(Purpose::Script).await?;
    for table in ["err_child", "err_t"] {
        session
            .execute(&format!("DROP TABLE IF EXISTS {table}"))
            .await?;
    }
    session
        .execute("CREATE TABLE err_t (id INT PRIMARY KEY, u INT UNIQUE, n INT NOT NULL, c INT CHECK (c > 0))")
        .await?;
    session
        .execute(
            "CREATE TABLE err_child (id INT PRIMARY KEY, p INT, CONSTRAINT err_fk FOREIGN KEY (p) REFERENCES err_t (id))",
        )
        .await?;
    session
        .execute("INSERT INTO err_t VALUES (1, 1, 1, 1)")
        .await?;
    session
        .execute("INSERT INTO err_child VALUES (1, 1)")
        .await?;
    for (sql, expected) in [
        ("SELEC 1", ErrorClass::Syntax),
        ("SELECT * FROM err_nowhere", ErrorClass::ObjectMissing),
        ("DROP TABLE err_nowhere", ErrorClass::ObjectMissing),
        ("SELECT nocolumn FROM err_t", ErrorClass::ObjectMissing),
        ("CREATE TABLE err_t (id INT)", ErrorClass::ObjectExists),
        (
            "ALTER TABLE err_t ADD COLUMN u INT",
            ErrorClass::ColumnExists,
        ),
        ("INSERT INTO err_t VALUES (1, 2, 1, 1)", ErrorClass::Unique),
        ("INSERT INTO err_t VALUES (2, 1, 1, 1)", ErrorClass::Unique),
        (
            "INSERT INTO err_t VALUES (2, 2, NULL, 1)",
            ErrorClass::NotNull,
        ),
        ("INSERT INTO err_t VALUES (2, 2, 1, 0)", ErrorClass::Check),
        (
            "INSERT INTO err_child VALUES (2, 99)",
            ErrorClass::ForeignKey,
        ),
        ("DELETE FROM err_t WHERE id = 1", ErrorClass::ForeignKey),
    ] {
        let by_text = session.execute(sql).await;
        ensure!(class_of(by_text.clone())? == expected, "{sql}: {by_text:?}");
        let prepared = session.execute_with(sql, &[]).await;
        ensure!(
            class_of(prepared.clone())? == expected,
            "{sql}, prepared: {prepared:?}"
        );
    }
    session.execute("DROP TABLE err_child").await?;
    session.execute("DROP TABLE err_t").await?;
    session.close().await;
    Ok(())
}

/// A cancelled statement ends soon, and neither the cancel nor one that comes late hits the next (invariant 16).
pub async fn cancel(engine: &dyn Engine) -> Result<()> {
    let mut session = engine.open(Purpose::Script).await?;
    let canceller = session.canceller();
    let text = sleep(&*session, 30);
    let begun = Instant::now();
    let (outcome, asked) = tokio::join!(session.execute(&text), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        canceller.cancel().await
    });
    asked?;
    ensure!(
        begun.elapsed() < Duration::from_secs(10),
        "the cancel took {:?}",
        begun.elapsed()
    );
    match (kind(&*session), outcome) {
        // SLEEP itself answers 1 when it is interrupted.
        (EngineKind::Mysql | EngineKind::Mariadb, Ok(_)) => {}
        (_, outcome) => {
            let class = class_of(outcome)?;
            ensure!(class == ErrorClass::Cancelled, "{class:?}");
        }
    }
    for round in 0..20i64 {
        // Nothing runs: this cancel comes too late for anything.
        canceller.cancel().await?;
        let rows = session.query("SELECT 1", &[]).await?;
        ensure!(rows == vec![vec![Value::Int(1)]], "round {round}: {rows:?}");
    }
    session.close().await;
    // A session that is gone: nothing to cancel, and no panic.
    let _ = canceller.cancel().await;
    Ok(())
}

/// A hundred thousand rows come in batches of bounded size, doubles bit by bit as they went in.
pub async fn streaming(engine: &dyn Engine) -> Result<()> {
    const ROWS: usize = 100_000;
    let mut session = engine.open(Purpose::Tool).await?;
    let double = match kind(&*session) {
        EngineKind::Postgres => "DOUBLE PRECISION",
        _ => "DOUBLE",
    };
    session.execute("DROP TABLE IF EXISTS stream_t").await?;
    session
        .execute(&format!(
            "CREATE TABLE stream_t (id INT PRIMARY KEY, f {double}, t TEXT)"
        ))
        .await?;
    let double_of = |id: usize| {
        // A fixed walk over bit patterns; those that are not numbers are not storable everywhere.
        let bits = (id as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let value = f64::from_bits(bits);
        if value.is_finite() { value } else { 0.5 }
    };
    session.begin().await?;
    for from in (0..ROWS).step_by(1000) {
        let mut sql = String::from("INSERT INTO stream_t VALUES ");
        for id in from..from + 1000 {
            let comma = if id == from { "" } else { ", " };
            sql.push_str(&format!(
                "{comma}({id}, {:e}, 'row number {id}')",
                double_of(id)
            ));
        }
        session.execute(&sql).await?;
    }
    session.commit().await?;
    let mut seen = 0usize;
    let mut stream = session
        .stream("SELECT id, f, t FROM stream_t ORDER BY id")
        .await?;
    ensure!(
        stream.columns() == ["id", "f", "t"],
        "{:?}",
        stream.columns()
    );
    while let Some(batch) = stream.next().await? {
        ensure!(
            !batch.is_empty() && batch.len() <= 10_000,
            "a batch of {}",
            batch.len()
        );
        for index in 0..batch.len() {
            let cells: Vec<Cell<'_>> = batch.row(index).collect();
            let text = format!("row number {seen}");
            let Cell::Float(f) = cells[1] else {
                bail!("{:?} is not a double", cells[1])
            };
            ensure!(
                f.to_bits() == double_of(seen).to_bits(),
                "row {seen}: {f:e} is not {:e}",
                double_of(seen)
            );
            ensure!(cells[0] == Cell::Int(i64::try_from(seen)?) && cells[2] == Cell::Text(&text));
            seen += 1;
        }
    }
    drop(stream);
    ensure!(seen == ROWS, "{seen} rows");
    // A stream that is left in the middle leaves the session usable.
    let mut stream = session.stream("SELECT id, f, t FROM stream_t").await?;
    ensure!(stream.next().await?.is_some());
    drop(stream);
    ensure!(session.query("SELECT 1", &[]).await? == vec![vec![Value::Int(1)]]);
    let empty = session
        .stream("SELECT id FROM stream_t WHERE id < 0")
        .await?
        .next()
        .await?;
    ensure!(empty.is_none());
    let missing = session
        .stream("SELECT * FROM stream_nowhere")
        .await
        .map(|_| ());
    ensure!(class_of(missing)? == ErrorClass::ObjectMissing);
    session.execute("DROP TABLE stream_t").await?;
    session.close().await;
    Ok(())
}

/// Whatever an object is called.
pub async fn odd_names(engine: &dyn Engine) -> Result<()> {
    let mut session = engine.open(Purpose::Tool).await?;
    let bmp_only = matches!(kind(&*session), EngineKind::Mysql | EngineKind::Mariadb);
    for name in ODD_NAMES {
        let literal = session.dialect().literal(name);
        let rows = session.query(&format!("SELECT {literal}"), &[]).await?;
        ensure!(
            rows[0][0].as_str() == Some(name),
            "literal {name}: {rows:?}"
        );
        if bmp_only && name.chars().any(|c| c > '\u{ffff}') {
            continue; // these servers take no identifier beyond the basic plane
        }
        let quoted = session.dialect().quote(name);
        session
            .execute(&format!("DROP TABLE IF EXISTS {quoted}"))
            .await?;
        session
            .execute(&format!("CREATE TABLE {quoted} ({quoted} INT)"))
            .await?;
        session
            .execute(&format!("INSERT INTO {quoted} ({quoted}) VALUES (7)"))
            .await?;
        let rows = session
            .query(&format!("SELECT {quoted} FROM {quoted}"), &[])
            .await?;
        ensure!(rows == vec![vec![Value::Int(7)]], "{name}: {rows:?}");
        let literal = session.dialect().literal(name);
        let rows = session.query(&format!("SELECT {literal}"), &[]).await?;
        ensure!(
            rows[0][0].as_str() == Some(name),
            "literal {name}: {rows:?}"
        );
        session.execute(&format!("DROP TABLE {quoted}")).await?;
    }
    session.close().await;
    Ok(())
}

/// A sibling database is made, used, dropped, and missing by its class.
pub async fn databases(engine: &dyn Engine) -> Result<()> {
    let name = format!("{}_odd name's", engine.database());
    let sibling = engine.sibling(&name)?;
    sibling.drop_database().await?;
    if let Ok(session) = sibling.open(Purpose::Read).await {
        session.close().await;
        bail!("a database that is not there was opened");
    }
    let missing = class_of(sibling.open(Purpose::Read).await.map(|_| ()))?;
    ensure!(missing == ErrorClass::DatabaseMissing, "{missing:?}");
    sibling.create_database().await?;
    sibling.create_database().await?;
    ensure!(sibling.database() == name, "{}", sibling.database());
    let mut session = sibling.open(Purpose::Tool).await?;
    session.execute("CREATE TABLE only_here (id INT)").await?;
    session.close().await;
    let taken = class_of(sibling.create_scratch().await)?;
    ensure!(
        taken == ErrorClass::ObjectExists,
        "a scratch database is never one that is there: {taken:?}"
    );
    ensure!(engine.siblings().await?.contains(&name));
    sibling.drop_database().await?;
    sibling.create_scratch().await?;
    sibling.drop_database().await?;
    ensure!(!engine.siblings().await?.contains(&name));
    Ok(())
}
