//! `http` and `exec`: what is outside of the database.

use super::*;
use dunlin_core::source::duration::DurationText;
use dunlin_core::source::grammar::EnvText;
use dunlin_core::source::grammar::checks::{ExecCheck, HttpCheck};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the service says, and what it was asked last.
struct Service {
    url: String,
    says: Arc<Mutex<(u16, String, Duration)>>,
    asked: Arc<Mutex<String>>,
}

impl Service {
    fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new((200, String::new(), Duration::ZERO)));
        let asked = Arc::new(Mutex::new(String::new()));
        let (mine, heard) = (Arc::clone(&says), Arc::clone(&asked));
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = vec![];
                let mut buffer = [0; 4096];
                while let Ok(read) = stream.read(&mut buffer) {
                    request.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&request).to_lowercase();
                    let length = text
                        .split_once("content-length: ")
                        .and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok())
                        .unwrap_or(0);
                    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
                    if read == 0 || body.is_some_and(|body| body >= length) {
                        break;
                    }
                }
                *heard.lock().unwrap() = String::from_utf8_lossy(&request).into_owned();
                let (status, body, wait) = mine.lock().unwrap().clone();
                std::thread::sleep(wait);
                let head = format!(
                    "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Service { url, says, asked }
    }

    fn say(&self, status: u16, body: &str) {
        *self.says.lock().unwrap() = (status, body.into(), Duration::ZERO);
    }

    fn check(&self, path: &str) -> HttpCheck {
        HttpCheck {
            method: None,
            url: EnvText(format!("{}{path}", self.url)),
            headers: BTreeMap::new(),
            json: None,
            status: None,
            expect: BTreeMap::new(),
            unchanged: false,
            ignore: vec![],
            within: None,
        }
    }
}

fn expecting(check: HttpCheck, expect: &[(&str, Value)]) -> CheckSpec {
    CheckSpec::Http(HttpCheck {
        expect: expect
            .iter()
            .map(|(path, value)| ((*path).to_owned(), value.clone()))
            .collect(),
        ..check
    })
}

fn exec(command: &str, timeout: Option<u64>) -> CheckSpec {
    CheckSpec::Exec(ExecCheck {
        run: EnvText(command.into()),
        timeout: timeout.map(|ms| DurationText(Duration::from_millis(ms))),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_answers_as_expected_or_not() {
    let room = Room::new(TestEngine::Sqlite);
    let service = Service::start();
    service.say(
        200,
        r#"{"success": true, "n": 1.0, "items": [{"id": 1}, {"id": 2}]}"#,
    );
    let fine = [
        ("$.success", json!(true)),
        ("$.n", json!(1)),
        ("$.items[*].id", json!([1, 2])),
        ("$.items[?@.id == 2].id", json!(2)),
    ];
    holds(&room.now(expecting(service.check("/api"), &fine)).await);
    let wrong = room
        .now(expecting(
            service.check("/api"),
            &[("$.success", json!(false))],
        ))
        .await;
    fails(&wrong, "$.success is true");
    let gone = room
        .now(expecting(
            service.check("/api"),
            &[("$.other", json!(null))],
        ))
        .await;
    fails(&gone, "$.other is not there");
    let bad = room
        .now(expecting(service.check("/api"), &[("success", json!(1))]))
        .await;
    fails(&bad, "not a JSONPath");
    service.say(200, "<html>");
    fails(
        &room.now(expecting(service.check("/api"), &fine)).await,
        "not JSON",
    );
    holds(&room.now(CheckSpec::Http(service.check("/api"))).await);
    service.say(500, "{}");
    fails(
        &room.now(CheckSpec::Http(service.check("/api"))).await,
        "status 500",
    );
    let asked = HttpCheck {
        status: Some(500),
        ..service.check("/api")
    };
    holds(&room.now(CheckSpec::Http(asked)).await);
}

/// Slow, and too slow altogether; nobody there; a service that speaks no TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_slow_or_not_there() {
    let room = Room::new(TestEngine::Sqlite);
    let service = Service::start();
    *service.says.lock().unwrap() = (200, "{}".into(), Duration::from_millis(300));
    let within = |ms| HttpCheck {
        within: Some(DurationText(Duration::from_millis(ms))),
        ..service.check("/")
    };
    fails(
        &room.now(CheckSpec::Http(within(100))).await,
        "longer than 100ms",
    );
    holds(&room.now(CheckSpec::Http(within(5_000))).await);
    let nobody = HttpCheck {
        url: EnvText("http://127.0.0.1:1/".into()),
        ..service.check("/")
    };
    fails(&room.now(CheckSpec::Http(nobody)).await, "no answer");
    let plain = HttpCheck {
        url: EnvText(service.url.replace("http:", "https:")),
        ..service.check("/")
    };
    fails(&room.now(CheckSpec::Http(plain)).await, "no answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_12_a_service_is_asked_with_secrets_that_are_never_shown() {
    let room = Room::new(TestEngine::Sqlite);
    let service = Service::start();
    service.say(
        403,
        r#"{"error": "no such key: s3cret-k3y, tok3n-in-the-url"}"#,
    );
    let check = HttpCheck {
        method: Some("post".into()),
        headers: BTreeMap::from([("Authorization".into(), EnvText("Bearer s3cret-k3y".into()))]),
        json: Some(json!({"a": 1})),
        ..service.check("/api?token=tok3n-in-the-url")
    };
    let found = room
        .now(expecting(check, &[("$.error", json!("none"))]))
        .await;
    fails(&found, "no such key: ***, ***");
    let asked = service.asked.lock().unwrap().clone();
    assert!(
        asked.starts_with("POST /api?token=tok3n-in-the-url HTTP/1.1"),
        "{asked}"
    );
    assert!(
        asked.contains("s3cret-k3y") && asked.ends_with(r#"{"a":1}"#),
        "{asked}"
    );
    let told = serde_json::to_string(&found).unwrap();
    assert!(
        !told.contains("s3cret") && !told.contains("tok3n"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_as_before_but_for_what_is_ignored() {
    let room = Room::new(TestEngine::Sqlite);
    let service = Service::start();
    service.say(
        200,
        r#"{"time": 1, "rows": [{"id": 1, "at": 5}], "name": "someone private"}"#,
    );
    let spec = || {
        CheckSpec::Http(HttpCheck {
            unchanged: true,
            ignore: vec!["$.time".into(), "$.rows[*].at".into()],
            ..service.check("/")
        })
    };
    let begun = room.begin(spec()).await.unwrap();
    let noted = begun.noted.as_ref().unwrap().to_string();
    assert!(!noted.contains("private"), "no value is kept: {noted}");
    service.say(
        200,
        r#"{"name":"someone private","rows":[{"at":6,"id":1.0}],"time":2}"#,
    );
    holds(&room.end(&begun).await);
    service.say(200, r#"{"time": 1, "rows": [{"id": 2}, {"id": 3}]}"#);
    let found = room.end(&begun).await;
    for part in [
        "/rows/0/id is another",
        "/rows/1/id is new",
        "/name is gone",
    ] {
        fails(&found, part);
    }
    service.say(
        201,
        r#"{"time": 1, "rows": [{"id": 1, "at": 5}], "name": "someone private"}"#,
    );
    fails(&room.end(&begun).await, "status was 200");

    // A long answer lies beside the journal and not in it.
    let long: Vec<_> = (0..2_000).map(|n| json!({"id": n})).collect();
    service.say(200, &json!(long).to_string());
    let begun = room.begin(spec()).await.unwrap();
    assert!(begun.noted.as_ref().unwrap().to_string().len() < 1_000);
    holds(&room.end(&begun).await);
    service.say(200, &json!(long[1..]).to_string());
    fails(&room.end(&begun).await, "more");
    service.say(200, "plain");
    let text = room.begin(spec()).await.unwrap();
    holds(&room.end(&text).await);
    service.say(200, "plain.");
    fails(&room.end(&text).await, "the text is another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_exits_with_0_or_fails_the_check() {
    let room = Room::new(TestEngine::Sqlite);
    std::fs::write(room.folder.path().join("there"), "").unwrap();
    holds(&room.now(exec("test -e there && echo fine", None)).await);
    fails(
        &room.now(exec("echo broken >&2; exit 3", None)).await,
        "exit code 3: broken",
    );
    let began = Instant::now();
    let slow = room
        .now(exec("sleep 300 & echo $! > child; sleep 300", Some(2_000)))
        .await;
    fails(&slow, "took too long");
    let child = std::fs::read_to_string(room.folder.path().join("child")).unwrap();
    let gone = || {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        status.map_or(true, |status| status.contains(" Z "))
    };
    // A busy host takes its time to end a process that was told to.
    while !gone() {
        let late = began.elapsed() > Duration::from_secs(60);
        assert!(!late, "what the command had started goes with it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
