//! Types of SQLite's columns, by their values.

use super::*;

#[test]
fn s01_s02_reals_are_doubles() {
    assert_eq!(type_of("REAL", &[Float(16_777_217.0)]), "double precision");
    assert_eq!(
        type_of("FLOAT", &[Float(1e308), Float(f64::INFINITY)]),
        "double precision"
    );
    assert_eq!(type_of("REAL", &[]), "double precision");
}

#[test]
fn s04_s05_s06_s07_whole_numbers_by_what_they_are() {
    assert_eq!(type_of("INT", &[Int(2_147_483_648)]), "bigint");
    assert_eq!(
        type_of("UNSIGNED BIG INT", &[Float(1.844_674_407_370_955_2e19)]),
        "double precision"
    );
    assert_eq!(
        type_of("INTEGER", &[Int(1), Float(1.5), Float(1e20)]),
        "numeric"
    );
    let (native, word, misfits) = becomes(
        "INTEGER",
        &[Int(1), Float(1.5), Text("12abc"), Bytes(b"\x01")],
    );
    assert_eq!(
        (native.as_str(), word, misfits),
        ("text", Some("mixed-as-text"), 1)
    );
    assert_eq!(
        type_of("INTEGER", &[Int(1), Float(9.223_372_036_854_776e18)]),
        "double precision"
    );
}

#[test]
fn s08_s09_s22_s23_columns_of_any_class() {
    assert_eq!(
        type_of("", &[Int(1), Text("1"), Float(1.0), Bytes(b"1")]),
        "text"
    );
    assert_eq!(type_of("", &[Bytes(b"\0")]), "bytea");
    assert_eq!(type_of("ANY", &[Int(1)]), "bigint");
    assert_eq!(type_of("", &[Text("x")]), "text");
    let (native, word, misfits) = becomes("BLOB", &[Bytes(b"x"), Text("abcd"), Int(42)]);
    assert_eq!(
        (native.as_str(), word, misfits),
        ("bytea", Some("text-as-bytes"), 1)
    );
}

#[test]
fn s10_booleans_only_where_all_are() {
    let all = [
        Int(0),
        Int(1),
        Text("true"),
        Text("t"),
        Text("False"),
        Text("yes"),
        Null,
    ];
    assert_eq!(becomes("BOOLEAN", &all).0, "boolean");
    assert_eq!(becomes("BOOLEAN", &all).1, Some("text-as-boolean"));
    assert_eq!(type_of("BOOLEAN", &[Int(0), Int(2)]), "smallint");
    assert_eq!(type_of("BOOLEAN", &[Int(0), Int(70_000)]), "bigint");
    assert_eq!(type_of("BOOLEAN", &[Int(0), Text("maybe")]), "text");
}

#[test]
fn s11_s16_s17_times_with_and_without_offsets() {
    let plain = "timestamp without time zone";
    assert_eq!(type_of("DATETIME", &[Text("2024-02-29 12:00:00")]), plain);
    let zoned = [
        Text("2024-06-01 12:00:00+05:30"),
        Text("2024-06-01T12:00:00Z"),
    ];
    assert_eq!(type_of("TIMESTAMP", &zoned), "timestamp with time zone");
    let (plan, findings) = single(
        &sqlite(),
        &postgres(),
        column(&sqlite(), "c", "TIMESTAMP"),
        &[zoned[0], Text("2024-06-01 12:00:00")],
    );
    assert_eq!(plan.tables[0].columns[0].target_native, "text");
    assert_eq!(findings[0].code, "mixed-offsets");
    let fine = becomes(
        "DATETIME",
        &[
            Text("2024-06-01 12:00:00.123456789"),
            Text("2024-06-01 12:00:00"),
        ],
    );
    assert_eq!((fine.0.as_str(), fine.2), (plain, 1));
}

#[test]
fn s12_s13_s14_s15_numbers_that_count() {
    let epoch = |cells: &[Cell<'_>]| goes(&sqlite(), &postgres(), "DATETIME", cells).epoch;
    assert_eq!(epoch(&[Int(1_700_000_000), Null]), Some(Epoch::Seconds));
    assert_eq!(epoch(&[Int(1_700_000_000_123)]), Some(Epoch::Milliseconds));
    assert_eq!(epoch(&[Float(2_460_000.5)]), Some(Epoch::JulianDay));
    assert_eq!(
        type_of("DATETIME", &[Int(1_700_000_000)]),
        "timestamp without time zone"
    );
    assert_eq!(type_of("DATETIME", &[Int(2024), Int(0)]), "bigint");
    assert_eq!(
        type_of("DATETIME", &[Int(1_700_000_000), Int(1_700_000_000_123)]),
        "bigint"
    );
}

#[test]
fn s18_s19_s20_days() {
    assert_eq!(type_of("DATE", &[Text("2024-02-29")]), "date");
    let wide = becomes("DATE", &[Text("2024-02-29"), Text("2024-02-29 23:00:00")]);
    assert_eq!(wide.0, "timestamp without time zone");
    let odd = becomes(
        "DATE",
        &[
            Text("2024-02-29"),
            Text("2024-01-01"),
            Text("now"),
            Text("2024-13-45"),
        ],
    );
    assert_eq!((odd.0.as_str(), odd.2), ("date", 2));
    assert_eq!(
        becomes("DATE", &[Text("29/02/2024"), Text("")]).1,
        Some("date-as-text")
    );
}

#[test]
fn s21_s29_s34_bytes_lengths_and_uuids() {
    assert_eq!(type_of("BLOB", &[Bytes(b"\x00\x01"), Bytes(b"")]), "bytea");
    assert_eq!(type_of("VARCHAR(3)", &[Text("abcdef")]), "text");
    assert_eq!(
        type_of("VARCHAR(3)", &[Text("abc")]),
        "character varying(3)"
    );
    assert_eq!(
        type_of("UUID", &[Text("0190b6a5-7a3a-7d5c-8f7e-9a4f3b2c1d0e")]),
        "uuid"
    );
    assert_eq!(type_of("UUID", &[Text("x")]), "text");
    assert_eq!(becomes("UUID", &[Bytes(&[7; 16])]).1, Some("bytes-as-uuid"));
}

#[test]
fn s30_s31_decimals_are_what_doubles_can_spell() {
    assert_eq!(type_of("NUMERIC(10,2)", &[Float(12.25), Int(3)]), "numeric");
    assert_eq!(
        type_of("NUMERIC(10,2)", &[Float(0.1 + 0.2)]),
        "double precision"
    );
    assert_eq!(type_of("DECIMAL(38,20)", &[]), "numeric");
}

#[test]
fn s32_s33_json_only_where_all_is() {
    assert_eq!(type_of("JSON", &[Text("{\"a\":1}"), Int(1)]), "jsonb");
    assert_eq!(type_of("JSON", &[Text("{\"a\":1,\"a\":2}")]), "json");
    assert_eq!(type_of("JSON", &[Text("{\"u\":\"\\u0000\"}")]), "json");
    assert_eq!(type_of("JSON", &[Text("{'bad':1}")]), "text");
    assert_eq!(type_of("JSONB", &[Bytes(b"\x0c")]), "bytea");
}

#[test]
fn s35_s36_s70_type_names_of_any_kind() {
    for (native, cells, expected) in [
        ("TEXT[]", &[Text("{}")][..], "text"),
        ("STRING", &[Int(7)], "bigint"),
        ("FLOATING POINT", &[Int(2), Float(1.5)], "double precision"),
        (
            "NATIVE CHARACTER(70)",
            &[Text("x")],
            "character varying(70)",
        ),
        ("LONGVARCHAR", &[Text("x")], "text"),
        ("CHARINT", &[Int(1)], "bigint"),
        ("ENUM('a','b')", &[Text("a")], "text"),
    ] {
        assert_eq!(type_of(native, cells), expected, "{native}");
    }
}
