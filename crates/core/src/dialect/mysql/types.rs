//! Types: the neutral one of each native type, and back.

/// A declared type as words: the base in lower case, its arguments (quotes kept), its attributes.
struct Declared {
    base: String,
    arguments: Option<String>,
    unsigned: bool,
    zerofill: bool,
}

/// Splits `VARCHAR (20) CHARACTER SET x` into its parts; what follows the known attributes is left out.
fn split(declared: &str) -> Option<Declared> {
    let text = declared.trim();
    let open = text.find('(');
    let word_end = open.unwrap_or(text.len());
    let head = text[..word_end].to_ascii_lowercase();
    let mut words: Vec<&str> = head.split_whitespace().collect();
    let (arguments, tail) = match open {
        Some(open) => {
            let close = closing(text, open)?;
            (
                Some(&text[open + 1..close]),
                text[close + 1..].to_ascii_lowercase(),
            )
        }
        None => (None, String::new()),
    };
    let mut attributes: Vec<&str> = tail.split_whitespace().collect();
    // Without brackets the attributes stand among the first words: `int unsigned not null`.
    let known = [
        "unsigned",
        "signed",
        "zerofill",
        "character",
        "charset",
        "collate",
        "not",
        "null",
        "binary",
        "default",
    ];
    if arguments.is_none()
        && let Some(at) = words.iter().skip(1).position(|word| known.contains(word))
    {
        attributes.extend(words.split_off(at + 1));
    }
    let base = match words.as_slice() {
        ["national", rest @ ..] => rest.join(" "),
        words => words.join(" "),
    };
    if base.is_empty() {
        return None;
    }
    Some(Declared {
        base,
        arguments: arguments.map(compact),
        unsigned: attributes.contains(&"unsigned") || attributes.contains(&"zerofill"),
        zerofill: attributes.contains(&"zerofill"),
    })
}

/// The bracket that closes the one at `open`, quotes respected.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate().skip(open + 1) {
        match byte {
            b'\'' => quoted = !quoted,
            b')' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Arguments without white space outside of quotes.
fn compact(arguments: &str) -> String {
    let mut quoted = false;
    arguments
        .chars()
        .filter(|&c| {
            if c == '\'' {
                quoted = !quoted;
            }
            quoted || !c.is_whitespace()
        })
        .collect()
}

/// The ways in which a server may spell a declared type in its catalog (`COLUMN_TYPE`): with display widths (MariaDB,
/// MySQL before 8.0.19) and without. `None` where the type is not understood.
pub fn spellings(declared: &str) -> Option<Vec<String>> {
    let parts = split(declared)?;
    let arguments = parts.arguments.as_deref();
    let sign = match (parts.unsigned, parts.zerofill) {
        (_, true) => " unsigned zerofill",
        (true, false) => " unsigned",
        _ => "",
    };
    let integer = |name: &str, width: u32, unsigned_width: u32| {
        let shown = arguments.map_or_else(
            || {
                if parts.unsigned {
                    unsigned_width
                } else {
                    width
                }
                .to_string()
            },
            str::to_owned,
        );
        vec![format!("{name}({shown}){sign}"), format!("{name}{sign}")]
    };
    let sized = |name: &str, default: Option<&str>| {
        vec![match arguments.or(default) {
            Some(arguments) => format!("{name}({arguments})"),
            None => name.to_owned(),
        }]
    };
    Some(match parts.base.as_str() {
        "tinyint" | "int1" => integer("tinyint", 4, 3),
        "smallint" | "int2" => integer("smallint", 6, 5),
        "mediumint" | "int3" | "middleint" => integer("mediumint", 9, 8),
        "int" | "integer" | "int4" => integer("int", 11, 10),
        "bigint" | "int8" => integer("bigint", 20, 20),
        "bool" | "boolean" => vec!["tinyint(1)".into()],
        "serial" => vec!["bigint(20) unsigned".into(), "bigint unsigned".into()],
        "decimal" | "numeric" | "dec" | "fixed" => {
            let arguments = match arguments {
                None => "10,0".to_owned(),
                Some(arguments) if !arguments.contains(',') => format!("{arguments},0"),
                Some(arguments) => arguments.to_owned(),
            };
            vec![format!("decimal({arguments}){sign}")]
        }
        "float" | "float4" => match arguments {
            Some(bits) if !bits.contains(',') => {
                let double = bits.parse::<u32>().is_ok_and(|bits| bits > 24);
                vec![format!("{}{sign}", if double { "double" } else { "float" })]
            }
            Some(arguments) => vec![format!("float({arguments}){sign}")],
            None => vec![format!("float{sign}")],
        },
        "double" | "double precision" | "real" | "float8" => match arguments {
            Some(arguments) => vec![format!("double({arguments}){sign}")],
            None => vec![format!("double{sign}")],
        },
        "char" | "character" | "nchar" => sized("char", Some("1")),
        "varchar" | "character varying" | "char varying" | "nvarchar" | "varcharacter" => {
            sized("varchar", None)
        }
        "binary" => sized("binary", Some("1")),
        "varbinary" => sized("varbinary", None),
        "bit" => sized("bit", Some("1")),
        "year" => vec!["year(4)".into(), "year".into()],
        "json" => vec!["json".into(), "longtext".into()],
        "datetime" | "timestamp" | "time" => match arguments {
            None | Some("0") => vec![parts.base],
            Some(digits) => vec![format!("{}({digits})", parts.base)],
        },
        "long" | "long varchar" => vec!["mediumtext".into()],
        "long varbinary" => vec!["mediumblob".into()],
        "text" => vec![by_length(arguments, "text")?],
        "blob" => vec![by_length(arguments, "blob")?],
        _ => sized(&parts.base, None),
    })
}

/// `TEXT(n)` becomes the smallest of the four sizes that holds it (four bytes for each character).
fn by_length(arguments: Option<&str>, name: &str) -> Option<String> {
    let Some(arguments) = arguments else {
        return Some(name.into());
    };
    let bytes = arguments
        .parse::<u64>()
        .ok()?
        .checked_mul(if name == "text" { 4 } else { 1 })?;
    let size = match bytes {
        0..=255 => "tiny",
        256..=65_535 => "",
        65_536..=16_777_215 => "medium",
        _ => "long",
    };
    Some(format!("{size}{name}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn declared_types_are_spelled_as_servers_spell_them() {
        for (declared, spelled) in [
            ("INTEGER", "int"),
            ("int(11) UNSIGNED NOT NULL", "int(11) unsigned"),
            ("int unsigned", "int(10) unsigned"),
            ("NUMERIC( 15, 4 )", "decimal(15,4)"),
            ("decimal", "decimal(10,0)"),
            ("VARCHAR(255) CHARACTER SET utf8mb4", "varchar(255)"),
            ("enum('a', 'B (c)')", "enum('a','B (c)')"),
            ("boolean", "tinyint(1)"),
            ("DOUBLE PRECISION", "double"),
            ("timestamp(6)", "timestamp(6)"),
            ("JSON", "longtext"),
        ] {
            assert!(
                spellings(declared).unwrap().contains(&spelled.to_owned()),
                "{declared}: {:?}",
                spellings(declared)
            );
        }
        assert_eq!(spellings("enum('a"), None);
        assert_eq!(spellings(""), None);
    }
}
