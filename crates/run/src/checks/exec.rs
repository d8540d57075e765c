//! `exec`: a command exits with 0.

use super::{Context, Trouble, Verdict};
use crate::outside;
use dunlin_core::source::grammar::checks::ExecCheck;
use std::time::Duration;

/// How long a check's command may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn find(cx: &mut Context<'_>, exec: &ExecCheck) -> Result<Verdict, Trouble> {
    let timeout = exec.timeout.map_or(TIMEOUT, |timeout| timeout.0);
    let ended = outside::run(&exec.run.0, &cx.dir, timeout, &cx.redactor)
        .await
        .map_err(|error| Trouble::from(format!("the command cannot be run: {error}")))?;
    Ok(Verdict::of(ended.is_ok(), ended.said()))
}
