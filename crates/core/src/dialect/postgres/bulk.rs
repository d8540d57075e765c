//! Loading rows: COPY, in its binary form where every column has one here, else in its text form.

mod binary;
#[cfg(test)]
mod tests;
mod text;

use super::ddl::quote;
use super::rows::DEFAULT_SCHEMA;
use crate::dialect::bulk::{BulkDialect, Encoder, Longest, TargetColumn, TargetTable};
use crate::schema::NeutralType;

/// How rows are loaded.
#[derive(Debug, Clone, Copy)]
pub struct Bulk;

/// The longest value: the server's own bound on a field.
const FIELD_MAX: usize = 0x3fff_fff0;

/// Why a value cannot be written.
type Why = &'static str;

const CLASS: Why = "the value is of another class than the column";
const RANGE: Why = "the number is outside of the column's range";
const LONG: Why = "the value is longer than the server's limit of 1 GB";
const INEXACT: Why = "the number is not exact in single precision";
const MOMENT: Why = "the day or time is outside of what the column's type holds";
const BITS: Why = "the bits are not as many as the column has";

impl BulkDialect for Bulk {
    fn load(&self, table: &TargetTable, frozen: bool) -> String {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| quote(&column.name))
            .collect();
        let list = if columns.is_empty() {
            String::new()
        } else {
            format!(" ({})", columns.join(", "))
        };
        let form = if kinds(table).is_some() {
            "FORMAT binary"
        } else {
            "FORMAT text, ENCODING 'UTF8'"
        };
        format!(
            "COPY {}.{}{list} FROM STDIN ({form}{})",
            quote(table.schema.as_deref().unwrap_or(DEFAULT_SCHEMA)),
            quote(&table.name),
            if frozen { ", FREEZE" } else { "" }
        )
    }

    fn encoder(&self, table: &TargetTable) -> Result<Box<dyn Encoder>, String> {
        Ok(match kinds(table) {
            Some(kinds) => Box::new(binary::Binary::new(kinds)),
            None => {
                let kinds = table
                    .columns
                    .iter()
                    .map(|column| kind(column).unwrap_or(Kind::Other));
                Box::new(text::Text::new(kinds.collect()))
            }
        })
    }

    fn longest(&self) -> Longest {
        // `FIELD_MAX`.
        Longest {
            query: "SELECT 1073741808",
            help: None,
        }
    }

    fn swift(&self) -> &'static [&'static str] {
        &[
            // Index builds and the proof of foreign keys sort in memory of this size; never less than was set.
            "SELECT set_config('maintenance_work_mem', greatest(pg_size_bytes(current_setting(\
             'maintenance_work_mem')), 268435456) / 1024 || 'kB', false)",
            // A load waits for its source, and its length is nobody's mistake.
            "SET idle_in_transaction_session_timeout = 0",
            "SET statement_timeout = 0",
        ]
    }
}

/// How a column's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Numeric,
    Float4,
    Float8,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Json,
    Jsonb,
    Uuid,
    /// Exactly this many bits.
    Bit(usize),
    Varbit,
    /// Only its text form is understood.
    Other,
}

/// The kinds of all columns, where each has a binary form here.
fn kinds(table: &TargetTable) -> Option<Vec<Kind>> {
    table.columns.iter().map(kind).collect()
}

/// The type's name and its modifier: `bit`, `8`. Attributes behind the brackets (`timestamp(3) with time zone`) stay.
fn split(native: &str) -> (String, Option<String>) {
    let lower = native.trim().to_ascii_lowercase();
    match (lower.find('('), lower.rfind(')')) {
        (Some(open), Some(close)) if open < close => {
            let base = format!("{}{}", lower[..open].trim_end(), &lower[close + 1..]);
            (base, Some(lower[open + 1..close].trim().to_owned()))
        }
        _ => (lower, None),
    }
}

fn kind(column: &TargetColumn) -> Option<Kind> {
    let (base, modifier) = split(&column.native);
    let base = base.strip_prefix("pg_catalog.").unwrap_or(&base);
    let number = || modifier.as_deref().and_then(|text| text.parse().ok());
    Some(match base {
        "boolean" | "bool" => Kind::Bool,
        "smallint" | "int2" | "smallserial" | "serial2" => Kind::Int2,
        "integer" | "int" | "int4" | "serial" | "serial4" => Kind::Int4,
        "bigint" | "int8" | "bigserial" | "serial8" => Kind::Int8,
        "oid" => Kind::Oid,
        "numeric" | "decimal" | "dec" => Kind::Numeric,
        "real" | "float4" => Kind::Float4,
        "float" if number().is_some_and(|bits: usize| bits <= 24) => Kind::Float4,
        "double precision" | "float8" | "float" => Kind::Float8,
        "text" | "character varying" | "varchar" | "character" | "char" | "bpchar" | "name"
        | "citext" => Kind::Text,
        "bytea" => Kind::Bytes,
        "date" => Kind::Date,
        "time" | "time without time zone" => Kind::Time,
        "timestamp" | "timestamp without time zone" => Kind::Timestamp,
        "timestamptz" | "timestamp with time zone" => Kind::TimestampTz,
        // An interval as its engine spells it may hold months: only spans of hours have a number.
        "interval" if column.ty == NeutralType::Time => Kind::Interval,
        "json" => Kind::Json,
        "jsonb" => Kind::Jsonb,
        "uuid" => Kind::Uuid,
        "bit" => Kind::Bit(number().unwrap_or(1)),
        "bit varying" | "varbit" => Kind::Varbit,
        // One byte, whatever the letters.
        "\"char\"" => return None,
        name if name.ends_with("[]") => return None,
        // An enumeration, a domain over text, an extension's text: the binary form is the text.
        _ if column.ty == NeutralType::Text => Kind::Text,
        _ => return None,
    })
}

/// The number of an integer, where it is one.
fn whole(datum: &crate::copy::Datum<'_>) -> Option<i128> {
    use crate::copy::Datum;
    match *datum {
        Datum::Int(n) => Some(i128::from(n)),
        Datum::UInt(n) => Some(i128::from(n)),
        Datum::Bool(b) => Some(i128::from(b)),
        Datum::Decimal(text) => crate::copy::decimal::to_integer(text.as_bytes()),
        _ => None,
    }
}

/// The double of a number, where that is exact.
fn double(datum: &crate::copy::Datum<'_>) -> Option<f64> {
    use crate::copy::Datum;
    match *datum {
        Datum::Float(value) => Some(value),
        Datum::Float32(value) => Some(f64::from(value)),
        Datum::Int(n) if n.unsigned_abs() <= 1 << 53 => Some(n as f64),
        _ => None,
    }
}

/// The float of a number, where that is exact.
fn single(datum: &crate::copy::Datum<'_>) -> Result<f32, Why> {
    if let crate::copy::Datum::Float32(value) = *datum {
        return Ok(value);
    }
    let value = double(datum).ok_or(CLASS)?;
    let narrow = value as f32;
    if f64::from(narrow) == value || value.is_nan() {
        Ok(narrow)
    } else {
        Err(INEXACT)
    }
}

/// A string of bits as long as the column wants it: zeros in front are of no account.
fn fitted(bits: &str, exact: Option<usize>) -> Result<(usize, &str), Why> {
    if !bits.bytes().all(|b| matches!(b, b'0' | b'1')) {
        return Err(CLASS);
    }
    let Some(width) = exact else {
        return Ok((0, bits));
    };
    let needed = bits.trim_start_matches('0');
    if bits.len() <= width {
        Ok((width - bits.len(), bits))
    } else if needed.len() <= width {
        Ok((width - needed.len(), needed))
    } else {
        Err(BITS)
    }
}

/// Runs `write` for each value of a row. Where one does not fit, `out` is left as it was.
fn each<'a, 'd: 'a>(
    kinds: &[Kind],
    row: &'a [crate::copy::Datum<'d>],
    out: &mut Vec<u8>,
    mut write: impl FnMut(usize, Kind, &'a crate::copy::Datum<'d>, &mut Vec<u8>) -> Result<(), Why>,
) -> Result<(), crate::dialect::bulk::Unfit> {
    const NULL: &crate::copy::Datum<'static> = &crate::copy::Datum::Null;
    let before = out.len();
    for (column, kind) in kinds.iter().enumerate() {
        let datum = row.get(column).unwrap_or(NULL);
        if let Err(why) = write(column, *kind, datum, out) {
            out.truncate(before);
            let why = why.to_owned();
            return Err(crate::dialect::bulk::Unfit { column, why });
        }
    }
    Ok(())
}
