//! What COPY is given, byte by byte; that the server takes it so is for the conformance suite.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::copy::{Datum, Moment};

fn column(native: &str, ty: NeutralType) -> TargetColumn {
    TargetColumn {
        name: format!("c {native}"),
        native: native.into(),
        ty,
    }
}

fn table(columns: Vec<TargetColumn>) -> TargetTable {
    TargetTable {
        schema: None,
        name: "odd\"name".into(),
        columns,
    }
}

fn one(native: &str, ty: NeutralType, datum: Datum<'_>) -> Result<Vec<u8>, String> {
    let mut encoder = Bulk.encoder(&table(vec![column(native, ty)])).unwrap();
    let mut out = vec![];
    encoder.row(&[datum], &mut out).map_err(|unfit| unfit.why)?;
    Ok(out)
}

fn field(native: &str, ty: NeutralType, datum: Datum<'_>) -> Vec<u8> {
    let row = one(native, ty, datum).unwrap();
    assert_eq!(&row[..2], [0, 1], "one column");
    let len = u32::from_be_bytes(row[2..6].try_into().unwrap()) as usize;
    assert_eq!(row.len(), 6 + len);
    row[6..].to_vec()
}

#[test]
fn the_statement_says_the_form() {
    let plain = table(vec![column("bigint", NeutralType::Int)]);
    insta::assert_snapshot!(Bulk.load(&plain, true), @r#"COPY "public"."odd""name" ("c bigint") FROM STDIN (FORMAT binary, FREEZE)"#);
    let arrays = table(vec![column("text[]", NeutralType::Opaque("text[]".into()))]);
    insta::assert_snapshot!(Bulk.load(&arrays, false), @r#"COPY "public"."odd""name" ("c text[]") FROM STDIN (FORMAT text, ENCODING 'UTF8')"#);
}

#[test]
fn numbers_by_groups_of_four_digits() {
    let bytes = |text| field("numeric(10,2)", NeutralType::Decimal, Datum::Decimal(text));
    assert_eq!(
        bytes("-12345.678"),
        [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]
    );
    assert_eq!(bytes("0.0001"), [0, 1, 0xff, 0xff, 0, 0, 0, 4, 0, 1]);
    assert_eq!(bytes("0"), [0, 0, 0xff, 0xff, 0, 0, 0, 0]);
    assert_eq!(bytes("NaN"), [0, 0, 0, 0, 0xc0, 0, 0, 0]);
    let n = field("numeric", NeutralType::Decimal, Datum::UInt(u64::MAX));
    assert_eq!(n, bytes("18446744073709551615"));
    for bad in ["", "-", "1e5", "1,5", "٣"] {
        assert!(
            one("numeric", NeutralType::Decimal, Datum::Decimal(bad)).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    let mut encoder = Bulk
        .encoder(&table(vec![
            column("text", NeutralType::Text),
            column("smallint", NeutralType::Int),
        ]))
        .unwrap();
    let mut out = b"before".to_vec();
    let unfit = encoder.row(&[Datum::Text("x"), Datum::Int(32_768)], &mut out);
    assert_eq!(unfit.unwrap_err().column, 1);
    assert_eq!(out, b"before");
    use Datum::*;
    for (native, datum) in [
        ("boolean", Int(2)),
        ("integer", Int(1 << 31)),
        ("bigint", UInt(1 << 63)),
        ("real", Float(0.1)),
        ("date", Date(Moment::At(i64::MAX))),
        ("time", Time(-1)),
        ("timestamp", Stamp(Moment::At(i64::MIN))),
        ("bit(3)", Bits("1000")),
        ("text", Bytes(b"x")),
        ("text", BadText(b"\xff")),
        ("bytea", Text("x")),
    ] {
        assert!(
            one(native, NeutralType::Int, datum).is_err(),
            "{native} {datum:?}"
        );
    }
}

#[test]
fn moments_count_from_2000() {
    let days = |at| field("date", NeutralType::Date, Datum::Date(at));
    assert_eq!(days(Moment::At(10_957)), [0; 4]);
    assert_eq!(days(Moment::Infinity), i32::MAX.to_be_bytes());
    let stamp = |at| field("timestamptz(3)", NeutralType::TimestampTz, Datum::Stamp(at));
    assert_eq!(stamp(Moment::At(946_684_800_000_001)), 1_i64.to_be_bytes());
    assert_eq!(stamp(Moment::NegativeInfinity), i64::MIN.to_be_bytes());
    let span = field("interval", NeutralType::Time, Datum::Time(-1));
    assert_eq!(span.len(), 16);
    assert_eq!(
        field("jsonb", NeutralType::Json, Datum::Json("{}")),
        b"\x01{}"
    );
    assert_eq!(
        field("bit(10)", NeutralType::Bits, Datum::Bits("101")),
        [0, 0, 0, 10, 1, 0x40]
    );
}

#[test]
fn cells_as_they_are_mean_the_same() {
    let same = |native: &str, text: &'static str, datum: Datum<'_>| {
        let read = field(
            native,
            NeutralType::Opaque(String::new()),
            Datum::Text(text),
        );
        assert_eq!(
            read,
            field(native, NeutralType::Opaque(String::new()), datum),
            "{text}"
        );
    };
    same("date", "1970-01-02", Datum::Date(Moment::At(1)));
    same("time", "00:00:01", Datum::Time(1_000_000));
    same(
        "timestamp",
        "-infinity",
        Datum::Stamp(Moment::NegativeInfinity),
    );
    same(
        "timestamptz",
        "1970-01-01 01:00:00+01",
        Datum::Stamp(Moment::At(0)),
    );
    same("numeric", "-1.50", Datum::Decimal("-1.50"));
    same(
        "uuid",
        "00000000-0000-0000-0000-000000000001",
        Datum::Uuid(1_u128.to_be_bytes()),
    );
    same("bit(4)", "0101", Datum::Bits("101"));
    assert!(one("date", NeutralType::Date, Datum::Text("now")).is_err());
}

#[test]
fn text_form_cannot_be_broken_out_of() {
    let line = |datum| {
        String::from_utf8(one("tsvector", NeutralType::Opaque("tsvector".into()), datum).unwrap())
            .unwrap()
    };
    assert_eq!(
        line(Datum::Opaque("a\tb\nc\\.\\N\r")),
        "a\\tb\\nc\\\\.\\\\N\\r\n"
    );
    assert_eq!(line(Datum::Opaque("\\.")), "\\\\.\n");
    assert_eq!(line(Datum::Null), "\\N\n");
    assert_eq!(line(Datum::Bytes(&[0, 255])), "\\\\x00ff\n");
    assert_eq!(
        line(Datum::Float(f64::MIN_POSITIVE)),
        "2.2250738585072014e-308\n"
    );
}
