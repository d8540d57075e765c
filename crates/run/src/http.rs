//! Requests to services: one client for checks, steps and hooks. It blocks a thread of its own and not the run.

use dunlin_core::redact::{MASK, Redactor, mask_url};
use dunlin_core::source::grammar::EnvText;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How long an answer may take where nothing is said.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest answer that is read: sixteen megabytes are a thousand times what a check looks at.
const BODY_MAX: u64 = 16 * 1024 * 1024;

/// Headers whose values say nothing secret.
const HARMLESS: [&str; 8] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "host",
    "user-agent",
];

/// A request.
#[derive(Clone)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The address.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body, sent as JSON.
    pub json: Option<serde_json::Value>,
    /// How long all of it may take.
    pub timeout: Duration,
    /// Whether an answer that leads elsewhere is followed.
    pub follow: bool,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({} {})", self.method, shown(&self.url))
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// How long it took until the last byte was here.
    pub took: Duration,
}

/// An address for people: without its password and without the values of its query, which are often keys.
pub fn shown(url: &str) -> String {
    let masked = mask_url(url);
    let Some((path, query)) = masked.split_once('?') else {
        return masked;
    };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !value.is_empty() => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

/// A request without an answer.
#[derive(Debug)]
pub struct Lost {
    /// Why, without secrets.
    pub sentence: String,
    /// Whether it may have arrived all the same.
    pub may_have_arrived: bool,
}

impl Lost {
    fn perhaps(sentence: String) -> Lost {
        Lost {
            sentence,
            may_have_arrived: true,
        }
    }
}

impl Request {
    /// As a file states it: `GET` where no method is named, the usual patience, and no address but this one.
    pub fn stated(
        method: Option<&str>,
        url: &EnvText,
        headers: &BTreeMap<String, EnvText>,
        json: Option<&serde_json::Value>,
    ) -> Self {
        let own = |(name, value): (&String, &EnvText)| (name.clone(), value.0.clone());
        Request {
            method: method.unwrap_or("GET").to_uppercase(),
            url: url.0.clone(),
            headers: headers.iter().map(own).collect(),
            json: json.cloned(),
            timeout: TIMEOUT,
            follow: false,
        }
    }

    /// Masks what of this request is secret, wherever an answer or an error repeats it.
    pub fn redactor(&self) -> Redactor {
        let mut secrets = dunlin_core::redact::SecretUrl::new(&self.url).secrets();
        for (name, value) in &self.headers {
            if !HARMLESS.contains(&name.to_ascii_lowercase().as_str()) {
                secrets.push(value.clone());
                // `Bearer KEY`: the key alone is repeated as often.
                secrets.extend(value.split_once(' ').map(|(_, key)| key.to_owned()));
            }
        }
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        let values = query.split('&').filter_map(|pair| pair.split_once('='));
        // A short value is a number of a page, and would mask half of the answer.
        secrets.extend(
            values
                .map(|(_, value)| value.to_owned())
                .filter(|value| value.len() >= 8),
        );
        Redactor::new(secrets)
    }

    /// Sends it. The error is a sentence without secrets.
    pub async fn send(self) -> Result<Answer, String> {
        self.told().await.map_err(|lost| lost.sentence)
    }

    /// Sends it; an error also tells whether it may have arrived.
    pub async fn told(self) -> Result<Answer, Lost> {
        let redactor = self.redactor();
        let timeout = self.timeout;
        let sent = tokio::task::spawn_blocking(move || blocking(&self));
        // The client keeps its own time; looking up a name it may overrun.
        let answer = match tokio::time::timeout(timeout + Duration::from_secs(1), sent).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(Lost::perhaps(format!("the request ended: {error}"))),
            Err(_) => Err(Lost::perhaps(format!("no answer within {timeout:?}"))),
        };
        answer.map_err(|lost| Lost {
            sentence: redactor.apply(&lost.sentence),
            ..lost
        })
    }
}

fn agent(request: &Request) -> ureq::Agent {
    let builder = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(request.timeout))
        .allow_non_standard_methods(true)
        .max_redirects(if request.follow { 10 } else { 0 })
        .max_redirects_will_error(false)
        .user_agent("dunlin");
    let builder = if request.url.starts_with("https:") {
        let roots = dunlin_engines::system_roots();
        let certificates: Vec<_> = roots
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .collect();
        let roots = if certificates.is_empty() {
            RootCerts::WebPki
        } else {
            RootCerts::new_with_certs(&certificates)
        };
        builder.tls_config(TlsConfig::builder().root_certs(roots).build())
    } else {
        builder
    };
    builder.build().new_agent()
}

fn blocking(request: &Request) -> Result<Answer, Lost> {
    let began = Instant::now();
    let mut parts = ureq::http::Request::builder()
        .method(request.method.as_str())
        .uri(&request.url);
    for (name, value) in &request.headers {
        parts = parts.header(name, value);
    }
    let bad = |error: ureq::http::Error| Lost {
        sentence: format!("the request cannot be made: {error}"),
        may_have_arrived: false,
    };
    let agent = agent(request);
    let answer = match &request.json {
        Some(json) => {
            let typed = request
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            if !typed {
                parts = parts.header("Content-Type", "application/json");
            }
            agent.run(parts.body(json.to_string()).map_err(bad)?)
        }
        None => agent.run(parts.body(()).map_err(bad)?),
    };
    let mut answer = answer.map_err(|error| Lost {
        sentence: sentence(request, &error),
        may_have_arrived: request.follow || !is_unsent(&error),
    })?;
    let status = answer.status().as_u16();
    let body = answer
        .body_mut()
        .with_config()
        .limit(BODY_MAX)
        .read_to_vec();
    Ok(Answer {
        status,
        body: body.map_err(|error| Lost::perhaps(sentence(request, &error)))?,
        took: began.elapsed(),
    })
}

/// Whether nobody took the connection, so that nothing was sent.
fn is_unsent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound => true,
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        _ => false,
    }
}

fn sentence(request: &Request, error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {:?}", request.timeout),
        ureq::Error::BodyExceedsLimit(_) => {
            format!("the answer is longer than {} MB", BODY_MAX / (1024 * 1024))
        }
        error => format!("no answer: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_12_an_address_and_a_request_show_no_secret() {
        let url = "http://me:pass@h/api?token=abcdefgh&page=2&all";
        assert_eq!(shown(url), "http://me:***@h/api?token=***&page=***&all");
        let request = Request {
            method: "GET".into(),
            url: url.into(),
            headers: vec![
                ("Authorization".into(), "Bearer s3cret-key".into()),
                ("Accept".into(), "application/json".into()),
            ],
            json: None,
            timeout: TIMEOUT,
            follow: true,
        };
        let masked = request
            .redactor()
            .apply("application/json s3cret-key abcdefgh pass 2");
        assert_eq!(masked, "application/json *** *** *** 2");
        assert!(!format!("{request:?}").contains("abcdefgh"));
    }
}
