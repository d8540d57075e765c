//! Columns: what each holds, and its words in the target.

use super::names::Names;
use super::{Column2, Work};
use crate::copy::cast::ColumnCast;
use crate::dialect::copy::{Chosen, Source, Spelled, Wants};
use crate::dialect::tried::mentions;
use crate::finding::{Finding, Place};
use crate::schema::{Check, Column, Generated, Table};
use std::collections::BTreeSet;

impl Work<'_> {
    /// What every column holds.
    pub(super) fn choose(&mut self) {
        for at in 0..self.tables.len() {
            let table = self.source_table(at);
            let keyed = self.keyed(table);
            let mut names = Names::new(
                self.limits.name_max,
                self.limits.name_bytes,
                self.limits.fold_case,
            );
            let mut columns = vec![];
            for (place, column) in table.columns.iter().enumerate() {
                let label = table.label();
                let cast = self.casts.column(&label, &column.name);
                let wanted = cast
                    .and_then(|cast| cast.name.clone())
                    .unwrap_or_else(|| column.name.clone());
                let name = names.take("", &wanted);
                if name != wanted {
                    let object = format!("{label}.{}", column.name);
                    self.renamed(&format!("column {object}"), &object, &name);
                }
                let profile = self.evidence.of(table, place);
                let chosen = self.read.kind_of(&Source {
                    catalog: self.source,
                    table,
                    column,
                    profile,
                    caps: self.from,
                });
                let counter = self.read.counter(self.source, table, column);
                let nulls = profile.is_some_and(|profile| profile.nulls > 0);
                columns.push(Column2 {
                    name,
                    fold: self.read.fold(table, column),
                    counter,
                    keyed: keyed.contains(column.name.as_str()),
                    forced: cast.and_then(|cast| self.asked_for(cast)),
                    spelled: Spelled::default(),
                    nullable: column.nullable && (counter.is_none() || nulls),
                    chosen,
                });
            }
            self.tables[at].columns = columns;
            for place in 0..table.columns.len() {
                self.said(at, place);
            }
        }
    }

    /// Columns that keys, indexes and references are over.
    fn keyed<'t>(&self, table: &'t Table) -> BTreeSet<&'t str> {
        let mut keyed: BTreeSet<&str> = BTreeSet::new();
        for key in &table.keys {
            keyed.extend(super::set(&key.columns));
        }
        for index in &table.indexes {
            for part in &index.parts {
                match part.expression {
                    false => {
                        keyed.insert(&part.what);
                    }
                    // What is computed of a text is as long as that may be.
                    true => keyed.extend(spoken_of(table, &part.what)),
                }
            }
        }
        for key in &table.foreign_keys {
            keyed.extend(super::set(&key.columns));
        }
        // What others refer to has a key of its own.
        table
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .filter(|name| {
                keyed.contains(name) || keyed.iter().any(|key| key.eq_ignore_ascii_case(name))
            })
            .collect()
    }

    fn said(&mut self, at: usize, place: usize) {
        let object = format!(
            "{}.{}",
            self.source_table(at).label(),
            self.source_table(at).columns[place].name
        );
        let chosen = &self.tables[at].columns[place].chosen;
        if let Some((code, sentence)) = &chosen.finding {
            self.notes.findings.push(Finding::warning(
                code,
                Place::object(&object),
                format!("{object}: {sentence}"),
            ));
        }
    }

    /// The words for every column.
    pub(super) fn spell(&mut self) {
        for at in 0..self.tables.len() {
            let table = self.tables[at].name.clone();
            for place in 0..self.tables[at].columns.len() {
                let source = self.source_table(at);
                let own = &self.tables[at].columns[place];
                let wants = Wants {
                    caps: self.to,
                    profile: self.evidence.of(source, place),
                    keyed: own.keyed,
                    counter: own.counter.is_some(),
                    generated: source.columns[place].generated.is_some(),
                    fold: &own.fold,
                    place: (&table, &own.name),
                };
                let (chosen, spelled) = match &own.forced {
                    Some(native) => self.forced(native, &own.chosen, &wants),
                    None => (
                        own.chosen.clone(),
                        self.write.spell(&own.chosen.kind, &wants),
                    ),
                };
                self.name_types(&spelled);
                let own = &mut self.tables[at].columns[place];
                own.chosen = chosen;
                own.spelled = spelled;
            }
        }
    }

    /// Types and collations that must be there first.
    fn name_types(&mut self, spelled: &Spelled) {
        for named in &spelled.named {
            if !self.target.types.contains(named) {
                self.target.types.push(named.clone());
            }
        }
    }

    /// A type that somebody asks for, as the target shows it. One that it has not was refused before anything was read.
    fn asked_for(&self, cast: &ColumnCast) -> Option<String> {
        let asked = cast.ty.as_ref()?;
        Some(self.write.proper(asked).unwrap_or_else(|_| asked.clone()))
    }

    /// A type that somebody asked for.
    fn forced(&self, native: &str, chosen: &Chosen, wants: &Wants<'_>) -> (Chosen, Spelled) {
        let (kind, ty) = self.write.forced(native);
        let canonical = self.write.spell(&kind, wants);
        let mut spelled = if canonical.word == Some("other-as-text") {
            Spelled::new(native, ty)
        } else {
            canonical
        };
        spelled.word = None;
        let mut chosen = chosen.clone();
        chosen.kind = kind;
        chosen.why = format!("asked for as {native}");
        chosen.misfits = 0;
        (chosen, spelled)
    }

    /// A table with its columns and checks; keys and what refers come later.
    pub(super) fn table(&mut self, at: usize) -> Table {
        let source = self.source_table(at);
        let label = source.label();
        let own = self.tables[at].clone();
        let mut table = Table {
            schema: own.schema.clone(),
            name: own.name.clone(),
            comment: source.comment.clone(),
            ..Table::default()
        };
        for (place, (from, to)) in source.columns.iter().zip(&own.columns).enumerate() {
            let object = format!("{label}.{}", from.name);
            let generated = from
                .generated
                .as_ref()
                .and_then(|generated| self.generated(at, place, generated, &object));
            let default = if to.counter.is_some() || generated.is_some() {
                None
            } else {
                self.default(at, place, &object)
            };
            let (always, given) = (self.write.numbers(true), self.write.numbers(false));
            if to.counter == Some(true) && always == given {
                self.notes.lack(
                    format!("GENERATED ALWAYS of {object}"),
                    "the target's counters give way to numbers that rows bring along",
                    from.identity.clone(),
                );
            }
            if let Some(check) = &to.spelled.check {
                table.checks.push(Check {
                    name: None,
                    clause: format!("CHECK ({check})"),
                    ..Check::default()
                });
            }
            table.columns.push(Column {
                name: to.name.clone(),
                native: to.spelled.native.clone(),
                neutral: to
                    .spelled
                    .ty
                    .clone()
                    .unwrap_or(crate::schema::NeutralType::Text),
                nullable: to.nullable,
                default,
                generated,
                counting: vec![],
                identity: to
                    .counter
                    .map(|always| self.write.numbers(always).to_owned()),
                on_update: None,
                collation: to.spelled.collation.clone(),
                attributes: None,
                comment: from.comment.clone(),
            });
            self.column_rest(at, place, &mut table, &object);
        }
        self.checks(at, &mut table);
        table
    }

    /// Whether the target computes anything of what a computed column speaks of.
    fn computable(&self, at: usize, place: usize, generated: &Generated) -> Result<(), String> {
        let table = self.source_table(at);
        for name in spoken_of(table, &generated.expression) {
            let own = table.columns.iter().position(|column| column.name == name);
            let Some(other) = own.filter(|other| *other != place) else {
                continue;
            };
            if !self.limits.computed_of_computed && table.columns[other].generated.is_some() {
                return Err("the target computes nothing of what is computed itself".into());
            }
            if !self.limits.computed_of_counters && self.tables[at].columns[other].counter.is_some()
            {
                return Err("the target computes nothing of a column that numbers its rows".into());
            }
        }
        Ok(())
    }

    /// A computed column; where it cannot be, its values go over as those of any other.
    fn generated(
        &mut self,
        at: usize,
        place: usize,
        generated: &Generated,
        object: &str,
    ) -> Option<Generated> {
        let kind = self.tables[at].columns[place].chosen.kind.clone();
        let may = self.computable(at, place, generated);
        match may.and_then(|()| self.value_in(at, &generated.expression, &kind)) {
            Ok(expression) => {
                let stored = generated.stored || !self.limits.virtual_columns;
                if stored && !generated.stored {
                    let (table, column) = object.rsplit_once('.').unwrap_or(("", object));
                    self.notes.stored(table, column);
                }
                Some(Generated { expression, stored })
            }
            Err(why) => {
                self.notes.lack(
                    format!("how {object} is computed"),
                    format!("{why}; its values are copied instead"),
                    Some(generated.expression.clone()),
                );
                None
            }
        }
    }

    /// A default, or its place in the list of what is not carried.
    fn default(&mut self, at: usize, place: usize, object: &str) -> Option<String> {
        let text = self.source_table(at).columns[place].default.clone()?;
        let own = &self.tables[at].columns[place];
        let (kind, native) = (own.chosen.kind.clone(), own.spelled.native.clone());
        match self.value_in(at, &text, &kind) {
            Ok(value) if value == "NULL" => None,
            Ok(value) => Some(self.write.wrap_default(value, &native)),
            Err(why) => {
                self.notes
                    .lack(format!("default of {object}"), why, Some(text));
                None
            }
        }
    }

    /// What else a column has and no other engine knows.
    fn column_rest(&mut self, at: usize, place: usize, table: &mut Table, object: &str) {
        let from = &self.source_table(at).columns[place];
        if let Some(text) = &from.on_update {
            let own = &self.tables[at].columns[place];
            let now = self.value_in(at, text, &own.chosen.kind).ok();
            match now.and_then(|now| self.write.touch(table, &own.name, &now)) {
                Some((routine, trigger)) => {
                    self.target.routines.push(routine);
                    table.triggers.push(trigger);
                }
                None => self.notes.lack(
                    format!("ON UPDATE of {object}"),
                    "the target sets no column by itself",
                    Some(text.clone()),
                ),
            }
        }
        if !from.counting.is_empty() {
            self.notes.lack(
                format!("how {object} counts"),
                "the target's counters go one by one",
                Some(from.counting.join(" ")),
            );
        }
        if from
            .attributes
            .as_deref()
            .is_some_and(|words| words.contains("INVISIBLE"))
        {
            self.notes.lack(
                format!("invisibility of {object}"),
                "every column of the target is visible",
                None,
            );
        }
    }
}

/// The columns that an expression speaks of: their names stand in it as words.
fn spoken_of<'t>(table: &'t Table, expression: &str) -> impl Iterator<Item = &'t str> {
    let words = expression.to_lowercase();
    let names = table.columns.iter().map(|column| column.name.as_str());
    names.filter(move |name| mentions(&words, &name.to_lowercase()))
}
