//! `import`.

use super::Answer;
use super::run::{listen, plain_screen};
use crate::args::{Global, Import};
use crate::context;
use crate::render::table;
use dunlin::bulk::{ImportAsk, Imported};
use dunlin_core::exit::Outcome;
use dunlin_core::failure::Failure;

/// `TABLE:COLUMN,COLUMN`.
fn key(text: &str) -> Result<(String, Vec<String>), Answer> {
    let wrong = || {
        Failure::usage(
            "usage",
            format!("--key: `{text}` is not TABLE:COLUMN,COLUMN"),
        )
    };
    let (table, columns) = text.rsplit_once(':').ok_or_else(wrong)?;
    let columns: Vec<String> = columns
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    if table.trim().is_empty() || columns.iter().any(String::is_empty) {
        return Err(wrong().into());
    }
    Ok((table.trim().to_owned(), columns))
}

/// `import`.
pub async fn import(global: &Global, typed: Import) -> Result<Answer, Answer> {
    let keys = typed.keys.iter().map(|text| key(text));
    let asked = ImportAsk {
        keys: keys.collect::<Result<_, _>>()?,
        files: typed.files,
        stdin: Some(Box::new(std::io::stdin())),
        skip_duplicates: typed.skip_duplicates,
        continue_on_error: typed.continue_on_error,
        rejects: typed.rejects,
        wait: !global.no_wait,
    };
    let world = context::open(global)?.world(global, false)?;
    let mut screen = plain_screen(global, &world);
    let result = dunlin::bulk::import(&world, asked, &mut screen, listen()).await;
    screen.finish();
    let imported = result?;
    let failed: u64 = imported.tables.iter().map(|counts| counts.failed).sum();
    let tables: Vec<_> = imported
        .tables
        .iter()
        .map(|counts| {
            serde_json::json!({ "table": counts.table, "imported": counts.done, "skipped": counts.skipped,
                "failed": counts.failed })
        })
        .collect();
    let rejects = imported.rejects.as_deref().map(context::shown);
    let data =
        serde_json::json!({ "tables": tables, "rejects": rejects, "proved": imported.proved });
    let mut answer = Answer::done(text(&imported, failed), data);
    answer.ended = (failed > 0).then_some(Outcome::Partial);
    Ok(answer)
}

fn text(imported: &Imported, failed: u64) -> String {
    let rows = imported.tables.iter().map(|counts| {
        let name = match counts.table.as_str() {
            "" => "(no table)".to_owned(),
            name => name.to_owned(),
        };
        let numbers = [counts.done, counts.skipped, counts.failed];
        std::iter::once(name)
            .chain(numbers.map(|n| n.to_string()))
            .collect()
    });
    let mut text = table::render(
        &["table", "imported", "skipped", "failed"],
        rows.collect(),
        &[1, 2, 3],
    );
    text.push_str(&format!(
        "\n{} compared with what the files hold: equal\n",
        table::count(imported.proved, "table")
    ));
    if let Some(path) = &imported.rejects {
        text.push_str(&format!(
            "{failed} rows were refused: {}\n",
            context::shown(path)
        ));
    }
    text
}
