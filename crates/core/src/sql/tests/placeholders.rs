//! Placeholders: where they are replaced and where they are left alone.

use super::{mysql, postgres, sqlite};
use crate::sql::substitute;
use std::collections::BTreeMap;

fn declared() -> BTreeMap<String, String> {
    let pairs = [
        ("prefix", "wp_"),
        ("users", "wp_users"),
        ("n", "5"),
        ("charset", "DEFAULT CHARSET=utf8mb4"),
    ];
    let bad = [
        ("quote", "it's"),
        ("tick", "a`b"),
        ("hyphen", "my-site"),
        ("two", "a; DROP TABLE b"),
        ("none", ""),
    ];
    pairs
        .iter()
        .chain(&bad)
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

#[test]
fn names_and_literals_take_declared_placeholders_and_comments_do_not() {
    let text = "-- {prefix}a\nCREATE TABLE {prefix}users (`{prefix}x` INT DEFAULT {n}) {charset}; /* {prefix} */ \
                INSERT INTO {users} VALUES ('{prefix} {{prefix}} {other} {\"a\": {n}}', {none}1) /*! {prefix}y */;";
    let placed = substitute(text, &mysql(), &declared()).unwrap();
    assert_eq!(
        placed.text,
        "-- {prefix}a\nCREATE TABLE wp_users (`wp_x` INT DEFAULT 5) DEFAULT CHARSET=utf8mb4; /* {prefix} */ \
         INSERT INTO wp_users VALUES ('wp_ {{prefix}} {other} {\"a\": 5}', 1) /*! wp_y */;"
    );
    let text = "SELECT {{ prefix }} {{users}}, $$ {prefix}t $$";
    assert_eq!(
        substitute(text, &postgres(), &declared()).unwrap().text,
        "SELECT {{ prefix }} {{users}}, $$ wp_t $$"
    );
}

#[test]
fn values_that_would_break_out_are_refused() {
    let refused = |text: &str| {
        let faults = substitute(text, &mysql(), &declared()).unwrap_err();
        faults
            .into_iter()
            .map(|fault| fault.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        refused("SELECT '{quote}', `{tick}`, {hyphen}_x, {two}"),
        ["placeholder-unsafe"; 4]
    );
    assert_eq!(refused("SELECT {unknown}"), ["placeholder-unknown"]);
    for text in [
        "SELECT \"{quote}\"",
        "SELECT `{hyphen}_x`",
        "SELECT '{unknown}'",
    ] {
        assert!(substitute(text, &mysql(), &declared()).is_ok(), "{text}");
    }
    assert!(substitute("SELECT $$ {quote} $$", &postgres(), &declared()).is_ok());
}

#[test]
fn places_lead_back_to_the_file() {
    let text = "SELECT {prefix}a FROM {users} WHERE b";
    let placed = substitute(text, &sqlite(), &declared()).unwrap();
    assert_eq!(placed.text, "SELECT wp_a FROM wp_users WHERE b");
    for word in ["SELECT", "FROM", "WHERE", "b"] {
        assert_eq!(
            placed.original(placed.text.rfind(word).unwrap()),
            text.rfind(word).unwrap(),
            "{word}"
        );
    }
    let old = |word: &str| {
        let start = placed.text.rfind(word).unwrap();
        &text[placed.original_range(start..start + word.len())]
    };
    assert_eq!(
        [old("wp_a"), old("wp_users"), old("FROM"), old("users")],
        ["{prefix}a", "{users}", "FROM", "{users}"]
    );
    assert_eq!(placed.original(placed.text.len()), text.len());
}
