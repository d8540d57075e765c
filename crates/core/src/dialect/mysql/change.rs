//! Changing rows in bulk, on MySQL and MariaDB. Triggers cannot be switched off and DDL commits by itself.

use super::ddl::quote;
use crate::dialect::catalog::text;
use crate::dialect::change::{ChangeDialect, Filling, FiresAgain};
use crate::sql::words::Words;
use crate::sql::{LexRules, TokenKind};
use crate::value::{Query, Row};

/// How rows are changed.
#[derive(Debug, Clone, Copy)]
pub struct Changes;

/// The number that a statement gives a counter, as an option of the table: outside of its brackets.
fn begins_at(sql: &str, rules: &LexRules) -> Option<i64> {
    let words = Words::read(sql, rules);
    let (mut depth, mut found) = (0_usize, None);
    for (at, tok) in words.toks.iter().enumerate() {
        match tok.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ if depth == 0 && tok.is("AUTO_INCREMENT") => {
                let mut rest = words.toks[at + 1..].iter();
                let number = rest.find(|tok| !tok.op("="));
                let number = number.filter(|tok| tok.kind == TokenKind::Number);
                found = number.and_then(|tok| tok.text.parse().ok()).or(found);
            }
            _ => {}
        }
    }
    found
}

/// `user@host`, or a role, as a clause.
fn definer(name: &str) -> String {
    match name.rsplit_once('@') {
        Some((user, host)) if !host.is_empty() => {
            format!("DEFINER = {}@{} ", quote(user), quote(host))
        }
        Some((role, _)) => format!("DEFINER = {} ", quote(role)),
        None if name.is_empty() => String::new(),
        None => format!("DEFINER = {} ", quote(name)),
    }
}

impl ChangeDialect for Changes {
    fn quote(&self, identifier: &str) -> String {
        quote(identifier)
    }

    fn table(&self, _schema: Option<&str>, name: &str) -> String {
        quote(name)
    }

    fn as_made(&self, column: &str, default: Option<&str>) -> String {
        let column = quote(column);
        match default {
            Some(_) => format!("{column} <=> DEFAULT({column})"),
            None => format!("{column} IS NULL"),
        }
    }

    fn for_update(&self) -> &'static str {
        " FOR UPDATE"
    }

    fn compares_rows(&self) -> bool {
        false
    }

    fn quiet(&self) -> &'static [&'static str] {
        &[
            "SET @dunlin_mode = @@SESSION.sql_mode, @dunlin_keys = @@SESSION.foreign_key_checks, @dunlin_zone = \
             @@SESSION.time_zone",
            "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', SESSION foreign_key_checks = 0, SESSION time_zone = '+00:00'",
            // Of the next transaction: a row that is read for update cannot come a second time.
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        ]
    }

    fn loud(&self) -> &'static [&'static str] {
        &[
            "SET SESSION sql_mode = @dunlin_mode, SESSION foreign_key_checks = @dunlin_keys, SESSION time_zone = @dunlin_zone",
        ]
    }

    fn strictly(&self) -> &'static [&'static str] {
        &["SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'"]
    }

    fn keys_on(&self) -> &'static [&'static str] {
        &["SET SESSION foreign_key_checks = 1"]
    }

    fn reading(&self) -> (&'static [&'static str], &'static [&'static str]) {
        (
            &[
                "SET @dunlin_zone = @@SESSION.time_zone",
                "SET SESSION time_zone = '+00:00'",
            ],
            &["SET SESSION time_zone = @dunlin_zone"],
        )
    }

    fn before_hold(&self) -> &'static [&'static str] {
        &["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"]
    }

    fn aside(&self) -> (&'static [&'static str], &'static [&'static str]) {
        (
            &[
                "SET @dunlin_mode = @@SESSION.sql_mode, @dunlin_zone = @@SESSION.time_zone",
                "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', SESSION time_zone = '+00:00'",
            ],
            &["SET SESSION sql_mode = @dunlin_mode, SESSION time_zone = @dunlin_zone"],
        )
    }

    fn counters(&self, _schema: Option<&str>, table: &str) -> Option<Query> {
        Some(Query::new(
            "SELECT 'AUTO_INCREMENT', AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND \
             TABLE_NAME = ? AND AUTO_INCREMENT IS NOT NULL",
            vec![table.into()],
        ))
    }

    fn raise(&self, _schema: Option<&str>, table: &str, _counter: &str, value: i64) -> Vec<Query> {
        vec![Query::new(
            format!("ALTER TABLE {} AUTO_INCREMENT = {value}", quote(table)),
            vec![],
        )]
    }

    fn raise_commits(&self) -> bool {
        true
    }

    fn count_anew(
        &self,
        schema: Option<&str>,
        table: &str,
        made: &[&str],
        rules: &LexRules,
    ) -> Option<Vec<Query>> {
        let said = made
            .iter()
            .filter_map(|sql| begins_at(sql, rules))
            .next_back();
        Some(self.raise(schema, table, "", said.unwrap_or(1)))
    }

    fn firing(&self, table: &str) -> Option<Query> {
        Some(Query::new(
            "SELECT TRIGGER_NAME, DEFINER, SQL_MODE, COLLATION_CONNECTION FROM information_schema.TRIGGERS WHERE \
             EVENT_OBJECT_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE = ? ORDER BY ACTION_TIMING, EVENT_MANIPULATION, \
             ACTION_ORDER",
            vec![table.into()],
        ))
    }

    /// A trigger runs with the rights of its definer, under the modes of the session that made it; and who may drop it may
    /// not always make it (for another definer, or beside a binary log).
    fn fires_again(&self, table: &str, definition: &str, row: &Row) -> FiresAgain {
        let create = format!("CREATE {}", definer(&text(row, 1)));
        let tried = quote("dunlin_tried");
        let tries = vec![
            format!("DROP TRIGGER IF EXISTS {tried}"),
            format!(
                "{create}TRIGGER {tried} BEFORE INSERT ON {} FOR EACH ROW SET @dunlin_tried = 1",
                quote(table)
            ),
            format!("DROP TRIGGER {tried}"),
        ];
        let literal = super::dml::literal;
        let make = vec![
            "SET @dunlin_fired_mode = @@SESSION.sql_mode, @dunlin_fired_words = \
             @@SESSION.collation_connection"
                .to_owned(),
            format!(
                "SET SESSION sql_mode = {}, SESSION collation_connection = {}",
                literal(&text(row, 2)),
                literal(&text(row, 3))
            ),
            match definition.strip_prefix("CREATE ") {
                Some(rest) => format!("{create}{rest}"),
                None => definition.to_owned(),
            },
            "SET SESSION sql_mode = @dunlin_fired_mode, SESSION collation_connection = @dunlin_fired_words"
                .to_owned(),
        ];
        FiresAgain { tries, make }
    }

    fn fill(&self, filling: &Filling<'_>) -> Result<Vec<String>, String> {
        let table = &filling.table;
        let row: Vec<String> = table
            .columns
            .iter()
            .filter(|column| !column.shape.generated)
            .map(|column| format!("NEW.{0} AS {0}", quote(&column.shape.name)))
            .collect();
        let row = format!(
            "FROM (SELECT {}) AS {}",
            row.join(", "),
            quote(&table.table)
        );
        let set: Vec<String> = filling
            .assigned
            .iter()
            .map(|(at, expression)| {
                let column = quote(&table.columns[*at].shape.name);
                format!("IF NEW.{column} IS NULL THEN SET NEW.{column} = (SELECT {expression}\n {row}); END IF;")
            })
            .collect();
        let mut body = set.join(" ");
        if let Some(only) = filling.only {
            body = format!("IF (SELECT ({only}\n) {row}) THEN {body} END IF;");
        }
        Ok(vec![
            format!("DROP TRIGGER IF EXISTS {}", quote(filling.name)),
            format!(
                "CREATE TRIGGER {} BEFORE INSERT ON {} FOR EACH ROW BEGIN {body} END",
                quote(filling.name),
                quote(&table.table)
            ),
        ])
    }

    fn unfill(&self, _schema: Option<&str>, _table: &str, name: &str) -> Vec<String> {
        vec![format!("DROP TRIGGER IF EXISTS {}", quote(name))]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_counter_begins_where_the_options_of_its_table_say() {
        let begins = |sql: &str| begins_at(sql, &LexRules::default());
        let table = "CREATE TABLE t (id bigint AUTO_INCREMENT PRIMARY KEY, auto_increment int)";
        assert_eq!(begins(table), None);
        assert_eq!(
            begins(&format!("{table} ENGINE = InnoDB AUTO_INCREMENT = 500")),
            Some(500)
        );
        assert_eq!(
            begins("alter table t auto_increment 7, add column a int"),
            Some(7)
        );
        assert_eq!(begins("CREATE TABLE t LIKE u"), None);
        let changes = Changes;
        let rules = LexRules::default();
        let anew = changes.count_anew(
            None,
            "t",
            &[table, "ALTER TABLE t AUTO_INCREMENT=9"],
            &rules,
        );
        assert!(anew.unwrap()[0].sql.ends_with("AUTO_INCREMENT = 9"));
    }
}
