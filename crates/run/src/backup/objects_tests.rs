//! A tool's script, cut into what comes before the rows and what comes after them.
#![allow(clippy::unwrap_used)]
use super::*;
use dunlin_core::schema::Routine;

const DUMP: &str = include_str!("testdata/mysqldump.sql");

fn kinds(statements: &[String]) -> Vec<String> {
    let dialect = dunlin_core::dialect::by_url("mysql:").unwrap();
    statements
        .iter()
        .filter_map(|sql| {
            let class = dialect.classify(sql, &LexMode::default());
            class.post.iter().find_map(|condition| match condition {
                Condition::Exists(object) => Some(format!("{:?} {}", object.kind, object.name)),
                _ => None,
            })
        })
        .collect()
}

#[test]
fn triggers_and_events_come_after_the_rows_and_only_what_is_ours_comes_at_all() {
    let dialect = dunlin_core::dialect::by_url("mysql:").unwrap();
    let mut catalog = Catalog::default();
    let nothing = Objects::of(DUMP, &catalog, dialect).unwrap();
    assert_eq!(kinds(&nothing.after), ["Trigger tr"]);
    catalog.routines.push(Routine {
        schema: None,
        name: "f".into(),
        arguments: None,
        kind: "FUNCTION".into(),
        definition: None,
    });
    let objects = Objects::of(DUMP, &catalog, dialect).unwrap();
    assert_eq!(
        kinds(&objects.before),
        ["Table c", "Table p", "View v", "Function f", "View v"]
    );
    let statements = [&objects.before[..], &objects.after[..]]
        .concat()
        .join("\n");
    assert!(!statements.contains("PROCEDURE"), "{statements}");
    assert!(!statements.contains("EVENT"), "{statements}");
    // The settings around a trigger are run again with it.
    assert!(
        objects
            .after
            .iter()
            .any(|sql| sql.contains("@saved_sql_mode"))
    );
}

#[test]
fn a_dump_that_was_cut_off_is_refused() {
    let dialect = dunlin_core::dialect::by_url("mysql:").unwrap();
    let cut = &DUMP[..DUMP.find("TRIGGER `tr`").unwrap() + 12];
    let failure = Objects::of(cut, &Catalog::default(), dialect).unwrap_err();
    assert!(failure.message.contains("cannot be read"), "{failure:?}");
}
