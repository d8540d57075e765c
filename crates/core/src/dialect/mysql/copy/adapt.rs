//! MySQL to MariaDB and back: catalogs go over as they are, but for what one of the two has alone.

use super::finish::leave_out;
use crate::dialect::copy::CopyDialect;
use crate::dialect::copy::Notes;
use crate::dialect::{Caps, EngineKind};
use crate::finding::{Finding, Place};
use crate::schema::{Catalog, Check, NeutralType};

pub(super) fn adapt(catalog: &mut Catalog, to: &Caps, notes: &mut Notes) {
    let mariadb = to.engine == EngineKind::Mariadb;
    catalog.engine = to.engine.to_string();
    if !mariadb {
        for sequence in std::mem::take(&mut catalog.sequences) {
            notes.lack(
                format!("sequence {}", sequence.name),
                "the target has no sequences",
                sequence.settings,
            );
        }
    }
    for table in &mut catalog.tables {
        let label = table.label();
        table.definition = None;
        if let Some(name) = table.options.get_mut("collation") {
            rename(name, mariadb, to, &label, notes);
        }
        for column in &mut table.columns {
            if let Some(name) = &mut column.collation {
                rename(
                    name,
                    mariadb,
                    to,
                    &format!("{label}.{}", column.name),
                    notes,
                );
            }
            if !mariadb {
                native(column);
                table.checks.extend(json_as_text(column));
            }
            if let Some(default) = column.default.take() {
                column.default = Some(super::Copies.wrap_default(default, &column.native));
            }
        }
        for index in &mut table.indexes {
            index.attributes = index.attributes.take().map(|word| match word.as_str() {
                "IGNORED" if !mariadb => "INVISIBLE".into(),
                "INVISIBLE" if mariadb => "IGNORED".into(),
                _ => word,
            });
        }
        if mariadb {
            expressions(table, &label, notes);
        }
    }
}

/// What MariaDB takes no index over, and no check that is not enforced.
fn expressions(table: &mut crate::schema::Table, label: &str, notes: &mut Notes) {
    let generated = table
        .columns
        .iter_mut()
        .filter_map(|column| column.generated.as_mut())
        .map(|generated| &mut generated.expression);
    let checks = table.checks.iter_mut().map(|check| &mut check.clause);
    for text in generated.chain(checks) {
        // MariaDB misreads a quote within a literal that an introducer stands before; the session speaks utf8mb4.
        for introducer in ["_utf8mb4'", "_utf8mb3'", "_utf8'"] {
            *text = text.replace(introducer, "'");
        }
    }
    let (kept, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut table.indexes)
        .into_iter()
        .partition(|index| index.parts.iter().all(|part| !part.expression));
    table.indexes = kept;
    for index in lost {
        notes.lack(
            format!("index {} of {label}", index.name),
            "the target has no indexes over expressions",
            Some(super::super::ddl::parts(&index)),
        );
    }
    let is_lost = |check: &Check| check.clause.ends_with("NOT ENFORCED");
    leave_out(table, is_lost, "the target enforces every check", notes);
}

/// Types that MariaDB alone has.
fn native(column: &mut crate::schema::Column) {
    let spelled = match column.native.as_str() {
        "uuid" => "char(36)",
        "inet6" => "varchar(39)",
        "inet4" => "varchar(15)",
        _ => return,
    };
    column.native = spelled.into();
    if column.neutral != NeutralType::Uuid {
        column.neutral = NeutralType::Text;
    }
    column.collation = Some("ascii_bin".into());
}

/// MariaDB keeps JSON as the text that it is. MySQL's type keeps one value of each key and writes numbers as doubles.
fn json_as_text(column: &mut crate::schema::Column) -> Option<Check> {
    if column.native != "json" {
        return None;
    }
    column.native = "longtext".into();
    column.collation = Some("utf8mb4_bin".into());
    let name = crate::dialect::mysql::ddl::quote(&column.name);
    Some(Check {
        name: None,
        clause: format!("CHECK (json_valid({name}))"),
        ..Check::default()
    })
}

/// A collation that only one of the two has becomes the nearest of the other.
fn rename(name: &mut String, mariadb: bool, to: &Caps, of: &str, notes: &mut Notes) {
    let new = to.version >= (10, 10, 0);
    let other = if mariadb {
        match name.as_str() {
            "utf8mb4_0900_bin" => "utf8mb4_nopad_bin",
            "utf8mb4_0900_as_cs" if new => "utf8mb4_uca1400_nopad_as_cs",
            "utf8mb4_0900_as_ci" if new => "utf8mb4_uca1400_nopad_as_ci",
            "utf8mb4_0900_as_cs" => "utf8mb4_nopad_bin",
            known if known.contains("_0900_") => {
                if new {
                    "utf8mb4_uca1400_nopad_ai_ci"
                } else {
                    "utf8mb4_unicode_520_nopad_ci"
                }
            }
            _ => return,
        }
    } else {
        match name.as_str() {
            "utf8mb4_nopad_bin" => "utf8mb4_0900_bin",
            known if known.contains("uca1400") && known.ends_with("_as_cs") => "utf8mb4_0900_as_cs",
            known if known.contains("uca1400") && known.ends_with("_as_ci") => "utf8mb4_0900_as_ci",
            known if known.contains("uca1400") => "utf8mb4_0900_ai_ci",
            known if known.contains("_nopad_") => "utf8mb4_0900_ai_ci",
            _ => return,
        }
    };
    notes.findings.push(Finding::info(
        "collation-renamed",
        Place::object(of),
        format!("the collation {name} of {of} is {other} there"),
    ));
    *name = other.into();
}
