//! Loading rows: every class of value with its extremes comes back as it went in, by the hash that a copy is proven
//! with; what an engine refuses is an error and leaves nothing.

use super::kind;
use super::values::{Column, mysql, opaque, postgres, sqlite};
use anyhow::{Context, Result, bail, ensure};
use dunlin_core::copy::reading::{Bound, BoundColumn, TableShape};
use dunlin_core::copy::{Cell, Datum, RowHasher};
use dunlin_core::dialect::bulk::{TargetColumn, TargetTable};
use dunlin_core::dialect::{EngineKind, read_shapes};
use dunlin_core::failure::ErrorClass;
use dunlin_core::schema::NeutralType as T;
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Engine, Purpose, Session};
use std::time::Duration;

/// What is waited for at most, where nothing is to be waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn target(name: &str, columns: &[Column]) -> TargetTable {
    TargetTable {
        schema: None,
        name: name.into(),
        columns: columns
            .iter()
            .map(|(name, native, ty, _)| TargetColumn {
                name: (*name).into(),
                native: (*native).into(),
                ty: ty.clone(),
            })
            .collect(),
    }
}

/// Row `at` of the columns: NULL where a column has no more values.
fn row(columns: &[Column], at: usize) -> Vec<Datum<'static>> {
    let value = |column: &Column| column.3.get(at).copied().unwrap_or(Datum::Null);
    columns.iter().map(value).collect()
}

async fn create(session: &mut dyn Session, table: &TargetTable) -> Result<()> {
    let quote = |name: &str| session.dialect().quote(name);
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("{} {}", quote(&column.name), column.native))
        .collect();
    let name = quote(&table.name);
    let sql = format!("CREATE TABLE {name} ({})", columns.join(", "));
    session
        .execute(&format!("DROP TABLE IF EXISTS {name}"))
        .await?;
    session.execute(&sql).await.context(sql)?;
    Ok(())
}

/// Loads rows in pieces of some bytes.
async fn load(
    session: &mut dyn Session,
    table: &TargetTable,
    rows: &[Vec<Datum<'_>>],
    piece: usize,
) -> Result<Result<u64, DbError>> {
    let bulk = session.dialect().bulk();
    let mut encoder = bulk.encoder(table).map_err(anyhow::Error::msg)?;
    let mut bytes = vec![];
    encoder.begin(&mut bytes);
    for row in rows {
        let done = encoder.row(row, &mut bytes);
        ensure!(done.is_ok(), "{done:?}");
    }
    encoder.end(&mut bytes);
    let sql = bulk.load(table, false);
    let mut sink = match session.load(&sql, table.columns.len()).await {
        Ok(sink) => sink,
        Err(error) => return Ok(Err(error)),
    };
    for piece in bytes.chunks(piece) {
        if let Err(error) = sink.send(piece.to_vec()).await {
            return Ok(Err(error));
        }
    }
    Ok(sink.finish().await)
}

/// The rows' hashes as they are read back, sorted.
async fn read_back(session: &mut dyn Session, table: &TargetTable) -> Result<Vec<Vec<u128>>> {
    let rows = session.dialect().rows();
    let query = rows.shapes(session.caps());
    let found = session.query(&query.sql, &query.params).await?;
    let shapes = read_shapes(rows, &found);
    let Some(shape) = shapes.into_iter().find(|shape| shape.name == table.name) else {
        bail!("the table is not in the catalog");
    };
    let bound = bound(&shape, table)?;
    let types = bound.types();
    let mut hashers: Vec<RowHasher> = (types.iter())
        .map(|ty| RowHasher::new(vec![ty.clone()], rows.typing()))
        .collect();
    let mut all = vec![];
    let mut source = session.stream(&rows.select(&bound)).await?;
    while let Some(batch) = source.next().await? {
        for at in 0..batch.len() {
            let cells: Vec<Cell<'_>> = batch.row(at).collect();
            let hashes = hashers.iter_mut().zip(cells);
            all.push(
                hashes
                    .map(|(hasher, cell)| hasher.row(std::iter::once(cell)))
                    .collect(),
            );
        }
    }
    Ok(all)
}

fn bound(shape: &TableShape, table: &TargetTable) -> Result<Bound> {
    let columns = table.columns.iter().map(|wanted| {
        let found = shape
            .columns
            .iter()
            .find(|column| column.name == wanted.name);
        let shape = found.context(wanted.name.clone())?.clone();
        let ty = wanted.ty.clone();
        Ok(BoundColumn { shape, ty })
    });
    Ok(Bound {
        name: table.name.clone(),
        schema: None,
        table: table.name.clone(),
        own_rows: true,
        columns: columns.collect::<Result<_>>()?,
    })
}

async fn there_and_back(session: &mut dyn Session, columns: &[Column], piece: usize) -> Result<()> {
    let table = target("bulk \"t`", columns);
    create(session, &table).await?;
    let count = 1 + columns
        .iter()
        .map(|column| column.3.len())
        .max()
        .unwrap_or(0);
    let rows: Vec<_> = (0..count).map(|at| row(columns, at)).collect();
    let loaded = load(session, &table, &rows, piece).await??;
    ensure!(loaded == count as u64, "{loaded} of {count} rows");
    ensure!(!session.in_transaction(), "a load ends what it began");
    let back = read_back(session, &table).await?;
    let typing = session.dialect().rows().typing();
    for (at, column) in columns.iter().enumerate() {
        let mut hasher = RowHasher::new(vec![column.2.clone()], typing);
        for (number, row) in rows.iter().enumerate() {
            let hash = hasher.datums(&row[at..=at]);
            let found = back.get(number).and_then(|row| row.get(at)).copied();
            ensure!(
                found == Some(hash),
                "{} {}: {:.200} came back as another value",
                column.0,
                column.1,
                format!("{:?}", row[at])
            );
        }
    }
    drop_table(session, &table).await
}

async fn drop_table(session: &mut dyn Session, table: &TargetTable) -> Result<()> {
    let name = session.dialect().quote(&table.name);
    session.execute(&format!("DROP TABLE {name}")).await?;
    Ok(())
}

async fn swift(engine: &dyn Engine) -> Result<Box<dyn Session>> {
    let mut session = engine.open(Purpose::Tool).await?;
    for sql in session.dialect().bulk().swift() {
        if sql.starts_with("SELECT") {
            session.query(sql, &[]).await.context(*sql)?;
        } else {
            session.execute(sql).await.context(*sql)?;
        }
    }
    Ok(session)
}

/// Every class of value there and back, in large pieces and in ones that cut rows anywhere.
pub async fn loading(engine: &dyn Engine) -> Result<()> {
    let mut session = swift(engine).await?;
    let mut columns = match kind(&*session) {
        EngineKind::Sqlite => sqlite(),
        EngineKind::Mysql | EngineKind::Mariadb => mysql(),
        EngineKind::Postgres => {
            session
                .execute("CREATE TYPE bulk_mood AS ENUM ('it''s', 'کتاب')")
                .await?;
            postgres()
        }
    };
    there_and_back(&mut *session, &columns, 1 << 20).await?;
    there_and_back(&mut *session, &columns, 4_093)
        .await
        .context("small pieces")?;
    if kind(&*session) == EngineKind::Postgres {
        columns.extend(opaque());
        there_and_back(&mut *session, &columns, 1 << 18)
            .await
            .context("text form")?;
        session.execute("DROP TYPE bulk_mood").await?;
    }
    session.close().await;
    Ok(())
}

fn narrow(session: &dyn Session) -> TargetTable {
    let (id, name) = match kind(session) {
        EngineKind::Sqlite => ("INTEGER PRIMARY KEY", "TEXT CHECK (length(name) <= 3)"),
        EngineKind::Postgres => ("integer PRIMARY KEY", "varchar(3)"),
        EngineKind::Mysql | EngineKind::Mariadb => ("tinyint PRIMARY KEY", "varchar(3)"),
    };
    target(
        "bulk_narrow",
        &[("id", id, T::Int, vec![]), ("name", name, T::Text, vec![])],
    )
}

/// The table as the encoder is told it: without what is not the type.
fn plain(mut table: TargetTable) -> TargetTable {
    for column in &mut table.columns {
        let words = column.native.find(' ').unwrap_or(column.native.len());
        column.native.truncate(words);
    }
    table
}

async fn count(session: &mut dyn Session) -> Result<Value> {
    let rows = session
        .query("SELECT count(*) FROM bulk_narrow", &[])
        .await?;
    Ok(rows.into_iter().flatten().next().unwrap_or(Value::Null))
}

/// What is refused is an error with the server's words, leaves no row, and leaves the session usable; and so does a load
/// that nobody finishes.
pub async fn loading_refused(engine: &dyn Engine) -> Result<()> {
    let mut session = swift(engine).await?;
    let table = narrow(&*session);
    create(&mut *session, &table).await?;
    let table = plain(table);
    let good = vec![Datum::Int(1), Datum::Text("abc")];
    let far = if matches!(kind(&*session), EngineKind::Mysql | EngineKind::Mariadb) {
        Some(vec![Datum::Int(200), Datum::Text("far")])
    } else {
        None
    };
    let double = vec![Datum::Int(1), Datum::Text("two")];
    let long = vec![Datum::Int(2), Datum::Text("long")];
    for within in [false, true] {
        for (bad, class) in [
            (Some(double.clone()), ErrorClass::Unique),
            (Some(long.clone()), ErrorClass::Data),
            (far.clone(), ErrorClass::Data),
        ] {
            let Some(bad) = bad else { continue };
            if within {
                session.begin().await?;
            }
            let rows = [good.clone(), bad.clone()];
            let refused = load(&mut *session, &table, &rows, 1 << 10).await?;
            let Err(error) = refused else {
                bail!("{bad:?} was taken");
            };
            let fits = error.class == class
                || (class == ErrorClass::Data && error.class == ErrorClass::Check);
            ensure!(fits && !error.message.is_empty(), "{bad:?}: {error:?}");
            // Which row it was, where the engine says so.
            let place = match kind(&*session) {
                EngineKind::Postgres => "line 2",
                EngineKind::Sqlite => "row 2",
                EngineKind::Mysql | EngineKind::Mariadb => "",
            };
            let hint = error.hint.clone().unwrap_or_default();
            ensure!(hint.contains(place), "{bad:?}: {error:?}");
            session.rollback().await?;
            let left = count(&mut *session).await?;
            ensure!(
                left == Value::Int(0),
                "{bad:?} within {within} left {left:?}"
            );
        }
    }
    dropped(engine, &table, &good).await?;
    refused_at_once(engine).await?;
    let rows = load(&mut *session, &table, &[good], 1 << 10).await??;
    ensure!(rows == 1 && count(&mut *session).await? == Value::Int(1));
    session.execute("DROP TABLE bulk_narrow").await?;
    session.close().await;
    Ok(())
}

/// A load that is dropped in the middle of it, outside of a transaction and within one: nothing of it stays. The driver of
/// MySQL ends the connection with it; elsewhere the session goes on.
async fn dropped(engine: &dyn Engine, table: &TargetTable, row: &[Datum<'_>]) -> Result<()> {
    for within in [false, true] {
        let mut session = swift(engine).await?;
        let bulk = session.dialect().bulk();
        if within {
            session.begin().await?;
        }
        let mut encoder = bulk.encoder(table).map_err(anyhow::Error::msg)?;
        let mut bytes = vec![];
        encoder.begin(&mut bytes);
        ensure!(encoder.row(row, &mut bytes).is_ok());
        let mut sink = session
            .load(&bulk.load(table, false), table.columns.len())
            .await?;
        sink.send(bytes).await?;
        drop(sink);
        let ended = session.rollback().await;
        match kind(&*session) {
            EngineKind::Mysql | EngineKind::Mariadb => {}
            EngineKind::Postgres | EngineKind::Sqlite => {
                ended?;
                ensure!(!session.in_transaction());
            }
        }
        session.close().await;
        let mut other = engine.open(Purpose::Tool).await?;
        let left = count(&mut *other).await?;
        other.close().await;
        ensure!(left == Value::Int(0), "within {within}: {left:?}");
    }
    Ok(())
}

/// A load whose connection is ended by another session, before its first rows have arrived and while it waits for more: the
/// connection is lost, nobody waits for the other, and nothing of it is there.
pub async fn loading_cut(engine: &dyn Engine) -> Result<()> {
    for settled in [Duration::ZERO, Duration::from_millis(300)] {
        let ended = tokio::time::timeout(PATIENCE, cut(engine, settled)).await;
        ended.with_context(|| format!("both ends wait, cut after {settled:?}"))??;
    }
    Ok(())
}

async fn cut(engine: &dyn Engine, settled: Duration) -> Result<()> {
    let mut other = engine.open(Purpose::Tool).await?;
    let (who, end) = match kind(&*other) {
        EngineKind::Postgres => ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(ID)"),
        EngineKind::Mysql | EngineKind::Mariadb => ("SELECT CONNECTION_ID()", "KILL ID"),
        // Nobody ends a session of a file.
        EngineKind::Sqlite => return Ok(()),
    };
    let mut session = swift(engine).await?;
    let native = match kind(&*other) {
        EngineKind::Postgres => "text",
        _ => "longtext",
    };
    let table = target("bulk_cut", &[("t", native, T::Text, vec![])]);
    create(&mut *session, &table).await?;
    let id = match session.query(who, &[]).await?.as_slice() {
        [row] => match row.as_slice() {
            [Value::Int(id)] => id.to_string(),
            [Value::UInt(id)] => id.to_string(),
            _ => bail!("no number of a session: {row:?}"),
        },
        _ => bail!("no number of a session"),
    };
    let bulk = session.dialect().bulk();
    let mut encoder = bulk.encoder(&table).map_err(anyhow::Error::msg)?;
    let mut bytes = vec![];
    encoder.begin(&mut bytes);
    let mut piece = vec![];
    let long = "x".repeat(10_000);
    ensure!(encoder.row(&[Datum::Text(&long)], &mut piece).is_ok());
    let piece = piece.repeat(100);
    bytes.extend_from_slice(&piece);
    let mut sink = session.load(&bulk.load(&table, false), 1).await?;
    sink.send(bytes).await?;
    tokio::time::sleep(settled).await;
    other.execute(&end.replace("ID", &id)).await?;
    let mut outcome = Ok(0);
    for _ in 0..200 {
        if let Err(error) = sink.send(piece.clone()).await {
            outcome = Err(error);
            break;
        }
    }
    let outcome = match outcome {
        Ok(_) => sink.finish().await,
        Err(error) => {
            drop(sink);
            Err(error)
        }
    };
    let class = super::class_of(outcome)?;
    ensure!(class == ErrorClass::ConnectionLost, "{class:?}");
    ensure!(
        session.execute("SELECT 1").await.is_err(),
        "the connection is gone"
    );
    let left = other.query("SELECT count(*) FROM bulk_cut", &[]).await?;
    ensure!(left == vec![vec![Value::Int(0)]], "{left:?}");
    other.execute("DROP TABLE bulk_cut").await?;
    other.close().await;
    Ok(())
}

/// A load that the server refuses before it takes a row: who sends the rows is told so, however many there are. The driver
/// of PostgreSQL ends the connection with it; elsewhere the session goes on.
async fn refused_at_once(engine: &dyn Engine) -> Result<()> {
    let mut session = swift(engine).await?;
    let table = target("bulk_nowhere", &[("t", "text", T::Text, vec![])]);
    let rows = vec![vec![Datum::Text("a")]; 64];
    let refused = load(&mut *session, &table, &rows, 4);
    let refused = tokio::time::timeout(PATIENCE, refused).await;
    let refused = refused.context("both ends wait")??;
    let class = super::class_of(refused)?;
    ensure!(class == ErrorClass::ObjectMissing, "{class:?}");
    let next = session.query("SELECT 1", &[]).await;
    ensure!(kind(&*session) == EngineKind::Postgres || next.is_ok());
    session.close().await;
    Ok(())
}
