//! Directives: `-- dunlin: key = value` at the top of a script and above its statements.

use super::config::text_of;
use super::grammar::document_schema;
use super::shape::shape;
use super::{Allow, TransactionMode, Version};
use crate::finding::{Finding, Place, Severity};
use crate::source::duration::DurationText;
use crate::sql::{LexRules, Lexer, TokenKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::Range;
use std::sync::OnceLock;

/// Everything that a directive can say. The keys from `probe` on stand above a statement, the others at the top.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DirectiveTable {
    /// What the migration is for.
    pub description: Option<String>,
    /// Versions that must be applied before.
    pub requires: Vec<String>,
    /// `none`: no transaction around the script.
    pub transaction: Option<TransactionMode>,
    /// Why there is no way back.
    pub irreversible: Option<String>,
    /// A backup is made before.
    pub backup: Option<bool>,
    /// How long it will take.
    pub estimate: Option<DurationText>,
    /// How long it may take.
    pub timeout: Option<DurationText>,
    /// Findings that are accepted: `code: why`.
    pub allow: Vec<String>,
    /// A query that is true when the statement's effect is there.
    pub probe: Option<String>,
    /// The statement may run twice.
    pub rerunnable: Option<bool>,
}

/// The keys that belong above a statement.
const OF_STATEMENT: [&str; 2] = ["probe", "rerunnable"];

/// One directive line.
#[derive(Debug, Clone)]
pub(super) struct Directive {
    /// Its bytes in the file.
    pub span: Range<usize>,
    /// What it says.
    pub said: Said,
    /// Whether it stands above any code of its part.
    pub at_top: bool,
}

/// What one directive line says.
#[derive(Debug, Clone)]
pub(super) enum Said {
    /// `-- dunlin:undo`.
    Undo,
    /// Keys of the header.
    Header(Box<DirectiveTable>),
    /// Keys of a statement.
    Statement {
        /// `probe`.
        probe: Option<String>,
        /// `rerunnable`.
        rerunnable: bool,
    },
    /// Something faulty; said already.
    Nothing,
}

/// What a migration's header says in all.
#[derive(Debug, Clone, Default)]
pub(super) struct Header {
    pub description: Option<String>,
    pub requires: Vec<(Version, Range<usize>)>,
    pub transaction: TransactionMode,
    pub irreversible: Option<(String, Range<usize>)>,
    pub backup: bool,
    pub estimate: Option<std::time::Duration>,
    pub timeout: Option<std::time::Duration>,
    pub allow: Vec<Allow>,
}

fn directive_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(document_schema::<DirectiveTable>)
}

/// All directives of a file, in order.
pub(super) fn directives(
    file: &str,
    text: &str,
    rules: &LexRules,
    findings: &mut Vec<Finding>,
) -> Vec<Directive> {
    // Most scripts have none; they are not lexed for them.
    if !text.contains("dunlin:") {
        return vec![];
    }
    let mut found = vec![];
    let mut at_top = true;
    for token in Lexer::new(text, rules) {
        match token.kind {
            TokenKind::Directive => {
                let said = read(file, text, token.span(), findings);
                // The undo part has a top of its own.
                at_top |= matches!(said, Said::Undo);
                found.push(Directive {
                    span: token.span(),
                    said,
                    at_top,
                });
            }
            TokenKind::Space | TokenKind::LineComment | TokenKind::BlockComment => {}
            _ => at_top = false,
        }
    }
    found
}

fn read(file: &str, text: &str, span: Range<usize>, findings: &mut Vec<Finding>) -> Said {
    let line = &text[span.clone()];
    let Some(at) = line.find("dunlin:").map(|at| at + "dunlin:".len()) else {
        return Said::Nothing;
    };
    if line[at..].trim() == "undo" {
        return Said::Undo;
    }
    let body = without_remark(line[at..].trim_end());
    let start = span.start + at;
    let shaped = shape(file, body, directive_schema());
    let mut faulty = false;
    for mut finding in shaped.findings {
        if finding.code == "variable-not-expanded" {
            continue;
        }
        faulty |= finding.severity == Severity::Error;
        let inner = finding.place.span.clone().unwrap_or(0..body.len());
        let inner = if inner.is_empty() {
            0..body.trim_end().len()
        } else {
            inner
        };
        finding.place = Place::in_file(file, text, start + inner.start..start + inner.end);
        match finding.code {
            "toml-syntax" => {
                finding.code = "bad-directive";
                finding.message = finding
                    .message
                    .replace("not valid TOML", "this directive is not `key = value`");
                finding.help =
                    Some("texts stand in quotes: `-- dunlin: description = \"…\"`".into());
            }
            "unknown-key" => {
                finding.code = "unknown-directive";
                finding.message = finding.message.replace("unknown key", "unknown directive");
            }
            _ => finding.message = finding.message.replace("the file", "this directive"),
        }
        findings.push(finding);
    }
    let Ok(table) = serde_json::from_value::<DirectiveTable>(shaped.value.clone()) else {
        return Said::Nothing;
    };
    let keys: Vec<&String> = shaped
        .value
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .collect();
    if faulty || keys.is_empty() {
        if keys.is_empty() && !faulty {
            let place = Place::in_file(file, text, span);
            findings.push(Finding::error(
                "bad-directive",
                place,
                "this directive says nothing",
            ));
        }
        return Said::Nothing;
    }
    if OF_STATEMENT.contains(&keys[0].as_str()) {
        return Said::Statement {
            probe: table.probe,
            rerunnable: table.rerunnable.unwrap_or(false),
        };
    }
    Said::Header(Box::new(table))
}

/// A remark in parentheses behind the value, as people leave behind: `transaction = "none"   (because …)`.
fn without_remark(body: &str) -> &str {
    let trimmed = body.trim_end();
    if !trimmed.ends_with(')') || toml::de::DeTable::parse(body).is_ok() {
        return body;
    }
    match body.rfind(" (") {
        Some(at) if toml::de::DeTable::parse(&body[..at]).is_ok() => &body[..at],
        _ => body,
    }
}

/// `code: why`.
fn allowed(text: &str) -> Option<Allow> {
    let (code, why) = text.split_once(':')?;
    let (code, why) = (code.trim().to_owned(), why.trim().to_owned());
    (!code.is_empty() && !why.is_empty()).then_some(Allow { code, why })
}

impl Header {
    /// The keys that are said already and may be said once only.
    fn twice(&self, table: &DirectiveTable) -> Vec<&'static str> {
        [
            (
                "description",
                table.description.is_some() && self.description.is_some(),
            ),
            (
                "irreversible",
                table.irreversible.is_some() && self.irreversible.is_some(),
            ),
            (
                "estimate",
                table.estimate.is_some() && self.estimate.is_some(),
            ),
            ("timeout", table.timeout.is_some() && self.timeout.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, twice)| twice.then_some(key))
        .collect()
    }

    /// Takes one directive of the top in.
    pub(super) fn take(
        &mut self,
        file: &str,
        text: &str,
        span: &Range<usize>,
        table: DirectiveTable,
    ) -> Vec<Finding> {
        let mut findings = vec![];
        let place = || Place::in_file(file, text, span.clone());
        for key in self.twice(&table) {
            let message = format!("directive `{key}` stands here twice");
            findings.push(Finding::error("bad-directive", place(), message));
        }
        self.description = table.description.or(self.description.take());
        self.irreversible = table
            .irreversible
            .map(|why| (why, span.clone()))
            .or(self.irreversible.take());
        self.transaction = table.transaction.unwrap_or(self.transaction);
        self.backup = table.backup.unwrap_or(self.backup);
        self.estimate = table.estimate.map(|estimate| estimate.0).or(self.estimate);
        self.timeout = table.timeout.map(|timeout| timeout.0).or(self.timeout);
        for version in table.requires {
            if !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()) {
                self.requires.push((Version(version), span.clone()));
            } else {
                let message = format!("`{}` is not a version", version.escape_debug());
                findings.push(
                    Finding::error("bad-directive", place(), message)
                        .help("versions are digits: `requires = [\"001\"]`"),
                );
            }
        }
        for allow in table.allow {
            match allowed(&allow) {
                Some(allow) => self.allow.push(allow),
                None => {
                    let message = format!("`{}` does not say why", allow.escape_debug());
                    let help = "write `allow = [\"code: why it is fine here\"]`";
                    findings.push(Finding::error("bad-directive", place(), message).help(help));
                }
            }
        }
        if self
            .irreversible
            .as_ref()
            .is_some_and(|(why, _)| why.trim().is_empty())
        {
            self.irreversible = None;
            findings.push(Finding::error(
                "bad-directive",
                place(),
                "`irreversible` does not say why",
            ));
        }
        findings
    }
}

/// The text of a script, or the finding that says why it is none.
pub(super) fn script_text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Box<Finding>> {
    text_of(file, bytes).map_err(|mut finding| {
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            finding.message = "this file is UTF-16, not UTF-8".into();
            finding.help =
                Some("save the file as UTF-8; `iconv -f UTF-16 -t UTF-8` converts it".into());
        }
        finding
    })
}
