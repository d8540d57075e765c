//! The engines' SQL for the same steps, side by side; and what they do to others.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::dialect::mysql::Mysql;
use crate::dialect::postgres::Postgres;
use crate::dialect::sqlite::Sqlite;
use crate::finding::Place;
use crate::schema::{Check, Column, Index, IndexPart, Key, NeutralType, Table};
use crate::source::grammar::steps::{AddColumns, IndexStep, Require, Settings};
use crate::source::plan::SqlText;
use crate::value::Value;
use serde_json::json;

const ENGINES: [(&str, &dyn Dialect, &str); 4] = [
    ("sqlite", &Sqlite, "3.46.0"),
    ("postgres", &Postgres, "17.2"),
    ("mysql", &Mysql, "9.1.0"),
    ("mariadb", &Mysql, "10.11.6-MariaDB"),
];

fn column(name: &str, native: &str, neutral: NeutralType, nullable: bool) -> Column {
    Column {
        name: name.into(),
        native: native.into(),
        neutral,
        nullable,
        default: None,
        generated: None,
        identity: None,
        counting: vec![],
        on_update: None,
        collation: None,
        attributes: None,
        comment: None,
    }
}

fn key(name: Option<&str>, columns: &[&str]) -> Key {
    Key {
        name: name.map(str::to_owned),
        primary: name.is_none(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        clause: None,
        ..Key::default()
    }
}

fn catalog() -> Catalog {
    let text = || NeutralType::Text;
    let contacts = Table {
        name: "contacts".into(),
        columns: vec![
            column("id", "bigint", NeutralType::Int, false),
            column("phone", "varchar(20)", text(), false),
            column("user_id", "bigint", NeutralType::Int, true),
        ],
        keys: vec![key(None, &["id"]), key(Some("uq_phone"), &["phone"])],
        checks: vec![Check {
            name: Some("ck_phone".into()),
            clause: "CHECK (phone <> '')".into(),
            ..Check::default()
        }],
        definition: Some(
            "CREATE TABLE contacts (id BIGINT PRIMARY KEY, phone VARCHAR(20) NOT NULL CONSTRAINT uq_phone UNIQUE, user_id \
             BIGINT, CONSTRAINT ck_phone CHECK (phone <> ''))"
                .into(),
        ),
        ..Table::default()
    };
    let users = Table {
        name: "users".into(),
        columns: vec![column("id", "bigint", NeutralType::Int, false)],
        keys: vec![key(None, &["id"])],
        ..Table::default()
    };
    let settings = Table {
        name: "settings".into(),
        columns: vec![
            column("name", "varchar(50)", text(), false),
            column("value", "text", text(), true),
            column("is_system", "boolean", NeutralType::Bool, true),
        ],
        keys: vec![key(None, &["name"])],
        ..Table::default()
    };
    Catalog {
        tables: vec![contacts, settings, users],
        ..Catalog::new("any")
    }
}

fn step(kind: StepSpec) -> StepDoc {
    StepDoc {
        id: "s".into(),
        title: "s".into(),
        label: None,
        critical: true,
        needs: vec![],
        kill_blockers: None,
        window: None,
        risk: None,
        estimate: None,
        kind,
        undo: UndoSpec::Derive,
        checks: vec![],
        hash: String::new(),
        place: Place::default(),
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn steps() -> Vec<(&'static str, StepDoc)> {
    let sql = "CREATE TABLE IF NOT EXISTS contacts (id INT);\nCREATE TABLE bots (id INT PRIMARY KEY);\nINSERT INTO bots VALUES \
               (1);\nCREATE VIEW v AS SELECT 1 AS one;\nINSERT INTO contacts (phone, id) VALUES ('it''s', 1), ('x', 2)";
    vec![
        (
            "sql",
            step(StepSpec::Sql(SqlText {
                file: "p.toml".into(),
                line: 1,
                text: sql.into(),
            })),
        ),
        (
            "add_columns",
            step(StepSpec::AddColumns(AddColumns {
                table: "contacts".into(),
                columns: owned(&["owner BIGINT", "tag VARCHAR(20) DEFAULT 'a, b' NOT NULL"]),
            })),
        ),
        (
            "index",
            step(StepSpec::Index(IndexStep {
                name: "idx_user".into(),
                table: "contacts".into(),
                columns: owned(&["user_id", "phone DESC"]),
                unique: false,
                only: None,
            })),
        ),
        (
            "require",
            step(StepSpec::Require(Require {
                table: "contacts".into(),
                not_null: owned(&["user_id"]),
                unique: vec![owned(&["user_id", "phone"])],
                foreign_keys: owned(&["user_id -> users on delete cascade"]),
                checks: owned(&["user_id > 0"]),
                drops: owned(&["uq_phone", "ck_phone"]),
            })),
        ),
        (
            "settings",
            step(StepSpec::Settings(Settings {
                table: "settings".into(),
                key: owned(&["name"]),
                rows: [
                    json!({ "name": "new", "value": "a\\b", "is_system": true }),
                    json!({ "name": "old", "value": 3600, "is_system": false }),
                ]
                .iter()
                .map(|row| row.as_object().unwrap().clone().into_iter().collect())
                .collect(),
            })),
        ),
    ]
}

/// No row violates anything; of the settings, `old` is there with another value and the same flag.
fn answers(kind: &StepSpec, asked: usize) -> Vec<Vec<Row>> {
    if let StepSpec::Settings(_) = kind {
        let row = ["0", "1", "1", "60"].map(Value::from).to_vec();
        return vec![vec![], vec![row]];
    }
    vec![vec![]; asked]
}

fn with_facts<T>(
    dialect: &'static dyn Dialect,
    version: &str,
    then: impl FnOnce(&Facts<'_>) -> T,
) -> T {
    let (caps, lex, mut catalog) = (dialect.caps(version), LexMode::default(), catalog());
    // Where unique constraints are kept as indexes, the catalog has them there.
    if caps.storage_engines {
        let contacts = &mut catalog.tables[0];
        contacts.keys.truncate(1);
        contacts.indexes.push(Index {
            name: "uq_phone".into(),
            unique: true,
            parts: vec![IndexPart::column("phone")],
            ..Index::default()
        });
    }
    then(&Facts {
        dialect,
        caps: &caps,
        lex: &lex,
        catalog: &catalog,
        plugins: &[],
    })
}

#[test]
fn the_engines_say_it_side_by_side() {
    let mut out = String::new();
    for (kind, step) in steps() {
        for (engine, dialect, version) in ENGINES {
            with_facts(dialect, version, |facts| {
                let asked = asks(&step, facts);
                let lowered = lower(&step, facts, &answers(&step.kind, asked.len()));
                let operations =
                    lowered.unwrap_or_else(|findings| panic!("{engine}: {findings:#?}"));
                out.push_str(&format!("=== {kind}, {engine}\n"));
                for query in asked {
                    out.push_str(&format!("ask  {}\n", query.sql));
                }
                for sql in &operations.up {
                    out.push_str(&format!("up   {sql}\n"));
                }
                let Inverse::Statements(undo) = &operations.undo else {
                    panic!("{operations:#?}");
                };
                for sql in undo {
                    out.push_str(&format!("undo {sql}\n"));
                }
                for hazard in hazards(&operations.up, facts) {
                    out.push_str(&format!(
                        "haz  {} {}: {}\n",
                        hazard.statement + 1,
                        hazard.code,
                        hazard.message
                    ));
                }
            });
        }
    }
    insta::assert_snapshot!(out);
}

#[test]
fn a_lowered_step_survives_the_journal() {
    with_facts(&Postgres, "17.2", |facts| {
        for (_, step) in steps() {
            let asked = asks(&step, facts).len();
            let operations = lower(&step, facts, &answers(&step.kind, asked)).unwrap();
            let text = serde_json::to_string(&operations).unwrap();
            let read: Operations = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (read.up, read.undo, read.later),
                (operations.up, operations.undo, operations.later)
            );
        }
    });
}

#[test]
fn what_was_not_asked_is_not_guessed() {
    with_facts(&Sqlite, "3.46.0", |facts| {
        for (kind, step) in steps()
            .into_iter()
            .filter(|(_, step)| !asks(step, facts).is_empty())
        {
            assert_eq!(
                lower(&step, facts, &[]).unwrap_err()[0].code,
                "not-asked",
                "{kind}"
            );
        }
    });
}

#[test]
fn keys_of_an_insert_are_literals_or_nothing() {
    let derive = |sql: &str| {
        with_facts(&Postgres, "17.2", |facts| {
            let stated = crate::plan::inverse::Stated {
                sql: sql.into(),
                place: Place::default(),
            };
            crate::plan::inverse::derive(&[stated], facts)
        })
    };
    for (sql, expected) in [
        (
            "INSERT INTO public.Contacts AS c VALUES (-1, E'a\\'', NULL) RETURNING id",
            "DELETE FROM \"contacts\" WHERE \"id\" IN (-1)",
        ),
        (
            "insert into contacts (user_id, phone) overriding system value values (now(), '1'::text), (2, U&'\\0041')",
            "DELETE FROM \"contacts\" WHERE \"phone\" IN ('1'::text, U&'\\0041')",
        ),
    ] {
        assert_eq!(derive(sql).unwrap(), [[expected]], "{sql}");
    }
    for sql in [
        "INSERT INTO contacts (id) VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT INTO contacts (id) VALUES (NULL)",
        "INSERT INTO contacts (id) VALUES (1), (DEFAULT)",
        "INSERT INTO contacts (id) VALUES (1 + (SELECT 1))",
        "INSERT INTO contacts (user_id) VALUES (1)",
        "INSERT INTO contacts DEFAULT VALUES",
        "INSERT INTO nowhere (id) VALUES (1)",
        "WITH x AS (SELECT 1) INSERT INTO contacts (id) VALUES (1)",
        "INSERT INTO contacts (id) VALUES (1",
        "INSERT INTO contacts (id) VALUES",
        "INSERT INTO contacts (id",
        "INSERT",
    ] {
        let found = derive(sql);
        assert!(found.is_err(), "{sql}: {found:?}");
    }
}

/// What says that it does not look comes to the same with the catalog and without one.
#[test]
fn a_step_that_does_not_look_is_the_same_without_a_catalog() {
    let sql = |text: &str, undo: UndoSpec| StepDoc {
        undo,
        ..step(StepSpec::Sql(SqlText {
            file: "p.toml".into(),
            line: 1,
            text: text.into(),
        }))
    };
    let none = || UndoSpec::None("nothing".into());
    let dialects: [(&'static dyn Dialect, &str); 3] = [
        (&crate::dialect::sqlite::Sqlite, "3.50.4"),
        (&crate::dialect::postgres::Postgres, "15.8"),
        (&crate::dialect::mysql::Mysql, "8.0.36"),
    ];
    for (dialect, version) in dialects {
        let looked = |step: &StepDoc| {
            with_facts(dialect, version, |facts| {
                let empty = Catalog::default();
                let blind = Facts {
                    catalog: &empty,
                    ..*facts
                };
                let looked = looks(step, &blind);
                let same = lower(step, facts, &[]) == lower(step, &blind, &[]);
                assert!(looked || same, "{dialect:?}: {step:?}");
                looked
            })
        };
        assert!(!looked(&sql("SELECT 1; SELECT 2", UndoSpec::Derive)));
        assert!(!looked(&sql("SELECT 1", none())));
        assert!(!looked(&sql("DROP TABLE contacts", none())));
        assert!(
            !looked(&sql("SELECT 'open", UndoSpec::Derive)),
            "a fault is a fault"
        );
        assert!(looked(&sql(
            "SELECT 1; INSERT INTO contacts (id) VALUES (7)",
            UndoSpec::Derive
        )));
        assert!(looked(&sql(
            "UPDATE contacts SET phone = ''",
            UndoSpec::Restore
        )));
        assert!(looked(&sql(
            "CREATE TABLE IF NOT EXISTS contacts (id INT)",
            UndoSpec::Derive
        )));
        for (kind, step) in steps() {
            assert!(looked(&step), "{kind}");
        }
    }
}
