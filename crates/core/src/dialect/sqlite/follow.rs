//! Tables of modules that triggers keep in step with others, as full-text tables are: what brings them up to date where rows
//! came and no trigger fired.

use super::ddl::quote;
use crate::dialect::change::Follows;
use crate::dialect::tried::mentions;
use crate::schema::{Catalog, Table};

/// The tables of modules that follow one of these tables.
pub fn follow(there: &Catalog, tables: &[&Table]) -> Vec<Follows> {
    let is = |name: &str| {
        let mut tables = tables.iter();
        tables.any(|table| table.name.eq_ignore_ascii_case(name))
    };
    let shown = |name: &str| {
        let mut views = there.views.iter();
        let view = views.find(|view| view.name.eq_ignore_ascii_case(name));
        let over = |view: &crate::schema::View| {
            let mut tables = tables.iter();
            tables.any(|table| speaks_of(&view.definition, &table.name))
        };
        view.is_some_and(over)
    };
    let modules = there.tables.iter();
    let modules = modules.filter(|table| table.options.contains_key("virtual"));
    let found = modules.filter_map(|table| {
        let content = content(table.definition.as_deref()?);
        let name = quote(&table.name);
        let anew = content.filter(|content| is(content) || shown(content));
        let anew = anew.map(|_| format!("INSERT INTO {name} ({name}) VALUES ('rebuild')"));
        let triggers = tables.iter().flat_map(|table| &table.triggers);
        let is_fed = || {
            let mut triggers = triggers.map(|trigger| &trigger.definition);
            triggers.any(|text| speaks_of(text, &table.name))
        };
        (anew.is_some() || is_fed()).then(|| Follows {
            table: table.name.clone(),
            anew,
        })
    });
    found.collect()
}

/// The table whose rows a full-text table shows and does not hold.
fn content(definition: &str) -> Option<String> {
    let from = definition.to_ascii_lowercase().find(" using fts")?;
    let (_, arguments) = definition.get(from..)?.split_once('(')?;
    let arguments = arguments.rsplit_once(')')?.0;
    arguments.split(',').find_map(|argument| {
        let (key, value) = argument.split_once('=')?;
        let marks = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`' | '[' | ']');
        let value = value.trim_matches(marks);
        (key.trim().eq_ignore_ascii_case("content") && !value.is_empty()).then(|| value.to_owned())
    })
}

/// Whether a text has a name as a word of its own, in whatever case.
fn speaks_of(text: &str, name: &str) -> bool {
    mentions(&text.to_lowercase(), &name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_full_text_table_shows() {
        for (arguments, expected) in [
            (
                "fts5(name, content='birds', content_rowid='id')",
                Some("birds"),
            ),
            ("fts4(content=\"birds\", name)", Some("birds")),
            ("FTS5(name, Content = [birds])", Some("birds")),
            ("fts5(name, content='')", None),
            ("fts5(name)", None),
            ("rtree(id, content=birds)", None),
        ] {
            let text = format!("CREATE VIRTUAL TABLE f USING {arguments}");
            assert_eq!(content(&text).as_deref(), expected, "{text}");
        }
        assert!(speaks_of("INSERT INTO \"f\"(rowid) VALUES (1)", "F"));
        assert!(!speaks_of("INSERT INTO f_2 VALUES (1)", "f"));
    }
}
