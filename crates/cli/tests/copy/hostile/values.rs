//! Values that engines fold, cut, round or mistake for others, and their spellings on each engine.

use super::{Row, Shape};
use dunlin_testkit::crash::generate::Rng;
use dunlin_testkit::engines::TestEngine;
use rusqlite::types::Value as Param;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Int,
    /// A short text, fit for a key.
    Word,
    Text,
    Float,
    Decimal,
    Bytes,
    Stamp,
    Day,
    Bool,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum V {
    Null,
    Int(i64),
    Text(String),
    /// Never −0, which is 0 to the proof.
    Float(f64),
    /// Ten-thousandths.
    Decimal(i64),
    Bytes(Vec<u8>),
    Moment(String),
    Bool(bool),
    /// A text where none belongs: SQLite takes it.
    Odd(String),
}

impl V {
    /// As a report names it in a key.
    pub fn shown(&self) -> String {
        match self {
            V::Int(n) => n.to_string(),
            V::Text(text) => text.clone(),
            V::Null => "NULL".into(),
            other => format!("{other:?}"),
        }
    }
}

impl Of {
    /// The type as each engine declares it.
    pub fn native(self, engine: TestEngine) -> &'static str {
        let (sqlite, postgres, mysql) = match self {
            Of::Int => ("INTEGER", "bigint", "BIGINT"),
            Of::Word => ("TEXT", "text", "VARCHAR(80)"),
            Of::Text => ("TEXT", "text", "LONGTEXT"),
            Of::Float => ("REAL", "double precision", "DOUBLE"),
            Of::Decimal => ("DECIMAL(14,4)", "numeric(14,4)", "DECIMAL(14,4)"),
            Of::Bytes => ("BLOB", "bytea", "LONGBLOB"),
            Of::Stamp => ("DATETIME", "timestamp(6)", "DATETIME(6)"),
            Of::Day => ("DATE", "date", "DATE"),
            Of::Bool => ("BOOLEAN", "boolean", "TINYINT(1)"),
        };
        engine.pick(sqlite, postgres, mysql)
    }

    /// What shows each engine what such a column is for.
    fn plain(self) -> V {
        match self {
            Of::Int => V::Int(7),
            Of::Word | Of::Text => V::Text("plain".into()),
            Of::Float => V::Float(0.1),
            Of::Decimal => V::Decimal(125_000),
            Of::Bytes => V::Bytes(vec![0, 255]),
            Of::Stamp => V::Moment("2024-02-29 12:00:00.123456".into()),
            Of::Day => V::Moment("2024-02-29".into()),
            Of::Bool => V::Bool(true),
        }
    }

    /// One at random.
    pub fn random(self, rng: &mut Rng, nul: bool) -> V {
        match self {
            Of::Int => V::Int(match rng.below(4) {
                0 => pick(
                    &[
                        0,
                        1,
                        -1,
                        i64::MIN,
                        i64::MAX,
                        (1 << 53) + 1,
                        1 << 53,
                        127,
                        128,
                        -128,
                        -129,
                        255,
                        256,
                    ],
                    rng,
                ),
                1 => rng.number() as i64,
                _ => rng.below(50) as i64,
            }),
            Of::Word => V::Text(match rng.below(3) {
                0 => pick(&WORDS, rng).to_owned(),
                1 => format!("{}{}", pick(&WORDS, rng), pick(&WORDS, rng)),
                _ => format!("{}{:x}", pick(&WORDS, rng), rng.below(5000)),
            }),
            Of::Text => V::Text(text(rng, nul)),
            Of::Float => V::Float(float(rng)),
            Of::Decimal => V::Decimal(match rng.below(3) {
                0 => pick(
                    &[0, 1, -1, 10_000, 99_999_999_999_999, -99_999_999_999_999],
                    rng,
                ),
                _ => rng.below(1_000_000_000) as i64 - 500_000_000,
            }),
            Of::Bytes => V::Bytes(bytes(rng)),
            Of::Stamp => V::Moment(stamp(rng)),
            Of::Day => V::Moment(match rng.below(3) {
                0 => pick(
                    &["1000-01-01", "9999-12-31", "1970-01-01", "1900-02-28"],
                    rng,
                )
                .into(),
                _ => day(rng),
            }),
            Of::Bool => V::Bool(rng.chance(0.5)),
        }
    }

    /// One that some engine may take for this one.
    pub fn near(self, value: &V, rng: &mut Rng, nul: bool) -> V {
        match value {
            V::Null => match self {
                Of::Int => V::Int(0),
                Of::Word | Of::Text => V::Text(pick(&["", "NULL", "\\N", " "], rng).into()),
                Of::Float => V::Float(0.0),
                Of::Decimal => V::Decimal(0),
                Of::Bytes => V::Bytes(vec![]),
                Of::Bool => V::Bool(false),
                Of::Stamp | Of::Day => self.random(rng, nul),
            },
            V::Int(n) => V::Int(n.wrapping_add(pick(&[1, -1, 1 << 32], rng))),
            V::Text(text) => V::Text(close(text, rng)),
            V::Float(f) => {
                let next = f64::from_bits(f.to_bits() ^ 1);
                V::Float(if next == 0.0 || !next.is_finite() {
                    1.0
                } else {
                    next
                })
            }
            V::Decimal(n) => V::Decimal(if *n > 0 { n - 1 } else { n + 1 }),
            V::Bytes(bytes) => {
                let mut bytes = bytes.clone();
                match rng.below(3) {
                    0 if !bytes.is_empty() => {
                        let at = rng.below(bytes.len());
                        bytes[at] ^= 1 << rng.below(8);
                    }
                    1 => bytes.push(0),
                    _ => bytes.push(b' '),
                }
                V::Bytes(bytes)
            }
            V::Bool(b) => V::Bool(!b),
            V::Moment(_) | V::Odd(_) => self.random(rng, nul),
        }
    }
}

fn pick<T: Copy>(of: &[T], rng: &mut Rng) -> T {
    of[rng.below(of.len())]
}

/// Words that collations fold, in pairs and more.
const WORDS: [&str; 34] = [
    "",
    " ",
    "a",
    "A",
    "a ",
    " a",
    "ä",
    "a\u{308}",
    "Ä",
    "ss",
    "ß",
    "SS",
    "i",
    "I",
    "İ",
    "ı",
    "é",
    "e\u{301}",
    "ﬁ",
    "fi",
    "🐦",
    "\u{10FFFF}",
    "\u{FFFD}",
    "\u{200b}",
    "ك",
    "ک",
    "NULL",
    "\\N",
    "\\",
    "'",
    "0",
    "00",
    "1e5",
    "\t",
];

fn text(rng: &mut Rng, nul: bool) -> String {
    let mut text = String::new();
    for _ in 0..rng.below(4) {
        text.push_str(pick(&WORDS, rng));
        text.push_str(pick(
            &[
                "", "\n", "\r\n", "\"", "%", "\u{1}", "\u{7f}", "\u{feff}", "\u{0085}", "true",
            ],
            rng,
        ));
    }
    if nul && rng.chance(0.1) {
        text.push('\0');
        text.push_str(pick(&WORDS, rng));
    }
    if rng.chance(0.03) {
        text = text.repeat(20_000);
    }
    text
}

/// A text that differs in what is easily overlooked.
fn close(text: &str, rng: &mut Rng) -> String {
    match rng.below(7) {
        0 => format!("{text} "),
        1 => format!(" {text}"),
        2 if text.to_uppercase() != text => text.to_uppercase(),
        3 => format!("{text}\u{200b}"),
        4 if text.contains('ä') => text.replace('ä', "a\u{308}"),
        5 if text.contains('🐦') => text.replace('🐦', "?"),
        6 if !text.is_empty() => {
            let mut chars: Vec<char> = text.chars().collect();
            chars.reverse();
            let turned: String = chars.into_iter().collect();
            if turned == text {
                format!("{text}x")
            } else {
                turned
            }
        }
        _ => format!("{text}\u{301}"),
    }
}

fn float(rng: &mut Rng) -> f64 {
    match rng.below(3) {
        0 => pick(
            &[
                0.0,
                0.1,
                0.1 + 0.2,
                1e308,
                f64::MAX,
                5e-324,
                f64::MIN_POSITIVE,
                -1e-300,
                16_777_217.0,
                std::f64::consts::PI,
                9_007_199_254_740_993.0,
                1.0,
                -1.5,
            ],
            rng,
        ),
        1 => {
            let any = f64::from_bits(rng.number());
            if any.is_finite() && any != 0.0 {
                any
            } else {
                2.5
            }
        }
        _ => (rng.below(2_000_000) as f64 - 1e6) / 1e3 + 0.0,
    }
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    let len = match rng.below(30) {
        0 => 70_000,
        1..=5 => 0,
        _ => rng.below(40),
    };
    (0..len).map(|_| rng.number() as u8).collect()
}

fn stamp(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => pick(
            &[
                "1000-01-01 00:00:00.000000",
                "9999-12-31 23:59:59.999999",
                "1970-01-01 00:00:00.000000",
                "1969-12-31 23:59:59.999999",
                "2024-03-31 02:30:00.000000",
                "1582-10-10 00:00:00.000001",
            ],
            rng,
        )
        .to_owned(),
        _ => format!(
            "{} {:02}:{:02}:{:02}.{:06}",
            day(rng),
            rng.below(24),
            rng.below(60),
            rng.below(60),
            rng.below(1_000_000)
        ),
    }
}

fn day(rng: &mut Rng) -> String {
    format!(
        "{:04}-{:02}-{:02}",
        1000 + rng.below(9000),
        1 + rng.below(12),
        1 + rng.below(28)
    )
}

/// A row with a key that none of the others has.
pub fn row(shape: &Shape, others: &[Row], rng: &mut Rng, nul: bool) -> Row {
    loop {
        let columns = shape.columns().enumerate();
        let row: Row = columns
            .map(|(at, (_, of))| {
                let in_key = at < shape.key.len();
                let null = if in_key { 0.4 } else { 0.15 };
                if others.is_empty() {
                    return of.plain();
                }
                if (!in_key || shape.can_be_null()) && rng.chance(null) {
                    return V::Null;
                }
                of.random(rng, nul)
            })
            .collect();
        let name = shape.name_of(&row);
        let free = name.len() != shape.key.len() || name.contains(&V::Null);
        if free || !others.iter().any(|other| shape.name_of(other) == name) {
            return row;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decimal(n: i64) -> String {
    let sign = if n < 0 { "-" } else { "" };
    let n = n.unsigned_abs();
    format!("{sign}{}.{:04}", n / 10_000, n % 10_000)
}

/// As SQLite is given it.
pub fn param(value: &V) -> Param {
    match value {
        V::Null => Param::Null,
        V::Int(n) => Param::Integer(*n),
        V::Text(text) | V::Moment(text) | V::Odd(text) => Param::Text(text.clone()),
        V::Float(value) => Param::Real(*value),
        V::Decimal(n) => Param::Text(decimal(*n)),
        V::Bytes(bytes) => Param::Blob(bytes.clone()),
        V::Bool(b) => Param::Integer(i64::from(*b)),
    }
}

/// As a server reads it.
pub fn literal(engine: TestEngine, value: &V) -> String {
    let postgres = engine.is_postgres();
    match value {
        V::Null => "NULL".into(),
        V::Int(n) => format!("'{n}'"),
        V::Text(text) if postgres => {
            format!("convert_from('\\x{}', 'UTF8')", hex(text.as_bytes()))
        }
        V::Text(text) => format!("_utf8mb4 x'{}'", hex(text.as_bytes())),
        V::Float(value) => format!("'{value:e}'"),
        V::Decimal(n) => format!("'{}'", decimal(*n)),
        V::Bytes(bytes) if postgres => format!("'\\x{}'", hex(bytes)),
        V::Bytes(bytes) => format!("x'{}'", hex(bytes)),
        V::Moment(text) | V::Odd(text) => format!("'{text}'"),
        V::Bool(b) => format!("'{}'", u8::from(*b)),
    }
}
