//! Readings: under which names and types rows are hashed.
//!
//! A digest means nothing without its reading (invariant 14): the tables with their columns, each under a neutral name
//! and type. A reading is derived from one catalog, or taken from another database's (`--like`) and bound to this one's
//! columns by name. Two digests are comparable when the hashes of their readings are equal.

use super::encode::FORM;
use crate::finding::{Finding, Place};
use crate::schema::NeutralType;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A column as its engine's catalog shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnShape {
    /// Its name.
    pub name: String,
    /// Its type as the engine spells it.
    pub native: String,
    /// What that type means.
    pub ty: NeutralType,
    /// Its values are computed by the engine and cannot be written.
    #[serde(default)]
    pub generated: bool,
}

/// A table as its engine's catalog shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableShape {
    /// The schema, where it is not the default one.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
    /// Its rows are its own: tables that inherit from it do not show through. False for the root of partitions.
    pub own_rows: bool,
    /// Its columns, in the table's order.
    pub columns: Vec<ColumnShape>,
}

impl TableShape {
    /// The name as people see it: with the schema where it is not the default one.
    pub fn label(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A column of a reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadColumn {
    /// Its neutral name.
    pub name: String,
    /// Its type.
    pub ty: NeutralType,
}

/// A table of a reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadTable {
    /// Its neutral name.
    pub name: String,
    /// Its columns, by neutral name.
    pub columns: Vec<ReadColumn>,
}

/// Tables and columns under neutral names and types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The tables, by neutral name.
    pub tables: Vec<ReadTable>,
}

/// A column of a database under a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundColumn {
    /// The column as the database has it.
    pub shape: ColumnShape,
    /// The reading's type.
    pub ty: NeutralType,
}

/// A table of a database under a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Its neutral name.
    pub name: String,
    /// The schema, where it is not the default one.
    pub schema: Option<String>,
    /// The table's own name.
    pub table: String,
    /// As [`TableShape::own_rows`].
    pub own_rows: bool,
    /// The columns in the reading's order.
    pub columns: Vec<BoundColumn>,
}

impl Bound {
    /// The name as people see it.
    pub fn label(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.table),
            None => self.table.clone(),
        }
    }

    /// The types, in the reading's order.
    pub fn types(&self) -> Vec<NeutralType> {
        self.columns
            .iter()
            .map(|column| column.ty.clone())
            .collect()
    }
}

/// Neutral names: lower case, since engines fold case differently; where that makes two names one, as they are.
fn neutral_names<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for name in names.clone() {
        *count.entry(name.to_lowercase()).or_default() += 1;
    }
    names
        .map(|name| {
            let lower = name.to_lowercase();
            if count.get(&lower) == Some(&1) {
                lower
            } else {
                name.to_owned()
            }
        })
        .collect()
}

/// A name without case and underscores: `AlbumId` and `album_id` are one name in two habits.
fn habit(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

impl Reading {
    /// The reading of a catalog, and its own tables bound to it.
    pub fn derive(shapes: &[TableShape]) -> (Reading, Vec<Bound>) {
        let labels: Vec<String> = shapes.iter().map(TableShape::label).collect();
        let names = neutral_names(labels.iter().map(String::as_str));
        let mut tables: Vec<(ReadTable, Bound)> = shapes
            .iter()
            .zip(names)
            .map(|(shape, name)| {
                let columns =
                    neutral_names(shape.columns.iter().map(|column| column.name.as_str()));
                let mut columns: Vec<(String, &ColumnShape)> =
                    columns.into_iter().zip(&shape.columns).collect();
                columns.sort_by(|a, b| a.0.cmp(&b.0));
                let read = columns
                    .iter()
                    .map(|(name, column)| ReadColumn {
                        name: name.clone(),
                        ty: column.ty.clone(),
                    })
                    .collect();
                let bound = columns
                    .iter()
                    .map(|(_, column)| BoundColumn {
                        shape: (*column).clone(),
                        ty: column.ty.clone(),
                    })
                    .collect();
                (
                    ReadTable {
                        name: name.clone(),
                        columns: read,
                    },
                    bind(name, shape, bound),
                )
            })
            .collect();
        tables.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        let (tables, bound) = tables.into_iter().unzip();
        (Reading { tables }, bound)
    }

    /// Binds this reading to the tables of another database. What has no counterpart is a finding; tables without one
    /// are left out.
    pub fn bind(&self, shapes: &[TableShape]) -> (Vec<Bound>, Vec<Finding>) {
        let (mut bound, mut findings) = (vec![], vec![]);
        let labels: Vec<String> = shapes.iter().map(TableShape::label).collect();
        let names: Vec<&str> = self
            .tables
            .iter()
            .map(|table| table.name.as_str())
            .collect();
        let pairs = pair(
            &names,
            &labels.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        for (at, table) in self.tables.iter().enumerate() {
            let Some(found) = pairs[at] else {
                findings.push(
                    Finding::error(
                        "digest-table-missing",
                        Place::object(&table.name),
                        format!(
                            "table {} of the reading is not in this database",
                            table.name
                        ),
                    )
                    .help("Create it, or name the tables to compare."),
                );
                continue;
            };
            if let Some(table) = bind_table(table, &shapes[found], &mut findings) {
                bound.push(table);
            }
        }
        let used: BTreeSet<usize> = pairs.into_iter().flatten().collect();
        for (_, label) in labels
            .iter()
            .enumerate()
            .filter(|(at, _)| !used.contains(at))
        {
            findings.push(Finding::warning(
                "digest-table-extra",
                Place::object(label),
                format!("table {label} is not in the reading and was not looked at"),
            ));
        }
        (bound, findings)
    }

    /// The same reading of some tables only.
    #[must_use]
    pub fn only(&self, names: &BTreeSet<String>) -> Reading {
        let tables = self
            .tables
            .iter()
            .filter(|table| names.contains(&table.name))
            .cloned()
            .collect();
        Reading { tables }
    }

    /// The canonical text.
    pub fn text(&self) -> String {
        let mut text = format!("dunlin reading {FORM}\n");
        for table in &self.tables {
            let _ = writeln!(text, "{:?}", table.name);
            for column in &table.columns {
                let _ = writeln!(text, "  {:?} {}", column.name, column.ty);
            }
        }
        text
    }

    /// The hash of the canonical text: 32 hexadecimal digits.
    pub fn hash(&self) -> String {
        blake3::hash(self.text().as_bytes()).to_hex()[..32].to_owned()
    }
}

fn bind(name: String, shape: &TableShape, columns: Vec<BoundColumn>) -> Bound {
    Bound {
        name,
        schema: shape.schema.clone(),
        table: shape.name.clone(),
        own_rows: shape.own_rows,
        columns,
    }
}

fn bind_table(table: &ReadTable, shape: &TableShape, findings: &mut Vec<Finding>) -> Option<Bound> {
    let wanted: Vec<&str> = table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let there: Vec<&str> = shape
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let pairs = pair(&wanted, &there);
    let mut columns = vec![];
    let mut whole = true;
    for (column, found) in table.columns.iter().zip(&pairs) {
        match found {
            Some(at) => columns.push(BoundColumn {
                shape: shape.columns[*at].clone(),
                ty: column.ty.clone(),
            }),
            None => {
                whole = false;
                findings.push(Finding::error(
                    "digest-column-missing",
                    Place::object(format!("{}.{}", shape.label(), column.name)),
                    format!(
                        "column {} of the reading is not in table {}",
                        column.name,
                        shape.label()
                    ),
                ));
            }
        }
    }
    let used: BTreeSet<usize> = pairs.into_iter().flatten().collect();
    for (_, extra) in there
        .iter()
        .enumerate()
        .filter(|(at, _)| !used.contains(at))
    {
        findings.push(Finding::error(
            "digest-column-extra",
            Place::object(format!("{}.{extra}", shape.label())),
            format!(
                "column {extra} of table {} is not in the reading: its values were not looked at",
                shape.label()
            ),
        ));
    }
    whole.then(|| bind(table.name.clone(), shape, columns))
}

/// For each name the index of its counterpart: the same, the same but for case, the same but for case and underscores;
/// a looser match only where it is the only one.
fn pair(names: &[&str], others: &[&str]) -> Vec<Option<usize>> {
    let mut found: Vec<Option<usize>> = vec![None; names.len()];
    let mut taken = BTreeSet::new();
    let spellings: [fn(&str) -> String; 3] = [str::to_owned, str::to_lowercase, habit];
    for spelling in spellings {
        let mut index: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, other) in others
            .iter()
            .enumerate()
            .filter(|(at, _)| !taken.contains(at))
        {
            index.entry(spelling(other)).or_default().push(at);
        }
        let open = found.iter().zip(names).filter(|(found, _)| found.is_none());
        let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
        for (_, name) in open {
            *wanted.entry(spelling(name)).or_default() += 1;
        }
        for (slot, name) in found
            .iter_mut()
            .zip(names)
            .filter(|(slot, _)| slot.is_none())
        {
            let key = spelling(name);
            if let (Some([at]), Some(1)) = (index.get(&key).map(Vec::as_slice), wanted.get(&key)) {
                *slot = Some(*at);
                taken.insert(*at);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn table(name: &str, columns: &[(&str, NeutralType)]) -> TableShape {
        TableShape {
            schema: None,
            name: name.into(),
            own_rows: true,
            columns: columns
                .iter()
                .map(|(name, ty)| ColumnShape {
                    name: (*name).into(),
                    native: String::new(),
                    ty: ty.clone(),
                    generated: false,
                })
                .collect(),
        }
    }

    #[test]
    fn the_order_of_columns_and_the_case_of_names_do_not_count() {
        let a = Reading::derive(&[table(
            "T",
            &[("B", NeutralType::Int), ("a", NeutralType::Text)],
        )])
        .0;
        let b = Reading::derive(&[table(
            "t",
            &[("A", NeutralType::Text), ("b", NeutralType::Int)],
        )])
        .0;
        assert_eq!(a.hash(), b.hash());
        let c = Reading::derive(&[table(
            "t",
            &[("A", NeutralType::Text), ("b", NeutralType::Decimal)],
        )])
        .0;
        assert_ne!(a.hash(), c.hash());
        insta::assert_snapshot!(a.text(), @r#"
        dunlin reading 1
        "t"
          "a" text
          "b" int
        "#);
    }

    #[test]
    fn names_that_differ_only_in_case_stay_apart() {
        let (reading, bound) = Reading::derive(&[table(
            "t",
            &[("a", NeutralType::Int), ("A", NeutralType::Text)],
        )]);
        let names: Vec<_> = reading.tables[0]
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names, ["A", "a"]);
        assert_eq!(bound[0].columns[0].shape.ty, NeutralType::Text);
    }

    #[test]
    fn another_habit_of_naming_is_bound() {
        let (reading, _) =
            Reading::derive(&[table("InvoiceLine", &[("InvoiceLineId", NeutralType::Int)])]);
        let other = [
            table("invoice_line", &[("invoice_line_id", NeutralType::Decimal)]),
            table("x", &[]),
        ];
        let (bound, findings) = reading.bind(&other);
        assert_eq!(bound[0].columns[0].shape.name, "invoice_line_id");
        assert_eq!(
            bound[0].columns[0].ty,
            NeutralType::Int,
            "the reading decides, not the column"
        );
        assert_eq!(
            findings
                .iter()
                .map(|finding| finding.code)
                .collect::<Vec<_>>(),
            ["digest-table-extra"]
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        let (reading, _) = Reading::derive(&[
            table("t", &[("a", NeutralType::Int), ("b", NeutralType::Int)]),
            table("gone", &[("a", NeutralType::Int)]),
        ]);
        let (bound, findings) = reading.bind(&[table(
            "t",
            &[("a", NeutralType::Int), ("c", NeutralType::Int)],
        )]);
        assert!(bound.is_empty());
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(
            codes,
            [
                "digest-table-missing",
                "digest-column-missing",
                "digest-column-extra"
            ]
        );
    }
}
