//! How the tables of two catalogs differ, with all that hangs on a table.

use super::pair::{by_content, by_key};
use super::{Differ, Difference, DifferenceKind, Fix, reference};
use crate::dialect::catalog::Part;
use crate::schema::{Catalog, Column, ForeignKey, Sequence, Table, render};
use crate::sql::{ObjectKind, ObjectRef};
use std::collections::BTreeMap;

/// A part of a table, as people name it.
fn part_of(table: &Table, kind: ObjectKind, name: &str) -> ObjectRef {
    reference(kind, table.schema.as_deref(), Some(&table.name), name)
}

impl<'a> Differ<'a> {
    pub(super) fn tables(&mut self, expected: &'a Catalog, actual: &'a Catalog) {
        let key = |table: &'a Table| (table.schema.as_deref(), table.name.as_str());
        let mut pairs = by_key(&expected.tables, &actual.tables, key);
        // Missing tables in the order in which they refer to each other; what is extra goes the other way.
        let places: BTreeMap<_, usize> = render::table_order(expected)
            .into_iter()
            .enumerate()
            .map(|(place, at)| (key(&expected.tables[at]), place))
            .collect();
        pairs.sort_by_key(|(want, _)| want.and_then(|table| places.get(&key(table)).copied()));
        for at in render::table_order(actual).into_iter().rev() {
            let table = &actual.tables[at];
            if !places.contains_key(&key(table)) {
                let object = reference(
                    ObjectKind::Table,
                    table.schema.as_deref(),
                    None,
                    &table.name,
                );
                self.put(object, None, Some(Part::Table(table)));
            }
        }
        for (want, is) in pairs {
            match (want, is) {
                (Some(want), Some(is)) => self.table(expected, want, is),
                (Some(want), None) => self.missing_table(expected, want),
                _ => {}
            }
        }
    }

    fn missing_table(&mut self, expected: &Catalog, table: &'a Table) {
        let schema = table.schema.as_deref();
        let object = reference(ObjectKind::Table, schema, None, &table.name);
        let mut fix = self.parts.create(Part::Table(table));
        if let Ok(statements) = &mut fix {
            statements.extend(self.owned_sequences(expected, table));
        }
        self.put_with(
            DifferenceKind::Missing,
            object,
            Some(Part::Table(table)),
            None,
            fix,
        );
        if !self.parts.foreign_keys_inline() {
            for key in &table.foreign_keys {
                let name = key.name.clone().unwrap_or_else(|| key.columns.join(", "));
                let object = reference(ObjectKind::Constraint, schema, Some(&table.name), &name);
                self.put(object, Some(Part::ForeignKey(table, key)), None);
            }
        }
        for trigger in &table.triggers {
            let object = reference(
                ObjectKind::Trigger,
                schema,
                Some(&table.name),
                &trigger.name,
            );
            self.put(
                object,
                Some(Part::Trigger(schema, &table.name, trigger)),
                None,
            );
        }
        for rule in &table.rules {
            let object = reference(ObjectKind::Other, schema, Some(&table.name), &rule.name);
            self.put(object, Some(Part::Rule(table, rule)), None);
        }
    }

    /// Statements that tie sequences to the columns of a new table.
    fn owned_sequences(&self, expected: &Catalog, table: &Table) -> Vec<String> {
        let mut statements = vec![];
        for sequence in &expected.sequences {
            let owner = sequence
                .owned_by
                .as_deref()
                .and_then(|column| column.rsplit_once('.'));
            if owner.is_some_and(|(owner, _)| owner.replace('"', "") == table.label()) {
                let free = Sequence {
                    owned_by: None,
                    ..sequence.clone()
                };
                statements.extend(
                    self.parts
                        .change(Part::Sequence(&free), Part::Sequence(sequence))
                        .unwrap_or_default(),
                );
            }
        }
        statements
    }

    fn table(&mut self, expected: &Catalog, want: &'a Table, is: &'a Table) {
        let from = self.found.len();
        let (schema, name) = (want.schema.as_deref(), want.name.as_str());
        if want.options != is.options || want.comment != is.comment {
            let object = reference(ObjectKind::Table, schema, None, name);
            self.put(object, Some(Part::Options(want)), Some(Part::Options(is)));
        }
        self.columns(expected, want, is);
        self.keys(want, is);
        self.indexes(want, is);
        if self.sees("checks") {
            self.checks(want, is);
        }
        if self.sees("foreign_keys") {
            self.foreign_keys(want, is);
        }
        if self.sees("triggers") {
            self.triggers(schema, name, &want.triggers, &is.triggers);
        }
        self.rules(want, is);
        self.rebuild(want, is, from);
    }

    fn columns(&mut self, expected: &Catalog, want: &'a Table, is: &'a Table) {
        for (a, b) in by_key(&want.columns, &is.columns, |column| column.name.clone()) {
            let Some(any) = a.or(b) else { continue };
            if let (Some(a), Some(b)) = (a, b)
                && self.same_column(a, b)
            {
                continue;
            }
            let owner = if a.is_some() { want } else { is };
            let part = |column: &'a Column| Part::Column(owner, column);
            let object = part_of(want, ObjectKind::Column, &any.name);
            self.put(object, a.map(part), b.map(part));
            if b.is_none() {
                self.tie_sequences(expected, want, &any.name);
            }
        }
    }

    fn rules(&mut self, want: &Table, is: &Table) {
        for (a, b) in by_key(&want.rules, &is.rules, |rule| {
            (rule.kind.clone(), rule.name.clone())
        }) {
            if let Some(any) = a.or(b).filter(|_| a != b) {
                let part = |rule| Part::Rule(want, rule);
                let object = part_of(want, ObjectKind::Other, &any.name);
                self.put(object, a.map(part), b.map(part));
            }
        }
    }

    /// Where a single change cannot be rendered, the first difference carries the rebuild of the whole table.
    fn rebuild(&mut self, want: &Table, is: &Table, from: usize) {
        let stuck = self.found[from..]
            .iter()
            .any(|(_, difference)| matches!(difference.fix, Fix::Advice(_)));
        let Some(statements) = stuck.then(|| self.parts.rebuild(is, want)).flatten() else {
            return;
        };
        let told = Fix::Advice(format!(
            "mended by the rebuild of table {} with its first difference",
            want.label()
        ));
        // All of them in the place of the table, so that nothing of it runs before.
        for (rank, difference) in &mut self.found[from..] {
            *rank = 26;
            difference.fix = told.clone();
        }
        if let Some((_, first)) = self.found.get_mut(from) {
            first.fix = Fix::Sql(statements);
        }
    }

    fn tie_sequences(&mut self, expected: &Catalog, table: &Table, column: &str) {
        for sequence in &expected.sequences {
            let owner = sequence
                .owned_by
                .as_deref()
                .and_then(|owned| owned.rsplit_once('.'));
            let mine = owner.is_some_and(|(owner, owned)| {
                owner.replace('"', "") == table.label() && owned.replace('"', "") == column
            });
            let free = Sequence {
                owned_by: None,
                ..sequence.clone()
            };
            if mine
                && let Ok(tie) = self
                    .parts
                    .change(Part::Sequence(&free), Part::Sequence(sequence))
                && let Some((
                    _,
                    Difference {
                        fix: Fix::Sql(statements),
                        ..
                    },
                )) = self.found.last_mut()
            {
                statements.extend(tie);
            }
        }
    }

    fn same_column(&self, a: &Column, b: &Column) -> bool {
        // What a type means follows from its name; a newer reading of an old name is no difference.
        let mut other = Column {
            neutral: a.neutral.clone(),
            ..b.clone()
        };
        if let (Some(mine), Some(theirs)) = (&a.generated, &mut other.generated)
            && self.same(&mine.expression, &theirs.expression)
        {
            theirs.expression.clone_from(&mine.expression);
        }
        *a == other
    }

    fn keys(&mut self, want: &Table, is: &Table) {
        let pairs = by_content(
            &want.keys,
            &is.keys,
            |key| key.name.as_deref(),
            |a, b| a.primary == b.primary && a.columns == b.columns && a.clause == b.clause,
            |given| self.parts.auto_named(&want.name, given),
        );
        for (a, b) in pairs {
            let Some(any) = a.or(b) else { continue };
            let columns = any.columns.join(", ");
            let name =
                any.name
                    .as_deref()
                    .unwrap_or(if any.primary { "primary key" } else { &columns });
            let object = part_of(want, ObjectKind::Constraint, name);
            self.put(
                object,
                a.map(|key| Part::Key(want, key)),
                b.map(|key| Part::Key(is, key)),
            );
        }
    }

    fn checks(&mut self, want: &Table, is: &Table) {
        let pairs = by_content(
            &want.checks,
            &is.checks,
            |check| check.name.as_deref(),
            |a, b| self.same(&a.clause, &b.clause),
            |given| self.parts.auto_named(&want.name, given),
        );
        for (a, b) in pairs {
            let Some(any) = a.or(b) else { continue };
            let name = any.name.as_deref().unwrap_or(&any.clause);
            let object = part_of(want, ObjectKind::Constraint, name);
            self.put(
                object,
                a.map(|check| Part::Check(want, check)),
                b.map(|check| Part::Check(is, check)),
            );
        }
    }

    fn foreign_keys(&mut self, want: &Table, is: &Table) {
        let unnamed = |key: &ForeignKey| ForeignKey {
            name: None,
            ..key.clone()
        };
        let pairs = by_content(
            &want.foreign_keys,
            &is.foreign_keys,
            |key| key.name.as_deref(),
            |a, b| unnamed(a) == unnamed(b),
            |given| self.parts.auto_named(&want.name, given),
        );
        for (a, b) in pairs {
            let Some(any) = a.or(b) else { continue };
            let columns = any.columns.join(", ");
            let name = any.name.as_deref().unwrap_or(&columns);
            let object = part_of(want, ObjectKind::Constraint, name);
            self.put(
                object,
                a.map(|key| Part::ForeignKey(want, key)),
                b.map(|key| Part::ForeignKey(is, key)),
            );
        }
    }

    fn indexes(&mut self, want: &Table, is: &Table) {
        let (schema, table) = (want.schema.as_deref(), want.name.as_str());
        let pairs = by_content(
            &want.indexes,
            &is.indexes,
            |index| Some(index.name.as_str()),
            |a, b| self.same_index(a, b),
            |_| false,
        );
        for (a, b) in pairs {
            let Some(any) = a.or(b) else { continue };
            let object = part_of(want, ObjectKind::Index, &any.name);
            let part = |index| Part::Index(schema, table, index);
            self.put(object, a.map(part), b.map(part));
        }
    }
}
