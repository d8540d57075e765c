//! What opening and asking costs, counted on the line: each time the client speaks after the server has spoken.
#![allow(clippy::unwrap_used, clippy::panic)]

use dunlin_core::redact::SecretUrl;
use dunlin_core::value::Value;
use dunlin_engines::{Purpose, Session, Settings, open};
use dunlin_testkit::for_each_engine;
use dunlin_testkit::line::Line;
use dunlin_testkit::servers::Server;

for_each_engine! {
    only servers

    async fn opening_and_asking(engine: TestEngine) {
        let server = Server::shared(engine.kind().unwrap());
        if server.port() == 0 {
            return; // a server of somebody's own, behind who knows what
        }
        let database = engine.database();
        database.run("CREATE TABLE t (id INT, name VARCHAR(20))");
        let line = Line::to(server.port()).await;
        let url = database.url().replace(&format!(":{}/", server.port()), &format!(":{}/", line.port));
        assert_ne!(url, database.url());
        let address = open(&SecretUrl::new(url), Settings::default()).unwrap();
        // Once before: MySQL's first login of an account takes a longer road.
        address.open(Purpose::Tool).await.unwrap().close().await;
        line.forget().await;
        // Startup or greeting, and the login: SCRAM takes three turns, MySQL's cached login one.
        let login = if engine.is_postgres() { 3 } else { 1 };
        for purpose in [Purpose::Read, Purpose::Tool, Purpose::Lease, Purpose::Script] {
            // PostgreSQL takes its settings with the login; only who must not be ended while idle says that apart.
            let stays = matches!(purpose, Purpose::Lease | Purpose::Script);
            let own = usize::from(!engine.is_postgres() || stays);
            let session = address.open(purpose).await.unwrap();
            let taken = line.taken();
            assert_eq!(taken, login + own, "{engine} {purpose:?}");
            session.close().await;
            line.forget().await;
        }
        let mut session: Box<dyn Session> = address.open(Purpose::Tool).await.unwrap();
        line.taken();
        session.query("SELECT id, name FROM t", &[]).await.unwrap();
        let first = line.taken();
        assert!(first <= if engine.is_postgres() { 2 } else { 1 }, "{engine}: a query took {first}");
        let insert = engine.pick("",
            "INSERT INTO t (id, name) VALUES ($1::integer, $2::text)",
            "INSERT INTO t (id, name) VALUES (?, ?)");
        let mut taken = vec![];
        for id in 0..5 {
            session.execute_with(insert, &[Value::Int(id), if id % 2 == 0 { Value::Null } else { "x".into() }]).await.unwrap();
            taken.push(line.taken());
        }
        assert!(taken.iter().sum::<usize>() <= 7 && taken[4] == 1, "{engine}: writes took {taken:?}");
        session.begin().await.unwrap();
        session.execute("DELETE FROM t").await.unwrap();
        session.commit().await.unwrap();
        assert_eq!(line.taken(), 3, "{engine}");
    }
}
