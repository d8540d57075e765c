//! Keys, references and names.

use super::*;
use crate::dialect::EngineKind;
use crate::schema::{Index, IndexPart};

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
            ..ForeignKey::default()
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
fn a_unique_index_over_lower_case_says_whose_letters_have_two_cases() {
    let said = |from: &Caps, to: &Caps| {
        let native = match from.engine {
            EngineKind::Postgres => "character varying(20)",
            _ => "varchar(20)",
        };
        let mut catalog = one(from, column(from, "c", native));
        let part = IndexPart {
            expression: true,
            ..IndexPart::column("lower(c)")
        };
        catalog.tables[0].indexes.push(Index {
            name: "once".into(),
            parts: vec![part],
            unique: true,
            ..Index::default()
        });
        let (plan, findings) = without_evidence(&catalog, from, to);
        assert!(
            plan.not_carried
                .iter()
                .all(|lack| !lack.object.contains("once"))
        );
        let mut said = findings
            .into_iter()
            .filter(|finding| finding.code == "index-collation");
        said.next().map(|finding| finding.message)
    };
    let more = said(&sqlite(), &mysql()).unwrap_or_default();
    assert!(more.contains("it refuses values there"), "{more}");
    let less = said(&postgres(), &sqlite()).unwrap_or_default();
    assert!(less.contains("it accepts values there"), "{less}");
    // Here A to Z alone are spelled, or both know the same letters.
    assert_eq!(said(&sqlite(), &postgres()), None);
    assert_eq!(said(&postgres(), &mysql()), None);
    assert_eq!(said(&mysql(), &postgres()), None);
}
