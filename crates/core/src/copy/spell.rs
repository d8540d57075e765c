//! Days, times and instants as text: the spelling that every engine reads, and that [`super::temporal`] reads back.

use super::decimal;
use super::temporal::Moment;

const DAY: i64 = 86_400_000_000;

/// Year, month and day of a number of days from 1970-01-01, in the proleptic Gregorian calendar.
pub(crate) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The year of a day, or of a moment in microseconds.
pub(crate) fn year_of_day(days: i64) -> i64 {
    civil_from_days(days).0
}

/// The year of a moment in microseconds.
pub(crate) fn year_of_stamp(micros: i64) -> i64 {
    year_of_day(micros.div_euclid(DAY))
}

fn two(n: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]);
}

/// `2024-02-29`; gives whether ` BC` has to stand at the end.
fn civil(days: i64, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = civil_from_days(days);
    let bc = year < 1;
    let shown = if bc { 1 - year } else { year }.unsigned_abs();
    if shown < 1_000 {
        out.resize(
            out.len()
                + if shown < 10 {
                    3
                } else if shown < 100 {
                    2
                } else {
                    1
                },
            b'0',
        );
    }
    decimal::integer(shown, out);
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
    bc
}

fn infinite(moment: Moment) -> &'static [u8] {
    if moment == Moment::Infinity {
        b"infinity"
    } else {
        b"-infinity"
    }
}

/// A day.
pub(crate) fn date(moment: Moment, out: &mut Vec<u8>) {
    let Moment::At(days) = moment else {
        out.extend_from_slice(infinite(moment));
        return;
    };
    if civil(days, out) {
        out.extend_from_slice(b" BC");
    }
}

/// A time of day or a span of hours: `23:59:59.000001`, without a fraction where it is zero.
pub(crate) fn time(micros: i64, out: &mut Vec<u8>) {
    if micros < 0 {
        out.push(b'-');
    }
    clock(micros.unsigned_abs(), out);
}

fn clock(micros: u64, out: &mut Vec<u8>) {
    let (seconds, fraction) = (micros / 1_000_000, (micros % 1_000_000) as u32);
    let hours = seconds / 3_600;
    if hours < 10 {
        out.push(b'0');
    }
    decimal::integer(hours, out);
    out.push(b':');
    two((seconds / 60 % 60) as u32, out);
    out.push(b':');
    two((seconds % 60) as u32, out);
    if fraction > 0 {
        out.push(b'.');
        two(fraction / 10_000, out);
        two(fraction / 100, out);
        two(fraction, out);
    }
}

/// A day and time; with `zone`, as an instant in UTC (`+00:00` behind it).
pub(crate) fn stamp(moment: Moment, zone: bool, out: &mut Vec<u8>) {
    let Moment::At(micros) = moment else {
        out.extend_from_slice(infinite(moment));
        return;
    };
    let bc = civil(micros.div_euclid(DAY), out);
    out.push(b' ');
    clock(micros.rem_euclid(DAY).unsigned_abs(), out);
    if zone {
        out.extend_from_slice(b"+00:00");
    }
    if bc {
        out.extend_from_slice(b" BC");
    }
}

/// A UUID in its five groups.
pub(crate) fn uuid(bytes: [u8; 16], out: &mut Vec<u8>) {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        hex(&[*byte], out);
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.extend_from_slice(&[
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]);
    }
}

/// A whole number.
pub(crate) fn int(n: i64, out: &mut Vec<u8>) {
    if n < 0 {
        out.push(b'-');
    }
    decimal::integer(n.unsigned_abs(), out);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::temporal;
    use super::*;
    use proptest::prelude::*;

    fn spelled(make: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = vec![];
        make(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn spelled_as_people_do() {
        assert_eq!(
            spelled(|out| date(Moment::At(11_016), out)),
            "2000-02-29",
            "a leap day"
        );
        assert_eq!(spelled(|out| date(Moment::At(-719_162), out)), "0001-01-01");
        assert_eq!(
            spelled(|out| date(Moment::At(-719_163), out)),
            "0001-12-31 BC"
        );
        assert_eq!(spelled(|out| date(Moment::Infinity, out)), "infinity");
        assert_eq!(
            spelled(|out| stamp(Moment::At(-1), false, out)),
            "1969-12-31 23:59:59.999999"
        );
        assert_eq!(
            spelled(|out| stamp(Moment::At(1_500_000), true, out)),
            "1970-01-01 00:00:01.500000+00:00"
        );
        assert_eq!(
            spelled(|out| time(-3_020_399_000_000, out)),
            "-838:59:59",
            "a span"
        );
        assert_eq!(spelled(|out| time(i64::MIN, out)), {
            "-2562047788:00:54.775808"
        });
        assert_eq!(
            spelled(|out| uuid(std::array::from_fn(|at| at as u8), out)),
            "00010203-0405-0607-0809-0a0b0c0d0e0f"
        );
    }

    proptest! {
        #[test]
        fn what_is_spelled_is_read_back(days in -2_500_000..360_000_000_i64, micros in 0..DAY) {
            let day = spelled(|out| date(Moment::At(days), out));
            prop_assert_eq!(temporal::date(day.as_bytes()), Some(Moment::At(days)), "{}", day);
            let at = days.min(100_000_000) * DAY + micros;
            let wall = spelled(|out| stamp(Moment::At(at), false, out));
            prop_assert_eq!(temporal::timestamp(wall.as_bytes(), false), Some(Moment::At(at)), "{}", wall);
            let instant = spelled(|out| stamp(Moment::At(at), true, out));
            prop_assert_eq!(temporal::timestamp(instant.as_bytes(), true), Some(Moment::At(at)), "{}", instant);
            let clock = spelled(|out| time(micros, out));
            prop_assert_eq!(temporal::time(clock.as_bytes()), Some(micros), "{}", clock);
        }
    }
}
