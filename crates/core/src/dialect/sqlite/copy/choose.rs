//! What a column really holds: SQLite binds no types, so its values decide, and its declared type says how they are meant.

use crate::copy::Epoch;
use crate::copy::profile::ColumnProfile;
use crate::copy::translate::kind::Kind;
use crate::dialect::RowsDialect;
use crate::dialect::copy::{Chosen, Source};
use crate::schema::NeutralType;

/// Whole numbers up to here are exact as doubles: 2^53.
const EXACT: i128 = 1 << 53;

/// What a column holds.
pub fn kind_of(of: &Source<'_>) -> Chosen {
    let declared = declared(of);
    if super::alias(of.table, of.column) {
        return Chosen::new(
            Kind::BIG,
            NeutralType::Int,
            "an INTEGER PRIMARY KEY is the row's own number",
        );
    }
    match of.profile.filter(|profile| profile.values() > 0) {
        None => by_name(of, &declared),
        Some(profile) => by_values(of, profile, &declared),
    }
}

fn declared(of: &Source<'_>) -> String {
    if of.column.native.is_empty() {
        "no declared type".into()
    } else {
        format!("declared {}", of.column.native)
    }
}

/// The length in brackets behind the type's name.
fn length(native: &str) -> Option<u64> {
    let inside = native.split_once('(')?.1.split([',', ')']).next()?;
    inside.trim().parse().ok().filter(|n| *n > 0)
}

/// Without values the name is all there is.
fn by_name(of: &Source<'_>, declared: &str) -> Chosen {
    let ty = of.column.neutral.clone();
    let why = format!("{declared}; no values to look at");
    match named(&of.column.native, &ty) {
        Some(kind) => Chosen::new(kind, ty, why),
        None => Chosen::new(Kind::TEXT, NeutralType::any(), why),
    }
}

/// The kind of a declared type that somebody asks for by name.
pub fn forced(native: &str) -> (Kind, NeutralType) {
    let ty = super::super::rows::Rows.neutral(native, "");
    (named(native, &ty).unwrap_or(Kind::Any), ty)
}

fn named(native: &str, ty: &NeutralType) -> Option<Kind> {
    Some(match ty {
        NeutralType::Bool => Kind::Bool,
        NeutralType::Int => Kind::BIG,
        NeutralType::Decimal => Kind::Decimal { digits: None },
        NeutralType::Float => Kind::DOUBLE,
        NeutralType::Bytes => Kind::BYTES,
        NeutralType::Date => Kind::Date,
        NeutralType::Time => Kind::Time(6),
        NeutralType::Timestamp => Kind::Timestamp(6),
        NeutralType::TimestampTz => Kind::TimestampTz(6),
        NeutralType::Json => Kind::Json { binary: true },
        NeutralType::Uuid => Kind::Uuid,
        NeutralType::Bits => Kind::Bits {
            len: length(native),
            varying: false,
        },
        NeutralType::Text if is_varbit(native) => Kind::Bits {
            len: length(native),
            varying: true,
        },
        NeutralType::Text => Kind::Text {
            chars: length(native),
            bytes: None,
        },
        NeutralType::Opaque(_) => return None,
    })
}

fn by_values(of: &Source<'_>, profile: &ColumnProfile, declared: &str) -> Chosen {
    let p = profile;
    let fits = match of.column.neutral {
        NeutralType::Bool => booleans(p, declared),
        NeutralType::Int => None,
        NeutralType::Decimal => decimals(p, declared),
        NeutralType::Float => doubles(p, declared),
        NeutralType::Date | NeutralType::Timestamp | NeutralType::TimestampTz => {
            super::moments::moments(&of.column.neutral, p, declared)
        }
        NeutralType::Time => times(p, declared),
        NeutralType::Json => documents(p, declared),
        NeutralType::Uuid => uuids(p, declared),
        NeutralType::Bits => bits(of, p, declared),
        NeutralType::Text if is_varbit(&of.column.native) => bits(of, p, declared),
        NeutralType::Text | NeutralType::Bytes | NeutralType::Opaque(_) => None,
    };
    fits.unwrap_or_else(|| by_class(of, p, declared))
}

fn booleans(p: &ColumnProfile, declared: &str) -> Option<Chosen> {
    let all = p.ints_01 == p.ints && p.texts_bool == p.texts;
    if all && p.floats == 0 && p.blobs == 0 && p.texts_bad == 0 {
        let chosen = Chosen::new(
            Kind::Bool,
            NeutralType::Bool,
            format!("{declared}; every value is a boolean"),
        );
        return Some(if p.texts > 0 {
            chosen.word("text-as-boolean")
        } else {
            chosen
        });
    }
    if p.ints == p.values() {
        let (least, most) = p.int_range.unwrap_or((0, 0));
        let small = least >= i128::from(i16::MIN) && most <= i128::from(i16::MAX);
        let kind = Kind::Int {
            bits: if small { 16 } else { 64 },
            unsigned: false,
        };
        return Some(Chosen::new(
            kind,
            NeutralType::Int,
            format!("{declared}; numbers from {least} to {most}, not 0 and 1 alone"),
        ));
    }
    None
}

/// Whole numbers and doubles, nothing else.
fn numbers(p: &ColumnProfile) -> bool {
    p.ints + p.floats == p.values()
}

fn exact(p: &ColumnProfile) -> bool {
    p.int_range
        .is_none_or(|(least, most)| least >= -EXACT && most <= EXACT)
}

fn decimals(p: &ColumnProfile, declared: &str) -> Option<Chosen> {
    let texts = p.texts_number == p.texts && p.texts_bad == 0 && p.blobs == 0;
    if texts && p.floats_decimal == p.floats {
        let (before, after) = p.decimal_digits;
        return Some(Chosen::new(
            Kind::Decimal { digits: None },
            NeutralType::Decimal,
            format!(
                "{declared}; every value is a decimal, of at most {before} and {after} digits around the point"
            ),
        ));
    }
    if numbers(p) && exact(p) {
        return Some(Chosen::new(
            Kind::DOUBLE,
            NeutralType::Float,
            format!(
                "{declared}; {} values are doubles of more than 15 digits",
                p.floats - p.floats_decimal
            ),
        ));
    }
    None
}

fn doubles(p: &ColumnProfile, declared: &str) -> Option<Chosen> {
    (numbers(p) && exact(p)).then(|| {
        Chosen::new(
            Kind::DOUBLE,
            NeutralType::Float,
            format!("{declared}; numbers, kept in double precision"),
        )
    })
}

fn times(p: &ColumnProfile, declared: &str) -> Option<Chosen> {
    if p.texts_time == 0 || p.texts_time != p.values() {
        return None;
    }
    let (least, most) = p.time_range.unwrap_or((0, 0));
    let day = 86_400_000_000;
    let (kind, why) = if least < 0 || most > day {
        (Kind::Span(6), "spans of hours")
    } else {
        (Kind::Time(6), "times of day")
    };
    Some(Chosen::new(
        kind,
        NeutralType::Time,
        format!("{declared}; every value is text, {why}"),
    ))
}

fn documents(p: &ColumnProfile, declared: &str) -> Option<Chosen> {
    // Numbers lie there because a column declared JSON turns what looks like one into one.
    let all = p.texts_json == p.texts && p.texts_bad == 0 && p.blobs == 0 && p.floats_odd == 0;
    if !all {
        return None;
    }
    let binary = p.json_unsafe == 0;
    let why = if binary {
        format!("{declared}; every value is JSON")
    } else {
        format!(
            "{declared}; every value is JSON, {} with a key twice or a \\u0000",
            p.json_unsafe
        )
    };
    Some(Chosen::new(Kind::Json { binary }, NeutralType::Json, why))
}

fn uuids(p: &ColumnProfile, declared: &str) -> Option<Chosen> {
    let all = p.texts_uuid == p.texts && p.blobs_16 == p.blobs;
    if !all || p.texts + p.blobs != p.values() {
        return None;
    }
    let chosen = Chosen::new(
        Kind::Uuid,
        NeutralType::Uuid,
        format!("{declared}; every value is a UUID"),
    );
    Some(if p.blobs > 0 {
        chosen.word("bytes-as-uuid")
    } else {
        chosen
    })
}

/// Whether a copy made it, of bits of which there may be more or fewer.
pub(super) fn is_varbit(native: &str) -> bool {
    native.split('(').next() == Some(super::VARBIT)
}

/// What a copy into SQLite made of bits: text.
fn bits(of: &Source<'_>, p: &ColumnProfile, declared: &str) -> Option<Chosen> {
    let len = length(&of.column.native);
    (p.texts == p.values() && len.is_none_or(|len| p.text_max.0 <= len)).then(|| {
        Chosen::new(
            Kind::Bits {
                len,
                varying: is_varbit(&of.column.native),
            },
            of.column.neutral.clone(),
            declared.to_owned(),
        )
    })
}

/// By the classes of the values alone.
fn by_class(of: &Source<'_>, p: &ColumnProfile, declared: &str) -> Chosen {
    let values = p.values();
    if p.ints == values {
        let (least, most) = p.int_range.unwrap_or((0, 0));
        return Chosen::new(
            Kind::BIG,
            NeutralType::Int,
            format!("{declared}; whole numbers from {least} to {most}"),
        );
    }
    if numbers(p) {
        if p.ints > 0 && p.floats_decimal == p.floats && of.column.neutral == NeutralType::Int {
            let why = format!(
                "{declared}; {} whole numbers and {} others",
                p.ints, p.floats
            );
            let kind = Kind::Decimal { digits: None };
            return Chosen::new(kind, NeutralType::Decimal, why).word("number-as-decimal");
        }
        if exact(p) {
            let why = format!("{declared}; {} values are doubles", p.floats);
            let chosen = Chosen::new(Kind::DOUBLE, NeutralType::Float, why);
            // Whole numbers beside them become doubles, too.
            return match p.ints {
                0 => chosen,
                _ => chosen.word("number-as-double"),
            };
        }
    }
    if p.blobs == values {
        return Chosen::new(
            Kind::BYTES,
            NeutralType::Bytes,
            format!("{declared}; every value is bytes"),
        );
    }
    if p.texts + p.texts_bad == values {
        return texts(of, p, declared);
    }
    mixed(of, p, declared)
}

fn texts(of: &Source<'_>, p: &ColumnProfile, declared: &str) -> Chosen {
    let length = length(&of.column.native).filter(|_| of.column.neutral == NeutralType::Text);
    let (chars, more) = match length {
        Some(length) if p.text_max.0 > length => (
            None,
            format!(", the longest of {} characters", p.text_max.0),
        ),
        length => (length, String::new()),
    };
    let mut chosen = Chosen::new(
        Kind::Text { chars, bytes: None },
        NeutralType::Text,
        format!("{declared}; every value is text{more}"),
    );
    chosen.misfits = p.texts_bad;
    chosen
}

/// Values of several classes. In a column meant for bytes texts go as their bytes; everywhere else text is the only
/// thing that all of them can be spelled as.
fn mixed(of: &Source<'_>, p: &ColumnProfile, declared: &str) -> Chosen {
    let counts = [
        (p.ints, "whole numbers"),
        (p.floats, "doubles"),
        (p.texts, "texts"),
        (p.texts_bad, "texts that are not UTF-8"),
        (p.blobs, "bytes"),
    ];
    let list: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let why = format!("{declared}; {}", list.join(", "));
    let finding = Some((
        "mixed-classes",
        format!("its values are of several classes: {}", list.join(", ")),
    ));
    if of.column.neutral == NeutralType::Bytes && p.blobs > 0 {
        let mut chosen = Chosen::new(Kind::BYTES, NeutralType::any(), why).word("text-as-bytes");
        chosen.misfits = p.ints + p.floats;
        chosen.finding = finding;
        return chosen;
    }
    // Texts and bytes where nothing says which is meant: bytes hold both.
    let untyped = matches!(of.column.neutral, NeutralType::Opaque(_));
    if untyped && p.ints + p.floats == 0 && p.blobs > 0 {
        let mut chosen = Chosen::new(Kind::BYTES, NeutralType::any(), why).word("text-as-bytes");
        chosen.finding = finding;
        return chosen;
    }
    // Texts and the odd blob in a column of text: it stays one of text.
    let text_alone = p.ints + p.floats == 0 && of.column.neutral == NeutralType::Text;
    let mut chosen = if text_alone {
        Chosen::new(Kind::TEXT, NeutralType::Text, why)
    } else {
        Chosen::new(Kind::TEXT, NeutralType::any(), why).word("mixed-as-text")
    };
    chosen.misfits = p.blobs + p.texts_bad;
    chosen.finding = finding;
    chosen
}

/// The one epoch by which all numbers count; `None`: there is none, or not one alone.
pub(super) fn epoch(p: &ColumnProfile) -> Option<Epoch> {
    let (epoch, count) = p.counted.iter().next()?;
    (p.counted.len() == 1 && *count == p.ints + p.floats).then_some(*epoch)
}
