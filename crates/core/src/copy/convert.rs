//! From a cell of the source to a datum of the target: the one function through which every value of a copy passes, and
//! which verification takes too.
//!
//! A value arrives as it was, or it is a hazard. Nothing is bent in silence: what a policy of `coerce` bends is counted.

use super::cell::Cell;
use super::datum::Datum;
use super::plan::{Bounds, ColumnPlan};
use super::policy::Hazard;
use super::temporal::{self, Epoch, Moment};
use super::{decimal, json};
use crate::schema::NeutralType;
use std::ops::Range;

/// A value on its way: borrowed from the row, or spelled anew in the scratch text beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot<'a> {
    /// Borrowed.
    Plain(Datum<'a>),
    /// A decimal in the scratch text.
    Decimal(Range<usize>),
    /// A text in the scratch text.
    Text(Range<usize>),
    /// A document in the scratch text.
    Json(Range<usize>),
    /// Bits in the scratch text.
    Bits(Range<usize>),
}

impl<'a> Slot<'a> {
    /// The datum, with the scratch text at hand.
    pub fn datum<'s>(&self, scratch: &'s str) -> Datum<'s>
    where
        'a: 's,
    {
        // Ranges come from the scratch text itself, at the ends of what was written.
        let at = |range: &Range<usize>| scratch.get(range.clone()).unwrap_or_default();
        match self {
            Slot::Plain(datum) => *datum,
            Slot::Decimal(range) => Datum::Decimal(at(range)),
            Slot::Text(range) => Datum::Text(at(range)),
            Slot::Json(range) => Datum::Json(at(range)),
            Slot::Bits(range) => Datum::Bits(at(range)),
        }
    }
}

/// How one column's cells become data.
#[derive(Debug, Clone)]
pub struct Converter {
    ty: NeutralType,
    source: NeutralType,
    bounds: Bounds,
    epoch: Option<Epoch>,
    nullable: bool,
    as_is: bool,
}

type Converted<'a> = Result<Slot<'a>, Hazard>;

fn plain<'a>(datum: Datum<'a>) -> Converted<'a> {
    Ok(Slot::Plain(datum))
}

impl Converter {
    /// The converter of a column.
    pub fn new(column: &ColumnPlan) -> Self {
        Converter {
            ty: column.ty.clone(),
            source: column.source_type.clone(),
            bounds: column.bounds.clone(),
            epoch: column.epoch,
            nullable: column.nullable,
            as_is: column.as_is,
        }
    }

    /// Whether cells go over as they are.
    pub fn as_is(&self) -> bool {
        self.as_is
    }

    /// The type of its data.
    pub fn ty(&self) -> &NeutralType {
        &self.ty
    }

    /// Converts a cell. What has to be spelled anew is appended to `scratch`.
    pub fn convert<'a>(&self, cell: Cell<'a>, scratch: &mut String) -> Converted<'a> {
        if cell == Cell::Null {
            return if self.nullable {
                plain(Datum::Null)
            } else {
                Err(Hazard::NullRefused)
            };
        }
        if self.as_is {
            return plain(raw(cell));
        }
        match &self.ty {
            NeutralType::Text => self.text(cell, scratch),
            NeutralType::Int => self.int(cell),
            NeutralType::Float => self.float(cell),
            NeutralType::Bool => boolean(cell),
            NeutralType::Decimal => self.decimal(cell, scratch),
            NeutralType::Bytes => self.bytes(cell),
            NeutralType::Date => self.date(cell),
            NeutralType::Time => self.time(cell),
            NeutralType::Timestamp => self.stamp(cell, false),
            NeutralType::TimestampTz => self.stamp(cell, true),
            NeutralType::Json => document(cell, scratch),
            NeutralType::Uuid => uuid(cell),
            NeutralType::Bits => self.bits(cell, scratch),
            NeutralType::Opaque(_) => match cell {
                Cell::Text(text) => plain(Datum::Opaque(text)),
                _ if self.ty.is_any() => plain(raw(cell)),
                _ => Err(Hazard::WrongClass),
            },
        }
    }

    fn text<'a>(&self, cell: Cell<'a>, scratch: &mut String) -> Converted<'a> {
        let from = scratch.len();
        match cell {
            Cell::Text(text) => {
                self.fits(text)?;
                return plain(Datum::Text(text));
            }
            Cell::BadText(_) => return Err(Hazard::NotUtf8),
            Cell::Bytes(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| Hazard::WrongClass)?;
                self.fits(text)?;
                return plain(Datum::Text(text));
            }
            cell => spell(cell, scratch),
        }
        if let Err(hazard) = self.fits(&scratch[from..]) {
            scratch.truncate(from);
            return Err(hazard);
        }
        Ok(Slot::Text(from..scratch.len()))
    }

    /// Whether a text fits the target's type.
    fn fits(&self, text: &str) -> Result<(), Hazard> {
        let bounds = &self.bounds;
        if !bounds.nul && memchr::memchr(0, text.as_bytes()).is_some() {
            return Err(Hazard::TextNul);
        }
        if let Some(labels) = &bounds.labels
            && !labels.iter().any(|label| label == text)
        {
            return Err(Hazard::BadLabel);
        }
        // A text has at most as many characters as bytes: most need no counting.
        let long = |max: u64| text.len() as u64 > max && text.chars().count() as u64 > max;
        if bounds.chars.is_some_and(long) || bounds.bytes.is_some_and(|max| text.len() as u64 > max)
        {
            return Err(Hazard::TooLong);
        }
        Ok(())
    }

    fn int<'a>(&self, cell: Cell<'a>) -> Converted<'a> {
        let n = match cell {
            Cell::Int(n) => i128::from(n),
            Cell::UInt(n) => i128::from(n),
            Cell::Bool(b) => i128::from(b),
            Cell::Float(value)
                if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 =>
            {
                value as i128
            }
            Cell::Float(_) | Cell::Float32(_) => return Err(Hazard::WrongClass),
            Cell::Text(text) => match decimal::to_integer(text.as_bytes()) {
                Some(n) => n,
                None if decimal::parse(text.as_bytes()).is_some() => {
                    return Err(Hazard::TooPrecise);
                }
                None => return Err(Hazard::BadNumber),
            },
            _ => return Err(Hazard::WrongClass),
        };
        let (least, most) = self
            .bounds
            .int
            .unwrap_or((i128::from(i64::MIN), i128::from(i64::MAX)));
        if n < least || n > most {
            return Err(Hazard::OutOfRange);
        }
        match (i64::try_from(n), u64::try_from(n)) {
            (Ok(n), _) => plain(Datum::Int(n)),
            (_, Ok(n)) => plain(Datum::UInt(n)),
            _ => Err(Hazard::OutOfRange),
        }
    }

    fn float<'a>(&self, cell: Cell<'a>) -> Converted<'a> {
        let value = match cell {
            Cell::Float(value) => value,
            Cell::Float32(value) if self.bounds.single => return plain(Datum::Float32(value)),
            Cell::Float32(value) => f64::from(value),
            Cell::Int(n) if n.unsigned_abs() <= 1 << 53 => n as f64,
            Cell::UInt(n) if n <= 1 << 53 => n as f64,
            Cell::Int(_) | Cell::UInt(_) => return Err(Hazard::TooPrecise),
            Cell::Text(text) if decimal::parse(text.as_bytes()).is_some() => {
                let value: f64 = text.parse().map_err(|_| Hazard::BadNumber)?;
                if value.is_infinite() {
                    return Err(Hazard::OutOfRange);
                }
                if !spells(value, text) {
                    return Err(Hazard::TooPrecise);
                }
                value
            }
            Cell::Text(_) => return Err(Hazard::BadNumber),
            _ => return Err(Hazard::WrongClass),
        };
        if self.bounds.finite && !value.is_finite() {
            return Err(Hazard::NotFinite);
        }
        if self.bounds.single {
            let single = value as f32;
            let same = f64::from(single) == value || value.is_nan();
            return if same {
                plain(Datum::Float32(single))
            } else {
                Err(Hazard::TooPrecise)
            };
        }
        plain(Datum::Float(value))
    }

    fn decimal<'a>(&self, cell: Cell<'a>, scratch: &mut String) -> Converted<'a> {
        let from = scratch.len();
        match cell {
            Cell::Text(text @ ("NaN" | "Infinity" | "-Infinity")) => {
                return if self.bounds.finite {
                    Err(Hazard::NotFinite)
                } else {
                    plain(Datum::Decimal(text))
                };
            }
            Cell::Text(text) => {
                let parts = decimal::parse(text.as_bytes()).ok_or(Hazard::BadNumber)?;
                // As its author spelled it, zeros at the end included, where it is a plain spelling.
                if parts.is_plain()
                    && !text.contains(['e', 'E'])
                    && !text.starts_with(['+', '.'])
                    && !text.ends_with('.')
                {
                    self.digits(text)?;
                    return plain(Datum::Decimal(text));
                }
                let mut spelled = vec![];
                if !decimal::normalise(text.as_bytes(), &mut spelled) {
                    return Err(Hazard::OutOfRange);
                }
                push_ascii(scratch, &spelled);
            }
            Cell::Int(_) | Cell::UInt(_) => spell(cell, scratch),
            Cell::Bool(b) => scratch.push(if b { '1' } else { '0' }),
            Cell::Float(value) => {
                if !value.is_finite() {
                    return Err(Hazard::NotFinite);
                }
                let mut spelled = vec![];
                if !decimal::from_double(value, &mut spelled) {
                    return Err(Hazard::TooPrecise);
                }
                push_ascii(scratch, &spelled);
            }
            _ => return Err(Hazard::WrongClass),
        }
        if let Err(hazard) = self.digits(&scratch[from..]) {
            scratch.truncate(from);
            return Err(hazard);
        }
        Ok(Slot::Decimal(from..scratch.len()))
    }

    /// Whether a decimal's digits fit.
    fn digits(&self, text: &str) -> Result<(), Hazard> {
        let Some((before, after)) = self.bounds.digits else {
            return Ok(());
        };
        let text = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.trim_start_matches('0').len() > before as usize {
            return Err(Hazard::OutOfRange);
        }
        if fraction.trim_end_matches('0').len() > after as usize {
            return Err(Hazard::TooPrecise);
        }
        Ok(())
    }

    fn bytes<'a>(&self, cell: Cell<'a>) -> Converted<'a> {
        let bytes = match cell {
            Cell::Bytes(bytes) | Cell::BadText(bytes) => bytes,
            Cell::Text(text) => text.as_bytes(),
            _ => return Err(Hazard::WrongClass),
        };
        if self
            .bounds
            .bytes
            .is_some_and(|max| bytes.len() as u64 > max)
        {
            return Err(Hazard::TooLong);
        }
        plain(Datum::Bytes(bytes))
    }

    fn date<'a>(&self, cell: Cell<'a>) -> Converted<'a> {
        let at = match cell {
            Cell::Text(text) => temporal::date(text.as_bytes()).ok_or_else(|| bad_date(text))?,
            Cell::Int(_) | Cell::Float(_) => match self.counted(cell)? {
                micros if micros.rem_euclid(temporal::DAY) == 0 => {
                    Moment::At(micros.div_euclid(temporal::DAY))
                }
                _ => return Err(Hazard::BadDate),
            },
            _ => return Err(Hazard::WrongClass),
        };
        self.within(at, 1)?;
        plain(Datum::Date(at))
    }

    fn time<'a>(&self, cell: Cell<'a>) -> Converted<'a> {
        let Cell::Text(text) = cell else {
            return Err(Hazard::WrongClass);
        };
        let micros = temporal::time(text.as_bytes()).ok_or(Hazard::BadDate)?;
        if let Some((least, most)) = self.bounds.time
            && !(least..=most).contains(&micros)
        {
            return Err(Hazard::OutOfRange);
        }
        plain(Datum::Time(micros))
    }

    fn stamp<'a>(&self, cell: Cell<'a>, zone: bool) -> Converted<'a> {
        let at = match cell {
            Cell::Text(text) => {
                // A source column of instants, read into one without a zone, is taken as UTC: the plan says so.
                let zoned = zone || self.source == NeutralType::TimestampTz;
                temporal::timestamp(text.as_bytes(), zoned).ok_or_else(|| {
                    if temporal::rounded(text.as_bytes(), zoned).is_some() {
                        Hazard::TooPrecise
                    } else {
                        bad_date(text)
                    }
                })?
            }
            Cell::Int(_) | Cell::Float(_) => Moment::At(self.counted(cell)?),
            _ => return Err(Hazard::WrongClass),
        };
        self.within(at, temporal::DAY)?;
        plain(Datum::Stamp(at))
    }

    /// A number that counts from the column's epoch, in microseconds.
    fn counted(&self, cell: Cell<'_>) -> Result<i64, Hazard> {
        let Some(epoch) = self.epoch else {
            return Err(Hazard::BadDate);
        };
        match (epoch, cell) {
            (Epoch::JulianDay, Cell::Float(value)) => temporal::from_julian(value)
                .map(|(micros, _)| micros)
                .ok_or(Hazard::BadDate),
            (Epoch::JulianDay, Cell::Int(n)) => temporal::from_julian(n as f64)
                .map(|(micros, _)| micros)
                .ok_or(Hazard::BadDate),
            (_, Cell::Int(n)) => n.checked_mul(epoch.micros()).ok_or(Hazard::OutOfRange),
            // Seconds with a fraction, as some libraries keep them: exact to the microsecond or not at all.
            (Epoch::Seconds, Cell::Float(value)) => {
                let micros = (value * 1e6).round();
                if micros / 1e6 == value && micros.abs() < 9e18 {
                    Ok(micros as i64)
                } else {
                    Err(Hazard::TooPrecise)
                }
            }
            _ => Err(Hazard::BadDate),
        }
    }

    /// Whether a moment lies within the years of the target's type. `unit`: how many of its units a day has.
    fn within(&self, at: Moment, unit: i64) -> Result<(), Hazard> {
        let Moment::At(n) = at else {
            return if self.bounds.finite {
                Err(Hazard::NotFinite)
            } else {
                Ok(())
            };
        };
        let Some((least, most)) = self.bounds.years else {
            return Ok(());
        };
        let day = n.div_euclid(unit);
        let from = temporal::days_from_civil(i64::from(least), 1, 1);
        let upto = temporal::days_from_civil(i64::from(most) + 1, 1, 1);
        if (from..upto).contains(&day) {
            Ok(())
        } else {
            Err(Hazard::OutOfRange)
        }
    }

    fn bits<'a>(&self, cell: Cell<'a>, scratch: &mut String) -> Converted<'a> {
        let from = scratch.len();
        match cell {
            Cell::Text(text) if text.bytes().all(|b| matches!(b, b'0' | b'1')) => {
                scratch.push_str(text);
            }
            Cell::Bool(b) => scratch.push(if b { '1' } else { '0' }),
            Cell::Int(n) if n >= 0 => scratch.push_str(&format!("{n:b}")),
            Cell::UInt(n) => scratch.push_str(&format!("{n:b}")),
            Cell::Bytes(bytes) => {
                for byte in bytes {
                    scratch.push_str(&format!("{byte:08b}"));
                }
            }
            _ => return Err(Hazard::WrongClass),
        }
        if let Some(width) = self.bounds.chars {
            let width = usize::try_from(width).unwrap_or(usize::MAX);
            let spelled = scratch.split_off(from);
            let digits = spelled.trim_start_matches('0');
            if digits.len() > width {
                return Err(Hazard::TooLong);
            }
            scratch.extend(std::iter::repeat_n('0', width - digits.len()));
            scratch.push_str(digits);
        }
        Ok(Slot::Bits(from..scratch.len()))
    }

    /// What becomes of a hazard under `coerce`. `None`: nothing can be made of it, and the row is rejected.
    pub fn coerce<'a>(
        &self,
        cell: Cell<'a>,
        hazard: Hazard,
        scratch: &mut String,
    ) -> Option<Slot<'a>> {
        let from = scratch.len();
        let bent = match (hazard, cell) {
            (Hazard::TextNul, Cell::Text(text)) => text.replace('\0', ""),
            (Hazard::NotUtf8, Cell::BadText(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            (Hazard::TooLong, Cell::Text(text)) if self.ty == NeutralType::Text => {
                self.cut(text).to_owned()
            }
            (Hazard::TooPrecise, Cell::Text(text)) => return self.round(text),
            (Hazard::TooPrecise, Cell::Float(value)) if self.bounds.single => {
                return Some(Slot::Plain(Datum::Float32(value as f32)));
            }
            (Hazard::NullRefused | Hazard::DuplicateKey | Hazard::Orphan, _) => return None,
            _ if self.nullable => return Some(Slot::Plain(Datum::Null)),
            _ => return None,
        };
        // Bent once, it may still be too long, or no label.
        let text = self.cut(&bent);
        self.fits(text).ok()?;
        scratch.push_str(text);
        Some(Slot::Text(from..scratch.len()))
    }

    fn cut<'t>(&self, text: &'t str) -> &'t str {
        let chars = usize::try_from(self.bounds.chars.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let bytes = usize::try_from(self.bounds.bytes.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let mut end = text
            .char_indices()
            .nth(chars)
            .map_or(text.len(), |(at, _)| at)
            .min(bytes);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        &text[..end]
    }

    fn round<'a>(&self, text: &str) -> Option<Slot<'a>> {
        let zoned = self.ty == NeutralType::TimestampTz || self.source == NeutralType::TimestampTz;
        match self.ty {
            NeutralType::Timestamp | NeutralType::TimestampTz => {
                let at = temporal::rounded(text.as_bytes(), zoned)?;
                Some(Slot::Plain(Datum::Stamp(at)))
            }
            NeutralType::Float => {
                let value = text.parse().ok().filter(|value: &f64| value.is_finite())?;
                Some(Slot::Plain(match self.bounds.single {
                    true => Datum::Float32(value as f32),
                    false => Datum::Float(value),
                }))
            }
            _ => None,
        }
    }
}

/// Whether a double is the number that a text spells, and not the next one to it.
fn spells(value: f64, text: &str) -> bool {
    let (mut wanted, mut shortest) = (vec![], vec![]);
    decimal::normalise(text.as_bytes(), &mut wanted)
        && decimal::normalise(format!("{value:e}").as_bytes(), &mut shortest)
        && wanted == shortest
}

fn bad_date(text: &str) -> Hazard {
    if temporal::is_zero_date(text.as_bytes()) {
        Hazard::ZeroDate
    } else {
        Hazard::BadDate
    }
}

/// What a cell is, in its own class.
fn raw(cell: Cell<'_>) -> Datum<'_> {
    match cell {
        Cell::Null => Datum::Null,
        Cell::Bool(b) => Datum::Bool(b),
        Cell::Int(n) => Datum::Int(n),
        Cell::UInt(n) => Datum::UInt(n),
        Cell::Float(value) => Datum::Float(value),
        Cell::Float32(value) => Datum::Float32(value),
        Cell::Text(text) => Datum::Text(text),
        Cell::BadText(bytes) => Datum::BadText(bytes),
        Cell::Bytes(bytes) => Datum::Bytes(bytes),
    }
}

fn push_ascii(scratch: &mut String, bytes: &[u8]) {
    scratch.extend(bytes.iter().map(|byte| char::from(*byte)));
}

/// A cell of another class as text: numbers in the one spelling that gives them back.
fn spell(cell: Cell<'_>, scratch: &mut String) {
    use std::fmt::Write as _;
    // Writing into a String does not fail.
    let _ = match cell {
        Cell::Int(n) => write!(scratch, "{n}"),
        Cell::UInt(n) => write!(scratch, "{n}"),
        Cell::Bool(b) => write!(scratch, "{b}"),
        Cell::Float(value) => write!(scratch, "{value:?}"),
        Cell::Float32(value) => write!(scratch, "{value:?}"),
        _ => Ok(()),
    };
}

fn boolean(cell: Cell<'_>) -> Converted<'_> {
    let value = match cell {
        Cell::Bool(b) => b,
        Cell::Int(0) | Cell::UInt(0) | Cell::Bytes([0]) => false,
        Cell::Int(1) | Cell::UInt(1) | Cell::Bytes([1]) => true,
        Cell::Float(0.0) => false,
        Cell::Float(1.0) => true,
        Cell::Text(text) => match text.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => true,
            "f" | "false" | "n" | "no" | "off" | "0" => false,
            _ => return Err(Hazard::BadBoolean),
        },
        _ => return Err(Hazard::BadBoolean),
    };
    plain(Datum::Bool(value))
}

fn document<'a>(cell: Cell<'a>, scratch: &mut String) -> Converted<'a> {
    let valid = |text: &str| json::canonical(text.as_bytes(), &mut vec![]).is_some();
    match cell {
        Cell::Text(text) if valid(text) => plain(Datum::Json(text)),
        Cell::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if valid(text) => plain(Datum::Json(text)),
            _ => Err(Hazard::BadJson),
        },
        // SQLite's affinity for a column declared JSON is that of numbers: a document that is one becomes one.
        Cell::Int(_) | Cell::Float(_) => {
            let from = scratch.len();
            spell(cell, scratch);
            if valid(&scratch[from..]) {
                return Ok(Slot::Json(from..scratch.len()));
            }
            scratch.truncate(from);
            Err(Hazard::BadJson)
        }
        _ => Err(Hazard::BadJson),
    }
}

fn uuid(cell: Cell<'_>) -> Converted<'_> {
    super::encode::uuid(cell).map_or(Err(Hazard::BadUuid), |bytes| plain(Datum::Uuid(bytes)))
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
