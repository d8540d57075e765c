//! `has`: the catalog has what is named.

use super::tables::{by_name, find_table};
use super::{Context, Trouble, Verdict};
use dunlin_core::schema::{Catalog, ForeignKey, Table, label};
use dunlin_core::source::grammar::checks::Has;

pub(super) async fn find(cx: &mut Context<'_>, has: &Has) -> Result<Verdict, Trouble> {
    let catalog = cx.catalog().await?;
    let lacking = lacking(&catalog, has);
    let asked = has.tables.len()
        + has.columns.len()
        + has.indexes.len()
        + has.foreign_keys.len()
        + has.views.len();
    if lacking.is_empty() {
        return Ok(Verdict::Holds(format!("all {asked} are there")));
    }
    Ok(Verdict::Broken(lacking.join("; ")))
}

/// What is missing or different, a sentence each.
fn lacking(catalog: &Catalog, has: &Has) -> Vec<String> {
    let mut found = vec![];
    for table in &has.tables {
        found.extend(find_table(catalog, table).err());
    }
    for column in &has.columns {
        found.extend(column_lacks(catalog, column).err());
    }
    for index in &has.indexes {
        found.extend(index_lacks(catalog, index).err());
    }
    for key in &has.foreign_keys {
        found.extend(foreign_key_lacks(catalog, key).err());
    }
    for view in &has.views {
        let named = |view: &dunlin_core::schema::View| label(view.schema.as_deref(), &view.name);
        if by_name(&catalog.views, view, named).is_none() {
            found.push(format!("there is no view {view}"));
        }
    }
    found
}

fn column_lacks(catalog: &Catalog, text: &str) -> Result<(), String> {
    let (table, column) = text
        .rsplit_once('.')
        .ok_or_else(|| format!("`{text}` is not `table.column`"))?;
    let table = find_table(catalog, table.trim())?;
    by_name(&table.columns, column.trim(), |column| column.name.clone())
        .map(|_| ())
        .ok_or_else(|| format!("{} has no column {}", table.label(), column.trim()))
}

/// An index or a unique constraint, as it is compared.
#[derive(Debug)]
struct Standing {
    table: String,
    name: String,
    columns: Vec<String>,
    unique: bool,
    invalid: Option<String>,
}

/// A part of an index in the one spelling in which it is compared: `created_at desc`, `title(100)`.
fn part(text: &str) -> String {
    let lower = text.trim().replace(['"', '`'], "").to_lowercase();
    let words: Vec<&str> = lower
        .split_whitespace()
        .filter(|word| *word != "asc")
        .collect();
    words.join(" ").replace(" (", "(")
}

fn standing(catalog: &Catalog) -> Vec<Standing> {
    let mut all = vec![];
    for table in &catalog.tables {
        for index in &table.indexes {
            let columns = index.parts.iter().map(|one| {
                let length = one.length.map(|n| format!("({n})")).unwrap_or_default();
                let order = if one.descending { " desc" } else { "" };
                part(&format!("{}{length}{order}", one.what))
            });
            let invalid = index.attributes.clone();
            all.push(Standing {
                table: table.label(),
                name: index.name.clone(),
                columns: columns.collect(),
                unique: index.unique,
                invalid: invalid.filter(|text| text.to_uppercase().contains("INVALID")),
            });
        }
        for key in &table.keys {
            all.push(Standing {
                table: table.label(),
                name: key.name.clone().unwrap_or_default(),
                columns: key.columns.iter().map(|column| part(column)).collect(),
                unique: true,
                invalid: None,
            });
        }
    }
    all
}

/// Splits at commas outside of brackets.
fn by_commas(text: &str) -> Vec<String> {
    let (mut parts, mut depth, mut from) = (vec![], 0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[from..at].to_owned());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].to_owned());
    parts
}

/// `name(columns)`, `table.name(columns) unique`, `name`.
fn index_lacks(catalog: &Catalog, text: &str) -> Result<(), String> {
    let trimmed = text.trim();
    let unique = trimmed.to_ascii_lowercase().ends_with(" unique");
    let rest = if unique {
        trimmed[..trimmed.len() - " unique".len()].trim()
    } else {
        trimmed
    };
    let (name, columns) = match (rest.find('('), rest.ends_with(')')) {
        (Some(open), true) => (&rest[..open], Some(&rest[open + 1..rest.len() - 1])),
        (None, _) => (rest, None),
        _ => return Err(format!("`{text}` is not `name(columns)`")),
    };
    let all = standing(catalog);
    let full = |one: &Standing| format!("{}.{}", one.table, one.name);
    let name = name.trim();
    // Names of indexes are unique in a schema with some engines, in their table with the others.
    let alike = |a: &str| a == name || a.eq_ignore_ascii_case(name);
    let named: Vec<&Standing> = all
        .iter()
        .filter(|one| alike(&one.name) || alike(&full(one)))
        .collect();
    if named.is_empty() {
        return Err(format!("there is no index {name}"));
    }
    let wanted: Option<Vec<String>> =
        columns.map(|columns| by_commas(columns).iter().map(|one| part(one)).collect());
    let mut wrong = vec![];
    for one in named {
        let fits = wanted.as_ref().is_none_or(|wanted| *wanted == one.columns);
        if let Some(attribute) = &one.invalid {
            wrong.push(format!("{} is there, and {attribute}", full(one)));
        } else if !fits {
            wrong.push(format!(
                "{} is over ({})",
                full(one),
                one.columns.join(", ")
            ));
        } else if unique && !one.unique {
            wrong.push(format!("{} is not unique", full(one)));
        } else {
            return Ok(());
        }
    }
    Err(wrong.join(", "))
}

/// `table.column`, `table(column)`, `table(a, b)`: the table, and the columns.
fn columns_of(text: &str) -> Option<(String, Vec<String>)> {
    let text = text.trim();
    let (table, columns) = match (text.find('('), text.strip_suffix(')')) {
        (Some(open), Some(inner)) => (&text[..open], by_commas(&inner[open + 1..])),
        _ => {
            let (table, column) = text.rsplit_once('.')?;
            (table, vec![column.to_owned()])
        }
    };
    let columns = columns.iter().map(|column| column.trim().to_owned());
    Some((table.trim().to_owned(), columns.collect()))
}

/// What an action is called where none is stated.
const NO_ACTION: &str = "NO ACTION";

/// The action behind `on delete` or `on update`, where it is asked for.
fn action(clauses: &[&str], what: &str) -> Option<String> {
    clauses
        .iter()
        .find_map(|clause| clause.strip_prefix(what))
        .map(|action| action.trim().to_uppercase())
}

/// Whether an action is the one asked for. RESTRICT and NO ACTION are one where constraints bite at once; a person who
/// writes one of them means that nothing goes along.
fn same_action(is: Option<&str>, want: &str) -> bool {
    // Behind it may stand which columns it is about.
    let is = is.and_then(|is| is.split(" (").next());
    let is = is.unwrap_or(NO_ACTION).to_uppercase();
    let quiet = |action: &str| action == NO_ACTION || action == "RESTRICT";
    is == want || quiet(&is) && quiet(want)
}

/// `table.column -> table.column on delete cascade`.
fn foreign_key_lacks(catalog: &Catalog, text: &str) -> Result<(), String> {
    let wrong = || format!("`{text}` is not `table.column -> table.column`");
    let (from, to) = text.split_once("->").ok_or_else(wrong)?;
    let lower = to.to_lowercase();
    let end = lower.find(" on ").unwrap_or(to.len());
    let clauses: Vec<&str> = lower[end..]
        .split(" on ")
        .map(str::trim)
        .filter(|clause| !clause.is_empty())
        .collect();
    let (from, columns) = columns_of(from).ok_or_else(wrong)?;
    let (to, target) = columns_of(&to[..end]).ok_or_else(wrong)?;
    let table = find_table(catalog, &from)?;
    let referred = find_table(catalog, &to)?;
    let alike = |a: &[String], b: &[String]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b))
    };
    let mut there = vec![];
    for key in &table.foreign_keys {
        if alike(&key.columns, &columns) && refers(key, table, referred) {
            there.push(key);
        }
    }
    let Some(key) = there
        .iter()
        .find(|key| alike(&target_of(key, referred), &target))
    else {
        return Err(format!(
            "{from}({}) has no foreign key to {to}({})",
            columns.join(", "),
            target.join(", ")
        ));
    };
    for (what, is) in [("delete", &key.on_delete), ("update", &key.on_update)] {
        if let Some(want) = action(&clauses, what)
            && !same_action(is.as_deref(), &want)
        {
            let is = is.as_deref().unwrap_or(NO_ACTION).to_lowercase();
            return Err(format!("{from} -> {to} is on {what} {is}"));
        }
    }
    match &key.attributes {
        Some(attributes) if attributes.to_uppercase().contains("NOT VALID") => {
            Err(format!("{from} -> {to} is there, and not valid yet"))
        }
        _ => Ok(()),
    }
}

fn refers(key: &ForeignKey, table: &Table, referred: &Table) -> bool {
    // A key without a schema refers into the default one, or into its own table's.
    let schema = key.references_schema.as_deref();
    let same =
        schema == referred.schema.as_deref() || schema.is_none() && table.schema == referred.schema;
    same && key.references.eq_ignore_ascii_case(&referred.name)
}

/// The columns that a key refers to: the primary key's where it names none.
fn target_of(key: &ForeignKey, referred: &Table) -> Vec<String> {
    if key.references_columns.is_empty() {
        super::tables::key_of(referred)
    } else {
        key.references_columns.clone()
    }
}
