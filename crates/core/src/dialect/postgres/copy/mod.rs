//! Copies: what a column of PostgreSQL holds, and how PostgreSQL spells what a column of another engine held.

mod source;
mod spell;

use super::ddl::{self, quote};
use super::dml::literal;
use crate::copy::translate::expr::{Cast, Function, LikeKind, Now, Style};
use crate::copy::translate::kind::{Fold, Kind};
use crate::dialect::Caps;
use crate::dialect::copy::{
    self, Chosen, CopyDialect, Limits, Notes, Source, Spelled, Wants, call, known_as,
};
use crate::schema::{
    Catalog, Column, Index, IndexPart, NamedType, NeutralType, Routine, Table, Trigger,
};

/// Copies from and to PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub struct Copies;

fn bytes(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("'\\x{digits}'::bytea")
}

fn function(function: Function, arguments: &[String]) -> Option<String> {
    let all = arguments.join(", ");
    Some(match function {
        // Under the collation C the letters A to Z alone have two cases.
        Function::Lower(true) => format!("lower({all} COLLATE \"C\")"),
        Function::Upper(true) => format!("upper({all} COLLATE \"C\")"),
        Function::Length => format!("char_length({all})"),
        Function::Bytes => format!("octet_length({all})"),
        Function::Left => format!("\"left\"({all})"),
        Function::Trim => format!("btrim({all})"),
        Function::Position => format!("strpos({all})"),
        Function::Concat => format!("({})", arguments.join(" || ")),
        Function::JsonValid | Function::TypeOf | Function::If => return None,
        other => return call(other, &all),
    })
}

fn pattern(negated: bool, of: &str, pattern: &str, kind: LikeKind) -> Option<String> {
    let not = if negated { "NOT " } else { "" };
    match kind {
        LikeKind::Like { folds, escape } => {
            let letters = pattern.chars().any(char::is_alphabetic);
            if folds && letters && !pattern.is_ascii() {
                return None;
            }
            let word = if folds && letters { "ILIKE" } else { "LIKE" };
            let escape = copy::escape(pattern, escape, literal);
            Some(format!("({of} {not}{word} {}{escape})", literal(pattern)))
        }
        LikeKind::Glob => {
            let not = if negated { "!" } else { "" };
            Some(format!("({of} {not}~ {})", literal(&of_glob(pattern)?)))
        }
        LikeKind::Regex => {
            let not = if negated { "!" } else { "" };
            Some(format!("({of} {not}~ {})", literal(pattern)))
        }
    }
}

/// A regular expression that means the same as a GLOB.
fn of_glob(glob: &str) -> Option<String> {
    let mut out = String::from("^");
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let inside: String = chars.by_ref().take_while(|c| *c != ']').collect();
                if inside.is_empty() || inside.contains(['\\', '[', ':', '.', '=']) {
                    return None;
                }
                out.push('[');
                out.push_str(&inside);
                out.push(']');
            }
            c if c.is_alphanumeric() || c == '_' || c == ' ' => out.push(c),
            c => {
                out.push('\\');
                out.push(c);
            }
        }
    }
    out.push('$');
    Some(out)
}

fn cast(to: Cast, of: &str) -> Option<String> {
    let ty = match to {
        Cast::Text => "text",
        Cast::Int => "bigint",
        Cast::Float => "double precision",
        Cast::Decimal => "numeric",
    };
    Some(format!("({of})::{ty}"))
}

static STYLE: Style = Style {
    quote,
    text: literal,
    bytes,
    bits: |digits| format!("B'{digits}'"),
    double_quoted: None,
    backslash: false,
    pipes: true,
    booleans: true,
    same: ("{0} IS NOT DISTINCT FROM {1}", "{0} IS DISTINCT FROM {1}"),
    cuts: true,
    like: (false, Some('\\')),
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
        false
    }

    fn proper(&self, native: &str) -> Result<String, &'static [&'static str]> {
        source::proper(native)
    }

    fn forced(&self, native: &str) -> (Kind, NeutralType) {
        (source::forced(native), source::read(native))
    }

    fn fold(&self, _table: &Table, column: &Column) -> Fold {
        let native = column.native.as_str();
        if native == "citext" || native.ends_with(".citext") {
            return Fold::Case("und");
        }
        match column.collation.as_deref() {
            None => Fold::None,
            Some(name) => self.fold_named(name),
        }
    }

    fn fold_named(&self, collation: &str) -> Fold {
        // The server's own collations all tell every two texts apart; what somebody made may not.
        if collation.starts_with("pg_catalog.") {
            return Fold::None;
        }
        spell::read_fold(collation).unwrap_or(Fold::Unknown)
    }

    fn counter(&self, catalog: &Catalog, _table: &Table, column: &Column) -> Option<bool> {
        if let Some(word) = &column.identity {
            return Some(word == "ALWAYS");
        }
        let default = column.default.as_deref()?;
        // One that the column owns counts for it alone; another one may count for many.
        let behind = format!(".{}", ddl::quote_if_needed(&column.name));
        let owned = catalog.sequences.iter().any(|sequence| {
            let of_column = sequence
                .owned_by
                .as_ref()
                .is_some_and(|owner| owner.ends_with(&behind));
            of_column && default.contains(&sequence.name)
        });
        (default.starts_with("nextval(") && owned).then_some(false)
    }

    fn left_out(&self, _catalog: &Catalog, table: &Table) -> Option<&'static str> {
        if table.options.contains_key("server") {
            return Some("the rows of a foreign table are on another server");
        }
        // A partition's rows come with its root.
        (table.options.contains_key("partition"))
            .then_some("a partition's rows are copied with those of its table")
    }

    fn function(&self, name: &str) -> Option<Function> {
        Some(match name {
            "lower" => Function::Lower(false),
            "upper" => Function::Upper(false),
            "length" | "char_length" | "character_length" => Function::Length,
            "octet_length" => Function::Bytes,
            "substring" => Function::Substr,
            "left" => Function::Left,
            "btrim" => Function::Trim,
            "strpos" => Function::Position,
            _ => return known_as(name),
        })
    }

    fn now(&self, spelled: &str) -> Option<Now> {
        Some(match spelled {
            "now()"
            | "current_timestamp"
            | "localtimestamp"
            | "transaction_timestamp()"
            | "clock_timestamp()"
            | "statement_timestamp()" => Now::Local(6),
            "(now()attimezone'utc'::text)"
            | "(current_timestampattimezone'utc'::text)"
            | "timezone('utc'::text,now())" => Now::Utc(6),
            "current_date" => Now::Date,
            "current_time" | "localtime" => Now::Time,
            "gen_random_uuid()" | "uuid_generate_v4()" | "uuidv4()" => Now::Uuid,
            _ => return None,
        })
    }

    fn style(&self) -> &'static Style {
        &STYLE
    }

    fn spell(&self, kind: &Kind, wants: &Wants<'_>) -> Spelled {
        spell::spell(kind, wants)
    }

    fn fold_part(&self, column: &str, fold: &Fold) -> Option<(IndexPart, Option<NamedType>)> {
        spell::fold_part(column, fold)
    }

    fn write_now(&self, now: Now, kind: &Kind, _caps: &Caps) -> Option<String> {
        spell::now(now, kind)
    }

    fn touch(&self, table: &Table, column: &str, now: &str) -> Option<(Routine, Trigger)> {
        Some(spell::touch(table, column, now))
    }

    fn limits(&self) -> Limits {
        Limits {
            name_max: 63,
            name_bytes: true,
            fold_case: false,
            index_of_table: false,
            check_of_table: true,
            foreign_of_table: true,
            columns: 1_600,
            schemas: true,
            virtual_columns: false,
            computed_of_computed: false,
            computed_of_counters: true,
            binds: true,
        }
    }

    fn numbers(&self, always: bool) -> &'static str {
        if always { "ALWAYS" } else { "BY DEFAULT" }
    }

    fn finish(&self, catalog: &mut Catalog, _caps: &Caps, _notes: &mut Notes) {
        for table in &mut catalog.tables {
            let (schema, name) = (table.schema.clone(), table.name.clone());
            for index in &mut table.indexes {
                write_index(schema.as_deref(), &name, index);
            }
        }
    }

    fn adapt(&self, catalog: &mut Catalog, _from: &Caps, to: &Caps, notes: &mut Notes) {
        for table in &mut catalog.tables {
            if !table.options.contains_key("partition_by") {
                continue;
            }
            // The server shows an index of a partitioned table without those of its parts, which follow it.
            for definition in table
                .indexes
                .iter_mut()
                .filter_map(|index| index.definition.as_mut())
            {
                *definition = definition.replacen(" ON ONLY ", " ON ", 1);
            }
        }
        if to.version.0 >= 18 {
            return;
        }
        for table in &mut catalog.tables {
            let label = table.label();
            for column in &mut table.columns {
                if let Some(generated) = column.generated.as_mut().filter(|made| !made.stored) {
                    generated.stored = true;
                    notes.stored(&label, &column.name);
                }
            }
        }
    }
}

/// The statement of an index, and what of it says more than its parts.
fn write_index(schema: Option<&str>, table: &str, index: &mut Index) {
    let parts: Vec<String> = index
        .parts
        .iter()
        .map(|part| {
            let down = if part.descending { " DESC" } else { "" };
            format!("{}{down}", ddl::index_part(part))
        })
        .collect();
    let method = index.method.as_deref().unwrap_or("btree");
    let condition = index
        .predicate
        .as_ref()
        .map_or(String::new(), |predicate| format!(" WHERE ({predicate})"));
    let attributes = format!("USING {method} ({}){condition}", parts.join(", "));
    let unique = if index.unique { "UNIQUE " } else { "" };
    index.definition = Some(format!(
        "CREATE {unique}INDEX {} ON {} {attributes}",
        quote(&index.name),
        ddl::qualified(schema, table)
    ));
    index.attributes = Some(attributes);
}
