//! Columns of days and times: text in many spellings, or numbers that count from an epoch.

use super::choose::epoch;
use crate::copy::profile::ColumnProfile;
use crate::copy::translate::kind::Kind;
use crate::dialect::copy::Chosen;
use crate::schema::NeutralType;

/// What such a column holds. `None`: nothing that is a day or a time; its classes decide.
pub(super) fn moments(ty: &NeutralType, p: &ColumnProfile, declared: &str) -> Option<Chosen> {
    let numbers = p.ints + p.floats;
    let good = p.texts_date + p.texts_stamp;
    if p.blobs > 0 && good == 0 {
        return None;
    }
    if numbers == p.values() {
        return Some(counted(p, declared));
    }
    let read = good - p.texts_fine.min(good) + numbers;
    // Where most of it is something else it never was a column of times.
    if read * 2 < p.values() {
        return Some(as_text(p, declared));
    }
    if p.texts_zoned > 0 && p.texts_zoned < good {
        return Some(offsets(p, declared));
    }
    let epoch = if numbers > 0 { epoch(p) } else { None };
    let uncounted = if epoch.is_some() { 0 } else { numbers };
    let bad = (p.texts - good.min(p.texts)) + p.texts_bad + p.blobs + uncounted;
    let (kind, neutral, what) = if p.texts_zoned > 0 {
        (
            Kind::TimestampTz(6),
            NeutralType::TimestampTz,
            "every value has an offset".to_owned(),
        )
    } else if *ty == NeutralType::Date && p.texts_stamp == 0 && numbers == 0 {
        (Kind::Date, NeutralType::Date, "days".to_owned())
    } else {
        let widened = if *ty == NeutralType::Date {
            format!("; {} of them with a time", p.texts_stamp)
        } else {
            String::new()
        };
        (
            Kind::Timestamp(6),
            NeutralType::Timestamp,
            format!("days and times without an offset{widened}"),
        )
    };
    let mut chosen = Chosen::new(kind, neutral, format!("{declared}; {what}"));
    chosen.epoch = epoch;
    if let Some(epoch) = epoch {
        chosen.word = Some("epoch-to-timestamp");
        chosen
            .why
            .push_str(&format!(", and {numbers} numbers of {}", epoch.name()));
    }
    chosen.misfits = bad + p.texts_fine;
    if chosen.misfits > 0 {
        chosen.finding = Some((
            "bad-date",
            format!(
                "{} of its {} values are no day or time that can be kept as one",
                chosen.misfits,
                p.values()
            ),
        ));
    }
    Some(chosen)
}

/// Numbers alone: of one epoch, or of nobody knows what.
fn counted(p: &ColumnProfile, declared: &str) -> Chosen {
    if let Some(epoch) = epoch(p) {
        let mut chosen = Chosen::new(
            Kind::Timestamp(6),
            NeutralType::Timestamp,
            format!("{declared}; every value is a number of {}", epoch.name()),
        )
        .word("epoch-to-timestamp");
        chosen.epoch = Some(epoch);
        return chosen;
    }
    let (kind, ty) = if p.floats == 0 {
        (Kind::BIG, NeutralType::Int)
    } else {
        (Kind::DOUBLE, NeutralType::Float)
    };
    let mut chosen = Chosen::new(
        kind,
        ty,
        format!("{declared}; numbers that do not all count from one epoch"),
    )
    .word("date-as-number");
    chosen.finding = Some((
        "unclear-epoch",
        "its numbers do not all count from one epoch, so they stay numbers".into(),
    ));
    chosen
}

fn as_text(p: &ColumnProfile, declared: &str) -> Chosen {
    let read = if p.ints + p.floats == 0 && p.blobs == 0 {
        NeutralType::Text
    } else {
        NeutralType::any()
    };
    let mut chosen = Chosen::new(
        Kind::TEXT,
        read,
        format!("{declared}; most values are no day or time that can be read"),
    )
    .word("date-as-text");
    chosen.misfits = p.texts_bad + p.blobs;
    chosen.finding = Some((
        "bad-date",
        "most of its values are no day or time, so it stays text".into(),
    ));
    chosen
}

fn offsets(p: &ColumnProfile, declared: &str) -> Chosen {
    let mut chosen = as_text(p, declared);
    chosen.why = format!(
        "{declared}; {} of {} times have an offset and the others have none",
        p.texts_zoned,
        p.texts_date + p.texts_stamp
    );
    chosen.finding = Some((
        "mixed-offsets",
        format!(
            "{} of its values have an offset and the others have none, so it stays text",
            p.texts_zoned
        ),
    ));
    chosen
}
