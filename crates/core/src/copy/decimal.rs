//! Exact decimals in one spelling: sign, digits without leading or trailing zeros, a point, no exponent.

/// The longest number that is written out, in digits on either side of the point. PostgreSQL's `numeric` holds 131072
/// before and 16383 after it; the larger of the two bounds both.
const DIGITS_MAX: i64 = 131_072;

/// How many decimal digits a double always gives back: what is spelled with more was never a decimal.
const DOUBLE_DIGITS: usize = 15;

/// A number taken apart: value = ± 0.`digits` × 10^`point`, digits without zeros at either end, none for zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub negative: bool,
    /// Digits before the point as written, leading zeros cut.
    whole: &'a [u8],
    /// Digits after the point as written, trailing zeros cut.
    fraction: &'a [u8],
    /// The exponent as written.
    exponent: i64,
}

/// Takes a plain or scientific spelling apart; `None` where it is not a number.
pub(crate) fn parse(text: &[u8]) -> Option<Parts<'_>> {
    let (negative, rest) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mantissa_end = rest
        .iter()
        .position(|b| matches!(b, b'e' | b'E'))
        .unwrap_or(rest.len());
    let (mantissa, tail) = rest.split_at(mantissa_end);
    let exponent = if tail.is_empty() {
        0
    } else {
        std::str::from_utf8(&tail[1..]).ok()?.parse::<i64>().ok()?
    };
    let point = mantissa.iter().position(|b| *b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &mantissa[mantissa.len()..]),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let from = whole.iter().position(|b| *b != b'0').unwrap_or(whole.len());
    let upto = fraction
        .iter()
        .rposition(|b| *b != b'0')
        .map_or(0, |at| at + 1);
    Some(Parts {
        negative,
        whole: &whole[from..],
        fraction: &fraction[..upto],
        exponent,
    })
}

impl Parts<'_> {
    /// Written without an exponent.
    pub(crate) fn is_plain(&self) -> bool {
        self.exponent == 0
    }

    /// Digits without zeros at either end, and the power of ten of the last of them.
    pub(crate) fn significant(&self) -> (Vec<u8>, i128) {
        let mut digits: Vec<u8> = self.whole.iter().chain(self.fraction).copied().collect();
        let mut power = i128::from(self.exponent) - self.fraction.len() as i128;
        while digits.last() == Some(&b'0') {
            digits.pop();
            power += 1;
        }
        let lead = digits
            .iter()
            .position(|b| *b != b'0')
            .unwrap_or(digits.len());
        digits.drain(..lead);
        if digits.is_empty() {
            power = 0;
        }
        (digits, power)
    }
}

/// Appends the one spelling of a decimal. `false`, and nothing appended, where the text is not a number or is longer
/// than any engine's.
pub(crate) fn normalise(text: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(parts) = parse(text) else {
        return false;
    };
    if parts.exponent != 0 {
        return normalise_scientific(&parts, out);
    }
    if parts.whole.len() as i64 > DIGITS_MAX || parts.fraction.len() as i64 > DIGITS_MAX {
        return false;
    }
    if parts.negative && !(parts.whole.is_empty() && parts.fraction.is_empty()) {
        out.push(b'-');
    }
    if parts.whole.is_empty() {
        out.push(b'0');
    }
    out.extend_from_slice(parts.whole);
    if !parts.fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(parts.fraction);
    }
    true
}

fn normalise_scientific(parts: &Parts<'_>, out: &mut Vec<u8>) -> bool {
    let (digits, power) = parts.significant();
    let max = i128::from(DIGITS_MAX);
    if power > max || power < -max || digits.len() as i128 + power > max {
        return false;
    }
    if digits.is_empty() {
        out.push(b'0');
        return true;
    }
    if parts.negative {
        out.push(b'-');
    }
    let before = digits.len() as i128 + power;
    if before <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + usize::try_from(-before).unwrap_or(0), b'0');
        out.extend_from_slice(&digits);
    } else if power >= 0 {
        out.extend_from_slice(&digits);
        out.resize(out.len() + usize::try_from(power).unwrap_or(0), b'0');
    } else {
        let split = usize::try_from(before).unwrap_or(0);
        out.extend_from_slice(&digits[..split]);
        out.push(b'.');
        out.extend_from_slice(&digits[split..]);
    }
    true
}

/// Appends the decimal that a double spells, where there is one: at most 15 digits, which every double gives back.
/// Engines without decimals keep them so.
pub(crate) fn from_double(value: f64, out: &mut Vec<u8>) -> bool {
    if !value.is_finite() {
        return false;
    }
    let mut scale = 1.0_f64;
    // Prices and the like, without formatting: n / 10^k is correctly rounded, so equality proves the spelling.
    for places in 0..=4_usize {
        let scaled = (value * scale).round();
        if scaled.abs() >= 1e15 {
            break;
        }
        if scaled / scale == value {
            fixed(scaled as i64, places, out);
            return true;
        }
        scale *= 10.0;
    }
    let text = format!("{value:e}");
    let digits = text
        .bytes()
        .take_while(|b| *b != b'e')
        .filter(u8::is_ascii_digit)
        .count();
    digits <= DOUBLE_DIGITS && normalise(text.as_bytes(), out)
}

/// Appends n / 10^places.
fn fixed(n: i64, places: usize, out: &mut Vec<u8>) {
    let divisor = 10_u64.pow(places as u32);
    let (whole, mut fraction) = (n.unsigned_abs() / divisor, n.unsigned_abs() % divisor);
    if n < 0 {
        out.push(b'-');
    }
    integer(whole, out);
    if fraction == 0 {
        return;
    }
    out.push(b'.');
    let mut unit = divisor / 10;
    while fraction > 0 {
        out.push(b'0' + (fraction / unit) as u8);
        fraction %= unit;
        unit = (unit / 10).max(1);
    }
}

/// Appends a whole number's digits.
pub(crate) fn integer(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The whole number that a decimal spelling is, where its fraction is zero and it fits 128 bits.
pub(crate) fn to_integer(text: &[u8]) -> Option<i128> {
    let parts = parse(text)?;
    let (digits, power) = parts.significant();
    if power < 0 || digits.len() as i128 + power > 38 {
        return None;
    }
    let mut n = 0_i128;
    for digit in digits {
        n = n.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    for _ in 0..power {
        n = n.checked_mul(10)?;
    }
    Some(if parts.negative { -n } else { n })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn normal(text: &str) -> Option<String> {
        let mut out = vec![];
        normalise(text.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
    }
    fn double(value: f64) -> Option<String> {
        let mut out = vec![];
        from_double(value, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn one_spelling_for_one_number() {
        for (text, expected) in [
            ("1.50", "1.5"),
            ("001.5", "1.5"),
            ("+1.5", "1.5"),
            ("-0.00", "0"),
            ("0", "0"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1500e-3", "1.5"),
            ("12.34e1", "123.4"),
            ("1e-5", "0.00001"),
            ("0e99", "0"),
            ("-100", "-100"),
        ] {
            assert_eq!(normal(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "-", ".", "1x", "0x10", "1e", "NaN", "1 ", "1e999999999"] {
            assert_eq!(normal(text), None, "{text}");
        }
        let long = format!("{}.{}", "9".repeat(35), "1".repeat(30));
        assert_eq!(normal(&long).unwrap(), long, "65 digits stay as they are");
    }

    #[test]
    fn doubles_spell_decimals_of_fifteen_digits() {
        assert_eq!(double(0.99).unwrap(), "0.99");
        assert_eq!(double(-13.86).unwrap(), "-13.86");
        assert_eq!(double(100.0).unwrap(), "100");
        assert_eq!(double(0.0).unwrap(), "0");
        assert_eq!(double(-0.0).unwrap(), "0");
        assert_eq!(double(1e20).unwrap(), "100000000000000000000");
        assert_eq!(double(0.000_012_3).unwrap(), "0.0000123");
        assert_eq!(double(1.0005).unwrap(), "1.0005");
        assert_eq!(double(0.1 + 0.2), None, "17 digits: never a decimal");
        assert_eq!(double(f64::NAN), None);
    }

    #[test]
    fn whole_decimals_are_integers() {
        assert_eq!(to_integer(b"5.00"), Some(5));
        assert_eq!(to_integer(b"-5e2"), Some(-500));
        assert_eq!(to_integer(b"5.5"), None);
        assert_eq!(
            to_integer(b"18446744073709551615"),
            Some(i128::from(u64::MAX))
        );
        assert_eq!(to_integer("9".repeat(39).as_bytes()), None);
    }
}
