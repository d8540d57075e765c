//! `verify`: whether two databases hold the same rows; with `--repair`, that they do.

use super::Answer;
use super::copy::{casts, end};
use super::run::{listen, plain_screen};
use crate::args::{Global, Verify};
use crate::context;
use crate::render::copy as render;
use dunlin::copy::repair::{Asked, repair};
use dunlin_core::exit::Outcome;

/// `verify`.
pub async fn verify(global: &Global, asked: &Verify) -> Result<Answer, Answer> {
    let casts = casts(asked.cast.as_deref())?;
    let opened = context::open(global)?;
    let from = end(&opened, global, &asked.from)?;
    let to = end(&opened, global, &asked.to)?;
    let mut screen = plain_screen(global, &to);
    let verified = if asked.repair {
        let wanted = Asked {
            tables: asked.tables.clone(),
            casts,
            folder: std::path::PathBuf::new(),
            wait: !global.no_wait,
        };
        repair(&from, &to, &wanted, &mut screen, listen()).await
    } else {
        dunlin::copy::verify::verify(&from, &to, &asked.tables, &casts, &mut screen).await
    };
    screen.finish();
    let verified = verified.map_err(|failure| from.redact(to.redact(failure)))?;
    let mut answer = Answer::done(
        render::verified(&verified),
        render::verified_json(&verified),
    );
    answer.ended = (!verified.equal).then_some(Outcome::Mismatch);
    Ok(answer.with(verified.findings))
}
