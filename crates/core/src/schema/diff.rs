//! How two catalogs differ, part by part, each difference with what would mend it.

mod pair;
mod tables;

use super::text::{normal, words};
use super::{Catalog, Index, View};
use crate::dialect::Dialect;
use crate::dialect::catalog::{CatalogDialect, Part, Rendered};
use crate::sql::{ObjectKind, ObjectRef};
use pair::by_key;
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;

/// What is the matter with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// It should be there and is not.
    Missing,
    /// It is there and should not be.
    Extra,
    /// It is there and is not as it should be.
    Different,
}

/// What would mend a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// Statements, in order.
    Sql(Vec<String>),
    /// There is none to run; the sentence says why or what to do.
    Advice(String),
}

impl std::fmt::Display for Fix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fix::Sql(statements) => write!(f, "{};", statements.join(";\n")),
            Fix::Advice(sentence) => write!(f, "-- {sentence}"),
        }
    }
}

impl Serialize for Fix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A difference between two catalogs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Missing, extra or different.
    pub kind: DifferenceKind,
    /// The object, as people name it: `column users.email`.
    #[serde(serialize_with = "shown")]
    pub object: ObjectRef,
    /// What should be there.
    pub expected: Option<String>,
    /// What is there.
    pub actual: Option<String>,
    /// What would mend it.
    pub fix: Fix,
}

fn shown<S: Serializer>(object: &ObjectRef, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(object)
}

/// When a fix may run: what hangs on others goes first when it is dropped, and last when it is made.
type Rank = u8;

const fn rank(kind: DifferenceKind, object: ObjectKind) -> Rank {
    use ObjectKind::*;
    let (drop, make) = match object {
        Trigger => (0, 34),
        Event => (1, 35),
        View | MaterializedView => (2, 32),
        Other => (3, 33),
        Constraint => (4, 29),
        Index => (6, 27),
        Column => (9, 25),
        Table => (10, 24),
        // Triggers and defaults of tables call functions.
        Function | Procedure => (11, 31),
        Sequence => (12, 23),
        Type | EnumValue => (13, 22),
        _ => (14, 21),
    };
    match kind {
        DifferenceKind::Extra => drop,
        _ => make,
    }
}

/// The comparison at work.
struct Differ<'a> {
    dialect: &'a dyn Dialect,
    parts: &'static dyn CatalogDialect,
    found: Vec<(Rank, Difference)>,
    unseen: BTreeSet<String>,
}

/// Compares what should be with what is. The differences come in an order in which their fixes can run.
pub fn diff(expected: &Catalog, actual: &Catalog, dialect: &dyn Dialect) -> Vec<Difference> {
    let mut differ = Differ {
        dialect,
        parts: dialect.catalog(),
        found: vec![],
        unseen: expected
            .unseen
            .iter()
            .chain(&actual.unseen)
            .cloned()
            .collect(),
    };
    differ.extensions(expected, actual);
    differ.types(expected, actual);
    differ.sequences(expected, actual);
    differ.tables(expected, actual);
    differ.routines(expected, actual);
    differ.views(expected, actual);
    differ.events(expected, actual);
    differ.found.sort_by_key(|(rank, _)| *rank);
    differ
        .found
        .into_iter()
        .map(|(_, difference)| difference)
        .collect()
}

fn reference(
    kind: ObjectKind,
    schema: Option<&str>,
    parent: Option<&str>,
    name: &str,
) -> ObjectRef {
    ObjectRef {
        kind,
        schema: schema.map(str::to_owned),
        parent: parent.map(str::to_owned),
        name: name.to_owned(),
    }
}

impl<'a> Differ<'a> {
    fn sees(&self, what: &str) -> bool {
        !self.unseen.contains(what)
    }

    fn normal(&self, text: &str) -> String {
        normal(text, self.dialect)
    }

    /// Whether two texts mean the same.
    fn same(&self, a: &str, b: &str) -> bool {
        a == b || self.normal(a) == self.normal(b)
    }

    /// Puts a difference of a part down, with the fix that the dialect renders.
    fn put(&mut self, object: ObjectRef, expected: Option<Part<'_>>, actual: Option<Part<'_>>) {
        let (kind, fix) = match (expected, actual) {
            (Some(part), None) => (DifferenceKind::Missing, self.parts.create(part)),
            (None, Some(part)) => (DifferenceKind::Extra, self.parts.drop(part)),
            (Some(to), Some(from)) => (DifferenceKind::Different, self.parts.change(from, to)),
            (None, None) => return,
        };
        self.put_with(kind, object, expected, actual, fix);
    }

    fn put_with(
        &mut self,
        kind: DifferenceKind,
        object: ObjectRef,
        expected: Option<Part<'_>>,
        actual: Option<Part<'_>>,
        fix: Rendered,
    ) {
        let fix = match fix {
            Ok(statements) if statements.is_empty() => Fix::Advice("nothing to run".into()),
            Ok(statements) => Fix::Sql(statements),
            Err(sentence) => Fix::Advice(sentence),
        };
        // A foreign key needs the keys of other tables, and keys cannot go before it.
        let later = match (expected.or(actual), kind) {
            (Some(Part::ForeignKey(..)), DifferenceKind::Extra) => 0,
            (Some(Part::ForeignKey(..)), _) => 1,
            (Some(Part::Key(..)), DifferenceKind::Extra) => 4,
            _ => 0,
        };
        let rank = rank(kind, object.kind) + later;
        let expected = expected.map(|part| self.parts.clause(part));
        let actual = actual.map(|part| self.parts.clause(part));
        self.found.push((
            rank,
            Difference {
                kind,
                object,
                expected,
                actual,
                fix,
            },
        ));
    }

    fn extensions(&mut self, expected: &'a Catalog, actual: &'a Catalog) {
        for (want, is) in by_key(&expected.extensions, &actual.extensions, |item| {
            item.name.clone()
        }) {
            if want != is {
                let name = want.or(is).map_or("", |item| &item.name);
                let object = reference(ObjectKind::Extension, None, None, name);
                self.put(object, want.map(Part::Extension), is.map(Part::Extension));
            }
        }
    }

    fn types(&mut self, expected: &'a Catalog, actual: &'a Catalog) {
        for (want, is) in by_key(&expected.types, &actual.types, |item| {
            (item.schema.clone(), item.name.clone())
        }) {
            let Some(any) = want.or(is).filter(|_| want != is) else {
                continue;
            };
            let object = reference(ObjectKind::Type, any.schema.as_deref(), None, &any.name);
            self.put(object, want.map(Part::Type), is.map(Part::Type));
        }
    }

    fn sequences(&mut self, expected: &'a Catalog, actual: &'a Catalog) {
        for (want, is) in by_key(&expected.sequences, &actual.sequences, |item| {
            (item.schema.clone(), item.name.clone())
        }) {
            let Some(any) = want.or(is).filter(|_| want != is) else {
                continue;
            };
            let object = reference(ObjectKind::Sequence, any.schema.as_deref(), None, &any.name);
            self.put(object, want.map(Part::Sequence), is.map(Part::Sequence));
        }
    }

    fn same_index(&self, a: &Index, b: &Index) -> bool {
        if a == b {
            return true;
        }
        let normal = |text: &Option<String>| text.as_ref().map(|text| self.normal(text));
        let bare = |index: &Index| Index {
            name: String::new(),
            definition: None,
            predicate: normal(&index.predicate),
            attributes: normal(&index.attributes),
            ..index.clone()
        };
        bare(a) == bare(b)
    }

    fn triggers(
        &mut self,
        schema: Option<&str>,
        table: &str,
        want: &[super::Trigger],
        is: &[super::Trigger],
    ) {
        for (a, b) in by_key(want, is, |trigger| trigger.name.clone()) {
            let Some(any) = a.or(b) else { continue };
            if let (Some(a), Some(b)) = (a, b)
                && a.disabled == b.disabled
                && self.same(&a.definition, &b.definition)
            {
                continue;
            }
            let object = reference(ObjectKind::Trigger, schema, Some(table), &any.name);
            let part = |trigger| Part::Trigger(schema, table, trigger);
            self.put(object, a.map(part), b.map(part));
        }
    }

    fn routines(&mut self, expected: &'a Catalog, actual: &'a Catalog) {
        if !self.sees("routines") {
            return;
        }
        let key = |routine: &super::Routine| {
            (
                routine.schema.clone(),
                routine.name.clone(),
                routine.kind.clone(),
                routine.arguments.clone(),
            )
        };
        let called = super::render::called_by_tables(expected, self.dialect);
        for (want, is) in by_key(&expected.routines, &actual.routines, key) {
            let Some(any) = want.or(is) else { continue };
            let text = |routine: &super::Routine| {
                routine.definition.as_ref().map(|text| self.normal(text))
            };
            if let (Some(a), Some(b)) = (want, is)
                && text(a) == text(b)
            {
                continue;
            }
            let kind = if any.kind == "PROCEDURE" {
                ObjectKind::Procedure
            } else {
                ObjectKind::Function
            };
            let object = reference(kind, any.schema.as_deref(), None, &any.name);
            self.put(object, want.map(Part::Routine), is.map(Part::Routine));
            // What defaults and checks call must be there before the tables are.
            if want.is_some()
                && called.contains(&any.name)
                && let Some((rank, _)) = self.found.last_mut()
            {
                *rank = 23;
            }
        }
    }

    fn views(&mut self, expected: &'a Catalog, actual: &'a Catalog) {
        if !self.sees("views") {
            return;
        }
        let key = |view: &View| (view.schema.clone(), view.name.clone());
        let kind = |view: &View| {
            if view.materialized {
                ObjectKind::MaterializedView
            } else {
                ObjectKind::View
            }
        };
        for at in super::render::view_order(actual, self.dialect)
            .into_iter()
            .rev()
        {
            let view = &actual.views[at];
            if expected.views.iter().all(|other| key(other) != key(view)) {
                let object = reference(kind(view), view.schema.as_deref(), None, &view.name);
                self.put(object, None, Some(Part::View(view)));
            }
        }
        for at in super::render::view_order(expected, self.dialect) {
            let want = &expected.views[at];
            let is = actual.views.iter().find(|other| key(other) == key(want));
            let object = reference(kind(want), want.schema.as_deref(), None, &want.name);
            let schema = want.schema.as_deref();
            let triggers: &[super::Trigger] = is.map_or(&[], |is| &is.triggers);
            if is.is_none_or(|is| !self.same_view(want, is)) {
                let before = self.found.len();
                self.put(object, Some(Part::View(want)), is.map(Part::View));
                // Dropping a view takes its triggers with it.
                if let (
                    Some(is),
                    Some((
                        _,
                        Difference {
                            fix: Fix::Sql(statements),
                            ..
                        },
                    )),
                ) = (is, self.found.get_mut(before))
                    && is.definition != want.definition
                {
                    for trigger in &is.triggers {
                        let part = Part::Trigger(schema, &want.name, trigger);
                        statements.extend(self.parts.create(part).unwrap_or_default());
                    }
                }
            }
            if self.sees("triggers") {
                self.triggers(schema, &want.name, &want.triggers, triggers);
            }
        }
    }

    fn same_view(&self, a: &View, b: &View) -> bool {
        a.materialized == b.materialized
            && a.comment == b.comment
            && self.same(&a.definition, &b.definition)
            && a.indexes.len() == b.indexes.len()
            && a.indexes
                .iter()
                .zip(&b.indexes)
                .all(|(a, b)| a.name == b.name && self.same_index(a, b))
    }

    fn events(&mut self, expected: &'a Catalog, actual: &'a Catalog) {
        if !self.sees("events") {
            return;
        }
        for (want, is) in by_key(&expected.events, &actual.events, |event| event.name.clone()) {
            let Some(any) = want.or(is) else { continue };
            if let (Some(a), Some(b)) = (want, is)
                && self.same(&a.definition, &b.definition)
            {
                continue;
            }
            let object = reference(ObjectKind::Event, None, None, &any.name);
            self.put(object, want.map(Part::Event), is.map(Part::Event));
        }
    }
}

/// Whether a text names one of these names: for ordering what refers to what.
pub fn mentions(text: &str, names: &BTreeSet<String>, dialect: &dyn Dialect) -> bool {
    words(text, dialect).intersection(names).next().is_some()
}
