//! Keys, indexes and references.

use super::Work;
use super::expr::Function;
use super::kind::{Class, Fold};
use crate::dialect::tried::mentions;
use crate::finding::{Finding, Place};
use crate::schema::{ForeignKey, Index, IndexPart, Key};

impl Work<'_> {
    /// The target's names of columns of the source. `None`: one is not there.
    fn column_names(&self, at: usize, columns: &[String]) -> Option<Vec<String>> {
        columns
            .iter()
            .map(|name| {
                let place = self.column_place(at, name)?;
                Some(self.tables[at].columns[place].name.clone())
            })
            .collect()
    }

    fn folds(&self, at: usize, columns: &[String]) -> bool {
        columns.iter().any(|name| {
            self.column_place(at, name)
                .is_some_and(|place| self.tables[at].columns[place].fold.folds())
        })
    }

    /// Whether a foreign key that goes over refers to these columns.
    fn referred_to(&self, at: usize, columns: &[String]) -> bool {
        (0..self.tables.len()).any(|child| {
            self.source_table(child).foreign_keys.iter().any(|key| {
                self.referred(child, key).is_some_and(|(parent, pairs)| {
                    parent == at && self.same_columns(at, &pairs, columns)
                })
            })
        })
    }

    fn same_columns(&self, at: usize, pairs: &[(usize, usize)], columns: &[String]) -> bool {
        let mut wanted: Vec<usize> = pairs.iter().map(|(_, of)| *of).collect();
        let mut there: Vec<usize> = columns
            .iter()
            .filter_map(|name| self.column_place(at, name))
            .collect();
        wanted.sort_unstable();
        there.sort_unstable();
        wanted == there
    }

    /// The primary key and unique constraints.
    pub(super) fn keys(&mut self, at: usize) {
        let source = self.source_table(at);
        let label = source.label();
        for key in &source.keys {
            let word = if key.primary {
                "primary key"
            } else {
                "unique key"
            };
            let object = format!("{word} of {label} ({})", key.columns.join(", "));
            let clause = key.clause.as_deref().unwrap_or_default();
            let prefixed = clause.contains('(') && self.prefix_parts(at, key).is_some();
            if let Some(parts) = prefixed.then(|| self.prefix_parts(at, key)).flatten() {
                let name = format!("{}_key", self.tables[at].name);
                self.put_index(at, &name, parts, None, true);
                self.weaker(
                    &object,
                    "it is over the beginnings of texts, so it is a unique index there",
                );
                continue;
            }
            let Some(columns) = self.column_names(at, &key.columns) else {
                self.notes
                    .lack(object, "one of its columns is not there", None);
                continue;
            };
            for lost in [
                "DEFERRABLE",
                "NULLS NOT DISTINCT",
                "INCLUDE",
                "WITHOUT OVERLAPS",
            ] {
                if clause.contains(lost) && !self.limits.schemas {
                    self.notes.lack(
                        format!("{lost} of the {object}"),
                        "the target's keys have no such word",
                        Some(clause.to_owned()),
                    );
                }
            }
            if key.primary && self.null_in_key(at, key, &object) {
                let parts = columns.iter().map(IndexPart::column).collect();
                let name = format!("{}_key", self.tables[at].name);
                self.put_index(at, &name, parts, None, true);
                continue;
            }
            let folded = self.folds(at, &key.columns) && self.folded_index(at, key, &object);
            if folded && !key.primary && !self.referred_to(at, &key.columns) {
                continue;
            }
            self.put_key(at, key, columns);
        }
    }

    fn put_key(&mut self, at: usize, key: &Key, columns: Vec<String>) {
        let table = &self.tables[at];
        let schema = table.schema.clone().unwrap_or_default();
        if key.primary {
            for column in &mut self.target.tables[at].columns {
                column.nullable &= !columns.contains(&column.name);
            }
            for column in &mut self.tables[at].columns {
                column.nullable &= !columns.contains(&column.name);
            }
        }
        let name = key.name.as_ref().map(|name| {
            if self.limits.index_of_table {
                super::names::shortened(name, self.limits.name_max, self.limits.name_bytes)
            } else {
                self.relations.take(&schema, name)
            }
        });
        self.target.tables[at].keys.push(Key {
            name,
            primary: key.primary,
            columns,
            clause: None,
            ..Key::default()
        });
    }

    /// SQLite allows NULL in a primary key; nobody else does.
    fn null_in_key(&mut self, at: usize, key: &Key, object: &str) -> bool {
        let source = self.source_table(at);
        let with: Vec<&String> = key
            .columns
            .iter()
            .filter(|name| {
                self.column_place(at, name).is_some_and(|place| {
                    source.columns[place].nullable
                        && self
                            .evidence
                            .of(source, place)
                            .is_some_and(|profile| profile.nulls > 0)
                })
            })
            .collect();
        if with.is_empty() {
            return false;
        }
        let list: Vec<&str> = with.iter().map(|name| name.as_str()).collect();
        self.notes.findings.push(
            Finding::warning(
                "null-in-key",
                Place::object(object),
                format!(
                    "{} holds NULLs, so the {object} is a unique index there",
                    list.join(", ")
                ),
            )
            .help("Give these rows a key at the source, and copy again."),
        );
        true
    }

    fn weaker(&mut self, object: &str, sentence: &str) {
        self.notes.findings.push(Finding::info(
            "key-as-index",
            Place::object(object),
            format!("{object}: {sentence}"),
        ));
    }

    /// The parts of a key over beginnings of texts. `None`: it has none.
    fn prefix_parts(&self, at: usize, key: &Key) -> Option<Vec<IndexPart>> {
        let clause = key.clause.as_deref()?;
        let mut parts = vec![];
        let mut found = false;
        for name in &key.columns {
            let quoted = (self.reader.copy().style().quote)(name);
            let behind = clause.split_once(&quoted)?.1;
            let length: Option<u32> = behind
                .strip_prefix('(')
                .and_then(|rest| rest.split(')').next())
                .and_then(|digits| digits.parse().ok());
            found |= length.is_some();
            parts.push(self.part(at, name, length)?);
        }
        found.then_some(parts)
    }

    /// A part of an index over a column, or over its beginning.
    fn part(&self, at: usize, name: &str, length: Option<u32>) -> Option<IndexPart> {
        let place = self.column_place(at, name)?;
        let column = &self.tables[at].columns[place];
        let Some(length) = length else {
            return Some(IndexPart::column(&column.name));
        };
        let style = self.write.style();
        let quoted = (style.quote)(&column.name);
        let what = if column.chosen.kind.class() == Class::Bytes {
            (style.function)(Function::Substr, &[quoted, "1".into(), length.to_string()])?
        } else {
            (style.function)(Function::Left, &[quoted, length.to_string()])?
        };
        Some(IndexPart {
            expression: true,
            ..IndexPart::column(&what)
        })
    }

    /// A unique index that bites as the source's does, beside or instead of a key. False: the columns' own collations do
    /// it there.
    fn folded_index(&mut self, at: usize, key: &Key, object: &str) -> bool {
        let mut parts = vec![];
        let mut own = true;
        let (mut unknown, mut less, mut more) = (false, false, false);
        for name in &key.columns {
            let Some(place) = self.column_place(at, name) else {
                return false;
            };
            let column = &self.tables[at].columns[place];
            unknown |= column.fold == Fold::Unknown;
            less |= self.write.folds_less(&column.fold);
            more |= self.write.folds_more(&column.fold);
            match self.write.fold_part(&column.name, &column.fold) {
                Some((part, named)) => {
                    own = false;
                    parts.push(part);
                    self.name_type(named);
                }
                None => parts.push(IndexPart::column(&column.name)),
            }
        }
        if unknown {
            self.unknown_fold(object);
        }
        if less {
            self.folds_less(object);
        }
        if more {
            self.folds_more(object);
        }
        if own {
            return false;
        }
        let name = format!("{}_{}_fold", self.tables[at].name, key.columns.join("_"));
        self.put_index(at, &name, parts, None, true);
        self.folded(object);
        true
    }

    fn name_type(&mut self, named: Option<crate::schema::NamedType>) {
        if let Some(named) = named.filter(|named| !self.target.types.contains(named)) {
            self.target.types.push(named);
        }
    }

    fn folded(&mut self, object: &str) {
        self.notes.findings.push(Finding::info(
            "folded-key",
            Place::object(object),
            format!(
                "the {object} takes no notice of case (or accents); a unique index there bites in the same way, and plain comparisons tell them apart"
            ),
        ));
    }

    fn unknown_fold(&mut self, object: &str) {
        self.notes.findings.push(Finding::warning(
            "unknown-collation",
            Place::object(object),
            format!("the {object} is under a collation that only its application knows; there it tells every two texts apart"),
        ));
    }

    fn folds_less(&mut self, object: &str) {
        self.notes.findings.push(Finding::warning(
            "index-collation",
            Place::object(object),
            format!(
                "the {object} takes letters with and without accents, or of either case, for the same; there A to Z alone are: it accepts values there that it refuses here"
            ),
        ));
    }

    fn folds_more(&mut self, object: &str) {
        self.notes.findings.push(Finding::warning(
            "index-collation",
            Place::object(object),
            format!(
                "the {object} takes A to Z alone for the same in either case; there all letters are: it refuses values there that it accepts here"
            ),
        ));
    }

    /// A unique index over a text in one case, where the target knows the cases of other letters than the source does.
    fn cases(&mut self, expression: &str, object: &str) {
        let words = expression.to_lowercase();
        for name in ["lower", "upper"]
            .into_iter()
            .filter(|name| mentions(&words, name))
        {
            match self.read.function(name) {
                Some(Function::Lower(true) | Function::Upper(true))
                    if self.write.folds_more(&Fold::Ascii) =>
                {
                    self.folds_more(object);
                }
                Some(Function::Lower(false) | Function::Upper(false))
                    if self.write.folds_less(&Fold::Case("")) =>
                {
                    self.folds_less(object);
                }
                _ => {}
            }
        }
    }

    /// The index has a collation of its own, and the target's indexes have none.
    fn compares_as_column(&mut self, column: &str, fold: &Fold, object: &str) {
        let comes = match fold.folds() {
            true => "it accepts values there that it refuses here",
            false => "it refuses values there that it accepts here",
        };
        self.notes.findings.push(Finding::warning(
            "index-collation",
            Place::object(object),
            format!(
                "the {object} has a collation of its own; there it compares as column {column} does: {comes}"
            ),
        ));
    }

    fn put_index(
        &mut self,
        at: usize,
        name: &str,
        parts: Vec<IndexPart>,
        predicate: Option<String>,
        unique: bool,
    ) {
        let schema = self.tables[at].schema.clone().unwrap_or_default();
        let name = if self.limits.index_of_table {
            // The scope of a table begins with a mark that no name of a schema is.
            self.relations
                .take(&format!("\0{}", self.tables[at].name), name)
        } else {
            self.relations.take(&schema, name)
        };
        self.target.tables[at].indexes.push(Index {
            name,
            parts,
            unique,
            predicate,
            ..Index::default()
        });
    }

    /// The indexes of a table.
    pub(super) fn indexes(&mut self, at: usize) {
        let source = self.source_table(at);
        let label = source.label();
        for index in &source.indexes {
            let object = format!("index {} of {label}", index.name);
            let text = index.definition.clone().or_else(|| {
                Some(
                    self.reader
                        .catalog()
                        .clause(crate::dialect::catalog::Part::Index(
                            None,
                            &source.name,
                            index,
                        )),
                )
            });
            match self.index(at, index, &object) {
                Ok(()) => {}
                Err(why) => self.notes.lack(object, why, text),
            }
        }
    }

    fn index(&mut self, at: usize, index: &Index, object: &str) -> Result<(), String> {
        if let Some(method) = &index.method
            && !["BTREE", "HASH", "hash"].contains(&method.as_str())
        {
            return Err(format!("the target has no {method} indexes over this"));
        }
        if index
            .attributes
            .as_deref()
            .is_some_and(|words| words.ends_with("INVALID"))
        {
            return Err("it is not valid in the source".into());
        }
        let predicate = match &index.predicate {
            Some(text) => Some(self.predicate_in(at, text)?),
            None => None,
        };
        let mut parts = vec![];
        let mut folded = false;
        let mut unknown = false;
        for part in &index.parts {
            let (mut made, folds, odd) = self.index_part(at, part, (index.unique, object))?;
            made.descending = part.descending;
            folded |= folds;
            unknown |= odd;
            parts.push(made);
        }
        if unknown {
            self.unknown_fold(object);
        }
        if folded {
            self.folded(object);
            let columns: Vec<String> = index.parts.iter().map(|part| part.what.clone()).collect();
            if index.predicate.is_none() && self.referred_to(at, &columns) {
                let plain = self
                    .column_names(at, &columns)
                    .unwrap_or_default()
                    .iter()
                    .map(IndexPart::column)
                    .collect();
                self.put_index(at, &format!("{}_plain", index.name), plain, None, true);
            }
        }
        self.put_index(at, &index.name, parts, predicate, index.unique);
        if let (Some(comment), Some(last)) =
            (&index.comment, self.target.tables[at].indexes.last_mut())
        {
            last.comment = Some(comment.clone());
        }
        Ok(())
    }

    /// A part, whether it folds by itself, and whether nobody knows how it does.
    fn index_part(
        &mut self,
        at: usize,
        part: &IndexPart,
        (unique, object): (bool, &str),
    ) -> Result<(IndexPart, bool, bool), String> {
        if part.expression {
            let what = self.plain_in(at, &part.what)?;
            let fold = part.collation.as_deref();
            let fold = fold.map(|name| self.read.fold_named(name));
            if unique {
                self.cases(&part.what, object);
            }
            return Ok((
                IndexPart {
                    expression: true,
                    ..IndexPart::column(&what)
                },
                false,
                fold == Some(Fold::Unknown),
            ));
        }
        let place = self
            .column_place(at, &part.what)
            .ok_or("one of its columns is not there")?;
        let column = &self.tables[at].columns[place];
        // The index's own collation counts, not that of its column.
        let fold = match &part.collation {
            Some(name) => self.read.fold_named(name),
            None => column.fold.clone(),
        };
        let unknown = fold == Fold::Unknown;
        let as_column = fold == column.fold;
        if unique && self.write.folds_less(&fold) {
            self.folds_less(object);
        }
        if unique && as_column && self.write.folds_more(&fold) {
            self.folds_more(object);
        }
        let column = &self.tables[at].columns[place];
        if unique
            && part.length.is_none()
            && let Some((made, named)) = self.write.fold_part(&column.name, &fold)
        {
            self.name_type(named);
            return Ok((made, true, unknown));
        }
        if unique && !as_column && !unknown {
            match self.write.own_part(&column.name, &fold) {
                Some(made) if part.length.is_none() => return Ok((made, fold.folds(), false)),
                Some(_) => {}
                None => self.compares_as_column(&column.name.clone(), &fold, object),
            }
        }
        let made = self
            .part(at, &part.what, part.length)
            .ok_or("a part of it has no equal")?;
        Ok((made, false, unknown))
    }

    /// The foreign keys of a table.
    pub(super) fn foreign_keys(&mut self, at: usize) {
        let source = self.source_table(at);
        let label = source.label();
        for key in &source.foreign_keys {
            let object = format!(
                "foreign key of {label} ({}) to {}",
                key.columns.join(", "),
                key.references
            );
            match self.foreign_key(at, key) {
                Ok(mut made) => {
                    // Columns behind an action: PostgreSQL alone knows that.
                    let some = |action: &mut String| action.contains('(');
                    if let Some(action) = made.on_delete.take_if(some) {
                        let why = "the target knows it of all columns only, not of some";
                        self.notes
                            .lack(format!("{action} of the {object}"), why, None);
                    }
                    self.target.tables[at].foreign_keys.push(made);
                }
                Err(why) => {
                    self.notes.findings.push(Finding::warning(
                        "foreign-key-dropped",
                        Place::object(&object),
                        format!("the {object} is not carried: {why}"),
                    ));
                    self.notes.lack(object, why, None);
                }
            }
        }
    }

    fn foreign_key(&mut self, at: usize, key: &ForeignKey) -> Result<ForeignKey, String> {
        let (parent, pairs) = self
            .referred(at, key)
            .ok_or("the table or a column that it refers to is not there")?;
        if !self.unique(parent, &pairs) {
            return Err("what it refers to is not unique".into());
        }
        let name_of = |at: usize, place: usize| self.tables[at].columns[place].name.clone();
        let columns = pairs.iter().map(|(child, _)| name_of(at, *child)).collect();
        let references_columns = pairs.iter().map(|(_, of)| name_of(parent, *of)).collect();
        let scope = if self.limits.foreign_of_table {
            self.source_table(at).label()
        } else {
            String::new()
        };
        let name = key
            .name
            .as_ref()
            .map(|name| self.constraints.take(&scope, name));
        Ok(ForeignKey {
            name,
            columns,
            references_schema: self.tables[parent].schema.clone(),
            references: self.tables[parent].name.clone(),
            references_columns,
            on_delete: key.on_delete.clone(),
            on_update: key.on_update.clone(),
            attributes: key.attributes.clone(),
            ..ForeignKey::default()
        })
    }

    /// Whether what is referred to is unique in the target: by a key, or by an index over the whole columns of all rows.
    fn unique(&self, parent: usize, pairs: &[(usize, usize)]) -> bool {
        let mut wanted: Vec<&str> = pairs
            .iter()
            .map(|(_, of)| self.tables[parent].columns[*of].name.as_str())
            .collect();
        wanted.sort_unstable();
        let table = &self.target.tables[parent];
        let same = |columns: Vec<&str>| {
            let mut columns = columns;
            columns.sort_unstable();
            columns == wanted
        };
        table
            .keys
            .iter()
            .any(|key| same(key.columns.iter().map(String::as_str).collect()))
            || table.indexes.iter().any(|index| {
                index.unique
                    && index.predicate.is_none()
                    && index.parts.iter().all(|part| {
                        !part.expression && part.collation.is_none() && part.length.is_none()
                    })
                    && same(index.parts.iter().map(|part| part.what.as_str()).collect())
            })
    }
}
