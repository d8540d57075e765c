//! A foreign key as a plan writes it: `user_id -> users(id) on delete cascade`.

/// `columns -> table(columns) [on delete …] [on update …] [deferrable …]`.
pub(crate) struct SaidKey<'t> {
    /// The columns.
    pub columns: Vec<&'t str>,
    /// The table referred to.
    pub table: &'t str,
    /// Its columns; `None`: its primary key.
    pub others: Option<Vec<&'t str>>,
    /// What happens when that row goes; `None`: nothing.
    pub on_delete: Option<String>,
    /// What happens when its key changes; `None`: nothing.
    pub on_update: Option<String>,
    /// How it is deferred.
    pub attributes: Option<String>,
}

fn list(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).collect()
}

/// Reads one. `None`: not one.
pub(crate) fn read(text: &str) -> Option<SaidKey<'_>> {
    let (left, right) = text.split_once("->")?;
    let left = left.trim();
    let left = left
        .strip_prefix('(')
        .and_then(|left| left.strip_suffix(')'))
        .unwrap_or(left);
    let columns = list(left);
    let right = right.trim();
    let (table, others, rest) = match right.split_once('(') {
        Some((table, behind)) => {
            let (inner, rest) = behind.split_once(')')?;
            (table.trim(), Some(list(inner)), rest)
        }
        None => {
            let lower = right.to_ascii_lowercase();
            let end = [" on ", " deferrable"]
                .iter()
                .filter_map(|word| lower.find(word))
                .min();
            let (table, rest) = right.split_at(end.unwrap_or(right.len()));
            (table.trim(), None, rest)
        }
    };
    let mut said = SaidKey {
        columns,
        table,
        others,
        on_delete: None,
        on_update: None,
        attributes: None,
    };
    let words: Vec<String> = rest
        .split_whitespace()
        .map(str::to_ascii_uppercase)
        .collect();
    actions(
        &mut said,
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    let whole = !said.table.is_empty() && said.columns.iter().all(|column| !column.is_empty());
    whole.then_some(said)
}

fn actions(said: &mut SaidKey<'_>, mut words: &[&str]) -> Option<()> {
    while let Some(first) = words.first() {
        match (*first, words.get(1).copied()) {
            ("ON", Some(event @ ("DELETE" | "UPDATE"))) => {
                let (action, taken) = match words.get(2..)? {
                    ["CASCADE" | "RESTRICT", ..] => (Some(words[2].to_owned()), 3),
                    ["SET", "NULL" | "DEFAULT", ..] => (Some(words[2..4].join(" ")), 4),
                    ["NO", "ACTION", ..] => (None, 4),
                    _ => return None,
                };
                if event == "DELETE" {
                    said.on_delete = action;
                } else {
                    said.on_update = action;
                }
                words = words.get(taken..)?;
            }
            ("DEFERRABLE", _) => {
                let rest = words.get(1..)?;
                let (text, taken) = match rest {
                    ["INITIALLY", "DEFERRED", ..] => ("DEFERRABLE INITIALLY DEFERRED", 2),
                    ["INITIALLY", "IMMEDIATE", ..] => ("DEFERRABLE", 2),
                    _ => ("DEFERRABLE", 0),
                };
                said.attributes = Some(text.to_owned());
                words = rest.get(taken..)?;
            }
            _ => return None,
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let said = read(text)?;
        Some(format!(
            "{:?} {} {:?} {:?} {:?} {:?}",
            said.columns, said.table, said.others, said.on_delete, said.on_update, said.attributes
        ))
    }

    #[test]
    fn foreign_keys_are_read_as_they_are_written() {
        for (text, expected) in [
            ("a->t", r#"["a"] t None None None None"#),
            (
                "(a , b) -> s.t (x,y)",
                r#"["a", "b"] s.t Some(["x", "y"]) None None None"#,
            ),
            (
                "نام -> t ON DELETE set null on update CASCADE",
                r#"["نام"] t None Some("SET NULL") Some("CASCADE") None"#,
            ),
            (
                "a -> t(id) on delete no action deferrable initially deferred",
                r#"["a"] t Some(["id"]) None None Some("DEFERRABLE INITIALLY DEFERRED")"#,
            ),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "a",
            "-> t",
            "a ->",
            "a -> t(id",
            "a -> t(id) on delete",
            "a -> t(id); DROP",
            "a -> t on x",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
