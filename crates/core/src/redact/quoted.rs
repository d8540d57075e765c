//! Secrets in text that people wrote, wherever it is quoted: passwords that a script gives somebody (`CREATE USER …
//! IDENTIFIED BY '…'`, `CONNECTION '… password=…'`), and those of URLs.
//!
//! Where a line of a file or a server's message is shown, nobody knows any more by which rules the text is read. So it
//! is read in each way that there is, and what is a secret by any of them is masked: rather a word too many.

use super::{MASK, password_span, query_secret_spans};
use std::ops::Range;

/// Words after which a literal of the same statement may be a secret, alone or in longer ones (`MASTER_PASSWORD`).
const WORDS: [&str; 6] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "identified",
];

/// What may stand after PASSWORD without being one.
const OPTIONS: [&str; 5] = ["null", "expire", "history", "reuse", "require"];

/// The longest beginning of a statement that its first words are taken from.
const HEAD_BYTES: usize = 4 << 10;

/// A secret of fewer bytes is not searched for in a message: it would be found in any.
const SHORTEST: usize = 3;

/// So much of a secret gives it away where the rest is cut off.
const TELLING: usize = 6;

/// Whether a text has one of [`WORDS`] in it.
fn mentions(text: &str) -> bool {
    let text = text.as_bytes();
    let begins = |at: usize| {
        WORDS.iter().any(|word| {
            text.get(at..at + word.len())
                .is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        })
    };
    let first = |byte: u8| matches!(byte | 0x20, b'p' | b's' | b'i');
    (0..text.len()).any(|at| first(text[at]) && begins(at))
}

/// Where the secrets of a text stand: in order, none within another.
pub fn secrets(text: &str) -> Vec<Range<usize>> {
    let either = |mark: char| {
        let ways = 1 + usize::from(text.contains(mark));
        [false, true].into_iter().take(ways)
    };
    let mut found = in_urls(text);
    if mentions(text) {
        for backslashes in either('\\') {
            for hashes in either('#') {
                for dollars in either('$') {
                    let mut reading = Reading {
                        text,
                        backslashes,
                        hashes,
                        dollars,
                        lines: false,
                        found: &mut found,
                    };
                    reading.read(0..text.len());
                }
            }
        }
    }
    in_order(found)
}

/// As [`secrets`], of a file by its name: in TOML a line is by itself, and `#` begins a comment.
pub fn secrets_of(file: &str, text: &str) -> Vec<Range<usize>> {
    if !file.ends_with(".toml") {
        return secrets(text);
    }
    let mut found = in_urls(text);
    let mut reading = Reading {
        text,
        backslashes: true,
        hashes: true,
        dollars: false,
        lines: true,
        found: &mut found,
    };
    reading.read(0..text.len());
    in_order(found)
}

fn in_order(mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.retain(|range| !range.is_empty());
    found.sort_by_key(|range| range.start);
    let mut whole: Vec<Range<usize>> = vec![];
    for range in found {
        match whole.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => whole.push(range),
        }
    }
    whole
}

/// The passwords of the URLs in a text.
fn in_urls(text: &str) -> Vec<Range<usize>> {
    let mut found = vec![];
    for (at, _) in text.match_indices("://") {
        let scheme = text[..at].bytes().rev();
        let scheme = scheme.take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'+');
        let from = at - scheme.count();
        let stop = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
        let url = &text[from..];
        let url = &url[..url.find(stop).unwrap_or(url.len())];
        let spans = query_secret_spans(url)
            .into_iter()
            .chain(password_span(url));
        found.extend(spans.map(|(start, end)| from + start..from + end));
    }
    found
}

/// One way to read a text.
struct Reading<'t> {
    text: &'t str,
    /// A backslash takes the quote after it into the literal.
    backslashes: bool,
    /// `#` begins a comment.
    hashes: bool,
    /// `$tag$` quotes.
    dollars: bool,
    /// A line is a statement.
    lines: bool,
    found: &'t mut Vec<Range<usize>>,
}

/// What of a statement has been read.
#[derive(Default)]
struct Seen<'t> {
    /// One of [`WORDS`] stood in it.
    gives: bool,
    /// Its second word: what it makes or alters.
    kind: &'t str,
    words: usize,
    /// The word before.
    before: &'t str,
    /// What comes next is a password.
    asks: bool,
}

impl<'t> Seen<'t> {
    fn word(&mut self, word: &'t str) {
        let is = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
        self.words += 1;
        if self.words == 2 {
            self.kind = word;
        }
        let somebody = ["user", "role", "group"];
        let somebody = somebody.iter().any(|kind| is(self.kind, kind));
        self.asks =
            is(word, "by") && is(self.before, "identified") || is(word, "password") && somebody;
        self.before = word;
        self.gives |= mentions(word);
    }

    /// Whether a word is a password that somebody forgot to quote.
    fn is_bare(&self, word: &str) -> bool {
        let mut options = OPTIONS.iter();
        let is_option = options.any(|option| option.eq_ignore_ascii_case(word));
        self.asks && !is_option && !mentions(word)
    }
}

impl<'t> Reading<'t> {
    fn read(&mut self, range: Range<usize>) {
        let bytes = &self.text.as_bytes()[..range.end];
        let mut seen = Seen::default();
        let mut at = range.start;
        while let Some(byte) = bytes.get(at) {
            let rest = &bytes[at..];
            at = match byte {
                byte if *byte == b';' || self.lines && *byte == b'\n' => {
                    seen = Seen::default();
                    at + 1
                }
                b'-' if rest.starts_with(b"--") => line_end(bytes, at),
                b'#' if self.hashes => line_end(bytes, at),
                b'/' if rest.starts_with(b"/*") && !runs(rest) => past(bytes, at + 2, b"*/"),
                b'`' => past(bytes, at + 1, b"`"),
                b'$' if self.dollars => self.dollar(at, range.end, &mut seen),
                b'\'' | b'"' => self.literal(at, range.end, &mut seen),
                byte if is_word(*byte) => {
                    let end = at + rest.iter().take_while(|byte| is_word(**byte)).count();
                    let word = &self.text[at..end];
                    if seen.is_bare(word) {
                        self.found.push(at..end);
                    }
                    seen.word(word);
                    end
                }
                byte => {
                    seen.asks &= byte.is_ascii_whitespace();
                    at + 1
                }
            };
        }
    }

    /// Reads what stands in quotes. Gives where it goes on.
    fn literal(&mut self, open: usize, limit: usize, seen: &mut Seen<'t>) -> usize {
        let bytes = &self.text.as_bytes()[..limit];
        let quote = bytes[open];
        let escapes = self.backslashes || is_escaping(&bytes[..open]);
        let mut at = open + 1;
        let end = loop {
            match bytes.get(at) {
                None => break limit,
                Some(b'\\') if escapes => at += 2,
                Some(byte) if *byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
                Some(byte) if *byte == quote => break at,
                Some(_) => at += 1,
            }
        };
        let content = &self.text[open + 1..end.max(open + 1)];
        let gave = seen.gives;
        let speaks = mentions(content);
        seen.gives |= speaks;
        seen.asks = false;
        // One that is the word itself names a column or a setting.
        let is_name = !speaks || content.bytes().all(is_word);
        if !gave && is_name {
            return end + 1;
        }
        // What goes on after the quote is still of the password: a quote stands in it that should be written twice.
        let goes_on = bytes.get(end + 1).is_some_and(|byte| is_word(*byte));
        let to = match goes_on {
            true => line_end(bytes, end + 1),
            false => end,
        };
        self.found.push(open + 1..to);
        to + usize::from(!goes_on)
    }

    /// Reads what stands between `$tag$` and `$tag$`, or passes over a `$` that begins nothing.
    fn dollar(&mut self, open: usize, limit: usize, seen: &mut Seen<'t>) -> usize {
        let text = &self.text[open..limit];
        let tag = text[1..]
            .bytes()
            .take_while(|byte| *byte != b'$' && is_word(*byte));
        let tag = tag.count() + 2;
        if text.as_bytes().get(tag - 1) != Some(&b'$') {
            return open + 1;
        }
        let from = open + tag;
        let length = self.text[from..limit].find(&text[..tag]);
        let end = length.map_or(limit, |length| from + length);
        if seen.gives {
            self.found.push(from..end);
        } else {
            self.read(from..end);
        }
        end + if length.is_some() { tag } else { 0 }
    }
}

/// Whether a comment is one that a server runs.
fn runs(comment: &[u8]) -> bool {
    comment.starts_with(b"/*!") || comment.starts_with(b"/*M!")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether what stands before a quote makes backslashes escape: a lone `E`.
fn is_escaping(before: &[u8]) -> bool {
    matches!(before, [.., b'e' | b'E'])
        && !before
            .len()
            .checked_sub(2)
            .is_some_and(|at| is_word(before[at]))
}

/// The end of the line.
fn line_end(bytes: &[u8], from: usize) -> usize {
    let mut rest = bytes[from..].iter();
    rest.position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |at| from + at)
}

/// The place after a mark, or the end.
fn past(bytes: &[u8], from: usize, mark: &[u8]) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let found = rest.windows(mark.len()).position(|part| part == mark);
    found.map_or(bytes.len(), |at| from + at + mark.len())
}

/// The first words of a statement, for messages and the journal: one line, at most 60 characters, ending where the first
/// secret would stand.
pub fn head_of(sql: &str) -> String {
    let mut near = sql.len().min(HEAD_BYTES);
    while !sql.is_char_boundary(near) {
        near -= 1;
    }
    let near = &sql[..near];
    let secret = secrets(near).first().map(|range| range.start);
    // Its whole word goes.
    let shown = secret.map_or(near, |start| {
        near[..start].trim_end_matches(|c: char| !c.is_whitespace())
    });
    let mut head = String::with_capacity(64);
    let mut length = 0;
    let mut is_cut = secret.is_some();
    for word in shown.split_whitespace() {
        let more = word.chars().count();
        if length + more > 58 {
            is_cut = true;
            break;
        }
        if length > 0 {
            head.push(' ');
            length += 1;
        }
        head.push_str(word);
        length += more;
    }
    if is_cut {
        head.push_str(" …");
        length += 2;
    }
    if length > 60 {
        head = head.chars().take(59).collect::<String>() + "…";
    }
    head
}

/// A text with these ranges masked, which are in order and none within another.
fn masked(text: &str, secrets: impl Iterator<Item = Range<usize>>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for range in secrets {
        out.push_str(&text[from..range.start]);
        out.push_str(MASK);
        from = range.end;
    }
    out + &text[from..]
}

/// A text without its secrets.
pub fn veiled(text: &str) -> String {
    masked(text, secrets(text).into_iter())
}

/// What a server says about a statement, without the secrets of that statement. `is_syntax`: it did not understand the
/// statement, so what it repeats may begin and end anywhere in it.
pub fn about(sql: &str, message: &str, is_syntax: bool) -> String {
    let secrets = secrets(sql);
    if secrets.is_empty() {
        return message.to_owned();
    }
    let mut message = match is_syntax {
        true => repeated(sql, &secrets, message),
        false => message.to_owned(),
    };
    for range in secrets {
        let written = &sql[range];
        for secret in [written.to_owned(), written.replace("''", "'")] {
            message = without(&message, &secret);
        }
    }
    message
}

/// A message that repeats a piece of a statement in quotes. What is no piece of it is not shown.
fn repeated(sql: &str, secrets: &[Range<usize>], message: &str) -> String {
    const QUOTES: [char; 8] = ['\'', '"', '`', '«', '»', '„', '“', '”'];
    let Some(open) = message.find(QUOTES) else {
        return message.to_owned();
    };
    let from = open + message[open..].chars().next().map_or(0, char::len_utf8);
    let close = message.rfind(QUOTES).filter(|close| *close >= from);
    let piece = &message[from..close.unwrap_or(message.len())];
    let mut is_there = false;
    for (at, _) in sql.match_indices(piece) {
        is_there = true;
        let end = at + piece.len();
        let within = secrets.iter();
        let within = within.filter(|range| range.start < end && range.end > at);
        let within = within.map(|range| range.start.max(at) - at..range.end.min(end) - at);
        let shown = masked(piece, within);
        if shown != piece {
            let after = &message[from + piece.len()..];
            return format!("{}{shown}{after}", &message[..from]);
        }
    }
    match is_there {
        true => message.to_owned(),
        false => format!("{}…", &message[..open]),
    }
}

/// A text without a secret, also where only its beginning is repeated.
fn without(text: &str, secret: &str) -> String {
    if secret.len() < SHORTEST {
        return text.to_owned();
    }
    let mut telling = secret.len().min(TELLING);
    while !secret.is_char_boundary(telling) {
        telling += 1;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&secret[..telling]) {
        out.push_str(&rest[..at]);
        out.push_str(MASK);
        let same = rest[at..].chars().zip(secret.chars());
        let same = same.take_while(|(one, other)| one == other);
        let length: usize = same.map(|(one, _)| one.len_utf8()).sum();
        rest = &rest[at + length..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_12_the_passwords_of_scripts_are_masked_however_they_are_written() {
        for sql in [
            "CREATE USER bob IDENTIFIED BY 'S3CRET' REQUIRE SSL;",
            "CREATE USER 'bob'@'%' IDENTIFIED BY \"S3CRET\";",
            "CREATE USER bob IDENTIFIED BY S3CRET;",
            "CREATE USER bob IDENTIFIED VIA ed25519 USING PASSWORD('S3CRET');",
            "GRANT ALL ON a.* TO bob IDENTIFIED BY 'S3CRET'",
            "ALTER USER bob IDENTIFIED BY 'it''S3CRET'",
            "ALTER USER bob IDENTIFIED BY 'it\\'S3CRET'",
            "ALTER USER bob IDENTIFIED BY 'it'S3CRET'",
            "ALTER ROLE bob PASSWORD 'S3CRET' VALID UNTIL 'infinity'",
            "ALTER ROLE bob PASSWORD S3CRET",
            "ALTER ROLE bob WITH ENCRYPTED PASSWORD E'\\'S3CRET'",
            "ALTER ROLE bob PASSWORD $$S3CRET$$",
            "ALTER ROLE bob PASSWORD $a$it's S3CRET$a$",
            "SET PASSWORD FOR bob = 'S3CRET'",
            "SET PASSWORD = PASSWORD('S3CRET')",
            "CREATE SUBSCRIPTION s CONNECTION 'host=h password=S3CRET' PUBLICATION p",
            "CREATE SUBSCRIPTION s CONNECTION 'postgres://u:S3CRET@h/db' PUBLICATION p",
            "CHANGE MASTER TO MASTER_HOST = 'h', MASTER_PASSWORD='S3CRET'",
            "CREATE USER MAPPING FOR a SERVER b OPTIONS (user 'c', password 'S3CRET')",
            "SELECT dblink_connect('host=h password=S3CRET')",
            "COMMENT ON TABLE t IS $$it's$$; DO $$ BEGIN ALTER ROLE bob PASSWORD 'S3CRET'; END $$",
            "DO $$ BEGIN EXECUTE 'ALTER ROLE bob PASSWORD ''S3CRET'''; END $$",
            "# it's\nCREATE USER bob IDENTIFIED BY 'S3CRET'",
            "-- it's\nCREATE USER bob /* it's */ IDENTIFIED /*! BY 'S3CRET' */",
            "INSERT INTO settings VALUES ('smtp_password', 'S3CRET')",
            "ALTER USER bob IDENTIFIED BY 'S3CRET",
        ] {
            let shown = veiled(sql);
            assert!(!shown.contains("S3CRET"), "{shown}");
            assert!(!head_of(sql).contains("S3CRET"), "{sql}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for sql in [
            "SELECT 'a', \"b\", $$c$$ FROM t WHERE d = 'it''s'",
            "CREATE TABLE password (a int DEFAULT 1); INSERT INTO t VALUES ('x')",
            "SELECT password FROM t GROUP BY name ORDER BY name",
            "ALTER USER bob PASSWORD EXPIRE NEVER",
            "UPDATE t SET a = 'the place' WHERE key = 'password'",
            "ALTER TABLE users ADD password varchar(9) NOT NULL",
            "SELECT 'https://example.org/a?b=c'",
        ] {
            assert_eq!(veiled(sql), sql);
        }
    }

    #[test]
    fn what_toml_says_of_a_password_stays_in_its_line() {
        let toml = "# don't\nsql = \"ALTER ROLE a PASSWORD 'S3CRET'\"\nsql = \"\"\"\nALTER ROLE a\n PASSWORD 'S3CRET'\"\"\"\n\
                    set = \"password\"\nid = \"b\"\nurl = \"mysql://a:S3CRET@h/b\"\n";
        let found = secrets_of("a.plan.toml", toml);
        let shown = masked(toml, found.into_iter());
        assert!(!shown.contains("S3CRET"), "{shown}");
        assert!(shown.contains("id = \"b\""), "{shown}");
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        let pieces = [
            "password", "'", "\"", "$", "$a$", "\\", "#", "--", "/*", "é", "\n", "`", "://a:b@",
            " ",
        ];
        for one in pieces {
            for two in pieces {
                for three in pieces {
                    for four in pieces {
                        let text = format!("{one}{two}{three}{four}");
                        let _ = veiled(&text);
                        let _ = head_of(&text);
                        let _ = about(&text, &text, true);
                        let _ = about(&text, &text, false);
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_server_repeats_of_a_statement_is_masked() {
        let sql = "CREATE USER bob IDENTIFIED BY 'S3CRET-of-bob' WITH NONSENSE";
        for (message, is_syntax, expected) in [
            (
                "near 'WITH NONSENSE' at line 1",
                true,
                "near 'WITH NONSENSE' at line 1",
            ),
            (
                "near ''S3CRET-of-bob' WITH' at line 1",
                true,
                "near ''***' WITH' at line 1",
            ),
            (
                "near 'BY 'S3CRET-o' at line 1",
                true,
                "near 'BY '***' at line 1",
            ),
            ("near \"CRET\"", true, "near \"***\""),
            ("at \"something else\"", true, "at …"),
            ("no quotes", true, "no quotes"),
            ("bad value S3CRET-of-bob.", false, "bad value ***."),
            ("bad value S3CRET-...", false, "bad value ***..."),
            ("user bob is there", false, "user bob is there"),
        ] {
            assert_eq!(about(sql, message, is_syntax), expected);
        }
    }

    #[test]
    fn the_head_of_a_statement_holds_no_password() {
        for (sql, expected) in [
            (
                "CREATE USER bob\n IDENTIFIED BY 's3cret word'",
                "CREATE USER bob IDENTIFIED BY …",
            ),
            (
                "ALTER USER bob IDENTIFIED WITH x AS \"s3cret\"",
                "ALTER USER bob IDENTIFIED WITH x AS …",
            ),
            (
                "CREATE ROLE bob LOGIN PASSWORD 's3cret'",
                "CREATE ROLE bob LOGIN PASSWORD …",
            ),
            (
                "SET PASSWORD FOR bob = 's3cret'",
                "SET PASSWORD FOR bob = …",
            ),
            (
                "CREATE SUBSCRIPTION s CONNECTION 'host=h password=s3cret'",
                "CREATE SUBSCRIPTION s CONNECTION …",
            ),
            ("SET PASSWORD = PASSWORD('s3cret')", "SET PASSWORD = …"),
            (
                "CREATE USER MAPPING FOR a SERVER b OPTIONS (user 'c', password 's3cret')",
                "CREATE USER MAPPING FOR a SERVER b OPTIONS (user 'c', …",
            ),
            (
                "ALTER TABLE users ADD password varchar(9) DEFAULT 'x'",
                "ALTER TABLE users ADD password varchar(9) DEFAULT …",
            ),
            (
                "INSERT INTO password AS p VALUES ('x')",
                "INSERT INTO password AS p VALUES …",
            ),
        ] {
            assert_eq!(head_of(sql), expected);
        }
    }
}
