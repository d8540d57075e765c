//! Before the first write: what rules name is found, what could not be cleaned is refused, archives are made.

use super::clean::Unit;
use super::ground::{Asked, Follow, Ground, Relation};
use super::report::Ask;
use crate::checkpoint::transactional;
use crate::executor::Runner;
use crate::trouble;
use dunlin_core::failure::Failure;
use dunlin_core::journal;
use dunlin_core::rules::chunk::Detail;
use dunlin_core::rules::{Act, Kind, To};
use dunlin_engines::Session;
use std::collections::BTreeSet;

/// Reads the catalog, finds what rules name, and refuses what could not be cleaned: before anything is written.
pub(super) async fn prepare(
    session: &mut dyn Session,
    ask: &Ask<'_>,
) -> Result<(Ground, Vec<Asked>), Failure> {
    let mut ground = Ground::read(session).await?;
    let mut asked = vec![];
    for rule in ask.rules {
        let found = ground.ask(session, rule)?;
        if rule.act != Act::Nothing {
            asked.push(found);
        }
    }
    ground.relate(&asked, ask.all);
    let mut touched: BTreeSet<usize> = BTreeSet::new();
    for one in asked.iter().filter(|one| one.rule.act != Act::Optimize) {
        let mut open: Vec<usize> = one.table.into_iter().chain(one.archive).collect();
        let replaces = one.rule.act == Act::Duplicates;
        let moves = !matches!(one.rule.kind, Kind::Archive { to: To::Set(_), .. });
        while let Some(at) = open.pop() {
            if !touched.insert(at) && one.table != Some(at) {
                continue;
            }
            if ground.tables[at].key.is_empty() {
                let message = format!(
                    "rule `{}`: {} has no key by which a row is found again",
                    one.rule.id,
                    ground.tables[at].label()
                );
                return Err(Failure::refused("no-unique-key", message)
                    .hint("give the table a primary key first"));
            }
            let acts = |relation: &&Relation| {
                let follow = Ground::follow(relation, one.rule.children);
                relation.parent == at
                    && moves
                    && (replaces || matches!(follow, Follow::Goes | Follow::Emptied))
            };
            let children = ground
                .relations
                .iter()
                .filter(acts)
                .map(|relation| relation.child);
            open.extend(children.filter(|child| !touched.contains(child)));
        }
    }
    let bounds: Vec<_> = touched
        .iter()
        .map(|at| ground.tables[*at].bound.clone())
        .collect();
    transactional(session, &bounds).await?;
    for at in touched {
        no_null_key(session, &ground, at).await?;
    }
    Ok((ground, asked))
}

/// A key that may be NULL does not find the rows where it is.
async fn no_null_key(session: &mut dyn Session, ground: &Ground, at: usize) -> Result<(), Failure> {
    let known = &ground.tables[at];
    for place in &known.key {
        let name = &known.bound.columns[*place].shape.name;
        if !known
            .table
            .column(name)
            .is_some_and(|column| column.nullable)
        {
            continue;
        }
        let only = format!("{} IS NULL", session.dialect().quote(name));
        let query = session
            .dialect()
            .change()
            .page(&known.bound, &known.key, None, Some(&only), 1);
        let rows = session.query(&query.sql, &query.params).await;
        let rows = rows.map_err(|error| trouble::refused(&error, "the rules cannot be asked"))?;
        if !rows.is_empty() {
            let message = format!(
                "rows of {} have no `{name}`, so its key does not find them",
                known.label()
            );
            return Err(
                Failure::refused("no-unique-key", message).hint("give these rows a key first")
            );
        }
    }
    Ok(())
}

/// Makes the tables of archives that are not there. Gives whether there were such.
pub(super) async fn make_archives(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    ground: &Ground,
    asked: &[Asked],
) -> Result<bool, Failure> {
    let mut any = false;
    for one in asked {
        let (
            Kind::Archive {
                to: To::Table(name),
                ..
            },
            None,
        ) = (&one.rule.kind, one.archive)
        else {
            continue;
        };
        let known = &ground.tables[one.at()?];
        let (schema, table) = match name.split_once('.') {
            Some((schema, table)) => (Some(schema.to_owned()), table.to_owned()),
            None => (None, name.clone()),
        };
        let key: Vec<String> = known
            .key
            .iter()
            .filter_map(|at| {
                let name = &known.bound.columns[*at].shape.name;
                known.table.column(name).map(|column| column.name.clone())
            })
            .collect();
        let rules = runner.work.dialect().rules();
        let sql = rules.make_like(&known.table, &key, schema.as_deref(), &table);
        // Said before it is done: a table that is said and is not there does no harm to the way back.
        let detail = Detail {
            rule: one.rule.id.clone(),
            made: Some((schema, table)),
            ..Detail::default()
        };
        unit.say(runner, journal::Event::Began, detail).await?;
        let made = runner.work.execute(&sql).await;
        made.map_err(|error| {
            trouble::failed(&error, &format!("the archive {name} cannot be made"))
        })?;
        any = true;
    }
    Ok(any)
}
