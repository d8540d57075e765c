//! What a key says that cannot be made for its rows: which rows, how many, and what can be done.

use super::aside::bound;
use super::orphans::{Reference, Whose, references};
use super::{Copying, ledger};
use dunlin_core::copy::policy::Hazard;
use dunlin_core::copy::stages::{Made, Of};
use dunlin_core::dialect::aside::{Once, TooLong};
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::schema::Table;
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Session};

/// How many keys a message shows.
const SHOWN: usize = 3;

/// What to do about rows that a key refuses.
pub(super) fn hint(hazard: Hazard) -> String {
    format!(
        "`--resume --policy {}=reject` sets such rows aside and writes them down; or mend them in the source \
         (`dunlin check`, `dunlin clean`) and copy anew",
        hazard.code()
    )
}

impl Copying<'_> {
    /// What a key that its rows break says: which rows, how many of them, and what can be done.
    pub(super) async fn broken(
        &self,
        made: &Made,
        error: &DbError,
        session: &mut dyn Session,
    ) -> Failure {
        let doing = format!("the {} cannot be made", made.what);
        let mut failure = ledger::failure(self.to, error, &doing);
        let (hazard, said) = match error.class {
            ErrorClass::Unique => (Hazard::DuplicateKey, self.repeats(made, session).await),
            ErrorClass::ForeignKey => (Hazard::Orphan, self.orphans(made, session).await),
            ErrorClass::Data if self.indexed(made).is_some() => {
                (Hazard::TooLong, self.too_long(made, session).await)
            }
            _ => return failure,
        };
        failure.code = hazard.code();
        if let Some(said) = said {
            failure.message = format!("{doing}: {said}");
        }
        failure.hints.push(hint(hazard));
        failure
    }

    /// Rows that refer to nothing, in words.
    async fn orphans(&self, made: &Made, session: &mut dyn Session) -> Option<String> {
        let Of::ForeignKey(number) = made.of else {
            return None;
        };
        let key = &self.looked.plan.catalog.tables[made.table?].foreign_keys[number];
        let references = references(self.looked, Whose::Made);
        let of = references.iter().find(|of| std::ptr::eq(of.key, key))?;
        self.said_of_orphans(of, session).await.ok()?
    }

    /// The same of one foreign key. `None`: there are no such rows.
    pub(super) async fn said_of_orphans(
        &self,
        of: &Reference<'_>,
        session: &mut dyn Session,
    ) -> Result<Option<String>, Failure> {
        let rules = session.dialect().rules();
        let only = of.orphans(session.dialect().aside());
        let Some(count) = self.counted(&of.child, &only, session).await? else {
            return Ok(None);
        };
        let some = format!(
            "{} LIMIT {SHOWN}",
            rules.select(&of.child, &of.columns(), Some(&only))
        );
        let examples = examples(session, &some, &of.key.columns).await;
        Ok(Some(format!(
            "{count} rows of {} refer to rows of {} that are not there ({})",
            of.child.label(),
            of.parent.label(),
            examples.unwrap_or_default()
        )))
    }

    /// Rows that are too long for an index, in words.
    async fn too_long(&self, made: &Made, session: &mut dyn Session) -> Option<String> {
        let (table, of, _) = self.indexed(made)?;
        let long = session.dialect().aside().too_long(table, of)?;
        let said = self.said_of_long(table, &long, session).await;
        let _ = session.rollback().await;
        said
    }

    async fn said_of_long(
        &self,
        table: &Table,
        long: &TooLong,
        session: &mut dyn Session,
    ) -> Option<String> {
        session.begin().await.ok()?;
        for sql in &long.before {
            session.execute(sql).await.ok()?;
        }
        let primary = table.keys.iter().find(|key| key.primary);
        let key = primary.map_or(vec![], |key| key.columns.clone());
        let of = bound(table.schema.as_deref(), &table.name, &key, Some(table));
        let count = self.counted(&of, &long.only, session).await.ok()??;
        let all: Vec<usize> = (0..key.len()).collect();
        let rules = session.dialect().rules();
        let some = format!(
            "{} LIMIT {SHOWN}",
            rules.select(&of, &all, Some(&long.only))
        );
        let shown = match key.is_empty() {
            true => String::new(),
            false => format!(" ({})", examples(session, &some, &key).await?),
        };
        let label = of.label();
        Some(format!(
            "{count} rows of {label} have values too long for it{shown}"
        ))
    }

    /// Rows that have the same key, in words.
    async fn repeats(&self, made: &Made, session: &mut dyn Session) -> Option<String> {
        let (table, of, columns) = self.indexed(made)?;
        let once = of.once();
        if !once.is_plain() {
            return crowded(table, &once, session).await;
        }
        let of = bound(table.schema.as_deref(), &table.name, &columns, Some(table));
        let all: Vec<usize> = (0..columns.len()).collect();
        let sql = session.dialect().aside().repeats(&of, &all);
        let rows = session.query(&sql, &[]).await.ok()?;
        let more: i64 = rows
            .iter()
            .filter_map(|row| Some(row.last()?.as_i64()? - 1))
            .sum();
        let mut shown = vec![];
        for row in rows.iter().take(SHOWN) {
            let meeting = meeting(table, &columns, row, session).await;
            shown.push(meeting.unwrap_or_else(|| named(&columns, row)));
        }
        (more > 0).then(|| {
            format!(
                "{more} rows of {} have a key that another row has ({})",
                of.label(),
                shown.join("; ")
            )
        })
    }
}

/// Rows that have one key, by a key that makes something of its columns, in words.
async fn crowded(table: &Table, once: &Once, session: &mut dyn Session) -> Option<String> {
    let all: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    let primary = table.keys.iter().find(|key| key.primary);
    let mut names = primary.map_or(vec![], |key| key.columns.clone());
    for name in once.columns(&all) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    let of = bound(table.schema.as_deref(), &table.name, &names, Some(table));
    let places: Vec<usize> = (0..names.len()).collect();
    let aside = session.dialect().aside();
    let more = session.query(&aside.more(&of, once), &[]).await.ok()?;
    let more = more
        .first()?
        .first()
        .filter(|more| !more.is_null())?
        .shown();
    let some = aside.meeting(&of, once, &places, SHOWN * SHOWN);
    let rows = session.query(&some, &[]).await.ok()?;
    let mut groups: Vec<(Value, Vec<String>)> = vec![];
    for row in rows {
        let (group, row) = row.split_first()?;
        match groups.last_mut().filter(|(last, _)| last == group) {
            Some((_, rows)) => rows.push(named(&names, row)),
            None => groups.push((group.clone(), vec![named(&names, row)])),
        }
    }
    let met = groups.iter().filter(|(_, rows)| rows.len() > 1).take(SHOWN);
    let shown: Vec<String> = met.map(|(_, rows)| rows.join(" and ")).collect();
    Some(format!(
        "{more} rows of {} have a key that another row has ({})",
        of.label(),
        shown.join("; ")
    ))
}

/// Rows that have this key for the target, in words: `id = 1, name = a and id = 2, name = A`.
async fn meeting(
    table: &Table,
    columns: &[String],
    key: &[Value],
    session: &mut dyn Session,
) -> Option<String> {
    let primary = table.keys.iter().find(|key| key.primary);
    let mut names = primary.map_or(vec![], |key| key.columns.clone());
    names.extend(
        columns
            .iter()
            .filter(|name| !names.contains(name))
            .cloned()
            .collect::<Vec<_>>(),
    );
    let dialect = session.dialect();
    let pair = |(name, value): (&String, &Value)| {
        let literal = dialect.literal(&value.shown());
        format!("{} = {literal}", dialect.quote(name))
    };
    let pairs: Vec<String> = columns.iter().zip(key).map(pair).collect();
    let of = bound(table.schema.as_deref(), &table.name, &names, Some(table));
    let all: Vec<usize> = (0..names.len()).collect();
    let only = pairs.join(" AND ");
    let some = format!(
        "{} LIMIT {SHOWN}",
        dialect.rules().select(&of, &all, Some(&only))
    );
    let rows = session.query(&some, &[]).await.ok()?;
    let rows: Vec<String> = rows.iter().map(|row| named(&names, row)).collect();
    (rows.len() > 1).then(|| rows.join(" and "))
}

/// `a = 1, b = x`.
fn named(columns: &[String], row: &[Value]) -> String {
    let pairs = columns.iter().zip(row);
    let pairs = pairs.map(|(name, value)| format!("{name} = {}", value.shown()));
    pairs.collect::<Vec<_>>().join(", ")
}

async fn examples(session: &mut dyn Session, sql: &str, columns: &[String]) -> Option<String> {
    let rows = session.query(sql, &[]).await.ok()?;
    let shown: Vec<String> = rows.iter().map(|row| named(columns, row)).collect();
    (!shown.is_empty()).then(|| shown.join("; "))
}
