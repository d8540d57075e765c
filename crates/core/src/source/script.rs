//! One direction of a migration: bytes to statements with places.

use super::header::{Directive, Said};
use super::{DatabaseConfig, Script, Statement};
use crate::dialect::Dialect;
use crate::finding::{Finding, Place};
use crate::sql::transaction::{
    is_transaction_begin, is_transaction_commit, is_transaction_control,
};
use crate::sql::{
    Fault, Kind, LexMode, LexRules, Piece, PieceKind, Placed, TxUse, fingerprint, split,
    split_and_fingerprint, substitute,
};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// More findings than this of one kind in one script are counted, not shown: a binary file renamed to `.sql` would give
/// one for every line, and each costs a walk over the text.
const FINDINGS_MAX: usize = 50;

/// What every script of a folder is read with.
pub(super) struct Reader<'a> {
    pub dialect: &'a dyn Dialect,
    pub mode: &'a LexMode,
    pub rules: LexRules,
    pub db: &'a DatabaseConfig,
}

/// A part of a file: the bytes of it that one script is.
pub(super) struct Part<'a> {
    /// The file as shown.
    pub file: &'a str,
    /// The whole text of the file.
    pub text: &'a str,
    /// Which bytes of it.
    pub span: Range<usize>,
    /// The directives of the part that stand above statements, in order.
    pub directives: Vec<&'a Directive>,
}

impl Part<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        Place::in_file(self.file, self.text, span)
    }
}

impl Reader<'_> {
    /// Reads one script.
    pub(super) fn script(&self, part: &Part<'_>, findings: &mut Vec<Finding>) -> Script {
        let text = &part.text[part.span.clone()];
        let placed = match substitute(text, &self.rules, &self.db.placeholders) {
            Ok(placed) => placed,
            Err(faults) => {
                self.faults(part, faults, &|span| span, findings);
                // What else is wrong is worth knowing at the same time, so the text is split as it stands.
                return self.split(part, None, findings);
            }
        };
        self.split(part, Some(placed), findings)
    }

    fn split(
        &self,
        part: &Part<'_>,
        placed: Option<Placed<'_>>,
        findings: &mut Vec<Finding>,
    ) -> Script {
        let written = &part.text[part.span.clone()];
        let text: Cow<'_, str> = placed.as_ref().map_or(Cow::Borrowed(written), |placed| {
            Cow::Borrowed(&*placed.text)
        });
        let back = |span: Range<usize>| {
            placed
                .as_ref()
                .map_or(span.clone(), |placed| placed.original_range(span.clone()))
        };
        // The fingerprints are of what is written: where that is what is sent, one look gives both.
        let (pieces, faults, fingerprint) = match &text {
            Cow::Borrowed(text) if *text == written => split_and_fingerprint(text, &self.rules),
            _ => {
                let (pieces, faults) = split(&text, &self.rules);
                (pieces, faults, fingerprint(written, &self.rules))
            }
        };
        self.faults(part, faults, &back, findings);
        let mut statements = self.statements(part, &text, &pieces, &back, findings);
        self.mode_changes(part, &statements, findings);
        let wrapped = self.take_transaction(part, &mut statements, findings);
        Script {
            file: part.file.to_owned(),
            statements,
            fingerprint,
            wrapped,
        }
    }

    fn faults(
        &self,
        part: &Part<'_>,
        faults: Vec<Fault>,
        back: &dyn Fn(Range<usize>) -> Range<usize>,
        findings: &mut Vec<Finding>,
    ) {
        let more = faults.len().saturating_sub(FINDINGS_MAX);
        for fault in faults.into_iter().take(FINDINGS_MAX) {
            let span = back(fault.span);
            let place = part.place(part.span.start + span.start..part.span.start + span.end);
            let mut finding = Finding::error(fault.code, place, fault.message);
            if fault.code == "placeholder-unknown" {
                let known: Vec<&str> = self.db.placeholders.keys().map(String::as_str).collect();
                let name = part
                    .text
                    .get(part.span.start + span.start..part.span.start + span.end);
                finding.help = placeholder_help(name.unwrap_or_default(), &known, &self.db.name);
            }
            findings.push(finding);
        }
        if more > 0 {
            let message = format!("{more} more faults of this kind are not shown");
            findings.push(Finding::error(
                "too-many-faults",
                Place::file(part.file),
                message,
            ));
        }
    }

    fn statements(
        &self,
        part: &Part<'_>,
        text: &str,
        pieces: &[Piece],
        back: &dyn Fn(Range<usize>) -> Range<usize>,
        findings: &mut Vec<Finding>,
    ) -> Vec<Statement> {
        let base = part.span.start;
        let mut statements = vec![];
        let mut directives = part.directives.iter().peekable();
        let mut lines = Lines::new(part.text);
        for piece in pieces {
            let (code, data) = match &piece.kind {
                PieceKind::Statement(code) => (code.clone(), None),
                PieceKind::Copy { statement, data } => (statement.clone(), Some(data.clone())),
                PieceKind::Blank | PieceKind::Client(_) => continue,
            };
            let own = back(code.clone());
            let span = base + own.start..base + own.end;
            let mut statement = Statement {
                line: lines.of(span.start),
                span: span.clone(),
                sql: match self.dialect.completed(&text[code.clone()]) {
                    Some(completed) => Arc::from(completed),
                    None => Arc::from(&text[code]),
                },
                copy_data: data.map(|data| Arc::from(&text[data])),
                probe: None,
                rerunnable: false,
                back: None,
                still: None,
            };
            while let Some(directive) =
                directives.next_if(|directive| directive.span.start < span.start)
            {
                if let Said::Statement { probe, rerunnable } = &directive.said {
                    statement.probe = probe.clone().or(statement.probe.take());
                    statement.rerunnable |= rerunnable;
                }
            }
            while let Some(directive) =
                directives.next_if(|directive| directive.span.start < span.end)
            {
                misplaced(part, directive, findings);
            }
            statements.push(statement);
        }
        directives.for_each(|directive| misplaced(part, directive, findings));
        statements
    }

    /// Refuses statements behind which quotes or backslashes mean something else: the whole script has been read in one way
    /// by then, and what is sent would be cut in the wrong places.
    fn mode_changes(&self, part: &Part<'_>, statements: &[Statement], findings: &mut Vec<Finding>) {
        let texts: Vec<&str> = statements.iter().map(|one| &*one.sql).collect();
        for (at, statement) in statements.iter().enumerate() {
            let modes = self
                .dialect
                .modes_after(&statement.sql, &texts[..at], self.mode);
            let after = modes.iter().map(|mode| self.dialect.lex_rules(mode));
            let rest = &part.text[statement.span.end..part.span.end];
            let (mut quotes, mut backslashes) = (false, false);
            for after in after {
                quotes |= after.double_quotes_are_text != self.rules.double_quotes_are_text;
                backslashes |= after.backslash_escapes != self.rules.backslash_escapes;
            }
            if (quotes && rest.contains('"')) || (backslashes && rest.contains('\\')) {
                let message = "this changes how quotes or backslashes behind it are read, and the whole script is read in one way";
                let place = part.place(statement.span.clone());
                let help = "take it out and set `sql_mode` of the database, or write what follows so that it reads the \
                            same in both modes";
                findings.push(Finding::error("mode-changes", place, message).help(help));
            }
        }
    }

    /// Takes the outermost `BEGIN … COMMIT` off, and refuses any other control of transactions.
    fn take_transaction(
        &self,
        part: &Part<'_>,
        statements: &mut Vec<Statement>,
        findings: &mut Vec<Finding>,
    ) -> bool {
        let controls: Vec<usize> = (0..statements.len())
            .filter(|at| is_transaction_control(&statements[*at].sql, &self.rules))
            .collect();
        if controls.is_empty() {
            return false;
        }
        if let (Some(first), Some(last)) = (controls.first().copied(), controls.last().copied())
            && first < last
            && is_transaction_begin(&statements[first].sql, &self.rules)
            && is_transaction_commit(&statements[last].sql, &self.rules)
            && statements[..first]
                .iter()
                .chain(&statements[last + 1..])
                .all(|outside| self.may_stand_outside(outside))
        {
            for at in &controls[1..controls.len() - 1] {
                findings.push(self.control(part, &statements[*at]));
            }
            let mut at = 0;
            statements.retain(|_| {
                at += 1;
                controls.binary_search(&(at - 1)).is_err()
            });
            return true;
        }
        for at in controls.iter().take(FINDINGS_MAX) {
            findings.push(self.control(part, &statements[*at]));
        }
        false
    }

    fn control(&self, part: &Part<'_>, statement: &Statement) -> Finding {
        let head: String = statement
            .sql
            .split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ");
        let message = format!(
            "`{head}`: transactions are the runner's; only one BEGIN … COMMIT around a whole script is taken over"
        );
        Finding::error("transaction-control", part.place(statement.span.clone()), message)
            .help("take it out, or split the script: every migration is a transaction of its own where the engine can")
    }

    /// What may stand before the BEGIN or behind the COMMIT that is taken over: settings, and what could not stand inside.
    fn may_stand_outside(&self, statement: &Statement) -> bool {
        let class = self.dialect.classify(&statement.sql, self.mode);
        matches!(class.kind, Kind::Session | Kind::Maintenance | Kind::Query)
            || class.tx == TxUse::Outside
    }
}

/// What to do about a placeholder that is not declared; `name` may have its braces.
pub(super) fn placeholder_help(name: &str, known: &[&str], database: &str) -> Option<String> {
    let name = name.trim_matches(['{', '}']);
    let declare = format!("declare it: `[database.{database}.placeholders] {name} = \"…\"`");
    super::nearest::did_you_mean(name, known).or(Some(declare))
}

fn misplaced(part: &Part<'_>, directive: &Directive, findings: &mut Vec<Finding>) {
    let place = part.place(directive.span.clone());
    let message = "this directive stands above no statement";
    findings.push(
        Finding::error("misplaced-directive", place, message)
            .help("put it on the line before the statement that it is about"),
    );
}

/// Line numbers of rising offsets, each byte counted once.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Lines {
            bytes: text.as_bytes(),
            at: 0,
            line: 1,
        }
    }

    fn of(&mut self, offset: usize) -> usize {
        let upto = offset.min(self.bytes.len());
        if upto > self.at {
            self.line += self.bytes[self.at..upto]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            self.at = upto;
        }
        self.line
    }
}
