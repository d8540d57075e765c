//! `accepts`: a statement succeeds; it is rolled back.

use super::{Context, Trouble, Verdict, trial};
use dunlin_core::source::plan::SqlText;

pub(super) async fn find(cx: &mut Context<'_>, sql: &SqlText) -> Result<Verdict, Trouble> {
    let tried = trial::attempt(cx, &sql.text).await?;
    let used_up = tried.used_up;
    Ok(match tried.outcome {
        Ok(()) => Verdict::Holds(format!("accepted, and rolled back{used_up}")),
        Err(refusal) => Verdict::Broken(format!("refused: {}{used_up}", refusal.message)),
    })
}
