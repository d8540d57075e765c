//! Findings: whatever reading, preflight, lint, checks or verification has to say.

use serde::Serialize;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look; does not stop anything.
    Warning,
    /// Stops the command.
    Error,
}

/// Where a finding points: a file, and within it a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default, schemars::JsonSchema)]
pub struct Place {
    /// The file, as the user named it (relative to the project).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The byte range within the file, for annotated source.
    #[serde(skip)]
    pub span: Option<std::ops::Range<usize>>,
    /// The object or statement, where there is no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

impl Place {
    /// A place in a file: the byte range and, computed from `text`, its line.
    pub fn in_file(file: &str, text: &str, span: std::ops::Range<usize>) -> Self {
        let upto = span.start.min(text.len());
        let line = text.as_bytes()[..upto]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        Place {
            file: Some(file.to_owned()),
            line: Some(line),
            span: Some(span),
            object: None,
        }
    }

    /// A whole file.
    pub fn file(file: &str) -> Self {
        Place {
            file: Some(file.to_owned()),
            ..Place::default()
        }
    }

    /// An object of the database.
    pub fn object(object: impl Into<String>) -> Self {
        Place {
            object: Some(object.into()),
            ..Place::default()
        }
    }
}

/// One finding: code, severity, place, help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Finding {
    /// A stable kebab-case code; `dunlin explain CODE` shows its page under `docs/checks/`.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// Where it points.
    #[serde(rename = "where")]
    pub place: Place,
    /// What is the matter, one sentence.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Finding {
    /// A finding that stops the command.
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Finding {
            code,
            severity: Severity::Error,
            place,
            message: message.into(),
            help: None,
        }
    }

    /// A finding that is only shown.
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Finding {
            code,
            severity: Severity::Warning,
            place,
            message: message.into(),
            help: None,
        }
    }

    /// A note.
    pub fn info(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Finding {
            code,
            severity: Severity::Info,
            place,
            message: message.into(),
            help: None,
        }
    }

    /// The same finding with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Whether any of the findings stops the command.
pub fn any_error(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
}
