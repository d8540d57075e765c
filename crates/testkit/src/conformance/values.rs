//! The values that a load must bring through: each class with its extremes, by the types of each engine.

use dunlin_core::copy::{Datum, Moment};
use dunlin_core::schema::NeutralType as T;
use std::sync::LazyLock;

/// A column: its name, its native type, what it means, its values.
pub(super) type Column = (&'static str, &'static str, T, Vec<Datum<'static>>);

const DAY: i64 = 86_400_000_000;
const TEXTS: [&str; 11] = [
    "",
    "NULL",
    "\\N",
    "\\.",
    "tab\tnewline\nreturn\r",
    "back\\slash 'single' \"double\" `tick`",
    "\\0 \\t \\n \\",
    "🐦 👩‍👩‍👧‍👦 ı İ ğ",
    "سلام دنیا، کتاب",
    " spaces  ",
    "e\u{301} \u{feff} \u{1a} \u{7f}",
];
const DIGITS: &str = "12345678901234567890123456789012345.123456789012345678901234567891";
static MEGABYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let bytes = (0..5_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8);
    bytes.collect()
});

fn texts() -> Vec<Datum<'static>> {
    TEXTS.into_iter().map(Datum::Text).collect()
}

fn blobs() -> Vec<Datum<'static>> {
    vec![
        Datum::Bytes(b""),
        Datum::Bytes(b"\0\t\n\\N\\.\x1a'\xff"),
        Datum::Bytes(&MEGABYTES),
    ]
}

fn doubles(all: bool) -> Vec<Datum<'static>> {
    let mut values = vec![
        0.1 + 0.2,
        -0.0,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        1e15,
        1e-7,
    ];
    if all {
        values.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    }
    values.into_iter().map(Datum::Float).collect()
}

fn decimals() -> Vec<Datum<'static>> {
    let spelled = [
        "0",
        "-0.5",
        "1.50",
        "9999",
        "10000",
        "0.0001",
        "-12345.678",
        DIGITS,
    ];
    spelled.into_iter().map(Datum::Decimal).collect()
}

fn documents() -> Vec<Datum<'static>> {
    let spelled = [
        "null",
        "\"\"",
        "12",
        "{\"b\": [1, 2.5, {}], \"a\": \"tab\\t \\\\ \\\"q\\\" 🐦\"}",
        "[]",
    ];
    spelled.into_iter().map(Datum::Json).collect()
}

fn days(years: [i64; 2]) -> Vec<Datum<'static>> {
    years
        .into_iter()
        .chain([0, 11_016])
        .map(|day| Datum::Date(Moment::At(day)))
        .collect()
}

/// 9999-12-31 and 0001-01-01, as days.
const LAST: i64 = 2_932_896;
const FIRST: i64 = -719_162;

fn stamps(first: i64, last: i64) -> Vec<Datum<'static>> {
    [first, last, 0, 1, 1_700_000_000_123_456]
        .into_iter()
        .map(|micros| Datum::Stamp(Moment::At(micros)))
        .collect()
}

fn int(values: &[i64]) -> Vec<Datum<'static>> {
    values.iter().copied().map(Datum::Int).collect()
}

fn bools() -> Vec<Datum<'static>> {
    vec![Datum::Bool(true), Datum::Bool(false)]
}

fn uuids() -> Vec<Datum<'static>> {
    vec![
        Datum::Uuid([0; 16]),
        Datum::Uuid([255; 16]),
        Datum::Uuid(*b"\0\t\n\\'ABCDEFGHIJK"),
    ]
}

fn bits(values: &'static [&'static str]) -> Vec<Datum<'static>> {
    values.iter().copied().map(Datum::Bits).collect()
}

pub(super) fn postgres() -> Vec<Column> {
    let infinite = [Moment::Infinity, Moment::NegativeInfinity];
    let mut far = days([LAST, FIRST]);
    far.extend(infinite.map(Datum::Date));
    far.push(Datum::Date(Moment::At(FIRST - 1)));
    let mut ever = stamps(FIRST * DAY - 1, (LAST + 1) * DAY - 1);
    ever.extend(infinite.map(Datum::Stamp));
    let mut numeric = decimals();
    numeric.push(Datum::Decimal("NaN"));
    numeric.push(Datum::UInt(u64::MAX));
    let singles = [1.1_f32, 1e-45, -0.0, f32::MAX, f32::NAN, f32::NEG_INFINITY];
    let span = vec![Datum::Time(-3_020_399_000_000), Datum::Time(1)];
    let times = vec![Datum::Time(0), Datum::Time(DAY), Datum::Time(DAY - 1)];
    vec![
        ("b", "boolean", T::Bool, bools()),
        (
            "i2",
            "smallint",
            T::Int,
            int(&[i16::MIN.into(), i16::MAX.into()]),
        ),
        (
            "i4",
            "integer",
            T::Int,
            int(&[i32::MIN.into(), i32::MAX.into(), 0]),
        ),
        ("i8", "bigint", T::Int, int(&[i64::MIN, i64::MAX, -1])),
        ("o", "oid", T::Int, int(&[u32::MAX.into()])),
        ("n", "numeric", T::Decimal, numeric),
        ("n2", "numeric(65,30)", T::Decimal, decimals()),
        (
            "u",
            "numeric(20,0)",
            T::Int,
            vec![Datum::UInt(u64::MAX), Datum::Int(-1)],
        ),
        ("f4", "real", T::Float, singles.map(Datum::Float32).to_vec()),
        ("f8", "double precision", T::Float, doubles(true)),
        ("t", "text", T::Text, texts()),
        ("v", "varchar(60)", T::Text, texts()),
        (
            "e",
            "bulk_mood",
            T::Text,
            vec![Datum::Text("it's"), Datum::Text("کتاب")],
        ),
        ("y", "bytea", T::Bytes, blobs()),
        ("d", "date", T::Date, far),
        ("ti", "time", T::Time, times),
        ("sp", "interval", T::Time, span),
        ("ts", "timestamp", T::Timestamp, ever.clone()),
        ("tz", "timestamptz", T::TimestampTz, ever),
        ("j", "json", T::Json, documents()),
        ("jb", "jsonb", T::Json, documents()),
        ("id", "uuid", T::Uuid, uuids()),
        (
            "bi",
            "bit(10)",
            T::Bits,
            bits(&["0000000101", "1111111111", "101"]),
        ),
        (
            "vb",
            "bit varying(80)",
            T::Bits,
            bits(&["", "1", "101010101"]),
        ),
    ]
}

/// Types without a binary form here, which send the whole table by the text form.
pub(super) fn opaque() -> Vec<Column> {
    let arrays = ["{}", "{NULL,\"a\\\\b\"}", "{\"tab\there\",\"q\\\"\"}"];
    vec![
        (
            "ar",
            "text[]",
            T::Opaque("text[]".into()),
            arrays.map(Datum::Opaque).to_vec(),
        ),
        (
            "ne",
            "inet",
            T::Opaque("inet".into()),
            vec![Datum::Opaque("::1/128")],
        ),
    ]
}

pub(super) fn mysql() -> Vec<Column> {
    let singles = [1.1_f32, 1e-38, -0.0, 3.402_823e38, 16_777_217.0];
    let mut all = vec![
        ("b", "tinyint(1)", T::Bool, bools()),
        ("i1", "tinyint", T::Int, int(&[-128, 127])),
        ("i8", "bigint", T::Int, int(&[i64::MIN, i64::MAX, -1])),
        (
            "u8",
            "bigint unsigned",
            T::Int,
            vec![Datum::UInt(u64::MAX), Datum::Int(0)],
        ),
        ("n", "decimal(65,30)", T::Decimal, decimals()),
        (
            "f4",
            "float",
            T::Float,
            singles.map(Datum::Float32).to_vec(),
        ),
        ("f8", "double", T::Float, doubles(false)),
        ("t", "longtext CHARACTER SET utf8mb4", T::Text, {
            let mut texts = texts();
            texts.push(Datum::Text("nul \0 inside"));
            texts
        }),
        ("v", "varchar(60) CHARACTER SET utf8mb4", T::Text, texts()),
        (
            "l1",
            "varchar(20) CHARACTER SET latin1",
            T::Text,
            vec![Datum::Text("déjà vu \\N")],
        ),
        (
            "e",
            "enum('it''s','a b')",
            T::Text,
            vec![Datum::Text("it's"), Datum::Text("a b")],
        ),
        ("y", "longblob", T::Bytes, blobs()),
        (
            "vy",
            "varbinary(20)",
            T::Bytes,
            vec![Datum::Bytes(b"\0\xff"), Datum::Bytes(b"")],
        ),
    ];
    all.extend(mysql_others());
    all
}

fn mysql_others() -> Vec<Column> {
    let spans = [-3_020_399_000_000, 3_020_399_000_000, 0, 1].map(Datum::Time);
    vec![
        ("d", "date", T::Date, days([LAST, FIRST])),
        ("ti", "time(6)", T::Time, spans.to_vec()),
        (
            "ts",
            "datetime(6)",
            T::Timestamp,
            stamps(FIRST * DAY, (LAST + 1) * DAY - 1),
        ),
        ("tz", "timestamp(6) NULL", T::TimestampTz, {
            [1_000_000, 1_000_001, 2_147_483_647_999_999]
                .map(|micros| Datum::Stamp(Moment::At(micros)))
                .to_vec()
        }),
        ("j", "json", T::Json, documents()),
        ("id", "char(36)", T::Uuid, uuids()),
        ("ib", "binary(16)", T::Uuid, uuids()),
        (
            "bi",
            "bit(10)",
            T::Bits,
            bits(&["0000000101", "1111111111", "101"]),
        ),
        ("bl", "bit(64)", T::Bits, {
            bits(&[
                "1111111111111111111111111111111111111111111111111111111111111111",
                "0",
            ])
        }),
    ]
}

pub(super) fn sqlite() -> Vec<Column> {
    let mut numbers = decimals();
    numbers.retain(|datum| *datum != Datum::Decimal(DIGITS));
    let mut every = doubles(false);
    every.push(Datum::Float(f64::INFINITY));
    let mut any = texts();
    any.extend([
        Datum::BadText(b"\xff\0"),
        Datum::Int(5),
        Datum::Float(0.5),
        Datum::Bytes(b"\xff"),
    ]);
    vec![
        ("b", "BOOLEAN", T::Bool, bools()),
        ("i", "INTEGER", T::Int, int(&[i64::MIN, i64::MAX, -1])),
        ("n", "NUMERIC", T::Decimal, numbers),
        ("nt", "TEXT", T::Decimal, decimals()),
        ("u", "TEXT", T::Int, vec![Datum::UInt(u64::MAX)]),
        ("f", "REAL", T::Float, every),
        ("ft", "TEXT", T::Float, doubles(false)),
        ("t", "TEXT", T::Text, {
            let mut texts = texts();
            texts.push(Datum::Text("nul \0 inside"));
            texts
        }),
        ("y", "BLOB", T::Bytes, blobs()),
        ("d", "DATE", T::Date, days([LAST, FIRST - 1])),
        (
            "ti",
            "TIME",
            T::Time,
            vec![Datum::Time(0), Datum::Time(DAY - 1), Datum::Time(-1)],
        ),
        (
            "ts",
            "DATETIME",
            T::Timestamp,
            stamps(FIRST * DAY - 1, (LAST + 1) * DAY - 1),
        ),
        (
            "tz",
            "TIMESTAMPTZ",
            T::TimestampTz,
            stamps(FIRST * DAY, (LAST + 1) * DAY - 1),
        ),
        ("j", "JSON", T::Json, documents()),
        ("id", "UUID", T::Uuid, uuids()),
        ("ib", "BLOB", T::Uuid, uuids()),
        ("bi", "BIT(10)", T::Bits, bits(&["0000000101", "101"])),
        ("bt", "TEXT", T::Bits, bits(&["0000000101", ""])),
        ("a", "", T::Opaque("any".into()), any),
    ]
}
