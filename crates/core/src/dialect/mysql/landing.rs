//! Being one end of a copy.

use super::change::Changes;
use super::ddl;
use crate::copy::reading::Bound;
use crate::dialect::catalog::Part;
use crate::dialect::change::ChangeDialect;
use crate::dialect::landing::{
    Held, Inline, LandingDialect, STAGED, STANDS, Sharing, Stage, assignments,
};
use crate::dialect::rules::PARENT;
use crate::schema::{Index, Table};
use crate::value::Query;

/// Ends of copies.
#[derive(Debug, Clone, Copy)]
pub struct Landing;

impl LandingDialect for Landing {
    fn inline(&self) -> Inline {
        Inline::Primary
    }

    /// Several consistent snapshots of one moment would need a lock on all tables, which stops a shop: one reads.
    fn sharing(&self) -> Sharing {
        Sharing::One
    }

    fn join(&self, _snapshot: &str) -> Vec<String> {
        vec![]
    }

    fn takes_raw(&self) -> bool {
        true
    }

    fn sound(&self) -> Option<&'static str> {
        None
    }

    fn last_given(&self, counter: i64) -> i64 {
        counter - 1
    }

    fn set_counter(
        &self,
        schema: Option<&str>,
        table: &str,
        _column: &str,
        last: i64,
    ) -> Vec<Query> {
        // The server raises a number that is too small to one more than the largest.
        Changes.raise(schema, table, "", last.saturating_add(1).max(1))
    }

    fn next_number(&self, schema: Option<&str>, table: &str, _column: &str) -> Option<Query> {
        Changes.counters(schema, table)
    }

    fn settle(&self, table: &str) -> Option<String> {
        Some(format!("ANALYZE TABLE {table}"))
    }

    fn stage(&self) -> Stage {
        Stage {
            schema: None,
            name: "dunlin_stage",
            sql: "dunlin_stage",
        }
    }

    fn make_stage(&self, table: &str, columns: &[String]) -> Vec<String> {
        let list = columns.join(", ");
        vec![
            "DROP TEMPORARY TABLE IF EXISTS dunlin_stage".into(),
            // Under its own engine's default, which knows transactions.
            format!("CREATE TEMPORARY TABLE dunlin_stage AS SELECT {list} FROM {table} LIMIT 0"),
        ]
    }

    fn write_over(&self, table: &str, columns: &[String], same: &str) -> String {
        let set = assignments(columns, &format!("{STANDS}."));
        format!("UPDATE {table} AS {STANDS} JOIN dunlin_stage AS {STAGED} ON {same} SET {set}")
    }

    fn numbered_by_us(&self) -> &'static str {
        ""
    }

    fn clustered(&self) -> bool {
        true
    }

    fn builds(&self) -> &'static [&'static str] {
        // What fits is sorted without files. MariaDB has no such setting of a session.
        &["SET SESSION innodb_ddl_buffer_size = 33554432"]
    }

    /// Each ALTER TABLE reads the table once more. Indexes over expressions, of texts and of places the server builds in
    /// ways of their own.
    fn at_once(&self, table: &Table, indexes: &[&Index]) -> Option<String> {
        let plain = |index: &&Index| {
            index.method.is_none() && index.parts.iter().all(|part| !part.expression)
        };
        if indexes.len() < 2 || !indexes.iter().all(plain) {
            return None;
        }
        let add = |index: &&Index| {
            let part = Part::Index(table.schema.as_deref(), &table.name, index);
            format!("ADD {}", ddl::clause(part))
        };
        let adds: Vec<String> = indexes.iter().map(add).collect();
        let name = ddl::quote(&table.name);
        Some(format!("ALTER TABLE {name} {}", adds.join(", ")))
    }

    /// With its checks the server writes the whole table anew, row by row; without them it only writes down the key.
    fn held(&self, child: &Bound, parent: &Bound) -> Option<Held> {
        let (child, parent) = (Changes.target(child), Changes.target(parent));
        let mut locks = vec![format!("{child} WRITE")];
        if parent != child {
            locks.push(format!("{parent} WRITE"));
        }
        // As the query for orphans calls it.
        locks.push(format!("{parent} AS {PARENT} READ"));
        Some(Held {
            hold: vec![
                "SET SESSION lock_wait_timeout = 60".into(),
                format!("LOCK TABLES {}", locks.join(", ")),
            ],
            trust: &["SET SESSION foreign_key_checks = 0"],
            free: &[
                "UNLOCK TABLES",
                "SET SESSION foreign_key_checks = 1, SESSION lock_wait_timeout = DEFAULT",
            ],
        })
    }
}
