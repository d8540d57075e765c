//! Whether somebody's transaction has been open for so long that steps would wait behind it.

use super::Checked;
use crate::dialect::preflight::OpenTransaction;

/// The code of its page.
pub const CODE: &str = "open-transactions";

/// From which age on a transaction is named, in seconds: one is five times the default `lock_timeout`, so that a change
/// of a table which it has touched would give up and try again.
pub const OLD_SECONDS: u64 = 1;

/// Names them; an error: why they cannot be seen. `None`: the engine has no list of them.
pub fn check(open: Result<Option<&[OpenTransaction]>, &str>) -> Checked {
    let id = "open-transactions";
    let open = match open {
        Ok(Some(open)) => open,
        Ok(None) => {
            return Checked::not_run(id, CODE, "this engine keeps no list of open transactions");
        }
        Err(why) => {
            return Checked::not_run(id, CODE, format!("they cannot be seen: {why}"));
        }
    };
    if open.is_empty() {
        return Checked::passed(
            id,
            CODE,
            format!("no transaction has been open for {OLD_SECONDS} s or longer"),
        );
    }
    let shown: Vec<String> = open
        .iter()
        .map(|one| {
            format!(
                "session {} of {}, open for {} s since {} ({})",
                one.session, one.user, one.seconds, one.since, one.what
            )
        })
        .collect();
    Checked::warned(id, CODE, format!("transactions are open: {}", shown.join("; ")))
        .help("steps that change a table wait behind whoever has touched it: let them end first, or end them (`kill_blockers`)")
}

/// Steps that want whoever blocks them ended, where nobody can be.
pub fn nobody_to_end(steps: &[&str]) -> Option<Checked> {
    if steps.is_empty() {
        return None;
    }
    let message = format!(
        "`kill_blockers` does nothing here (steps {}): the engine has no sessions that could be ended",
        steps.join(", ")
    );
    let found = Checked::warned("kill-blockers", "not-on-this-engine", message);
    Some(
        found.help(
            "`lock_timeout` and `lock_patience` bound how long a step waits for whoever writes",
        ),
    )
}
