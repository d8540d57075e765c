//! Profiles: what classes of values a column really holds, from one pass over its rows. Types are chosen by this
//! evidence and not by what a column is called.

use super::cell::Cell;
use super::encode::{Fit, Typing, encode};
use super::temporal::{self, Epoch, Moment};
use super::{decimal, json};
use crate::schema::NeutralType;
use std::collections::BTreeMap;

/// What one column holds. Counts are of cells; what a hint does not ask for is not counted (see [`Profiler`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnProfile {
    /// All cells.
    pub rows: u64,
    /// NULLs.
    pub nulls: u64,
    /// Booleans of engines that have them.
    pub bools: u64,
    /// Integers.
    pub ints: u64,
    /// Of them, 0 and 1.
    pub ints_01: u64,
    /// The least and the largest integer (of texts that spell one too, in columns of numbers).
    pub int_range: Option<(i128, i128)>,
    /// Doubles and floats.
    pub floats: u64,
    /// Of them, without a fraction.
    pub floats_whole: u64,
    /// Of them, that spell a decimal of at most 15 digits, as engines without decimals keep them.
    pub floats_decimal: u64,
    /// Of them, NaN and infinities.
    pub floats_odd: u64,
    /// The most digits before and after the point, of all numbers that spell a decimal.
    pub decimal_digits: (u32, u32),
    /// Texts.
    pub texts: u64,
    /// Of them, empty.
    pub texts_empty: u64,
    /// Of them, with U+0000.
    pub texts_nul: u64,
    /// The longest, in characters and in bytes.
    pub text_max: (u64, u64),
    /// Texts that are not UTF-8.
    pub texts_bad: u64,
    /// Texts that spell a boolean (`true`, `f`, `yes`, `0` …).
    pub texts_bool: u64,
    /// Texts that spell a number.
    pub texts_number: u64,
    /// Of them, whole ones.
    pub texts_int: u64,
    /// Texts that are a day alone.
    pub texts_date: u64,
    /// Texts that are a time of day alone.
    pub texts_time: u64,
    /// The least and the largest of these times, in microseconds: spans of hours leave the day.
    pub time_range: Option<(i64, i64)>,
    /// Texts that are a day and a time.
    pub texts_stamp: u64,
    /// Of them, with an offset.
    pub texts_zoned: u64,
    /// Of them, finer than a microsecond.
    pub texts_fine: u64,
    /// Days or times with a month or day of zero.
    pub texts_zero_date: u64,
    /// Texts that are JSON.
    pub texts_json: u64,
    /// Of them, with a key twice or `\u0000`: what a binary form would change or refuse.
    pub json_unsafe: u64,
    /// Of them, with a number that a double would change.
    pub json_wide: u64,
    /// Texts that are a UUID.
    pub texts_uuid: u64,
    /// Bytes.
    pub blobs: u64,
    /// The longest, in bytes.
    pub blob_max: u64,
    /// Of them, 16 bytes long.
    pub blobs_16: u64,
    /// Numbers that count from an epoch, by which.
    pub counted: BTreeMap<Epoch, u64>,
}

impl ColumnProfile {
    /// Cells that are not NULL.
    pub fn values(&self) -> u64 {
        self.rows - self.nulls
    }
}

/// Fills a profile. The hint, the column's type as declared, says what texts and numbers are tried for: in a column of
/// plain text nobody looks for dates.
#[derive(Debug, Clone)]
pub struct Profiler {
    tries: Tries,
    profile: ColumnProfile,
    scratch: Vec<u8>,
}

/// What a column's values are tried for: decided once, since the question is asked for each value.
#[derive(Debug, Clone, Copy)]
struct Tries {
    epochs: bool,
    digits: bool,
    bools: bool,
    numbers: bool,
    moments: bool,
    json: bool,
    uuids: bool,
}

impl Tries {
    fn of(hint: &NeutralType) -> Tries {
        use NeutralType::{
            Bool, Date, Decimal, Float, Int, Json, Opaque, Time, Timestamp, TimestampTz, Uuid,
        };
        let any = matches!(hint, Opaque(_));
        let epochs = any || matches!(hint, Date | Timestamp | TimestampTz);
        let digits = any || matches!(hint, Decimal | Int);
        Tries {
            epochs,
            digits,
            bools: any || *hint == Bool,
            numbers: digits || *hint == Float,
            moments: epochs || *hint == Time,
            json: any || *hint == Json,
            uuids: any || *hint == Uuid,
        }
    }
}

impl Profiler {
    /// A profiler of one column.
    pub fn new(hint: NeutralType) -> Self {
        Profiler {
            tries: Tries::of(&hint),
            profile: ColumnProfile::default(),
            scratch: vec![],
        }
    }

    /// The profile so far.
    pub fn finish(self) -> ColumnProfile {
        self.profile
    }

    /// Takes one cell.
    pub fn take(&mut self, cell: Cell<'_>) {
        self.profile.rows += 1;
        match cell {
            Cell::Null => self.profile.nulls += 1,
            Cell::Bool(_) => self.profile.bools += 1,
            Cell::Int(n) => {
                self.profile.ints += 1;
                self.profile.ints_01 += u64::from(n == 0 || n == 1);
                self.int(i128::from(n));
                self.epoch(|| temporal::from_integer(n).map(|(_, epoch)| epoch));
            }
            Cell::UInt(n) => {
                self.profile.ints += 1;
                self.profile.ints_01 += u64::from(n <= 1);
                self.int(i128::from(n));
            }
            Cell::Float(value) => self.float(value),
            Cell::Float32(value) => self.float(f64::from(value)),
            Cell::Text(text) => self.text(text),
            Cell::BadText(bytes) => {
                self.profile.texts_bad += 1;
                self.profile.text_max.1 = self.profile.text_max.1.max(bytes.len() as u64);
            }
            Cell::Bytes(bytes) => {
                let len = bytes.len() as u64;
                self.profile.blobs += 1;
                self.profile.blobs_16 += u64::from(len == 16);
                self.profile.blob_max = self.profile.blob_max.max(len);
            }
        }
    }

    fn int(&mut self, n: i128) {
        let range = &mut self.profile.int_range;
        let (least, most) = range.unwrap_or((n, n));
        *range = Some((least.min(n), most.max(n)));
    }

    fn epoch(&mut self, epoch: impl FnOnce() -> Option<Epoch>) {
        if self.tries.epochs
            && let Some(epoch) = epoch()
        {
            *self.profile.counted.entry(epoch).or_default() += 1;
        }
    }

    fn float(&mut self, value: f64) {
        self.profile.floats += 1;
        if !value.is_finite() {
            self.profile.floats_odd += 1;
            return;
        }
        self.profile.floats_whole += u64::from(value.fract() == 0.0);
        self.epoch(|| temporal::from_julian(value).map(|(_, epoch)| epoch));
        if self.tries.digits {
            self.scratch.clear();
            if decimal::from_double(value, &mut self.scratch) {
                self.profile.floats_decimal += 1;
                self.digits();
            }
        }
    }

    /// Takes the digits of the decimal in `scratch` into account.
    fn digits(&mut self) {
        let text = self.scratch.strip_prefix(b"-").unwrap_or(&self.scratch);
        let point = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
        let (before, after) = (point, text.len().saturating_sub(point + 1));
        let most = &mut self.profile.decimal_digits;
        most.0 = most.0.max(before as u32);
        most.1 = most.1.max(after as u32);
    }

    fn text(&mut self, text: &str) {
        let profile = &mut self.profile;
        profile.texts += 1;
        profile.texts_empty += u64::from(text.is_empty());
        profile.texts_nul += u64::from(memchr::memchr(0, text.as_bytes()).is_some());
        // Counting characters costs; a text is never longer in characters than in bytes.
        if text.len() as u64 > profile.text_max.0 {
            profile.text_max.0 = profile.text_max.0.max(text.chars().count() as u64);
        }
        profile.text_max.1 = profile.text_max.1.max(text.len() as u64);
        if self.tries.bools {
            self.texts_of(text, &NeutralType::Bool);
        }
        if self.tries.numbers {
            self.number(text);
        }
        if self.tries.moments {
            self.moment(text.as_bytes());
        }
        if self.tries.json {
            self.scratch.clear();
            if let Some(twice) = json::canonical(text.as_bytes(), &mut self.scratch) {
                self.profile.texts_json += 1;
                let unsafe_ = twice || text.contains("\\u0000");
                self.profile.json_unsafe += u64::from(unsafe_);
                self.profile.json_wide += u64::from(json::beyond_doubles(text));
            }
        }
        if self.tries.uuids {
            self.texts_of(text, &NeutralType::Uuid);
        }
    }

    fn texts_of(&mut self, text: &str, ty: &NeutralType) {
        self.scratch.clear();
        let fits = encode(Cell::Text(text), ty, Typing::Dynamic, &mut self.scratch) == Fit::Fits;
        match ty {
            NeutralType::Bool => self.profile.texts_bool += u64::from(fits),
            _ => self.profile.texts_uuid += u64::from(fits),
        }
    }

    fn number(&mut self, text: &str) {
        self.scratch.clear();
        if decimal::normalise(text.as_bytes(), &mut self.scratch) {
            self.profile.texts_number += 1;
            self.digits();
            if let Some(n) = decimal::to_integer(text.as_bytes()) {
                self.profile.texts_int += 1;
                self.int(n);
            }
        }
    }

    fn moment(&mut self, text: &[u8]) {
        let profile = &mut self.profile;
        if let Some(Moment::At(_)) = temporal::date(text) {
            profile.texts_date += u64::from(text.len() <= 13);
            profile.texts_stamp += u64::from(text.len() > 13);
        } else if let Some(micros) = temporal::time(text) {
            profile.texts_time += 1;
            let (least, most) = profile.time_range.unwrap_or((micros, micros));
            profile.time_range = Some((least.min(micros), most.max(micros)));
        } else if temporal::timestamp(text, false).is_some() {
            profile.texts_stamp += 1;
        } else if temporal::timestamp(text, true).is_some() {
            profile.texts_stamp += 1;
            profile.texts_zoned += 1;
        } else if temporal::is_zero_date(text) {
            profile.texts_zero_date += 1;
        } else if temporal::rounded(text, true).is_some() {
            profile.texts_stamp += 1;
            profile.texts_fine += 1;
            profile.texts_zoned += u64::from(temporal::rounded(text, false).is_none());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(hint: NeutralType, cells: &[Cell<'_>]) -> ColumnProfile {
        let mut profiler = Profiler::new(hint);
        for cell in cells {
            profiler.take(*cell);
        }
        profiler.finish()
    }

    #[test]
    fn classes_and_ranges_are_counted() {
        use Cell::{Bytes, Float, Int, Null, Text};
        let found = profile(
            NeutralType::Int,
            &[
                Int(-3),
                Int(1),
                Text("12"),
                Text("12abc"),
                Float(1.5),
                Null,
                Bytes(b"\x01"),
            ],
        );
        assert_eq!((found.rows, found.nulls, found.ints), (7, 1, 2));
        assert_eq!(found.int_range, Some((-3, 12)));
        assert_eq!((found.texts, found.texts_int), (2, 1));
        assert_eq!((found.floats, found.floats_whole, found.blobs), (1, 0, 1));
    }

    #[test]
    fn times_are_told_apart() {
        use Cell::{Int, Text};
        let found = profile(
            NeutralType::Timestamp,
            &[
                Text("2024-02-29"),
                Text("2024-02-29 12:00:00"),
                Text("2024-06-01T12:00:00+05:30"),
                Text("2024-06-01 12:00:00.123456789"),
                Text("0000-00-00"),
                Text("now"),
                Int(1_700_000_000),
                Int(1_700_000_000_123),
            ],
        );
        assert_eq!((found.texts_date, found.texts_stamp), (1, 3));
        assert_eq!(
            (found.texts_zoned, found.texts_fine, found.texts_zero_date),
            (1, 1, 1)
        );
        assert_eq!(found.counted.len(), 2);
    }

    #[test]
    fn decimals_show_their_digits() {
        let found = profile(
            NeutralType::Decimal,
            &[
                Cell::Float(0.1 + 0.2),
                Cell::Float(12.25),
                Cell::Text("1234.5678"),
            ],
        );
        assert_eq!(found.floats_decimal, 1);
        assert_eq!(found.decimal_digits, (4, 4));
    }
}
