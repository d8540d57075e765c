//! What `up` costs on the line where there is nothing to do.
#![allow(clippy::unwrap_used)]

use dunlin::{Migrator, SourceFile};
use dunlin_testkit::for_each_engine;
use dunlin_testkit::line::Line;
use dunlin_testkit::servers::Server;

for_each_engine! {
    only servers
    async fn nothing_to_do_takes_two_trips_beside_connecting(engine: TestEngine) {
        let server = Server::shared(engine.kind().unwrap());
        if server.port() == 0 {
            return; // a server of somebody's own, behind who knows what
        }
        let database = engine.database();
        let line = Line::to(server.port()).await;
        let url = database.url().replace(&format!(":{}/", server.port()), &format!(":{}/", line.port));
        assert_ne!(url, database.url());
        let up = || async {
            let script = b"CREATE TABLE t (id int NOT NULL PRIMARY KEY);\n".to_vec();
            let files = vec![SourceFile::new("migrations/001_t.sql", "001_t.sql", script)];
            let migrator = Migrator::new(&url).unwrap().embedded(files).unwrap();
            migrator.up().await.unwrap().steps.len()
        };
        assert_eq!(up().await, 1);
        line.forget().await;
        assert_eq!(up().await, 0);
        // SCRAM takes three turns, MySQL's cached login one; the parting word is a turn for which nobody waits.
        let connecting = if engine.is_postgres() { 3 } else { 1 };
        let taken = line.taken();
        assert!(taken <= connecting + 2 + 1, "{engine}: {taken} turns");
    }
}
