//! One change of a table's rows: each of a kind that some proof elsewhere has overlooked.

use super::values::{Of, V, row};
use super::{Row, Shape};
use dunlin_testkit::crash::generate::Rng;

/// Two columns of one type.
const ALIKE: [(&str, &str); 2] = [("n1", "n2"), ("t1", "t2")];

fn place(shape: &Shape, name: &str) -> usize {
    let mut columns = shape.columns();
    columns.position(|(column, _)| column == name).unwrap_or(0)
}

/// A column that is no key's.
fn column(shape: &Shape, rng: &mut Rng) -> (usize, &'static str, Of) {
    let columns: Vec<_> = shape.columns().enumerate().collect();
    let (at, (name, of)) = columns[shape.key.len() + rng.below(columns.len() - shape.key.len())];
    (at, name, of)
}

/// What SQLite takes in a column of this type, and no other engine has there.
fn odd(of: Of) -> V {
    match of {
        Of::Text | Of::Word => V::Bytes(vec![0xff, 0xfe]),
        Of::Bool => V::Int(2),
        _ => V::Odd("abc¿".into()),
    }
}

/// Changes rows, and says how. `dynamic`: the engine takes values of any class.
pub fn change(
    shape: &Shape,
    rows: &mut Vec<Row>,
    rng: &mut Rng,
    nul: bool,
    dynamic: bool,
) -> String {
    let (one, other) = (rng.below(rows.len()), rng.below(rows.len()));
    let keyless = |row: &Row| shape.name_of(row).len() == row.len();
    match rng.below(12) {
        0 => {
            rows.remove(one);
            "a row is gone".into()
        }
        1 => {
            let new = row(shape, rows, rng, nul);
            rows.push(new);
            "a row is new".into()
        }
        2 if keyless(&rows[one]) => {
            rows.push(rows[one].clone());
            "a row is there twice".into()
        }
        3 if keyless(&rows[one]) && keyless(&rows[other]) => {
            rows[one] = rows[other].clone();
            "a row is another one".into()
        }
        kind @ 4..=9 => cells(kind, shape, rows, rng, nul),
        10 if dynamic => {
            let (at, name, of) = column(shape, rng);
            rows[one][at] = odd(of);
            format!("{name} is of another class")
        }
        11 if !shape.key.is_empty() => {
            let new = row(shape, rows, rng, nul);
            let key = shape.key.len();
            rows[one][..key].clone_from_slice(&new[..key]);
            "a key is another one".into()
        }
        _ if rng.chance(0.2) => {
            rows.clear();
            "no row is left".into()
        }
        _ => "nothing".into(),
    }
}

/// Changes cells beside the key.
fn cells(kind: usize, shape: &Shape, rows: &mut [Row], rng: &mut Rng, nul: bool) -> String {
    let (one, other) = (rng.below(rows.len()), rng.below(rows.len()));
    match kind {
        4 | 5 => {
            let (at, name, of) = column(shape, rng);
            rows[one][at] = of.near(&rows[one][at], rng, nul);
            format!("{name} is nearly the same")
        }
        6 => {
            let (at, name, of) = column(shape, rng);
            rows[one][at] = if rng.chance(0.3) {
                V::Null
            } else {
                of.random(rng, nul)
            };
            format!("{name} is something else")
        }
        7 => {
            let (at, name, _) = column(shape, rng);
            let (a, b) = (rows[one][at].clone(), rows[other][at].clone());
            rows[one][at] = b;
            rows[other][at] = a;
            format!("{name} is exchanged between two rows")
        }
        8 => {
            let (a, b) = ALIKE[rng.below(ALIKE.len())];
            let (a, b) = (place(shape, a), place(shape, b));
            rows[one].swap(a, b);
            "two columns are exchanged".into()
        }
        _ => {
            let (at, name, of) = column(shape, rng);
            let new = of.random(rng, nul);
            rows[one][at] = new.clone();
            rows[other][at] = new;
            format!("{name} of two rows is the same")
        }
    }
}
