//! Rows of the hard-case tables that concern types and DDL, by their ids.

use super::{Evidence, plan};
use crate::copy::Cell;
use crate::copy::Epoch;
use crate::copy::cast::Casts;
use crate::copy::plan::{ColumnPlan, CopyPlan};
use crate::copy::profile::{ColumnProfile, Profiler};
use crate::dialect::{Caps, Dialect, mysql::Mysql, of_engine, postgres::Postgres, sqlite::Sqlite};
use crate::finding::Finding;
use crate::schema::{Catalog, Column, ForeignKey, Key, Table};

use Cell::{Bytes, Float, Int, Null, Text};

fn sqlite() -> Caps {
    Sqlite.caps("3.45.0")
}

fn postgres() -> Caps {
    Postgres.caps("15.8")
}

fn mysql() -> Caps {
    Mysql.caps("8.0.36")
}

fn mariadb() -> Caps {
    Mysql.caps("10.11.6-MariaDB")
}

/// A column as the engine's own reading would give it.
fn column(engine: &Caps, name: &str, native: &str) -> Column {
    Column {
        name: name.into(),
        native: native.into(),
        neutral: of_engine(engine.engine).rows().neutral(native, ""),
        nullable: true,
        default: None,
        generated: None,
        identity: None,
        on_update: None,
        collation: None,
        attributes: None,
        comment: None,
    }
}

fn one(engine: &Caps, column: Column) -> Catalog {
    let mut catalog = Catalog::new(engine.engine.to_string());
    catalog.tables.push(Table {
        name: "t".into(),
        columns: vec![column],
        ..Table::default()
    });
    catalog
}

fn profile(column: &Column, cells: &[Cell<'_>]) -> ColumnProfile {
    let mut profiler = Profiler::new(column.neutral.clone());
    for cell in cells {
        profiler.take(*cell);
    }
    profiler.finish()
}

/// The plan of a table of one column with these values.
fn single(from: &Caps, to: &Caps, column: Column, cells: &[Cell<'_>]) -> (CopyPlan, Vec<Finding>) {
    let mut evidence = Evidence::default();
    let profile = profile(&column, cells);
    evidence.tables.insert((None, "t".into()), vec![profile]);
    plan(&one(from, column), from, to, &evidence, &Casts::default())
}

/// How a column goes over, declared so and with these values.
fn goes(from: &Caps, to: &Caps, native: &str, cells: &[Cell<'_>]) -> ColumnPlan {
    let (plan, _) = single(from, to, column(from, "c", native), cells);
    plan.tables[0].columns[0].clone()
}

/// The same from SQLite to PostgreSQL: the type, and the word.
fn becomes(native: &str, cells: &[Cell<'_>]) -> (String, Option<&'static str>, u64) {
    let plan = goes(&sqlite(), &postgres(), native, cells);
    (plan.target_native, plan.kind, plan.misfits)
}

fn type_of(native: &str, cells: &[Cell<'_>]) -> String {
    becomes(native, cells).0
}

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

/// A table with a primary key over its first column.
fn keyed(engine: &Caps, native: &str) -> Catalog {
    let mut catalog = one(engine, column(engine, "c", native));
    catalog.tables[0].keys.push(Key {
        name: None,
        primary: true,
        columns: vec!["c".into()],
        clause: None,
    });
    catalog
}

fn without_evidence(catalog: &Catalog, from: &Caps, to: &Caps) -> (CopyPlan, Vec<Finding>) {
    plan(catalog, from, to, &Evidence::default(), &Casts::default())
}

#[test]
fn s37_s39_s40_only_the_exact_integer_key_numbers_rows() {
    let identity = |native: &str, definition: Option<&str>| {
        let mut catalog = keyed(&sqlite(), native);
        catalog.tables[0].definition = definition.map(str::to_owned);
        let (plan, _) = without_evidence(&catalog, &sqlite(), &postgres());
        (
            plan.catalog.tables[0].columns[0].identity.clone(),
            plan.tables[0].counters.len(),
        )
    };
    assert_eq!(identity("INTEGER", None), (Some("BY DEFAULT".into()), 1));
    assert_eq!(identity("integer", None), (Some("BY DEFAULT".into()), 1));
    assert_eq!(identity("BIGINT", None), (None, 0));
    assert_eq!(identity("INT", None), (None, 0));
    let descending = "CREATE TABLE t (c INTEGER PRIMARY KEY DESC)";
    assert_eq!(identity("INTEGER", Some(descending)), (None, 0));
}

#[test]
fn s41_null_in_a_key_makes_it_an_index() {
    let catalog = keyed(&sqlite(), "TEXT");
    let mut evidence = Evidence::default();
    let found = profile(&catalog.tables[0].columns[0], &[Null, Null, Text("a")]);
    evidence.tables.insert((None, "t".into()), vec![found]);
    let (plan, findings) = plan(
        &catalog,
        &sqlite(),
        &postgres(),
        &evidence,
        &Casts::default(),
    );
    let table = &plan.catalog.tables[0];
    assert!(table.keys.is_empty() && table.indexes[0].unique && table.columns[0].nullable);
    assert_eq!(findings[0].code, "null-in-key");
}

fn child(catalog: &mut Catalog, native: &str, columns: &[&str]) {
    let caps = sqlite();
    catalog.tables.push(Table {
        name: "child".into(),
        columns: vec![column(&caps, "r", native)],
        foreign_keys: vec![ForeignKey {
            name: None,
            columns: vec!["r".into()],
            references_schema: None,
            references: "T".into(),
            references_columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            on_delete: Some("CASCADE".into()),
            on_update: Some("CASCADE".into()),
            attributes: Some("DEFERRABLE INITIALLY DEFERRED".into()),
        }],
        ..Table::default()
    });
}

#[test]
fn s46_s48_s50_s51_references_are_resolved_and_of_one_type() {
    let mut catalog = keyed(&sqlite(), "INTEGER");
    child(&mut catalog, "SMALLINT", &[]);
    let (plan, _) = without_evidence(&catalog, &sqlite(), &postgres());
    let made = &plan.catalog.tables[1];
    assert_eq!(made.columns[0].native, "bigint");
    let key = &made.foreign_keys[0];
    assert_eq!(
        (key.references.as_str(), key.references_columns.as_slice()),
        ("t", &["c".to_owned()][..])
    );
    assert_eq!(
        key.attributes.as_deref(),
        Some("DEFERRABLE INITIALLY DEFERRED")
    );
    assert_eq!(key.on_update.as_deref(), Some("CASCADE"));
}

#[test]
fn s49_a_reference_to_what_is_not_unique_is_listed() {
    let mut catalog = one(&sqlite(), column(&sqlite(), "c", "INTEGER"));
    child(&mut catalog, "INTEGER", &["C"]);
    let (plan, findings) = without_evidence(&catalog, &sqlite(), &postgres());
    assert!(plan.catalog.tables[1].foreign_keys.is_empty());
    assert_eq!(plan.not_carried.len(), 1);
    assert!(
        findings
            .iter()
            .any(|finding| finding.code == "foreign-key-dropped")
    );
}

#[test]
fn s62_virtual_tables_are_listed_by_name() {
    let mut catalog = one(&sqlite(), column(&sqlite(), "c", "TEXT"));
    catalog.tables[0]
        .options
        .insert("virtual".into(), "true".into());
    let (plan, _) = without_evidence(&catalog, &sqlite(), &postgres());
    assert!(plan.tables.is_empty() && plan.catalog.tables.is_empty());
    assert_eq!(plan.not_carried[0].object, "table t");
}

#[test]
fn s65_s66_p22_names_that_become_one_stay_two() {
    let mut catalog = one(&sqlite(), column(&sqlite(), "c", "TEXT"));
    for end in ["1", "2"] {
        let mut table = catalog.tables[0].clone();
        table.name = format!("{}{end}", "n".repeat(70));
        catalog.tables.push(table);
    }
    let (plan, findings) = without_evidence(&catalog, &sqlite(), &postgres());
    assert_ne!(plan.catalog.tables[1].name, plan.catalog.tables[2].name);
    assert_eq!(
        findings
            .iter()
            .filter(|finding| finding.code == "name-changed")
            .count(),
        2
    );
    let mut mixed = one(&postgres(), column(&postgres(), "a", "text"));
    mixed.tables[0]
        .columns
        .push(column(&postgres(), "A", "text"));
    let (plan, _) = without_evidence(&mixed, &postgres(), &mysql());
    let names: Vec<_> = plan.tables[0]
        .columns
        .iter()
        .map(|column| column.target.as_str())
        .collect();
    assert_eq!(names, ["a", "A_2"]);
}

#[test]
fn s67_p23_too_many_columns_stop_before_anything() {
    let mut catalog = one(&sqlite(), column(&sqlite(), "c0", "TEXT"));
    for n in 1..1_700 {
        catalog.tables[0]
            .columns
            .push(column(&sqlite(), &format!("c{n}"), "TEXT"));
    }
    let stops = |to: &Caps| {
        let (_, findings) = without_evidence(&catalog, &sqlite(), to);
        findings
            .iter()
            .any(|finding| finding.code == "too-many-columns")
    };
    assert!(stops(&postgres()) && stops(&mysql()));
    let (_, findings) = without_evidence(&catalog, &sqlite(), &sqlite());
    assert!(findings.is_empty());
}

#[test]
fn m03_m04_m05_m06_m07_m08_numbers_of_mysql() {
    let to =
        |native: &str, cells: &[Cell<'_>]| goes(&mysql(), &postgres(), native, cells).target_native;
    assert_eq!(to("tinyint(1)", &[Int(0), Int(1), Null]), "boolean");
    assert_eq!(to("tinyint(1)", &[Int(2), Int(-1)]), "smallint");
    assert_eq!(to("time", &[Text("23:59:59")]), "time(0) without time zone");
    assert_eq!(
        to("time(3)", &[Text("838:59:59"), Text("-12:30:00")]),
        "interval"
    );
    assert_eq!(to("year", &[Int(0), Int(2155)]), "smallint");
    assert_eq!(to("bit(8)", &[Bytes(&[170])]), "bit(8)");
    assert_eq!(
        to("bigint unsigned", &[Cell::UInt(u64::MAX)]),
        "numeric(20,0)"
    );
    assert_eq!(to("int unsigned", &[Int(1)]), "bigint");
    assert_eq!(to("smallint unsigned", &[Int(1)]), "integer");
    assert_eq!(to("tinyint unsigned", &[Int(1)]), "smallint");
    assert_eq!(to("mediumint", &[Int(1)]), "integer");
    let mut catalog = keyed(&mysql(), "bigint unsigned");
    catalog.tables[0].columns[0].identity = Some("AUTO_INCREMENT".into());
    let (plan, _) = without_evidence(&catalog, &mysql(), &postgres());
    assert_eq!(plan.catalog.tables[0].columns[0].native, "bigint");
    assert_eq!(plan.tables[0].counters.len(), 1);
}

#[test]
fn m01_zero_dates_are_counted() {
    let plan = goes(
        &mysql(),
        &postgres(),
        "date",
        &[Text("0000-00-00"), Text("2024-01-01")],
    );
    assert_eq!((plan.target_native.as_str(), plan.misfits), ("date", 1));
}

#[test]
fn m09_m11_m16_m20_m21_m33_m34_m35_types_of_mysql() {
    for (native, expected) in [
        ("float", "real"),
        ("double", "double precision"),
        ("decimal(65,30)", "numeric(65,30)"),
        ("char(5)", "character varying(5)"),
        ("binary(4)", "bytea"),
        ("set('p','q')", "text"),
        ("json", "jsonb"),
        ("point", "bytea"),
        ("uuid", "uuid"),
        ("inet6", "text"),
        ("datetime", "timestamp(0) without time zone"),
        ("datetime(6)", "timestamp without time zone"),
        ("timestamp(3)", "timestamp(3) with time zone"),
        ("longtext", "text"),
    ] {
        assert_eq!(
            goes(&mariadb(), &postgres(), native, &[]).target_native,
            expected,
            "{native}"
        );
    }
}

#[test]
fn m18_m19_enums_keep_their_labels_in_order() {
    let native = r"enum('a','b,c','it''s','','x\y')";
    let (plan, _) = single(
        &mysql(),
        &postgres(),
        column(&mysql(), "c", native),
        &[Text("a")],
    );
    assert_eq!(
        plan.catalog.types[0].labels,
        ["a", "b,c", "it's", "", r"x\y"]
    );
    assert_eq!(plan.tables[0].columns[0].target_native, "\"t_c_enum\"");
    let plan = goes(
        &mysql(),
        &postgres(),
        "enum('a','b')",
        &[Text(""), Text("a")],
    );
    assert_eq!(plan.misfits, 1);
}

#[test]
fn p01_to_p13_types_of_postgres_in_mysql() {
    for (native, expected) in [
        ("text", "longtext"),
        ("character varying(20)", "varchar(20)"),
        ("boolean", "tinyint(1)"),
        ("timestamp with time zone", "datetime(6)"),
        ("timestamp(3) without time zone", "datetime(3)"),
        ("time without time zone", "time(6)"),
        ("interval", "varchar(191)"),
        ("numeric(12,4)", "decimal(12,4)"),
        ("numeric", "decimal(65,30)"),
        ("numeric(80,40)", "longtext"),
        ("bytea", "longblob"),
        ("uuid", "char(36)"),
        ("jsonb", "json"),
        ("integer[]", "longtext"),
        ("bit(8)", "bit(8)"),
    ] {
        assert_eq!(
            goes(&postgres(), &mysql(), native, &[]).target_native,
            expected,
            "{native}"
        );
    }
    let keyed = keyed(&postgres(), "text");
    let (plan, _) = without_evidence(&keyed, &postgres(), &mariadb());
    let made = &plan.catalog.tables[0].columns[0];
    assert_eq!(made.native, "varchar(191)");
    assert_eq!(made.collation.as_deref(), Some("utf8mb4_nopad_bin"));
}

#[test]
fn l01_to_l17_types_in_sqlite_come_back() {
    for (native, expected, again) in [
        ("numeric(38,20)", "DECIMAL_TEXT(38,20)", "numeric"),
        ("numeric", "DECIMAL_TEXT", "numeric"),
        ("jsonb", "JSON_TEXT", "jsonb"),
        (
            "timestamp with time zone",
            "TIMESTAMPTZ",
            "timestamp with time zone",
        ),
        (
            "timestamp without time zone",
            "TIMESTAMP",
            "timestamp without time zone",
        ),
        ("date", "DATE", "date"),
        ("time without time zone", "TIME", "time without time zone"),
        ("boolean", "BOOLEAN", "boolean"),
        ("uuid", "UUID", "uuid"),
        ("bit(8)", "BIT_TEXT(8)", "bit(8)"),
        ("double precision", "REAL", "double precision"),
        ("bytea", "BLOB", "bytea"),
        ("bigint", "BIGINT", "bigint"),
        ("character varying(9)", "VARCHAR(9)", "character varying(9)"),
        ("text", "TEXT", "text"),
        ("int4range", "TEXT", "text"),
    ] {
        let plan = goes(&postgres(), &sqlite(), native, &[]);
        assert_eq!(plan.target_native, expected, "{native}");
        // What our own reading of SQLite makes of it is the type under which it was written.
        assert_eq!(Sqlite.rows().neutral(expected, ""), plan.ty, "{native}");
        assert_eq!(
            goes(&sqlite(), &postgres(), expected, &[]).target_native,
            again,
            "{native}"
        );
    }
}

#[test]
fn l11_unsigned_beyond_a_sign_becomes_text() {
    let wide = goes(
        &mysql(),
        &sqlite(),
        "bigint unsigned",
        &[Cell::UInt(u64::MAX)],
    );
    assert_eq!(wide.target_native, "DECIMAL_TEXT(20,0)");
    let narrow = goes(&mysql(), &sqlite(), "bigint unsigned", &[Int(5)]);
    assert_eq!(narrow.target_native, "BIGINT");
}

#[test]
fn the_same_engine_goes_over_as_it_is() {
    for caps in [sqlite(), postgres(), mysql(), mariadb()] {
        let catalog = keyed(&caps, "integer");
        let (plan, findings) = without_evidence(&catalog, &caps, &caps);
        assert!(findings.is_empty() && plan.not_carried.is_empty());
        assert_eq!(plan.catalog.tables, catalog.tables);
        assert!(plan.tables[0].columns[0].as_is);
    }
}

#[test]
fn casts_rename_and_force() {
    let casts = Casts::parse(
        "[tables]\nt = \"things\"\n[columns.\"t.c\"]\ntype = \"jsonb\"\nname = \"doc\"\n",
        "c.toml",
    );
    let casts = casts.unwrap_or_default();
    let catalog = one(&sqlite(), column(&sqlite(), "c", "TEXT"));
    let (plan, findings) = super::plan(
        &catalog,
        &sqlite(),
        &postgres(),
        &Evidence::default(),
        &casts,
    );
    assert!(findings.is_empty());
    assert_eq!(plan.tables[0].target.1, "things");
    let column = &plan.tables[0].columns[0];
    assert_eq!(
        (column.target.as_str(), column.target_native.as_str()),
        ("doc", "jsonb")
    );
    let unknown = Casts::parse("[columns.\"t.d\"]\nname = \"x\"\n", "c.toml").unwrap_or_default();
    let (_, findings) = super::plan(
        &catalog,
        &sqlite(),
        &postgres(),
        &Evidence::default(),
        &unknown,
    );
    assert_eq!(findings[0].code, "cast-unknown");
    assert_eq!(findings[0].help.as_deref(), Some("did you mean `t.c`?"));
}
