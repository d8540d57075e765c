//! What is taken for granted: of values that hold what the declared type says, the look at all of them decides nothing else.

use super::*;
use crate::copy::guess::{granted, holds};
use proptest::prelude::*;

const NATIVES: [&str; 11] = [
    "INTEGER",
    "INT",
    "BIGINT",
    "TEXT",
    "VARCHAR(6)",
    "REAL",
    "DOUBLE",
    "BOOLEAN",
    "BLOB",
    "DATETIME",
    "TIMESTAMP",
];

/// A plan but for its reasons, which speak of the values.
fn decided((mut plan, findings): (CopyPlan, Vec<Finding>)) -> String {
    for column in plan.tables.iter_mut().flat_map(|table| &mut table.columns) {
        column.why.clear();
    }
    let sentences: Vec<String> = findings.into_iter().map(|found| found.message).collect();
    format!(
        "{}\n{:?}\n{sentences:?}",
        plan.catalog.to_json(),
        plan.tables
    )
}

#[derive(Debug, Clone)]
enum Value {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    fn cell(&self) -> Cell<'_> {
        match self {
            Value::Null => Null,
            Value::Int(n) => Int(*n),
            Value::Float(value) => Float(*value),
            Value::Text(text) => Text(text),
            Value::Bytes(bytes) => Bytes(bytes),
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let spelled = prop_oneof![
        Just("2024-02-29 12:00:00".to_owned()),
        Just("2024-02-29".to_owned()),
        Just("infinity".to_owned()),
        Just("2024-02-29 12:00:00.123456789".to_owned()),
        Just("2024-02-29T12:00:00Z".to_owned()),
        Just("12:00:00".to_owned()),
        Just("0000-00-00".to_owned()),
        Just("1".to_owned()),
        Just("true".to_owned()),
        Just("{}".to_owned()),
        ".{0,8}",
    ];
    prop_oneof![
        Just(Value::Null),
        (0..2_i64).prop_map(Value::Int),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        spelled.prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn the_type_alone_decides_what_a_look_at_all_values_would(
        native in 0..NATIVES.len(), values in proptest::collection::vec(value(), 0..6), to_old in any::<bool>()
    ) {
        let column = column(&sqlite(), "c", NATIVES[native]);
        prop_assert!(granted(&column.neutral));
        // Only such values are taken for granted; a text that is too long is a hazard on its way, and so begins it again.
        let fits = |cell: &Cell<'_>| match cell {
            Text(text) => NATIVES[native] != "VARCHAR(6)" || text.chars().count() <= 6,
            _ => true,
        };
        let cells: Vec<Cell<'_>> = (values.iter().map(Value::cell))
            .filter(|cell| holds(&column.neutral, *cell) && fits(cell))
            .collect();
        let to = if to_old { postgres() } else { Postgres.caps("18.1") };
        let looked = single(&sqlite(), &to, column.clone(), &cells);
        let taken = without_evidence(&one(&sqlite(), column), &sqlite(), &to);
        prop_assert_eq!(decided(looked), decided(taken));
    }
}

#[test]
fn what_says_something_else_is_not_taken() {
    use crate::schema::NeutralType as T;
    for (ty, cell) in [
        (T::Int, Text("1")),
        (T::Int, Float(1.0)),
        (T::Text, Int(1)),
        (T::Text, Cell::BadText(b"\xff")),
        (T::Text, Bytes(b"x")),
        (T::Bool, Int(2)),
        (T::Bool, Text("true")),
        (T::Float, Int((1 << 53) + 1)),
        (T::Float, Text("1.5")),
        (T::Timestamp, Int(1_700_000_000)),
        (T::Timestamp, Text("2024-01-01 00:00:00Z")),
        (T::Timestamp, Text("12:00:00")),
        (T::Bytes, Text("x")),
    ] {
        assert!(granted(&ty) && !holds(&ty, cell), "{ty:?} {cell:?}");
    }
    for ty in [
        T::Date,
        T::Time,
        T::TimestampTz,
        T::Json,
        T::Uuid,
        T::Decimal,
        T::Bits,
        T::Opaque("any".into()),
    ] {
        assert!(!granted(&ty), "{ty:?}");
    }
}
