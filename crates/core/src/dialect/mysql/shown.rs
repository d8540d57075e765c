//! What the text of a `SHOW CREATE TABLE` tells of a table, so that it need not be asked for.

use super::ddl::quote;
use crate::dialect::catalog::Part;
use crate::sql::{ObjectKind, ObjectRef};

/// The lines between the brackets of `CREATE TABLE name (`, and the quote that the server puts around names.
fn lines(text: &str) -> Option<(char, impl Iterator<Item = &str>)> {
    // Before it stands the table's name, by itself.
    let (_, body) = text.split_once("\u{1f}CREATE TABLE ")?;
    let quote = body.chars().next().filter(|c| matches!(c, '`' | '"'))?;
    Some((quote, body.lines().skip(1).map(str::trim_start)))
}

/// The name at the beginning of a text, where it stands in these quotes.
fn name(text: &str, quote: char) -> Option<&str> {
    let rest = text.strip_prefix(quote)?;
    Some(&rest[..rest.find(quote)?])
}

/// Whether a column or index is there. Only where its name is plain enough to be compared as servers do.
pub fn presence_in(text: &str, part: &ObjectRef) -> Option<bool> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let wanted = &part.name;
    if part.parent.is_none() || wanted.is_empty() || !wanted.chars().all(plain) {
        return None;
    }
    let (quote, mut lines) = lines(text)?;
    match part.kind {
        ObjectKind::Column => Some(
            lines.any(|line| name(line, quote).is_some_and(|n| n.eq_ignore_ascii_case(wanted))),
        ),
        // The primary key's index has a name that is not shown.
        ObjectKind::Index if !wanted.eq_ignore_ascii_case("PRIMARY") => Some(lines.any(|line| {
            let after = line.split_once("KEY ").filter(|(word, _)| {
                ["", "UNIQUE ", "FULLTEXT ", "SPATIAL ", "VECTOR "].contains(word)
            });
            after
                .and_then(|(_, rest)| name(rest, quote))
                .is_some_and(|n| n.eq_ignore_ascii_case(wanted))
        })),
        _ => None,
    }
}

/// Whether the table is transactional, where its storage is one that is known to be.
pub fn storage_in(text: &str) -> Option<bool> {
    let _of_a_table = lines(text)?;
    let options = &text[text.rfind("\n) ")?..];
    let rest = options.strip_prefix("\n) ENGINE=InnoDB")?;
    rest.starts_with([' ', '\u{1f}']).then_some(true)
}

/// The text without the plain index that has a foreign key's name, and the statement that drops it.
pub fn without_index_of(text: &str, key: &ObjectRef) -> Option<(String, String)> {
    let (mark, _) = lines(text)?;
    let doubled = key.name.replace(mark, &format!("{mark}{mark}"));
    let begins = format!("  KEY {mark}{doubled}{mark} (");
    let mut all: Vec<&str> = text.split('\n').collect();
    let at = all.iter().position(|line| line.starts_with(&begins))?;
    let was_last = !all.remove(at).ends_with(',');
    let before = all.get_mut(at.checked_sub(1)?)?;
    if was_last {
        *before = before.strip_suffix(',')?;
    }
    let table = ObjectRef::table(key.schema.as_deref(), key.parent.as_deref()?);
    let schema = table.schema.as_deref();
    let schema = schema.map_or(String::new(), |schema| format!("{}.", quote(schema)));
    let drop = format!(
        "ALTER TABLE {schema}{} DROP INDEX {}",
        quote(&table.name),
        quote(&key.name)
    );
    Some((all.join("\n"), drop))
}

/// The clause that makes an index or constraint, out of the statement that the server shows for its table.
pub fn clause_of(text: &str, part: Part<'_>) -> Option<String> {
    let name = match part {
        Part::Index(_, _, index) => Some(&index.name),
        Part::ForeignKey(_, key) => key.name.as_ref(),
        Part::Check(_, check) => check.name.as_ref(),
        _ => None,
    }?;
    let body = text.strip_prefix("CREATE TABLE ")?;
    let mark = body.chars().next().filter(|c| matches!(c, '`' | '"'))?;
    let name = format!(
        "{mark}{}{mark} ",
        name.replace(mark, &format!("{mark}{mark}"))
    );
    let is_index = matches!(part, Part::Index(..));
    let line = body.split('\n').skip(1).find(|line| {
        let line = line.trim_start();
        match is_index {
            true => line.split_once("KEY ").is_some_and(|(word, rest)| {
                let words = ["", "UNIQUE ", "FULLTEXT ", "SPATIAL ", "VECTOR "];
                words.contains(&word) && rest.starts_with(&name)
            }),
            false => line
                .strip_prefix("CONSTRAINT ")
                .is_some_and(|rest| rest.starts_with(&name)),
        }
    })?;
    // What a backslash in a comment means depends on the session.
    let clause = line.trim_start().trim_end_matches(',');
    (!clause.contains('\\')).then(|| clause.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_a_key_is_taken_out_wherever_it_stands() {
        let key = part(ObjectKind::Constraint, "k");
        let (rest, drop) = without_index_of(TEXT, &key).unwrap();
        assert_eq!(rest, TEXT.replace("  KEY `k` (`id`),\n", ""));
        assert_eq!(drop, "ALTER TABLE `t` DROP INDEX `k`");
        let last = TEXT.replace(
            ",\n  CONSTRAINT `c` FOREIGN KEY (`id`) REFERENCES `o` (`id`)",
            "",
        );
        let (rest, _) = without_index_of(&last, &key).unwrap();
        assert_eq!(rest, last.replace(",\n  KEY `k` (`id`)", ""));
        for name in ["u", "id", "no", "c"] {
            let key = part(ObjectKind::Constraint, name);
            assert_eq!(without_index_of(TEXT, &key), None, "{name}");
        }
    }

    const TEXT: &str = "t\u{1f}CREATE TABLE `t` (\n  `id` int(11) NOT NULL COMMENT 'KEY `no`',\n  `Name` text,\n  PRIMARY KEY (`id`),\n  \
                        UNIQUE KEY `u` (`Name`(3)),\n  KEY `k` (`id`),\n  CONSTRAINT `c` FOREIGN KEY (`id`) REFERENCES `o` (`id`)\n) \
                        ENGINE=InnoDB DEFAULT CHARSET=utf8mb4\u{1f}";

    fn part(kind: ObjectKind, name: &str) -> ObjectRef {
        ObjectRef {
            kind,
            schema: None,
            parent: Some("t".into()),
            name: name.into(),
        }
    }

    #[test]
    fn a_shown_table_tells_its_columns_and_indexes() {
        for (kind, name, expected) in [
            (ObjectKind::Column, "id", Some(true)),
            (ObjectKind::Column, "NAME", Some(true)),
            (ObjectKind::Column, "u", Some(false)),
            (ObjectKind::Column, "na\u{ef}ve", None),
            (ObjectKind::Index, "u", Some(true)),
            (ObjectKind::Index, "K", Some(true)),
            (ObjectKind::Index, "no", Some(false)),
            (ObjectKind::Index, "Name", Some(false)),
            (ObjectKind::Index, "PRIMARY", None),
            (ObjectKind::Constraint, "c", None),
        ] {
            assert_eq!(
                presence_in(TEXT, &part(kind, name)),
                expected,
                "{kind:?} {name}"
            );
        }
        let view = "v\u{1f}CREATE VIEW `v` AS select 1\u{1f}";
        assert_eq!(presence_in(view, &part(ObjectKind::Column, "id")), None);
        let other = TEXT.replace('`', "\"");
        assert_eq!(
            presence_in(&other, &part(ObjectKind::Index, "u")),
            Some(true)
        );
    }

    #[test]
    fn only_storage_that_is_known_is_told() {
        assert_eq!(storage_in(TEXT), Some(true));
        let other = TEXT.replace("=InnoDB", "=MyISAM COMMENT=' ENGINE=InnoDB'");
        assert_eq!(storage_in(&TEXT.replace("InnoDB", "MyISAM")), None);
        assert_eq!(storage_in(&other), None);
    }
}
