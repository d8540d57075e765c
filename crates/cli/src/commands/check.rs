//! `check`: rows that violate the rules.

use super::Answer;
use super::run::plain_screen;
use crate::args::Global;
use crate::context::{self, Opened};
use crate::render::table;
use dunlin::rules::{self, Checked};
use dunlin::world::World;
use dunlin_core::exit::Outcome;
use dunlin_core::finding::Severity;
use dunlin_core::rules::Rule;

/// The rules that were asked for, of the chosen database.
pub fn chosen(opened: &Opened, global: &Global, names: &[String]) -> Result<Vec<Rule>, Answer> {
    let config = opened.database(global)?;
    rules::chosen(&opened.project, &config, names).map_err(Answer::unreadable)
}

/// `check`.
pub async fn check(global: &Global, names: &[String]) -> Result<Answer, Answer> {
    let opened = context::open(global)?;
    let rules = chosen(&opened, global, names)?;
    let world = opened.world(global, false)?;
    let mut screen = plain_screen(global, &world);
    let checked = rules::check(&world, &rules, &opened.project.root, &mut screen).await;
    screen.finish();
    Ok(answer(&world, checked?))
}

fn answer(world: &World, checked: Checked) -> Answer {
    let (errors, warnings, violations) = checked.totals();
    let text = if checked.rules.is_empty() {
        "no rules are about this database\n".to_owned()
    } else {
        let rows = checked.rules.iter().map(|rule| {
            vec![
                rule.id.clone(),
                rule.kind.to_owned(),
                rule.table.clone().unwrap_or_else(|| "-".into()),
                rule.rows.map_or("-".into(), |rows| rows.to_string()),
                rule.violations.to_string(),
                rule.description.clone(),
            ]
        });
        let head = ["rule", "kind", "table", "rows", "violations", "description"];
        let listing = table::render(&head, rows.collect(), &[3, 4]);
        let said = match errors + warnings {
            0 => "no rule is violated".to_owned(),
            broken => format!(
                "{} of {} violated",
                broken,
                table::count(checked.rules.len(), "rule")
            ),
        };
        let advice = checked
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Info)
            .map(|finding| format!("\n· {}", finding.message));
        let advice: String = advice.collect();
        let gap = if advice.is_empty() { "" } else { "\n" };
        format!("{listing}\n{said}\n{advice}{gap}")
    };
    let data = serde_json::json!({
        "rules": checked.rules,
        "valid": checked.valid(),
        "summary": {
            "rules": checked.rules.len(), "errors": errors, "warnings": warnings, "violations": violations,
        },
    });
    Answer {
        ended: (!checked.valid()).then_some(Outcome::Mismatch),
        text: world.redactor.apply(&text),
        ..Answer::done("", data).with(checked.findings)
    }
}
