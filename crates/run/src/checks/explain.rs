//! `explain`: how the server would run a query.

use super::{Context, Marks, Trouble, Verdict, answer};
use dunlin_core::source::grammar::checks::Explain;

pub(super) async fn find(
    cx: &mut Context<'_>,
    explain: &Explain,
    marks: &Marks,
) -> Result<Verdict, Trouble> {
    let session = cx.reader().await?;
    let dialect = session.dialect();
    let filled = marks.fill(&explain.sql, dialect)?;
    let sql = answer::one_statement(session, &filled)?;
    let rules = dialect.lex_rules(session.lex_mode());
    let limited = dunlin_core::sql::words::Words::read(&sql, &rules).has(&["LIMIT", "FETCH"]);
    let rows = session.query(&dialect.checks().explain(&sql), &[]).await?;
    let shown = dialect
        .checks()
        .read_explain(&rows, limited)
        .ok_or_else(|| Trouble::from("the server's plan is not understood".to_owned()))?;
    let mut wrong = vec![];
    if let Some(wanted) = &explain.uses {
        let used = shown
            .indexes
            .iter()
            .any(|index| index.eq_ignore_ascii_case(wanted));
        if !used {
            wrong.push(format!("{wanted} is not used"));
        }
    }
    if explain.no_full_scan && !shown.whole.is_empty() {
        wrong.push(format!("read whole: {}", shown.whole.join(", ")));
    }
    let used = if shown.indexes.is_empty() {
        "uses no index".to_owned()
    } else {
        format!("uses {}", shown.indexes.join(", "))
    };
    let holds = wrong.is_empty();
    wrong.push(used);
    Ok(Verdict::of(holds, wrong.join("; ")))
}
