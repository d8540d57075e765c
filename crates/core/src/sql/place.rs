//! Placeholders: `{name}` in names and literals, for declared names only, and the way back to the file's places.

use super::{Fault, LexRules, Lexer, TokenKind, scan};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// A text with its placeholders filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<'a> {
    /// The text to split and to send.
    pub text: Cow<'a, str>,
    /// What was replaced, in order: the range in the new text, the range in the old one.
    replaced: Vec<(Range<usize>, Range<usize>)>,
}

impl Placed<'_> {
    /// The offset in the file of an offset in the filled-in text; within a value, the beginning of its placeholder.
    pub fn original(&self, offset: usize) -> usize {
        let before = self
            .replaced
            .partition_point(|(new, _)| new.start <= offset);
        match before
            .checked_sub(1)
            .and_then(|index| self.replaced.get(index))
        {
            None => offset,
            Some((new, old)) if offset < new.end => old.start,
            Some((new, old)) => old.end + (offset - new.end),
        }
    }

    /// The range in the file of a range in the filled-in text; a placeholder that it touches is in it as a whole.
    pub fn original_range(&self, range: Range<usize>) -> Range<usize> {
        let start = self.original(range.start);
        let within = self
            .replaced
            .iter()
            .find(|(new, _)| new.start < range.end && range.end < new.end);
        let end = within.map_or_else(|| self.original(range.end), |(_, old)| old.end);
        start..end.max(start)
    }
}

/// Fills in the declared placeholders: in names, also within quotes and glued to other letters, in literals and in
/// hints. Comments, COPY data and everything between `{{` and `}}` stay as they are.
///
/// A value that would end the name or literal it stands in is refused, and so is an undeclared `{name}` that stands in
/// code, where it could never be valid SQL. Within literals and quoted names an undeclared one is text.
pub fn substitute<'a>(
    text: &'a str,
    rules: &LexRules,
    placeholders: &BTreeMap<String, String>,
) -> Result<Placed<'a>, Vec<Fault>> {
    if !text.contains('{') {
        return Ok(Placed {
            text: Cow::Borrowed(text),
            replaced: Vec::new(),
        });
    }
    let mut filler = Filler {
        text,
        rules,
        placeholders,
        found: Vec::new(),
        faults: Vec::new(),
        template_end: None,
    };
    let mut in_template = false;
    for token in Lexer::new(text, rules) {
        let content = token.text(text);
        match token.kind {
            TokenKind::Operator if content == "{{" => in_template = true,
            TokenKind::Operator if content == "}}" => in_template = false,
            TokenKind::Word
            | TokenKind::Quoted
            | TokenKind::Text
            | TokenKind::Hint
            | TokenKind::Parameter
                if !in_template && content.contains('{') =>
            {
                filler.token(token.kind, token.span());
            }
            _ => {}
        }
    }
    filler.finish()
}

struct Filler<'a, 'p> {
    text: &'a str,
    rules: &'p LexRules,
    placeholders: &'p BTreeMap<String, String>,
    found: Vec<(Range<usize>, &'p str)>,
    faults: Vec<Fault>,
    /// The next `}}` as far as it is known, so that each is looked for once.
    template_end: Option<usize>,
}

impl<'a> Filler<'a, '_> {
    fn token(&mut self, kind: TokenKind, span: Range<usize>) {
        let bytes = self.text.as_bytes();
        let mut at = span.start;
        while let Some(brace) = bytes[at..span.end]
            .iter()
            .position(|byte| *byte == b'{')
            .map(|found| at + found)
        {
            if bytes[brace..span.end].starts_with(b"{{") {
                // A template of somebody else's, up to its end; an end that is missing makes it two letters.
                at = brace + 2 + self.template_length(brace + 2, span.end);
                continue;
            }
            let Some(length) = scan::placeholder(&bytes[brace..span.end]) else {
                at = brace + 1;
                continue;
            };
            at = brace + length;
            let name = &self.text[brace + 1..at - 1];
            let bare = matches!(kind, TokenKind::Word | TokenKind::Parameter);
            match self.placeholders.get_key_value(name) {
                Some((_, value)) => {
                    let alone = bare && span == (brace..at);
                    match self.refusal(kind, &span, value, alone) {
                        None => self.found.push((brace..at, value)),
                        Some(why) => self.fault(
                            brace..at,
                            "placeholder-unsafe",
                            format!("`{{{name}}}`: {why}"),
                        ),
                    }
                }
                None if bare => {
                    let message = format!("`{{{name}}}` is not declared as a placeholder.");
                    self.fault(brace..at, "placeholder-unknown", message);
                }
                None => {}
            }
        }
    }

    /// How far a template that is open at `from` reaches, its end included; 0 where it has none.
    fn template_length(&mut self, from: usize, end: usize) -> usize {
        let next = match self.template_end {
            Some(next) if next >= from => next,
            _ => self.text[from..]
                .find("}}")
                .map_or(usize::MAX, |found| from + found),
        };
        self.template_end = Some(next);
        if next < end { next + 2 - from } else { 0 }
    }

    /// Why a value must not stand in this token, if so.
    fn refusal(
        &self,
        kind: TokenKind,
        span: &Range<usize>,
        value: &str,
        alone: bool,
    ) -> Option<String> {
        let content = &self.text[span.clone()];
        match kind {
            TokenKind::Text if content.starts_with('$') => value
                .contains('$')
                .then(|| "its value holds a `$`, which may end the literal around it.".into()),
            TokenKind::Text | TokenKind::Quoted => {
                let close = content.bytes().next_back().unwrap_or(b'\'') as char;
                let breaks =
                    |c: char| c == close || (c == '\\' && kind == TokenKind::Text) || c == '\0';
                let found = value.chars().find(|c| breaks(*c))?;
                Some(format!(
                    "its value holds `{}`, which may end what stands around it.",
                    found.escape_debug()
                ))
            }
            TokenKind::Hint => value
                .contains("*/")
                .then(|| "its value would end the hint around it.".into()),
            _ if alone => {
                let tokens = super::lex(value, self.rules);
                let harmless = |kind: TokenKind, text: &str| match kind {
                    TokenKind::Operator => matches!(text, "." | "=" | "," | "-" | "+"),
                    TokenKind::Delimiter
                    | TokenKind::Client
                    | TokenKind::Hint
                    | TokenKind::VersionedOpen => false,
                    kind => kind.has_meaning() || kind == TokenKind::Space,
                };
                let fits = tokens.1.is_empty()
                    && tokens
                        .0
                        .iter()
                        .all(|token| harmless(token.kind, token.text(value)));
                (!fits).then(|| "its value is more than names, numbers and literals.".into())
            }
            _ => {
                let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.');
                let found = value.chars().find(|c| !word(*c))?;
                Some(format!(
                    "its value holds `{}`; an unquoted name cannot.",
                    found.escape_debug()
                ))
            }
        }
    }

    fn fault(&mut self, span: Range<usize>, code: &'static str, message: String) {
        self.faults.push(Fault {
            span,
            code,
            message,
        });
    }

    fn finish(self) -> Result<Placed<'a>, Vec<Fault>> {
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        if self.found.is_empty() {
            return Ok(Placed {
                text: Cow::Borrowed(self.text),
                replaced: Vec::new(),
            });
        }
        let mut text = String::with_capacity(self.text.len());
        let mut replaced = Vec::with_capacity(self.found.len());
        let mut from = 0;
        for (old, value) in self.found {
            text.push_str(&self.text[from..old.start]);
            let start = text.len();
            text.push_str(value);
            from = old.end;
            replaced.push((start..text.len(), old));
        }
        text.push_str(&self.text[from..]);
        Ok(Placed {
            text: Cow::Owned(text),
            replaced,
        })
    }
}
