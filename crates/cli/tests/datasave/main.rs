//! Case B whole: the form builder of `examples/02-datasave-bi` becomes a BI platform by its plan, on MariaDB and MySQL.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin_testkit::TestDatabase;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::{Kind, Server};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One test per server: `mariadb::name` and `mysql::name`.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod mariadb { $( #[test] fn $name() { super::$name(dunlin_testkit::servers::Kind::Mariadb); } )* }
        mod mysql { $( #[test] fn $name() { super::$name(dunlin_testkit::servers::Kind::Mysql); } )* }
    };
}

mod forward;
mod people;
mod service;
mod trouble;

use service::Service;

/// The example's folder.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/02-datasave-bi")
}

/// The live form builder: its database, its service, and the plan's folder.
struct Builder {
    sandbox: Sandbox,
    service: Service,
    database: TestDatabase,
}

impl Builder {
    fn new(kind: Kind) -> Builder {
        let database = TestDatabase::on(Server::shared(kind));
        let name = database.name();
        let _ = database.run(&format!("ALTER DATABASE {name} CHARACTER SET utf8mb4"));
        let before = std::fs::read_to_string(example().join("before.sql")).unwrap();
        let _ = database.run(&before);
        let mut sandbox = Sandbox::new();
        dunlin_testkit::console::copy_into(&sandbox, &example(), ".");
        // Whole test suites run beside this one; what slows a query down is found by tests of that check's own.
        let plan = sandbox.read("bi.plan.toml");
        let patient = plan
            .replace("slower_by_at_most = 5.0", "slower_by_at_most = 1000.0")
            .replace("within = \"250ms\"", "within = \"60s\"");
        assert_ne!(plan, patient);
        sandbox.write("bi.plan.toml", patient);
        let service = Service::start(database.url());
        sandbox
            .set("DATASAVE_DATABASE_URL", database.url())
            .set("DATASAVE_API", service.url())
            .set("HOSTNAME", "host");
        Builder {
            sandbox,
            service,
            database,
        }
    }

    /// Runs a command line that ends with this code; gives its answer.
    fn json(&self, line: &[&str], code: i32) -> Value {
        let ran = self.sandbox.dunlin([line, &["--format", "json"]].concat());
        ran.code(code).json()
    }

    /// Runs the plan; it is to wait, at this phase and for this.
    fn waits(&self, phase: &str, missing: &str) -> Value {
        let ran = self.json(&["run", "bi"], 3);
        assert_eq!(ran["data"]["waiting"]["phase"], phase, "{ran:#}");
        let lacks = ran["data"]["waiting"]["missing"].to_string();
        assert!(lacks.contains(missing), "{lacks}");
        ran
    }

    fn approve(&self, phase: &str, by: &str, role: &str, open: bool) {
        let mut line = vec!["approve", "bi", phase, "--by", by, "--as", role];
        if phase == "schema" {
            line.extend(["--confirm", "backup verified"]);
        }
        let said = self.json(&line, 0);
        assert_eq!(said["data"]["open"], open, "{said:#}");
    }

    /// The first gate, opened.
    fn approve_schema(&self) {
        self.approve("schema", "Dara", "dba", true);
    }

    /// Through every gate to the end.
    fn forward(&self) -> Value {
        let _ = self.waits("schema", "dba");
        self.approve_schema();
        let _ = self.waits("front-end", "Deploy the front end");
        let _ = self.json(&["confirm", "bi", "front-end-deployed", "--by", "Fatma"], 0);
        let _ = self.waits("production", "tech-lead");
        self.approve("production", "Dara", "dba", false);
        self.approve("production", "Teo", "tech-lead", true);
        let _ = self.waits("production", "dashboard");
        let _ = self.json(&["confirm", "bi", "dashboard", "--by", "Fatma"], 0);
        let _ = self.waits("production", "approv");
        self.approve("production", "Dara", "dba", false);
        self.approve("production", "Teo", "tech-lead", true);
        self.json(&["run", "bi"], 0)
    }

    /// What the catalog says of everything that is not the journal's.
    fn catalog(&self) -> Vec<String> {
        let own = "table_schema = database() AND table_name NOT LIKE 'dunlin%'";
        let asked = [
            format!(
                "SELECT table_name, engine, table_collation, table_comment FROM information_schema.tables WHERE {own} ORDER BY 1"
            ),
            format!(
                "SELECT table_name, ordinal_position, column_name, column_type, is_nullable, column_default, extra, \
                 collation_name, column_comment FROM information_schema.columns WHERE {own} ORDER BY 1, 2"
            ),
            format!(
                "SELECT table_name, index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics \
                 WHERE {own} ORDER BY 1, 2, 3"
            ),
            "SELECT table_name, constraint_name, referenced_table_name, update_rule, delete_rule \
             FROM information_schema.referential_constraints WHERE constraint_schema = database() \
             AND table_name NOT LIKE 'dunlin%' ORDER BY 1, 2"
                .to_owned(),
        ];
        let lines = asked.iter().flat_map(|sql| self.database.run(sql));
        lines.map(|row| format!("{row:?}")).collect()
    }

    /// The tables but for the journal's.
    fn tables(&self) -> Vec<String> {
        let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = database() \
                   AND table_name NOT LIKE 'dunlin%' ORDER BY 1";
        let names = self.database.run(sql).into_iter();
        names
            .map(|mut row| row.swap_remove(0).unwrap_or_default())
            .collect()
    }

    /// The catalog, and every row of every table.
    fn picture(&self) -> Vec<String> {
        let mut lines = self.catalog();
        for table in self.tables() {
            let sql = format!("SELECT * FROM {table} ORDER BY 1");
            let rows = self.database.run(&sql);
            lines.extend(rows.iter().map(|row| format!("{table}: {row:?}")));
        }
        lines
    }

    /// The settings but for their generated numbers.
    fn settings(&self) -> Vec<String> {
        let sql = "SELECT setting_key, setting_value, setting_type, description, is_system \
                   FROM system_settings ORDER BY setting_key";
        let rows = self.database.run(sql);
        rows.iter().map(|row| format!("{row:?}")).collect()
    }

    /// One setting's value.
    fn setting(&self, key: &str) -> String {
        let sql = format!("SELECT setting_value FROM system_settings WHERE setting_key = '{key}'");
        self.database.scalar(&sql)
    }
}

/// The state of a phase, as an answer tells it.
fn state<'a>(answer: &'a Value, phase: &str) -> &'a str {
    let phases = answer["data"]["phases"].as_array().unwrap();
    let found = phases.iter().find(|found| found["id"] == phase).unwrap();
    found["state"].as_str().unwrap()
}
