//! Names for indexes that are built CONCURRENTLY without one, so that an interrupted build can be found.

use super::ddl::quote;
use super::lex::{GRAMMAR, NAME_MAX, cut, rules};
use crate::sql::LexMode;
use crate::sql::words::{Cursor, Tok, Words, by_commas};

/// A name as the server makes one: two parts and a label, the longer part cut until it fits.
pub(super) fn object_name(first: &str, second: &str, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(!second.is_empty());
    let room = NAME_MAX.saturating_sub(overhead);
    let (mut first_max, mut second_max) = (first.len(), second.len());
    while first_max + second_max > room {
        if first_max > second_max {
            first_max -= 1
        } else {
            second_max -= 1
        }
    }
    let parts = [cut(first, first_max), cut(second, second_max), label];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

/// What one column or expression of an index adds to its name.
fn addition(toks: &[Tok<'_>]) -> String {
    let mut cursor = Cursor::over(toks);
    match cursor.name(GRAMMAR.fold) {
        // A function lends its name; any other expression is called so.
        Some(name) => name.name,
        None => "expr".to_owned(),
    }
}

/// The statement with a name for its index, where it is a `CREATE INDEX CONCURRENTLY` without one; `None` otherwise.
pub fn name_concurrent_index(sql: &str) -> Option<String> {
    // Every statement comes by here, and hardly one has the word.
    let word = b"concurrently";
    let is_there = |part: &[u8]| part.eq_ignore_ascii_case(word);
    if !sql.as_bytes().windows(word.len()).any(is_there) {
        return None;
    }
    let words = Words::read(sql, &rules(&LexMode::default()));
    let mut cursor = words.cursor();
    if !cursor.eat(&["CREATE"]) {
        return None;
    }
    cursor.eat(&["UNIQUE"]);
    if !cursor.eat(&["INDEX", "CONCURRENTLY"]) || !cursor.is("ON") {
        return None;
    }
    let at = cursor.bump()?.start;
    cursor.eat(&["ONLY"]);
    let table = cursor.name(GRAMMAR.fold)?;
    while !cursor.op("(") {
        cursor.bump()?;
    }
    let columns = by_commas(cursor.group()?)
        .into_iter()
        .map(addition)
        .collect::<Vec<_>>();
    let included = cursor.eat(&["INCLUDE"]).then(|| cursor.group()).flatten();
    let more = included.into_iter().flat_map(by_commas).map(addition);
    let columns = columns
        .into_iter()
        .chain(more)
        .filter(|name| !name.is_empty())
        .collect::<Vec<_>>()
        .join("_");
    let name = quote(&object_name(&table.name, &columns, "idx"));
    Some(format!("{}{name} {}", sql.get(..at)?, sql.get(at..)?))
}
