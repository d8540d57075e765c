//! TEMP
use super::*;
use crate::dialect::Dialect;
use crate::finding::Finding;
use crate::sql::{LexMode, PieceKind};
/// t
pub struct SourceFile {
    pub path: String,
    pub name: String,
    pub bytes: Vec<u8>,
}
fn script(
    path: &str,
    text: &str,
    from: usize,
    to: usize,
    dialect: &dyn Dialect,
    mode: &LexMode,
) -> Script {
    let rules = dialect.lex_rules(mode);
    let part = &text[from..to];
    let (pieces, _) = crate::sql::split::split(part, &rules);
    let mut statements = vec![];
    for p in pieces {
        if let PieceKind::Statement(r) = p.kind {
            let line = text[..from + r.start].matches('\n').count() + 1;
            statements.push(Statement {
                span: from + r.start..from + r.end,
                line,
                sql: part[r].into(),
                copy_data: None,
                probe: None,
                rerunnable: false,
            });
        }
    }
    Script {
        file: path.into(),
        statements,
        fingerprint: crate::sql::normal::fingerprint(part, &rules),
        wrapped: false,
    }
}
/// t
pub fn parse_folder(
    files: &[SourceFile],
    _db: &DatabaseConfig,
    dialect: &dyn Dialect,
    mode: &LexMode,
) -> (Vec<Migration>, Vec<Finding>) {
    let mut out = vec![];
    for f in files {
        if !f.name.ends_with(".sql") {
            continue;
        }
        let text = String::from_utf8(f.bytes.clone()).unwrap_or_default();
        let (v, n) = f
            .name
            .trim_end_matches(".sql")
            .split_once('_')
            .unwrap_or(("0", "x"));
        let cut = text.find("-- dunlin:undo");
        let up = script(&f.path, &text, 0, cut.unwrap_or(text.len()), dialect, mode);
        let undo = cut.map(|c| script(&f.path, &text, c, text.len(), dialect, mode));
        out.push(Migration {
            version: Version(v.into()),
            name: n.into(),
            description: None,
            up,
            undo,
            irreversible: None,
            requires: vec![],
            transaction: Default::default(),
            backup: false,
            estimate: None,
            timeout: None,
            allow: vec![],
            creates: vec![],
        });
    }
    (out, vec![])
}
