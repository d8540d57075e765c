//! Columns that refer to each other hold one kind: a foreign key between a number and a text is refused everywhere.

use super::Work;
use super::kind::{Fold, Kind};
use crate::schema::ForeignKey;
use std::collections::BTreeMap;

type Spot = (usize, usize);

impl Work<'_> {
    /// The columns of a foreign key, each with the one that it refers to, and the place of the table. `None`: not all of
    /// them are there.
    pub(super) fn referred(
        &self,
        at: usize,
        key: &ForeignKey,
    ) -> Option<(usize, Vec<(usize, usize)>)> {
        let parent = self.place(key.references_schema.as_deref(), &key.references)?;
        let primary;
        let names = if key.references_columns.is_empty() {
            let table = self.source_table(parent);
            primary = table
                .keys
                .iter()
                .find(|key| key.primary)
                .map(|key| key.columns.clone())?;
            &primary
        } else {
            &key.references_columns
        };
        if names.len() != key.columns.len() {
            return None;
        }
        let pairs: Option<Vec<_>> = key
            .columns
            .iter()
            .zip(names)
            .map(|(child, name)| {
                Some((
                    self.column_place(at, child)?,
                    self.column_place(parent, name)?,
                ))
            })
            .collect();
        Some((parent, pairs?))
    }

    /// A column that numbers rows beyond what counters count to keeps its numbers, and counts no more.
    fn beyond_counters(&mut self) {
        for at in 0..self.tables.len() {
            let source = self.source_table(at);
            for (place, column) in source.columns.iter().enumerate() {
                let range = self.evidence.of(source, place).and_then(|p| p.int_range);
                let beyond = range.is_some_and(|(_, most)| most > i128::from(i64::MAX));
                let own = &mut self.tables[at].columns[place];
                if own.counter.is_none() || !beyond {
                    continue;
                }
                own.counter = None;
                self.notes.lack(
                    format!("counter of {}.{}", source.label(), column.name),
                    "its numbers go beyond 2^63 - 1, where the target's counters end: new rows must bring theirs",
                    column.identity.clone(),
                );
            }
        }
    }

    /// Gives every group of columns that refer to each other one kind.
    pub(super) fn unify(&mut self) {
        // A column that numbers rows is a whole number with a sign, of at most eight bytes.
        self.beyond_counters();
        for table in &mut self.tables {
            for column in &mut table.columns {
                if let (Some(_), Kind::Int { bits: 64, unsigned }) =
                    (column.counter, &mut column.chosen.kind)
                {
                    *unsigned = false;
                }
            }
        }
        let mut group: BTreeMap<Spot, Spot> = BTreeMap::new();
        let root = |group: &BTreeMap<Spot, Spot>, mut spot: Spot| {
            while let Some(next) = group.get(&spot).filter(|next| **next != spot) {
                spot = *next;
            }
            spot
        };
        for at in 0..self.tables.len() {
            for key in &self.source_table(at).foreign_keys {
                let Some((parent, pairs)) = self.referred(at, key) else {
                    continue;
                };
                for (child, of) in pairs {
                    let (a, b) = (root(&group, (parent, of)), root(&group, (at, child)));
                    group.entry(a).or_insert(a);
                    group.insert(b, a);
                }
            }
        }
        let mut groups: BTreeMap<Spot, Vec<Spot>> = BTreeMap::new();
        let spots: Vec<Spot> = group.keys().copied().collect();
        for spot in spots {
            groups.entry(root(&group, spot)).or_default().push(spot);
        }
        for (first, members) in groups {
            self.one_kind(first, &members);
        }
    }

    fn one_kind(&mut self, first: Spot, members: &[Spot]) {
        let column = |spot: Spot| &self.tables[spot.0].columns[spot.1];
        let counted = members.iter().any(|spot| column(*spot).counter.is_some());
        let mut kind = Some(column(first).chosen.kind.clone());
        for spot in members {
            kind = kind.and_then(|kind| kind.unite(&column(*spot).chosen.kind));
        }
        // Rows are numbered by it, so that nothing but whole numbers can be referred to.
        let whole =
            |kind: &Kind| matches!(kind, Kind::Int { .. } | Kind::Bool | Kind::Decimal { .. });
        if counted
            && kind
                .as_ref()
                .is_none_or(|kind| whole(kind) || matches!(kind, Kind::Decimal { .. }))
        {
            kind = members
                .iter()
                .map(|spot| column(*spot))
                .find(|column| column.counter.is_some())
                .map(|column| column.chosen.kind.clone());
        }
        let text = kind.is_none();
        let kind = kind.unwrap_or(Kind::TEXT);
        let fold = column(first).fold.clone();
        let all = members.len();
        for spot in members {
            let column = &mut self.tables[spot.0].columns[spot.1];
            if column.forced.is_some() {
                continue;
            }
            if column.fold != fold && fold != Fold::None {
                column.fold = fold.clone();
            }
            if column.chosen.kind == kind {
                continue;
            }
            let class = column.chosen.kind.class();
            column.chosen.kind = kind.clone();
            column.chosen.why.push_str(&format!(
                "; of one type with the {} columns that a foreign key ties it to",
                all - 1
            ));
            if text && class != kind.class() {
                column.chosen.word = Some("mixed-as-text");
            }
        }
    }
}
