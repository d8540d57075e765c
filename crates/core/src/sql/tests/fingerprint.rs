//! Fingerprints: what counts as a change of meaning and what does not.

use super::{mysql, postgres, sqlite};
use crate::sql::{LexRules, fingerprint};
use proptest::prelude::*;

/// Tokens that are one or several to the lexer, but whole to an editor.
const TOKENS: &[&str] = &[
    "SELECT",
    "select",
    "a",
    "b",
    "\"a\"",
    "'a'",
    "'a -- b'",
    "'/* c */'",
    "'a\nb'",
    "'a\n\nb'",
    "''",
    "1",
    "10",
    "1.5",
    ".5",
    "(",
    ")",
    ",",
    ";",
    "=",
    "<=",
    "-",
    "+",
    "*",
    ".",
    "/*+ x */",
    "/*+ x y */",
    "END",
    "CREATE",
    "TRIGGER",
    "-- dunlin: backup = true\n",
    "-- dunlin: irreversible = \"x\"\n",
    "é",
    "{prefix}users",
    "'{a}'",
    "x'41'",
];

const OF_ENGINE: &[&[&str]] = &[
    &["[a b]", "`x`", "?1"],
    &["$$ a -- b $$", "$t$ ' $t$", "E'\\''", "@>", "$1", "::", "/"],
    &[
        "`a;b`",
        "/*!40101 x */",
        "/*! y */",
        "'it\\'s'",
        "\"t\"",
        "@v",
        ":=",
    ],
];

/// What may stand between two tokens without a meaning.
const BLANKS: &[&str] = &[
    " ",
    "\n",
    "\r\n",
    "\t",
    "  \n ",
    " /* c */ ",
    "\n-- line; 'open\n",
    "\r\n-- x\r\n",
    " /* ' \" $$ ` */\n",
    "\n\n\n",
    "\n-- not a directive dunlin:\r\n",
];

fn rules_of(engine: usize) -> LexRules {
    [sqlite(), postgres(), mysql()]
        .into_iter()
        .nth(engine)
        .unwrap()
}

fn written(tokens: &[String], blanks: &[&str], crlf: bool, bom: bool) -> String {
    let mut text = String::from(if bom { "\u{feff}" } else { "" });
    for (index, token) in tokens.iter().enumerate() {
        text.push_str(blanks[index % blanks.len()]);
        text.push_str(token);
    }
    text.push('\n');
    // Every line end, the ones within literals too, as an editor on another system writes them.
    if crlf {
        text.replace("\r\n", "\n").replace('\n', "\r\n")
    } else {
        text
    }
}

fn tokens(engine: usize) -> impl Strategy<Value = Vec<String>> {
    let all: Vec<&str> = TOKENS.iter().chain(OF_ENGINE[engine]).copied().collect();
    prop::collection::vec(prop::sample::select(all).prop_map(str::to_owned), 1..24)
}

fn blanks() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(BLANKS.to_vec()), 1..12)
}

fn case() -> impl Strategy<Value = (usize, Vec<String>)> {
    (0..3_usize).prop_flat_map(|engine| (Just(engine), tokens(engine)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn invariant_11_blanks_line_ends_and_comments_never_change_the_meaning(
        (engine, tokens) in case(),
        (one, other) in (blanks(), blanks()),
        crlf: bool,
        bom: bool,
    ) {
        let rules = rules_of(engine);
        let before = written(&tokens, &one, false, false);
        let after = written(&tokens, &other, crlf, bom);
        prop_assert_eq!(
            fingerprint(&before, &rules).meaning, fingerprint(&after, &rules).meaning, "{:?} {:?}", before, after
        );
    }

    #[test]
    fn invariant_11_every_edit_of_a_token_changes_the_meaning(
        (engine, tokens) in case(),
        blanks in blanks(),
        (edit, at) in (0..4_usize, any::<prop::sample::Index>()),
        other in any::<prop::sample::Index>(),
    ) {
        let rules = rules_of(engine);
        let mut edited = tokens.clone();
        let at = at.index(tokens.len());
        let replacement = TOKENS[other.index(TOKENS.len())].to_owned();
        match edit {
            0 => { edited.remove(at); }
            1 => edited.insert(at, replacement),
            2 => edited[at] = replacement,
            _ => edited.swap(at, other.index(tokens.len())),
        }
        prop_assume!(edited != tokens);
        let before = written(&tokens, &blanks, false, false);
        let after = written(&edited, &blanks, false, false);
        prop_assert_ne!(
            fingerprint(&before, &rules).meaning, fingerprint(&after, &rules).meaning, "{:?} {:?}", before, after
        );
    }

    #[test]
    fn invariant_11_every_letter_of_a_token_counts(
        (engine, tokens) in case(),
        at in any::<prop::sample::Index>(),
    ) {
        let rules = rules_of(engine);
        let at = at.index(tokens.len());
        // A letter more at the end of a word or a number is another token.
        if !tokens[at].ends_with(|c: char| c.is_alphanumeric()) {
            return Ok(());
        }
        let mut edited = tokens.clone();
        edited[at].push('z');
        let (before, after) = (written(&tokens, &["\n"], false, false), written(&edited, &["\n"], false, false));
        prop_assert_ne!(fingerprint(&before, &rules).meaning, fingerprint(&after, &rules).meaning);
    }
}

#[test]
fn invariant_11_the_algorithm_stays_as_it_is() {
    // These values stand in journals: a change here needs a new FINGERPRINT_VERSION and the old algorithm beside it.
    let print = fingerprint("-- c\nCREATE TABLE t (a INT); /*! x */", &mysql());
    assert_eq!(print.version, 1);
    assert_eq!(
        print.bytes,
        blake3::hash(b"-- c\nCREATE TABLE t (a INT); /*! x */")
            .to_hex()
            .to_string()
    );
    let mut meaning = blake3::Hasher::new();
    for token in [
        "CREATE", "TABLE", "t", "(", "a", "INT", ")", ";", "/*!", "x", "*/",
    ] {
        meaning.update(&(token.len() as u64).to_le_bytes());
        meaning.update(token.as_bytes());
    }
    assert_eq!(print.meaning, meaning.finalize().to_hex().to_string());
    assert_eq!(
        fingerprint("'a\r\nb'", &mysql()).meaning,
        fingerprint("'a\nb'", &mysql()).meaning,
        "a line end is a line end"
    );
    assert_ne!(
        fingerprint("'a\rb'", &mysql()).meaning,
        fingerprint("'a\nb'", &mysql()).meaning
    );
}
