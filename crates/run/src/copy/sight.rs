//! Both ends of a copy before a value of the source is looked at, and what is decided when it was: the same question has the
//! same answer whenever it is asked, so that a comparison may presume what the look will say and ask again afterwards.

use super::longest::Longest;
use super::look::{Looked, Names, Size};
use super::short::Granted;
use super::{Job, existing, longest};
use crate::world::World;
use crate::{digest, observe, trouble};
use dunlin_core::copy::plan::{CopyPlan, NotCarried, TablePlan};
use dunlin_core::copy::reading::{Bound, Reading, TableShape};
use dunlin_core::copy::translate::{self, Evidence};
use dunlin_core::dialect::Caps;
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::schema::render::heirs_of;
use dunlin_core::schema::{Catalog, Index, IndexPart, NeutralType, Scope, Table};
use dunlin_core::source::pattern;
use dunlin_engines::{DbError, Session};
use std::collections::BTreeMap;

/// What there is at both ends.
pub(super) struct Sight {
    /// The source's catalog: what is to be copied of it.
    pub(super) source: Catalog,
    shapes: Vec<TableShape>,
    left: Vec<NotCarried>,
    findings: Vec<Finding>,
    from: Caps,
    to: Caps,
    there: Catalog,
    longest: Longest,
}

/// What was seen of the source's values.
#[derive(Default)]
pub(super) struct Seen {
    /// What columns hold, of tables that were looked at.
    pub(super) evidence: Evidence,
    /// How large tables are.
    pub(super) sizes: BTreeMap<Names, Size>,
    /// Tables whose types were taken for granted.
    pub(super) granted: BTreeMap<Names, Granted>,
    /// As of [`Looked::rows_per_second`].
    pub(super) rows_per_second: Option<f64>,
}

pub(super) fn unreadable(world: &World, error: &DbError) -> Failure {
    world.redact(trouble::refused(error, "the source cannot be read"))
}

impl Sight {
    /// Reads the catalogs, both at once.
    pub(super) async fn take(
        from: &World,
        to: &World,
        job: &Job,
        reader: &mut dyn Session,
        target: &mut dyn Session,
    ) -> Result<Sight, Failure> {
        let unknown = job.casts.unknown_types(target.dialect().copy());
        if !unknown.is_empty() {
            return Err(super::ready::unplannable(&unknown));
        }
        let caps = (reader.caps().clone(), target.caps().clone());
        let same = caps.0.engine.family() == caps.1.engine.family();
        let here = async {
            let wrong = |error: DbError| unreadable(from, &error);
            let whole = observe::whole(reader).await.map_err(wrong)?;
            let mut findings = vec![];
            let (mut source, left) = chosen(from, whole, job, &mut findings)?;
            let shapes = digest::shapes(reader).await.map_err(wrong)?;
            if same {
                exactly(reader, &mut source).await;
            }
            Ok((source, left, findings, shapes))
        };
        let there = async {
            let wrong =
                |error: DbError| to.redact(trouble::refused(&error, "the target cannot be read"));
            let scope = Scope::new(vec![], vec![], &to.names, to.sql.tables.clone());
            let there = observe::catalog(target, &scope).await.map_err(wrong)?;
            let longest = Longest::ask(target).await.map_err(wrong)?;
            Ok((there, longest))
        };
        let ((source, left, findings, shapes), (there, longest)) = tokio::try_join!(here, there)?;
        Ok(Sight {
            source,
            shapes,
            left,
            findings,
            from: caps.0,
            to: caps.1,
            there,
            longest,
        })
    }

    /// Whether the other engine's types are other ones, so that they are chosen by what is there.
    pub(super) fn is_foreign(&self) -> bool {
        self.from.engine.family() != self.to.engine.family()
    }

    /// The tables as they are read.
    pub(super) fn bounds(&self) -> Vec<Bound> {
        bounds_of(&self.source, &self.shapes)
    }

    /// What follows.
    pub(super) fn decide(&self, to: &World, job: &Job, mut seen: Seen) -> Looked {
        let mut findings = self.findings.clone();
        let (source, evidence) = (&self.source, &seen.evidence);
        let (mut plan, said) = translate::plan(source, &self.from, &self.to, evidence, &job.casts);
        findings.extend(said);
        plan.not_carried.extend(self.left.iter().cloned());
        let own_rows = only_read(&mut plan, &self.shapes);
        looked_at(&mut plan, to);
        if let Some(existing) = job.existing {
            existing::fit(&mut plan, &self.there, existing, &mut findings);
        }
        if job.compares {
            existing::units(&mut plan, source, evidence);
        }
        if !job.compares {
            labelled(&mut plan);
        }
        compared_as_is(&mut plan);
        let values = longest::Values::new(source, evidence, job);
        findings.extend(values.check(&mut plan, &self.longest));
        let tables = plan.tables.iter();
        let keys = tables.clone().map(|table| key(source, table)).collect();
        let sizes = &seen.sizes;
        let size = |table: &TablePlan| sizes.get(&table.source).copied().unwrap_or_default();
        let sizes = tables.clone().map(size).collect();
        let granted = tables.map(|table| seen.granted.remove(&table.source));
        let granted = granted.collect();
        Looked {
            source: source.clone(),
            plan,
            findings,
            sizes,
            keys,
            own_rows,
            granted,
            to: self.to.clone(),
            policies: job.policies.clone(),
            there: self.there.clone(),
            rows_per_second: seen.rows_per_second,
            estimate: None,
        }
    }
}

/// The tables as they are read.
fn bounds_of(source: &Catalog, shapes: &[TableShape]) -> Vec<Bound> {
    let (_, mut bounds) = Reading::derive(shapes);
    bounds.retain(|bound| {
        source
            .table(bound.schema.as_deref(), &bound.table)
            .is_some()
    });
    for bound in &mut bounds {
        // The catalog's order: profiles are told apart by their place.
        let table = source.table(bound.schema.as_deref(), &bound.table);
        let place = |name: &str| table?.columns.iter().position(|column| column.name == name);
        bound
            .columns
            .sort_by_key(|column| place(&column.shape.name).unwrap_or(usize::MAX));
    }
    bounds
}

/// Every value is looked at on its way, where the target does not take it as it is.
fn looked_at(plan: &mut CopyPlan, to: &World) {
    if to.dialect().landing().takes_raw() {
        return;
    }
    let columns = plan.tables.iter_mut().flat_map(|table| &mut table.columns);
    columns.for_each(|column| column.as_is = false);
}

/// A label that is none, as some let through, is taken by nobody: it is looked for, and named.
fn labelled(plan: &mut CopyPlan) {
    let columns = plan.tables.iter_mut().flat_map(|table| &mut table.columns);
    for column in columns.filter(|column| column.bounds.labels.is_some()) {
        column.as_is = false;
    }
}

/// Of columns declared alike whose values go over as they are, nothing else is the same: 1 is not `true`, and one day in two
/// spellings is two texts.
fn compared_as_is(plan: &mut CopyPlan) {
    let columns = plan.tables.iter_mut().flat_map(|table| &mut table.columns);
    for column in columns.filter(|column| column.as_is) {
        if column.source_native == column.target_native {
            column.ty = NeutralType::any();
        }
    }
}

/// Leaves out tables without rows of their own (partitions show through their root): they are made and not read. Gives
/// whether the rows of the others are their own.
fn only_read(plan: &mut CopyPlan, shapes: &[TableShape]) -> Vec<bool> {
    let own = |table: &TablePlan| {
        let (schema, name) = &table.source;
        let shape = shapes
            .iter()
            .find(|shape| shape.name == *name && shape.schema == *schema);
        shape.map(|shape| shape.own_rows)
    };
    plan.tables.retain(|table| own(table).is_some());
    plan.tables.iter().filter_map(own).collect()
}

/// Like to like, the server's own statements say it best.
async fn exactly(session: &mut dyn Session, source: &mut Catalog) {
    let dialect = session.dialect().catalog();
    let mut exact = source.clone();
    if observe::exact(session, &mut exact).await.is_err() {
        return;
    }
    for (table, exact) in source.tables.iter_mut().zip(exact.tables) {
        table.triggers = exact.triggers;
        let partitions = exact
            .definition
            .as_deref()
            .and_then(|text| dialect.partitions(table, text));
        if let Some(partitions) = partitions {
            table.options.insert("partitions".into(), partitions);
        }
    }
    source.routines = exact.routines;
    source.sequences = exact.sequences;
    source.events = exact.events;
}

/// What of the source is copied: `--tables` and `--exclude`; never the journal, which speaks of its own database alone.
fn chosen(
    from: &World,
    whole: Catalog,
    job: &Job,
    findings: &mut Vec<Finding>,
) -> Result<(Catalog, Vec<NotCarried>), Failure> {
    let scope = Scope::new(vec![], vec![], &from.names, from.sql.tables.clone());
    let mut left = vec![];
    let own = |table: &&Table| !scope.owns(table.schema.as_deref(), &table.name);
    let journal: Vec<String> = whole.tables.iter().filter(own).map(Table::label).collect();
    if !journal.is_empty() {
        left.push(NotCarried {
            object: format!("tables {}", journal.join(", ")),
            why: "the journal of this database says nothing of another; `dunlin baseline` begins one there".into(),
            text: None,
        });
    }
    let mut source = whole.owned(&scope);
    let named = |patterns: &[String], schema: Option<&str>, name: &str| {
        pattern::any(patterns, Some(schema.unwrap_or("public")), name)
    };
    if let Some(unknown) = job.tables.iter().find(|wanted| {
        let one = std::slice::from_ref(*wanted);
        !source
            .tables
            .iter()
            .any(|table| named(one, table.schema.as_deref(), &table.name))
    }) {
        let message = format!("no table of the source fits `{unknown}`");
        return Err(Failure::refused("no-such-table", message));
    }
    let keeps = |schema: Option<&str>, name: &str| {
        (job.tables.is_empty() || named(&job.tables, schema, name))
            && !named(&job.exclude, schema, name)
    };
    let whole_tables = source.tables.clone();
    source
        .tables
        .retain(|table| keeps(table.schema.as_deref(), &table.name));
    parts_of(&whole_tables, &mut source);
    if !job.tables.is_empty() || !job.exclude.is_empty() {
        only_tables(&mut source, &mut left);
    }
    if source.tables.is_empty() {
        findings.push(Finding::warning(
            "nothing-to-copy",
            Place::default(),
            "the source holds no tables",
        ));
    }
    Ok((source, left))
}

/// The parts of a table come along with it, whatever they are called: its rows lie in them.
fn parts_of(whole: &[Table], source: &mut Catalog) {
    loop {
        let known: Vec<String> = source.tables.iter().map(Table::label).collect();
        let missing = |table: &&Table| {
            table.options.contains_key("partition")
                && !known.contains(&table.label())
                && heirs_of(table).iter().any(|parent| known.contains(parent))
        };
        let more: Vec<Table> = whole.iter().filter(missing).cloned().collect();
        if more.is_empty() {
            return;
        }
        source.tables.extend(more);
    }
}

/// Of a part of the tables nobody knows whether views and routines still hold; foreign keys to tables that stay behind
/// are named.
fn only_tables(source: &mut Catalog, left: &mut Vec<NotCarried>) {
    source.views.clear();
    source.routines.clear();
    source.events.clear();
    let names: Vec<Names> = source
        .tables
        .iter()
        .map(|table| (table.schema.clone(), table.name.clone()))
        .collect();
    for table in &mut source.tables {
        let label = table.label();
        table.foreign_keys.retain(|key| {
            let there = names.contains(&(key.references_schema.clone(), key.references.clone()));
            if !there {
                left.push(NotCarried {
                    object: format!("foreign key of {label} ({})", key.columns.join(", ")),
                    why: format!("table {} is not copied", key.references),
                    text: None,
                });
            }
            there
        });
    }
}

/// The columns of a table's primary key, else of a unique key or index: what names a row. Of rows whose key holds NULL all
/// that they hold does.
fn key(source: &Catalog, plan: &TablePlan) -> Vec<String> {
    let Some(table) = source.table(plan.source.0.as_deref(), &plan.source.1) else {
        return vec![];
    };
    let primary = table.keys.iter().find(|key| key.primary);
    if let Some(key) = primary.or_else(|| table.keys.first()) {
        return key.columns.clone();
    }
    let plain = |part: &IndexPart| !part.expression && part.length.is_none();
    let mut indexes: Vec<&Index> = table.indexes.iter().collect();
    indexes
        .retain(|index| index.unique && index.predicate.is_none() && index.parts.iter().all(plain));
    let may_be_null = |part: &IndexPart| table.column(&part.what).is_none_or(|own| own.nullable);
    indexes.sort_by_key(|index| index.parts.iter().any(may_be_null));
    let parts = indexes.first().map(|index| &index.parts);
    parts
        .into_iter()
        .flatten()
        .map(|part| part.what.clone())
        .collect()
}
