//! `refuses`: a statement is refused, for the named reason and no other.

use super::{Context, Trouble, Verdict, trial};
use dunlin_core::source::grammar::checks::{Because, Refuses};

/// The reason, as the file spells it.
pub(super) const fn name(because: Because) -> &'static str {
    match because {
        Because::ForeignKey => "foreign_key",
        Because::Unique => "unique",
        Because::NotNull => "not_null",
        Because::Check => "check",
        Because::Type => "type",
        Because::Json => "json",
    }
}

pub(super) async fn find(cx: &mut Context<'_>, refuses: &Refuses) -> Result<Verdict, Trouble> {
    let tried = trial::attempt(cx, &refuses.sql).await?;
    let used_up = tried.used_up;
    Ok(match tried.outcome {
        Ok(()) => Verdict::Broken(format!("it was accepted, and rolled back{used_up}")),
        Err(refusal) if refusal.because == Some(refuses.because) => {
            Verdict::Holds(format!("refused: {}{used_up}", refusal.message))
        }
        Err(refusal) => {
            let reason = refusal.because.map_or("for another reason", name);
            let message = refusal.message;
            Verdict::Broken(format!("refused, but: {reason}: {message}{used_up}"))
        }
    })
}
