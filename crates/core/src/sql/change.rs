//! What a DDL statement changes, in words that no engine owns: each dialect reads its own grammar into these, and
//! postconditions, inverses and hazards are told from them.

use super::words::Name;
use super::{Condition, Kind, ObjectKind, ObjectRef, StatementClass};

/// What a column's definition says, as far as hazards and places need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnFacts {
    /// The type, as the statement spells it.
    pub type_text: String,
    /// NOT NULL (a primary key too).
    pub not_null: bool,
    /// A default that is not NULL.
    pub default: bool,
    /// The default calls a function or is an expression.
    pub default_computed: bool,
    /// The functions that the default calls, in lower case.
    pub default_calls: Vec<String>,
    /// The server fills it: serial, identity, AUTO_INCREMENT.
    pub counter: bool,
    /// A generated column that is stored.
    pub stored: bool,
    /// A generated column that is computed when it is read.
    pub is_virtual: bool,
    /// UNIQUE or PRIMARY KEY stands in the definition.
    pub unique: bool,
    /// REFERENCES stands in the definition.
    pub references: bool,
    /// CHECK stands in the definition.
    pub check: bool,
}

/// The kinds of constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    /// PRIMARY KEY.
    PrimaryKey,
    /// FOREIGN KEY.
    ForeignKey,
    /// UNIQUE.
    Unique,
    /// CHECK.
    Check,
    /// EXCLUDE.
    Exclude,
    /// NOT NULL as a constraint with a name.
    NotNull,
    /// Not told by the statement.
    Unknown,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Something is made.
    Create(ObjectRef),
    /// Something is taken away.
    Drop(ObjectRef),
    /// Something takes another name (or schema).
    Rename(ObjectRef, ObjectRef),
    /// A column is made.
    AddColumn(ObjectRef, ColumnFacts),
    /// A column gets a type.
    ColumnType(ObjectRef, ColumnFacts),
    /// A column must not be NULL from now on.
    SetNotNull(ObjectRef),
    /// A column may be NULL from now on.
    DropNotNull(ObjectRef),
    /// A column gets another default, or none.
    ColumnDefault(ObjectRef),
    /// An index is made; the flag: its name is what the engine would choose, if it is free.
    AddIndex {
        /// The index.
        index: ObjectRef,
        /// The name was chosen as the engine chooses it.
        guessed: bool,
        /// It is unique.
        unique: bool,
        /// It is of a kind that blocks writes while it is built (full text, spatial).
        special: bool,
    },
    /// A constraint is made.
    AddConstraint {
        /// The constraint; `None`: the engine chooses the name.
        constraint: Option<ObjectRef>,
        /// Its kind.
        kind: ConstraintKind,
        /// Existing rows are not looked at (`NOT VALID`), or an index that is there is used.
        cheap: bool,
    },
    /// A constraint is taken away.
    DropConstraint(ObjectRef, ConstraintKind),
    /// A value of an enum type is made.
    AddValue(ObjectRef),
    /// The table's rows go.
    Empty(ObjectRef),
    /// Understood, but leaves nothing behind that a question could find: options, defaults, comments. The word that
    /// says what.
    Quiet(&'static str),
    /// Not understood.
    Opaque,
}

/// A DDL statement, read.
#[derive(Debug, Clone, Default)]
pub struct Ddl {
    /// Its head words.
    pub verb: String,
    /// What it changes, in order.
    pub changes: Vec<Change>,
    /// The table of an ALTER TABLE, or the table that an index or trigger is made on.
    pub table: Option<ObjectRef>,
    /// Creation that passes in silence.
    pub if_not_exists: bool,
    /// Passes in silence where the object is not there.
    pub if_exists: bool,
    /// Something that was there may have been replaced.
    pub or_replace: bool,
    /// The object lives as long as the session.
    pub temporary: bool,
    /// Rows are added, removed or altered in a way that the catalog does not show.
    pub rows: bool,
    /// Rows go, and nothing else.
    pub empties: bool,
    /// Rows are exchanged between objects.
    pub swap: bool,
    /// Without blocking, outside of a transaction.
    pub concurrently: bool,
    /// `UNLOGGED`.
    pub unlogged: bool,
    /// Whatever depends on the object goes with it.
    pub cascade: bool,
    /// The storage engine that the statement names.
    pub storage: Option<String>,
    /// The text of a routine's or trigger's body.
    pub body: Option<String>,
    /// The arguments of a routine as its DROP takes them.
    pub arguments: Option<String>,
}

/// An object of a kind under a name.
pub fn object(kind: ObjectKind, name: &Name) -> ObjectRef {
    ObjectRef {
        kind,
        schema: name.schema.clone(),
        parent: None,
        name: name.name.clone(),
    }
}

/// A part of a table: a column, an index, a constraint.
pub fn part(kind: ObjectKind, table: &ObjectRef, name: impl Into<String>) -> ObjectRef {
    ObjectRef {
        kind,
        schema: table.schema.clone(),
        parent: Some(table.name.clone()),
        name: name.into(),
    }
}

impl Ddl {
    /// Tells a statement's class what it changes.
    pub fn describe(&self, class: &mut StatementClass) {
        class.verb.clone_from(&self.verb);
        class.kind = Kind::Ddl;
        class.touches = self.touches();
        class.post = self.post();
        class.catalog_only = (!self.rows || self.fills_what_it_makes()) && !self.empties;
        class.swap = self.is_swap();
        class.drops_many = self.drops() > 1 && self.table.is_none();
        class.if_not_exists = self.if_not_exists;
        class.storage.clone_from(&self.storage);
        class.unlogged = self.unlogged;
    }

    /// What holds when the statement has done its work; empty where that is not fully known.
    pub fn post(&self) -> Vec<Condition> {
        // A replaced table or a copied one says nothing by being there; a temporary one is nobody else's to see.
        if self.temporary || self.rows || self.changes.contains(&Change::Opaque) {
            return vec![];
        }
        let renames: Vec<(&ObjectRef, &ObjectRef)> = self.renames().collect();
        if renames.len() > 1 || self.moves_table() {
            let parts = !self.moves_table();
            return net_of(
                &renames
                    .into_iter()
                    .filter(|(from, _)| parts || from.parent.is_none())
                    .collect::<Vec<_>>(),
            );
        }
        let mut post: Vec<Condition> = self.changes.iter().flat_map(change_post).collect();
        let named = self.changes.iter().find_map(|change| match change {
            Change::Create(object) => Some(object),
            _ => None,
        });
        if let (Some(object), Some(body)) = (named, &self.body) {
            post.push(Condition::Body(object.clone(), body.clone()));
        }
        post
    }

    /// Whether the rows that it writes are those of a table that it makes: no table, no rows.
    fn fills_what_it_makes(&self) -> bool {
        !self.or_replace
            && !self.if_not_exists
            && self
                .changes
                .iter()
                .all(|change| matches!(change, Change::Create(object) if object.kind == ObjectKind::Table))
    }

    /// Whether a second run after a first one changes nothing more: options, and whole definitions that replace what
    /// was there. A replaced table loses its rows, and a replaced sequence its place, so these are not.
    pub fn is_repeatable(&self) -> bool {
        let definition = |object: &ObjectRef| {
            matches!(
                object.kind,
                ObjectKind::View
                    | ObjectKind::Function
                    | ObjectKind::Procedure
                    | ObjectKind::Trigger
                    | ObjectKind::Event
            )
        };
        let again = |change: &Change| match change {
            Change::Create(object) => self.or_replace && definition(object),
            Change::Quiet(what) => *what != "INDEX",
            Change::ColumnType(..)
            | Change::SetNotNull(_)
            | Change::DropNotNull(_)
            | Change::ColumnDefault(_) => true,
            _ => false,
        };
        !self.changes.is_empty() && self.changes.iter().all(again)
    }

    fn renames(&self) -> impl Iterator<Item = (&ObjectRef, &ObjectRef)> {
        self.changes.iter().filter_map(|change| match change {
            Change::Rename(from, to) => Some((from, to)),
            _ => None,
        })
    }

    /// Whether the table itself takes another name, so that its parts are found elsewhere afterwards.
    fn moves_table(&self) -> bool {
        self.renames()
            .any(|(from, _)| self.table.as_ref() == Some(from))
    }

    /// Whether one name is both given up and taken: afterwards the catalog may look as before.
    pub fn is_swap(&self) -> bool {
        let renames: Vec<_> = self.renames().collect();
        self.swap
            || renames
                .iter()
                .any(|(from, _)| renames.iter().any(|(_, to)| from == to))
    }

    /// How many objects it drops.
    pub fn drops(&self) -> usize {
        self.changes
            .iter()
            .filter(|change| matches!(change, Change::Drop(_)))
            .count()
    }

    /// The objects that it changes.
    pub fn touches(&self) -> Vec<ObjectRef> {
        let mut touched: Vec<ObjectRef> = self.table.iter().cloned().collect();
        for change in &self.changes {
            match change {
                Change::Create(object) | Change::Drop(object) | Change::Empty(object) => {
                    touched.push(object.clone())
                }
                Change::Rename(from, to) if from.kind != ObjectKind::Column => {
                    touched.push(from.clone());
                    touched.push(to.clone());
                }
                Change::AddValue(value) => touched.push(ObjectRef {
                    kind: ObjectKind::Type,
                    schema: value.schema.clone(),
                    parent: None,
                    name: value.parent.clone().unwrap_or_default(),
                }),
                _ => {}
            }
        }
        // A part of a table that is touched itself is seen with it.
        let tables: Vec<ObjectRef> = touched
            .iter()
            .filter(|object| object.kind == ObjectKind::Table)
            .cloned()
            .collect();
        let within = |object: &ObjectRef| {
            matches!(object.kind, ObjectKind::Index | ObjectKind::Constraint)
                && object
                    .parent
                    .as_ref()
                    .is_some_and(|parent| tables.iter().any(|table| table.name == *parent))
        };
        let mut seen: Vec<ObjectRef> = vec![];
        for object in touched {
            if !within(&object) && !seen.contains(&object) {
                seen.push(object);
            }
        }
        seen
    }
}

fn change_post(change: &Change) -> Vec<Condition> {
    match change {
        Change::Create(object) | Change::AddColumn(object, _) | Change::AddValue(object) => {
            vec![Condition::Exists(object.clone())]
        }
        Change::AddIndex { index, .. } => vec![Condition::Exists(index.clone())],
        Change::AddConstraint { constraint, .. } => {
            constraint.iter().cloned().map(Condition::Exists).collect()
        }
        Change::Drop(object) | Change::DropConstraint(object, _) => {
            vec![Condition::Missing(object.clone())]
        }
        Change::Rename(from, to) => vec![
            Condition::Missing(from.clone()),
            Condition::Exists(to.clone()),
        ],
        Change::ColumnType(column, facts) => vec![Condition::ColumnType(
            column.clone(),
            facts.type_text.clone(),
        )],
        Change::Empty(table) => vec![Condition::Empty(table.clone())],
        Change::SetNotNull(_)
        | Change::DropNotNull(_)
        | Change::ColumnDefault(_)
        | Change::Quiet(_)
        | Change::Opaque => vec![],
    }
}

/// What several renames leave behind: names that were only given up, and names that were only taken.
fn net_of(renames: &[(&ObjectRef, &ObjectRef)]) -> Vec<Condition> {
    let mut post = vec![];
    for (from, to) in renames {
        if !renames.iter().any(|(_, other)| other == from) {
            post.push(Condition::Missing((*from).clone()));
        }
        if !renames.iter().any(|(other, _)| other == to) {
            post.push(Condition::Exists((*to).clone()));
        }
    }
    post
}
