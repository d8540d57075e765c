//! Duplicates: what refers to a row that goes is given to the one that stays.

use super::ground::Relation;
use super::kin::Kin;
use super::sweep::{Boxed, Sweep, Wrong, has_null, pick, spelled};
use dunlin_core::source::grammar::data::OnChildren;
use dunlin_core::value::{Row, Value};
use std::collections::HashMap;

/// A row, and what it becomes or what takes its place.
type Pairs = Vec<(Row, Row)>;

impl Sweep<'_, '_> {
    /// Puts rows in the place of others that are the same: what refers to a row refers to the other one from then on, or
    /// goes with it where the rule says so; then the row goes.
    pub(super) fn replace<'f>(&'f mut self, at: usize, pairs: Vec<(Row, Row)>) -> Boxed<'f, ()> {
        Box::pin(async move {
            for relation in self.to(at) {
                let mut map: HashMap<String, Vec<Value>> = HashMap::new();
                let mut values = vec![];
                for (row, kept) in &pairs {
                    let (old, new) = (pick(row, &relation.others), pick(kept, &relation.others));
                    if has_null(&old) || old == new {
                        continue;
                    }
                    if map.insert(spelled(&old), new).is_none() {
                        values.push(old);
                    }
                }
                let mut kin = Kin::of(values);
                while let Some(mut page) = self.page(&relation, &mut kin).await? {
                    page.retain(|row| !self.is_gone(relation.child, row));
                    if self.children == Some(OnChildren::Delete) {
                        let page = self.clear(relation.child, page).await?;
                        self.delete(relation.child, page).await?;
                    } else {
                        self.repoint(&relation, page, &map).await?;
                    }
                }
            }
            self.delete(at, pairs.into_iter().map(|(row, _)| row).collect())
                .await
        })
    }

    /// Gives children to other rows. A child that would be the same as one of those that are there is merged with it.
    async fn repoint(
        &mut self,
        relation: &Relation,
        page: Vec<Row>,
        map: &HashMap<String, Vec<Value>>,
    ) -> Result<(), Wrong> {
        let child = relation.child;
        let mut moved: Vec<(Row, Row)> = vec![];
        for row in page {
            // The server may call two spellings the same; only what was asked for by its own is moved.
            let Some(new) = map.get(&spelled(&pick(&row, &relation.columns))) else {
                continue;
            };
            let mut after = row.clone();
            for (place, value) in relation.columns.iter().zip(new) {
                after[*place] = value.clone();
            }
            moved.push((row, after));
        }
        let known = &self.ground.tables[child];
        let mut uniques = known.uniques.clone();
        if !uniques.contains(&known.key) {
            uniques.push(known.key.clone());
        }
        let mut merged: Vec<(Row, Row)> = vec![];
        for (number, unique) in uniques.iter().enumerate() {
            if unique.iter().any(|place| relation.columns.contains(place)) {
                let (stay, merge) = self.collide(child, number, unique, moved).await?;
                moved = stay;
                merged.extend(merge);
            }
        }
        let new: HashMap<String, Vec<Value>> = moved
            .iter()
            .map(|(row, after)| {
                (
                    spelled(&self.key(child, row)),
                    pick(after, &relation.columns),
                )
            })
            .collect();
        let key = self.ground.tables[child].key.clone();
        let given = |row: &[Value]| {
            new.get(&spelled(&pick(row, &key)))
                .cloned()
                .unwrap_or_default()
        };
        let rows = moved.into_iter().map(|(row, _)| row).collect();
        self.change(child, rows, &relation.columns, given).await?;
        if merged.is_empty() {
            return Ok(());
        }
        self.replace(child, merged).await
    }

    /// Of children and what they become: those that may, and those that there is one like already, with that one.
    async fn collide(
        &mut self,
        child: usize,
        number: usize,
        unique: &[usize],
        moved: Vec<(Row, Row)>,
    ) -> Result<(Pairs, Pairs), Wrong> {
        let wanted: Vec<Vec<Value>> = moved
            .iter()
            .map(|(_, after)| pick(after, unique))
            .filter(|values| !has_null(values))
            .collect();
        let mut there: HashMap<String, Row> = HashMap::new();
        for row in self.by(child, unique, &wanted, None).await? {
            if !self.is_gone(child, &row) {
                let values = spelled(&pick(&row, unique));
                // Where a collation takes two spellings for one, the server found it by the other one.
                there.insert(values.to_lowercase(), row.clone());
                there.insert(values, row);
            }
        }
        let (mut stay, mut merge) = (vec![], vec![]);
        for (row, after) in moved {
            let values = pick(&after, unique);
            if has_null(&values) {
                stay.push((row, after));
                continue;
            }
            let values = spelled(&values);
            let found = there
                .get(&values)
                .or_else(|| there.get(&values.to_lowercase()));
            let other = |found: &&Row| self.key(child, found) != self.key(child, &row);
            let claim = (child, number, values);
            let found = found
                .filter(other)
                .or_else(|| self.claimed.get(&claim))
                .cloned();
            match found {
                Some(found) => merge.push((row, found)),
                None => {
                    self.claimed.insert(claim, after.clone());
                    stay.push((row, after));
                }
            }
        }
        Ok((stay, merge))
    }
}
