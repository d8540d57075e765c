//! Passwords that a step gives somebody: its statements are recorded without them, and whoever goes on takes them from the
//! plan again.

use super::{Inverse, Operations};
use crate::dialect::Dialect;
use crate::redact::{MASK, secrets, veiled};
use crate::source::plan::{SqlText, StepDoc, StepSpec, UndoSpec};
use crate::sql::{LexMode, PieceKind, split};

/// The statements that an author wrote for a step, in their order: its own, and those of its undo.
#[derive(Debug, Default)]
pub struct Written {
    up: Vec<String>,
    undo: Vec<String>,
}

impl Written {
    /// Reads them.
    pub fn of(step: &StepDoc, dialect: &dyn Dialect, lex: &LexMode) -> Written {
        let read = |text: &SqlText| {
            let (pieces, _) = split(&text.text, &dialect.lex_rules(lex));
            let statements = pieces.into_iter().filter_map(|piece| match piece.kind {
                PieceKind::Statement(range) => {
                    let sql = text.text.get(range)?;
                    Some(dialect.completed(sql).unwrap_or_else(|| sql.to_owned()))
                }
                _ => None,
            });
            statements.collect()
        };
        Written {
            up: match &step.kind {
                StepSpec::Sql(text) => read(text),
                _ => vec![],
            },
            undo: match &step.undo {
                UndoSpec::Sql(text) => read(text),
                _ => vec![],
            },
        }
    }
}

impl Operations {
    /// As it is recorded.
    #[must_use]
    pub fn veiled(&self, written: &Written) -> Operations {
        let mut recorded = self.clone();
        for (statements, written) in recorded.written(written) {
            for sql in statements {
                if written.contains(sql) {
                    *sql = veiled(sql);
                }
            }
        }
        recorded
    }

    /// Whether something may be missing in what was recorded.
    pub fn is_veiled(&self) -> bool {
        let undo = match &self.undo {
            Inverse::Statements(statements) => statements.as_slice(),
            _ => &[],
        };
        let mut all = self.up.iter().chain(undo);
        all.any(|sql| sql.contains(MASK))
    }

    /// As it was, from what was recorded. `None`: a password is missing, for the plan has other statements by now.
    #[must_use]
    pub fn unveiled(mut self, written: &Written) -> Option<Operations> {
        for (statements, written) in self.written(written) {
            let mut written = written.iter();
            for sql in statements {
                let is_veiled = secrets(sql).into_iter().any(|range| &sql[range] == MASK);
                if is_veiled {
                    *sql = written.find(|one| veiled(one) == *sql)?.clone();
                }
            }
        }
        Some(self)
    }

    fn written<'o>(
        &'o mut self,
        written: &'o Written,
    ) -> impl Iterator<Item = (&'o mut Vec<String>, &'o [String])> {
        let undo = match &mut self.undo {
            Inverse::Statements(statements) => Some((statements, written.undo.as_slice())),
            _ => None,
        };
        [(&mut self.up, written.up.as_slice())]
            .into_iter()
            .chain(undo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_without_passwords_has_them_again() {
        let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let up = texts(&[
            "CREATE USER a IDENTIFIED BY 'one'",
            "CREATE TABLE t (id int)",
            "ALTER USER a IDENTIFIED BY 'two'",
            "ALTER USER a IDENTIFIED BY 'three'",
        ]);
        let undo = texts(&["ALTER USER a IDENTIFIED BY 'one'", "DROP USER a"]);
        let written = Written {
            up: up.clone(),
            undo: undo.clone(),
        };
        let operations = Operations {
            up,
            undo: Inverse::Statements(undo),
            ..Operations::default()
        };
        let recorded = operations.veiled(&written);
        let text = serde_json::to_string(&recorded).unwrap_or_default();
        assert!(!text.contains("one") && !text.contains("three"), "{text}");
        assert_eq!(recorded.clone().unveiled(&written), Some(operations));
        assert_eq!(recorded.unveiled(&Written::default()), None);
        // What was derived stays as it is: nothing could give it back.
        let derived = Operations {
            undo: Inverse::Statements(texts(&["DELETE FROM t WHERE password = 'x'"])),
            ..Operations::default()
        };
        let recorded = derived.veiled(&written);
        assert_eq!(recorded, derived);
        assert_eq!(recorded.unveiled(&written), Some(derived));
    }
}
