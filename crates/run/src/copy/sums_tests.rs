//! Parts: whatever differs is in a part that is looked at again, and what an engine is asked for holds all of it.

use super::*;
use dunlin_core::copy::Typing;
use dunlin_core::copy::encode::encode;
use dunlin_core::copy::reading::BoundColumn;
use dunlin_core::dialect::mysql::Mysql;
use dunlin_core::dialect::postgres::Postgres;
use dunlin_core::schema::NeutralType;
use proptest::prelude::*;

fn column(cell: Cell<'_>, ty: &NeutralType) -> Vec<u8> {
    let mut out = vec![];
    encode(cell, ty, Typing::Static, &mut out);
    out
}

/// A key and a value beside it.
fn row(key: Cell<'_>, ty: &NeutralType, value: i64) -> Canonical {
    let value = column(Cell::Int(value), &NeutralType::Int);
    Canonical::of(&[column(key, ty), value])
}

fn sums(by: &By, rows: &[Canonical]) -> Sums {
    let mut sums = Sums::new(by.clone(), &[0]);
    rows.iter().for_each(|row| sums.add(row));
    sums
}

fn shape() -> ColumnShape {
    ColumnShape {
        name: "id".into(),
        native: "text".into(),
        ty: NeutralType::Text,
        generated: false,
    }
}

fn table() -> Bound {
    Bound {
        name: "t".into(),
        schema: None,
        table: "t".into(),
        own_rows: true,
        columns: vec![BoundColumn {
            shape: shape(),
            ty: NeutralType::Text,
        }],
    }
}

/// Whether a number is among those that stretches hold.
fn holds(stretches: &[Stretch], n: i128) -> usize {
    let within = |(from, below): &&Stretch| {
        from.is_none_or(|from| n >= from) && below.is_none_or(|below| n < below)
    };
    stretches.iter().filter(within).count()
}

proptest! {
    #[test]
    fn what_differs_is_asked_for_once_and_found(
        keys in proptest::collection::btree_set(any::<i64>(), 1..60),
        near in proptest::collection::btree_set(-3_000_i64..3_000, 1..60),
        ends in (any::<i64>(), any::<i64>()),
        small in any::<bool>(),
        changed in proptest::collection::vec(any::<proptest::sample::Index>(), 1..4),
    ) {
        let keys: Vec<i64> = if small { near.into_iter().collect() } else { keys.into_iter().collect() };
        // What was asked for need not be what is there.
        let by = By::number(i128::from(ends.0.min(ends.1)), i128::from(ends.0.max(ends.1)));
        let changed: BTreeSet<i64> = changed.iter().map(|at| keys[at.index(keys.len())]).collect();
        let make = |value: &dyn Fn(i64) -> i64| -> Vec<Canonical> {
            keys.iter().map(|key| row(Cell::Int(*key), &NeutralType::Int, value(*key))).collect()
        };
        let (ours, theirs) = (make(&|_| 0), make(&|key| i64::from(changed.contains(&key))));
        let wanted = Wanted::of(&sums(&by, &ours), &sums(&by, &theirs)).unwrap();
        prop_assert!(!wanted.more);
        let By::Number { least, width } = by else { unreachable!() };
        let stretches = wanted.stretches(least, width).unwrap();
        for (key, row) in keys.iter().zip(&ours) {
            prop_assert!(wanted.has(row) || !changed.contains(key));
            prop_assert_eq!(holds(&stretches, i128::from(*key)), usize::from(wanted.has(row)));
        }
    }

    #[test]
    fn endings_are_what_they_were(text in "\\PC{0,6}|[\\x00-\\u{10ffff}]{0,5}") {
        let end = ending(&text);
        prop_assert!(text.ends_with(end) && end.chars().count() == text.chars().count().min(ENDING));
        prop_assert_eq!(unpacked(packed(end)), end);
    }
}

#[test]
fn a_part_of_endings_is_asked_for_by_them() {
    let text = NeutralType::Text;
    let ours: Vec<Canonical> = (0..3_000)
        .map(|n| row(Cell::Text(&format!("key {n:05}")), &text, 0))
        .collect();
    let theirs: Vec<Canonical> = (0..3_000)
        .map(|n| {
            row(
                Cell::Text(&format!("key {n:05}")),
                &text,
                i64::from(n == 1_234),
            )
        })
        .collect();
    let (ours, theirs) = (sums(&By::Ending, &ours), sums(&By::Ending, &theirs));
    let wanted = Wanted::of(&ours, &theirs).unwrap();
    let selects = wanted.selects(&Postgres, &table(), Some(&shape()));
    assert_eq!(
        selects,
        [r#"SELECT "id" FROM ONLY "public"."t" WHERE right(("id")::text, 3) IN ('234')"#]
    );
    let selects = wanted.selects(&Mysql, &table(), Some(&shape()));
    assert_eq!(
        selects,
        [
            "SELECT `id` FROM `t` WHERE CONVERT(RIGHT(`id`, 3) USING utf8mb4) COLLATE utf8mb4_bin IN ('234')"
        ]
    );
    // Nobody may ask: everything is read.
    assert_eq!(
        wanted.selects(&Mysql, &table(), None),
        ["SELECT `id` FROM `t`"]
    );
}

#[test]
fn what_cannot_be_asked_for_is_read_whole() {
    let (text, by) = (NeutralType::Text, By::Ending);
    for odd in [
        Cell::Text("it's"),
        Cell::Text("a\\b"),
        Cell::Text("a\nb"),
        Cell::Null,
        Cell::Int(1),
    ] {
        let (ours, theirs) = (
            sums(&by, &[row(odd, &text, 1)]),
            sums(&by, &[row(odd, &text, 2)]),
        );
        let wanted = Wanted::of(&ours, &theirs).unwrap();
        assert!(wanted.has(&row(odd, &text, 1)));
        let selects = wanted.selects(&Postgres, &table(), Some(&shape()));
        assert_eq!(
            selects,
            [r#"SELECT "id" FROM ONLY "public"."t""#],
            "{odd:?}"
        );
    }
    let by = By::number(0, 10);
    let int = NeutralType::Int;
    let (ours, theirs) = (sums(&by, &[row(Cell::Null, &int, 1)]), sums(&by, &[]));
    let wanted = Wanted::of(&ours, &theirs).unwrap();
    assert!(wanted.stretches(0, 1).is_none());
}

#[test]
fn parts_that_are_too_many_or_too_large_are_given_up() {
    let text = NeutralType::Text;
    let many: Vec<Canonical> = (0..ENDINGS as i64 + 1)
        .map(|n| {
            row(
                Cell::Text(&format!("{}", char::from_u32(0x4e00 + n as u32).unwrap())),
                &text,
                n,
            )
        })
        .collect();
    let lost = sums(&By::Ending, &many);
    assert_eq!(lost.all.rows, ENDINGS as u64 + 1);
    assert!(Wanted::of(&lost, &sums(&By::Ending, &[])).is_none());
    // All in one part: by their hashes they are in many.
    let int = NeutralType::Int;
    let by = By::number(0, 1 << 60);
    let rows: Vec<Canonical> = (0..=HELD as i64)
        .map(|n| row(Cell::Int(n), &int, 0))
        .collect();
    assert!(Wanted::of(&sums(&by, &rows), &sums(&by, &[])).is_none());
    let wanted = Wanted::of(&sums(&By::Hash, &rows), &sums(&By::Hash, &[])).unwrap();
    assert!(wanted.more && !wanted.parts.is_empty());
}
