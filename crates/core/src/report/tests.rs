//! What the documents say, and that no text breaks out of them.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::journal::plan::{PhaseDetail, PhaseHistory};
use crate::plan::risk::tests::{by_hand, phase, plan};
use crate::source::plan::workdays::WorkDays;

/// A plan of two phases: one that is done, with a title from right to left, and one to come.
fn report() -> Report {
    let mut doc = plan(vec![
        phase("tables", vec![by_hand("<look>")]),
        phase("rows", vec![by_hand("later")]),
    ]);
    doc.starts = Some("2026-01-05".parse().unwrap());
    doc.phases[0].title = "پایگاه داده | <b>".into();
    for phase in &mut doc.phases {
        phase.duration = Some(WorkDays::parse("2d").unwrap());
    }
    let done = PhaseHistory {
        state: PhaseState::Done,
        began_at: Some("2026-01-05T02:00:00.000Z".into()),
        ended_at: Some("2026-01-05T02:01:30.000Z".into()),
        duration_ms: Some(90_000),
        began: PhaseDetail {
            predicted_ms: Some(80_000),
            saved: Some("before-tables".into()),
            ..PhaseDetail::default()
        },
        ..PhaseHistory::default()
    };
    let history = PlanHistory {
        phases: [("tables".to_owned(), done)].into(),
        ..PlanHistory::default()
    };
    Report::new(
        &doc,
        &history,
        &[],
        "db".into(),
        "2026-01-05T03:00:00Z".into(),
    )
}

#[test]
fn what_was_expected_stands_beside_what_it_took() {
    let report = report();
    let page = html::render(&report);
    assert!(
        page.contains("<th class=\"n\">Expected</th><th class=\"n\">Took</th>"),
        "{page}"
    );
    let both = "data-l=\"Expected\">1 min 20 s</td><td class=\"n\" data-l=\"Took\">1 min 30 s</td>";
    assert!(page.contains(both), "{page}");
    assert!(page.contains("2 d, 2026-01-05 to 2026-01-06"), "{page}");
    assert!(page.contains("2 d, 2026-01-07 to 2026-01-08"), "{page}");
    assert!(
        page.contains("Saved before it: <bdi>before-tables</bdi>"),
        "{page}"
    );
    // A phase that has not begun expects nothing yet.
    assert!(page.contains("data-l=\"Expected\"></td>"), "{page}");

    let text = markdown::render(&report);
    assert!(
        text.contains("| phase | state | planned | began | expected | took |"),
        "{text}"
    );
    assert!(
        text.contains(
            "| 2 d, 2026-01-05 to 2026-01-06 | 2026-01-05T02:00:00.000Z | 1 min 20 s | 1 min 30 s |"
        ),
        "{text}"
    );
    assert!(text.contains("Saved before it: before-tables"), "{text}");

    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["phases"][0]["predicted_ms"], 80_000);
    assert_eq!(json["phases"][0]["planned_to"], "2026-01-06");
}

#[test]
fn no_text_breaks_out() {
    let report = report();
    let page = html::render(&report);
    assert!(
        page.contains("پایگاه داده | &lt;b&gt;") && !page.contains("<b>"),
        "{page}"
    );
    assert!(page.contains("&lt;look&gt;"), "{page}");
    let text = markdown::render(&report);
    assert!(text.contains("پایگاه داده \\| \\<b\\>"), "{text}");
}
