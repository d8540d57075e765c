//! What comes out of a stream is what the server itself would print, and doubles bit by bit.
#![allow(clippy::unwrap_used, clippy::panic)]

use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use dunlin_core::value::Value;
use dunlin_engines::scan::{RowVisitor, scan};
use dunlin_engines::{Cell, Purpose, Session, Settings, open};
use dunlin_testkit::{TestEngine, for_each_engine};
use std::ops::ControlFlow;

async fn session(url: &str, purpose: Purpose) -> Box<dyn Session> {
    let settings = Settings {
        create: true,
        ..Settings::default()
    };
    open(&SecretUrl::new(url), settings)
        .unwrap()
        .open(purpose)
        .await
        .unwrap()
}

/// A cell as a text, whatever it is.
fn text_of(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "NULL".into(),
        Cell::Bool(b) => b.to_string(),
        Cell::Int(n) => n.to_string(),
        Cell::UInt(n) => n.to_string(),
        Cell::Float(f) => format!("{f:?}"),
        Cell::Float32(f) => format!("{f:?}"),
        Cell::Text(text) => text.to_owned(),
        Cell::BadText(bytes) | Cell::Bytes(bytes) => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        }
    }
}

/// Takes the texts of the last row.
struct Last {
    apart: bool,
    row: Vec<String>,
}

impl RowVisitor for Last {
    fn row(&mut self, cells: &[Cell<'_>]) -> ControlFlow<()> {
        self.row = cells.iter().copied().map(text_of).collect();
        ControlFlow::Continue(())
    }
    fn apart(&self) -> bool {
        self.apart
    }
}

/// One row of texts: every cell but NULL, spelled. Streamed and scanned it is the same.
async fn spelled(session: &mut dyn Session, sql: &str) -> Vec<String> {
    let mut rows = vec![];
    for apart in [false, true] {
        let row = vec![];
        rows.push(scan(session, sql, Last { apart, row }).await.unwrap().row);
    }
    let mut stream = session.stream(sql).await.unwrap();
    let batch = stream.next().await.unwrap().unwrap();
    let streamed: Vec<String> = batch.row(0).map(text_of).collect();
    assert_eq!(rows, [streamed.clone(), streamed.clone()], "{sql}");
    streamed
}

/// Expressions whose binary form is read, beside the server's own text of them.
const POSTGRES: &[&str] = &[
    "0::numeric",
    "1.10::numeric(10,2)",
    "-0.000000123::numeric",
    "12345678901234567890.000100::numeric",
    "'NaN'::numeric",
    "1e100::numeric",
    "10000::numeric",
    "99990000::numeric",
    "0.0000::numeric(8,4)",
    "(-1e-20)::numeric",
    "9999999999999999999999999999999999999999.99999999999999999999::numeric",
    "'2024-02-29 23:59:59.999999+00'::timestamptz",
    "'1999-12-31 12:00:00.5'::timestamp",
    "'0044-03-15 BC'::timestamp",
    "'infinity'::timestamptz",
    "'-infinity'::timestamp",
    "'294276-12-31 23:59:59.999999'::timestamp",
    "'4714-11-24 00:00:00+00 BC'::timestamptz",
    "'2024-02-29'::date",
    "'0001-01-01 BC'::date",
    "'infinity'::date",
    "'5874897-12-31'::date",
    "'23:59:59.000001'::time",
    "'24:00:00'::time",
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
    "'{\"b\": 1, \"a\": [1.0, null]}'::jsonb",
    "'{\"b\":1,  \"b\":2}'::json",
    "'n'::name",
    "'<a>é</a>'::xml",
    "32767::smallint",
    "(-2147483648)::integer",
    "(-9223372036854775808)::bigint",
    "4294967295::oid",
    "'r'::\"char\"",
    "'two'::types_enum",
    "7::types_domain",
    "NULL::numeric",
];

for_each_engine! {
    only servers

    async fn texts_are_the_servers_own(engine: TestEngine) {
        let database = engine.database();
        if engine.is_postgres() {
            database.run("CREATE TYPE types_enum AS ENUM ('one', 'two'); CREATE DOMAIN types_domain AS integer CHECK (VALUE > 0)");
            let mut session = session(database.url(), Purpose::Read).await;
            for expression in POSTGRES {
                let own = spelled(&mut *session, &format!("SELECT ({expression})::text")).await;
                let ours = spelled(&mut *session, &format!("SELECT {expression}")).await;
                assert_eq!(ours, own, "{expression}");
            }
            // A cast to text would lose the blanks that the server itself prints.
            assert_eq!(spelled(&mut *session, "SELECT '  x '::char(6)").await, ["  x   "]);
            let error = session.stream("SELECT ARRAY[1, 2] AS list").await.unwrap().next().await.unwrap_err();
            assert!(error.message.contains("`list`") && error.message.contains("cast"), "{error}");
            // The session goes on after it.
            assert_eq!(session.query("SELECT true, 'x'::bytea", &[]).await.unwrap(),
                [[Value::Bool(true), Value::Bytes(b"x".to_vec())]]);
            return;
        }
        database.run("CREATE TABLE t (a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d INT UNSIGNED, e BIGINT UNSIGNED, \
            f DECIMAL(65,30), g DATE, h DATETIME, i DATETIME(6), j TIMESTAMP(3) NULL, k TIME, l TIME(2), m YEAR, \
            n CHAR(5), o VARCHAR(20) CHARACTER SET utf8mb4, p ENUM('x','y'), q SET('a','b','c'), r JSON, s BIT(12), \
            u BINARY(3), v BLOB, w LONGTEXT CHARACTER SET latin1, z BOOLEAN)");
        database.run("INSERT INTO t VALUES (-128, 65535, -8388608, 4294967295, 18446744073709551615, \
            -12345678901234567890123456789012345.000000000000000000000000000001, '1000-01-01', '9999-12-31 23:59:59', \
            '2024-02-29 01:02:03.000004', '2024-02-29 01:02:03.5', '-838:59:59', '100:00:00.25', 1901, \
            'ab', 'é🐦', 'y', 'a,c', '{\"b\": 1}', b'101000000001', 'ab', x'00ff27', 'é', TRUE)");
        let columns = "abcdefghijklmnopqr".chars().map(String::from).collect::<Vec<_>>();
        let own = columns.iter().map(|c| format!("CAST({c} AS CHAR)")).collect::<Vec<_>>().join(", ");
        let mut session = session(database.url(), Purpose::Read).await;
        let own = spelled(&mut *session, &format!("SELECT {own} FROM t")).await;
        let ours = spelled(&mut *session, &format!("SELECT {} FROM t", columns.join(", "))).await;
        assert_eq!(ours, own);
        let rest = spelled(&mut *session, "SELECT s, u, v, w, z, NULL FROM t").await;
        assert_eq!(rest, ["2561", "616200", "00ff27", "é", "1", "NULL"]);
        // By text and prepared, the control plane reads the same.
        let all = format!("SELECT {}, s, u, v, w, z FROM t", columns.join(", "));
        let by_text = session.query(&all, &[]).await.unwrap();
        let prepared = session.query(&format!("{all} WHERE 1 = ?"), &[Value::Int(1)]).await.unwrap();
        assert_eq!(by_text, prepared);
        database.run("SET sql_mode = ''; INSERT INTO t (g, h) VALUES ('0000-00-00', '0000-00-00 00:00:00')");
        let zero = spelled(&mut *session, "SELECT g, h FROM t WHERE a IS NULL").await;
        assert_eq!(zero, ["0000-00-00", "0000-00-00 00:00:00"]);
    }

    async fn floats_are_exact(engine: TestEngine) {
        let database = engine.database();
        let double = engine.pick("", "DOUBLE PRECISION", "DOUBLE");
        let single = engine.pick("", "REAL", "FLOAT");
        database.run(&format!("CREATE TABLE t (id INT, d {double}, f {single})"));
        let mut session = session(database.url(), Purpose::Tool).await;
        // No −0: MariaDB keeps it as +0.
        let values = [0.1, f64::MIN_POSITIVE, 5e-324, f64::MAX, 1.0 / 3.0, 9007199254740993.0];
        let insert = format!("INSERT INTO t (id, d) VALUES ({}, {})", session.dialect().param(1), session.dialect().param(2));
        for (id, value) in values.iter().enumerate() {
            session.execute_with(&insert, &[Value::Int(id as i64), Value::Float(*value)]).await.unwrap();
        }
        session.execute("UPDATE t SET f = 16777217.1").await.unwrap();
        let mut stream = session.stream("SELECT d, f FROM t ORDER BY id").await.unwrap();
        let batch = stream.next().await.unwrap().unwrap();
        for (index, value) in values.iter().enumerate() {
            let cells: Vec<Cell<'_>> = batch.row(index).collect();
            let Cell::Float(d) = cells[0] else { panic!("{:?}", cells[0]) };
            assert_eq!(d.to_bits(), value.to_bits(), "{value:e}");
            assert_eq!(cells[1], Cell::Float32(16_777_218.0));
        }
    }
}

/// psql's COPY block, its errors, and what is said when the data is missing.
async fn copy(engine: TestEngine) {
    let database = engine.database();
    let mut session = session(database.url(), Purpose::Script).await;
    session
        .execute("CREATE TABLE t (id INT PRIMARY KEY, name TEXT)")
        .await
        .unwrap();
    let data: String = (0..50_000)
        .map(|id| format!("{id}\tname é {id}\\n\n"))
        .collect();
    session.begin().await.unwrap();
    assert_eq!(
        session
            .copy_in("COPY t (id, name) FROM stdin", &data)
            .await
            .unwrap(),
        50_000
    );
    session.commit().await.unwrap();
    assert_eq!(session.copy_in("COPY t FROM stdin", "").await.unwrap(), 0);
    let long: String = (0..200_000).map(|_| "x\ty\n").collect();
    let error = session
        .copy_in("COPY t FROM stdin", &long)
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Data, "{error:?}");
    let error = session
        .copy_in("COPY t FROM stdin", "1\tx\n")
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Unique, "{error:?}");
    assert_eq!(
        session.query("SELECT count(*) FROM t", &[]).await.unwrap(),
        [[Value::Int(50_000)]]
    );
    let error = session.execute("COPY t FROM stdin").await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Syntax, "{error:?}");
    assert_eq!(
        session.execute("SELECT 1").await.unwrap_err().class,
        ErrorClass::ConnectionLost
    );
    // Statements with rows outlive a change of their table.
    let mut session = self::session(database.url(), Purpose::Tool).await;
    let all = "SELECT * FROM t WHERE id = $1";
    for _ in 0..2 {
        assert_eq!(
            session.query(all, &[Value::Int(1)]).await.unwrap()[0].len(),
            2
        );
    }
    database.run("ALTER TABLE t ADD COLUMN more INT");
    assert_eq!(
        session.query(all, &[Value::Int(1)]).await.unwrap()[0].len(),
        3
    );
    session
        .execute("ALTER TABLE t DROP COLUMN more")
        .await
        .unwrap();
    session.begin().await.unwrap();
    assert_eq!(
        session.query(all, &[Value::Int(1)]).await.unwrap()[0].len(),
        2
    );
    // NULL and a value under one text.
    let text = "SELECT $1::integer, $2::text";
    for params in [
        [Value::Null, "x".into()],
        [Value::Int(1), Value::Null],
        [Value::Null, Value::Null],
    ] {
        assert_eq!(
            session.query(text, &params).await.unwrap(),
            [params.to_vec()]
        );
    }
    let wide = session
        .query("SELECT $1::numeric", &[Value::UInt(u64::MAX)])
        .await
        .unwrap();
    assert_eq!(wide, [["18446744073709551615".into()]]);
    let error = session.execute("SELECT 'é' FRM t").await.unwrap_err();
    assert_eq!(error.position, Some("SELECT 'é' FRM ".len()), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_on_postgres() {
    copy(TestEngine::Server(dunlin_testkit::servers::Kind::Postgres)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_on_postgres_newer() {
    copy(TestEngine::Server(
        dunlin_testkit::servers::Kind::PostgresNewer,
    ))
    .await;
}
