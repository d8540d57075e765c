//! The small scanners under the lexer: each looks at bytes and says how far something reaches.

use super::LexRules;

/// White space as all engines see it.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// A byte that a word may hold. Everything beyond ASCII may, as in every engine.
pub(super) const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// How many ASCII digits a text begins with.
pub(super) fn digits(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

/// The end of the line that holds `from`, before its line feed.
pub(super) fn line_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(rest.len())
}

/// The end of a line comment.
pub(super) fn comment_end(bytes: &[u8], from: usize, cr_ends_line: bool) -> usize {
    let end = line_end(bytes, from);
    if !cr_ends_line {
        return end;
    }
    bytes[from..end]
        .iter()
        .position(|byte| *byte == b'\r')
        .map_or(end, |found| from + found)
}

/// Whether nothing but blanks stands before `at` on its line.
pub(super) fn first_of_line(bytes: &[u8], at: usize) -> bool {
    let before = bytes[..at]
        .iter()
        .rev()
        .find(|byte| !matches!(byte, b' ' | b'\t'));
    before.is_none_or(|byte| *byte == b'\n')
}

/// The length of a placeholder `{name}` at the beginning, if there is one.
pub(super) fn placeholder(bytes: &[u8]) -> Option<usize> {
    let (b'{', rest) = bytes.split_first()? else {
        return None;
    };
    if !rest
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
    {
        return None;
    }
    let name = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        .count();
    (rest.get(name) == Some(&b'}')).then_some(name + 2)
}

/// For each byte whether a word may hold it.
static WORD_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = is_word_byte(byte as u8);
        byte += 1;
    }
    table
};

/// How far a word reaches, placeholders glued to it included; it ends before `stop`.
pub(super) fn word_length(bytes: &[u8], stop: &[u8]) -> usize {
    let end = stop.first().copied();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if WORD_BYTES[usize::from(byte)] {
            // Hardly any delimiter begins with a byte that a word may hold.
            if end == Some(byte) && bytes[at..].starts_with(stop) {
                break;
            }
            at += 1;
        } else if byte == b'{'
            && let Some(length) = placeholder(&bytes[at..])
        {
            at += length;
        } else {
            break;
        }
    }
    at
}

/// Whether a word begins here: what [`word_length`] would find is not nothing.
pub(super) fn is_word(bytes: &[u8], stop: &[u8]) -> bool {
    match bytes.first() {
        Some(b'{') => placeholder(bytes).is_some(),
        Some(byte) => {
            let stops = stop.first() == Some(byte) && bytes.starts_with(stop);
            WORD_BYTES[usize::from(*byte)] && !stops
        }
        None => false,
    }
}

/// How far a variable's name reaches: dots belong to it (`@@session.sql_mode`).
pub(super) fn variable_length(bytes: &[u8], stop: &[u8]) -> usize {
    let mut at = word_length(bytes, stop);
    while at > 0 && bytes.get(at) == Some(&b'.') {
        match word_length(&bytes[at + 1..], stop) {
            0 => break,
            more => at += 1 + more,
        }
    }
    at
}

/// How far a number reaches. `1..10` is a number, two dots and a number.
pub(super) fn number_length(bytes: &[u8]) -> usize {
    if let [b'0', b'x' | b'X' | b'b' | b'B' | b'o' | b'O', next, ..] = bytes
        && next.is_ascii_hexdigit()
    {
        return 2 + bytes[2..]
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit() || **byte == b'_')
            .count();
    }
    let run = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter()
            .take_while(|byte| byte.is_ascii_digit() || **byte == b'_')
            .count()
    };
    let mut at = run(0);
    if bytes.get(at) == Some(&b'.') && bytes.get(at + 1) != Some(&b'.') {
        at += 1 + run(at + 1);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = run(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

/// The end of something in quotes whose inside begins at `from`; a doubled quote stands for itself.
pub(super) fn quoted_end(bytes: &[u8], from: usize, quote: u8, escapes: bool) -> Option<usize> {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        if *byte == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return Some(at + 1);
            }
            at += 2;
        } else if escapes && *byte == b'\\' {
            at += 2;
        } else {
            at += 1;
        }
    }
    None
}

/// The length of `$$` or `$tag$` at the beginning.
pub(super) fn dollar_tag(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.get(1..)?;
    if rest.first()?.is_ascii_digit() {
        return None;
    }
    let tag = rest
        .iter()
        .take_while(|byte| is_word_byte(**byte) && **byte != b'$')
        .count();
    (rest.get(tag) == Some(&b'$')).then_some(tag + 2)
}

/// The end of a block comment that begins at `start`.
pub(super) fn block_comment_end(bytes: &[u8], start: usize, nested: bool) -> Option<usize> {
    let mut depth = 1_u32;
    let mut at = start + 2;
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            (b'*', b'/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            (b'/', b'*') if nested => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    None
}

/// The length of the opening of a versioned comment, `/*!`, `/*M!`, with its number. A number beyond every server's
/// version marks a note for clients (`/*!999999\- …`): that is a plain comment.
pub(super) fn versioned_open(bytes: &[u8]) -> Option<usize> {
    let head = if bytes.starts_with(b"/*!") {
        3
    } else if bytes.starts_with(b"/*M!") {
        4
    } else {
        return None;
    };
    let number = digits(&bytes[head..]).min(6);
    (&bytes[head..head + number] != b"999999").then_some(head + number)
}

/// Whether a psql meta command is `\copy … from stdin`, with its data on the lines that follow.
pub(super) fn is_copy_from_here(line: &[u8]) -> bool {
    if !line
        .get(1..6)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"copy "))
    {
        return false;
    }
    let words = line
        .split(|byte| is_space(*byte) || *byte == b';')
        .filter(|word| !word.is_empty());
    let words: Vec<&[u8]> = words.collect();
    words.windows(2).any(|pair| {
        let here = [&b"stdin"[..], b"pstdin"]
            .iter()
            .any(|name| pair[1].eq_ignore_ascii_case(name));
        pair[0].eq_ignore_ascii_case(b"from") && here
    })
}

/// The end of COPY data: the beginning of the line `\.`.
pub(super) fn copy_data_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while at < bytes.len() {
        let end = line_end(bytes, at);
        let line = bytes[at..end]
            .strip_suffix(b"\r")
            .unwrap_or(&bytes[at..end]);
        if line == b"\\." {
            return Some(at);
        }
        at = end + 1;
    }
    None
}

/// Operators of more than one character where the language has a fixed set of them, longest first.
const OPERATORS: &[&[u8]] = &[
    b"->>", b"<=>", b"->", b"<=", b">=", b"<>", b"!=", b"==", b":=", b"||", b"&&", b"<<", b">>",
    b"::", b"{{", b"}}",
];

/// How far an operator reaches; at least one character.
pub(super) fn operator_length(bytes: &[u8], rules: &LexRules) -> usize {
    const RUN: &[u8] = b"+-*/<>=~!@#%^&|`?";
    if let Some(b'(' | b')' | b',') = bytes.first() {
        return 1; // most of them, and the beginning of no other
    }
    if !rules.custom_operators || !bytes.first().is_some_and(|byte| RUN.contains(byte)) {
        let known = OPERATORS
            .iter()
            .find(|operator| bytes.starts_with(operator));
        return known.map_or(1, |operator| operator.len());
    }
    let mut length = 0;
    while bytes.get(length).is_some_and(|byte| RUN.contains(byte)) {
        // A comment ends the run.
        if length > 0 && (bytes[length..].starts_with(b"--") || bytes[length..].starts_with(b"/*"))
        {
            break;
        }
        length += 1;
    }
    // `a=-1` is `=` and `-`: a run may end in + or - only if it holds a character that no built-in operator needs.
    let special = bytes[..length]
        .iter()
        .any(|byte| b"~!@#%^&|`?".contains(byte));
    while length > 1 && !special && matches!(bytes[length - 1], b'+' | b'-') {
        length -= 1;
    }
    length
}
