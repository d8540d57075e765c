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

/// What cells of a native type are read as.
pub(super) fn read(native: &str) -> NeutralType {
    super::super::rows::Rows.neutral(native, "")
}

/// The kind of a type that somebody asks for by name.
pub(super) fn forced(native: &str) -> Kind {
    plain(native, read(native))
}
