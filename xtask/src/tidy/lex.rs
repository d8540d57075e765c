//! Rust source as tokens: just enough to tell names from texts and comments, and tests from what is shipped.

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A name, keyword or number.
    Word,
    /// The content of a string literal, escapes as written.
    Text,
    /// One other character.
    Sign,
}

/// A token and its line, from 1.
#[derive(Debug, Clone)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    pub line: usize,
}

impl Token {
    /// Whether it is this sign.
    pub fn is(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    /// Whether it is this word.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }
}

/// The tokens of a file; comments, lifetimes and characters are left out.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: source,
        line: 1,
        found: Vec::new(),
    };
    while lexer.step() {}
    lexer.found
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self) -> bool {
        let Some(next) = self.rest.chars().next() else {
            return false;
        };
        if next.is_whitespace() {
            self.take(next.len_utf8());
        } else if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.take(block_comment(self.rest));
        } else if let Some((open, close)) = raw_string(self.rest) {
            let end = self.rest[open..]
                .find(&close)
                .map_or(self.rest.len(), |at| open + at);
            self.push(Kind::Text, open, end);
            self.take((end + close.len()).min(self.rest.len()));
        } else if next == '"' || self.rest.starts_with("b\"") || self.rest.starts_with("c\"") {
            let open = if next == '"' { 1 } else { 2 };
            let end = string_end(self.rest, open);
            self.push(Kind::Text, open, end);
            self.take((end + 1).min(self.rest.len()));
        } else if next == '\'' {
            self.take(character(self.rest));
        } else if next.is_alphanumeric() || next == '_' {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let end = self.rest.find(|c| !word(c)).unwrap_or(self.rest.len());
            self.push(Kind::Word, 0, end);
            self.take(end);
        } else {
            self.push(Kind::Sign, 0, next.len_utf8());
            self.take(next.len_utf8());
        }
        true
    }

    fn push(&mut self, kind: Kind, from: usize, to: usize) {
        self.found.push(Token {
            kind,
            text: self.rest[from..to].to_owned(),
            line: self.line,
        });
    }

    fn take(&mut self, bytes: usize) {
        self.line += self.rest[..bytes]
            .bytes()
            .filter(|byte| *byte == b'\n')
            .count();
        self.rest = &self.rest[bytes..];
    }
}

/// The length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Where a raw string's content begins, and what ends it.
fn raw_string(text: &str) -> Option<(usize, String)> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        text.strip_prefix(prefix)
            .is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = text[prefix.len()..]
        .bytes()
        .take_while(|byte| *byte == b'#')
        .count();
    Some((
        prefix.len() + hashes + 1,
        format!("\"{}", "#".repeat(hashes)),
    ))
}

fn string_end(text: &str, open: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = open;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

/// The length of a character literal; of a lifetime only the quote.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => text[3..].find('\'').map_or(1, |at| at + 4),
        (Some(_), Some((close, '\''))) => close + 1,
        _ => 1,
    }
}

/// The tokens that are shipped: without modules, functions and imports marked `#[cfg(test)]`.
pub fn shipped(tokens: &[Token]) -> Vec<Token> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_cfg_test(&tokens[at..]) {
            at = item_end(tokens, at);
        } else {
            out.push(tokens[at].clone());
            at += 1;
        }
    }
    out
}

fn is_cfg_test(tokens: &[Token]) -> bool {
    let words = ["#", "[", "cfg", "(", "test", ")", "]"];
    tokens.len() > words.len()
        && tokens
            .iter()
            .zip(words)
            .all(|(token, word)| token.kind != Kind::Text && token.text == word)
}

/// Just behind an item: its closing brace, or its semicolon where it has none.
fn item_end(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        if token.is("{") {
            depth += 1;
        } else if token.is("}") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at + 1;
            }
        } else if token.is(";") && depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// A function: its name, first and last line.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    pub first: usize,
    pub last: usize,
}

/// All functions that have a body.
pub fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        if !pair[0].is_word("fn") || pair[1].kind != Kind::Word {
            continue;
        }
        // A body opens before any semicolon outside of brackets; a declaration has none.
        let mut nested = 0_i32;
        let body = tokens.iter().enumerate().skip(at).find(|(_, token)| {
            nested += i32::from(token.is("(") || token.is("["))
                - i32::from(token.is(")") || token.is("]"));
            nested == 0 && (token.is("{") || token.is(";"))
        });
        if let Some((open, token)) = body
            && token.is("{")
        {
            let end = item_end(tokens, open).saturating_sub(1);
            found.push(Function {
                name: pair[1].text.clone(),
                first: pair[0].line,
                last: tokens[end].line,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{functions, shipped, tokens};

    #[test]
    fn strings_comments_and_lifetimes_are_told_apart() {
        let source = "fn a<'x>(c: &'x str) { /* fn b() { */ \"fn c() {\"; r#\"}\"}\"#; '}'; '\\''; }\n// fn d() {\nfn e();\n";
        let found = functions(&tokens(source));
        assert_eq!(
            found.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
            ["a"]
        );
        assert_eq!((found[0].first, found[0].last), (1, 1));
    }

    #[test]
    fn what_is_for_tests_is_not_shipped() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { {} } }\n#[cfg(test)]\nmod other;\nfn c() {}\n";
        let found = functions(&shipped(&tokens(source)));
        assert_eq!(
            found.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
            ["a", "c"]
        );
    }
}
