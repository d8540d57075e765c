//! What takes statements back: what a statement itself tells, and what the catalog knows of the state before it.
//!
//! Two callers share this: the undo of a migration that failed (its statements ran, and their classes are known), and the
//! derived undo of a plan's `sql` step, which is made before anything runs and may look into the catalog.

use super::insert;
use super::steps::Facts;
use crate::dialect::Dialect;
use crate::dialect::catalog::Part;
use crate::finding::{Finding, Place};
use crate::redact::head_of;
use crate::schema::{Column, Table, View};
use crate::sql::change::{Change, Ddl};
use crate::sql::{Condition, Kind, LexMode, ObjectKind, ObjectRef, StatementClass};

/// A statement and where it stands.
#[derive(Debug, Clone)]
pub struct Stated {
    /// Its text.
    pub sql: String,
    /// Where it stands.
    pub place: Place,
}

/// Whether a statement leaves nothing behind that would have to be taken back.
pub fn is_harmless(class: &StatementClass) -> bool {
    matches!(class.kind, Kind::Query | Kind::Session | Kind::Maintenance)
}

/// Whether what a statement on rows did goes with the tables that were made beside it.
pub fn is_covered(class: &StatementClass, made: &[&ObjectRef]) -> bool {
    matches!(class.kind, Kind::Dml | Kind::CopyIn) && touches_only(class, made)
}

fn touches_only(class: &StatementClass, made: &[&ObjectRef]) -> bool {
    let is_made = |object: &ObjectRef| {
        made.iter()
            .any(|table| table.name == object.name && table.schema == object.schema)
    };
    !class.touches.is_empty() && class.touches.iter().all(is_made)
}

/// The table that a statement drops and one after it gives back, as a rebuild does: its rows are in the new one.
pub fn comes_back<'a>(
    class: &'a StatementClass,
    after: &[StatementClass],
) -> Option<&'a ObjectRef> {
    class.post.iter().find_map(|condition| match condition {
        Condition::Missing(table) if table.kind == ObjectKind::Table => {
            let back = Condition::Exists(table.clone());
            let made = after.iter().any(|later| later.post.contains(&back));
            made.then_some(table)
        }
        _ => None,
    })
}

/// A table or column that a statement drops for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Which statement.
    pub at: usize,
    /// Its name when the statement runs.
    pub object: ObjectRef,
    /// Its name before the first statement, where one before this has renamed it.
    pub was: ObjectRef,
}

/// What a statement gives another name: from and to.
pub type Renames = Vec<(ObjectRef, ObjectRef)>;

/// What a statement gives another name.
pub fn renames(sql: &str, dialect: &dyn Dialect, lex: &LexMode) -> Renames {
    let changes = dialect
        .steps()
        .ddl(sql, lex)
        .map_or(vec![], |ddl| ddl.changes);
    let pair = |change| match change {
        Change::Rename(from, to) => Some((from, to)),
        _ => None,
    };
    changes.into_iter().filter_map(pair).collect()
}

/// What statements drop for good. What gets another name is still there, under that; a table whose name another gets
/// afterwards was rebuilt, and its rows are in the new one.
pub fn gone(classes: &[StatementClass], renames: &[Renames]) -> Vec<Gone> {
    let mut found = vec![];
    let mut names: Vec<(ObjectRef, ObjectRef)> = vec![];
    let none = vec![];
    for (at, class) in classes.iter().enumerate() {
        let renamed = renames.get(at).unwrap_or(&none);
        for condition in &class.post {
            let Condition::Missing(object) = condition else {
                continue;
            };
            let of_rows = matches!(object.kind, ObjectKind::Table | ObjectKind::Column);
            if !of_rows || renamed.iter().any(|(from, _)| from == object) {
                continue;
            }
            let was = first_name(&names, object);
            let back = |name: &ObjectRef| {
                let is_there = Condition::Exists(name.clone());
                let mut later = classes[at..].iter();
                name.kind == ObjectKind::Table && later.any(|class| class.post.contains(&is_there))
            };
            // Another has its name by now.
            let between = || {
                let is_there = Condition::Exists(was.clone());
                let mut before = classes[..at].iter();
                was != *object
                    && (names.iter().any(|(to, _)| *to == was)
                        || before.any(|class| class.post.contains(&is_there)))
            };
            if !back(object) && !back(&was) && !between() {
                found.push(Gone {
                    at,
                    object: object.clone(),
                    was,
                });
            }
        }
        for (from, to) in renamed {
            names.push((to.clone(), first_name(&names, from)));
        }
    }
    found
}

/// The name that an object had before the first of these statements, by what each of them has renamed.
pub fn first_of(renames: &[Renames], object: &ObjectRef) -> ObjectRef {
    let mut names: Vec<(ObjectRef, ObjectRef)> = vec![];
    for (from, to) in renames.iter().flatten() {
        names.push((to.clone(), first_name(&names, from)));
    }
    first_name(&names, object)
}

/// The name that an object of this name has after these statements.
pub fn name_after(renames: &[Renames], first: &ObjectRef) -> ObjectRef {
    let mut name = first.clone();
    for (from, to) in renames.iter().flatten() {
        if *from == name {
            name = to.clone();
        }
    }
    name
}

/// The name that an object had before it was renamed, itself or its table.
fn first_name(names: &[(ObjectRef, ObjectRef)], object: &ObjectRef) -> ObjectRef {
    let known = |object: &ObjectRef| {
        let mut names = names.iter().rev();
        names
            .find(|(to, _)| to == object)
            .map(|(_, was)| was.clone())
    };
    let mut was = known(object).unwrap_or_else(|| object.clone());
    if let Some(parent) = &was.parent {
        let table = ObjectRef {
            kind: ObjectKind::Table,
            schema: was.schema.clone(),
            parent: None,
            name: parent.clone(),
        };
        if let Some(table) = known(&table) {
            was.parent = Some(table.name);
        }
    }
    was
}

/// The statements that take each of these back; or what cannot be taken back, one finding each.
pub fn derive(statements: &[Stated], facts: &Facts<'_>) -> Result<Vec<Vec<String>>, Vec<Finding>> {
    let mut walk = Walk {
        facts,
        made: vec![],
        gone: vec![],
        inverses: vec![],
    };
    let mut findings = vec![];
    for stated in statements {
        let found = walk.step(&stated.sql);
        walk.inverses.push(found.unwrap_or_else(|why| {
            findings.push(no_inverse(stated, &why));
            vec![]
        }));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok(walk.inverses)
}

fn no_inverse(stated: &Stated, why: &str) -> Finding {
    let message = format!("`{}` has no derived inverse: {why}", head_of(&stated.sql));
    Finding::error("no-inverse", stated.place.clone(), message).help(
        "write `undo = \"…\"` with the SQL that takes the step back, `undo = \"restore\"` to bring the rows back from a \
         checkpoint, or `undo = { impossible = \"why\" }` and make it the last step of its phase",
    )
}

/// Found, or a sentence why not.
type Found = Result<Vec<String>, String>;

struct Walk<'a> {
    facts: &'a Facts<'a>,
    /// Tables that earlier statements made, and which statement did.
    made: Vec<(ObjectRef, usize)>,
    /// What earlier statements took away: the catalog no longer speaks of it.
    gone: Vec<ObjectRef>,
    inverses: Vec<Vec<String>>,
}

impl Walk<'_> {
    fn step(&mut self, sql: &str) -> Found {
        let facts = self.facts;
        let steps = facts.dialect.steps();
        let class = facts.dialect.classify(sql, facts.lex);
        if is_harmless(&class) || steps.moves_counters_only(sql, facts.lex) {
            return Ok(vec![]);
        }
        let made: Vec<&ObjectRef> = self.made.iter().map(|(table, _)| table).collect();
        if is_covered(&class, &made) {
            return Ok(vec![]);
        }
        if class.kind == Kind::Ddl {
            let Some(ddl) = steps.ddl(sql, facts.lex) else {
                return Err("what it changes cannot be told".into());
            };
            let within = touches_only(&class, &made) && ddl.changes.iter().all(stays_within);
            let found = if within || ddl.temporary {
                Ok(vec![])
            } else {
                self.ddl(&ddl, &class)
            };
            self.learn(&ddl);
            return found;
        }
        match (class.kind, class.verb.as_str()) {
            (Kind::Dml, "INSERT") => insert::inverse(sql, facts),
            (Kind::Dml | Kind::CopyIn, verb) => Err(format!(
                "what the rows were before {verb} is not in the statement"
            )),
            (Kind::Rights, _) => Err("what the rights were before is not looked at".into()),
            _ => Err("what it does cannot be told".into()),
        }
    }

    /// What holds after a DDL statement.
    fn learn(&mut self, ddl: &Ddl) {
        let at = self.inverses.len();
        for change in &ddl.changes {
            match change {
                Change::Create(table)
                    if table.kind == ObjectKind::Table && self.existing(table).is_none() =>
                {
                    self.made.push((table.clone(), at));
                }
                Change::Drop(object) => {
                    // Made and dropped again within the step: the inverse of the first would find nothing.
                    if let Some(place) = self.made.iter().position(|(table, _)| table == object) {
                        let (_, made_at) = self.made.remove(place);
                        if let Some(inverse) = self.inverses.get_mut(made_at) {
                            inverse.clear();
                        }
                    }
                    self.gone.push(object.clone());
                }
                Change::DropConstraint(object, _) => self.gone.push(object.clone()),
                Change::Rename(from, to) => {
                    let made = self.made.iter().find(|(table, _)| table == from);
                    if let Some((_, made_at)) = made {
                        let made_at = *made_at;
                        self.made.push((to.clone(), made_at));
                    }
                    self.gone.push(from.clone());
                }
                _ => {}
            }
        }
    }

    fn ddl(&self, ddl: &Ddl, class: &StatementClass) -> Found {
        let conditional = ddl.if_not_exists || ddl.if_exists || ddl.or_replace;
        if let Some(inverse) = class.inverse.as_ref().filter(|_| !conditional) {
            return Ok(inverse.clone());
        }
        if ddl.changes.is_empty() {
            return Err("what it changes cannot be told".into());
        }
        let mut statements = vec![];
        for change in ddl.changes.iter().rev() {
            statements.extend(self.change(ddl, change)?);
        }
        Ok(statements)
    }

    fn change(&self, ddl: &Ddl, change: &Change) -> Found {
        match change {
            Change::Create(object) => match self.existing(object) {
                Some(_) if ddl.if_not_exists => Ok(vec![]),
                Some(part) if ddl.or_replace => self.replaced(ddl, part),
                _ => self.by_itself(ddl, change),
            },
            Change::AddColumn(object, _) | Change::AddIndex { index: object, .. }
                if ddl.if_not_exists && self.existing(object).is_some() =>
            {
                Ok(vec![])
            }
            Change::AddConstraint {
                constraint: None, ..
            }
            | Change::AddIndex { guessed: true, .. }
            | Change::Quiet("INDEX") => {
                Err("it leaves the name to the server; give it one in the statement".into())
            }
            Change::Drop(object) | Change::DropConstraint(object, _) => self.dropped(ddl, object),
            Change::SetNotNull(column)
            | Change::DropNotNull(column)
            | Change::ColumnDefault(column) => self.column(column, change),
            Change::ColumnType(column, facts) => {
                let (table, old) = self.known_column(column)?;
                if !self.facts.dialect.steps().same_type(&facts.type_text, old) {
                    return Err(format!(
                        "{column} gets another type, and what its values were is not in the statement"
                    ));
                }
                let native = String::new();
                let altered = Column {
                    native,
                    ..old.clone()
                };
                self.back(table, &altered, old)
            }
            // It says how, and not what; rows that were looked at stay looked at.
            Change::Quiet("ALGORITHM" | "ONLINE" | "VALIDATE") => Ok(vec![]),
            Change::Empty(table) => Err(format!("the rows of {table} go")),
            change => self.by_itself(ddl, change),
        }
    }

    /// What the change itself tells, as if it stood alone and without conditions.
    fn by_itself(&self, ddl: &Ddl, change: &Change) -> Found {
        let alone = Ddl {
            changes: vec![change.clone()],
            if_not_exists: false,
            if_exists: false,
            or_replace: false,
            ..ddl.clone()
        };
        let inverse = self.facts.dialect.steps().inverse(&alone);
        inverse.ok_or_else(|| "what was there before is not known".into())
    }

    fn known_column(&self, column: &ObjectRef) -> Result<(&Table, &Column), String> {
        match self.existing(column) {
            Some(Part::Column(table, old)) => Ok((table, old)),
            _ => Err(format!("{column} is not in the catalog")),
        }
    }

    fn column(&self, column: &ObjectRef, change: &Change) -> Found {
        let (table, old) = self.known_column(column)?;
        let mut altered = old.clone();
        match change {
            Change::SetNotNull(_) => altered.nullable = false,
            Change::DropNotNull(_) => altered.nullable = true,
            // Not what any default is: the old one is given back in every case.
            _ => altered.default = Some(String::new()),
        }
        if altered == *old {
            return Ok(vec![]);
        }
        self.back(table, &altered, old)
    }

    fn back(&self, table: &Table, from: &Column, to: &Column) -> Found {
        let catalog = self.facts.dialect.catalog();
        catalog.change(Part::Column(table, from), Part::Column(table, to))
    }

    /// What was dropped comes back as the catalog has it.
    fn dropped(&self, ddl: &Ddl, object: &ObjectRef) -> Found {
        let Some(part) = self.existing(object) else {
            return if ddl.if_exists {
                Ok(vec![])
            } else {
                Err(format!("{object} is not in the catalog"))
            };
        };
        if ddl.cascade {
            return Err("what goes with it (CASCADE) is not in the statement".into());
        }
        let (dialect, catalog) = (self.facts.dialect, self.facts.dialect.catalog());
        match part {
            Part::Table(_) => Err("the rows go with the table".into()),
            Part::Column(..) => Err("the values go with the column".into()),
            Part::View(view) if view.materialized => catalog.create(part),
            Part::View(view) => {
                let mut statements = catalog.create(part)?;
                for trigger in &view.triggers {
                    let schema = view.schema.as_deref();
                    statements.extend(catalog.create(Part::Trigger(schema, &view.name, trigger))?);
                }
                Ok(statements)
            }
            Part::Index(schema, relation, index)
                if ddl.concurrently || !self.facts.caps.concurrent_index =>
            {
                match self.facts.catalog.table(schema, relation) {
                    Some(table) => dialect.steps().add_known_index(table, index),
                    None => catalog.again(part),
                }
            }
            Part::Sequence(_) | Part::Extension(_) => {
                Err("what it counted or held is not in the catalog".into())
            }
            part => catalog.again(part),
        }
    }

    /// What OR REPLACE wrote over comes back as the catalog has it.
    fn replaced(&self, ddl: &Ddl, part: Part<'_>) -> Found {
        let catalog = self.facts.dialect.catalog();
        match part {
            Part::View(old) => {
                let other = View {
                    definition: String::new(),
                    ..old.clone()
                };
                catalog.change(Part::View(&other), part)
            }
            Part::Trigger(schema, relation, old) => {
                let mut other = old.clone();
                other.definition.clear();
                catalog.change(Part::Trigger(schema, relation, &other), part)
            }
            Part::Routine(old) => {
                let spelled =
                    |text: &str| text.to_lowercase().split_whitespace().collect::<String>();
                let new = spelled(ddl.arguments.as_deref().unwrap_or_default());
                let known = old.arguments.as_deref().map(spelled);
                if known.is_some_and(|known| known != new) {
                    return Err(format!(
                        "whether it replaces {}({}) or stands beside it cannot be told",
                        old.name,
                        old.arguments.as_deref().unwrap_or_default()
                    ));
                }
                catalog.change(part, part)
            }
            Part::Event(_) => catalog.change(part, part),
            _ => Err("what it replaces would be lost".into()),
        }
    }

    /// The part of the catalog that an object of a statement is, unless an earlier statement took it away.
    fn existing(&self, object: &ObjectRef) -> Option<Part<'_>> {
        if self.gone.contains(object) {
            return None;
        }
        self.facts.part(object)
    }
}

/// Whether a change stays within its table, and goes with it.
fn stays_within(change: &Change) -> bool {
    match change {
        Change::Rename(from, _) => from.parent.is_some(),
        Change::Drop(object) => object.parent.is_some(),
        Change::Create(_) => false,
        _ => true,
    }
}
