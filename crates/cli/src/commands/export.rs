//! `export`.

use super::Answer;
use super::run::{listen, plain_screen};
use crate::args::{Export, Format, Global};
use crate::context;
use crate::render::table;
use dunlin::bulk::{ExportAsk, Exported, Filter, Since, To};
use dunlin_core::bulk::Form;
use dunlin_core::failure::Failure;

fn usage(flag: &str, why: &str) -> Answer {
    Failure::usage("usage", format!("{flag}: {why}")).into()
}

/// `export`.
pub async fn export(global: &Global, typed: Export) -> Result<Answer, Answer> {
    let filters = typed.filters.iter().map(|text| Filter::parse(text));
    let filters = filters.collect::<Result<_, _>>();
    let since = typed.since.iter().map(|text| Since::parse(text));
    let since = since.collect::<Result<_, _>>();
    let asked = ExportAsk {
        form: typed.form.as_deref().and_then(Form::named),
        tables: typed.tables,
        filters: filters.map_err(|why| usage("--where", &why))?,
        since: since.map_err(|why| usage("--since", &why))?,
    };
    let pipe = typed.output.as_os_str() == "-";
    if pipe && (global.format == Format::Json || global.events.as_deref() == Some("-")) {
        return Err(usage("-o -", "rows and answers both want standard output"));
    }
    let to = match pipe {
        true => To::Pipe(Box::new(std::io::stdout())),
        false => To::Path(typed.output.clone()),
    };
    let world = context::open(global)?.world(global, false)?;
    let mut screen = plain_screen(global, &world);
    let result = dunlin::bulk::export(&world, &asked, to, &mut screen, &listen()).await;
    screen.finish();
    let exported = result?;
    let text = match pipe {
        // Standard output is the rows'.
        true => String::new(),
        false => text(&exported, &context::shown(&typed.output)),
    };
    let tables: Vec<_> = exported
        .tables
        .iter()
        .zip(&exported.manifest.tables)
        .map(|(counts, about)| {
            serde_json::json!({ "table": counts.table, "exported": counts.done, "skipped": counts.skipped,
                "failed": counts.failed, "digest": about.digest })
        })
        .collect();
    let files: Vec<String> = exported
        .files
        .iter()
        .map(|path| context::shown(path))
        .collect();
    let data = serde_json::json!({
        "tables": tables, "rejects": null, "files": files, "reading": exported.manifest.reading,
    });
    Ok(Answer::done(text, data).with(exported.findings))
}

fn text(exported: &Exported, place: &str) -> String {
    let rows = exported.tables.iter().zip(&exported.manifest.tables);
    let rows = rows.map(|(counts, about)| {
        let digest = about.digest.clone().unwrap_or_default();
        vec![counts.table.clone(), counts.done.to_string(), digest]
    });
    let mut text = table::render(&["table", "rows", "digest"], rows.collect(), &[1]);
    let all: u64 = exported.tables.iter().map(|counts| counts.done).sum();
    text.push_str(&format!(
        "\n{all} rows of {} in {place}\n",
        table::count(exported.tables.len(), "table")
    ));
    text
}
