//! A query's answer, row by row, in bounded memory.

use super::{Context, Marks, Trouble};
use dunlin_core::sql::PieceKind;
use dunlin_core::value::Value;
use dunlin_engines::{Cell, Session};

/// The one statement of a text. Everything else is refused: what follows a first statement would run unseen.
pub(super) fn one_statement(session: &dyn Session, text: &str) -> Result<String, Trouble> {
    let rules = session.dialect().lex_rules(session.lex_mode());
    let (pieces, faults) = dunlin_core::sql::split(text, &rules);
    if let Some(fault) = faults.first() {
        return Err(fault.message.clone().into());
    }
    let mut found = None;
    for piece in pieces {
        match piece.kind {
            PieceKind::Blank => {}
            PieceKind::Statement(range) if found.is_none() => found = Some(text[range].to_owned()),
            _ => {
                return Err("there must be one statement in it, and there are several"
                    .to_owned()
                    .into());
            }
        }
    }
    found.ok_or_else(|| "there is no statement in it".to_owned().into())
}

/// A cell as a value.
pub(crate) fn value_of(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(b) => Value::Bool(b),
        Cell::Int(n) => Value::Int(n),
        Cell::UInt(n) => Value::UInt(n),
        Cell::Float(f) => Value::Float(f),
        Cell::Float32(f) => Value::Float(f.into()),
        Cell::Text(text) => Value::Text(text.to_owned()),
        Cell::BadText(bytes) | Cell::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

/// Runs a person's query, with its marks filled in, and hands over each row with the names of the columns. `row` says
/// whether it wants more.
pub(super) async fn each_row(
    cx: &mut Context<'_>,
    text: &str,
    marks: &Marks,
    mut row: impl FnMut(&[String], &[Value]) -> bool + Send,
) -> Result<(), Trouble> {
    let session = cx.reader().await?;
    let filled = marks.fill(text, session.dialect())?;
    let sql = one_statement(session, &filled)?;
    let mut source = session.stream(&sql).await?;
    let columns = source.columns().to_vec();
    let mut wanted = true;
    // Read to the end whether or not more is wanted: the session is used again.
    while let Some(batch) = source.next().await? {
        for at in 0..batch.len() {
            if !wanted {
                break;
            }
            let values: Vec<Value> = batch.row(at).map(value_of).collect();
            wanted = row(&columns, &values);
        }
    }
    Ok(())
}
