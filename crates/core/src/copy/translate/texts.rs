//! What a catalog keeps as text: checks, defaults, computed columns, conditions.

use super::expr::{self, Expr, Now, Scope, Style};
use super::kind::Kind;
use super::{Table2, Work};
use crate::dialect::Caps;
use crate::dialect::copy::CopyDialect;
use crate::schema::{Check, Table};

/// The columns of one table.
struct OfTable<'a> {
    source: &'a Table,
    own: &'a Table2,
    write: &'static dyn CopyDialect,
    caps: &'a Caps,
    fold: bool,
}

impl Scope for OfTable<'_> {
    fn column(&self, qualifier: Option<&str>, name: &str) -> Option<expr::Column> {
        if qualifier.is_some_and(|qualifier| !qualifier.eq_ignore_ascii_case(&self.source.name)) {
            return None;
        }
        let at = self.source.columns.iter().position(|column| {
            column.name == name || self.fold && column.name.eq_ignore_ascii_case(name)
        })?;
        let column = self.own.columns.get(at)?;
        Some(expr::Column {
            name: column.name.clone(),
            kind: column.chosen.kind.clone(),
        })
    }

    fn qualifier(&self, _qualifier: &str) -> Option<String> {
        None
    }

    fn style(&self) -> &Style {
        self.write.style()
    }

    fn now(&self, now: Now, kind: &Kind) -> Option<String> {
        self.write.write_now(now, kind, self.caps)
    }
}

/// The inside of `CHECK (…)`, and what stands behind it.
pub(crate) fn inside(clause: &str) -> Option<(&str, &str)> {
    let rest = clause.trim_start().get(..5)?;
    if !rest.eq_ignore_ascii_case("CHECK") {
        return None;
    }
    let rest = clause.trim_start()[5..].trim_start().strip_prefix('(')?;
    let close = rest.rfind(')')?;
    Some((&rest[..close], rest[close + 1..].trim()))
}

impl Work<'_> {
    fn in_table<T>(
        &self,
        at: usize,
        text: &str,
        write: impl FnOnce(&Expr, &dyn Scope) -> Result<T, String>,
    ) -> Result<T, String> {
        let source = self.source_table(at);
        let fold = self.read.limits().fold_case;
        let known = |name: &str| {
            source
                .columns
                .iter()
                .any(|column| column.name == name || fold && column.name.eq_ignore_ascii_case(name))
        };
        let parsed = expr::parse(text, self.reader, &known)?;
        let scope = OfTable {
            source,
            own: &self.tables[at],
            write: self.write,
            caps: self.to,
            fold,
        };
        write(&parsed, &scope)
    }

    /// A value of a kind, in the target's words.
    pub(super) fn value_in(&self, at: usize, text: &str, kind: &Kind) -> Result<String, String> {
        self.in_table(at, text, |parsed, scope| expr::value(parsed, kind, scope))
    }

    /// A condition, in the target's words.
    pub(super) fn predicate_in(&self, at: usize, text: &str) -> Result<String, String> {
        self.in_table(at, text, expr::predicate)
    }

    /// Any expression, in the target's words.
    pub(super) fn plain_in(&self, at: usize, text: &str) -> Result<String, String> {
        self.in_table(at, text, |parsed, scope| {
            expr::render::write(parsed, scope).map(|(text, _)| text)
        })
    }

    /// Whether a check says no more than that a column holds JSON, where its type in the target says so, or a check of its own.
    fn says_json(&self, at: usize, text: &str) -> bool {
        let said = text.trim_matches(|c: char| c.is_whitespace() || c == '(' || c == ')');
        let Some((function, column)) = said.split_once('(') else {
            return false;
        };
        let quote = self.read.style().quote;
        let mut columns = self.tables[at]
            .columns
            .iter()
            .zip(&self.source_table(at).columns);
        function.trim().eq_ignore_ascii_case("json_valid")
            && columns.any(|(own, source)| {
                let named = [source.name.clone(), quote(&source.name)];
                matches!(own.chosen.kind, Kind::Json { .. })
                    && named.contains(&column.trim().to_owned())
            })
    }

    /// The checks of a table, and those that stand among the attributes of its columns.
    pub(super) fn checks(&mut self, at: usize, table: &mut Table) {
        let source = self.source_table(at);
        let label = source.label();
        let of_columns = source.columns.iter().filter_map(|column| {
            let words = column.attributes.as_deref()?;
            let from = words.find("CHECK (")?;
            Some(Check {
                name: None,
                clause: words[from..].to_owned(),
                ..Check::default()
            })
        });
        let all: Vec<Check> = source.checks.iter().cloned().chain(of_columns).collect();
        for check in all {
            let object = match &check.name {
                Some(name) => format!("check {name} of {label}"),
                None => format!("check of {label}"),
            };
            let Some((text, rest)) = inside(&check.clause) else {
                self.notes.lack(
                    object,
                    "the target has no such constraint",
                    Some(check.clause.clone()),
                );
                continue;
            };
            if rest.eq_ignore_ascii_case("NOT ENFORCED") {
                self.notes.lack(
                    object,
                    "it is not enforced in the source",
                    Some(check.clause.clone()),
                );
                continue;
            }
            if self.says_json(at, text) {
                continue;
            }
            match self.predicate_in(at, text) {
                Ok(predicate) => {
                    let scope = if self.limits.check_of_table {
                        &label
                    } else {
                        ""
                    };
                    let name = check
                        .name
                        .as_ref()
                        .map(|name| self.constraints.take(scope, name));
                    table.checks.push(Check {
                        name,
                        clause: format!("CHECK ({predicate})"),
                        ..Check::default()
                    });
                }
                Err(why) => self.notes.lack(object, why, Some(check.clause.clone())),
            }
        }
    }
}
