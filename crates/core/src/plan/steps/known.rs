//! Finding in the catalog what a plan file or a statement names.

use super::Facts;
use crate::dialect::catalog::Part;
use crate::finding::{Finding, Place};
use crate::schema::{Column, Index, Table};
use crate::source::nearest;
use crate::source::plan::StepDoc;
use crate::sql::{ObjectKind, ObjectRef};

impl<'a> Facts<'a> {
    /// A schema as the catalog has it: the default one stands for itself.
    pub(in crate::plan) fn schema_of<'s>(&self, schema: Option<&'s str>) -> Option<&'s str> {
        schema.filter(|schema| self.caps.default_schema.as_deref() != Some(*schema))
    }

    fn same(&self, a: &str, b: &str) -> bool {
        self.dialect.steps().same_name(a, b)
    }

    /// The table that a statement names.
    pub(in crate::plan) fn table_of(&self, schema: Option<&str>, name: &str) -> Option<&'a Table> {
        let schema = self.schema_of(schema);
        let exact = self.catalog.table(schema, name);
        exact.or_else(|| {
            let fits =
                |table: &&Table| self.same(&table.name, name) && table.schema.as_deref() == schema;
            self.catalog.tables.iter().find(fits)
        })
    }

    /// The table that a step names: as it stands, with its schema before a point, or in another case where only one
    /// table is meant.
    pub(super) fn table(&self, step: &StepDoc, name: &str) -> Result<&'a Table, Finding> {
        let of = |schema: Option<&str>, name: &str| self.table_of(schema, name);
        let dotted = || name.split_once('.');
        if let Some(table) =
            of(None, name).or_else(|| dotted().and_then(|(schema, name)| of(Some(schema), name)))
        {
            return Ok(table);
        }
        let mut alike = self
            .catalog
            .tables
            .iter()
            .filter(|table| table.label().to_lowercase() == name.to_lowercase());
        if let (Some(table), None) = (alike.next(), alike.next()) {
            return Ok(table);
        }
        let known: Vec<String> = self.catalog.tables.iter().map(Table::label).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let mut finding = Finding::error(
            "unknown-table",
            step.place.clone(),
            format!("step `{}`: there is no table `{name}`", step.id),
        );
        finding.help = nearest::did_you_mean(name, &known);
        Err(finding)
    }

    /// The column of this name.
    pub(super) fn column_of(&self, table: &'a Table, name: &str) -> Option<&'a Column> {
        let alike = || {
            let mut alike = table
                .columns
                .iter()
                .filter(|column| column.name.to_lowercase() == name.to_lowercase());
            alike.next().filter(|_| alike.next().is_none())
        };
        table.column(name).or_else(alike)
    }

    /// The column that a step names.
    pub(super) fn column(
        &self,
        step: &StepDoc,
        table: &'a Table,
        name: &str,
    ) -> Result<&'a Column, Finding> {
        self.column_of(table, name).ok_or_else(|| {
            let known: Vec<&str> = table
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .collect();
            let mut finding = Finding::error(
                "unknown-column",
                step.place.clone(),
                format!(
                    "step `{}`: {} has no column `{name}`",
                    step.id,
                    table.label()
                ),
            );
            finding.help = nearest::did_you_mean(name, &known);
            finding
        })
    }

    /// The columns of each key of a table, the primary one first; unique indexes over whole columns are keys too.
    pub(in crate::plan) fn unique_keys(&self, table: &'a Table) -> Vec<Vec<&'a str>> {
        let mut keys: Vec<Vec<&str>> = vec![];
        for primary in [true, false] {
            let of = table.keys.iter().filter(|key| key.primary == primary);
            keys.extend(of.map(|key| key.columns.iter().map(String::as_str).collect()));
        }
        let whole = |index: &&Index| {
            index.unique
                && index.predicate.is_none()
                && !self.dialect.steps().is_invalid(index)
                && index
                    .parts
                    .iter()
                    .all(|part| !part.expression && part.length.is_none())
        };
        let indexes = table.indexes.iter().filter(whole);
        keys.extend(
            indexes.map(|index| index.parts.iter().map(|part| part.what.as_str()).collect()),
        );
        keys
    }

    /// The columns by which people tell the rows of a table apart; empty where it has no key.
    pub(super) fn key_columns(&self, table: &'a Table) -> Vec<&'a Column> {
        let columns = |key: &Vec<&str>| -> Option<Vec<&'a Column>> {
            key.iter().map(|name| table.column(name)).collect()
        };
        self.unique_keys(table)
            .iter()
            .find_map(columns)
            .unwrap_or_default()
    }

    /// The part of the catalog that an object of a statement is.
    pub(in crate::plan) fn part(&self, object: &ObjectRef) -> Option<Part<'a>> {
        let schema = object.schema.as_deref();
        let parent = object.parent.as_deref();
        let here = |other: &Option<String>| other.as_deref() == self.schema_of(schema);
        let named = |name: &str| self.same(name, &object.name);
        let catalog = self.catalog;
        match object.kind {
            ObjectKind::Table => self.table_of(schema, &object.name).map(Part::Table),
            ObjectKind::View | ObjectKind::MaterializedView => {
                let mut views = catalog.views.iter();
                let found = views.find(|view| named(&view.name) && here(&view.schema));
                found.map(Part::View)
            }
            ObjectKind::Column => {
                let table = self.table_of(schema, parent?)?;
                let column = table.columns.iter().find(|column| named(&column.name))?;
                Some(Part::Column(table, column))
            }
            ObjectKind::Constraint => {
                self.constraint(self.table_of(schema, parent?)?, &object.name)
            }
            ObjectKind::Index => self.index(schema, parent, &object.name),
            ObjectKind::Trigger => self.trigger(schema, parent, &object.name),
            ObjectKind::Function | ObjectKind::Procedure => {
                let kind = if object.kind == ObjectKind::Procedure {
                    "PROCEDURE"
                } else {
                    "FUNCTION"
                };
                let mut found = catalog.routines.iter().filter(|routine| {
                    named(&routine.name) && here(&routine.schema) && routine.kind == kind
                });
                // Of several under one name the statement's arguments would tell; that is not looked into.
                let first = found.next();
                first.filter(|_| found.next().is_none()).map(Part::Routine)
            }
            ObjectKind::Sequence => {
                let mut all = catalog.sequences.iter();
                let found = all.find(|one| named(&one.name) && here(&one.schema));
                found.map(Part::Sequence)
            }
            ObjectKind::Type => {
                let mut all = catalog.types.iter();
                let found = all.find(|one| named(&one.name) && here(&one.schema));
                found.map(Part::Type)
            }
            ObjectKind::Event => {
                let found = catalog.events.iter().find(|event| named(&event.name));
                found.map(Part::Event)
            }
            ObjectKind::Extension => {
                let mut all = catalog.extensions.iter();
                all.find(|one| named(&one.name)).map(Part::Extension)
            }
            _ => None,
        }
    }

    /// A key, foreign key or check of a table by its name.
    pub(in crate::plan) fn constraint(&self, table: &'a Table, name: &str) -> Option<Part<'a>> {
        let named =
            |other: &Option<String>| other.as_deref().is_some_and(|other| self.same(other, name));
        let key = table.keys.iter().find(|key| {
            // Some engines call every primary key so, and keep no name of it.
            named(&key.name) || key.primary && key.name.is_none() && name == "PRIMARY"
        });
        let foreign = || table.foreign_keys.iter().find(|key| named(&key.name));
        let check = || table.checks.iter().find(|check| named(&check.name));
        key.map(|key| Part::Key(table, key))
            .or_else(|| foreign().map(|key| Part::ForeignKey(table, key)))
            .or_else(|| check().map(|check| Part::Check(table, check)))
    }

    fn index(&self, schema: Option<&str>, parent: Option<&str>, name: &str) -> Option<Part<'a>> {
        let schema = self.schema_of(schema);
        let of_parent = |relation: &str| parent.is_none_or(|parent| self.same(parent, relation));
        let named = |index: &&Index| self.same(&index.name, name);
        for table in &self.catalog.tables {
            if table.schema.as_deref() == schema
                && of_parent(&table.name)
                && let Some(index) = table.indexes.iter().find(named)
            {
                return Some(Part::Index(table.schema.as_deref(), &table.name, index));
            }
        }
        for view in &self.catalog.views {
            if view.schema.as_deref() == schema
                && of_parent(&view.name)
                && let Some(index) = view.indexes.iter().find(named)
            {
                return Some(Part::Index(view.schema.as_deref(), &view.name, index));
            }
        }
        None
    }

    fn trigger(&self, schema: Option<&str>, parent: Option<&str>, name: &str) -> Option<Part<'a>> {
        let schema = self.schema_of(schema);
        let of_tables = self.catalog.tables.iter().map(|table| {
            (
                table.schema.as_deref(),
                table.name.as_str(),
                &table.triggers,
            )
        });
        let of_views = self
            .catalog
            .views
            .iter()
            .map(|view| (view.schema.as_deref(), view.name.as_str(), &view.triggers));
        for (own, relation, triggers) in of_tables.chain(of_views) {
            if own != schema || parent.is_some_and(|parent| !self.same(parent, relation)) {
                continue;
            }
            let found = triggers
                .iter()
                .find(|trigger| self.same(&trigger.name, name));
            if let Some(trigger) = found {
                return Some(Part::Trigger(own, relation, trigger));
            }
        }
        None
    }
}

/// A finding at a step.
pub(super) fn at_step(code: &'static str, step: &StepDoc, message: impl AsRef<str>) -> Finding {
    let message = format!("step `{}`: {}", step.id, message.as_ref());
    Finding::error(code, step.place.clone(), message)
}

/// A place in a text that begins on a line of a file.
pub(super) fn place_in(file: &str, first: usize, text: &str, at: usize) -> Place {
    let upto = text.as_bytes().get(..at).unwrap_or_default();
    let line = first + upto.iter().filter(|byte| **byte == b'\n').count();
    Place {
        file: Some(file.to_owned()),
        line: Some(line),
        ..Place::default()
    }
}
