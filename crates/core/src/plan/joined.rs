//! Tables that a statement reads beside the one whose rows it changes, as a part of the condition on that one: a row is changed
//! where there are rows of theirs that go with it.

use super::delete::{Names, Rows};
use crate::sql::words::{Cursor, Fold, Tok, unquoted};

/// In the place of the table itself, of which a question asks row by row.
const ITSELF: &str = "(SELECT 1 AS dunlin_one) AS dunlin_one ";

/// They.
pub(super) struct Joined<'t> {
    tokens: &'t [Tok<'t>],
    /// The table itself stands before them.
    itself: bool,
}

impl<'t> Joined<'t> {
    /// `FROM` or `USING` these.
    pub(super) fn beside(cursor: &mut Cursor<'t>) -> Option<Self> {
        let tokens = up_to(cursor, &["WHERE", "ORDER", "LIMIT", "RETURNING"]);
        let found = Joined {
            tokens,
            itself: false,
        };
        (!tokens.is_empty()).then_some(found)
    }

    /// The table joined to these: what stands behind its name. `None`: not each row of it is found by what goes with it alone.
    pub(super) fn to(cursor: &mut Cursor<'t>) -> Option<Option<Self>> {
        const BEGIN: [&str; 5] = ["JOIN", "INNER", "LEFT", "CROSS", "STRAIGHT_JOIN"];
        const OTHER: [&str; 5] = ["NATURAL", "RIGHT", "FULL", "USING", "PARTITION"];
        let tokens = up_to(cursor, &["SET", "WHERE", "ORDER", "LIMIT", "RETURNING"]);
        let Some(first) = tokens.first() else {
            return Some(None);
        };
        let begins = first.op(",") || first.is_any(&BEGIN);
        let found = Joined {
            tokens,
            itself: true,
        };
        (begins && !Cursor::over(tokens).seek(&OTHER)).then_some(Some(found))
    }

    /// Whether a name is among them.
    pub(super) fn names(&self, name: &str, fold: Fold) -> bool {
        let each = self.tokens.iter().enumerate();
        let mut names = each.filter(|(_, token)| token.is_name());
        names.any(|(at, token)| {
            let next = self.tokens.get(at + 1);
            unquoted(token, fold).eq_ignore_ascii_case(name)
                && !next.is_some_and(|next| next.op("."))
        })
    }

    /// The condition of which WHERE is a part.
    pub(super) fn condition(
        &self,
        names: &Names<'_>,
        sql: &str,
        cursor: &mut Cursor<'t>,
        fold: Fold,
    ) -> Option<Rows<'t>> {
        let mut rows = names.condition(sql, cursor, fold)?;
        let tables = names.text(sql, self.tokens, fold)?;
        let itself = if self.itself { ITSELF } else { "" };
        rows.only = format!(
            "(EXISTS (SELECT 1 FROM {itself}{tables}\nWHERE {})\n)",
            rows.only
        );
        rows.named |= names.are_in(self.tokens, fold);
        rows.tokens.splice(0..0, self.tokens.iter().copied());
        Some(rows)
    }
}

/// What stands before the first of these words.
fn up_to<'t>(cursor: &mut Cursor<'t>, words: &[&str]) -> &'t [Tok<'t>] {
    let all = cursor.rest();
    if !cursor.seek(words) {
        *cursor = Cursor::over(&[]);
    }
    &all[..all.len() - cursor.rest().len()]
}
