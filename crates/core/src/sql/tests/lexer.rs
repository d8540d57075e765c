//! The lexer: every kind of token in every dialect, and nothing lost.

use super::{mysql, mysql_mode, postgres, sqlite};
use crate::sql::{LexMode, LexRules, TokenKind, lex};
use proptest::prelude::*;

fn code<'a>(text: &'a str, rules: &LexRules) -> Vec<(TokenKind, &'a str)> {
    let (tokens, faults) = lex(text, rules);
    assert_eq!(faults, vec![], "in {text:?}");
    tokens
        .iter()
        .filter(|token| token.kind.has_meaning())
        .map(|token| (token.kind, token.text(text)))
        .collect()
}

fn texts<'a>(text: &'a str, rules: &LexRules) -> Vec<&'a str> {
    code(text, rules)
        .into_iter()
        .map(|(_, text)| text)
        .collect()
}

#[test]
fn literals_of_postgres() {
    let rules = postgres();
    for literal in [
        "'it''s'",
        "'C:\\'",
        "E'it\\'s'",
        "e'\\\\'",
        "$$it's; -- $1$$",
        "$fn$ $$ ' $$ $fn$",
        "U&'d\\0061t'",
        "X'1F'",
        "B'01'",
        "N'x'",
        "$é$ x $é$",
    ] {
        assert_eq!(code(literal, &rules), [(TokenKind::Text, literal)]);
    }
    assert_eq!(
        code("U&\"d;\"\"\"", &rules),
        [(TokenKind::Quoted, "U&\"d;\"\"\"")]
    );
    assert_eq!(code("$1", &rules), [(TokenKind::Parameter, "$1")]);
    assert_eq!(texts("a$b$c $d$x$d$", &rules), ["a$b$c", "$d$x$d$"]);
    // A plain literal on the next line continues one with escapes.
    assert_eq!(texts("E'a'\n'b\\'c' d", &rules), ["E'a'", "'b\\'c'", "d"]);
    let old = LexMode {
        plain_backslashes: true,
        ..LexMode::default()
    };
    let rules = crate::dialect::Dialect::lex_rules(&crate::dialect::postgres::Postgres, &old);
    assert_eq!(texts("'a\\'b' c", &rules), ["'a\\'b'", "c"]);
}

#[test]
fn literals_and_names_of_mysql_follow_its_mode() {
    assert_eq!(
        texts(r#"'a\'b' "c\"d" `e``f`"#, &mysql()),
        [r"'a\'b'", r#""c\"d""#, "`e``f`"]
    );
    assert_eq!(code(r#""x""#, &mysql())[0].0, TokenKind::Text);
    assert_eq!(
        code(r#""x""#, &mysql_mode("STRICT_ALL_TABLES,ANSI_QUOTES"))[0].0,
        TokenKind::Quoted
    );
    assert_eq!(
        texts(r"'C:\' 'x'", &mysql_mode("NO_BACKSLASH_ESCAPES")),
        [r"'C:\'", "'x'"]
    );
    assert_eq!(
        texts(
            "2fa_tokens db.2fa 1e5 0x1F @@session.sql_mode @'a b'",
            &mysql()
        ),
        [
            "2fa_tokens",
            "db",
            ".",
            "2fa",
            "1e5",
            "0x1F",
            "@@session.sql_mode",
            "@'a b'"
        ]
    );
}

#[test]
fn comments_of_each_dialect() {
    assert_eq!(
        texts("a -- b\nc--d\n# e\nf", &mysql()),
        ["a", "c", "-", "-", "d", "f"]
    );
    assert_eq!(texts("a --b\nc # d", &postgres()), ["a", "c", "#", "d"]);
    assert_eq!(texts("a /* b /* c */ d */ e", &postgres()), ["a", "e"]);
    assert_eq!(texts("a /* b /* c */ d", &mysql()), ["a", "d"]);
    assert_eq!(texts("a -- b\rc", &postgres()), ["a", "c"]);
    assert_eq!(texts("a -- b\rc", &sqlite()), ["a"]);
    assert_eq!(texts("--", &mysql()), Vec::<&str>::new());
}

#[test]
fn versioned_comments_are_code_and_hints_are_tokens() {
    assert_eq!(
        texts(
            "/*!40101 SET x */ /*M!100100 y*/ /*+ MAX(1) */ 1*/ 2",
            &mysql()
        ),
        [
            "/*!40101",
            "SET",
            "x",
            "*/",
            "/*M!100100",
            "y",
            "*/",
            "/*+ MAX(1) */",
            "1",
            "*",
            "/",
            "2"
        ]
    );
    assert_eq!(
        texts("/*M!999999\\- enable the sandbox mode */ a", &mysql()),
        ["a"]
    );
    assert_eq!(
        texts("/*! a /* b */ '*/' */ c", &mysql()),
        ["/*!", "a", "'*/'", "*/", "c"]
    );
    assert_eq!(texts("/*! a */ b", &postgres()), ["b"]);
}

#[test]
fn operators_of_postgres_are_cut_as_it_cuts_them() {
    assert_eq!(
        texts(
            "a=-1 b@>c d->>'e' f<=-2 g|/-3 h*-4 x::int y:=z",
            &postgres()
        ),
        [
            "a", "=", "-", "1", "b", "@>", "c", "d", "->>", "'e'", "f", "<=", "-", "2", "g", "|/-",
            "3", "h", "*", "-", "4", "x", "::", "int", "y", ":=", "z"
        ]
    );
    assert_eq!(
        texts("a*/* c */b+-- d\n1", &postgres()),
        ["a", "*", "b", "+", "1"]
    );
}

#[test]
fn numbers_and_dots() {
    assert_eq!(
        texts("1..10 .5 t.5 1.5e-3 1_000 a .b", &postgres()),
        [
            "1", ".", ".10", ".5", "t", ".", "5", "1.5e-3", "1_000", "a", ".", "b"
        ]
    );
}

#[test]
fn directives_are_found_where_comments_are() {
    let kind = |text: &str, rules: &LexRules| lex(text, rules).0[0].kind;
    assert_eq!(
        kind("-- dunlin: probe = \"x\"", &mysql()),
        TokenKind::Directive
    );
    assert_eq!(kind("--dunlin:undo", &sqlite()), TokenKind::Directive);
    assert_eq!(kind("--dunlin:undo", &mysql()), TokenKind::Operator);
    assert_eq!(
        kind("-- dunlin is a bird", &sqlite()),
        TokenKind::LineComment
    );
}

#[test]
fn what_is_unclosed_is_a_fault_and_nothing_panics() {
    for (text, code) in [
        ("select 'a", "unclosed-literal"),
        ("select $x$ a $y$", "unclosed-literal"),
        ("select \"a", "unclosed-identifier"),
        ("/* a /* b */", "unclosed-comment"),
        ("E'\\", "unclosed-literal"),
    ] {
        let (_, faults) = lex(text, &postgres());
        assert_eq!(
            faults.iter().map(|fault| fault.code).collect::<Vec<_>>(),
            [code],
            "in {text:?}"
        );
    }
    assert_eq!(lex("/*!50000 a", &mysql()).1[0].code, "unclosed-comment");
    assert_eq!(lex("DELIMITER\n", &mysql()).1[0].code, "delimiter-missing");
}

/// Texts made of what is dangerous to a lexer.
fn nasty() -> impl Strategy<Value = String> {
    let bits = prop::sample::select(vec![
        "'",
        "\"",
        "`",
        "[",
        "]",
        "$",
        "$$",
        "$a$",
        "/*",
        "*/",
        "/*!",
        "/*+",
        "--",
        "-- dunlin:",
        "#",
        "\\",
        "\\.",
        "\n",
        "\r\n",
        " ",
        ";",
        "DELIMITER ",
        "//",
        "COPY t FROM stdin",
        "BEGIN",
        "END",
        "CASE",
        "IF",
        "é",
        "{a}",
        "{{",
        "}}",
        "{",
        "E'",
        "U&'",
        "@",
        "@@",
        "1.",
        ".5",
        "\u{feff}",
        "CREATE TRIGGER",
        "CREATE PROCEDURE",
        "\0",
        "x",
        ":",
        "(",
        ")",
        "LOOP",
        "REPEAT",
        "ATOMIC",
        "NOT",
        "§",
    ]);
    prop::collection::vec(bits, 0..40).prop_map(|bits| bits.concat())
}

#[test]
fn a_backslash_by_itself_is_a_fault_that_can_be_shown() {
    let text = "\\ \u{feff}\n";
    let (_, faults) = crate::sql::split(text, &postgres());
    assert_eq!(faults.len(), 1);
    assert_eq!(text.get(faults[0].span.clone()), Some("\\"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn joined_tokens_and_joined_pieces_are_the_text(text in nasty(), engine in 0..4) {
        let rules = [sqlite(), postgres(), mysql(), mysql_mode("ANSI_QUOTES,NO_BACKSLASH_ESCAPES")];
        let rules = &rules[engine as usize];
        let (tokens, faults) = lex(&text, rules);
        prop_assert_eq!(tokens.iter().map(|token| token.text(&text)).collect::<String>(), text.clone());
        for fault in faults {
            prop_assert!(text.get(fault.span).is_some());
        }
        let (pieces, faults) = crate::sql::split(&text, rules);
        prop_assert_eq!(pieces.iter().map(|piece| &text[piece.span.clone()]).collect::<String>(), text.clone());
        // One look for both gives what two give.
        let (same, _, fingerprint) = crate::sql::split_and_fingerprint(&text, rules);
        prop_assert_eq!(same.len(), pieces.len());
        prop_assert_eq!(fingerprint, crate::sql::fingerprint(&text, rules));
        for fault in faults {
            prop_assert!(text.get(fault.span).is_some());
        }
        for piece in pieces {
            if let crate::sql::PieceKind::Statement(range) = piece.kind {
                prop_assert!(piece.span.start <= range.start && range.end <= piece.span.end);
                prop_assert!(!text[range].trim().is_empty());
            }
        }
        let declared = [("a".to_owned(), "b".to_owned())].into();
        if let Ok(placed) = crate::sql::substitute(&text, rules, &declared) {
            prop_assert!(placed.original(placed.text.len()) <= text.len());
        }
    }
}
