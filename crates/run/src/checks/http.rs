//! `http`: a service answers as expected, and as it did when the phase began.

use super::{Context, Trouble, Verdict, state};
use crate::http::{Answer, Request, TIMEOUT};
use dunlin_core::source::duration::show_duration;
use dunlin_core::source::grammar::checks::{HttpCheck, When};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json_path::JsonPath;
use std::collections::{BTreeMap, BTreeSet};

/// How many places of an answer are told.
const TOLD_MAX: usize = 8;

/// An answer as it is kept: no values, for they may be anybody's, but a hash for each of its places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    status: u16,
    places: BTreeMap<String, String>,
}

fn request(http: &HttpCheck) -> Request {
    let status = http.status.unwrap_or(200);
    Request {
        timeout: http.within.map_or(TIMEOUT, |within| within.0.max(TIMEOUT)),
        // Who expects to be sent elsewhere does not want to go there.
        follow: !(300..400).contains(&status),
        ..Request::stated(
            http.method.as_deref(),
            &http.url,
            &http.headers,
            http.json.as_ref(),
        )
    }
}

fn path(text: &str) -> Result<JsonPath, Trouble> {
    JsonPath::parse(text).map_err(|error| format!("`{text}` is not a JSONPath: {error}").into())
}

/// A number in one spelling: 1 and 1.0 are one value.
fn canonical(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() < 9e15 => {
            format!("{number:.0}")
        }
        _ => value.to_string(),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let alike = |(key, value): (&String, &Value)| {
                b.get(key).is_some_and(|other| same(value, other))
            };
            a.len() == b.len() && a.iter().all(alike)
        }
        (a, b) => canonical(a) == canonical(b),
    }
}

/// The places of a value with the hashes of what stands there, but for those that are ignored.
fn places(
    value: &Value,
    at: String,
    ignored: &BTreeSet<String>,
    out: &mut BTreeMap<String, String>,
) {
    if ignored.contains(&at) {
        return;
    }
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (number, item) in items.iter().enumerate() {
                places(item, format!("{at}/{number}"), ignored, out);
            }
        }
        Value::Object(members) if !members.is_empty() => {
            for (key, item) in members {
                places(item, format!("{at}/{}", escaped(key)), ignored, out);
            }
        }
        leaf => {
            out.insert(at, hash(canonical(leaf).as_bytes()));
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

fn noted(http: &HttpCheck, answer: &Answer) -> Result<Noted, Trouble> {
    let mut found = BTreeMap::new();
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(body) => {
            let mut ignored = BTreeSet::new();
            for text in &http.ignore {
                let located = path(text)?.query_located(&body);
                ignored.extend(located.locations().map(|place| place.to_json_pointer()));
            }
            places(&body, String::new(), &ignored, &mut found);
        }
        Err(_) => {
            found.insert("the text".into(), hash(&answer.body));
        }
    }
    Ok(Noted {
        status: answer.status,
        places: found,
    })
}

pub(super) async fn note(
    cx: &mut Context<'_>,
    id: &str,
    http: &HttpCheck,
) -> Result<Value, Trouble> {
    let answer = request(http).send().await?;
    let noted = serde_json::to_value(noted(http, &answer)?)
        .map_err(|error| Trouble::from(error.to_string()))?;
    state::store(cx, id, &noted)
}

pub(super) async fn find(
    _cx: &mut Context<'_>,
    http: &HttpCheck,
    when: When,
    baseline: Option<&Value>,
) -> Result<Verdict, Trouble> {
    let request = request(http);
    let redactor = request.redactor();
    let answer = request.send().await?;
    let mut faults = vec![];
    let good = match http.status {
        Some(status) => answer.status == status,
        None => (200..300).contains(&answer.status),
    };
    if !good {
        faults.push(format!("status {}", answer.status));
    }
    expectations(http, &answer, &mut faults)?;
    if let Some(within) = http.within
        && answer.took > within.0
    {
        faults.push(format!("it took longer than {}", show_duration(within.0)));
    }
    if http.unchanged && when != When::Before {
        match baseline {
            Some(baseline) => {
                let before: Noted = serde_json::from_value(state::fetch(baseline)?)
                    .map_err(|error| format!("what was noted cannot be read: {error}"))?;
                faults.extend(changes(&before, &noted(http, &answer)?));
            }
            None => faults.push("nothing was noted when the phase began".into()),
        }
    }
    let figures = format!("status {} in {} ms", answer.status, answer.took.as_millis());
    Ok(if faults.is_empty() {
        Verdict::Holds(figures)
    } else {
        Verdict::Broken(redactor.apply(&format!("{} ({figures})", faults.join("; "))))
    })
}

fn expectations(
    http: &HttpCheck,
    answer: &Answer,
    faults: &mut Vec<String>,
) -> Result<(), Trouble> {
    if http.expect.is_empty() {
        return Ok(());
    }
    let body: Value = match serde_json::from_slice(&answer.body) {
        Ok(body) => body,
        Err(error) => {
            faults.push(format!("the answer is not JSON: {error}"));
            return Ok(());
        }
    };
    for (text, wanted) in &http.expect {
        let nodes = path(text)?.query(&body).all();
        let fits = match nodes.as_slice() {
            [one] => same(one, wanted),
            several => {
                let several = Value::Array(several.iter().map(|node| (*node).clone()).collect());
                !nodes.is_empty() && same(&several, wanted)
            }
        };
        if !fits {
            let is = match nodes.as_slice() {
                [] => "not there".to_owned(),
                [one] => short(&one.to_string()),
                several => format!("{} values", several.len()),
            };
            faults.push(format!("{text} is {is}"));
        }
    }
    Ok(())
}

fn short(text: &str) -> String {
    let cut: String = text.chars().take(100).collect();
    if cut.len() < text.len() {
        format!("{cut}…")
    } else {
        cut
    }
}

/// What is not as it was: places, and no values.
fn changes(before: &Noted, now: &Noted) -> Option<String> {
    let mut told = vec![];
    if before.status != now.status {
        told.push(format!("status was {}", before.status));
    }
    let names: BTreeSet<&String> = before.places.keys().chain(now.places.keys()).collect();
    for name in names {
        let shown = if name.is_empty() { "the answer" } else { name };
        match (before.places.get(name), now.places.get(name)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(_), Some(_)) => told.push(format!("{shown} is another")),
            (Some(_), None) => told.push(format!("{shown} is gone")),
            _ => told.push(format!("{shown} is new")),
        }
    }
    let more = told.len().saturating_sub(TOLD_MAX);
    told.truncate(TOLD_MAX);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    (!told.is_empty()).then(|| format!("not as before: {}", told.join(", ")))
}
