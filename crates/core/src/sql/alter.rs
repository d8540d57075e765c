//! The clauses of ALTER TABLE and the definitions of columns, as far as the engines share them. What one engine alone
//! knows is asked for by a flag of [`Grammar`].

use super::change::{Change, ColumnFacts, ConstraintKind, Ddl, part};
use super::words::{Cursor, Fold, Tok, by_commas};
use super::{ObjectKind, ObjectRef, TokenKind};

/// Where the engines' grammars part ways.
#[derive(Debug, Clone, Copy)]
pub struct Grammar {
    /// How names are folded.
    pub fold: Fold,
    /// Indexes are parts of a table: `ADD INDEX`, `DROP KEY`, `MODIFY`, `CHANGE`.
    pub keys_in_tables: bool,
    /// The name that the engine gives to a constraint without one, from table, columns and kind.
    pub constraint_name: fn(&str, &[String], ConstraintKind) -> Option<String>,
    /// The name of the primary key's constraint, where it is always the same.
    pub primary: Option<&'static str>,
}

/// Words that end the type of a column's definition.
const AFTER_TYPE: &[&str] = &[
    "NOT",
    "NULL",
    "DEFAULT",
    "PRIMARY",
    "UNIQUE",
    "REFERENCES",
    "CHECK",
    "COLLATE",
    "COMMENT",
    "AUTO_INCREMENT",
    "AUTOINCREMENT",
    "GENERATED",
    "AS",
    "AFTER",
    "FIRST",
    "CONSTRAINT",
    "CHARSET",
    "KEY",
    "ON",
    "INVISIBLE",
    "VISIBLE",
    "USING",
    "STORED",
    "VIRTUAL",
    "PERSISTENT",
    "COMPRESSION",
    "STORAGE",
    "COLUMN_FORMAT",
    "DEFERRABLE",
    "WITH",
    "SERIAL_DEFAULT",
    "SRID",
    "REF_SYSTEM_ID",
    "COMPRESSED",
    "WITHOUT",
];

/// Reads the definition of a column behind its name; `sql` is the statement that the tokens are of.
pub fn column_facts(sql: &str, toks: &[Tok<'_>]) -> ColumnFacts {
    let mut cursor = Cursor::over(toks);
    let mut end = 0;
    while let Some(tok) = cursor.peek(0) {
        let charset = tok.is("CHARACTER") && cursor.peek(1).is_some_and(|next| next.is("SET"));
        // `time with time zone` is a type; `WITH` elsewhere is not.
        let zone =
            tok.is_any(&["WITH", "WITHOUT"]) && cursor.peek(1).is_some_and(|next| next.is("TIME"));
        if (tok.is_any(AFTER_TYPE) && !zone) || charset || tok.op("=") {
            break;
        }
        if cursor.group().is_none() {
            cursor.bump();
        }
        end = toks.len() - cursor.rest().len();
    }
    let type_text = match (
        toks.first(),
        end.checked_sub(1).and_then(|last| toks.get(last)),
    ) {
        (Some(first), Some(last)) => sql.get(first.start..last.end()).unwrap_or_default(),
        _ => "",
    };
    let mut facts = ColumnFacts {
        type_text: type_text.to_owned(),
        ..ColumnFacts::default()
    };
    let first = toks
        .first()
        .map(|tok| tok.text.to_ascii_lowercase())
        .unwrap_or_default();
    facts.counter = matches!(
        first.as_str(),
        "serial" | "bigserial" | "smallserial" | "serial4" | "serial8"
    );
    attributes(cursor, &mut facts);
    facts
}

fn attributes(mut cursor: Cursor<'_>, facts: &mut ColumnFacts) {
    while let Some(tok) = cursor.bump() {
        match tok.text.to_ascii_uppercase().as_str() {
            "NOT" if cursor.is("NULL") => facts.not_null = true,
            "DEFAULT" if tok.kind == TokenKind::Word => default_of(&mut cursor, facts),
            "PRIMARY" => {
                facts.not_null = true;
                facts.unique = true;
            }
            "UNIQUE" => facts.unique = true,
            "REFERENCES" => facts.references = true,
            "CHECK" => {
                facts.check = true;
                cursor.group();
            }
            "AUTO_INCREMENT" | "AUTOINCREMENT" | "IDENTITY" => facts.counter = true,
            "STORED" | "PERSISTENT" => facts.stored = true,
            "AS" if cursor.op("(") => {
                facts.is_virtual = true;
                cursor.group();
            }
            _ => {}
        }
    }
    facts.is_virtual &= !facts.stored;
}

fn default_of(cursor: &mut Cursor<'_>, facts: &mut ColumnFacts) {
    facts.default = !cursor.is("NULL");
    if cursor.op("(") {
        facts.default_computed = true;
    }
    let mut depth = 0_i32;
    while let Some(tok) = cursor.peek(0) {
        let ends = depth == 0 && tok.is_any(AFTER_TYPE) && !tok.is("NULL");
        if ends {
            break;
        }
        cursor.bump();
        match tok.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if tok.kind == TokenKind::Word && cursor.op("(") {
            facts.default_computed = true;
            facts.default_calls.push(tok.text.to_ascii_lowercase());
        }
        if tok.is_any(&["CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"]) {
            facts.default_calls.push(tok.text.to_ascii_lowercase());
        }
    }
}

/// Reads the clauses of an ALTER TABLE behind the table's name.
pub fn clauses(sql: &str, toks: &[Tok<'_>], table: &ObjectRef, grammar: &Grammar, ddl: &mut Ddl) {
    for clause in by_commas(toks) {
        let mut reader = Clause {
            sql,
            table,
            grammar,
            ddl,
            cursor: Cursor::over(clause),
        };
        if reader.read().is_none() {
            ddl.changes.push(Change::Opaque);
        }
    }
}

struct Clause<'a, 'd> {
    sql: &'a str,
    table: &'a ObjectRef,
    grammar: &'a Grammar,
    ddl: &'d mut Ddl,
    cursor: Cursor<'a>,
}

impl Clause<'_, '_> {
    fn push(&mut self, change: Change) -> Option<()> {
        self.ddl.changes.push(change);
        Some(())
    }

    fn ident(&mut self) -> Option<String> {
        self.cursor.ident(self.grammar.fold)
    }

    fn column(&self, name: String) -> ObjectRef {
        part(ObjectKind::Column, self.table, name)
    }

    /// `None`: not understood.
    fn read(&mut self) -> Option<()> {
        let verb = self.cursor.bump()?;
        let keys = self.grammar.keys_in_tables;
        match verb.text.to_ascii_uppercase().as_str() {
            "ADD" => self.add(),
            "DROP" => self.drop(),
            "RENAME" => self.rename(),
            "ALTER" => self.alter(),
            "MODIFY" if keys => self.modify(),
            "CHANGE" if keys => self.change(),
            "ENGINE" | "TYPE" if keys => {
                self.cursor.eat_op("=");
                self.ddl.storage = self.ident();
                self.push(Change::Quiet("ENGINE"))
            }
            "TRUNCATE" | "DISCARD" | "IMPORT" | "EXCHANGE" if keys => {
                self.ddl.rows = true;
                self.ddl.swap = verb.is("EXCHANGE");
                self.push(Change::Opaque)
            }
            "PARTITION" | "REORGANIZE" | "COALESCE" | "REMOVE" | "ORDER" => None,
            "ALGORITHM" | "LOCK" | "NOWAIT" | "WAIT" if keys => {
                self.cursor.eat_op("=");
                // Either others go on meanwhile, or the server refuses the statement.
                let online = (verb.is("LOCK") && self.cursor.is("NONE"))
                    || (verb.is("ALGORITHM") && self.cursor.is("INSTANT"));
                self.push(Change::Quiet(if online { "ONLINE" } else { "ALGORITHM" }))
            }
            "CONVERT" | "ROW_FORMAT" | "FORCE" | "COMMENT" | "AUTO_INCREMENT" | "DEFAULT"
            | "CHARACTER" | "CHARSET" | "COLLATE" | "KEY_BLOCK_SIZE" | "STATS_PERSISTENT"
            | "STATS_AUTO_RECALC" | "ENABLE" | "DISABLE" | "MAX_ROWS" | "MIN_ROWS"
            | "AVG_ROW_LENGTH" | "PACK_KEYS" | "CHECKSUM" | "COMPRESSION" | "ENCRYPTION"
                if keys =>
            {
                let word = if verb.is("CONVERT") || verb.is("ROW_FORMAT") || verb.is("FORCE") {
                    "REBUILD"
                } else {
                    "OPTION"
                };
                self.push(Change::Quiet(word))
            }
            _ if !keys => self.setting(verb),
            _ => None,
        }
    }

    /// Clauses that leave the table's columns and constraints as they are, where keys are no clauses.
    fn setting(&mut self, verb: &Tok<'_>) -> Option<()> {
        match verb.text.to_ascii_uppercase().as_str() {
            "SET" if self.cursor.eat(&["SCHEMA"]) => {
                let schema = Some(self.ident()?);
                let to = ObjectRef {
                    schema,
                    ..self.table.clone()
                };
                self.push(Change::Rename(self.table.clone(), to))
            }
            "SET"
                if self
                    .cursor
                    .is_any(&["LOGGED", "UNLOGGED", "TABLESPACE", "ACCESS"]) =>
            {
                self.ddl.unlogged |= self.cursor.is("UNLOGGED");
                self.push(Change::Quiet("REBUILD"))
            }
            "VALIDATE" => self.push(Change::Quiet("VALIDATE")),
            "ENABLE" | "DISABLE" if self.cursor.is_any(&["TRIGGER", "REPLICA", "ALWAYS"]) => {
                self.push(Change::Quiet("TRIGGER"))
            }
            "OWNER" | "SET" | "RESET" | "ENABLE" | "DISABLE" | "FORCE" | "NO" | "REPLICA"
            | "CLUSTER" | "INHERIT" => self.push(Change::Quiet("OPTION")),
            "ATTACH" => {
                self.push(Change::Quiet("ATTACH"))?;
                None
            }
            "DETACH" => {
                self.ddl.concurrently = self.cursor.rest().iter().any(|tok| tok.is("CONCURRENTLY"));
                None
            }
            _ => None,
        }
    }

    fn add(&mut self) -> Option<()> {
        let keys = self.grammar.keys_in_tables;
        let mut constraint = None;
        if self.cursor.eat(&["CONSTRAINT"]) {
            self.cursor
                .eat(&["IF", "NOT", "EXISTS"])
                .then(|| self.ddl.if_not_exists = true);
            if !self
                .cursor
                .is_any(&["PRIMARY", "FOREIGN", "UNIQUE", "CHECK", "EXCLUDE"])
            {
                constraint = Some(self.ident()?);
            }
            return self.add_constraint(constraint);
        }
        if self
            .cursor
            .is_any(&["PRIMARY", "FOREIGN", "UNIQUE", "EXCLUDE"])
            || (self.cursor.is("CHECK") && self.cursor.peek(1).is_some_and(|tok| tok.op("(")))
        {
            return self.add_constraint(constraint);
        }
        if keys
            && self
                .cursor
                .is_any(&["INDEX", "KEY", "FULLTEXT", "SPATIAL", "VECTOR"])
        {
            let special = self.cursor.eat_any(&["FULLTEXT", "SPATIAL", "VECTOR"]);
            self.cursor.eat_any(&["INDEX", "KEY"]);
            return self.add_index(None, false, special);
        }
        if keys && self.cursor.is_any(&["PARTITION", "PERIOD", "SYSTEM"]) {
            return None;
        }
        self.cursor.eat(&["COLUMN"]);
        if self.cursor.eat(&["IF", "NOT", "EXISTS"]) {
            self.ddl.if_not_exists = true;
        }
        if let Some(group) = self.cursor.group() {
            for definition in by_commas(group) {
                let mut cursor = Cursor::over(definition);
                if cursor.is_any(&[
                    "PRIMARY",
                    "FOREIGN",
                    "UNIQUE",
                    "CHECK",
                    "CONSTRAINT",
                    "INDEX",
                    "KEY",
                ]) {
                    return None;
                }
                let name = cursor.ident(self.grammar.fold)?;
                let facts = column_facts(self.sql, cursor.rest());
                self.push(Change::AddColumn(self.column(name), facts))?;
            }
            return Some(());
        }
        let name = self.ident()?;
        let facts = column_facts(self.sql, self.cursor.rest());
        self.push(Change::AddColumn(self.column(name), facts))
    }

    fn add_constraint(&mut self, name: Option<String>) -> Option<()> {
        let keys = self.grammar.keys_in_tables;
        let kind = match self.cursor.bump()?.text.to_ascii_uppercase().as_str() {
            "PRIMARY" => ConstraintKind::PrimaryKey,
            "FOREIGN" => ConstraintKind::ForeignKey,
            "UNIQUE" if keys => {
                self.cursor.eat_any(&["INDEX", "KEY"]);
                return self.add_index(name, true, false);
            }
            "UNIQUE" => ConstraintKind::Unique,
            "CHECK" => ConstraintKind::Check,
            "EXCLUDE" => ConstraintKind::Exclude,
            "NOT" => ConstraintKind::NotNull,
            _ => return None,
        };
        self.cursor.eat(&["KEY"]);
        let rest = self.cursor.rest();
        let cheap = rest.windows(2).any(|pair| {
            (pair[0].is("NOT") && pair[1].is("VALID"))
                || (pair[0].is("USING") && pair[1].is("INDEX"))
        }) || (rest.iter().any(|tok| tok.is("ENFORCED"))
            && rest.iter().any(|tok| tok.is("NOT")));
        let mut columns = vec![];
        if self.cursor.seek_group()
            && let Some(group) = self.cursor.group()
        {
            columns = by_commas(group)
                .into_iter()
                .filter_map(|part| Cursor::over(part).ident(self.grammar.fold))
                .collect();
        }
        let name = match (kind, self.grammar.primary) {
            (ConstraintKind::PrimaryKey, Some(primary)) => Some(primary.to_owned()),
            _ => name.or_else(|| (self.grammar.constraint_name)(&self.table.name, &columns, kind)),
        };
        let constraint = name.map(|name| part(ObjectKind::Constraint, self.table, name));
        self.push(Change::AddConstraint {
            constraint,
            kind,
            cheap,
        })
    }

    fn add_index(&mut self, constraint: Option<String>, unique: bool, special: bool) -> Option<()> {
        if self.cursor.eat(&["IF", "NOT", "EXISTS"]) {
            self.ddl.if_not_exists = true;
        }
        let mut name = None;
        if !self.cursor.op("(") && !self.cursor.is("USING") {
            name = Some(self.ident()?);
        }
        let name = name.or(constraint);
        let guessed = name.is_none();
        self.cursor.seek_group();
        let first = self
            .cursor
            .group()
            .and_then(|group| Cursor::over(group).ident(self.grammar.fold));
        let index = part(ObjectKind::Index, self.table, name.or(first)?);
        self.push(Change::AddIndex {
            index,
            guessed,
            unique,
            special,
        })
    }

    fn drop(&mut self) -> Option<()> {
        let keys = self.grammar.keys_in_tables;
        let if_exists = |cursor: &mut Cursor<'_>| cursor.eat(&["IF", "EXISTS"]);
        if self.cursor.eat(&["PRIMARY", "KEY"]) {
            let name = self.grammar.primary.unwrap_or("PRIMARY");
            let primary = part(ObjectKind::Constraint, self.table, name);
            return self.push(Change::DropConstraint(primary, ConstraintKind::PrimaryKey));
        }
        let kind = if self.cursor.eat(&["FOREIGN", "KEY"]) {
            Some(ConstraintKind::ForeignKey)
        } else if self.cursor.eat(&["CONSTRAINT"]) {
            Some(ConstraintKind::Unknown)
        } else if keys && self.cursor.eat(&["CHECK"]) {
            Some(ConstraintKind::Check)
        } else {
            None
        };
        if let Some(kind) = kind {
            if_exists(&mut self.cursor);
            let name = self.ident()?;
            self.ddl.cascade |= self.cursor.is("CASCADE");
            let constraint = part(ObjectKind::Constraint, self.table, name);
            return self.push(Change::DropConstraint(constraint, kind));
        }
        if keys && self.cursor.eat_any(&["INDEX", "KEY"]) {
            if_exists(&mut self.cursor);
            let name = self.ident()?;
            return self.push(Change::Drop(part(ObjectKind::Index, self.table, name)));
        }
        if keys && self.cursor.is_any(&["PARTITION", "PERIOD", "SYSTEM"]) {
            return None;
        }
        self.cursor.eat(&["COLUMN"]);
        if_exists(&mut self.cursor);
        let name = self.ident()?;
        self.ddl.cascade |= self.cursor.is("CASCADE");
        self.push(Change::Drop(self.column(name)))
    }

    fn rename(&mut self) -> Option<()> {
        if self.grammar.keys_in_tables && self.cursor.eat_any(&["INDEX", "KEY"]) {
            return self.rename_part(ObjectKind::Index);
        }
        if self.cursor.eat(&["CONSTRAINT"]) {
            return self.rename_part(ObjectKind::Constraint);
        }
        if self.cursor.eat(&["COLUMN"]) {
            return self.rename_part(ObjectKind::Column);
        }
        // `RENAME TO new` renames the table, `RENAME old TO new` a column; MySQL takes `RENAME new` and `RENAME AS new`.
        let column = self.cursor.peek(1).is_some_and(|tok| tok.is("TO")) && !self.cursor.is("TO");
        if column && !self.grammar.keys_in_tables {
            return self.rename_part(ObjectKind::Column);
        }
        let _ = self.cursor.eat_any(&["TO", "AS"]) || self.cursor.eat_op("=");
        let name = self.cursor.name(self.grammar.fold)?;
        let schema = name.schema.or_else(|| self.table.schema.clone());
        let to = ObjectRef {
            schema,
            name: name.name,
            ..self.table.clone()
        };
        self.push(Change::Rename(self.table.clone(), to))
    }

    fn rename_part(&mut self, kind: ObjectKind) -> Option<()> {
        self.ddl.if_exists |= self.cursor.eat(&["IF", "EXISTS"]);
        let from = self.ident()?;
        if !self.cursor.eat(&["TO"]) {
            return None;
        }
        let to = self.ident()?;
        self.push(Change::Rename(
            part(kind, self.table, from),
            part(kind, self.table, to),
        ))
    }

    /// `ALTER [COLUMN] c …`; of indexes and constraints only flags change.
    fn alter(&mut self) -> Option<()> {
        if self.grammar.keys_in_tables && self.cursor.is_any(&["INDEX", "CHECK", "CONSTRAINT"]) {
            return self.push(Change::Quiet("OPTION"));
        }
        if self.cursor.eat(&["CONSTRAINT"]) {
            return self.push(Change::Quiet("OPTION"));
        }
        self.cursor.eat(&["COLUMN"]);
        let name = self.ident()?;
        let column = self.column(name);
        if self.cursor.eat(&["SET", "DATA", "TYPE"]) || self.cursor.eat(&["TYPE"]) {
            let facts = column_facts(self.sql, self.cursor.rest());
            return self.push(Change::ColumnType(column, facts));
        }
        if self.cursor.eat(&["SET", "NOT", "NULL"]) {
            return self.push(Change::SetNotNull(column));
        }
        if self.cursor.eat(&["DROP", "NOT", "NULL"]) {
            return self.push(Change::DropNotNull(column));
        }
        let default = self.cursor.peek(1).is_some_and(|tok| tok.is("DEFAULT"));
        if default && self.cursor.is_any(&["SET", "DROP"]) {
            return self.push(Change::ColumnDefault(column));
        }
        let identity = self.cursor.is("ADD");
        if identity || self.cursor.is_any(&["SET", "DROP", "RESET", "RESTART"]) {
            return self.push(Change::Quiet(if identity { "IDENTITY" } else { "OPTION" }));
        }
        None
    }

    fn modify(&mut self) -> Option<()> {
        self.cursor.eat(&["COLUMN"]);
        self.cursor.eat(&["IF", "EXISTS"]);
        let name = self.ident()?;
        let facts = column_facts(self.sql, self.cursor.rest());
        self.push(Change::ColumnType(self.column(name), facts))
    }

    fn change(&mut self) -> Option<()> {
        self.cursor.eat(&["COLUMN"]);
        self.cursor.eat(&["IF", "EXISTS"]);
        let (from, to) = (self.ident()?, self.ident()?);
        let facts = column_facts(self.sql, self.cursor.rest());
        if !from.eq_ignore_ascii_case(&to) {
            self.push(Change::Rename(self.column(from), self.column(to.clone())))?;
        }
        self.push(Change::ColumnType(self.column(to), facts))
    }
}

impl Cursor<'_> {
    /// Goes on to the next group in parentheses, if there is one.
    fn seek_group(&mut self) -> bool {
        while !self.op("(") {
            if self.bump().is_none() {
                return false;
            }
        }
        true
    }
}
