//! What a column of MySQL or MariaDB holds: its type, and where people mean less than it by evidence.

use crate::copy::profile::ColumnProfile;
use crate::copy::translate::kind::{Fold, Kind};
use crate::dialect::RowsDialect;
use crate::dialect::copy::{Chosen, Source};
use crate::schema::NeutralType;

const DAY: i64 = 86_400_000_000;

/// A type's name, what stands in its brackets, and what stands behind them.
fn split(native: &str) -> (String, &str, String) {
    let lower = native.to_ascii_lowercase();
    match (native.find('('), native.rfind(')')) {
        (Some(open), Some(close)) if open < close => (
            lower[..open].trim().to_owned(),
            &native[open + 1..close],
            lower[close + 1..].to_owned(),
        ),
        _ => match lower.split_once(' ') {
            Some((base, rest)) => (base.to_owned(), "", rest.to_owned()),
            None => (lower, "", String::new()),
        },
    }
}

/// The labels of an ENUM or SET as its type spells them: quotes twice, and what a backslash spells after one.
fn labels(inside: &str) -> Vec<String> {
    let mut labels = vec![];
    let mut chars = inside.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\'' {
            continue;
        }
        let mut label = String::new();
        while let Some(c) = chars.next() {
            match c {
                '\'' if chars.peek() == Some(&'\'') => {
                    chars.next();
                    label.push('\'');
                }
                '\'' => break,
                '\\' => match chars.peek() {
                    Some('\\') => label.extend(chars.next()),
                    Some('n') => label.extend(chars.next().map(|_| '\n')),
                    Some('r') => label.extend(chars.next().map(|_| '\r')),
                    Some('0') => label.extend(chars.next().map(|_| '\0')),
                    _ => label.push(c),
                },
                c => label.push(c),
            }
        }
        labels.push(label);
    }
    labels
}

fn int(bits: u16, unsigned: bool) -> Kind {
    Kind::Int { bits, unsigned }
}

fn numbers(inside: &str) -> Vec<u32> {
    inside
        .split(',')
        .filter_map(|text| text.trim().parse().ok())
        .collect()
}

fn plain(native: &str) -> Kind {
    let (base, inside, rest) = split(native);
    let unsigned = rest.contains("unsigned") || rest.contains("zerofill");
    let numbers = numbers(inside);
    let first = numbers.first().copied();
    let length = first.map(u64::from);
    let digits = u8::try_from(first.unwrap_or(0)).unwrap_or(6);
    let text = |bytes: u64| Kind::Text {
        chars: None,
        bytes: Some(bytes),
    };
    let blob = |most: u64| Kind::Bytes {
        most: Some(most),
        fixed: false,
    };
    match base.as_str() {
        "tinyint" => int(8, unsigned),
        "smallint" => int(16, unsigned),
        "mediumint" => int(24, unsigned),
        "int" | "integer" => int(32, unsigned),
        "bigint" => int(64, unsigned),
        "year" => int(16, false),
        "decimal" | "numeric" => Kind::Decimal {
            digits: Some((first.unwrap_or(10), numbers.get(1).copied().unwrap_or(0))),
        },
        "float" => Kind::Float { single: true },
        "double" | "real" => Kind::DOUBLE,
        "char" | "varchar" => Kind::Text {
            chars: Some(length.unwrap_or(1)),
            bytes: None,
        },
        "tinytext" => text(255),
        "text" => text(65_535),
        "mediumtext" => text(16_777_215),
        "longtext" => text(4_294_967_295),
        "binary" => Kind::Bytes {
            most: Some(length.unwrap_or(1)),
            fixed: true,
        },
        "varbinary" => blob(length.unwrap_or(1)),
        "tinyblob" => blob(255),
        "blob" => blob(65_535),
        "mediumblob" => blob(16_777_215),
        "longblob" => blob(4_294_967_295),
        "date" => Kind::Date,
        "time" => Kind::Span(digits),
        "datetime" => Kind::Timestamp(digits),
        "timestamp" => Kind::TimestampTz(digits),
        "json" => Kind::Json { binary: true },
        "uuid" => Kind::Uuid,
        "bit" => Kind::Bits {
            len: Some(length.unwrap_or(1)),
            varying: false,
        },
        "enum" => Kind::Enum {
            name: None,
            labels: labels(inside),
        },
        "set" => Kind::Set(labels(inside)),
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => Kind::Geometry,
        "vector" => Kind::BYTES,
        _ => Kind::Other(native.to_owned()),
    }
}

/// What a column holds.
pub(super) fn kind_of(of: &Source<'_>) -> Chosen {
    let native = of.column.native.as_str();
    let kind = if of.column.neutral == NeutralType::Json {
        Kind::Json { binary: true }
    } else {
        plain(native)
    };
    let read = match kind {
        Kind::Geometry => NeutralType::Bytes,
        _ if native.starts_with("vector") => NeutralType::Bytes,
        _ => of.column.neutral.clone(),
    };
    let mut chosen = Chosen::new(kind, read, format!("declared {native}"));
    by_evidence(&mut chosen, native, of.profile);
    chosen
}

fn by_evidence(chosen: &mut Chosen, native: &str, profile: Option<&ColumnProfile>) {
    let values = profile.filter(|profile| profile.values() > 0);
    match &mut chosen.kind {
        Kind::Int { .. } if native == "tinyint(1)" => boolean(chosen, values),
        Kind::Span(digits) => {
            let range = values.and_then(|profile| profile.time_range);
            let inside = range.is_none_or(|(least, most)| least >= 0 && most <= DAY);
            if inside {
                chosen.kind = Kind::Time(*digits);
                chosen.why.push_str("; every value is a time of day");
            } else {
                chosen.why.push_str("; some values are no time of day");
            }
        }
        Kind::Json { binary } => {
            if let Some(profile) = values {
                *binary = profile.json_unsafe == 0;
                if profile.texts_json < profile.texts {
                    chosen.kind = Kind::TEXT;
                    chosen.read = NeutralType::Text;
                    chosen.word = Some("json-as-text");
                    chosen.why.push_str("; not every value is JSON");
                }
            }
        }
        Kind::Enum { labels, .. } => {
            let empty = values.map_or(0, |profile| profile.texts_empty);
            if empty > 0 && !labels.iter().any(String::is_empty) {
                chosen.misfits = empty;
                chosen.finding = Some((
                    "bad-label",
                    format!("{empty} of its values are the empty label of an invalid one"),
                ));
            }
        }
        Kind::Date | Kind::Timestamp(_) | Kind::TimestampTz(_) => {
            let zero = values.map_or(0, |profile| profile.texts_zero_date);
            if zero > 0 {
                chosen.misfits = zero;
                chosen.finding = Some((
                    "zero-date",
                    format!("{zero} of its values have a month or day of zero"),
                ));
            }
        }
        _ => {}
    }
}

/// `tinyint(1)` holds any small number; people mean a boolean, mostly.
fn boolean(chosen: &mut Chosen, values: Option<&ColumnProfile>) {
    let all = values.is_none_or(|profile| profile.ints == profile.ints_01);
    if all {
        chosen.kind = Kind::Bool;
        chosen.read = NeutralType::Bool;
        chosen.word = Some("number-as-boolean");
        chosen.why.push_str("; every value is 0 or 1");
    } else if let Some((least, most)) = values.and_then(|profile| profile.int_range) {
        chosen
            .why
            .push_str(&format!("; numbers from {least} to {most}"));
    }
}

/// Types as the servers show them, each with its other names.
const NAMES: &[(&str, &[&str])] = &[
    ("tinyint(1)", &["bool", "boolean"]),
    ("tinyint", &["int1"]),
    ("smallint", &["int2"]),
    ("mediumint", &["int3", "middleint"]),
    ("int", &["integer", "int4"]),
    ("bigint", &["int8"]),
    ("decimal", &["numeric", "dec", "fixed"]),
    ("float", &["float4"]),
    ("double", &["double precision", "float8", "real"]),
    (
        "varchar",
        &[
            "character varying",
            "char varying",
            "varcharacter",
            "nvarchar",
        ],
    ),
    ("char", &["character", "nchar"]),
];

/// Types of one name alone, of either server.
const ALONE: &[&str] = &[
    "year",
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "date",
    "time",
    "datetime",
    "timestamp",
    "json",
    "uuid",
    "inet4",
    "inet6",
    "bit",
    "enum",
    "set",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
    "vector",
];

/// What is said where there is no such type.
const ACCEPTED: &[&str] = &[
    "boolean",
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "bigint",
    "any of these with unsigned",
    "decimal(p,s)",
    "float",
    "double",
    "varchar(n)",
    "char(n)",
    "text",
    "mediumtext",
    "longtext",
    "binary(n)",
    "varbinary(n)",
    "blob",
    "longblob",
    "date",
    "time(n)",
    "datetime(n)",
    "timestamp(n)",
    "year",
    "json",
    "bit(n)",
    "enum('a','b')",
    "set('a','b')",
    "geometry",
];

/// A type by any of its names, as the servers show it.
pub(super) fn proper(native: &str) -> Result<String, &'static [&'static str]> {
    let native = native.trim();
    let end = native.find('(').unwrap_or(native.len());
    let words: Vec<String> = native[..end]
        .split_whitespace()
        .map(str::to_ascii_lowercase)
        .collect();
    // Some names are two words; what else stands there says more of the type: `int unsigned`.
    let name = |count: usize| words.get(..count).map(|words| words.join(" "));
    let known = |name: &String| {
        let alone = ALONE.iter().find(|known| *known == name).copied();
        let named = NAMES
            .iter()
            .find(|(shown, others)| *shown == *name || others.contains(&name.as_str()));
        alone.or(named.map(|(shown, _)| *shown))
    };
    let found = [2, 1]
        .into_iter()
        .find_map(|count| Some((known(&name(count)?)?, count)));
    let (shown, count) = found.ok_or(ACCEPTED)?;
    // These are no types without a length.
    if matches!(shown, "varchar" | "varbinary") && end == native.len() {
        return Err(ACCEPTED);
    }
    let rest: String = words[count..]
        .iter()
        .map(|word| format!(" {word}"))
        .collect();
    let spelled = format!("{shown}{rest}{}", &native[end..]);
    Ok(match shown {
        // A boolean's number is its own.
        "tinyint(1)" => shown.to_owned(),
        _ => spelled,
    })
}

/// The kind of a type that somebody asks for by name.
pub(super) fn forced(native: &str) -> (Kind, NeutralType) {
    let kind = match plain(native) {
        Kind::Int { .. } if native.eq_ignore_ascii_case("tinyint(1)") => Kind::Bool,
        kind => kind,
    };
    let ty = if kind == Kind::Bool {
        NeutralType::Bool
    } else {
        super::super::rows::Rows.neutral(native, "")
    };
    (kind, ty)
}

/// What a collation takes for equal, by the endings of its name.
pub(super) fn fold(collation: &str) -> Fold {
    let name = collation.to_ascii_lowercase();
    if name == "binary" || name.ends_with("_bin") || name.ends_with("_cs") {
        return Fold::None;
    }
    // Languages with letters that are no accented ones.
    let languages = [
        ("_swedish", "sv"),
        ("_sv_", "sv"),
        ("_danish", "da"),
        ("_da_", "da"),
        ("_nb_", "nb"),
        ("_spanish", "es"),
        ("_es_", "es"),
        ("_turkish", "tr"),
        ("_tr_", "tr"),
        ("_polish", "pl"),
        ("_pl_", "pl"),
        ("_czech", "cs"),
        ("_hungarian", "hu"),
        ("_estonian", "et"),
        ("_vietnamese", "vi"),
        ("_vi_", "vi"),
    ];
    let locale = languages
        .iter()
        .find(|(part, _)| name.contains(part))
        .map_or("und", |(_, locale)| locale);
    if name.contains("_as_ci") {
        Fold::Case(locale)
    } else {
        Fold::Accents(locale)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_type_is_known_by_any_of_its_names() {
        for (asked, shown) in [
            ("bool", "tinyint(1)"),
            ("INTEGER", "int"),
            ("int4 unsigned", "int unsigned"),
            ("tinyint(1)", "tinyint(1)"),
            ("numeric(10,2)", "decimal(10,2)"),
            ("double precision", "double"),
            ("character varying(9)", "varchar(9)"),
            ("datetime(6)", "datetime(6)"),
            ("enum('A','b c')", "enum('A','b c')"),
        ] {
            assert_eq!(proper(asked).unwrap(), shown, "{asked}");
        }
        assert!(proper("varchar").unwrap_err().contains(&"varchar(n)"));
        assert!(proper("timestamptz").is_err());
    }

    #[test]
    fn labels_are_read_as_they_are_spelled() {
        assert_eq!(
            labels(r"'a','b,c','it''s','','x\\y','z\'"),
            ["a", "b,c", "it's", "", r"x\y", r"z\"]
        );
    }

    #[test]
    fn collations_tell_what_they_fold() {
        assert_eq!(fold("utf8mb4_bin"), Fold::None);
        assert_eq!(fold("utf8mb4_0900_as_cs"), Fold::None);
        assert_eq!(fold("utf8mb4_0900_as_ci"), Fold::Case("und"));
        assert_eq!(fold("utf8mb4_general_ci"), Fold::Accents("und"));
        assert_eq!(fold("latin1_swedish_ci"), Fold::Accents("sv"));
    }
}
