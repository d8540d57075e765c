//! Generated rows, and how each engine is told them.

use dunlin_core::value::Value;
use dunlin_engines::Session;
use dunlin_testkit::TestEngine;
use std::fmt::Write;

/// Rows in one INSERT, where literals are sent.
const TOGETHER: usize = 1_000;

/// Numbers that repeat from run to run (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Any double that every engine can hold.
    pub fn double(&mut self) -> f64 {
        loop {
            let value = f64::from_bits(self.next());
            if value.is_finite() {
                return value;
            }
        }
    }

    /// A decimal of 65 digits, 30 of them behind the point.
    pub fn decimal(&mut self) -> String {
        let digits: String = (0..65)
            .map(|_| char::from(b'0' + self.below(10) as u8))
            .collect();
        let sign = if self.below(2) == 0 { "" } else { "-" };
        format!("{sign}{}.{}", &digits[..35], &digits[35..])
    }
}

/// The ends of what a double can hold.
pub const EXTREMES: [f64; 11] = [
    0.0,
    -0.0,
    f64::MIN_POSITIVE,
    5e-324,
    -5e-324,
    2.225_073_858_507_201e-308,
    f64::MAX,
    f64::MIN,
    f64::EPSILON,
    0.1 + 0.2,
    9_007_199_254_740_993.0,
];

/// Texts in which something could go wrong.
const TEXTS: [&str; 14] = [
    "",
    " ",
    "two blanks behind  ",
    "NULL",
    "سلام دنیا، خوبی؟",
    "می‌خواهم",
    "👩‍👩‍👧‍👦 🚚 👋🏽",
    "é",
    "e\u{301}",
    "it's \"so\" `much`",
    "C:\\new\\table",
    "tab\tline\nreturn\r",
    "ß İ ı Σς",
    "\u{10ffff}\u{fffd}",
];

/// One document in three spellings: for SQLite, PostgreSQL, MySQL and MariaDB.
const DOCUMENTS: [[&str; 3]; 7] = [
    [
        r#"{"b":[1,2.50,"é😀"],"a":{"x":null,"w":true}}"#,
        r#"{ "a" : {"w":true, "x":null}, "b" : [1.0, 2.5, "\u00e9\ud83d\ude00"] }"#,
        r#"{"a":{"x":null,"w":true},"b":[1e0,25e-1,"é\ud83d\ude00"]}"#,
    ],
    ["100", "1e2", "100.0"],
    ["-0", "0", "0.0"],
    [
        "[9007199254740993,1e-7]",
        "[9007199254740993,0.0000001]",
        "[9007199254740993, 1.0e-7]",
    ],
    [
        "0.30000000000000004",
        "3.0000000000000004E-1",
        "0.30000000000000004",
    ],
    ["null", " null ", "null"],
    [r#""a\/b\n""#, r#""a/b\u000a""#, r#""a/b\n""#],
];

/// A row with a column of every common kind.
pub struct Wide {
    id: i64,
    d: f64,
    f: f32,
    n: Option<String>,
    big: u64,
    s: Option<String>,
    b: Option<Vec<u8>>,
    day: String,
    tm: String,
    at: String,
    /// Seconds of the hour and microseconds of an instant, and the minutes by which its spelling is east.
    tz: (u32, u64, u32),
    doc: Option<usize>,
    flag: Option<bool>,
    u: u128,
    bits: u64,
}

impl Wide {
    pub fn new(id: i64, random: &mut Random) -> Wide {
        let some = |random: &mut Random| random.below(10) > 0;
        let day = format!(
            "{:04}-{:02}-{:02}",
            1000 + random.below(9000),
            1 + random.below(12),
            1 + random.below(28)
        );
        let tm = format!(
            "{:02}:{:02}:{:02}.{:06}",
            random.below(24),
            random.below(60),
            random.below(60),
            random.below(1_000_000)
        );
        let text = || TEXTS[random.0 as usize % TEXTS.len()].to_owned();
        let text = text();
        let long = random.below(50) == 0;
        Wide {
            id,
            d: random.double(),
            f: loop {
                let value = f32::from_bits(random.next() as u32);
                if value.is_normal() {
                    break value;
                }
            },
            n: some(random).then(|| random.decimal()),
            big: random.next(),
            s: some(random).then(|| {
                if long {
                    format!("{text}x").repeat(500)
                } else {
                    text
                }
            }),
            b: some(random).then(|| (0..random.below(40)).map(|_| random.next() as u8).collect()),
            at: format!("{day} {tm}"),
            day,
            tm,
            tz: (
                random.below(3600) as u32,
                random.below(1_000_000),
                [0, 60, 210][id as usize % 3],
            ),
            doc: some(random).then(|| random.below(DOCUMENTS.len() as u64) as usize),
            flag: some(random).then(|| random.below(2) == 0),
            u: u128::from(random.next()) << 64 | u128::from(random.next()),
            bits: random.below(512),
        }
    }

    /// The instant, spelled with an offset or in UTC.
    fn instant(&self, with_offset: bool) -> String {
        let (seconds, micros, east) = self.tz;
        let (minute, second) = (seconds / 60, seconds % 60);
        if with_offset {
            // Noon in UTC is that much later by the clock on a wall further east.
            let local = 12 * 60 + minute + east;
            format!(
                "2031-05-06 {:02}:{:02}:{second:02}.{micros:06}+{:02}:{:02}",
                local / 60,
                local % 60,
                east / 60,
                east % 60
            )
        } else {
            format!("2031-05-06 12:{minute:02}:{second:02}.{micros:06}")
        }
    }

    /// What SQLite is given.
    fn values(&self) -> Vec<Value> {
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
        vec![
            Value::Int(self.id),
            Value::Float(self.d),
            Value::Float(self.f.into()),
            text(&self.n),
            Value::Text(self.big.to_string()),
            text(&self.s),
            self.b.clone().map_or(Value::Null, Value::Bytes),
            Value::Text(self.day.clone()),
            Value::Text(self.tm.clone()),
            Value::Text(self.at.replace(' ', "T")),
            Value::Text(self.instant(true)),
            self.doc
                .map_or(Value::Null, |at| Value::Text(DOCUMENTS[at][0].into())),
            self.flag.map_or(Value::Null, Value::Bool),
            Value::Text(format!("{:032X}", self.u)),
            Value::Int(self.bits as i64),
        ]
    }

    /// What a server is told.
    fn literals(&self, kind: TestEngine) -> String {
        let postgres = kind.is_postgres();
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let or_null = |text: Option<String>| text.unwrap_or_else(|| "NULL".into());
        let bytes = |bytes: &[u8]| {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            if postgres {
                format!("'\\x{hex}'::bytea")
            } else {
                format!("x'{hex}'")
            }
        };
        let uuid = format!("{:032x}", self.u);
        let cells = [
            self.id.to_string(),
            double(self.d),
            format!("'{:e}'", self.f),
            or_null(self.n.clone()),
            self.big.to_string(),
            or_null(self.s.as_deref().map(quoted)),
            or_null(self.b.as_deref().map(bytes)),
            quoted(&self.day),
            quoted(&self.tm),
            quoted(&self.at),
            quoted(&self.instant(postgres)),
            or_null(
                self.doc
                    .map(|at| quoted(DOCUMENTS[at][if postgres { 1 } else { 2 }])),
            ),
            or_null(self.flag.map(|flag| flag.to_string())),
            if postgres {
                quoted(&uuid)
            } else {
                format!("x'{uuid}'")
            },
            format!("{}'{:09b}'", if postgres { "B" } else { "b" }, self.bits),
        ];
        cells.join(", ")
    }
}

/// A double as every server reads it back to the last bit.
pub fn double(value: f64) -> String {
    format!("'{value:e}'")
}

/// The table of [`Wide`] rows.
pub const WIDE: [&str; 3] = [
    "CREATE TABLE wide (id INTEGER PRIMARY KEY, d DOUBLE, f REAL, n TEXT, big TEXT, s TEXT, b BLOB, day DATE, tm TIME, \
     at DATETIME, tz TIMESTAMPTZ, doc JSON, flag BOOLEAN, u UUID, bits INTEGER)",
    "CREATE TABLE wide (id bigint PRIMARY KEY, d double precision, f real, n numeric(65,30), big numeric(20), s text, \
     b bytea, day date, tm time(6), at timestamp(6), tz timestamptz(6), doc jsonb, flag boolean, u uuid, bits bit(9))",
    "CREATE TABLE wide (id bigint PRIMARY KEY, d double, f float, n decimal(65,30), big bigint unsigned, s mediumtext, \
     b longblob, day date, tm time(6), at datetime(6), tz timestamp(6) NULL, doc json, flag boolean, u binary(16), \
     bits bit(9)) CHARACTER SET utf8mb4",
];

/// Loads rows of [`Wide`].
pub async fn load_wide(session: &mut dyn Session, kind: TestEngine, rows: &[Wide]) {
    load(
        session,
        kind,
        "wide",
        rows.len(),
        |at| rows[at].values(),
        |at| rows[at].literals(kind),
    )
    .await;
}

/// Loads rows: bound one by one into SQLite (its own parser of numbers is not under test), as literals into servers.
pub async fn load(
    session: &mut dyn Session,
    kind: TestEngine,
    table: &str,
    count: usize,
    values: impl Fn(usize) -> Vec<Value>,
    literals: impl Fn(usize) -> String,
) {
    session.begin().await.unwrap();
    if kind == TestEngine::Sqlite {
        let marks = vec!["?"; values(0).len()].join(", ");
        let insert = format!("INSERT INTO {table} VALUES ({marks})");
        for at in 0..count {
            session.execute_with(&insert, &values(at)).await.unwrap();
        }
    } else {
        for from in (0..count).step_by(TOGETHER) {
            let mut insert = format!("INSERT INTO {table} VALUES ");
            for at in from..count.min(from + TOGETHER) {
                let comma = if at > from { ", " } else { "" };
                let _ = write!(insert, "{comma}({})", literals(at));
            }
            session.execute(&insert).await.unwrap();
        }
    }
    session.commit().await.unwrap();
}
