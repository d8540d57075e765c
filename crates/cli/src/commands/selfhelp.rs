//! `completions`, `man`, `explain`: help that needs no database.

use super::Answer;
use crate::args::Cli;
use clap::CommandFactory;
use dunlin_core::failure::Failure;

/// The pages of every code, built into the binary.
#[derive(rust_embed::RustEmbed)]
#[folder = "../../docs/checks"]
#[include = "*.md"]
struct Pages;

/// `completions`.
pub fn completions(shell: clap_complete::Shell) -> Answer {
    let mut bytes = vec![];
    clap_complete::generate(shell, &mut Cli::command(), "dunlin", &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answer::done(text.clone(), serde_json::json!({ "script": text }))
}

/// `man`.
pub fn man() -> Result<Answer, Answer> {
    let mut bytes = vec![];
    clap_mangen::Man::new(Cli::command())
        .render(&mut bytes)
        .map_err(|error| {
            Failure::usage("man", format!("the man page cannot be written: {error}"))
        })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answer::done(
        text.clone(),
        serde_json::json!({ "page": text }),
    ))
}

/// `explain`.
pub fn explain(code: Option<&str>) -> Result<Answer, Answer> {
    let Some(code) = code else {
        let mut codes: Vec<String> = Pages::iter()
            .map(|name| name.trim_end_matches(".md").to_owned())
            .collect();
        codes.sort();
        let text = codes
            .iter()
            .map(|code| format!("{code}\n"))
            .collect::<String>();
        return Ok(Answer::done(text, serde_json::json!({ "codes": codes })));
    };
    match Pages::get(&format!("{code}.md")) {
        Some(page) => {
            let text = String::from_utf8_lossy(&page.data).into_owned();
            Ok(Answer::done(
                text.clone(),
                serde_json::json!({ "code": code, "page": text }),
            ))
        }
        None => {
            let failure = Failure::usage("unknown-code", format!("there is no code `{code}`"));
            let codes: Vec<String> = Pages::iter()
                .map(|name| name.trim_end_matches(".md").to_owned())
                .collect();
            let known: Vec<&str> = codes.iter().map(String::as_str).collect();
            Err(
                match dunlin_core::source::nearest::did_you_mean(code, &known) {
                    Some(hint) => failure.hint(hint),
                    None => failure.hint("`dunlin explain` lists them all"),
                }
                .into(),
            )
        }
    }
}
