//! What a copy makes of a catalog is accepted by the target: real catalogs of every engine, rendered for every other.
#![allow(clippy::unwrap_used)]

use dunlin::observe;
use dunlin_core::copy::cast::Casts;
use dunlin_core::copy::plan::CopyPlan;
use dunlin_core::copy::stages::stages;
use dunlin_core::copy::translate::{Evidence, plan};
use dunlin_core::dialect::Caps;
use dunlin_core::finding::{Finding, any_error};
use dunlin_core::redact::SecretUrl;
use dunlin_core::schema::{Catalog, Scope};
use dunlin_core::sql::split::split;
use dunlin_core::sql::{LexMode, PieceKind};
use dunlin_engines::{Engine, Purpose, Settings};
use dunlin_testkit::servers::Kind;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

mod proofs;

/// A database of its own, with its address.
struct Place {
    engine: Box<dyn Engine>,
    database: TestDatabase,
}

impl Place {
    fn new(kind: TestEngine) -> Place {
        let database = kind.database();
        let settings = Settings {
            create: true,
            ..Settings::default()
        };
        let engine = dunlin_engines::open(&SecretUrl::new(database.url()), settings).unwrap();
        Place { engine, database }
    }

    async fn run(&self, script: &str) {
        let mut session = self.engine.open(Purpose::Script).await.unwrap();
        let rules = session.dialect().lex_rules(&LexMode::default());
        let (pieces, faults) = split(script, &rules);
        assert!(faults.is_empty(), "{faults:?}");
        for piece in pieces {
            if let PieceKind::Statement(range) = piece.kind {
                let sql = &script[range];
                if let Err(error) = session.execute(sql).await {
                    panic!("{error} in\n{sql}");
                }
            }
        }
        session.close().await;
    }

    async fn look(&self) -> (Catalog, Caps) {
        // A file that is not there yet is made.
        let mut session = self.engine.open(Purpose::Tool).await.unwrap();
        let catalog = observe::catalog(&mut *session, &Scope::default())
            .await
            .unwrap();
        let caps = session.caps().clone();
        session.close().await;
        (catalog, caps)
    }

    /// Makes everything that a plan wants.
    async fn make(&self, plan: &CopyPlan) {
        let mut session = self.engine.open(Purpose::Tool).await.unwrap();
        let stages = stages(&plan.catalog, session.dialect());
        assert!(stages.lacks.is_empty(), "{:?}", stages.lacks);
        let tables = stages.tables.into_iter().flatten();
        let after = stages.after.into_iter().flat_map(|made| made.sql);
        let last = stages.last.into_iter().flat_map(|made| made.sql);
        for sql in stages
            .before
            .into_iter()
            .chain(tables)
            .chain(after)
            .chain(last)
        {
            if let Err(error) = session.execute(&sql).await {
                panic!("{error} in\n{sql}");
            }
        }
        session.close().await;
    }
}

/// A plan from one database to another by declared types alone.
async fn planned(from: &Place, to: &Place) -> (CopyPlan, Vec<Finding>) {
    let (catalog, caps) = from.look().await;
    let (_, target) = to.look().await;
    let (plan, findings) = plan(
        &catalog,
        &caps,
        &target,
        &Evidence::default(),
        &Casts::default(),
    );
    assert!(!any_error(&findings), "{findings:#?}");
    (plan, findings)
}

/// What every engine has to offer as a source.
fn sources() -> Vec<(TestEngine, &'static str)> {
    let server = TestEngine::Server;
    vec![
        (TestEngine::Sqlite, include_str!("../chinook/sqlite.sql")),
        (TestEngine::Sqlite, include_str!("hard.sqlite.sql")),
        (TestEngine::Sqlite, include_str!("../zoo/sqlite.sql")),
        (server(Kind::Postgres), include_str!("hard.postgres.sql")),
        (server(Kind::Postgres), include_str!("../zoo/postgres.sql")),
        (server(Kind::Mysql), include_str!("hard.mysql.sql")),
        (server(Kind::Mysql), include_str!("../zoo/mysql.sql")),
        (server(Kind::Mariadb), include_str!("hard.mysql.sql")),
        (server(Kind::Mariadb), include_str!("../zoo/mysql.sql")),
    ]
}

for_each_engine! {
    /// Every table of every source stands in the target, with all its columns.
    async fn rendered_ddl_is_accepted(engine: TestEngine) {
        for (kind, script) in sources() {
            let (from, to) = (Place::new(kind), Place::new(engine));
            from.run(script).await;
            let (plan, _) = planned(&from, &to).await;
            to.make(&plan).await;
            let (made, _) = to.look().await;
            for table in &plan.tables {
                let (schema, name) = &table.target;
                let there = made.table(schema.as_deref(), name);
                let there = there.unwrap_or_else(|| panic!("{name} of {kind} is not there"));
                for column in &table.columns {
                    let found = there.column(&column.target);
                    let found = found.unwrap_or_else(|| panic!("{name}.{} is not there", column.target));
                    assert_eq!(found.native, column.target_native, "{kind}: {name}.{}", column.target);
                }
            }
        }
    }
}
