//! Durations as people write them: `200ms 5s 10m 2h 3d`, and `0` for none.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// The units with their milliseconds, longest spelling first so that `ms` is not taken for `m`.
const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// What every message about a duration ends with.
pub const EXAMPLES: &str = "durations look like `200ms`, `5s`, `10m`, `2h`, `3d`, or `0`";

/// Reads a duration. The error is a sentence without the place.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    match (number.is_empty(), unit, factor) {
        (true, _, _) => Err(format!("`{text}` is not a duration")),
        (false, "", _) => Err(format!("`{text}` has no unit")),
        (false, _, None) => Err(format!("`{}` is not a unit of time", unit.trim())),
        (false, _, Some(factor)) => number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Duration::from_millis)
            .ok_or_else(|| format!("`{text}` is too long for a duration")),
    }
}

/// A duration in the largest unit that divides it, as [`parse_duration`] reads it.
pub fn show_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0".into();
    }
    let (unit, factor) = UNITS
        .iter()
        .rev()
        .find(|(_, factor)| millis % factor == 0)
        .unwrap_or(&UNITS[0]);
    format!("{}{unit}", millis / factor)
}

/// A duration in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationText(pub Duration);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text)
            .map(DurationText)
            .map_err(serde::de::Error::custom)
    }
}

impl Serialize for DurationText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show_duration(self.0))
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(0|[0-9]+(ms|s|m|h|d))$",
            "description": "A duration: `200ms`, `5s`, `10m`, `2h`, `3d`; `0` is none.",
            "x-dunlin-type": "duration",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, millis) in [
            ("200ms", 200),
            ("5s", 5_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("3d", 259_200_000),
            ("0", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
            assert_eq!(show_duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        assert_eq!(show_duration(Duration::from_millis(90_000)), "90s");
        for bad in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            "5sec",
            "5S",
            "99999999999999999999d",
            "999999999999999d",
            "۵s",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
