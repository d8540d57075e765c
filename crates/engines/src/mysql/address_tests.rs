//! Every form of a MySQL URL, without a server.
#![allow(clippy::unwrap_used)]
use super::*;
use std::path::Path;

fn read(url: &str, env: &[(&str, &str)], home: Option<&Path>) -> Result<Address, DbError> {
    let env: HashMap<String, String> = env
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let look = |name: &str| env.get(name).cloned();
    let around = Surroundings {
        env: &look,
        home: home.map(Path::to_path_buf),
        base: Some("/conf".into()),
        account: || None,
    };
    parse(&SecretUrl::new(url), &around)
}

fn address(url: &str) -> Address {
    read(url, &[("USER", "me")], None).unwrap()
}

#[test]
fn hosts_ports_sockets_and_names() {
    let all = address("mysql://u%40:p%2F@h:7/d%20b");
    assert_eq!((all.host.as_str(), all.port), ("h", 7));
    assert_eq!(
        (all.user.as_deref(), all.password.as_deref()),
        (Some("u@"), Some("p/"))
    );
    assert_eq!(all.database.as_deref(), Some("d b"));
    let all = address("mariadb://[::1]/d");
    assert_eq!(
        (all.host.as_str(), all.port, all.user.as_deref()),
        ("::1", 3306, Some("me"))
    );
    for url in [
        "mysql://u@localhost/d?socket=/run/s.sock",
        "mysql://u@localhost/d?unix_socket=%2Frun%2Fs.sock",
        "mysql://u@%2Frun%2Fs.sock/d",
        "mysql:///d?host=/run/s.sock&user=u",
    ] {
        assert_eq!(address(url).socket.as_deref(), Some("/run/s.sock"), "{url}");
        assert_eq!(address(url).tls.mode, Mode::Disable, "{url}");
    }
    let jdbc = address(
        "mysql://h:1/d?user=u&password=p%26&useSSL=false&serverTimezone=UTC&characterEncoding=UTF-8\
         &connectTimeout=1500&allowPublicKeyRetrieval=true",
    );
    assert_eq!(
        (jdbc.user.as_deref(), jdbc.password.as_deref()),
        (Some("u"), Some("p&"))
    );
    assert_eq!(
        (jdbc.tls.mode, jdbc.connect_timeout),
        (Mode::Disable, Duration::from_millis(1500))
    );
    assert_eq!(
        address("mysql://h/d?connect_timeout=4").connect_timeout,
        Duration::from_secs(4)
    );
    assert!(read("mysql://h1,h2/d", &[], None).is_err());
}

#[test]
fn tls_modes() {
    let mode = |query: &str| address(&format!("mysql://h/d?{query}")).tls.mode;
    assert_eq!(mode(""), Mode::Prefer);
    assert_eq!(address("mysql://localhost/d").tls.mode, Mode::Allow);
    assert_eq!(mode("ssl-mode=DISABLED"), Mode::Disable);
    assert_eq!(mode("ssl-mode=preferred"), Mode::Prefer);
    assert_eq!(mode("sslMode=REQUIRED"), Mode::Require(Verify::Nothing));
    assert_eq!(
        mode("ssl-mode=VERIFY_CA&ssl-ca=a"),
        Mode::Require(Verify::Ca)
    );
    assert_eq!(mode("sslmode=verify-full"), Mode::Require(Verify::Full));
    assert_eq!(
        mode("ssl-mode=VERIFY_IDENTITY"),
        Mode::Require(Verify::Full)
    );
    assert_eq!(mode("ssl-ca=a.pem"), Mode::Require(Verify::Ca));
    assert_eq!(mode("useSSL=true"), Mode::Require(Verify::Nothing));
    assert_eq!(
        mode("useSSL=true&requireSSL=false"),
        Mode::Require(Verify::Nothing)
    );
    assert_eq!(
        mode("useSSL=true&verifyServerCertificate=true"),
        Mode::Require(Verify::Full)
    );
    assert_eq!(mode("require_ssl=true"), Mode::Require(Verify::Nothing));
    let file = address("mysql://h/d?ssl-ca=ca.pem").tls.roots;
    assert_eq!(file, Roots::File("/conf/ca.pem".into()));
    for (query, part, hint) in [
        ("ssl-mode=yes", "ssl-mode", "REQUIRED"),
        ("ssl-mod=REQUIRED", "`ssl-mod`", "ssl-mode"),
        ("charset=latin1", "utf8mb4", ""),
        ("pasword=s3cret", "`pasword`", "password"),
        ("ssl-cert=a", "go together", ""),
    ] {
        let error = read(&format!("mysql://h/d?{query}"), &[], None).unwrap_err();
        assert!(error.message.contains(part), "{error}");
        assert!(!error.message.contains("s3cret"), "{error}");
        assert!(error.hint.unwrap_or_default().contains(hint), "{query}");
    }
}

#[test]
fn the_environment_and_the_option_file_fill_in() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join(".my.cnf"),
        "[mysqld]\nuser=mysql\n[client]\n# c\nuser = fu\npassword=\"f#p\\\\w\"\nsocket=/f.sock # why\nport=9\n\
         ssl-ca=/ca.pem\n[mysql]\nhost=wrong\n",
    )
    .unwrap();
    let of = |url: &str, env: &[(&str, &str)]| read(url, env, Some(home.path())).unwrap();
    let all = of("mysql:///d?ssl-mode=DISABLED", &[]);
    assert_eq!(all.socket.as_deref(), Some("/f.sock"));
    assert_eq!(
        (all.user.as_deref(), all.password.as_deref()),
        (Some("fu"), Some("f#p\\w"))
    );
    let all = of("mysql://h/d", &[]);
    assert_eq!((all.socket.as_deref(), all.port), (None, 3306));
    assert_eq!(all.tls.mode, Mode::Require(Verify::Ca));
    assert_eq!(of("mysql://other@h/d", &[]).password, None);
    assert_eq!(
        of("mysql://u@h/d", &[("MYSQL_PWD", "ep")])
            .password
            .as_deref(),
        Some("ep")
    );
    assert_eq!(
        of("mysql://u:own@h/d", &[("MYSQL_PWD", "ep")])
            .password
            .as_deref(),
        Some("own")
    );
    let shown = format!("{:?}", of("mysql://u:s3cret@h/d", &[]));
    assert!(!shown.contains("s3cret"), "{shown}");
}
