//! Copying into tables that are there: their columns decide, not the plan's.

use super::Existing;
use dunlin_core::copy::plan::{CopyPlan, TablePlan};
use dunlin_core::copy::translate::Evidence;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::schema::{Catalog, NeutralType, Table, label};

/// Fits a plan to the tables that are there: those are not made, and their types count.
pub fn fit(plan: &mut CopyPlan, there: &Catalog, existing: Existing, findings: &mut Vec<Finding>) {
    for table in &mut plan.tables {
        let Some(found) = there.table(table.target.0.as_deref(), &table.target.1) else {
            continue;
        };
        columns(table, found, findings);
        let label = label(table.target.0.as_deref(), &table.target.1);
        let message = match existing {
            Existing::Append => format!("{label} is there: rows are added to its own"),
            Existing::Replace => format!("{label} is there: its rows are replaced"),
        };
        findings.push(Finding::info(
            "table-is-there",
            Place::object(label),
            message,
        ));
    }
    if existing == Existing::Replace {
        referred(plan, there, findings);
    }
    let names: Vec<_> = plan
        .tables
        .iter()
        .map(|table| table.target.clone())
        .collect();
    let known = |table: &Table| {
        names.contains(&(table.schema.clone(), table.name.clone()))
            && there.table(table.schema.as_deref(), &table.name).is_some()
    };
    plan.catalog.tables.retain(|table| !known(table));
    let seen = |name: &str| there.views.iter().any(|view| view.name == name);
    plan.catalog.views.retain(|view| !seen(&view.name));
    let typed = |name: &str| there.types.iter().any(|ty| ty.name == name);
    plan.catalog.types.retain(|ty| !typed(&ty.name));
}

/// What numbers count in columns that are times in the target: what most of them do. A few of another unit are rows that
/// differ, and do not make all others differ. For a comparison alone: nothing is written under what most of them say.
pub fn units(plan: &mut CopyPlan, source: &Catalog, evidence: &Evidence) {
    use NeutralType::{Date, Timestamp, TimestampTz};
    for table in &mut plan.tables {
        let Some(read) = source.table(table.source.0.as_deref(), &table.source.1) else {
            continue;
        };
        for column in &mut table.columns {
            let times = matches!(column.ty, Date | Timestamp | TimestampTz);
            if !times || column.as_is || column.epoch.is_some() {
                continue;
            }
            let place = read
                .columns
                .iter()
                .position(|own| own.name == column.source);
            let profile = place.and_then(|at| evidence.of(read, at));
            let counted = profile.into_iter().flat_map(|profile| &profile.counted);
            let most = counted.max_by_key(|(_, count)| **count);
            column.epoch = most.map(|(epoch, _)| *epoch);
        }
    }
}

/// Rows that are replaced must not be referred to by tables that stay: those rows would go with them, or be in the way.
fn referred(plan: &CopyPlan, there: &Catalog, findings: &mut Vec<Finding>) {
    let copied = |schema: &Option<String>, name: &str| {
        let target = |table: &TablePlan| table.target.0 == *schema && table.target.1 == name;
        plan.tables.iter().any(target)
    };
    for table in &there.tables {
        if copied(&table.schema, &table.name) {
            continue;
        }
        for key in &table.foreign_keys {
            if copied(&key.references_schema, &key.references) {
                let message = format!(
                    "rows of {} would be replaced, and {} refers to them without being copied itself",
                    key.references,
                    table.label()
                );
                let place = Place::object(table.label());
                findings.push(Finding::error("replaced-is-referred-to", place, message));
            }
        }
    }
}

fn columns(table: &mut TablePlan, found: &Table, findings: &mut Vec<Finding>) {
    for column in &mut table.columns {
        let Some(own) = found.column(&column.target) else {
            findings.push(Finding::error(
                "no-such-column",
                Place::object(format!("{}.{}", found.label(), column.target)),
                format!(
                    "table {} is there and has no column {}: its values would be lost",
                    found.label(),
                    column.target
                ),
            ));
            continue;
        };
        // Of the very type that a copy would make, values are what that copy makes of them.
        if own.native != column.target_native {
            if !column.as_is {
                column.ty = own.neutral.clone();
            }
            column.why = format!("the table is there with {}", own.native);
            column.bounds = dunlin_core::copy::plan::Bounds {
                nul: column.bounds.nul,
                ..Default::default()
            };
        }
        column.target_native.clone_from(&own.native);
        column.nullable = own.nullable;
    }
}
