//! `rules`: no row violates a rule of the project whose severity is error.

use super::{Context, Trouble, Verdict};
use dunlin_core::event::Event;
use dunlin_core::rules::Rule;

pub(super) async fn find(cx: &mut Context<'_>, names: &[String]) -> Result<Verdict, Trouble> {
    let all = cx.rules.clone().map_err(Trouble::from)?;
    let every = names.iter().any(|name| name == "*");
    let asked: Vec<Rule> = all
        .into_iter()
        .filter(|rule| every || names.contains(&rule.id))
        .collect();
    if let Some(missing) = names
        .iter()
        .find(|name| *name != "*" && !asked.iter().any(|rule| rule.id == **name))
    {
        return Err(format!("no rule `{missing}` is about this database").into());
    }
    let (world, dir) = (cx.world, cx.dir.clone());
    let mut silent = |_: &Event| {};
    let checked = crate::rules::look(world, cx.reader().await?, &asked, &dir, &mut silent).await?;
    let broken = checked.rules.iter().filter(|rule| rule.violations > 0);
    let shown: Vec<String> = broken
        .map(|rule| format!("{}: {} rows", rule.id, rule.violations))
        .collect();
    let shown = match shown.is_empty() {
        true => format!("{} rules, none violated", checked.rules.len()),
        false => shown.join("; "),
    };
    Ok(Verdict::of(checked.valid(), shown))
}
