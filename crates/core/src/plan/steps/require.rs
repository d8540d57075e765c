//! `require`: constraints that hold from now on, and those that go for them; the rows are looked at first.

use super::known::at_step;
use super::said_key::{self, SaidKey};
use super::violations::{Suspect, names};
use super::{Facts, Operations};
use crate::dialect::catalog::Part;
use crate::dialect::steps::{self as render, Demands, NewKey};
use crate::finding::Finding;
use crate::schema::text::normal;
use crate::schema::{Check, Column, ForeignKey, Table};
use crate::source::grammar::steps::Require;
use crate::source::plan::StepDoc;
use crate::value::{Query, Row};
use std::collections::BTreeSet;

/// The demands, what may stand in their way, and what is there already.
struct Read<'a> {
    table: &'a Table,
    demands: Demands<'a>,
    suspects: Vec<Suspect>,
    notes: Vec<Finding>,
}

struct Reader<'a, 's> {
    step: &'s StepDoc,
    facts: &'s Facts<'a>,
    table: &'a Table,
    taken: BTreeSet<String>,
    read: Read<'a>,
    faults: Vec<Finding>,
}

fn read<'a>(step: &StepDoc, asked: &Require, facts: &Facts<'a>) -> Result<Read<'a>, Vec<Finding>> {
    let table = facts
        .table(step, &asked.table)
        .map_err(|finding| vec![finding])?;
    let mut reader = Reader {
        step,
        facts,
        table,
        taken: taken(facts, table),
        read: Read {
            table,
            demands: Demands::default(),
            suspects: vec![],
            notes: vec![],
        },
        faults: vec![],
    };
    reader.drops(&asked.drops);
    for name in &asked.not_null {
        reader.not_null(name);
    }
    for columns in &asked.unique {
        reader.unique(columns);
    }
    for text in &asked.foreign_keys {
        reader.foreign_key(text);
    }
    for text in &asked.checks {
        reader.check(text);
    }
    if reader.faults.is_empty() {
        Ok(reader.read)
    } else {
        Err(reader.faults)
    }
}

/// Names of constraints and indexes that a new one may not have, in lower case: on some engines they are a schema's.
fn taken(facts: &Facts<'_>, table: &Table) -> BTreeSet<String> {
    let mut taken = BTreeSet::new();
    for other in facts
        .catalog
        .tables
        .iter()
        .filter(|other| other.schema == table.schema)
    {
        let keys = other.keys.iter().filter_map(|key| key.name.as_ref());
        let foreign = other
            .foreign_keys
            .iter()
            .filter_map(|key| key.name.as_ref());
        let checks = other.checks.iter().filter_map(|check| check.name.as_ref());
        let indexes = other.indexes.iter().map(|index| &index.name);
        let all = keys.chain(foreign).chain(checks).chain(indexes);
        taken.extend(all.chain([&other.name]).map(|name| name.to_lowercase()));
    }
    taken
}

impl<'a> Reader<'a, '_> {
    fn fault(&mut self, code: &'static str, message: impl AsRef<str>, help: &str) {
        let finding = at_step(code, self.step, message);
        self.faults.push(if help.is_empty() {
            finding
        } else {
            finding.help(help)
        });
    }

    fn there(&mut self, what: &str) {
        let message = format!(
            "step `{}`: {what} holds already; the step neither adds nor removes it",
            self.step.id
        );
        let place = self.step.place.clone();
        self.read
            .notes
            .push(Finding::info("already-there", place, message));
    }

    fn columns<'n>(
        &mut self,
        table: &'a Table,
        wanted: impl IntoIterator<Item = &'n str>,
    ) -> Option<Vec<&'a Column>> {
        let mut found = vec![];
        let before = self.faults.len();
        for name in wanted {
            match self.facts.column(self.step, table, name) {
                Ok(column) => found.push(column),
                Err(fault) => self.faults.push(fault),
            }
        }
        (self.faults.len() == before && !found.is_empty()).then_some(found)
    }

    /// A name as servers make them, cut until it fits, with a number where it is taken.
    fn name(&mut self, columns: &[&Column], ending: &str) -> String {
        let max = self.facts.caps.identifier_max;
        let columns: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let base: Vec<&str> = std::iter::once(self.table.name.as_str())
            .chain(columns)
            .collect();
        let base = base.join("_");
        let mut number = 0_u32;
        loop {
            let ending = match number {
                0 => format!("_{ending}"),
                number => format!("_{ending}{number}"),
            };
            let mut end = base.len().min(max.saturating_sub(ending.len()));
            while !base.is_char_boundary(end) {
                end -= 1;
            }
            let name = format!("{}{ending}", &base[..end]);
            if self.taken.insert(name.to_lowercase()) {
                return name;
            }
            number += 1;
        }
    }

    fn not_null(&mut self, name: &str) {
        let Some(columns) = self.columns(self.table, [name]) else {
            return;
        };
        let column = columns[0];
        if !column.nullable {
            return self.there(&format!("NOT NULL of {}", column.name));
        }
        let mut shown = self.facts.key_columns(self.table);
        shown.retain(|other| other.name != column.name);
        let condition = render::is_null(self.facts.dialect, column);
        self.read.suspects.push(Suspect {
            query: render::select_rows(self.facts.dialect, self.table, &shown, &condition),
            grouped: false,
            columns: names(&shown),
            what: format!("without `{}` (NULL), which is to be NOT NULL", column.name),
            help: "fill them first, by a `backfill` step before this one".into(),
        });
        self.read.demands.not_null.push(column);
    }

    fn unique(&mut self, wanted: &[String]) {
        let Some(columns) = self.columns(self.table, wanted.iter().map(String::as_str)) else {
            return;
        };
        let list = names(&columns);
        let going: Vec<Vec<&str>> = self.read.demands.drops.iter().map(part_columns).collect();
        let mut keys = self.facts.unique_keys(self.table);
        keys.retain(|key| *key == list && !going.contains(key));
        if !keys.is_empty() {
            return self.there(&format!("unique ({})", list.join(", ")));
        }
        self.read.suspects.push(Suspect {
            query: render::select_duplicates(self.facts.dialect, self.table, &columns, None),
            grouped: true,
            what: "they are to be unique".into(),
            columns: list.clone(),
            help: "change or remove all but one row of each, then run again".into(),
        });
        let name = self.name(&columns, "key");
        self.read.demands.unique.push(NewKey {
            name,
            columns: list,
        });
    }

    fn foreign_key(&mut self, text: &str) {
        let Some(said) = said_key::read(text) else {
            let message = format!("`{text}` is not a foreign key");
            let help = "write `user_id -> users(id)`, and behind it what is to happen: `on delete cascade`";
            return self.fault("bad-value", message, help);
        };
        let Some((own, references, others)) = self.ends(text, &said) else {
            return;
        };
        let key = ForeignKey {
            name: None,
            columns: names(&own),
            references_schema: references.schema.clone(),
            references: references.name.clone(),
            references_columns: names(&others),
            on_delete: said.on_delete,
            on_update: said.on_update,
            attributes: said.attributes,
            ..ForeignKey::default()
        };
        let primary = references.keys.iter().find(|key| key.primary);
        let is_primary = primary.is_some_and(|primary| primary.columns == key.references_columns);
        let equal = |there: &ForeignKey| {
            let mut there = there.clone();
            there.name = None;
            // Where it refers to the primary key, a table's text need not say which that is.
            if there.references_columns.is_empty() && is_primary {
                there.references_columns.clone_from(&key.references_columns);
            }
            there == key
        };
        if self.table.foreign_keys.iter().any(equal) {
            return self.there(&format!("foreign key {text}"));
        }
        let mut shown = self.facts.key_columns(self.table);
        shown.retain(|column| own.iter().all(|other| other.name != column.name));
        shown.extend(&own);
        let condition =
            render::is_orphan(self.facts.dialect, self.table, &own, references, &others);
        self.read.suspects.push(Suspect {
            query: render::select_rows(self.facts.dialect, self.table, &shown, &condition),
            grouped: false,
            columns: names(&shown),
            what: format!("referring to no row of {} (`{text}`)", references.label()),
            help: "add the rows that are missing, or change or remove those that refer to them"
                .into(),
        });
        let name = Some(self.name(&own, "fkey"));
        self.read
            .demands
            .foreign_keys
            .push(ForeignKey { name, ..key });
    }

    /// The columns of a foreign key, the table that it refers to, and the columns there.
    fn ends(
        &mut self,
        text: &str,
        said: &SaidKey<'_>,
    ) -> Option<(Vec<&'a Column>, &'a Table, Vec<&'a Column>)> {
        let references = match self.facts.table(self.step, said.table) {
            Ok(table) => table,
            Err(fault) => {
                self.faults.push(fault);
                return None;
            }
        };
        let primary = references.keys.iter().find(|key| key.primary);
        let others: Vec<&str> = match (&said.others, primary) {
            (Some(others), _) => others.clone(),
            (None, Some(primary)) => primary.columns.iter().map(String::as_str).collect(),
            (None, None) => vec![],
        };
        let own = self.columns(self.table, said.columns.iter().copied());
        let found = self.columns(references, others.iter().copied());
        if others.is_empty() {
            let message = format!("`{text}`: {} has no primary key", references.label());
            self.fault("not-a-key", message, "name the columns that it refers to");
        }
        let (own, found) = (own?, found?);
        let listed = names(&found);
        let mut keys = self.facts.unique_keys(references).into_iter();
        if own.len() != found.len() || !keys.any(|key| same_set(&key, &listed)) {
            let message = format!(
                "`{text}`: ({}) is no key of {}",
                listed.join(", "),
                references.label()
            );
            let help = "refer to its primary key, or to columns that are unique there";
            self.fault("not-a-key", message, help);
            return None;
        }
        Some((own, references, found))
    }

    fn check(&mut self, text: &str) {
        let text = text.trim();
        let broken = super::broken_expression(text, self.facts);
        if let Some(why) = broken.or(text.is_empty().then_some("is empty")) {
            return self.fault("bad-value", format!("the check `{text}` {why}"), "");
        }
        let clause = format!("CHECK ({text})");
        let dialect = self.facts.dialect;
        let letters = |text: &str| {
            normal(text, dialect)
                .to_lowercase()
                .replace(['(', ')', ' ', '"', '`'], "")
        };
        if self
            .table
            .checks
            .iter()
            .any(|there| letters(&there.clause) == letters(&clause))
        {
            return self.there(&format!("the check `{text}`"));
        }
        let shown = self.facts.key_columns(self.table);
        self.read.suspects.push(Suspect {
            query: render::select_rows(dialect, self.table, &shown, &format!("NOT ({text})")),
            grouped: false,
            columns: names(&shown),
            what: format!("failing the check `{text}`"),
            help: "mend them first, by a step before this one".into(),
        });
        let name = Some(self.name(&[], "check"));
        self.read.demands.checks.push(Check {
            name,
            clause,
            ..Check::default()
        });
    }

    fn drops(&mut self, wanted: &[String]) {
        for name in wanted {
            let same = |other: &str| self.facts.dialect.steps().same_name(other, name);
            let index = || self.table.indexes.iter().find(|index| same(&index.name));
            let schema = self.table.schema.as_deref();
            let part = self
                .facts
                .constraint(self.table, name)
                .or_else(|| index().map(|index| Part::Index(schema, &self.table.name, index)))
                .or_else(|| self.unnamed(name));
            match part {
                Some(part) => self.dropped(name, part),
                None if self.facts.dialect.steps().has_named(self.table, name) => {
                    self.read.demands.drop_named.push(name.clone());
                }
                None => {
                    let message =
                        format!("{} has no constraint or index `{name}`", self.table.label());
                    self.fault(
                        "unknown-constraint",
                        message,
                        "`dunlin catalog` lists them; one without a name is called by what it says: `unique (email)`",
                    );
                }
            }
        }
    }

    /// A unique constraint that is called by its columns: `unique (email)`.
    fn unnamed(&self, text: &str) -> Option<Part<'a>> {
        let rest = text
            .trim()
            .get(..6)
            .filter(|word| word.eq_ignore_ascii_case("unique"));
        let rest = rest.and_then(|_| text.trim().get(6..))?.trim();
        let inner = rest.strip_prefix('(')?.strip_suffix(')')?;
        let columns: Vec<&str> = inner.split(',').map(str::trim).collect();
        let same =
            |column: (&String, &&str)| self.facts.dialect.steps().same_name(column.0, column.1);
        let key = self.table.keys.iter().find(|key| {
            !key.primary
                && key.columns.len() == columns.len()
                && key.columns.iter().zip(&columns).all(same)
        });
        key.map(|key| Part::Key(self.table, key))
    }

    /// A key that others refer to holds them; the server would say so only when all else is done.
    fn dropped(&mut self, name: &str, part: Part<'a>) {
        let columns = part_columns(&part);
        let is_key = matches!(part, Part::Key(..) | Part::Index(..)) && !columns.is_empty();
        let other_key = || {
            let keys = self.facts.unique_keys(self.table);
            keys.iter().filter(|key| same_set_of(key, &columns)).count() > 1
        };
        let leans = |key: &&ForeignKey| {
            key.references == self.table.name
                && key.references_schema == self.table.schema
                && same_set(&columns, &key.references_columns)
        };
        let holder = self.facts.catalog.tables.iter().find_map(|table| {
            table
                .foreign_keys
                .iter()
                .find(leans)
                .map(|key| (table, key))
        });
        if let Some((table, key)) = holder.filter(|_| is_key && !other_key()) {
            let message = format!(
                "`{name}` cannot go: {} refers to it by ({})",
                table.label(),
                key.columns.join(", ")
            );
            return self.fault(
                "constraint-in-use",
                message,
                "drop that foreign key first, in a step before this one",
            );
        }
        self.read.demands.drops.push(part);
    }
}

/// The columns of a key or of a unique index.
fn part_columns<'a>(part: &Part<'a>) -> Vec<&'a str> {
    match part {
        Part::Key(_, key) => key.columns.iter().map(String::as_str).collect(),
        Part::Index(_, _, index) if index.unique => {
            index.parts.iter().map(|part| part.what.as_str()).collect()
        }
        _ => vec![],
    }
}

fn same_set(key: &[&str], columns: &[String]) -> bool {
    key.len() == columns.len() && columns.iter().all(|column| key.contains(&column.as_str()))
}

fn same_set_of(key: &[&str], columns: &[&str]) -> bool {
    key.len() == columns.len() && columns.iter().all(|column| key.contains(column))
}

/// Asks for the rows that would violate what is demanded.
pub(super) fn asks(step: &StepDoc, asked: &Require, facts: &Facts<'_>) -> Vec<Query> {
    let Ok(read) = read(step, asked, facts) else {
        return vec![];
    };
    let shown = shown(&read, facts);
    let suspects = read.suspects.into_iter().map(|suspect| suspect.query);
    suspects.chain(shown).collect()
}

/// Asks for the table as the server itself shows it, where something goes that is to come back.
fn shown(read: &Read<'_>, facts: &Facts<'_>) -> Option<Query> {
    let show = || facts.dialect.catalog().show(Part::Table(read.table));
    (!read.demands.drops.is_empty()).then(show).flatten()
}

/// The statements that add and remove constraints, and those that give back the very ones that were there.
pub(super) fn lower(
    step: &StepDoc,
    asked: &Require,
    facts: &Facts<'_>,
    answers: &[Vec<Row>],
) -> Result<Operations, Vec<Finding>> {
    let mut read = read(step, asked, facts)?;
    let mut faults = vec![];
    for (at, suspect) in read.suspects.iter().enumerate() {
        let rows = super::answer(step, answers, at)?;
        faults.extend(suspect.judge(step, &read.table.label(), rows));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    if shown(&read, facts).is_some() {
        let rows = super::answer(step, answers, read.suspects.len())?;
        let catalog = facts.dialect.catalog();
        read.demands.shown = catalog.read_show(Part::Table(read.table), rows);
    }
    let steps = facts.dialect.steps();
    let rendered = steps.require(
        facts.caps,
        facts.lex,
        facts.catalog,
        read.table,
        &read.demands,
    );
    let moves = rendered.map_err(|why| vec![at_step("not-on-this-engine", step, why)])?;
    Ok(Operations {
        apart: steps.requires_apart(),
        findings: read.notes,
        ..Operations::of(moves)
    })
}
