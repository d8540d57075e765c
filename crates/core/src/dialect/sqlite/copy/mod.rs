//! Copies: what a column of SQLite holds, and how SQLite spells what a column of another engine held.

mod choose;
mod moments;
mod text;

use super::ddl::quote;
use super::dml::literal;
use crate::copy::guess;
use crate::copy::plan::Bounds;
use crate::copy::translate::expr::{Cast, Function, LikeKind, Now, Style};
use crate::copy::translate::kind::{Fold, Kind};
use crate::dialect::Caps;
use crate::dialect::copy::{
    Chosen, CopyDialect, Limits, Notes, Source, Spelled, Wants, call, known_as,
};
use crate::schema::{Catalog, Column, IndexPart, NamedType, NeutralType, Table};

/// Copies from and to SQLite.
#[derive(Debug, Clone, Copy)]
pub struct Copies;

/// What a copy calls a column of bits of which there may be more or fewer: zeros before them count.
const VARBIT: &str = "VARBIT_TEXT";

/// Whether the column is another name of the row's own number: the exact word INTEGER, alone in the primary key, and
/// not `INTEGER PRIMARY KEY DESC`, which an old slip of the engine's made an ordinary key.
fn alias(table: &Table, column: &Column) -> bool {
    let alone = table
        .keys
        .iter()
        .any(|key| key.primary && key.columns.len() == 1 && key.columns[0] == column.name);
    alone
        && column.native.eq_ignore_ascii_case("INTEGER")
        && !table.options.contains_key("without_rowid")
        && !text::descending_key(table, column)
}

fn bytes(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

fn function(function: Function, arguments: &[String]) -> Option<String> {
    let all = arguments.join(", ");
    Some(match function {
        Function::Length => format!("length({all})"),
        Function::Bytes => format!("length(CAST({all} AS BLOB))"),
        Function::Left => format!("substr({}, 1, {})", arguments.first()?, arguments.get(1)?),
        Function::Position => format!("instr({all})"),
        Function::Concat => format!("({})", arguments.join(" || ")),
        Function::JsonValid => format!("json_valid({all})"),
        Function::TypeOf | Function::If => return None,
        other => return call(other, &all),
    })
}

/// LIKE takes A and a for one; GLOB does not.
fn pattern(negated: bool, of: &str, pattern: &str, kind: LikeKind) -> Option<String> {
    let not = if negated { "NOT " } else { "" };
    match kind {
        LikeKind::Like { folds, escape } if folds || !pattern.chars().any(char::is_alphabetic) => {
            let escaped = escape.filter(|escape| pattern.contains(*escape));
            let escape = escaped.map_or(String::new(), |escape| {
                format!(" ESCAPE {}", literal(&escape.to_string()))
            });
            Some(format!("({of} {not}LIKE {}{escape})", literal(pattern)))
        }
        LikeKind::Like { escape, .. } => {
            if escape.is_some_and(|escape| pattern.contains(escape))
                || pattern.contains(['*', '?', '['])
            {
                return None;
            }
            let glob = pattern.replace('%', "*").replace('_', "?");
            Some(format!("({of} {not}GLOB {})", literal(&glob)))
        }
        LikeKind::Glob => Some(format!("({of} {not}GLOB {})", literal(pattern))),
        LikeKind::Regex => None,
    }
}

fn cast(to: Cast, of: &str) -> Option<String> {
    let ty = match to {
        Cast::Text => "TEXT",
        Cast::Int => "INTEGER",
        Cast::Float => "REAL",
        Cast::Decimal => return None,
    };
    Some(format!("CAST({of} AS {ty})"))
}

static STYLE: Style = Style {
    quote,
    text: literal,
    bytes,
    bits: literal,
    double_quoted: Some(true),
    backslash: false,
    pipes: true,
    booleans: false,
    same: ("{0} IS {1}", "{0} IS NOT {1}"),
    cuts: true,
    like: (true, None),
    function,
    pattern,
    cast,
    decimals: false,
};

/// The collation that folds so, or as near to it as there is one.
fn collation(fold: &Fold) -> Option<&'static str> {
    match fold {
        Fold::Ascii | Fold::Case(_) | Fold::Accents(_) => Some("NOCASE"),
        Fold::Spaces => Some("RTRIM"),
        Fold::None | Fold::Unknown => None,
    }
}

impl CopyDialect for Copies {
    fn kind_of(&self, of: &Source<'_>) -> Chosen {
        choose::kind_of(of)
    }

    fn takes_for_granted(&self, table: &Table, column: &Column) -> bool {
        // Without numbers of their own rows have no last ones to look at.
        !table.options.contains_key("without_rowid")
            && column.generated.is_none()
            && guess::granted(&column.neutral)
            && !choose::is_varbit(&column.native)
    }

    fn measures(&self) -> bool {
        true
    }

    fn proper(&self, native: &str) -> Result<String, &'static [&'static str]> {
        // Any words are a type here; what they mean its affinities say.
        Ok(native.trim().to_owned())
    }

    fn forced(&self, native: &str) -> (Kind, NeutralType) {
        choose::forced(native)
    }

    fn fold(&self, _table: &Table, column: &Column) -> Fold {
        column
            .collation
            .as_deref()
            .map_or(Fold::None, |name| self.fold_named(name))
    }

    fn fold_named(&self, collation: &str) -> Fold {
        match collation.to_ascii_uppercase().as_str() {
            "BINARY" => Fold::None,
            "NOCASE" => Fold::Ascii,
            "RTRIM" => Fold::Spaces,
            _ => Fold::Unknown,
        }
    }

    fn counter(&self, _catalog: &Catalog, table: &Table, column: &Column) -> Option<bool> {
        alias(table, column).then_some(false)
    }

    fn left_out(&self, _catalog: &Catalog, table: &Table) -> Option<&'static str> {
        table.options.contains_key("virtual").then_some(
            "a virtual table is made by a module of its engine; its shadow tables go with it",
        )
    }

    fn function(&self, name: &str) -> Option<Function> {
        Some(match name {
            "lower" => Function::Lower(true),
            "upper" => Function::Upper(true),
            "length" => Function::Length,
            "octet_length" => Function::Bytes,
            "ifnull" => Function::Coalesce,
            "substring" => Function::Substr,
            "trim" => Function::Trim,
            "instr" => Function::Position,
            "json_valid" => Function::JsonValid,
            "typeof" => Function::TypeOf,
            "iif" | "if" => Function::If,
            _ => return known_as(name),
        })
    }

    fn now(&self, spelled: &str) -> Option<Now> {
        Some(match spelled {
            "current_timestamp"
            | "datetime('now')"
            | "datetime()"
            | "datetime(current_timestamp)"
            | "strftime('%Y-%m-%d %H:%M:%S','now')"
            | "strftime('%y-%m-%d %h:%m:%s','now')" => Now::Utc(0),
            "datetime('now','localtime')" | "datetime(current_timestamp,'localtime')" => {
                Now::Local(0)
            }
            "strftime('%y-%m-%d %h:%m:%f','now')"
            | "datetime('now','subsec')"
            | "datetime('now','subsecond')" => Now::Utc(3),
            "current_date" | "date('now')" | "date()" => Now::Date,
            "current_time" | "time('now')" | "time()" => Now::Time,
            "strftime('%s','now')"
            | "unixepoch()"
            | "unixepoch('now')"
            | "cast(strftime('%s','now')asinteger)"
            | "cast(strftime('%s','now')asint)" => Now::Seconds,
            "strftime('%s','now')*1000" => Now::Milliseconds,
            "lower(hex(randomblob(16)))" => Now::Hex(16),
            "random()" => Now::Random,
            _ => return None,
        })
    }

    fn style(&self) -> &'static Style {
        &STYLE
    }

    fn spell(&self, kind: &Kind, wants: &Wants<'_>) -> Spelled {
        let mut spelled = spell(kind, wants);
        spelled.bounds.nul = true;
        let texts = matches!(kind, Kind::Text { .. } | Kind::Enum { .. });
        let folds = collation(wants.fold).filter(|_| texts || *wants.fold == Fold::Spaces);
        spelled.collation = folds.map(str::to_owned);
        spelled
    }

    fn folds_less(&self, fold: &Fold) -> bool {
        matches!(fold, Fold::Case(_) | Fold::Accents(_))
    }

    fn fold_part(&self, _column: &str, _fold: &Fold) -> Option<(IndexPart, Option<NamedType>)> {
        None
    }

    fn own_part(&self, column: &str, fold: &Fold) -> Option<IndexPart> {
        let collation = collation(fold).unwrap_or("BINARY").to_owned();
        Some(IndexPart {
            collation: Some(collation),
            ..IndexPart::column(column)
        })
    }

    fn write_now(&self, now: Now, kind: &Kind, _caps: &Caps) -> Option<String> {
        let moment = matches!(
            kind,
            Kind::Timestamp(_) | Kind::TimestampTz(_) | Kind::Text { .. }
        );
        let zoned = matches!(kind, Kind::TimestampTz(_));
        Some(match now {
            // With an offset, as its values are kept here.
            Now::Utc(_) | Now::Local(_) if zoned => {
                "strftime('%Y-%m-%d %H:%M:%f+00', 'now')".into()
            }
            Now::Utc(0) if moment => "CURRENT_TIMESTAMP".into(),
            Now::Utc(_) if moment => "strftime('%Y-%m-%d %H:%M:%f', 'now')".into(),
            Now::Local(0) if moment => "datetime('now', 'localtime')".into(),
            Now::Local(_) if moment => "strftime('%Y-%m-%d %H:%M:%f', 'now', 'localtime')".into(),
            Now::Date | Now::Utc(_) | Now::Local(_) if *kind == Kind::Date => {
                "CURRENT_DATE".into()
            }
            Now::Time if matches!(kind, Kind::Time(_) | Kind::Text { .. }) => "CURRENT_TIME".into(),
            Now::Seconds if matches!(kind, Kind::Int { .. }) => "unixepoch()".into(),
            Now::Uuid => {
                "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' \
                 || substr('89ab', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || \
                 hex(randomblob(6)))"
                    .into()
            }
            Now::Hex(n) => format!("lower(hex(randomblob({n})))"),
            Now::Random => "random()".into(),
            _ => return None,
        })
    }

    fn wrap_default(&self, text: String, native: &str) -> String {
        // A number would be spelled by SQLite itself: 0.00 as 0.0.
        if native.starts_with("DECIMAL_TEXT") && text.parse::<f64>().is_ok() {
            literal(&text)
        } else {
            text
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            name_max: 1_000,
            name_bytes: false,
            fold_case: true,
            index_of_table: false,
            check_of_table: true,
            foreign_of_table: true,
            columns: 2_000,
            schemas: false,
            virtual_columns: true,
            computed_of_computed: true,
            computed_of_counters: true,
            binds: false,
        }
    }

    fn numbers(&self, _always: bool) -> &'static str {
        "AUTOINCREMENT"
    }

    fn finish(&self, catalog: &mut Catalog, _caps: &Caps, notes: &mut Notes) {
        comments(catalog, notes);
        text::write(catalog, notes);
    }

    fn adapt(&self, _catalog: &mut Catalog, _from: &Caps, _to: &Caps, _notes: &mut Notes) {}
}

/// SQLite has no place for comments: each is named, with its text.
fn comments(catalog: &mut Catalog, notes: &mut Notes) {
    const WHY: &str = "the target keeps no comments";
    for table in &mut catalog.tables {
        let label = table.label();
        if let Some(comment) = table.comment.take() {
            notes.lack(format!("comment of {label}"), WHY, Some(comment));
        }
        for column in &mut table.columns {
            if let Some(comment) = column.comment.take() {
                let object = format!("comment of {label}.{}", column.name);
                notes.lack(object, WHY, Some(comment));
            }
        }
    }
}

/// A declared type whose affinity keeps the values exactly, and by whose name our own reading knows them again.
fn spell(kind: &Kind, wants: &Wants<'_>) -> Spelled {
    let worded = |native: &str, ty: NeutralType, word: &'static str| Spelled {
        word: Some(word),
        ..Spelled::new(native, ty)
    };
    match kind {
        Kind::Bool => worded("BOOLEAN", NeutralType::Bool, "boolean-as-number"),
        Kind::Int { .. } if wants.counter => {
            let mut spelled = Spelled::new("INTEGER", NeutralType::Int);
            spelled.bounds.int = Some((i128::from(i64::MIN), i128::from(i64::MAX)));
            spelled
        }
        Kind::Int { bits, unsigned } => integer(*bits, *unsigned, wants),
        Kind::Decimal { digits } => {
            let native = digits.map_or("DECIMAL_TEXT".to_owned(), |(all, scale)| {
                format!("DECIMAL_TEXT({all},{scale})")
            });
            let mut spelled = worded(&native, NeutralType::Decimal, "decimal-as-text");
            spelled.bounds.digits = digits.map(|(all, scale)| (all.saturating_sub(scale), scale));
            spelled
        }
        Kind::Float { .. } => {
            let mut spelled = Spelled::new("REAL", NeutralType::Float);
            // NaN would become NULL in silence.
            spelled.bounds.finite = true;
            spelled
        }
        Kind::Text { chars: Some(n), .. } => {
            Spelled::new(format!("VARCHAR({n})"), NeutralType::Text)
        }
        Kind::Text { .. } => Spelled::new("TEXT", NeutralType::Text),
        Kind::Bytes { .. } => Spelled::new("BLOB", NeutralType::Bytes),
        Kind::Date => worded("DATE", NeutralType::Date, "moment-as-text"),
        Kind::Time(_) | Kind::Span(_) => worded("TIME", NeutralType::Time, "moment-as-text"),
        Kind::Timestamp(_) => worded("TIMESTAMP", NeutralType::Timestamp, "moment-as-text"),
        Kind::TimestampTz(_) => worded("TIMESTAMPTZ", NeutralType::TimestampTz, "moment-as-text"),
        Kind::Json { .. } => Spelled {
            check: Some(format!("json_valid({})", quote(wants.place.1))),
            ..worded("JSON_TEXT", NeutralType::Json, "json-as-text")
        },
        Kind::Uuid => worded("UUID", NeutralType::Uuid, "uuid-as-text"),
        Kind::Bits { len, varying } => bits(*len, *varying),
        Kind::Enum { labels, .. } => {
            let mut spelled = worded("TEXT", NeutralType::Text, "enum-as-text");
            let list: Vec<String> = labels.iter().map(|label| literal(label)).collect();
            spelled.check = Some(format!("{} IN ({})", quote(wants.place.1), list.join(", ")));
            spelled.bounds = Bounds {
                labels: Some(labels.clone()),
                ..Bounds::default()
            };
            spelled
        }
        Kind::Set(labels) => Spelled {
            check: Some(members(&quote(wants.place.1), labels)),
            ..worded("TEXT", NeutralType::Text, "set-as-text")
        },
        Kind::Interval => worded("TEXT", NeutralType::Text, "interval-as-text"),
        Kind::Geometry => worded("BLOB", NeutralType::Bytes, "geometry-as-bytes"),
        Kind::Any => Spelled::new("", NeutralType::any()),
        Kind::Other(_) => worded("TEXT", NeutralType::Text, "other-as-text"),
    }
}

fn bits(len: Option<u64>, varying: bool) -> Spelled {
    let (name, ty) = match varying {
        true => (VARBIT, NeutralType::Text),
        false => ("BIT_TEXT", NeutralType::Bits),
    };
    let native = len.map_or(name.to_owned(), |len| format!("{name}({len})"));
    let mut spelled = Spelled {
        word: Some("bits-as-text"),
        ..Spelled::new(native, ty)
    };
    // As many as the type has, as in its defaults.
    spelled.bounds.chars = len.filter(|_| !varying);
    spelled
}

/// That a text is a list of these labels: each taken out with commas of its own, nothing is left.
fn members(column: &str, labels: &[String]) -> String {
    let all = format!("',' || replace({column}, ',', ',,') || ','");
    let left = labels.iter().fold(all, |left, label| {
        format!("replace({left}, {}, '')", literal(&format!(",{label},")))
    });
    format!("{column} = '' OR {left} = ''")
}

fn integer(bits: u16, unsigned: bool, wants: &Wants<'_>) -> Spelled {
    let largest = wants.profile.and_then(|profile| profile.int_range);
    let wide = largest.is_some_and(|(_, most)| most > i128::from(i64::MAX));
    if unsigned && bits == 64 && wide {
        // As an INTEGER it would become a double, and lose its last digits.
        return Spelled {
            word: Some("number-as-text"),
            ..Spelled::new("DECIMAL_TEXT(20,0)", NeutralType::Decimal)
        };
    }
    let native = match bits {
        8 | 16 => "SMALLINT",
        24 | 32 => "INTEGER",
        _ => "BIGINT",
    };
    let mut spelled = Spelled::new(native, NeutralType::Int);
    let least = if unsigned { 0 } else { i128::from(i64::MIN) };
    spelled.bounds.int = Some((least, i128::from(i64::MAX)));
    spelled
}
