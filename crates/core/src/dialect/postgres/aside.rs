//! Rows that are set aside.

use super::change::Changes;
use super::ddl::{self, quote};
use super::dml::literal;
use super::rules::Rules;
use crate::dialect::aside::{AsideDialect, Indexed, TooLong};
use crate::dialect::change::ChangeDialect;
use crate::dialect::rules::RulesDialect;
use crate::schema::{IndexPart, Table};

/// How rows are set aside.
#[derive(Debug, Clone, Copy)]
pub struct Aside;

impl AsideDialect for Aside {
    fn rules(&self) -> &'static dyn RulesDialect {
        &Rules
    }

    fn value(&self, part: &IndexPart) -> String {
        ddl::index_part(part)
    }

    /// Rows of a load lie one after the other, as the source gave them; those of a partitioned table in several tables.
    fn repeated(&self, table: &Table, once: Indexed<'_>) -> Option<String> {
        let once = once.once();
        Some(format!(
            "(tableoid, ctid) IN (SELECT d.part, d.place FROM (SELECT tableoid AS part, ctid AS place, row_number() OVER \
             (PARTITION BY {} ORDER BY tableoid, ctid) AS number FROM {} WHERE {}) d WHERE d.number > 1)",
            self.values(&once),
            Changes.table(table.schema.as_deref(), &table.name),
            self.within(&once)
        ))
    }

    /// How long a row of an index is, is known when it is written: its values are compressed on their way. So each row that
    /// may be too long is tried, in a table of the session's own with the same index.
    fn too_long(&self, table: &Table, of: Indexed<'_>) -> Option<TooLong> {
        let (parts, clause) = match of {
            Indexed::Key(key) => {
                let names: Vec<String> = key.columns.iter().map(|name| quote(name)).collect();
                let clause = format!("USING btree ({})", names.join(", "));
                (names, clause)
            }
            Indexed::Index(index) => {
                let parts = index.parts.iter().map(ddl::index_part).collect();
                let clause = index.attributes.as_ref()?;
                (parts, clause.replace(" NULLS NOT DISTINCT", ""))
            }
        };
        let name = Changes.table(table.schema.as_deref(), &table.name);
        let sizes: Vec<String> = parts
            .iter()
            .map(|part| format!("coalesce(pg_column_size({part}), 0)"))
            .collect();
        // A third of a page is too long, and what stands around the values is less than the rest of it.
        let tried = format!(
            "DECLARE r record; BEGIN FOR r IN SELECT tableoid AS part, ctid AS place FROM {name} WHERE {} > \
             current_setting('block_size')::int / 4 LOOP BEGIN INSERT INTO pg_temp.dunlin_fits SELECT * FROM {name} t WHERE \
             t.tableoid = r.part AND t.ctid = r.place; DELETE FROM pg_temp.dunlin_fits; EXCEPTION WHEN \
             program_limit_exceeded THEN INSERT INTO pg_temp.dunlin_long VALUES (r.part, r.place); END; END LOOP; END",
            sizes.join(" + ")
        );
        Some(TooLong {
            before: vec![
                format!("CREATE TEMPORARY TABLE dunlin_fits (LIKE {name}) ON COMMIT DROP"),
                "CREATE TEMPORARY TABLE dunlin_long (part oid, place tid) ON COMMIT DROP".into(),
                format!("CREATE INDEX ON pg_temp.dunlin_fits {clause}"),
                format!("DO {}", literal(&tried)),
            ],
            only: "(tableoid, ctid) IN (SELECT part, place FROM pg_temp.dunlin_long)".into(),
        })
    }

    fn own(&self) -> Option<&'static str> {
        Some("pg_temp")
    }

    fn make_own(
        &self,
        name: &str,
        texts: &[String],
        table: &Table,
        columns: &[String],
        once: Option<&[IndexPart]>,
    ) -> Vec<String> {
        let texts = texts
            .iter()
            .map(|text| format!("NULL::text AS {}", quote(text)));
        let all: Vec<String> = texts
            .chain(columns.iter().map(|name| quote(name)))
            .collect();
        let mut made = vec![format!(
            "CREATE TEMPORARY TABLE {name} AS SELECT {} FROM {} WITH NO DATA",
            all.join(", "),
            Changes.table(table.schema.as_deref(), &table.name)
        )];
        made.extend(once.map(|parts| {
            let parts: Vec<String> = parts.iter().map(ddl::index_part).collect();
            format!(
                "CREATE UNIQUE INDEX ON pg_temp.{name} ({})",
                parts.join(", ")
            )
        }));
        made
    }

    fn drop_own(&self, name: &str) -> String {
        format!("DROP TABLE IF EXISTS pg_temp.{name}")
    }

    fn first_alone(&self, insert: &str, _into: &str, _column: &str) -> String {
        format!("{insert} ON CONFLICT DO NOTHING")
    }
}
