//! `cargo x bench copy`: the data of a knowledge base in a SQLite file, on its way into PostgreSQL.
//!
//! In one run: the encoder on one core; the raw ceiling (COPY BINARY of files made beforehand, by `psql`, in one stream
//! and in two, then the indexes and the key); the same rows through a session's load; `dunlin copy` with and without
//! verification; the same out of MySQL; pgloader, where it is in `PATH`.
//!
//! Files are read once before whatever reads them is measured. Otherwise one finds in the page cache what the one before it
//! has left there, and pays, in its own seconds of CPU, for fetching the rest from the disk: the same copy then took half as
//! much again.
//!
//! Environment: `DUNLIN_BIN` (default: the binary beside this program), `DUNLIN_BENCH_MB` (default 1000: about the size of
//! the file), `DUNLIN_BENCH_RUNS` (default 1), `DUNLIN_BENCH_MYSQL` (0: without MySQL),
//! `DUNLIN_BENCH_ONLY` (1: nothing but `dunlin copy` with verification).

#![allow(clippy::expect_used, clippy::unwrap_used)]

use dunlin_core::copy::convert::Converter;
use dunlin_core::copy::plan::{Bounds, ColumnPlan};
use dunlin_core::copy::{Cell, Datum, RowHasher, Typing};
use dunlin_core::dialect::Dialect;
use dunlin_core::dialect::bulk::{TargetColumn, TargetTable};
use dunlin_core::dialect::postgres::Postgres;
use dunlin_core::redact::SecretUrl;
use dunlin_core::schema::NeutralType as T;
use dunlin_engines::{Engine, Purpose, Settings};
use dunlin_testkit::bench::entries::{Texts, fill};
use dunlin_testkit::bench::{self, Taken};
use dunlin_testkit::servers::{Kind, Server};
use dunlin_testkit::{TestDatabase, TestEngine};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

// ---- the target

/// A table of the target, of the types that a copy chooses: its name, and its columns with their native and neutral types.
type Shape = (&'static str, &'static [(&'static str, &'static str, T)]);

const SHAPES: [Shape; 3] = [
    (
        "kb_entries",
        &[
            ("id", "text", T::Text),
            ("title", "text", T::Text),
            ("problem", "text", T::Text),
            ("solution", "text", T::Text),
            ("category", "text", T::Text),
            ("severity", "text", T::Text),
            ("created_by", "text", T::Text),
            ("created_at", "timestamp", T::Timestamp),
            ("updated_at", "timestamp", T::Timestamp),
            ("usage_count", "bigint", T::Int),
            ("archived", "boolean", T::Bool),
        ],
    ),
    (
        "kb_tags",
        &[("entry_id", "text", T::Text), ("tag", "text", T::Text)],
    ),
    (
        "search_history",
        &[
            ("id", "bigint", T::Int),
            ("query", "text", T::Text),
            ("timestamp", "timestamp", T::Timestamp),
            ("results_count", "bigint", T::Int),
            ("user_id", "text", T::Text),
            ("search_time_ms", "double precision", T::Float),
        ],
    ),
];

const INDEXES: [&str; 2] = [
    "ALTER TABLE kb_entries ADD PRIMARY KEY (id); CREATE INDEX ON kb_entries (category); CREATE INDEX ON kb_entries (created_at);",
    "CREATE INDEX ON kb_tags (entry_id); CREATE INDEX ON kb_tags (tag); ALTER TABLE search_history ADD PRIMARY KEY (id); \
     CREATE INDEX ON search_history (\"timestamp\");",
];
const KEY: &str = "ALTER TABLE kb_tags ADD FOREIGN KEY (entry_id) REFERENCES kb_entries (id);";

fn target(shape: &Shape) -> TargetTable {
    let columns = shape.1.iter().map(|(name, native, ty)| TargetColumn {
        name: (*name).into(),
        native: (*native).into(),
        ty: ty.clone(),
    });
    TargetTable {
        schema: None,
        name: shape.0.into(),
        columns: columns.collect(),
    }
}

fn create(shape: &Shape) -> String {
    let columns: Vec<String> = (shape.1.iter())
        .map(|(name, native, _)| format!("\"{name}\" {native}"))
        .collect();
    format!("CREATE TABLE {} ({});", shape.0, columns.join(", "))
}

fn converter(column: &(&str, &str, T)) -> Converter {
    Converter::new(&ColumnPlan {
        source: column.0.into(),
        source_native: String::new(),
        source_type: column.2.clone(),
        target: column.0.into(),
        target_native: column.1.into(),
        ty: column.2.clone(),
        bounds: Bounds::default(),
        nullable: true,
        epoch: None,
        as_is: false,
        why: String::new(),
        kind: None,
        misfits: 0,
    })
}

// ---- encoding

/// Reads a table and hands over its rows as the encoder writes them, piece by piece. Gives the rows.
async fn encoded(
    file: &dyn Engine,
    shape: &Shape,
    hashed: bool,
    mut take: impl AsyncFnMut(Vec<u8>),
) -> u64 {
    let table = target(shape);
    let converters: Vec<Converter> = shape.1.iter().map(converter).collect();
    let types = shape.1.iter().map(|column| column.2.clone()).collect();
    let mut hasher = RowHasher::new(types, Typing::Static);
    let mut encoder = Postgres.bulk().encoder(&table).unwrap();
    let mut session = file.open(Purpose::Read).await.unwrap();
    let mut source = session
        .stream(&format!("SELECT * FROM {}", shape.0))
        .await
        .unwrap();
    let (mut bytes, mut rows) = (Vec::with_capacity(1 << 19), 0);
    encoder.begin(&mut bytes);
    while let Some(batch) = source.next().await.unwrap() {
        for at in 0..batch.len() {
            let mut scratch = String::new();
            let cells: Vec<_> = batch
                .row(at)
                .zip(&converters)
                .map(|(cell, converter): (Cell<'_>, _)| {
                    converter.convert(cell, &mut scratch).unwrap()
                })
                .collect();
            let row: Vec<Datum<'_>> = cells.iter().map(|slot| slot.datum(&scratch)).collect();
            if hashed {
                hasher.datums(&row);
            }
            encoder.row(&row, &mut bytes).unwrap();
        }
        rows += batch.len() as u64;
        if bytes.len() >= 1 << 18 {
            take(std::mem::replace(&mut bytes, Vec::with_capacity(1 << 19))).await;
        }
    }
    encoder.end(&mut bytes);
    take(bytes).await;
    rows
}

/// Writes the files that the ceiling reads.
async fn files(file: &dyn Engine, folder: &Path) {
    use std::io::Write as _;
    for shape in &SHAPES {
        let to = std::fs::File::create(folder.join(shape.0)).unwrap();
        let mut to = std::io::BufWriter::new(to);
        encoded(file, shape, false, async |bytes| {
            to.write_all(&bytes).unwrap()
        })
        .await;
        to.flush().unwrap();
    }
}

// ---- measuring

/// What `psql` is told, each text in a process of its own, all at once.
fn psql(database: &TestDatabase, scripts: &[String]) -> Taken {
    let tools = Server::shared(Kind::PostgresNewer).tools();
    let psql = tools.map_or_else(|_| PathBuf::from("psql"), |tools| tools.join("psql"));
    let folder = tempfile::tempdir().unwrap();
    let commands: Vec<Command> = (scripts.iter().enumerate())
        .map(|(at, script)| {
            let path = folder.path().join(at.to_string());
            std::fs::write(&path, script).unwrap();
            let mut command = Command::new(&psql);
            command
                .args(["-qX", "-v", "ON_ERROR_STOP=1", "-f"])
                .arg(path);
            command.arg(database.url());
            command
        })
        .collect();
    let started = Instant::now();
    let all: Vec<Taken> = std::thread::scope(|scope| {
        let running: Vec<_> = (commands.iter())
            .map(|command| scope.spawn(|| bench::timed(command)))
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    Taken {
        wall: started.elapsed().as_secs_f64(),
        cpu: all.iter().map(|taken| taken.cpu).sum(),
        memory_mb: all.iter().map(|taken| taken.memory_mb).sum(),
    }
}

/// Tables made and filled from files in one transaction.
fn copied(shapes: &[Shape], folder: &Path) -> String {
    let mut script = "BEGIN;\n".to_owned();
    for shape in shapes {
        let file = folder.join(shape.0);
        script.push_str(&create(shape));
        script.push_str(&format!(
            "\n\\copy {} from '{}' (format binary, freeze)\n",
            shape.0,
            file.display()
        ));
    }
    script + "COMMIT;\n"
}

fn line(what: &str, rows: u64, taken: Taken) {
    println!(
        "| {what} | {:.2} | {:.0} | {:.2} | {:.0} |",
        taken.wall,
        rows as f64 / taken.wall,
        taken.cpu,
        taken.memory_mb
    );
}

fn without_cpu(what: &str, rows: u64, wall: f64) {
    println!("| {what} | {wall:.2} | {:.0} | | |", rows as f64 / wall);
}

/// The rows through sessions, reading, converting, hashing and loading at once; two tables' worth at a time.
async fn loaded(file: &dyn Engine, database: &TestDatabase) -> f64 {
    let server =
        dunlin_engines::open(&SecretUrl::new(database.url()), Settings::default()).unwrap();
    let started = Instant::now();
    let some = async |shapes: &[Shape]| {
        let mut session = server.open(Purpose::Tool).await.unwrap();
        for shape in shapes {
            session.begin().await.unwrap();
            session
                .execute(create(shape).trim_end_matches(';'))
                .await
                .unwrap();
            let sql = Postgres.bulk().load(&target(shape), true);
            let mut sink = session.load(&sql, shape.1.len()).await.unwrap();
            encoded(file, shape, true, async |bytes| {
                sink.send(bytes).await.unwrap()
            })
            .await;
            sink.finish().await.unwrap();
            session.commit().await.unwrap();
        }
    };
    tokio::join!(some(&SHAPES[..1]), some(&SHAPES[1..]));
    started.elapsed().as_secs_f64()
}

/// Brings a file into the page cache.
fn warm(path: &Path) {
    let mut file = std::fs::File::open(path).unwrap();
    let mut piece = vec![0; 1 << 20];
    while file.read(&mut piece).unwrap() > 0 {}
}

fn own(database: &TestDatabase, path: &Path, more: &[&str]) -> Taken {
    warm(path);
    between(&format!("sqlite:{}", path.display()), database, more)
}

fn between(source: &str, database: &TestDatabase, more: &[&str]) -> Taken {
    let mut command = Command::new(bench::binary());
    command.args(["copy", source, database.url()]).args(more);
    bench::timed(&command)
}

/// The same rows out of MySQL.
fn from_mysql(path: &Path, rows: u64) {
    let fresh = || TestEngine::Server(Kind::PostgresNewer).database();
    let source = TestEngine::Server(Kind::Mysql).database();
    let into = own(&source, path, &["--no-verify"]);
    line("dunlin copy --no-verify into MySQL", rows, into);
    let bare = between(source.url(), &fresh(), &["--no-verify"]);
    line("dunlin copy --no-verify out of MySQL", rows, bare);
    let whole = between(source.url(), &fresh(), &[]);
    line("dunlin copy out of MySQL", rows, whole);
}

/// The command itself, and its peer where there is one.
fn whole(path: &std::path::Path, rows: u64) {
    let fresh = || TestEngine::Server(Kind::PostgresNewer).database();
    let known = Command::new(bench::binary())
        .args(["copy", "--help"])
        .output();
    if known.is_ok_and(|known| known.status.success()) {
        line(
            "dunlin copy --no-verify",
            rows,
            own(&fresh(), path, &["--no-verify"]),
        );
        line("dunlin copy", rows, own(&fresh(), path, &[]));
    }
    if Command::new("pgloader").arg("--version").output().is_ok() {
        let mut command = Command::new("pgloader");
        let database = fresh();
        // With as many rows at once as it takes by itself (100,000) its heap does not do for rows of 2 kB.
        command
            .args(["--with", "prefetch rows = 10000"])
            .arg(path)
            .arg(database.url().replacen("postgres://", "postgresql://", 1));
        warm(path);
        line("pgloader", rows, bench::timed(&command));
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mb = bench::number("DUNLIN_BENCH_MB", 1_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let rows = fill(&path, mb, Texts::All);
    let url = format!("sqlite:{}", path.display());
    let file = dunlin_engines::open(&SecretUrl::new(&url), Settings::default()).unwrap();
    let size = std::fs::metadata(&path).unwrap().len() as f64 / 1e6;
    println!("{rows} rows, a file of {size:.0} MB\n");
    println!("| | wall s | rows/s | client CPU s | peak MB |");
    println!("|---|--:|--:|--:|--:|");
    if bench::number("DUNLIN_BENCH_ONLY", 0) > 0 {
        let fresh = TestEngine::Server(Kind::PostgresNewer).database();
        return line("dunlin copy", rows, own(&fresh, &path, &[]));
    }
    runtime.block_on(files(&*file, folder.path()));
    let fresh = || TestEngine::Server(Kind::PostgresNewer).database();
    let warm_files = || (SHAPES.iter()).for_each(|shape| warm(&folder.path().join(shape.0)));
    for _ in 0..bench::number("DUNLIN_BENCH_RUNS", 1) {
        warm(&path);
        let started = Instant::now();
        for shape in &SHAPES {
            runtime.block_on(encoded(&*file, shape, true, async |_| {}));
        }
        let wall = started.elapsed().as_secs_f64();
        without_cpu("read, converted, hashed, encoded", rows, wall);
        let one = fresh();
        warm_files();
        line(
            "COPY BINARY of files, one stream",
            rows,
            psql(&one, &[copied(&SHAPES, folder.path())]),
        );
        line(
            "indexes and key, one session",
            rows,
            psql(&one, &[INDEXES.concat() + KEY]),
        );
        drop(one);
        let two = fresh();
        let scripts = [
            copied(&SHAPES[..1], folder.path()),
            copied(&SHAPES[1..], folder.path()),
        ];
        warm_files();
        let copy = psql(&two, &scripts);
        line("COPY BINARY of files, two streams", rows, copy);
        let mut build = psql(&two, &INDEXES.map(str::to_owned));
        build.wall += psql(&two, &[KEY.to_owned()]).wall;
        line("indexes and key, two sessions", rows, build);
        println!("| **ceiling** | {:.2} | | | |", copy.wall + build.wall);
        drop(two);
        let sessions = fresh();
        warm(&path);
        let wall = runtime.block_on(loaded(&*file, &sessions));
        without_cpu("two sessions' loads, no indexes", rows, wall);
        drop(sessions);
        whole(&path, rows);
        if bench::number("DUNLIN_BENCH_MYSQL", 1) > 0 {
            from_mysql(&path, rows);
        }
    }
}
