//! A step that is a request: its beginning is committed before it is sent, and what is not known afterwards is asked.

use super::Walk;
use super::{notes, step};
use crate::http::{Request, TIMEOUT};
use crate::steps::migrate::millis;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::Direction;
use dunlin_core::source::grammar::HttpTable;
use dunlin_core::source::grammar::steps::HttpStep;
use dunlin_core::source::plan::StepDoc;
use std::time::Instant;

/// Sends the request of a step, or settles what became of it.
pub async fn send(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    http: &HttpStep,
) -> Result<(), Failure> {
    let began = walk.history.flight(key).is_some();
    if began && settled(walk, doc, key, http).await? {
        notes::end(walk, doc, key, Direction::Up, 0, None);
        return walk.flush().await;
    }
    if !began {
        notes::lowered(walk, doc, key, step::stated(&doc.undo));
        notes::begin(walk, doc, key, Direction::Up).await?;
    }
    let started = Instant::now();
    let request = Request {
        timeout: http.timeout.map_or(TIMEOUT, |timeout| timeout.0),
        ..Request::stated(
            http.method.as_deref(),
            &http.url,
            &http.headers,
            http.json.as_ref(),
        )
    };
    // A request that only asks changes nothing, whether it arrived or not.
    let is_safe = ["GET", "HEAD"].contains(&request.method.as_str());
    let (wrong, clean) = match request.told().await {
        Ok(answer) if is_good(answer.status, http.status) => {
            notes::end(walk, doc, key, Direction::Up, millis(started), None);
            // At once: nothing in the database tells whether it took effect.
            return walk.flush().await;
        }
        // It answered that it did not.
        Ok(answer) => (format!("it answered with status {}", answer.status), true),
        // Whether the request arrived is known only where nobody took the connection.
        Err(lost) => (
            lost.sentence,
            http.rerunnable || is_safe || !lost.may_have_arrived,
        ),
    };
    let message = format!("step `{}`: the request failed: {wrong}", doc.id);
    let failure = Failure::new(FailureClass::Failed, "request-failed", message);
    if !clean {
        return Err(step::in_doubt(walk, doc).hint(failure.message));
    }
    notes::failed(walk, doc, key, Direction::Up, &failure, true).await;
    Err(failure.at(doc.place.clone()))
}

fn is_good(status: u16, expected: Option<u16>) -> bool {
    match expected {
        Some(expected) => status == expected,
        None => (200..300).contains(&status),
    }
}

/// A request that was sent and whose end is not known: by its probe, its author's word or a person's, or nobody's.
pub(super) async fn settled(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    http: &HttpStep,
) -> Result<bool, Failure> {
    if let Some(probe) = &http.probe {
        return Ok(answers(probe).await);
    }
    if http.rerunnable {
        return Ok(false);
    }
    match step::word_on(walk, doc, key) {
        Some(done) => Ok(done),
        None => Err(step::in_doubt(walk, doc)),
    }
}

async fn answers(probe: &HttpTable) -> bool {
    let request = Request {
        timeout: probe.timeout.map_or(TIMEOUT, |timeout| timeout.0),
        ..Request::stated(
            probe.method.as_deref(),
            &probe.url,
            &probe.headers,
            probe.json.as_ref(),
        )
    };
    request
        .send()
        .await
        .is_ok_and(|answer| (200..300).contains(&answer.status))
}
