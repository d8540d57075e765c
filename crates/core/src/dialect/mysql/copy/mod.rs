//! Copies: what a column of MySQL or MariaDB holds, and how they spell what a column of another engine held.

mod adapt;
mod finish;
mod source;
mod spell;

use super::ddl::quote;
use crate::copy::translate::expr::{Cast, Function, LikeKind, Now, Style};
use crate::copy::translate::kind::{Fold, Kind};
use crate::dialect::Caps;
use crate::dialect::copy::{
    self, Chosen, CopyDialect, Limits, Notes, Source, Spelled, Wants, call, known_as,
};
use crate::schema::{Catalog, Column, IndexPart, NamedType, NeutralType, Table};

/// Copies from and to MySQL and MariaDB.
#[derive(Debug, Clone, Copy)]
pub struct Copies;

/// A literal in a server's default mode, where a backslash escapes.
fn literal(text: &str) -> String {
    super::dml::literal(&text.replace('\\', "\\\\"))
}

fn bytes(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

fn function(function: Function, arguments: &[String]) -> Option<String> {
    let all = arguments.join(", ");
    Some(match function {
        Function::Length => format!("char_length({all})"),
        Function::Bytes => format!("octet_length({all})"),
        Function::Left => format!("left({all})"),
        Function::Position => format!("instr({all})"),
        Function::Concat => format!("concat({all})"),
        Function::JsonValid => format!("json_valid({all})"),
        Function::TypeOf | Function::If => return None,
        other => return call(other, &all),
    })
}

/// Text columns of a copy have collations that tell A from a, unless the source's did not.
fn pattern(negated: bool, of: &str, pattern: &str, kind: LikeKind) -> Option<String> {
    let not = if negated { "NOT " } else { "" };
    match kind {
        LikeKind::Like { folds, escape } => {
            let letters = pattern.chars().any(char::is_alphabetic);
            let escape = copy::escape(pattern, escape, literal);
            if folds && letters {
                if !pattern.is_ascii() {
                    return None;
                }
                let lower = literal(&pattern.to_ascii_lowercase());
                return Some(format!("(lower({of}) {not}LIKE {lower}{escape})"));
            }
            Some(format!("({of} {not}LIKE {}{escape})", literal(pattern)))
        }
        LikeKind::Glob if !pattern.contains(['[', '%', '_', '\\']) => {
            let like = pattern.replace('*', "%").replace('?', "_");
            Some(format!("({of} {not}LIKE {})", literal(&like)))
        }
        LikeKind::Glob | LikeKind::Regex => None,
    }
}

fn cast(to: Cast, of: &str) -> Option<String> {
    let ty = match to {
        Cast::Text => "CHAR",
        Cast::Int => "SIGNED",
        Cast::Float => return None,
        Cast::Decimal => return None,
    };
    Some(format!("CAST({of} AS {ty})"))
}

static STYLE: Style = Style {
    quote,
    text: literal,
    bytes,
    bits: |digits| format!("b'{digits}'"),
    double_quoted: Some(false),
    backslash: true,
    pipes: false,
    booleans: false,
    same: ("{0} <=> {1}", "NOT ({0} <=> {1})"),
    cuts: false,
    like: (true, Some('\\')),
    function,
    pattern,
    cast,
    decimals: true,
};

impl CopyDialect for Copies {
    fn kind_of(&self, of: &Source<'_>) -> Chosen {
        source::kind_of(of)
    }

    fn takes_for_granted(&self, _table: &Table, _column: &Column) -> bool {
        false
    }

    fn measures(&self) -> bool {
        true
    }

    fn proper(&self, native: &str) -> Result<String, &'static [&'static str]> {
        source::proper(native)
    }

    fn forced(&self, native: &str) -> (Kind, NeutralType) {
        source::forced(native)
    }

    fn fold(&self, table: &Table, column: &Column) -> Fold {
        if column.neutral != NeutralType::Text {
            return Fold::None;
        }
        let of_table = table.options.get("collation");
        let collation = column.collation.as_ref().or(of_table);
        collation.map_or(Fold::None, |name| self.fold_named(name))
    }

    fn fold_named(&self, collation: &str) -> Fold {
        source::fold(collation)
    }

    fn folds_more(&self, fold: &Fold) -> bool {
        *fold == Fold::Ascii
    }

    fn counter(&self, _catalog: &Catalog, _table: &Table, column: &Column) -> Option<bool> {
        column.identity.as_ref().map(|_| false)
    }

    fn left_out(&self, _catalog: &Catalog, _table: &Table) -> Option<&'static str> {
        None
    }

    fn function(&self, name: &str) -> Option<Function> {
        Some(match name {
            "lower" | "lcase" => Function::Lower(false),
            "upper" | "ucase" => Function::Upper(false),
            "char_length" | "character_length" => Function::Length,
            "length" | "octet_length" => Function::Bytes,
            "ifnull" => Function::Coalesce,
            "substring" | "mid" => Function::Substr,
            "left" => Function::Left,
            "trim" => Function::Trim,
            "instr" => Function::Position,
            "concat" => Function::Concat,
            "json_valid" => Function::JsonValid,
            "if" => Function::If,
            _ => return known_as(name),
        })
    }

    fn now(&self, spelled: &str) -> Option<Now> {
        let (name, digits) = match spelled.split_once('(') {
            Some((name, rest)) => {
                let inside = rest.strip_suffix(')')?;
                let digits = if inside.is_empty() {
                    0
                } else {
                    inside.parse().ok()?
                };
                (name, digits)
            }
            None => (spelled, 0),
        };
        let call = spelled.contains('(');
        Some(match name {
            "current_timestamp" | "localtimestamp" | "localtime" => Now::Local(digits),
            "now" | "sysdate" if call => Now::Local(digits),
            "utc_timestamp" => Now::Utc(digits),
            "current_date" => Now::Date,
            "curdate" if call => Now::Date,
            "current_time" => Now::Time,
            "curtime" if call => Now::Time,
            "unix_timestamp" if call => Now::Seconds,
            "uuid" if call => Now::Uuid,
            _ => return None,
        })
    }

    fn style(&self) -> &'static Style {
        &STYLE
    }

    fn spell(&self, kind: &Kind, wants: &Wants<'_>) -> Spelled {
        spell::spell(kind, wants)
    }

    fn fold_part(&self, _column: &str, _fold: &Fold) -> Option<(IndexPart, Option<NamedType>)> {
        None
    }

    fn own_part(&self, _column: &str, _fold: &Fold) -> Option<IndexPart> {
        None
    }

    fn write_now(&self, now: Now, kind: &Kind, _caps: &Caps) -> Option<String> {
        let fraction = |digits: u8| {
            if digits == 0 {
                String::new()
            } else {
                format!("({digits})")
            }
        };
        Some(match (now, kind) {
            // The digits of the default must be those of the column.
            (Now::Local(_), Kind::Timestamp(digits)) => {
                format!("CURRENT_TIMESTAMP{}", fraction((*digits).min(6)))
            }
            (Now::Utc(_), Kind::Timestamp(digits) | Kind::TimestampTz(digits))
            | (Now::Local(_), Kind::TimestampTz(digits)) => {
                format!("(utc_timestamp({}))", (*digits).min(6))
            }
            (Now::Date | Now::Utc(_) | Now::Local(_), Kind::Date) => "(curdate())".into(),
            (Now::Time, Kind::Time(_)) => "(curtime())".into(),
            (Now::Utc(0), Kind::Text { .. }) => {
                "(date_format(utc_timestamp(), '%Y-%m-%d %H:%i:%s'))".into()
            }
            (Now::Date, Kind::Text { .. }) => "(date_format(curdate(), '%Y-%m-%d'))".into(),
            (Now::Seconds, Kind::Int { .. }) => "(unix_timestamp())".into(),
            (Now::Seconds | Now::Milliseconds, Kind::Timestamp(digits)) => {
                format!("(utc_timestamp({}))", (*digits).min(6))
            }
            (Now::Uuid, Kind::Uuid | Kind::Text { .. }) => "(uuid())".into(),
            (Now::Hex(16), Kind::Text { .. }) => "(replace(uuid(), '-', ''))".into(),
            _ => return None,
        })
    }

    fn wrap_default(&self, text: String, native: &str) -> String {
        let base = native.split(['(', ' ']).next().unwrap_or_default();
        let long = base.ends_with("text") || base.ends_with("blob") || base == "json";
        let plain = text.starts_with('(')
            || text == "NULL"
            || text.starts_with("CURRENT_TIMESTAMP")
            || text.parse::<f64>().is_ok()
            || (text.starts_with('\'') || text.starts_with("x'"));
        if plain && !(long && !text.starts_with('(') && text != "NULL") {
            text
        } else {
            format!("({text})")
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            name_max: 64,
            name_bytes: false,
            fold_case: true,
            index_of_table: true,
            check_of_table: false,
            foreign_of_table: false,
            columns: 1_017,
            schemas: false,
            virtual_columns: true,
            computed_of_computed: true,
            computed_of_counters: false,
            binds: true,
        }
    }

    fn numbers(&self, _always: bool) -> &'static str {
        "AUTO_INCREMENT"
    }

    fn finish(&self, catalog: &mut Catalog, caps: &Caps, notes: &mut Notes) {
        finish::finish(catalog, caps, notes);
    }

    fn adapt(&self, catalog: &mut Catalog, from: &Caps, to: &Caps, notes: &mut Notes) {
        if from.engine != to.engine {
            adapt::adapt(catalog, to, notes);
        }
    }
}
