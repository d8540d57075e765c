//! Values that are what their column's declared type says. Of a column that holds no others the declared type decides what a
//! profile of all of them would: a copy may take it for granted, as long as each value is asked on its way.

use super::cell::Cell;
use super::temporal;
use crate::schema::NeutralType;

/// Whole numbers up to here are exact as doubles: 2^53.
const EXACT: u64 = 1 << 53;

/// Whether values of the type can be taken for granted.
pub fn granted(ty: &NeutralType) -> bool {
    use NeutralType::{Bool, Bytes, Float, Int, Text, Timestamp};
    matches!(ty, Int | Text | Float | Bool | Bytes | Timestamp)
}

/// Whether a cell is NULL, or a value of the type in the one class and form that leaves nothing to decide.
pub fn holds(ty: &NeutralType, cell: Cell<'_>) -> bool {
    match (ty, cell) {
        (_, Cell::Null)
        | (NeutralType::Int, Cell::Int(_))
        | (NeutralType::Text, Cell::Text(_))
        | (NeutralType::Float, Cell::Float(_))
        | (NeutralType::Bool, Cell::Int(0 | 1))
        | (NeutralType::Bytes, Cell::Bytes(_)) => true,
        (NeutralType::Float, Cell::Int(n)) => n.unsigned_abs() <= EXACT,
        (NeutralType::Timestamp, Cell::Text(text)) => {
            temporal::timestamp(text.as_bytes(), false).is_some()
        }
        _ => false,
    }
}
