//! A database of a test's own, and a step's whole life in it: asked, lowered, run, taken back, run again.

use dunlin::digest::{Scope as DigestScope, digest};
use dunlin::observe;
use dunlin_core::dialect::Dialect;
use dunlin_core::event::Silent;
use dunlin_core::finding::{Finding, Place as Spot};
use dunlin_core::plan::steps::{Facts, Inverse, Operations, asks, lower};
use dunlin_core::redact::SecretUrl;
use dunlin_core::schema::{Catalog, Scope, diff};
use dunlin_core::source::grammar::apps::PluginTable;
use dunlin_core::source::plan::{SqlText, StepDoc, StepSpec, UndoSpec};
use dunlin_engines::{Engine, Purpose, Settings};
use dunlin_testkit::{TestDatabase, TestEngine};

/// A database, with its address.
pub struct Ground {
    pub database: TestDatabase,
    engine: Box<dyn Engine>,
    pub plugins: Vec<PluginTable>,
}

/// A step of a kind, its undo derived.
pub fn step(kind: StepSpec) -> StepDoc {
    StepDoc {
        id: "the-step".into(),
        title: "The step".into(),
        label: None,
        critical: true,
        needs: vec![],
        kill_blockers: None,
        window: None,
        risk: None,
        estimate: None,
        kind,
        undo: UndoSpec::Derive,
        checks: vec![],
        hash: String::new(),
        place: Spot::file("a.plan.toml"),
    }
}

/// A step of SQL.
pub fn sql(text: &str) -> StepDoc {
    step(StepSpec::Sql(text_of(text)))
}

/// A text as it stands in a plan file from its line 10 on.
pub fn text_of(text: &str) -> SqlText {
    SqlText {
        file: "a.plan.toml".into(),
        line: 10,
        text: text.into(),
    }
}

/// What a database holds: its catalog, and the digests of its tables.
pub struct State {
    pub catalog: Catalog,
    rows: Vec<(String, u64, String)>,
}

impl Ground {
    pub fn new(kind: TestEngine, setup: &str) -> Ground {
        let database = kind.database();
        let settings = Settings {
            create: true,
            ..Settings::default()
        };
        let engine = dunlin_engines::open(&SecretUrl::new(database.url()), settings).unwrap();
        database.run(setup);
        Ground {
            database,
            engine,
            plugins: vec![],
        }
    }

    pub async fn state(&self) -> State {
        let mut session = self.engine.open(Purpose::Read).await.unwrap();
        let catalog = observe::catalog(&mut *session, &Scope::default())
            .await
            .unwrap();
        let found = digest(&mut *session, &DigestScope::default(), None, &mut Silent).await;
        session.close().await;
        let one = |table: dunlin::digest::TableDigest| (table.table, table.rows, table.digest);
        State {
            catalog,
            rows: found.unwrap().tables.into_iter().map(one).collect(),
        }
    }

    /// Asks and lowers, as the moment is.
    pub async fn lower(&self, step: &StepDoc) -> Result<Operations, Vec<Finding>> {
        let mut session = self.engine.open(Purpose::Script).await.unwrap();
        let mut tool = self.engine.open(Purpose::Read).await.unwrap();
        let catalog = observe::whole(&mut *tool).await.unwrap();
        let (caps, lex) = (session.caps().clone(), session.lex_mode().clone());
        let facts = Facts {
            dialect: session.dialect(),
            caps: &caps,
            lex: &lex,
            catalog: &catalog,
            plugins: &self.plugins,
        };
        let mut answers = vec![];
        for query in asks(step, &facts) {
            let rows = session.query(&query.sql, &query.params).await;
            answers.push(rows.unwrap_or_else(|error| panic!("{error} in\n{}", query.sql)));
        }
        let operations = lower(step, &facts, &answers);
        tool.close().await;
        session.close().await;
        operations
    }

    pub async fn run(&self, statements: &[String]) {
        let mut session = self.engine.open(Purpose::Script).await.unwrap();
        let mode = session.lex_mode().clone();
        let dialect = session.dialect();
        let classes: Vec<_> = statements
            .iter()
            .map(|sql| dialect.classify(sql, &mode))
            .collect();
        let guard = dialect.guard(&classes).unwrap_or_default();
        let mut restore = vec![];
        for switch in &guard.switches {
            let before = session.query(&switch.read, &[]).await.unwrap();
            let before = &before[0][0];
            let value = before.as_str().map(str::to_owned);
            let value = value.unwrap_or_else(|| before.as_i64().unwrap().to_string());
            restore.push(switch.restore.replace("{}", &value));
            session.execute(&switch.set).await.unwrap();
        }
        for sql in statements.iter().chain(&restore) {
            if let Err(error) = session.execute(sql).await {
                panic!("{error} in\n{sql}\nof {statements:#?}");
            }
        }
        session.close().await;
    }

    /// Forward, back, forward, back: gives what it did. Going back leaves what was there before, to the byte.
    pub async fn round_trip(&self, step: &StepDoc) -> Operations {
        let before = self.state().await;
        let mut first: Option<Operations> = None;
        for round in 1..=2 {
            let operations = match self.lower(step).await {
                Ok(operations) => operations,
                Err(findings) => panic!("{findings:#?}"),
            };
            if let Some(first) = &first {
                assert_eq!(first.up, operations.up, "the second time as the first");
            }
            if first.is_none() {
                self.half_way(&before, &operations).await;
            }
            self.run(&operations.up).await;
            let after = self.state().await;
            assert!(
                !self.differences(&before, &after).is_empty() || before.rows != after.rows,
                "it did nothing: {operations:#?}"
            );
            let Inverse::Statements(undo) = &operations.undo else {
                panic!("{operations:#?}");
            };
            self.run(undo).await;
            let back = self.state().await;
            assert_eq!(
                self.differences(&before, &back),
                "",
                "round {round} of {operations:#?}"
            );
            assert_eq!(before.rows, back.rows, "round {round} of {operations:#?}");
            first.get_or_insert(operations);
        }
        first.unwrap()
    }

    /// Ended after some of its statements, each of them goes back by its own inverse.
    async fn half_way(&self, before: &State, operations: &Operations) {
        let (up, back) = (&operations.up, &operations.back);
        assert_eq!(up.len(), back.len(), "{operations:#?}");
        // A rebuild is one transaction: it is done or it is not.
        if up.iter().any(|sql| sql.contains("dunlin_rebuild_")) {
            return;
        }
        for done in (1..up.len()).step_by((up.len() / 5).max(1)) {
            self.run(&up[..done]).await;
            let inverses: Vec<String> = back[..done].iter().rev().flatten().cloned().collect();
            self.run(&inverses).await;
            let now = self.state().await;
            assert_eq!(
                self.differences(before, &now),
                "",
                "after {done} of {operations:#?}"
            );
            assert_eq!(before.rows, now.rows, "after {done} of {operations:#?}");
        }
    }

    fn differences(&self, before: &State, after: &State) -> String {
        let found = diff(&before.catalog, &after.catalog, self.dialect());
        if found.is_empty() {
            String::new()
        } else {
            serde_json::to_string_pretty(&found).unwrap()
        }
    }

    pub fn dialect(&self) -> &'static dyn Dialect {
        self.engine.dialect()
    }

    /// The codes and texts of findings that forbid a step.
    pub async fn refused(&self, step: &StepDoc) -> Vec<(&'static str, String)> {
        match self.lower(step).await {
            Ok(operations) => panic!("{operations:#?}"),
            Err(findings) => findings
                .into_iter()
                .map(|finding| (finding.code, finding.message))
                .collect(),
        }
    }
}
