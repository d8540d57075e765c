//! Every class of values against every type: what arrives, and what is a hazard.

use super::*;

fn converter(ty: NeutralType, bounds: Bounds) -> Converter {
    Converter {
        source: ty.clone(),
        ty,
        bounds,
        epoch: None,
        nullable: true,
        as_is: false,
    }
}

fn convert(converter: &Converter, cell: Cell<'_>) -> Result<String, Hazard> {
    let mut scratch = String::new();
    let slot = converter.convert(cell, &mut scratch)?;
    Ok(format!("{:?}", slot.datum(&scratch)))
}

#[test]
fn text_is_kept_whole_or_refused() {
    let text = converter(NeutralType::Text, Bounds::default());
    assert_eq!(
        convert(&text, Cell::Text("é😀")),
        Ok("Text(\"é😀\")".into())
    );
    assert_eq!(convert(&text, Cell::Text("a\0b")), Err(Hazard::TextNul));
    assert_eq!(convert(&text, Cell::BadText(b"\xff")), Err(Hazard::NotUtf8));
    assert_eq!(convert(&text, Cell::Int(-7)), Ok("Text(\"-7\")".into()));
    assert_eq!(convert(&text, Cell::Float(1.0)), Ok("Text(\"1.0\")".into()));
    let short = converter(
        NeutralType::Text,
        Bounds {
            chars: Some(3),
            nul: true,
            ..Bounds::default()
        },
    );
    assert_eq!(
        convert(&short, Cell::Text("日本語")),
        Ok("Text(\"日本語\")".into())
    );
    assert_eq!(convert(&short, Cell::Text("abcd")), Err(Hazard::TooLong));
    assert_eq!(
        convert(&short, Cell::Text("a\0b")),
        Ok("Text(\"a\\0b\")".into())
    );
}

#[test]
fn numbers_do_not_overflow_or_lose_digits() {
    let small = converter(
        NeutralType::Int,
        Bounds {
            int: Some((-32_768, 32_767)),
            ..Bounds::default()
        },
    );
    assert_eq!(convert(&small, Cell::Int(32_767)), Ok("Int(32767)".into()));
    assert_eq!(convert(&small, Cell::Int(32_768)), Err(Hazard::OutOfRange));
    assert_eq!(convert(&small, Cell::Text("12abc")), Err(Hazard::BadNumber));
    assert_eq!(convert(&small, Cell::Text("1.5")), Err(Hazard::TooPrecise));
    assert_eq!(convert(&small, Cell::Float(1.5)), Err(Hazard::WrongClass));
    assert_eq!(convert(&small, Cell::Float(2.0)), Ok("Int(2)".into()));
    let single = converter(
        NeutralType::Float,
        Bounds {
            single: true,
            ..Bounds::default()
        },
    );
    assert_eq!(
        convert(&single, Cell::Float(0.5)),
        Ok("Float32(0.5)".into())
    );
    assert_eq!(convert(&single, Cell::Float(0.1)), Err(Hazard::TooPrecise));
    let price = converter(
        NeutralType::Decimal,
        Bounds {
            digits: Some((3, 2)),
            finite: true,
            ..Bounds::default()
        },
    );
    assert_eq!(
        convert(&price, Cell::Float(1.1)),
        Ok("Decimal(\"1.1\")".into())
    );
    assert_eq!(
        convert(&price, Cell::Text("999.990")),
        Ok("Decimal(\"999.990\")".into())
    );
    assert_eq!(
        convert(&price, Cell::Text("1e2")),
        Ok("Decimal(\"100\")".into())
    );
    assert_eq!(convert(&price, Cell::Text("1000")), Err(Hazard::OutOfRange));
    assert_eq!(
        convert(&price, Cell::Text("1.005")),
        Err(Hazard::TooPrecise)
    );
    assert_eq!(
        convert(&price, Cell::Float(0.1 + 0.2)),
        Err(Hazard::TooPrecise)
    );
    assert_eq!(convert(&price, Cell::Text("NaN")), Err(Hazard::NotFinite));
}

#[test]
fn days_and_times_are_never_guessed() {
    let stamp = converter(
        NeutralType::Timestamp,
        Bounds {
            years: Some((1000, 9999)),
            ..Bounds::default()
        },
    );
    assert_eq!(
        convert(&stamp, Cell::Text("1970-01-01 00:00:01")),
        Ok("Stamp(At(1000000))".into())
    );
    assert_eq!(convert(&stamp, Cell::Text("now")), Err(Hazard::BadDate));
    assert_eq!(
        convert(&stamp, Cell::Text("0000-00-00 00:00:00")),
        Err(Hazard::ZeroDate)
    );
    assert_eq!(
        convert(&stamp, Cell::Text("2024-06-01 12:00:00+05:30")),
        Err(Hazard::BadDate)
    );
    assert_eq!(
        convert(&stamp, Cell::Text("0999-12-31 00:00:00")),
        Err(Hazard::OutOfRange)
    );
    assert_eq!(
        convert(&stamp, Cell::Text("2024-06-01 12:00:00.123456789")),
        Err(Hazard::TooPrecise)
    );
    assert_eq!(
        convert(&stamp, Cell::Int(1_700_000_000)),
        Err(Hazard::BadDate),
        "no epoch is planned"
    );
    let counted = Converter {
        epoch: Some(Epoch::Seconds),
        ..stamp
    };
    assert_eq!(
        convert(&counted, Cell::Int(1)),
        Ok("Stamp(At(1000000))".into())
    );
    let day = converter(NeutralType::Date, Bounds::default());
    assert_eq!(
        convert(&day, Cell::Text("2024-02-29 23:00:00")),
        Err(Hazard::BadDate)
    );
}

#[test]
fn what_is_coerced_is_said_by_the_page() {
    let short = converter(
        NeutralType::Text,
        Bounds {
            chars: Some(2),
            ..Bounds::default()
        },
    );
    let mut scratch = String::from("before");
    let bent = short.coerce(Cell::Text("a\0bc"), Hazard::TextNul, &mut scratch);
    assert_eq!(
        bent.map(|slot| format!("{:?}", slot.datum(&scratch))),
        Some("Text(\"ab\")".into())
    );
    let day = converter(NeutralType::Date, Bounds::default());
    let bent = day.coerce(Cell::Text("0000-00-00"), Hazard::ZeroDate, &mut scratch);
    assert_eq!(bent, Some(Slot::Plain(Datum::Null)));
    let strict = Converter {
        nullable: false,
        ..day
    };
    assert_eq!(
        strict.coerce(Cell::Text("0000-00-00"), Hazard::ZeroDate, &mut scratch),
        None
    );
}
