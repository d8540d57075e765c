//! How MySQL and MariaDB spell kinds.

use super::super::ddl::quote;
use super::literal;
use crate::copy::plan::Bounds;
use crate::copy::translate::kind::{Fold, Kind, range};
use crate::dialect::copy::{Spelled, Wants};
use crate::dialect::{Caps, EngineKind};
use crate::schema::NeutralType;

/// Characters that fit into a key of InnoDB: 3,072 bytes of four each.
const KEY_CHARS: u64 = 768;
/// The longest varchar outside of keys: many of them must fit into a row of 65,535 bytes.
const ROW_CHARS: u64 = 1_024;
/// `838:59:59.000000` in microseconds.
const TIME_MOST: i64 = 3_020_399_000_000;

/// A kind in these engines' words.
pub(super) fn spell(kind: &Kind, wants: &Wants<'_>) -> Spelled {
    let mut spelled = plain(kind, wants);
    spelled.bounds.nul = true;
    let text = matches!(
        kind,
        Kind::Text { .. }
            | Kind::Enum { .. }
            | Kind::Set(_)
            | Kind::Other(_)
            | Kind::Any
            | Kind::Interval
    );
    if text || spelled.ty == Some(NeutralType::Text) || spelled.word == Some("decimal-as-text") {
        spelled.collation = Some(collation(wants.fold, wants.caps).to_owned());
    }
    spelled
}

/// A collation that takes for equal what the source did, and nothing more where there is one.
fn collation(fold: &Fold, caps: &Caps) -> &'static str {
    let mariadb = caps.engine == EngineKind::Mariadb;
    let new = caps.version >= (10, 10, 0);
    match (fold, mariadb) {
        (Fold::None | Fold::Unknown, true) => "utf8mb4_nopad_bin",
        (Fold::None | Fold::Unknown, false) if caps.version >= (8, 0, 17) => "utf8mb4_0900_bin",
        (Fold::None | Fold::Unknown, false) => "utf8mb4_bin",
        (Fold::Spaces, _) => "utf8mb4_bin",
        (Fold::Ascii | Fold::Case(_), true) if new => "utf8mb4_uca1400_nopad_as_ci",
        (Fold::Ascii | Fold::Case(_), true) => "utf8mb4_unicode_nopad_ci",
        (Fold::Ascii | Fold::Case(_), false) => "utf8mb4_0900_as_ci",
        (Fold::Accents(_), true) => "utf8mb4_unicode_nopad_ci",
        (Fold::Accents(_), false) => "utf8mb4_0900_ai_ci",
    }
}

fn worded(native: impl Into<String>, ty: NeutralType, word: &'static str) -> Spelled {
    Spelled {
        word: Some(word),
        ..Spelled::new(native, ty)
    }
}

fn plain(kind: &Kind, wants: &Wants<'_>) -> Spelled {
    match kind {
        Kind::Bool => worded("tinyint(1)", NeutralType::Bool, "boolean-as-number"),
        Kind::Int { bits, unsigned } => integer(*bits, *unsigned),
        Kind::Decimal { digits } => decimal(*digits, wants),
        Kind::Float { single } => {
            let mut spelled =
                Spelled::new(if *single { "float" } else { "double" }, NeutralType::Float);
            spelled.bounds.single = *single;
            spelled.bounds.finite = true;
            spelled
        }
        Kind::Text { chars, bytes } => text(*chars, *bytes, wants),
        Kind::Bytes { most, fixed } => binary(*most, *fixed, wants),
        Kind::Date => moment(Spelled::new("date", NeutralType::Date)),
        Kind::Time(digits) | Kind::Span(digits) => {
            let mut spelled = Spelled::new(precise("time", *digits), NeutralType::Time);
            spelled.bounds.time = Some((-TIME_MOST, TIME_MOST));
            spelled
        }
        Kind::Timestamp(digits) => moment(Spelled::new(
            precise("datetime", *digits),
            NeutralType::Timestamp,
        )),
        // TIMESTAMP ends in 2038; a DATETIME in UTC does not.
        Kind::TimestampTz(digits) => moment(worded(
            precise("datetime", *digits),
            NeutralType::TimestampTz,
            "instant-as-utc",
        )),
        Kind::Json { .. } => document(wants),
        Kind::Uuid => Spelled {
            collation: Some("ascii_bin".into()),
            ..worded("char(36)", NeutralType::Uuid, "uuid-as-text")
        },
        Kind::Bits {
            len: Some(len),
            varying: false,
        } if *len <= 64 => {
            let mut spelled = Spelled::new(format!("bit({len})"), NeutralType::Bits);
            spelled.bounds.chars = Some(*len);
            spelled
        }
        Kind::Bits { len, varying } => {
            let spelled = text(*len, None, wants);
            // Zeros before them are theirs, where there may be more or fewer.
            let ty = match varying {
                true => NeutralType::Text,
                false => NeutralType::Bits,
            };
            Spelled {
                collation: Some("ascii_bin".into()),
                ..worded(spelled.native, ty, "bits-as-text")
            }
        }
        Kind::Enum { labels, .. } => listed("enum", labels),
        Kind::Set(labels) => listed("set", labels),
        Kind::Interval => worded("varchar(191)", NeutralType::Text, "interval-as-text"),
        Kind::Geometry => worded("longblob", NeutralType::Bytes, "geometry-as-bytes"),
        Kind::Any => Spelled {
            word: Some("mixed-as-text"),
            ..text(None, None, wants)
        },
        Kind::Other(_) => Spelled {
            word: Some("other-as-text"),
            ..text(None, None, wants)
        },
    }
}

fn precise(name: &str, digits: u8) -> String {
    match digits {
        0 => name.to_owned(),
        digits => format!("{name}({})", digits.min(6)),
    }
}

fn moment(mut spelled: Spelled) -> Spelled {
    spelled.bounds.years = Some((1000, 9999));
    spelled.bounds.finite = true;
    spelled
}

fn integer(bits: u16, unsigned: bool) -> Spelled {
    let (name, bits) = match bits {
        8 => ("tinyint", 8),
        16 => ("smallint", 16),
        24 => ("mediumint", 24),
        32 => ("int", 32),
        _ => ("bigint", 64),
    };
    let sign = if unsigned { " unsigned" } else { "" };
    let mut spelled = Spelled::new(format!("{name}{sign}"), NeutralType::Int);
    spelled.bounds.int = Some(range(bits, unsigned));
    spelled
}

/// MySQL keeps numbers of JSON as doubles and of two keys of one name the last, MariaDB keeps the text: where something would
/// be changed or lost, the text is kept, and a check holds it to what it is.
fn document(wants: &Wants<'_>) -> Spelled {
    let whole = wants
        .profile
        .is_none_or(|profile| profile.json_wide == 0 && profile.json_unsafe == 0);
    if whole || wants.caps.engine == EngineKind::Mariadb {
        return Spelled::new("json", NeutralType::Json);
    }
    Spelled {
        word: Some("json-as-text"),
        collation: Some(collation(&Fold::None, wants.caps).to_owned()),
        check: Some(format!("json_valid({})", quote(wants.place.1))),
        ..Spelled::new("longtext", NeutralType::Json)
    }
}

/// A decimal has at most 65 digits, 30 of them behind the point, and is always a number.
fn decimal(digits: Option<(u32, u32)>, wants: &Wants<'_>) -> Spelled {
    let profile = wants.profile.filter(|profile| profile.values() > 0);
    let odd = profile.is_some_and(|profile| profile.texts > profile.texts_number);
    let fits = |all: u32, scale: u32| (1..=65).contains(&all) && scale <= 30 && scale <= all;
    let seen = profile.map(|profile| {
        let (before, after) = profile.decimal_digits;
        let range = profile.int_range.map_or(0, |(least, most)| {
            least
                .unsigned_abs()
                .max(most.unsigned_abs())
                .to_string()
                .len() as u32
        });
        (before.max(range).max(1), after)
    });
    let chosen = match (digits, seen) {
        _ if odd => None,
        (Some((all, scale)), _) if fits(all, scale) => Some((all, scale)),
        // Room for more than what is there today.
        (_, Some((before, after))) => [(38, 10), (65, 20), (65, 30)]
            .into_iter()
            .find(|(all, scale)| all - scale >= before && *scale >= after),
        (None, None) => Some((65, 30)),
        (Some(_), None) => None,
    };
    match chosen {
        Some((all, scale)) => {
            let mut spelled = Spelled::new(format!("decimal({all},{scale})"), NeutralType::Decimal);
            spelled.bounds.digits = Some((all - scale, scale));
            spelled.bounds.finite = true;
            spelled
        }
        None => Spelled {
            ty: Some(NeutralType::Decimal),
            word: Some("decimal-as-text"),
            ..text(None, None, wants)
        },
    }
}

fn text(chars: Option<u64>, bytes: Option<u64>, wants: &Wants<'_>) -> Spelled {
    let varchar = |chars: u64| {
        let mut spelled = Spelled::new(format!("varchar({chars})"), NeutralType::Text);
        spelled.bounds.chars = Some(chars);
        spelled
    };
    if wants.keyed {
        let seen = wants.profile.map_or(0, |profile| profile.text_max.0);
        if let Some(chars) = chars.filter(|chars| *chars <= KEY_CHARS) {
            return varchar(chars);
        }
        // Four columns of 191, or three of 255, still make one key.
        if let Some(chars) = [191, 255, KEY_CHARS]
            .into_iter()
            .find(|chars| seen <= *chars)
        {
            return varchar(chars);
        }
    }
    if let Some(chars) = chars.filter(|chars| *chars <= ROW_CHARS) {
        return varchar(chars);
    }
    let most = bytes.or(chars.map(|chars| chars * 4));
    let (native, most) = match most {
        Some(most) if most <= 65_535 => ("text", 65_535),
        Some(most) if most <= 16_777_215 => ("mediumtext", 16_777_215),
        _ => ("longtext", 4_294_967_295),
    };
    let mut spelled = Spelled::new(native, NeutralType::Text);
    spelled.bounds.bytes = Some(most);
    spelled.bounds.chars = chars;
    spelled
}

fn binary(most: Option<u64>, fixed: bool, wants: &Wants<'_>) -> Spelled {
    let sized = |native: String, bytes: u64| {
        let mut spelled = Spelled::new(native, NeutralType::Bytes);
        spelled.bounds.bytes = Some(bytes);
        spelled
    };
    match most {
        Some(most) if fixed && most <= 255 => return sized(format!("binary({most})"), most),
        Some(most) if most <= KEY_CHARS => return sized(format!("varbinary({most})"), most),
        _ => {}
    }
    if wants.keyed {
        let seen = wants.profile.map_or(0, |profile| profile.blob_max);
        if let Some(bytes) = [255, KEY_CHARS, 3_072]
            .into_iter()
            .find(|most| seen <= *most)
        {
            return sized(format!("varbinary({bytes})"), bytes);
        }
    }
    match most {
        Some(most) if most <= 65_535 => sized("blob".into(), 65_535),
        Some(most) if most <= 16_777_215 => sized("mediumblob".into(), 16_777_215),
        _ => sized("longblob".into(), 4_294_967_295),
    }
}

fn listed(name: &str, labels: &[String]) -> Spelled {
    let list: Vec<String> = labels.iter().map(|label| literal(label)).collect();
    Spelled {
        bounds: Bounds {
            labels: (name == "enum").then(|| labels.to_vec()),
            ..Bounds::default()
        },
        ..Spelled::new(format!("{name}({})", list.join(",")), NeutralType::Text)
    }
}
