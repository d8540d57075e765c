//! How PostgreSQL spells kinds. Types stand as the server itself shows them.

use super::super::ddl::{qualified, quote, quote_if_needed};
use super::super::dml::literal;
use crate::copy::plan::Bounds;
use crate::copy::translate::expr::Now;
use crate::copy::translate::kind::{Fold, Kind};
use crate::copy::translate::names;
use crate::dialect::copy::{Spelled, Wants};
use crate::schema::{Column, IndexPart, NamedType, NeutralType, Routine, Table, Trigger};

const DAY: i64 = 86_400_000_000;

/// A kind in this engine's words.
pub(super) fn spell(kind: &Kind, wants: &Wants<'_>) -> Spelled {
    let mut spelled = plain(kind, wants);
    if let Kind::Timestamp(_) | Kind::TimestampTz(_) = kind {
        spelled.bounds.years = Some((-4712, 294_276));
    }
    spelled
}

fn worded(native: &str, ty: NeutralType, word: &'static str) -> Spelled {
    Spelled {
        word: Some(word),
        ..Spelled::new(native, ty)
    }
}

fn plain(kind: &Kind, wants: &Wants<'_>) -> Spelled {
    match kind {
        Kind::Bool => Spelled::new("boolean", NeutralType::Bool),
        Kind::Int { bits, unsigned } => integer(*bits, *unsigned, wants),
        Kind::Decimal { digits } => decimal(*digits),
        Kind::Float { single: true } => {
            let mut spelled = Spelled::new("real", NeutralType::Float);
            spelled.bounds.single = true;
            spelled
        }
        Kind::Float { .. } => Spelled::new("double precision", NeutralType::Float),
        Kind::Text { chars, .. } => text(*chars),
        Kind::Bytes { .. } => Spelled::new("bytea", NeutralType::Bytes),
        Kind::Date => Spelled::new("date", NeutralType::Date),
        Kind::Time(digits) => {
            let mut spelled = Spelled::new(
                precise("time", *digits, "without time zone"),
                NeutralType::Time,
            );
            spelled.bounds.time = Some((0, DAY));
            spelled
        }
        Kind::Span(_) => worded("interval", NeutralType::Time, "time-as-interval"),
        Kind::Timestamp(digits) => Spelled::new(
            precise("timestamp", *digits, "without time zone"),
            NeutralType::Timestamp,
        ),
        Kind::TimestampTz(digits) => Spelled::new(
            precise("timestamp", *digits, "with time zone"),
            NeutralType::TimestampTz,
        ),
        Kind::Json { binary } => {
            Spelled::new(if *binary { "jsonb" } else { "json" }, NeutralType::Json)
        }
        Kind::Uuid => Spelled::new("uuid", NeutralType::Uuid),
        Kind::Bits { len, varying } => {
            let name = if *varying { "bit varying" } else { "bit" };
            let native = len.map_or("bit varying".to_owned(), |len| format!("{name}({len})"));
            let ty = match native.starts_with("bit varying") {
                true => NeutralType::Opaque("bit varying".into()),
                false => NeutralType::Bits,
            };
            let mut spelled = Spelled::new(native, ty);
            // As many as the type has: those of engines that drop zeros are filled up.
            spelled.bounds.chars = len.filter(|_| !varying);
            spelled
        }
        Kind::Enum { labels, .. } => labelled(labels, wants),
        Kind::Set(labels) => {
            let list: Vec<String> = labels.iter().map(|label| literal(label)).collect();
            let own = quote(wants.place.1);
            let list = list.join(", ");
            Spelled {
                check: Some(format!(
                    "string_to_array({own}, ',') <@ ARRAY[{list}]::text[]"
                )),
                ..worded("text", NeutralType::Text, "set-as-text")
            }
        }
        Kind::Interval => Spelled::new("interval", NeutralType::Opaque("interval".into())),
        Kind::Geometry => worded("bytea", NeutralType::Bytes, "geometry-as-bytes"),
        Kind::Any => worded("text", NeutralType::Text, "mixed-as-text"),
        Kind::Other(_) => worded("text", NeutralType::Text, "other-as-text"),
    }
}

/// `timestamp(3) without time zone`.
fn precise(name: &str, digits: u8, rest: &str) -> String {
    if digits >= 6 {
        format!("{name} {rest}")
    } else {
        format!("{name}({digits}) {rest}")
    }
}

fn integer(bits: u16, unsigned: bool, wants: &Wants<'_>) -> Spelled {
    let (native, least, most) = match (bits, unsigned) {
        (8 | 16, false) | (8, true) => ("smallint", i128::from(i16::MIN), i128::from(i16::MAX)),
        (24 | 32, false) | (16 | 24, true) => {
            ("integer", i128::from(i32::MIN), i128::from(i32::MAX))
        }
        (64, true) if !wants.counter => {
            let mut spelled = Spelled::new("numeric(20,0)", NeutralType::Decimal);
            spelled.bounds.digits = Some((20, 0));
            return spelled;
        }
        _ => ("bigint", i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    let mut spelled = Spelled::new(native, NeutralType::Int);
    spelled.bounds.int = Some((least, most));
    spelled
}

fn decimal(digits: Option<(u32, u32)>) -> Spelled {
    match digits {
        Some((all, scale)) if (1..=1000).contains(&all) && scale <= all => {
            let mut spelled = Spelled::new(format!("numeric({all},{scale})"), NeutralType::Decimal);
            spelled.bounds.digits = Some((all - scale, scale));
            spelled
        }
        _ => Spelled::new("numeric", NeutralType::Decimal),
    }
}

fn text(chars: Option<u64>) -> Spelled {
    match chars {
        Some(chars) if (1..=10_485_760).contains(&chars) => {
            let mut spelled =
                Spelled::new(format!("character varying({chars})"), NeutralType::Text);
            spelled.bounds.chars = Some(chars);
            spelled
        }
        _ => Spelled::new("text", NeutralType::Text),
    }
}

/// A type of labels, in their order; text with a check where a label is longer than a name may be.
fn labelled(labels: &[String], wants: &Wants<'_>) -> Spelled {
    let list: Vec<String> = labels.iter().map(|label| literal(label)).collect();
    let bounds = Bounds {
        labels: Some(labels.to_vec()),
        ..Bounds::default()
    };
    if labels.is_empty() || labels.iter().any(|label| label.len() > 63) {
        return Spelled {
            bounds,
            check: (!labels.is_empty())
                .then(|| format!("{} IN ({})", quote(wants.place.1), list.join(", "))),
            ..worded("text", NeutralType::Text, "enum-as-text")
        };
    }
    let (table, column) = wants.place;
    let name = names::shortened(&format!("{table}_{column}_enum"), 63, true);
    Spelled {
        bounds,
        named: vec![NamedType {
            schema: None,
            definition: format!("CREATE TYPE {} AS ENUM ({})", quote(&name), list.join(", ")),
            kind: "TYPE".into(),
            labels: labels.to_vec(),
            name: name.clone(),
        }],
        ..Spelled::new(quote_if_needed(&name), NeutralType::Text)
    }
}

/// Languages with letters that are no accented ones, and the root of all.
const LOCALES: [&str; 11] = [
    "und", "sv", "da", "nb", "es", "tr", "pl", "cs", "hu", "et", "vi",
];

/// What a collation folds that [`fold_part`] has made, by its name.
pub(super) fn read_fold(collation: &str) -> Option<Fold> {
    let name = collation.strip_prefix("public.")?.strip_prefix("fold_")?;
    let (locale, level) = name.split_once('_')?;
    let locale = *LOCALES.iter().find(|known| **known == locale)?;
    match level {
        "1" => Some(Fold::Accents(locale)),
        "2" => Some(Fold::Case(locale)),
        _ => None,
    }
}

/// What a unique index is over, so that it bites as the source's does.
pub(super) fn fold_part(column: &str, fold: &Fold) -> Option<(IndexPart, Option<NamedType>)> {
    let part = |what: String, expression: bool, collation: Option<String>| IndexPart {
        what,
        expression,
        descending: false,
        length: None,
        collation,
    };
    let icu = |locale: &str, level: u8| {
        let name = format!("fold_{locale}_{level}");
        let made = NamedType {
            schema: None,
            kind: "COLLATION".into(),
            labels: vec![],
            definition: format!(
                "CREATE COLLATION {} (provider = icu, locale = '{locale}-u-ks-level{level}', deterministic = false)",
                quote(&name)
            ),
            name: name.clone(),
        };
        (
            part(column.to_owned(), false, Some(quote(&name))),
            Some(made),
        )
    };
    match fold {
        // The collation C has two cases of the letters A to Z alone, as the source does.
        Fold::Ascii => Some((
            part(
                format!("lower({} COLLATE \"C\")", quote(column)),
                true,
                None,
            ),
            None,
        )),
        Fold::Spaces => Some((part(format!("rtrim({})", quote(column)), true, None), None)),
        Fold::Case(locale) => Some(icu(locale, 2)),
        Fold::Accents(locale) => Some(icu(locale, 1)),
        Fold::None | Fold::Unknown => None,
    }
}

/// What sets a column when its row changes and the change did not set it: what ON UPDATE does elsewhere.
pub(super) fn touch(table: &Table, column: &str, now: &str) -> (Routine, Trigger) {
    let name = names::shortened(&format!("{}_{column}_touch", table.name), 63, true);
    let function = qualified(table.schema.as_deref(), &name);
    let column = quote(column);
    let body = format!("BEGIN\n  NEW.{column} := {now};\n  RETURN NEW;\nEND");
    let routine = Routine {
        schema: table.schema.clone(),
        name: name.clone(),
        arguments: Some(String::new()),
        kind: "FUNCTION".into(),
        definition: Some(format!(
            "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {}",
            literal(&body)
        )),
    };
    // Computed columns are not computed yet, and JSON as text knows no equality.
    let own = table.columns.iter().filter(|own| own.generated.is_none());
    let row = |of: &str| -> String {
        let one = |own: &Column| match own.native.as_str() {
            "json" => format!("{of}.{}::text", quote(&own.name)),
            _ => format!("{of}.{}", quote(&own.name)),
        };
        own.clone().map(one).collect::<Vec<_>>().join(", ")
    };
    let trigger = Trigger {
        definition: format!(
            "CREATE TRIGGER {} BEFORE UPDATE ON {} FOR EACH ROW WHEN (ROW({}) IS DISTINCT FROM ROW({}) AND \
             OLD.{column} IS NOT DISTINCT FROM NEW.{column}) EXECUTE FUNCTION {function}()",
            quote(&name),
            qualified(table.schema.as_deref(), &table.name),
            row("OLD"),
            row("NEW")
        ),
        name,
        disabled: None,
        ..Trigger::default()
    };
    (routine, trigger)
}

/// The present moment or chance as a default.
pub(super) fn now(now: Now, kind: &Kind) -> Option<String> {
    let utc = "CURRENT_TIMESTAMP AT TIME ZONE 'UTC'";
    let spelled = |form: &str| Some(format!("to_char({utc}, '{form}')"));
    match (now, kind) {
        (Now::Utc(_) | Now::Local(_), Kind::TimestampTz(_)) => Some("CURRENT_TIMESTAMP".into()),
        (Now::Utc(_), Kind::Timestamp(_)) => Some(format!("({utc})")),
        (Now::Local(_), Kind::Timestamp(_)) => Some("LOCALTIMESTAMP".into()),
        (Now::Date | Now::Utc(_) | Now::Local(_), Kind::Date) => Some("CURRENT_DATE".into()),
        (Now::Date, Kind::Timestamp(_) | Kind::TimestampTz(_)) => Some("CURRENT_DATE".into()),
        (Now::Time, Kind::Time(_)) => Some("LOCALTIME".into()),
        (Now::Utc(0), Kind::Text { .. }) => spelled("YYYY-MM-DD HH24:MI:SS"),
        (Now::Utc(3), Kind::Text { .. }) => spelled("YYYY-MM-DD HH24:MI:SS.MS"),
        (Now::Date, Kind::Text { .. }) => spelled("YYYY-MM-DD"),
        (Now::Time, Kind::Text { .. }) => spelled("HH24:MI:SS"),
        (Now::Seconds, Kind::Int { .. }) => {
            Some("floor(EXTRACT(epoch FROM CURRENT_TIMESTAMP))::bigint".into())
        }
        (Now::Milliseconds, Kind::Int { .. }) => {
            Some("floor(EXTRACT(epoch FROM CURRENT_TIMESTAMP) * 1000)::bigint".into())
        }
        // A column of counted seconds is one of times there.
        (Now::Seconds | Now::Milliseconds, Kind::Timestamp(_)) => Some(format!("({utc})")),
        (Now::Uuid, Kind::Uuid) => Some("gen_random_uuid()".into()),
        (Now::Uuid, Kind::Text { .. }) => Some("(gen_random_uuid())::text".into()),
        (Now::Hex(16), Kind::Text { .. }) => {
            Some("replace((gen_random_uuid())::text, '-', '')".into())
        }
        _ => None,
    }
}
