//! What rules stand on: the tables with their keys, what refers to what, and each rule with its columns found.

use super::not_askable;
use crate::{digest, observe, trouble};
use dunlin_core::backfill::assignments;
use dunlin_core::copy::reading::{Bound, BoundColumn, Reading};
use dunlin_core::failure::Failure;
use dunlin_core::rules::{Act, Kind, Parent, Rule, To};
use dunlin_core::schema::{Catalog, Table, key};
use dunlin_core::source::grammar::data::OnChildren;
use dunlin_core::source::nearest::did_you_mean;
use dunlin_engines::Session;

/// A table with what is stored in it.
#[derive(Debug)]
pub(super) struct Known {
    /// As the catalog has it.
    pub(super) table: Table,
    /// Its stored columns; where it has no key, the number of its rows is the last of them.
    pub(super) bound: Bound,
    /// By which its rows are told apart; empty: by nothing.
    pub(super) key: Vec<usize>,
    /// Columns of which no two rows have the same values, beside the key.
    pub(super) uniques: Vec<Vec<usize>>,
}

impl Known {
    /// The place of a column.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        let mut columns = self.bound.columns.iter();
        let exact = columns.position(|column| column.shape.name == name);
        exact.or_else(|| {
            let same = |column: &BoundColumn| column.shape.name.eq_ignore_ascii_case(name);
            let mut columns = self.bound.columns.iter();
            columns.position(same)
        })
    }

    /// The name as people see it.
    pub(super) fn label(&self) -> String {
        self.bound.label()
    }

    /// A key as people see it.
    pub(super) fn shown(&self, key: &[dunlin_core::value::Value]) -> String {
        let parts = self.key.iter().zip(key);
        let parts = parts.map(|(at, value)| {
            format!("{} = {}", self.bound.columns[*at].shape.name, value.shown())
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// What happens to a child when its parent goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// It goes, too.
    Goes,
    /// It refers to nothing from then on.
    Emptied,
    /// Its parent may not go.
    Keeps,
    /// Nothing.
    Stays,
}

/// Rows of one table refer to rows of another.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    /// The table that refers, and by which columns.
    pub(super) child: usize,
    pub(super) columns: Vec<usize>,
    /// The table referred to, and its columns.
    pub(super) parent: usize,
    pub(super) others: Vec<usize>,
    /// What happens when the parent goes.
    pub(super) follow: Follow,
}

/// Tables and what refers to what.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) catalog: Catalog,
    pub(super) tables: Vec<Known>,
    pub(super) relations: Vec<Relation>,
}

/// A rule with its tables and columns found.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) rule: Rule,
    /// Its table; of queries and tidying there is none.
    pub(super) table: Option<usize>,
    /// The condition under which a row violates it, as far as the server tells.
    pub(super) only: Option<String>,
    /// The columns that must be unique.
    pub(super) columns: Vec<usize>,
    /// The column of the date.
    pub(super) by: Option<usize>,
    /// The table that archived rows go to, where it is there.
    pub(super) archive: Option<usize>,
    /// The tables to be tidied.
    pub(super) tidied: Vec<usize>,
}

impl Asked {
    /// The table of a rule that has one.
    pub(super) fn at(&self) -> Result<usize, Failure> {
        let none = || not_askable(&self.rule.id, "it is about no table");
        self.table.ok_or_else(none)
    }
}

impl Ground {
    /// Reads the catalog.
    pub(super) async fn read(session: &mut dyn Session) -> Result<Ground, Failure> {
        let wrong = |error| trouble::refused(&error, "cannot read the catalog");
        let catalog = observe::whole(session).await.map_err(wrong)?;
        let shapes = digest::shapes(session).await.map_err(wrong)?;
        let rules = session.dialect().rules();
        let (_, all) = Reading::derive(&shapes);
        let mut tables = vec![];
        for mut bound in all {
            let Some(table) = catalog.table(bound.schema.as_deref(), &bound.table) else {
                continue;
            };
            bound.columns.retain(|column| !column.shape.generated);
            // In the order of the table, as people know it.
            let order = |column: &BoundColumn| {
                let mut columns = table.columns.iter();
                columns.position(|other| other.name == column.shape.name)
            };
            bound.columns.sort_by_key(order);
            let names = key::of(table).unwrap_or_default();
            if names.is_empty()
                && let Some(shape) = rules.row_id(table)
            {
                let ty = shape.ty.clone();
                bound.columns.push(BoundColumn { shape, ty });
            }
            let mut known = Known {
                table: table.clone(),
                bound,
                key: vec![],
                uniques: vec![],
            };
            known.key = match names.is_empty() {
                false => names.iter().filter_map(|name| known.place(name)).collect(),
                true if rules.row_id(table).is_some() => vec![known.bound.columns.len() - 1],
                true => vec![],
            };
            if known.key.len() < names.len() {
                // A part of the key is computed by the server.
                known.key.clear();
            }
            known.uniques = uniques(&known);
            tables.push(known);
        }
        let mut ground = Ground {
            catalog,
            tables,
            relations: vec![],
        };
        ground.relations = ground.declared();
        Ok(ground)
    }

    /// A table by the name that people give it.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let exact = self.tables.iter().position(|known| known.label() == name);
        exact.or_else(|| {
            let same = |known: &&Known| known.label().eq_ignore_ascii_case(name);
            let mut found = self.tables.iter().filter(same);
            let (first, more) = (found.next()?, found.next());
            let label = first.label();
            more.is_none()
                .then(|| self.tables.iter().position(|known| known.label() == label))?
        })
    }

    /// What the foreign keys say.
    fn declared(&self) -> Vec<Relation> {
        let mut found = vec![];
        for (child, known) in self.tables.iter().enumerate() {
            for key in &known.table.foreign_keys {
                let schema = key.references_schema.as_deref();
                let mut tables = self.tables.iter();
                let parent = tables.position(|other| {
                    other.table.name.eq_ignore_ascii_case(&key.references)
                        && other.table.schema.as_deref() == schema
                });
                let Some(parent) = parent else { continue };
                let other = &self.tables[parent];
                let columns: Vec<usize> = key
                    .columns
                    .iter()
                    .filter_map(|name| known.place(name))
                    .collect();
                let others: Vec<usize> = match key.references_columns.is_empty() {
                    true => other.key.clone(),
                    false => {
                        let names = key.references_columns.iter();
                        names.filter_map(|name| other.place(name)).collect()
                    }
                };
                if columns.len() != key.columns.len() || columns.len() != others.len() {
                    continue;
                }
                let follow = match key.on_delete.as_deref() {
                    Some("CASCADE") => Follow::Goes,
                    // The only action that ends so. One that empties some of its columns keeps the row.
                    Some(action) if action.ends_with(" NULL") => Follow::Emptied,
                    _ => Follow::Keeps,
                };
                found.push(Relation {
                    child,
                    columns,
                    parent,
                    others,
                    follow,
                });
            }
        }
        found
    }

    /// Adds what rules say about who refers to whom, where no foreign key does. Rows that a rule of this cleaning would
    /// find as orphans right after their parent has gone go with it.
    pub(super) fn relate(&mut self, asked: &[Asked], all: &[Rule]) {
        let mut more = vec![];
        for rule in all {
            let (table, columns, parent) = match &rule.kind {
                Kind::Orphans {
                    table,
                    columns,
                    parent,
                } => (table, columns, parent),
                Kind::SameOwner {
                    table, via, parent, ..
                } => (table, via, parent),
                _ => continue,
            };
            let Ok((child, columns, parent, others)) =
                self.reference(&rule.id, table, columns, parent)
            else {
                continue;
            };
            let acts = asked.iter().any(|asked| {
                asked.rule.id == rule.id
                    && asked.rule.act == Act::Delete
                    && matches!(asked.rule.kind, Kind::Orphans { .. })
            });
            more.push(Relation {
                child,
                columns,
                parent,
                others,
                follow: if acts { Follow::Goes } else { Follow::Stays },
            });
        }
        for relation in more {
            let same = |other: &&mut Relation| {
                (other.child, other.parent) == (relation.child, relation.parent)
                    && (&other.columns, &other.others) == (&relation.columns, &relation.others)
            };
            match self.relations.iter_mut().find(same) {
                Some(other) if other.follow == Follow::Stays => other.follow = relation.follow,
                Some(_) => {}
                None => self.relations.push(relation),
            }
        }
        // Two children of one parent that a rule of this cleaning calls the same are one after it.
        for asked in asked {
            if let (Kind::Unique { .. }, Act::Duplicates, Some(at)) =
                (&asked.rule.kind, asked.rule.act, asked.table)
            {
                let uniques = &mut self.tables[at].uniques;
                if !uniques.contains(&asked.columns) {
                    uniques.push(asked.columns.clone());
                }
            }
        }
    }

    fn table_of(&self, rule: &str, name: &str) -> Result<usize, Failure> {
        self.find(name).ok_or_else(|| {
            let labels: Vec<String> = self.tables.iter().map(Known::label).collect();
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let mut failure = not_askable(rule, format!("there is no table {name}"));
            failure.hints.extend(did_you_mean(name, &labels));
            failure
        })
    }

    fn places(&self, rule: &str, at: usize, names: &[String]) -> Result<Vec<usize>, Failure> {
        let known = &self.tables[at];
        let place = |name: &String| {
            known.place(name).ok_or_else(|| {
                let columns = known.bound.columns.iter();
                let columns: Vec<&str> = columns.map(|column| column.shape.name.as_str()).collect();
                let why = format!("{} has no stored column `{name}`", known.label());
                let mut failure = not_askable(rule, why);
                failure.hints.extend(did_you_mean(name, &columns));
                failure
            })
        };
        names.iter().map(place).collect()
    }

    fn reference(
        &self,
        rule: &str,
        table: &str,
        columns: &[String],
        parent: &Parent,
    ) -> Result<(usize, Vec<usize>, usize, Vec<usize>), Failure> {
        let child = self.table_of(rule, table)?;
        let columns = self.places(rule, child, columns)?;
        let other = self.table_of(rule, &parent.table)?;
        let others = match parent.columns.is_empty() {
            true => self.tables[other].key.clone(),
            false => self.places(rule, other, &parent.columns)?,
        };
        if others.len() != columns.len() {
            let why = format!("{} has no key of {} columns", parent.table, columns.len());
            return Err(not_askable(rule, why));
        }
        Ok((child, columns, other, others))
    }

    /// Finds a rule's tables and columns.
    pub(super) fn ask(&self, session: &dyn Session, rule: &Rule) -> Result<Asked, Failure> {
        let dialect = session.dialect().rules();
        let id = &rule.id;
        let mut asked = Asked {
            rule: rule.clone(),
            table: None,
            only: None,
            columns: vec![],
            by: None,
            archive: None,
            tidied: vec![],
        };
        match &rule.kind {
            Kind::Orphans {
                table,
                columns,
                parent,
            } => {
                let (child, columns, other, others) = self.reference(id, table, columns, parent)?;
                let (table, parent) = (&self.tables[child].bound, &self.tables[other].bound);
                asked.only = Some(dialect.orphans(table, &columns, parent, &others));
                asked.table = Some(child);
            }
            Kind::Required {
                table,
                columns,
                empty,
            } => {
                let at = self.table_of(id, table)?;
                let columns = self.places(id, at, columns)?;
                asked.only = Some(dialect.lacks(&self.tables[at].bound, &columns, *empty));
                asked.table = Some(at);
            }
            Kind::Unique {
                table, columns, by, ..
            } => {
                let at = self.table_of(id, table)?;
                asked.columns = self.places(id, at, columns)?;
                if let Some(by) = by {
                    asked.by = self.places(id, at, std::slice::from_ref(by))?.pop();
                }
                asked.table = Some(at);
            }
            Kind::SameOwner {
                table,
                column,
                via,
                parent,
            } => {
                let (child, columns, other, others) = self.reference(id, table, via, parent)?;
                let owner = std::slice::from_ref(column);
                let (own, there) = (
                    self.places(id, child, owner)?[0],
                    self.places(id, other, owner)?[0],
                );
                let (table, parent) = (&self.tables[child].bound, &self.tables[other].bound);
                let only = dialect.other_owner(table, &columns, parent, &others, (own, there));
                asked.only = Some(only);
                asked.table = Some(child);
            }
            Kind::Archive { .. } => self.ask_archive(session, rule, &mut asked)?,
            Kind::Sql(_) => {}
            Kind::Optimize(tables) => {
                for name in tables {
                    asked.tidied.push(self.table_of(id, name)?);
                }
            }
        }
        Ok(asked)
    }

    fn ask_archive(
        &self,
        session: &dyn Session,
        rule: &Rule,
        asked: &mut Asked,
    ) -> Result<(), Failure> {
        let Kind::Archive {
            table,
            to,
            only,
            older,
        } = &rule.kind
        else {
            return Ok(());
        };
        let id = &rule.id;
        let at = self.table_of(id, table)?;
        let known = &self.tables[at];
        let mut conditions: Vec<String> = only.iter().map(|only| format!("({only}\n)")).collect();
        match to {
            To::Set(set) => {
                let lex = session.dialect().lex_rules(session.lex_mode());
                let assigned =
                    assignments(set, &known.table, &lex).map_err(|why| not_askable(id, why))?;
                let mut places = vec![];
                for one in assigned {
                    let place = self.places(id, at, std::slice::from_ref(&one.column))?[0];
                    if known.key.contains(&place) {
                        let why = format!("`{}` is part of the key of {table}", one.column);
                        return Err(not_askable(id, why));
                    }
                    places.push((place, one.expression));
                }
                conditions.push(session.dialect().rules().not_set(&known.bound, &places));
            }
            To::Table(name) => {
                asked.archive = self.find(name);
                if let Some(archive) = asked.archive {
                    let columns = known
                        .bound
                        .columns
                        .iter()
                        .map(|column| column.shape.name.clone());
                    self.places(id, archive, &columns.collect::<Vec<_>>())?;
                }
            }
            To::File(_) => {}
        }
        if let Some((_, by)) = older {
            asked.by = self.places(id, at, std::slice::from_ref(by))?.pop();
        }
        asked.only = (!conditions.is_empty()).then(|| conditions.join(" AND "));
        asked.table = Some(at);
        Ok(())
    }

    /// What happens to the children of a row that a rule takes away.
    pub(super) fn follow(relation: &Relation, children: Option<OnChildren>) -> Follow {
        match children {
            Some(OnChildren::Delete) => Follow::Goes,
            _ => relation.follow,
        }
    }
}

/// Unique constraints and indexes over whole columns and all rows.
fn uniques(known: &Known) -> Vec<Vec<usize>> {
    let keys = known.table.keys.iter().map(|key| key.columns.clone());
    let indexes = known.table.indexes.iter().filter(|index| {
        let plain =
            |part: &dunlin_core::schema::IndexPart| !part.expression && part.length.is_none();
        index.unique && index.predicate.is_none() && index.parts.iter().all(plain)
    });
    let indexes = indexes.map(|index| index.parts.iter().map(|part| part.what.clone()).collect());
    let mut found: Vec<Vec<usize>> = vec![];
    for names in keys.chain(indexes) {
        let names: Vec<String> = names;
        let places: Option<Vec<usize>> = names.iter().map(|name| known.place(name)).collect();
        if let Some(places) = places
            && !places.is_empty()
            && !found.contains(&places)
        {
            found.push(places);
        }
    }
    found
}
