//! TLS against servers with a CA of their own: what passes, what does not, and what is said then.
#![allow(clippy::unwrap_used, clippy::panic)]

use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Purpose, Settings, open};
use dunlin_testkit::servers::{Kind, Options, PASSWORD, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::Path;

/// A CA, a certificate of it for these names, and the key: in PEM form.
struct Papers {
    ca: String,
    certificate: String,
    key: String,
}

fn papers(by: &str, names: &[&str]) -> Papers {
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, by);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    Papers {
        ca: ca.as_ref().pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

fn server(kind: Kind, papers: &Papers) -> Server {
    let options = Options::default()
        .file("server.crt", papers.certificate.as_str())
        .file("server.key", papers.key.as_str())
        .file("ca.crt", papers.ca.as_str());
    Server::private(
        kind,
        if kind.is_postgres() {
            options
                .arg("-c")
                .arg("ssl=on")
                .arg("-c")
                .arg("ssl_cert_file={dir}/server.crt")
                .arg("-c")
                .arg("ssl_key_file={dir}/server.key")
        } else {
            options
                .arg("--ssl-ca={dir}/ca.crt")
                .arg("--ssl-cert={dir}/server.crt")
                .arg("--ssl-key={dir}/server.key")
        },
    )
}

/// Connects by `host` under these parameters; gives what the server says of the line's encryption.
async fn connect(server: &Server, host: &str, query: &str) -> Result<bool, DbError> {
    let (scheme, user, database, ask) = if server.kind().is_postgres() {
        (
            "postgres",
            "postgres",
            "postgres",
            "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        )
    } else {
        (
            "mysql",
            "root",
            "mysql",
            "SHOW SESSION STATUS LIKE 'Ssl_cipher'",
        )
    };
    let url = format!(
        "{scheme}://{user}:{PASSWORD}@{host}:{}/{database}?{query}",
        server.port()
    );
    let engine = open(&SecretUrl::new(url), Settings::default())?;
    let mut session = engine.open(Purpose::Read).await?;
    // A cancel takes the same road.
    session.canceller().cancel().await?;
    let rows = session.query(ask, &[]).await?;
    session.close().await;
    let text = rows[0].last().and_then(Value::as_str).unwrap_or_default();
    Ok(!matches!(text, "" | "false"))
}

async fn all_modes(kind: Kind) {
    let (ours, others) = (
        papers("test CA", &["localhost"]),
        papers("another CA", &["localhost"]),
    );
    let namesake = papers("test CA", &["localhost"]);
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (right, wrong) = (write("ca.pem", &ours.ca), write("other.pem", &others.ca));
    let namesake = write("namesake.pem", &namesake.ca);
    let empty = write("empty.pem", "nothing\n");
    let server = server(kind, &ours);
    let (mode, root, require, ca, full, disable, prefer) = if kind.is_postgres() {
        (
            "sslmode",
            "sslrootcert",
            "require",
            "verify-ca",
            "verify-full",
            "disable",
            "prefer",
        )
    } else {
        (
            "ssl-mode",
            "ssl-ca",
            "REQUIRED",
            "VERIFY_CA",
            "VERIFY_IDENTITY",
            "DISABLED",
            "PREFERRED",
        )
    };
    let passes =
        async |host: &str, query: String, encrypted: bool| match connect(&server, host, &query)
            .await
        {
            Ok(is) => assert_eq!(is, encrypted, "{kind} {host} {query}"),
            Err(error) => panic!("{kind} {host} {query}: {error:?}"),
        };
    let fails = async |host: &str, query: String, part: &str| {
        let error = connect(&server, host, &query).await.unwrap_err();
        assert_eq!(
            error.class,
            ErrorClass::Tls,
            "{kind} {host} {query}: {error:?}"
        );
        assert!(
            error.message.contains(part),
            "{kind} {host} {query}: {error:?}"
        );
        assert!(
            error.hint.is_some() || part == "empty.pem" || part == "No such file",
            "{error:?}"
        );
    };
    passes("localhost", format!("{mode}={full}&{root}={right}"), true).await;
    passes("localhost", format!("{mode}={ca}&{root}={right}"), true).await;
    passes("127.0.0.1", format!("{mode}={ca}&{root}={right}"), true).await;
    passes("127.0.0.1", format!("{mode}={require}"), true).await;
    passes("127.0.0.1", format!("{mode}={prefer}"), true).await;
    passes("127.0.0.1", format!("{mode}={disable}"), false).await;
    passes("127.0.0.1", String::new(), false).await;
    fails(
        "127.0.0.1",
        format!("{mode}={full}&{root}={right}"),
        "is not for `127.0.0.1`",
    )
    .await;
    fails(
        "localhost",
        format!("{mode}={full}&{root}={wrong}"),
        "not signed by the CA in",
    )
    .await;
    fails(
        "127.0.0.1",
        format!("{mode}={ca}&{root}={wrong}"),
        "not signed by the CA in",
    )
    .await;
    fails(
        "localhost",
        format!("{mode}={ca}&{root}={namesake}"),
        "not signed by the CA in",
    )
    .await;
    fails(
        "localhost",
        format!("{mode}={full}"),
        "not signed by a CA that is trusted here",
    )
    .await;
    fails(
        "localhost",
        format!("{mode}={full}&{root}={empty}"),
        "empty.pem",
    )
    .await;
    fails(
        "localhost",
        format!("{mode}={full}&{root}=/nowhere.pem"),
        "No such file",
    )
    .await;
    assert!(Path::new(&right).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    all_modes(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    all_modes(Kind::Mariadb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql() {
    all_modes(Kind::Mysql).await;
}

/// The server makes its own papers, and takes no plain lines: they are found out of themselves.
#[tokio::test(flavor = "multi_thread")]
async fn mysql_that_insists_on_tls_with_papers_of_its_own() {
    let server = Server::private(
        Kind::Mysql,
        Options::default().arg("--require-secure-transport=ON"),
    );
    assert!(connect(&server, "127.0.0.1", "").await.unwrap());
    assert!(
        connect(&server, "127.0.0.1", "ssl-mode=REQUIRED")
            .await
            .unwrap()
    );
    let error = connect(&server, "127.0.0.1", "ssl-mode=DISABLED")
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Tls, "{error:?}");
    assert!(error.hint.unwrap().contains("ssl-mode=REQUIRED"));
}

/// A server without TLS: what insists on it says so, what prefers it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls() {
    let pg = Server::shared(Kind::Postgres);
    assert!(!connect(pg, "127.0.0.1", "sslmode=prefer").await.unwrap());
    let error = connect(pg, "127.0.0.1", "sslmode=require")
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Tls, "{error:?}");
    let mariadb = Server::shared(Kind::Mariadb);
    assert!(
        !connect(mariadb, "127.0.0.1", "ssl-mode=PREFERRED")
            .await
            .unwrap()
    );
    let error = connect(mariadb, "127.0.0.1", "ssl-mode=REQUIRED")
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Tls, "{error:?}");
}
