//! Types of the servers, there and back; the same engine; casts.

use super::*;

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
    assert_eq!(plan.tables[0].columns[0].target_native, "t_c_enum");
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

#[test]
fn what_a_type_no_longer_holds_its_values_to_is_listed() {
    let said = |from: &Caps, to: &Caps, native: &str| {
        let catalog = one(from, column(from, "c", native));
        let (plan, _) = without_evidence(&catalog, from, to);
        let found = plan
            .not_carried
            .into_iter()
            .find(|lack| lack.object == "lengths and ranges of t");
        found.and_then(|lack| lack.text)
    };
    for (from, to, native) in [
        (mysql(), postgres(), "int unsigned"),
        (mysql(), postgres(), "tinyint"),
        (mysql(), postgres(), "bigint unsigned"),
        (mysql(), postgres(), "varbinary(20)"),
        (mysql(), sqlite(), "varchar(20)"),
        (postgres(), sqlite(), "smallint"),
        (postgres(), sqlite(), "character varying(9)"),
        (postgres(), sqlite(), "numeric(5,2)"),
    ] {
        let expected = format!("c {native}");
        assert_eq!(said(&from, &to, native), Some(expected), "{native}");
    }
    for (from, to, native) in [
        (mysql(), postgres(), "varchar(20)"),
        (mysql(), postgres(), "int"),
        (mysql(), postgres(), "decimal(5,2)"),
        (mysql(), postgres(), "blob"),
        (postgres(), mysql(), "numeric(5,2)"),
        (postgres(), mysql(), "smallint"),
        (postgres(), sqlite(), "bigint"),
        (postgres(), sqlite(), "text"),
        (sqlite(), postgres(), "VARCHAR(20)"),
        (mysql(), mariadb(), "int unsigned"),
    ] {
        assert_eq!(said(&from, &to, native), None, "{native}");
    }
}
