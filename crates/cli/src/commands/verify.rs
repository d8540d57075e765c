//! `verify`: whether two databases hold the same rows.

use super::Answer;
use super::copy::end;
use super::run::plain_screen;
use crate::args::{Global, Verify};
use crate::context;
use crate::render::copy as render;
use dunlin_core::exit::Outcome;
use dunlin_core::failure::Failure;

/// `verify`.
pub async fn verify(global: &Global, asked: &Verify) -> Result<Answer, Answer> {
    if asked.repair {
        let message = "`verify --repair` comes later: `dunlin copy --data-only --into-existing replace --tables …` rewrites whole tables";
        return Err(Failure::usage("comes-later", message).into());
    }
    let opened = context::open(global)?;
    let from = end(&opened, global, &asked.from)?;
    let to = end(&opened, global, &asked.to)?;
    let mut screen = plain_screen(global, &to);
    let verified = dunlin::copy::verify::verify(&from, &to, &asked.tables, &mut screen).await;
    screen.finish();
    let verified = verified.map_err(|failure| from.redact(to.redact(failure)))?;
    let mut answer = Answer::done(
        render::verified(&verified),
        render::verified_json(&verified),
    );
    answer.ended = (!verified.equal).then_some(Outcome::Mismatch);
    Ok(answer.with(verified.findings))
}
