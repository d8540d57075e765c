//! Every form of a PostgreSQL URL, without a server.
#![allow(clippy::unwrap_used)]
use super::*;
use std::collections::HashMap;

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

fn tcp(name: &str, port: u16) -> Host {
    Host::Tcp(name.into(), port)
}

#[test]
fn hosts_ports_and_names() {
    let places = |url: &str| -> Vec<Host> {
        address(url)
            .hosts
            .into_iter()
            .map(|(host, _)| host)
            .collect()
    };
    assert_eq!(places("postgres://a@h/d"), [tcp("h", 5432)]);
    assert_eq!(places("postgresql://a@h:6/d"), [tcp("h", 6)]);
    assert_eq!(places("postgres://a@[::1]:6/d"), [tcp("::1", 6)]);
    assert_eq!(
        places("postgres://a@h1:6,h2/d"),
        [tcp("h1", 6), tcp("h2", 5432)]
    );
    assert_eq!(
        places("postgres:///d?host=h1,h2&port=6,7"),
        [tcp("h1", 6), tcp("h2", 7)]
    );
    assert_eq!(places("postgres:///d?host=h&port=6"), [tcp("h", 6)]);
    assert_eq!(
        places("postgres:///d?host=/run/pg"),
        [Host::Unix("/run/pg".into(), 5432)]
    );
    assert_eq!(
        places("postgres://a@%2Fvar%2Frun%2Fpg:6/d"),
        [Host::Unix("/var/run/pg".into(), 6)]
    );
    assert!(read("postgres:///d?host=a,b&port=1,2,3", &[("USER", "me")], None).is_err());
    let all = address("postgres:///?user=u&dbname=d&password=p&host=h");
    assert_eq!((all.user.as_str(), all.database.as_str()), ("u", "d"));
    assert_eq!(all.hosts[0].1.as_deref(), Some("p"));
    let all = address("postgres://h");
    assert_eq!((all.user.as_str(), all.database.as_str()), ("me", "me"));
    let odd = address("postgres://%D8%A7:x@h/%F0%9F%90%A6%20x");
    assert_eq!((odd.user.as_str(), odd.database.as_str()), ("ا", "🐦 x"));
}

#[test]
fn tls_modes() {
    let mode = |url: &str| address(url).tls.mode;
    assert_eq!(mode("postgres://h/d"), Mode::Prefer);
    assert_eq!(mode("postgres://127.0.0.1/d"), Mode::Allow);
    assert_eq!(mode("postgres://h/d?sslmode=disable"), Mode::Disable);
    assert_eq!(mode("postgres://h/d?sslmode=allow"), Mode::Allow);
    assert_eq!(mode("postgres://localhost/d?sslmode=prefer"), Mode::Prefer);
    assert_eq!(
        mode("postgres://h/d?sslmode=require"),
        Mode::Require(Verify::Nothing)
    );
    assert_eq!(
        mode("postgres://h/d?sslmode=verify-ca"),
        Mode::Require(Verify::Ca)
    );
    assert_eq!(
        mode("postgres://h/d?sslmode=verify-full"),
        Mode::Require(Verify::Full)
    );
    assert_eq!(mode("postgres://h/d?ssl=true"), Mode::Require(Verify::Full));
    assert_eq!(
        mode("postgres://h/d?sslrootcert=system"),
        Mode::Require(Verify::Full)
    );
    assert_eq!(
        mode("postgres://h/d?sslmode=require&sslrootcert=ca.pem"),
        Mode::Require(Verify::Ca)
    );
    let file = address("postgres://h/d?sslmode=verify-full&sslrootcert=ca.pem")
        .tls
        .roots;
    assert_eq!(file, Roots::File("/conf/ca.pem".into()));
    for url in [
        "postgres://h/d?sslmode=yes",
        "postgres://h/d?sslmode=require&sslrootcert=system",
        "postgres://h/d?sslcert=a.pem",
        "postgres://h/d?sslnegotiation=direct",
    ] {
        assert!(read(url, &[("USER", "me")], None).is_err(), "{url}");
    }
}

#[test]
fn other_parameters() {
    let all = address(
        "postgres://h/d?connect_timeout=3&application_name=x%20y&options=-c%20a%3Db&currentSchema=s,public\
         &target_session_attrs=read-write&channel_binding=require&keepalives_idle=5&client_encoding=UTF-8",
    );
    assert_eq!(all.connect_timeout, Duration::from_secs(3));
    assert_eq!(all.application_name.as_deref(), Some("x y"));
    assert_eq!(
        all.options.as_deref(),
        Some("-c a=b -c search_path=s,public")
    );
    assert_eq!((all.role, all.bind_channel), (Role::Primary, Some(true)));
    let sqlx = address("postgres://h/d?options[search_path]=a%20b");
    assert_eq!(sqlx.options.as_deref(), Some("-c search_path=a\\ b"));
    for (url, part, hint) in [
        ("postgres://h/d?ssl_mod=require", "`ssl_mod`", "sslmode"),
        ("postgres://h/d?passwrd=s3cret", "`passwrd`", "password"),
        ("postgres://h/d?client_encoding=latin1", "UTF-8", ""),
        (
            "postgres://h/d?connect_timeout=soon",
            "connect_timeout",
            "seconds",
        ),
    ] {
        let error = read(url, &[("USER", "me")], None).unwrap_err();
        assert!(error.message.contains(part), "{error}");
        assert!(!error.message.contains("s3cret"), "{error}");
        assert!(error.hint.unwrap_or_default().contains(hint), "{url}");
    }
}

#[test]
fn the_environment_fills_in_what_the_url_leaves_open() {
    let env = [
        ("PGHOST", "eh"),
        ("PGPORT", "7"),
        ("PGUSER", "eu"),
        ("PGPASSWORD", "ep"),
        ("PGDATABASE", "ed"),
        ("PGSSLMODE", "require"),
        ("PGSSLROOTCERT", "/ca.pem"),
    ];
    let all = read("postgres://", &env, None).unwrap();
    assert_eq!(all.hosts, [(tcp("eh", 7), Some("ep".into()))]);
    assert_eq!((all.user.as_str(), all.database.as_str()), ("eu", "ed"));
    assert_eq!(all.tls.mode, Mode::Require(Verify::Ca));
    let url = read("postgres://u:p@h:1/d?sslmode=disable", &env, None).unwrap();
    assert_eq!(url.hosts, [(tcp("h", 1), Some("p".into()))]);
    assert_eq!((url.user.as_str(), url.database.as_str()), ("u", "d"));
    assert_eq!(url.tls.mode, Mode::Disable);
}

#[cfg(unix)]
#[test]
fn the_password_file_is_read_as_libpq_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".pgpass");
    let text = "# comment\nh:5432:d:u:plain\nh:*:*:od\\:d:a\\:b\\\\c:d\nlocalhost:*:*:u:socket\n*:*:*:*:last\n";
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let password = |url: &str| {
        read(url, &[("USER", "me")], Some(home.path()))
            .unwrap()
            .hosts[0]
            .1
            .clone()
    };
    assert_eq!(password("postgres://u@h/d").as_deref(), Some("plain"));
    assert_eq!(
        password("postgres://od%3Ad@h:9/x").as_deref(),
        Some("a:b\\c:d")
    );
    assert_eq!(
        password("postgres:///d?host=/tmp&user=u").as_deref(),
        Some("socket")
    );
    assert_eq!(password("postgres://u@other/d").as_deref(), Some("last"));
    assert_eq!(password("postgres://u:own@h/d").as_deref(), Some("own"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let all = read("postgres://u@h/d", &[], Some(home.path())).unwrap();
    assert_eq!(all.hosts[0].1, None);
    assert!(all.note.unwrap().contains("chmod 600"));
    let shown = format!("{:?}", read("postgres://u:s3cret@h/d", &[], None).unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
}
