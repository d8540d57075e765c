//! Hooks: who is told when something failed, waits or is done. After the fact, and never in the way: a hook that fails
//! is noted and changes nothing.

use crate::http::Request;
use crate::outside;
use crate::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::exit::Outcome;
use dunlin_core::source::Project;
use dunlin_core::source::grammar::apps::NotifyOn;
use std::time::Duration;

/// How long a hook may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// After which time it is told that a hook is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells whoever `[notify]` names how a command ended.
pub async fn after(
    world: &World,
    project: &Project,
    outcome: Outcome,
    summary: &str,
    sink: &mut dyn Sink,
) {
    let Some(notify) = &project.file.notify else {
        return;
    };
    let (class, event) = match outcome {
        Outcome::Done => (NotifyOn::Done, "done"),
        Outcome::Waiting => (NotifyOn::Waiting, "waiting"),
        _ => (NotifyOn::Failed, "failed"),
    };
    if !notify.on.contains(&class) {
        return;
    }
    let summary = world.redactor.apply(summary);
    if let Some(command) = &notify.exec {
        let line = command
            .0
            .replace("{event}", &quoted(event))
            .replace("{summary}", &quoted(&summary));
        let running = outside::run(&line, &project.root, TIMEOUT, &world.redactor);
        let ended = told(running, "the command of `[notify]`", sink).await;
        let wrong = match ended {
            Ok(ended) if ended.is_ok() => None,
            Ok(ended) => Some(ended.said()),
            Err(error) => Some(error.to_string()),
        };
        note(sink, "the command of `[notify]`", wrong);
    }
    if let Some(address) = &notify.webhook {
        let body = serde_json::json!({
            "event": event,
            "summary": summary,
            "database": world.engine.describe(),
            "at": world.clock.stamp(),
        });
        let request = Request {
            timeout: TIMEOUT,
            ..Request::stated(Some("POST"), address, &Default::default(), Some(&body))
        };
        let wrong = match told(request.send(), "the webhook of `[notify]`", sink).await {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(answer) => Some(format!("it answered with status {}", answer.status)),
            Err(error) => Some(error),
        };
        note(sink, "the webhook of `[notify]`", wrong);
    }
}

/// Waits for a hook; one that takes long is told of, for the answer waits with it.
async fn told<T>(hook: impl Future<Output = T>, what: &str, sink: &mut dyn Sink) -> T {
    let mut hook = std::pin::pin!(hook);
    if let Ok(ended) = tokio::time::timeout(PATIENCE, &mut hook).await {
        return ended;
    }
    sink.event(&Event::Note {
        message: format!("waits for {what}, {} s at most", TIMEOUT.as_secs()),
    });
    hook.await
}

fn note(sink: &mut dyn Sink, what: &str, wrong: Option<String>) {
    if let Some(wrong) = wrong {
        sink.event(&Event::Note {
            message: format!("{what} failed, which changes nothing: {wrong}"),
        });
    }
}

/// A text as one word for `sh`: nothing in it is expanded.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_summary_cannot_become_a_command() {
        assert_eq!(super::quoted("it's $(rm -rf /)"), "'it'\\''s $(rm -rf /)'");
    }
}
