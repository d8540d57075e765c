//! SQL texts of a catalog: their code without comments and white space, for comparing and for looking inside.

use crate::dialect::Dialect;
use crate::sql::lexer::{TokenKind, lex};
use crate::sql::{LexMode, LexRules};

/// A token of code with its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its text.
    pub text: &'a str,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

impl Code<'_> {
    /// Whether it is this keyword or mark, unquoted.
    pub fn is(&self, word: &str) -> bool {
        matches!(
            self.kind,
            TokenKind::Word | TokenKind::Operator | TokenKind::Delimiter
        ) && self.text.eq_ignore_ascii_case(word)
    }

    /// The name that it spells: quotes taken off.
    pub fn name(&self) -> String {
        unquote(self.text)
    }
}

/// The tokens of code, in order.
pub fn code<'a>(text: &'a str, rules: &LexRules) -> Vec<Code<'a>> {
    let (tokens, _) = lex(text, rules);
    tokens
        .into_iter()
        .filter(|token| token.kind.is_code() || token.kind == TokenKind::Hint)
        .map(|token| {
            let span = token.span();
            Code {
                kind: token.kind,
                text: token.text(text),
                start: span.start,
                end: span.end,
            }
        })
        .collect()
}

/// A name without its quotes.
pub fn unquote(text: &str) -> String {
    let inner = |open: char, close: char| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .map(|inner| {
                let doubled: String = [close, close].iter().collect();
                inner.replace(&doubled, &close.to_string())
            })
    };
    inner('"', '"')
        .or_else(|| inner('`', '`'))
        .or_else(|| inner('[', ']'))
        .or_else(|| inner('\'', '\''))
        .unwrap_or_else(|| text.to_owned())
}

/// Tokens as one line: no comments, one kind of white space, no delimiter at the end.
pub fn joined(tokens: &[Code<'_>]) -> String {
    let mut out = String::new();
    let mut before: Option<&Code<'_>> = None;
    for token in tokens {
        if let Some(before) = before {
            let tight_after = ["(", ".", "::"].contains(&before.text);
            let tight_before = [")", ",", ".", "(", ";", "::"].contains(&token.text);
            let glued = before.end == token.start
                && before.kind == TokenKind::Operator
                && token.kind == TokenKind::Operator;
            if !(tight_after || tight_before || glued) || (token.text == "(" && before.text == ",")
            {
                out.push(' ');
            }
        }
        out.push_str(token.text);
        before = Some(token);
    }
    out
}

/// The normal form of a text: what is equal in it means the same.
pub fn normal(text: &str, dialect: &dyn Dialect) -> String {
    let rules = dialect.lex_rules(&LexMode::default());
    let mut tokens = code(text, &rules);
    while tokens.last().is_some_and(|token| token.text == ";") {
        tokens.pop();
    }
    joined(&tokens)
}

/// Every name and word of a text in lower case, for telling what it may refer to.
pub fn words(text: &str, dialect: &dyn Dialect) -> std::collections::BTreeSet<String> {
    code(text, &dialect.lex_rules(&LexMode::default()))
        .iter()
        .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted))
        .map(|token| token.name().to_lowercase())
        .collect()
}

/// The token that closes the bracket at `open`; the end of the tokens where nothing does.
pub fn closing(tokens: &[Code<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" if token.kind == TokenKind::Operator => depth += 1,
            ")" if token.kind == TokenKind::Operator => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// The parts between the commas of the outermost level.
pub fn items<'a, 'b>(tokens: &'b [Code<'a>]) -> Vec<&'b [Code<'a>]> {
    let mut parts = vec![];
    let (mut depth, mut from) = (0_usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "," if depth == 0 => {
                parts.push(&tokens[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    if from < tokens.len() {
        parts.push(&tokens[from..]);
    }
    parts
}
