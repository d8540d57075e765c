//! What a column of PostgreSQL holds: its types say it.

use crate::copy::translate::kind::Kind;
use crate::dialect::RowsDialect;
use crate::dialect::copy::{Chosen, Source};
use crate::schema::{Catalog, NamedType, NeutralType};

/// The type's name without what stands in brackets, and the numbers within.
fn split(native: &str) -> (String, Vec<u32>) {
    match (native.find('('), native.find(')')) {
        (Some(open), Some(close)) if open < close => {
            let numbers = native[open + 1..close]
                .split(',')
                .filter_map(|text| text.trim().parse().ok())
                .collect();
            (
                format!("{}{}", &native[..open], &native[close + 1..]),
                numbers,
            )
        }
        _ => (native.to_owned(), vec![]),
    }
}

/// What a column holds.
pub(super) fn kind_of(of: &Source<'_>) -> Chosen {
    let native = of.column.native.as_str();
    let why = format!("declared {native}");
    if let Some(named) = named(of.catalog, native) {
        if !named.labels.is_empty() {
            let kind = Kind::Enum {
                name: Some((named.schema.clone(), named.name.clone())),
                labels: named.labels.clone(),
            };
            return Chosen::new(kind, NeutralType::Text, why);
        }
        if let Some(base) = base_of(named) {
            let kind = plain(&base, of.column.neutral.clone());
            let mut chosen = Chosen::new(
                kind,
                of.column.neutral.clone(),
                format!("declared {native}, a domain over {base}"),
            )
            .word("domain-as-base");
            chosen.finding = Some((
                "domain-as-base",
                format!("the checks of the domain {native} stay behind"),
            ));
            return chosen;
        }
    }
    let mut chosen = Chosen::new(
        plain(native, of.column.neutral.clone()),
        of.column.neutral.clone(),
        why,
    );
    if let (Kind::Json { binary }, Some(profile)) = (&mut chosen.kind, of.profile) {
        *binary &= profile.json_unsafe == 0;
    }
    chosen
}

/// The type of this name that somebody made.
fn named<'a>(catalog: &'a Catalog, native: &str) -> Option<&'a NamedType> {
    catalog.types.iter().find(|named| {
        let own = super::ddl::quote_if_needed(&named.name);
        let qualified = named
            .schema
            .as_ref()
            .map(|schema| format!("{}.{own}", super::ddl::quote_if_needed(schema)));
        native == qualified.as_deref().unwrap_or(&own)
            || named.schema.is_none() && native == super::ddl::quote(&named.name)
    })
}

/// The type under a domain.
fn base_of(named: &NamedType) -> Option<String> {
    if named.kind != "DOMAIN" {
        return None;
    }
    let rest = named.definition.split_once(" AS ")?.1;
    let end = [" DEFAULT ", " NOT NULL", " CONSTRAINT ", " CHECK "]
        .iter()
        .filter_map(|word| rest.find(word))
        .min()
        .unwrap_or(rest.len());
    Some(rest[..end].trim().to_owned())
}

/// A type of the server's own.
fn plain(native: &str, neutral: NeutralType) -> Kind {
    let (base, numbers) = split(native);
    let first = numbers.first().copied();
    let digits = u8::try_from(first.unwrap_or(6)).unwrap_or(6);
    let int = |bits| Kind::Int {
        bits,
        unsigned: false,
    };
    match base.as_str() {
        "boolean" => Kind::Bool,
        "smallint" => int(16),
        "integer" => int(32),
        "bigint" => int(64),
        "oid" => Kind::Int {
            bits: 32,
            unsigned: true,
        },
        "numeric" => Kind::Decimal {
            digits: first.map(|all| (all, numbers.get(1).copied().unwrap_or(0))),
        },
        "real" => Kind::Float { single: true },
        "double precision" => Kind::DOUBLE,
        "character varying" | "character" => Kind::Text {
            chars: first.map(u64::from),
            bytes: None,
        },
        "text" | "name" | "\"char\"" | "citext" => Kind::TEXT,
        "bytea" => Kind::BYTES,
        "date" => Kind::Date,
        "time without time zone" => Kind::Time(digits),
        "timestamp without time zone" => Kind::Timestamp(digits),
        "timestamp with time zone" => Kind::TimestampTz(digits),
        "json" => Kind::Json { binary: false },
        "jsonb" => Kind::Json { binary: true },
        "uuid" => Kind::Uuid,
        "bit" => Kind::Bits {
            len: Some(u64::from(first.unwrap_or(1))),
            varying: false,
        },
        "bit varying" => Kind::Bits {
            len: first.map(u64::from),
            varying: true,
        },
        "interval" => Kind::Interval,
        name if name.ends_with(".citext") => Kind::TEXT,
        _ if neutral == NeutralType::Text => Kind::TEXT,
        _ => Kind::Other(native.to_owned()),
    }
}

/// The server's own types as it shows them, each with its other names. Precision stands behind the first word.
const NAMES: &[(&str, &[&str])] = &[
    ("boolean", &["bool"]),
    ("smallint", &["int2"]),
    ("integer", &["int", "int4"]),
    ("bigint", &["int8"]),
    ("numeric", &["decimal", "dec"]),
    ("real", &["float4"]),
    ("double precision", &["float8", "float"]),
    ("character varying", &["varchar", "char varying"]),
    ("character", &["char", "bpchar"]),
    ("timestamp without time zone", &["timestamp"]),
    ("timestamp with time zone", &["timestamptz"]),
    ("time without time zone", &["time"]),
    ("time with time zone", &["timetz"]),
    ("bit varying", &["varbit"]),
];

/// Types of one name alone, those of the extensions that people use among them.
const ALONE: &[&str] = &[
    "text",
    "name",
    "citext",
    "bytea",
    "date",
    "interval",
    "json",
    "jsonb",
    "uuid",
    "bit",
    "oid",
    "money",
    "xml",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "tsvector",
    "tsquery",
    "jsonpath",
    "pg_lsn",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "int4multirange",
    "int8multirange",
    "nummultirange",
    "tsmultirange",
    "tstzmultirange",
    "datemultirange",
    "hstore",
    "ltree",
    "geometry",
    "geography",
    "vector",
];

/// What is said where there is no such type.
const ACCEPTED: &[&str] = &[
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "numeric(p,s)",
    "real",
    "double precision",
    "text",
    "varchar(n)",
    "char(n)",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "json",
    "jsonb",
    "uuid",
    "bit(n)",
    "varbit(n)",
    "inet",
    "any of these with []",
    "a type of your own with its schema: public.mood",
];

/// A type by any of its names, as the server shows it.
pub(super) fn proper(native: &str) -> Result<String, &'static [&'static str]> {
    let native = native.trim();
    // What stands in a schema or in quotes somebody has made: the server knows it.
    if native.contains(['.', '"']) {
        return Ok(native.to_owned());
    }
    if let Some(element) = native.strip_suffix("[]") {
        return Ok(format!("{}[]", proper(element)?));
    }
    let (base, numbers) = split(&native.to_ascii_lowercase());
    let base = base.split_whitespace().collect::<Vec<_>>().join(" ");
    let named = NAMES
        .iter()
        .find(|(name, others)| *name == base || others.contains(&base.as_str()))
        .map(|(name, _)| *name);
    let name = match named {
        Some(name) => name,
        None if ALONE.contains(&base.as_str()) => &base,
        None => return Err(ACCEPTED),
    };
    if numbers.is_empty() {
        return Ok(name.to_owned());
    }
    let list: Vec<String> = numbers.iter().map(u32::to_string).collect();
    let list = list.join(",");
    // Of a float the number says which of the two it is.
    if base == "float" {
        let single = numbers[0] <= 24;
        return Ok(if single { "real" } else { "double precision" }.to_owned());
    }
    Ok(match name.split_once(" with") {
        Some((first, rest)) => format!("{first}({list}) with{rest}"),
        None => format!("{name}({list})"),
    })
}

/// What cells of a native type are read as.
pub(super) fn read(native: &str) -> NeutralType {
    super::super::rows::Rows.neutral(native, "")
}

/// The kind of a type that somebody asks for by name.
pub(super) fn forced(native: &str) -> Kind {
    plain(native, read(native))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::proper;

    #[test]
    fn a_type_is_known_by_any_of_its_names() {
        for (asked, shown) in [
            ("int4", "integer"),
            ("INT", "integer"),
            ("bool", "boolean"),
            ("decimal(10, 2)", "numeric(10,2)"),
            ("timestamp", "timestamp without time zone"),
            ("timestamp(3)", "timestamp(3) without time zone"),
            (
                "timestamp (3) with  time zone",
                "timestamp(3) with time zone",
            ),
            ("timestamptz", "timestamp with time zone"),
            ("varchar(9)", "character varying(9)"),
            ("char varying", "character varying"),
            ("float", "double precision"),
            ("float(10)", "real"),
            ("int8[]", "bigint[]"),
            ("jsonb", "jsonb"),
            ("public.mood", "public.mood"),
        ] {
            assert_eq!(proper(asked).unwrap(), shown, "{asked}");
        }
        assert!(proper("datetime").unwrap_err().contains(&"timestamp"));
        assert!(proper("string").is_err());
    }
}
