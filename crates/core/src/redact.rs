//! Secrets: a URL that cannot print its password, and a filter for text that leaves the process (invariant 12).

mod quoted;

pub use quoted::{about, head_of, secrets, secrets_of, veiled};
use std::fmt;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// A URL as the user wrote it. `Display` and `Debug` mask the password; only [`SecretUrl::expose`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Wraps a URL.
    pub fn new(url: impl Into<String>) -> Self {
        SecretUrl(url.into())
    }

    /// The URL with its password, for connecting only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secrets that the URL holds (its password, raw and percent-decoded), for the filter.
    pub fn secrets(&self) -> Vec<String> {
        let mut found = vec![];
        if let Some((start, end)) = password_span(&self.0) {
            let raw = &self.0[start..end];
            if !raw.is_empty() {
                found.push(raw.to_owned());
                let decoded = percent_decode(raw);
                if decoded != raw {
                    found.push(decoded);
                }
            }
        }
        for (start, end) in query_secret_spans(&self.0) {
            if start < end {
                found.push(self.0[start..end].to_owned());
                found.push(percent_decode(&self.0[start..end]));
            }
        }
        found.dedup();
        found
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_url(&self.0))
    }
}
impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

fn authority_end(url: &str, from: usize) -> usize {
    url[from..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| from + at)
}

/// The byte range of the password in `scheme://user:password@host`. A password may itself hold `/`, `?`, `#` or `@`
/// unescaped (people do paste such): the last `@` before the query wins.
fn password_span(url: &str) -> Option<(usize, usize)> {
    let from = url.find("://")? + 3;
    let strict = url[from..authority_end(url, from)]
        .rfind('@')
        .map(|at| from + at);
    let at = strict.or_else(|| url[from..].rfind('@').map(|at| from + at))?;
    let colon = url[from..at].find(':').map(|colon| from + colon + 1)?;
    Some((colon, at))
}

fn query_secret_spans(url: &str) -> Vec<(usize, usize)> {
    let Some(query) = url.find('?').map(|at| at + 1) else {
        return vec![];
    };
    let mut spans = vec![];
    let mut at = query;
    for pair in url[query..].split('&') {
        if let Some(eq) = pair.find('=') {
            let key = pair[..eq].to_ascii_lowercase();
            if key.contains("password")
                || key.contains("passwd")
                || key == "key"
                || key.contains("secret")
            {
                spans.push((at + eq + 1, at + pair.len()));
            }
        }
        at += pair.len() + 1;
    }
    spans
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The URL with every secret of it masked.
pub fn mask_url(url: &str) -> String {
    let mut spans = query_secret_spans(url);
    spans.extend(password_span(url));
    spans.sort_unstable();
    let mut out = String::with_capacity(url.len());
    let mut from = 0;
    for (start, end) in spans {
        if start < from {
            continue;
        }
        out.push_str(&url[from..start]);
        out.push_str(MASK);
        from = end;
    }
    out.push_str(&url[from..]);
    out
}

/// A filter that every text passes before it leaves the process: it masks the secrets it was told of.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    /// A filter for these secrets. Secrets under three bytes are not searched for: they would mask half of any text,
    /// and say more by that than they hide.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> = secrets
            .into_iter()
            .filter(|secret| secret.len() >= 3)
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Redactor { secrets }
    }

    /// A filter for these secrets and for those of another.
    #[must_use]
    pub fn with(&self, other: &Redactor) -> Redactor {
        Redactor::new(self.secrets.iter().chain(&other.secrets).cloned())
    }

    /// A JSON value with every known secret masked in its texts: before it is written, since JSON escapes what it writes.
    pub fn apply_json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => *text = self.apply(text),
            serde_json::Value::Array(items) => {
                items.iter_mut().for_each(|item| self.apply_json(item));
            }
            serde_json::Value::Object(members) => {
                members.values_mut().for_each(|item| self.apply_json(item));
            }
            _ => {}
        }
    }

    /// Whether a text of a JSON value has a known secret in it.
    pub fn finds_in_json(&self, value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(text) => self
                .secrets
                .iter()
                .any(|secret| text.contains(secret.as_str())),
            serde_json::Value::Array(items) => items.iter().any(|item| self.finds_in_json(item)),
            serde_json::Value::Object(members) => {
                members.values().any(|item| self.finds_in_json(item))
            }
            _ => false,
        }
    }

    /// The text with every known secret masked.
    pub fn apply(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.secrets {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), MASK);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_12_a_url_never_shows_its_password() {
        for (url, shown) in [
            ("postgres://a:s3cret@h/db", "postgres://a:***@h/db"),
            (
                "mysql://a:p%40ss@h:3306/db?charset=utf8",
                "mysql://a:***@h:3306/db?charset=utf8",
            ),
            ("postgres://a:we/ird@h/db", "postgres://a:***@h/db"),
            (
                "postgres://h/db?user=x&password=abc&sslmode=require",
                "postgres://h/db?user=x&password=***&sslmode=require",
            ),
            ("sqlite:a.db", "sqlite:a.db"),
            ("postgres://a@h/db", "postgres://a@h/db"),
        ] {
            assert_eq!(SecretUrl::new(url).to_string(), shown);
            assert!(!format!("{:?}", SecretUrl::new(url)).contains("s3cret"));
        }
        let filter = Redactor::new(SecretUrl::new("mysql://a:p%40ss@h/d").secrets());
        assert_eq!(
            filter.apply("login p@ss and p%40ss failed"),
            "login *** and *** failed"
        );
    }

    #[test]
    fn invariant_12_what_json_escapes_is_masked_before() {
        let filter = Redactor::new(["pa\"ss\\".to_owned()]).with(&Redactor::new(["k3y".into()]));
        let mut value = serde_json::json!({ "a": ["x pa\"ss\\ y", 3], "b": { "c": "k3y" } });
        filter.apply_json(&mut value);
        assert_eq!(value.to_string(), r#"{"a":["x *** y",3],"b":{"c":"***"}}"#);
    }
}
