//! One room per engine, each with the same file names; this page says what every room must answer.
//!
//! A dialect is pure: it renders SQL, tells what a statement is and what a native error means. It never talks to a server.

pub mod aside;
pub mod bulk;
pub mod catalog;
pub mod change;
pub mod checks;
pub mod copy;
pub mod forms;
pub mod journal;
pub mod landing;
pub mod mend;
pub mod mysql;
pub mod parts;
pub mod postgres;
pub mod preflight;
pub mod rules;
pub mod sqlite;
pub mod steps;
pub mod tried;

use crate::copy::Typing;
use crate::copy::reading::{Bound, ColumnShape, TableShape};
use crate::facts::TableSize;
use crate::failure::ErrorClass;
use crate::schema::NeutralType;
use crate::sql::{Condition, LexMode, LexRules, ObjectRef, StatementClass};
use crate::value::{Query, Row};
pub use journal::{JournalNames, JournalSql, LeaseSql, UndoSql};

/// What the names of scratch databases begin with; what follows is another each time.
pub const SCRATCH_DATABASE: &str = "dunlin_scratch_";

/// The four engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// Oracle MySQL and servers that call themselves so.
    Mysql,
    /// MariaDB.
    Mariadb,
}

impl EngineKind {
    /// All of them.
    pub const ALL: [EngineKind; 4] = [
        EngineKind::Sqlite,
        EngineKind::Postgres,
        EngineKind::Mysql,
        EngineKind::Mariadb,
    ];
}

impl EngineKind {
    /// The engine whose dialect it speaks: types of one family go over as they are.
    pub const fn family(self) -> EngineKind {
        match self {
            EngineKind::Mariadb => EngineKind::Mysql,
            engine => engine,
        }
    }
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            EngineKind::Sqlite => "sqlite",
            EngineKind::Postgres => "postgres",
            EngineKind::Mysql => "mysql",
            EngineKind::Mariadb => "mariadb",
        })
    }
}

/// A table that is a mark: it has no rows of interest, it is there or not.
#[derive(Debug, Clone, Default)]
pub struct Mark {
    /// Its name, unquoted.
    pub name: String,
    /// Makes it; safe to repeat.
    pub create: String,
    /// Drops it; safe to repeat.
    pub drop: String,
}

/// What a server can do, decided once from its version.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Caps {
    /// Which engine answers (by the server's word, never by the URL).
    pub engine: EngineKind,
    /// The version as the server spells it.
    pub version_text: String,
    /// Major, minor, patch.
    pub version: (u32, u32, u32),
    /// DDL can be rolled back.
    pub transactional_ddl: bool,
    /// An index can be built without blocking writes, outside of a transaction.
    pub concurrent_index: bool,
    /// Longest identifier, in bytes (PostgreSQL) or characters.
    pub identifier_max: usize,
    /// Tables may have different storage engines, so transactional or not is a property of a table.
    pub storage_engines: bool,
    /// A default schema name that stands for "unqualified".
    pub default_schema: Option<String>,
}

/// What an engine's room answers.
pub trait Dialect: Send + Sync + std::fmt::Debug {
    /// The URL schemes that mean this engine.
    fn schemes(&self) -> &'static [&'static str];
    /// Caps from the version that the server states.
    fn caps(&self, version: &str) -> Caps;
    /// How scripts are lexed.
    fn lex_rules(&self, mode: &LexMode) -> LexRules;
    /// An identifier, quoted.
    fn quote(&self, identifier: &str) -> String;
    /// A text literal, for the few places where a value cannot be bound (DDL, `SET`).
    fn literal(&self, text: &str) -> String;
    /// The mark of parameter `n`, from 1.
    fn param(&self, n: usize) -> String;
    /// What a statement is. `sql` is one statement without its delimiter.
    fn classify(&self, sql: &str, mode: &LexMode) -> StatementClass;
    /// The statement as it is sent, where it must say more than its author did: an index that is built outside of a
    /// transaction needs a name by which an interrupted build is found. `None`: as it stands.
    fn completed(&self, sql: &str) -> Option<String>;
    /// What kind of trouble a native code (SQLSTATE, errno, result code) and message are.
    fn error_class(&self, code: &str, message: &str) -> ErrorClass;
    /// What to do about an error, where more than the class can be said.
    fn error_hint(&self, code: &str, message: &str) -> Option<String>;
    /// A query that answers one boolean: whether the condition holds. `None`: this engine cannot tell.
    fn probe(&self, condition: &Condition) -> Option<Query>;
    /// A query whose rows are the catalog fingerprint of one object. Where it is absent there are no rows, or the
    /// query fails with the class `ObjectMissing` or `DatabaseMissing`: both mean absent.
    fn fingerprint(&self, object: &ObjectRef) -> Option<Query>;
    /// The text of a fingerprint's rows, free of what rows change by themselves (counters): this is what is hashed.
    /// `None`: absent.
    fn read_fingerprint(&self, rows: &[Row]) -> Option<String>;
    /// Whether a fingerprint of a table shows this column or index of it. `None`: it does not tell, and is asked by
    /// [`Dialect::probe`]. Never a guess: what is told here settles doubts.
    fn presence_in(&self, _fingerprint: &str, _part: &ObjectRef) -> Option<bool> {
        None
    }
    /// Whether changes to the table of this fingerprint are transactional. `None`: it does not tell.
    fn storage_in(&self, _fingerprint: &str) -> Option<bool> {
        None
    }
    /// The modes in which what follows a statement may be read, where the statement sets one: several where only the
    /// server knows. None: it sets none. `before`: the statements of the script before it.
    fn modes_after(&self, _sql: &str, _before: &[&str], _mode: &LexMode) -> Vec<LexMode> {
        vec![]
    }
    /// The fingerprint of a table without the index that the server makes by itself for a foreign key of this name, and the
    /// statement that drops that. `None`: there is none.
    fn without_index_of(&self, _fingerprint: &str, _key: &ObjectRef) -> Option<(String, String)> {
        None
    }
    /// A query for what an interrupted build left behind unusable: an index of this name and what its rebuild makes for
    /// a time; of a table, a schema or a database what rebuilds make for a time. Schema, name, the statement that drops
    /// it. `None`: this engine leaves none.
    fn invalid_index(&self, index: &ObjectRef) -> Option<Query>;
    /// What a server may be waiting for that does not answer COMMIT, for people; `None`: it fails instead.
    fn slow_commit(&self) -> Option<&'static str>;
    /// A query for the sizes of all tables of the current database.
    fn table_sizes(&self) -> Query;
    /// Reads a row of [`Dialect::table_sizes`].
    fn read_table_size(&self, row: &Row) -> Option<TableSize>;
    /// A query for the columns of tables of these names (in lower case, compared without regard to case) in these
    /// schemas, where the engine has schemas: schema (NULL: the only one), table, column; by table, in its order.
    fn columns_of(&self, schemas: &[&str], tables: &[&str]) -> Query;
    /// A query for the number of a table's rows.
    fn count_rows(&self, schema: Option<&str>, table: &str) -> Query {
        let table = match schema {
            Some(schema) => format!("{}.{}", self.quote(schema), self.quote(table)),
            None => self.quote(table),
        };
        Query::new(format!("SELECT count(*) FROM {table}"), vec![])
    }
    /// A query that reads and compares the first `rows` rows of a table on the server and sends one number: what
    /// calibrates estimates.
    fn sample(&self, schema: Option<&str>, table: &str, rows: u64) -> Query {
        let table = match schema {
            Some(schema) => format!("{}.{}", self.quote(schema), self.quote(table)),
            None => self.quote(table),
        };
        // Every value is looked at: a mere count would pass over what the rows hold.
        let sql = format!(
            "SELECT count(*) FROM (SELECT DISTINCT * FROM (SELECT * FROM {table} LIMIT {rows}) AS batch) AS sample"
        );
        Query::new(sql, vec![])
    }
    /// A query for the value of a row: the column `value` where the column `key` is this.
    fn setting(&self, table: &str, key: &str, value: &str, is: &str) -> Query {
        let sql = format!(
            "SELECT {} FROM {} WHERE {} = {}",
            self.quote(value),
            table
                .split('.')
                .map(|part| self.quote(part))
                .collect::<Vec<_>>()
                .join("."),
            self.quote(key),
            self.param(1)
        );
        Query::new(sql, vec![is.into()])
    }
    /// The SQL of the journal.
    fn journal(&self, names: &JournalNames) -> JournalSql;
    /// Why one of these texts (statements of a script; routines, triggers and views that they may set off) may reach
    /// beyond its database, whose neighbours have the names `others`. `None`: none does, and they may be run again in a
    /// copy beside it. In doubt it is a way out.
    fn reaches_out(&self, texts: &[&str], mode: &LexMode, others: &[String]) -> Option<String>;
    /// What must be watched while these statements of one transaction run, so that nothing is lost in silence.
    fn guard(&self, statements: &[StatementClass]) -> Option<Guard>;
    /// A query for the storage of these tables: schema, name, transactional (boolean). `None`: always transactional.
    fn storage(&self, tables: &[ObjectRef]) -> Option<Query>;
    /// The SQL of the lease; `None` where the engine's lock is a file beside the database.
    fn lease(&self, names: &JournalNames) -> Option<LeaseSql>;
    /// A query for what a backup's manifest says of the database: name, value; charset, collation, encoding, owner,
    /// extensions, as far as the engine has such.
    fn database_facts(&self) -> Query;
    /// How bulk rows are read.
    fn rows(&self) -> &'static dyn RowsDialect;
    /// How rows are put back and changed in bulk.
    fn change(&self) -> &'static dyn change::ChangeDialect;
    /// What a server is asked before a plan begins.
    fn preflight(&self) -> &'static dyn preflight::PreflightDialect;
    /// How catalogs are read, and their parts rendered.
    fn catalog(&self) -> &'static dyn catalog::CatalogDialect;
    /// What columns hold and how they are spelled, for copies between engines.
    fn copy(&self) -> &'static dyn copy::CopyDialect;
    /// How a plan's steps are rendered, and what takes them back.
    fn steps(&self) -> &'static dyn steps::StepDialect;
    /// How plans' checks ask.
    fn checks(&self) -> &'static dyn checks::ChecksDialect;
    /// How it is one end of a copy.
    fn landing(&self) -> &'static dyn landing::LandingDialect;
    /// How rows are loaded.
    fn bulk(&self) -> &'static dyn bulk::BulkDialect;
    /// How rows are set aside that a key refuses.
    fn aside(&self) -> &'static dyn aside::AsideDialect;
    /// How integrity rules ask and tidy.
    fn rules(&self) -> &'static dyn rules::RulesDialect;
}

/// Reading whole tables, for digests, backups and copies.
pub trait RowsDialect: Send + Sync + std::fmt::Debug {
    /// Whether columns bind the types of their values.
    fn typing(&self) -> Typing;
    /// A query for the columns of all tables: schema (NULL: the default one), table, whether its rows are its own,
    /// column, native type, whether it is generated, and one more text that [`RowsDialect::neutral`] may need; by
    /// table, in the table's order. Tables without columns have one row with a NULL column.
    fn shapes(&self, caps: &Caps) -> Query;
    /// The neutral type of a native one; `more` is the last column of [`RowsDialect::shapes`].
    fn neutral(&self, native: &str, more: &str) -> NeutralType;
    /// The query for a table's rows: its columns in the order of the binding, each in the form in which sessions hand
    /// it over exactly.
    fn select(&self, table: &Bound) -> String;
    /// The `FROM` of that query.
    fn from(&self, table: &Bound) -> String;
    /// What stands for a row's place in its table where it is read in parts, quoted: a whole number that no two rows
    /// share and by which the engine finds rows. `columns`: all of the table. `key`: the one column of the primary key,
    /// where it holds whole numbers. `None`: the table is read as a whole.
    fn place(&self, columns: &[&str], key: Option<&str>) -> Option<String>;
    /// The last characters of a column of texts, as an expression that equals every literal of the very same characters
    /// (and, by a collation, others maybe). `None`: nothing is gained by asking for them.
    fn ending(&self, _column: &ColumnShape, _chars: usize) -> Option<String> {
        None
    }
    /// What a column so declared makes of numbers and of texts that spell them.
    fn leaning(&self, _native: &str) -> Leaning {
        Leaning::None
    }
    /// Whether a column so declared keeps one value of each key of a JSON object.
    fn one_of_each_key(&self, _native: &str) -> bool {
        false
    }
    /// A query by a key (quoted), where rows lie in another order and the engine comes to them by the key without sorting.
    fn ordered(&self, _select: &str, _key: &[String]) -> Option<String> {
        None
    }
    /// Statements that begin a transaction which only reads and sees one state of the database throughout.
    fn snapshot(&self) -> &'static [&'static str];
    /// The statement that ends it.
    fn snapshot_end(&self) -> &'static str;
    /// Exports the snapshot of the open transaction, so that a tool reads the same state: a query for its name.
    fn snapshot_export(&self) -> Option<&'static str>;
    /// The statement that puts so many rows back, every value bound in the order of the columns, row by row; and whether
    /// values are bound as text, which the statement casts.
    fn insert(&self, table: &Bound, rows: usize) -> (String, bool);
    /// The statement that puts one row back of which these values are texts that are no UTF-8, bound as their bytes;
    /// `None`: the engine holds no such texts.
    fn insert_texts(&self, _table: &Bound, _texts: &[bool]) -> Option<String> {
        None
    }
    /// The statement that makes a table for exported rows in a database file: columns and nothing else. `declared`:
    /// the columns' native types are this engine's own. `None`: databases are no files.
    fn plain_table(&self, _table: &Bound, _declared: bool) -> Option<String> {
        None
    }
    /// What a session needs before rows are put back exactly as they were (beside what a dump begins with).
    fn load_begin(&self) -> &'static [&'static str];
    /// A query for the names of the databases of this server, for the scratch ones that a killed run left; `None` where
    /// databases are files.
    fn databases(&self) -> Option<&'static str>;
}

/// What a column whose values have classes of their own makes of numbers and of texts that spell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaning {
    /// It takes them as they are.
    None,
    /// They become numbers, whole ones where they are whole.
    Number,
    /// They become doubles.
    Double,
}

/// Groups the rows of [`RowsDialect::shapes`] into tables.
pub fn read_shapes(dialect: &dyn RowsDialect, rows: &[Row]) -> Vec<TableShape> {
    let mut tables: Vec<TableShape> = vec![];
    for row in rows {
        let [schema, table, own_rows, column, native, generated, more] = row.as_slice() else {
            continue;
        };
        let schema = schema.as_str().map(str::to_owned);
        let Some(name) = table.as_str() else { continue };
        if tables
            .last()
            .is_none_or(|last| last.name != name || last.schema != schema)
        {
            let own_rows = own_rows.as_bool().unwrap_or(true);
            tables.push(TableShape {
                schema,
                name: name.to_owned(),
                own_rows,
                columns: vec![],
            });
        }
        let (Some(column), Some(last)) = (column.as_str(), tables.last_mut()) else {
            continue;
        };
        let native = native.as_str().unwrap_or_default();
        last.columns.push(ColumnShape {
            name: column.to_owned(),
            native: native.to_owned(),
            ty: dialect.neutral(native, more.as_str().unwrap_or_default()),
            generated: generated.as_bool().unwrap_or(false),
        });
    }
    tables
}

/// What must be watched while a transaction runs: switches set before it and put back after it, and numbers that must
/// not move the wrong way between its begin and its commit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guard {
    /// Switches: a query for the present value, the statement that sets the value wanted, and the statement that puts
    /// the old one back (`{}` stands for it). They run outside of the transaction.
    pub switches: Vec<Switch>,
    /// Numbers compared.
    pub watches: Vec<Watch>,
}

/// One switch of a [`Guard`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// Asks for the present value.
    pub read: String,
    /// Sets the value wanted.
    pub set: String,
    /// Puts the old value back; `{}` stands for it.
    pub restore: String,
}

/// One number of a [`Guard`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The finding code where it moves the wrong way; an `allow` of it lets it pass.
    pub code: &'static str,
    /// Asks for the number before the first statement.
    pub before: String,
    /// Asks for it before the commit.
    pub after: String,
    /// Whether it may not grow; otherwise it may not shrink.
    pub may_not_grow: bool,
    /// What it counts: `rows of kb_entries`.
    pub what: String,
}

/// The dialects of this build, in the order in which the guide names them.
pub fn all() -> [&'static dyn Dialect; 3] {
    [&sqlite::Sqlite, &postgres::Postgres, &mysql::Mysql]
}

/// The dialect of the engine that answers.
pub fn of_engine(engine: EngineKind) -> &'static dyn Dialect {
    match engine {
        EngineKind::Sqlite => &sqlite::Sqlite,
        EngineKind::Postgres => &postgres::Postgres,
        EngineKind::Mysql | EngineKind::Mariadb => &mysql::Mysql,
    }
}

/// The dialect of a URL's scheme.
pub fn by_url(url: &str) -> Option<&'static dyn Dialect> {
    let scheme = url.split(':').next()?.to_ascii_lowercase();
    all()
        .into_iter()
        .find(|dialect| dialect.schemes().contains(&scheme.as_str()))
}

/// The first three numbers of a version text; what is missing is 0.
pub fn version_numbers(text: &str) -> (u32, u32, u32) {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty());
    let mut next = || {
        numbers
            .next()
            .and_then(|part| part.parse().ok())
            .unwrap_or(0)
    };
    (next(), next(), next())
}

/// All values of some rows as one text, unambiguous; `None` for no rows.
pub fn rows_text(rows: &[Row]) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let mut text = String::new();
    for value in rows.iter().flatten() {
        match value {
            crate::value::Value::Null => text.push_str("\u{1}NULL"),
            value => match value.as_str() {
                Some(part) => text.push_str(part),
                None => text.push_str(&format!("{value:?}")),
            },
        }
        text.push('\u{1f}');
    }
    Some(text)
}

/// Reads a row of sizes: schema, name, rows, bytes, storage, transactional. Every engine's query has this order.
fn table_size_row(row: &Row) -> Option<TableSize> {
    let [schema, name, rows, bytes, storage, transactional] = row.as_slice() else {
        return None;
    };
    let number = |value: &crate::value::Value| value.as_i64().and_then(|n| u64::try_from(n).ok());
    Some(TableSize {
        schema: schema.as_str().map(str::to_owned),
        name: name.as_str()?.to_owned(),
        rows: number(rows),
        bytes: number(bytes),
        storage: storage.as_str().map(str::to_owned),
        transactional: transactional.as_bool()?,
    })
}
