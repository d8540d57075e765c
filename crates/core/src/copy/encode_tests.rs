//! The canonical encoding: one value has one form, two values have two.

#![allow(clippy::unwrap_used)]
use super::*;
use NeutralType as T;

fn form(cell: Cell<'_>, ty: &NeutralType, typing: Typing) -> (Vec<u8>, Fit) {
    let mut out = vec![];
    let fit = encode(cell, ty, typing, &mut out);
    (out, fit)
}

#[track_caller]
fn same(ty: &NeutralType, typing: Typing, cells: &[Cell<'_>]) {
    let (first, fit) = form(cells[0], ty, Typing::Static);
    assert_ne!(fit, Fit::Misfit, "{:?}", cells[0]);
    for cell in &cells[1..] {
        assert_eq!(form(*cell, ty, typing).0, first, "{cell:?} under {ty}");
    }
}

#[test]
fn one_value_one_form_whatever_the_engine() {
    use Cell::*;
    same(
        &T::Int,
        Typing::Static,
        &[Int(5), UInt(5), Text("5"), Text("5.00")],
    );
    same(
        &T::Int,
        Typing::Static,
        &[UInt(u64::MAX), Text("18446744073709551615")],
    );
    same(
        &T::Bool,
        Typing::Static,
        &[Bool(true), Int(1), Text("t"), Text("TRUE"), Bytes(&[1])],
    );
    same(
        &T::Decimal,
        Typing::Dynamic,
        &[Text("0.990"), Float(0.99), Text(".99"), Text("99e-2")],
    );
    same(
        &T::Decimal,
        Typing::Dynamic,
        &[Text("5.000"), Int(5), UInt(5), Float(5.0)],
    );
    same(
        &T::Float,
        Typing::Dynamic,
        &[Float(0.0), Float(-0.0), Int(0), Text("0.0")],
    );
    same(
        &T::Float,
        Typing::Static,
        &[
            Float(f64::NAN),
            Float(f64::from_bits(0xfff8_dead_beef_0001)),
        ],
    );
    same(
        &T::Float,
        Typing::Static,
        &[Float(f64::from(1.1_f32)), Float32(1.1)],
    );
    same(
        &T::Date,
        Typing::Dynamic,
        &[
            Text("2024-02-29"),
            Text("2024-02-29 00:00:00"),
            Int(1_709_164_800),
        ],
    );
}

#[test]
fn one_moment_one_form_whatever_the_engine() {
    use Cell::*;
    same(
        &T::Timestamp,
        Typing::Dynamic,
        &[
            Text("2023-11-14 22:13:20"),
            Text("2023-11-14T22:13:20.000000"),
            Int(1_700_000_000),
            Int(1_700_000_000_000),
        ],
    );
    same(
        &T::TimestampTz,
        Typing::Static,
        &[
            Text("2024-01-01 00:00:00"),
            Text("2024-01-01 03:30:00+03:30"),
        ],
    );
    same(
        &T::Json,
        Typing::Static,
        &[Text("{\"a\": 1}"), Bytes(b"{\"a\":1.0}")],
    );
    same(
        &T::Json,
        Typing::Dynamic,
        &[Text("1e2"), Int(100), Float(100.0)],
    );
    let raw: Vec<u8> = (0..16).collect();
    same(
        &T::Uuid,
        Typing::Static,
        &[Text("00010203-0405-0607-0809-0a0b0c0d0e0f"), Bytes(&raw)],
    );
    same(
        &T::Bits,
        Typing::Static,
        &[Text("00000101"), Bytes(&[5]), Int(5)],
    );
}

#[test]
fn different_values_have_different_forms() {
    use Cell::*;
    let cells = [
        Null,
        Text(""),
        Text("NULL"),
        Text("0"),
        Text("t"),
        Int(0),
        Int(-1),
        Int(255),
        Int(256),
        UInt(u64::MAX),
        Float(0.5),
        Bytes(b""),
        Bytes(b"0"),
        BadText(b"\xff"),
        Bytes(b"\xff"),
    ];
    let opaque = T::Opaque("any".into());
    for ty in [&T::Text, &T::Bytes, &opaque] {
        for (at, a) in cells.iter().enumerate() {
            for b in &cells[at + 1..] {
                let (one, other) = (
                    form(*a, ty, Typing::Dynamic).0,
                    form(*b, ty, Typing::Dynamic).0,
                );
                assert_ne!(one, other, "{a:?} {b:?} under {ty}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_said() {
    use Cell::*;
    for (cell, ty, typing) in [
        (Float(1.5), T::Decimal, Typing::Static),
        (Float(0.1 + 0.2), T::Decimal, Typing::Dynamic),
        (Float(3.0), T::Int, Typing::Dynamic),
        (Text("1.5"), T::Float, Typing::Static),
        (Text("12abc"), T::Int, Typing::Dynamic),
        (Int(2), T::Bool, Typing::Dynamic),
        (Int(2024), T::Timestamp, Typing::Dynamic),
        (Int(1_700_000_000), T::Timestamp, Typing::Static),
        (
            Text("2024-06-01 12:00:00+05:30"),
            T::Timestamp,
            Typing::Dynamic,
        ),
        (Text("0000-00-00"), T::Date, Typing::Static),
        (Text("{'a':1}"), T::Json, Typing::Static),
        (Int(5), T::Text, Typing::Dynamic),
        (Bytes(b"x"), T::Text, Typing::Dynamic),
        (BadText(b"\xff"), T::Text, Typing::Dynamic),
        (Text("x"), T::Bytes, Typing::Dynamic),
    ] {
        assert_eq!(
            form(cell, &ty, typing).1,
            Fit::Misfit,
            "{cell:?} under {ty}"
        );
    }
    assert_eq!(
        form(Text("{\"a\":1,\"a\":1}"), &T::Json, Typing::Static).1,
        Fit::DuplicateKey
    );
    assert_eq!(
        form(Int(1_700_000_000), &T::Timestamp, Typing::Dynamic).1,
        Fit::Counted(Epoch::Seconds)
    );
}

#[test]
fn integers_take_no_more_bytes_than_needed_and_stay_apart() {
    let mut seen = std::collections::HashSet::new();
    for n in [
        0_i64,
        1,
        -1,
        127,
        128,
        -128,
        -129,
        255,
        256,
        32767,
        32768,
        i64::MAX,
        i64::MIN,
    ] {
        let (bytes, _) = form(Cell::Int(n), &T::Int, Typing::Static);
        assert!(seen.insert(bytes), "{n}");
    }
    assert_eq!(form(Cell::Int(127), &T::Int, Typing::Static).0, [2, 1, 127]);
    assert_eq!(
        form(Cell::Int(128), &T::Int, Typing::Static).0,
        [2, 2, 0, 128]
    );
    assert_eq!(
        form(Cell::UInt(u64::MAX), &T::Int, Typing::Static).0.len(),
        2 + 9
    );
}

/// Each datum beside the cells in which servers and SQLite hand it back.
#[test]
fn a_datum_has_the_form_of_what_is_read_back() {
    for (ty, datum, cells) in numbers().into_iter().chain(others()) {
        let mut out = vec![];
        encode_datum(&datum, &ty, &mut out);
        for cell in cells {
            assert_eq!(
                form(cell, &ty, Typing::Static).0,
                out,
                "{datum:?} {cell:?} under {ty}"
            );
        }
    }
}

type Case = (T, Datum<'static>, Vec<Cell<'static>>);

fn numbers() -> Vec<Case> {
    vec![
        (
            T::Bool,
            Datum::Bool(true),
            vec![Cell::Bool(true), Cell::Int(1)],
        ),
        (
            T::Int,
            Datum::Int(-5),
            vec![Cell::Int(-5), Cell::Text("-5")],
        ),
        (
            T::Int,
            Datum::UInt(u64::MAX),
            vec![Cell::UInt(u64::MAX), Cell::Text("18446744073709551615")],
        ),
        (T::Int, Datum::Bool(true), vec![Cell::Int(1)]),
        (
            T::Decimal,
            Datum::Decimal("1.50"),
            vec![Cell::Text("1.500000"), Cell::Text("1.5")],
        ),
        (T::Decimal, Datum::Int(5), vec![Cell::Text("5.00")]),
        (T::Decimal, Datum::Decimal("NaN"), vec![Cell::Text("NaN")]),
        (
            T::Float,
            Datum::Float(-0.0),
            vec![Cell::Float(0.0), Cell::Float(-0.0)],
        ),
        (
            T::Float,
            Datum::Float32(1.1),
            vec![Cell::Float32(1.1), Cell::Float(f64::from(1.1_f32))],
        ),
    ]
}

const RAW: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn others() -> Vec<Case> {
    let at = |micros| Datum::Stamp(Moment::At(micros));
    vec![
        (T::Text, Datum::Text("a\0b"), vec![Cell::Text("a\0b")]),
        (T::Bytes, Datum::Bytes(b"\xff"), vec![Cell::Bytes(b"\xff")]),
        (
            T::Date,
            Datum::Date(Moment::At(11_016)),
            vec![Cell::Text("2000-02-29")],
        ),
        (
            T::Date,
            Datum::Date(Moment::Infinity),
            vec![Cell::Text("infinity")],
        ),
        (
            T::Time,
            Datum::Time(-1),
            vec![Cell::Text("-00:00:00.000001")],
        ),
        (
            T::Timestamp,
            at(1),
            vec![Cell::Text("1970-01-01 00:00:00.000001")],
        ),
        (
            T::TimestampTz,
            at(0),
            vec![
                Cell::Text("1970-01-01 00:00:00+00"),
                Cell::Text("1970-01-01 00:00:00"),
            ],
        ),
        (
            T::Json,
            Datum::Json("{\"b\":1, \"a\":[]}"),
            vec![Cell::Text("{\"a\": [], \"b\": 1}")],
        ),
        (
            T::Uuid,
            Datum::Uuid(RAW),
            vec![
                Cell::Bytes(&RAW),
                Cell::Text("00010203-0405-0607-0809-0a0b0c0d0e0f"),
            ],
        ),
        (
            T::Bits,
            Datum::Bits("0101"),
            vec![Cell::Text("101"), Cell::Bytes(&[5]), Cell::Int(5)],
        ),
        (
            T::Opaque("int[]".into()),
            Datum::Opaque("{1}"),
            vec![Cell::Text("{1}")],
        ),
        (
            T::Text,
            Datum::Date(Moment::At(0)),
            vec![Cell::Text("1970-01-01")],
        ),
        (T::Int, Datum::Null, vec![Cell::Null]),
    ]
}

proptest::proptest! {
    #[test]
    fn long_payloads_stand_behind_their_length(digits in "[1-9][0-9]{0,400}", key in "[a-z]{0,300}") {
        // Written in place, and as a whole: the same bytes.
        let mut expected = vec![TAG_DECIMAL];
        push_len(digits.len(), &mut expected);
        expected.extend_from_slice(digits.as_bytes());
        let (found, _) = form(Cell::Text(&digits), &T::Decimal, Typing::Static);
        proptest::prop_assert_eq!(found, expected);
        let document = format!("{{\"{key}\": 1}}");
        let mut payload = vec![];
        json::canonical(document.as_bytes(), &mut payload);
        let mut expected = vec![TAG_JSON];
        push_len(payload.len(), &mut expected);
        expected.extend_from_slice(&payload);
        let (found, _) = form(Cell::Text(&document), &T::Json, Typing::Static);
        proptest::prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_moment_has_the_form_of_its_spelling(days in -700_000..2_900_000_i64, micros in 0..86_400_000_000_i64) {
        let at = Moment::At(days * 86_400_000_000 + micros);
        let mut text = vec![];
        spell::stamp(at, false, &mut text);
        for ty in [T::Timestamp, T::TimestampTz] {
            let mut out = vec![];
            encode_datum(&Datum::Stamp(at), &ty, &mut out);
            let cell = Cell::Text(std::str::from_utf8(&text).unwrap());
            proptest::prop_assert_eq!(form(cell, &ty, Typing::Static).0, out);
        }
    }
}

#[test]
fn what_a_form_holds_is_read_back() {
    let form = |cell: Cell<'_>, ty: NeutralType| {
        let mut out = vec![];
        encode(cell, &ty, Typing::Static, &mut out);
        out
    };
    for n in [0, 1, -1, 127, 128, -128, -129, 65_535, i64::MIN, i64::MAX] {
        let out = form(Cell::Int(n), NeutralType::Int);
        assert_eq!(whole(&out), Some(i128::from(n)));
        assert_eq!(text(&out), None);
    }
    let out = form(Cell::UInt(u64::MAX), NeutralType::Int);
    assert_eq!(whole(&out), Some(i128::from(u64::MAX)));
    for one in ["", "a", "gül 🐦", &"x".repeat(200), &"y".repeat(20_000)] {
        let out = form(Cell::Text(one), NeutralType::Text);
        assert_eq!(text(&out), Some(one));
        assert_eq!(whole(&out), None);
    }
    for odd in [
        form(Cell::Null, NeutralType::Int),
        form(Cell::Text("x"), NeutralType::Int),
        form(Cell::Int(1), NeutralType::Text),
        form(Cell::Int(1), NeutralType::Decimal),
        form(Cell::BadText(b"\xff"), NeutralType::Text),
        vec![],
    ] {
        assert_eq!((whole(&odd), text(&odd)), (None, None), "{odd:?}");
    }
}
