//! A plan made up from a seed: every kind of step that changes a database or saves it, in three phases, on a database
//! with rows of its own; in some plans a step that always fails.

use super::Engine;
use super::generate::Rng;
use std::fmt::Write;

/// A database before a plan, the plan's files, and whether it comes to its end.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What makes the database as it was before, in one go.
    pub before: String,
    /// Name and content of each file.
    pub files: Vec<(String, String)>,
    /// One of its steps fails whenever its turn comes.
    pub fails: bool,
}

/// Counters that steps count up and their undos count down: what would be seen twice.
const COUNTERS: usize = 3;

/// Makes a plan.
pub fn planned(engine: Engine, rng: &mut Rng) -> Planned {
    let mut maker = Maker {
        engine,
        text: String::new(),
        steps: 0,
        fails_at: None,
        rng,
    };
    let fails = maker.rng.chance(0.4);
    if fails {
        // Of the eighteen or so steps of a plan.
        maker.fails_at = Some(2 + maker.rng.below(13));
    }
    maker.plan();
    let fails = fails && maker.fails_at.is_none();
    let text = std::mem::take(&mut maker.text);
    let before = maker.before();
    let toml = "[project]\nname = \"crash\"\n[database.app]\nurl = \"${DATABASE_URL}\"\n";
    let mut files = vec![
        ("dunlin.toml".to_owned(), toml.to_owned()),
        ("crash.plan.toml".to_owned(), text),
    ];
    for (name, content) in MIGRATIONS {
        files.push((format!("migrations/{name}"), (*content).to_owned()));
    }
    Planned {
        before,
        files,
        fails,
    }
}

/// What the plan's `migrate` applies.
const MIGRATIONS: &[(&str, &str)] = &[
    (
        "001_first.sql",
        "CREATE TABLE mig_one (id integer NOT NULL PRIMARY KEY, a integer);\n\
         INSERT INTO mig_one VALUES (1, 1), (2, 2);\n\
         CREATE INDEX mig_one_a ON mig_one (a);\n\
         -- dunlin: undo\nDROP TABLE mig_one;\n",
    ),
    (
        "002_second.sql",
        "ALTER TABLE mig_one ADD COLUMN b integer;\nUPDATE mig_one SET b = a + 1;\n\
         UPDATE crash_count SET n = n + 1 WHERE k = 0;\nCREATE TABLE mig_two (id integer NOT NULL PRIMARY KEY);\n\
         -- dunlin: undo\nDROP TABLE mig_two;\nUPDATE crash_count SET n = n - 1 WHERE k = 0;\n\
         ALTER TABLE mig_one DROP COLUMN b;\n",
    ),
];

struct Maker<'r> {
    engine: Engine,
    text: String,
    steps: usize,
    /// The step, counted from the plan's first, before which one that fails stands.
    fails_at: Option<usize>,
    rng: &'r mut Rng,
}

impl Maker<'_> {
    fn before(&mut self) -> String {
        let rows = 200 + self.rng.below(1_500);
        let mut text = String::from(
            "CREATE TABLE crash_count (k integer NOT NULL PRIMARY KEY, n integer NOT NULL);\n\
             CREATE TABLE settings (skey varchar(60) NOT NULL PRIMARY KEY, svalue varchar(200));\n\
             INSERT INTO settings (skey, svalue) VALUES ('theme', 'dark'), ('mode', 'old');\n\
             CREATE TABLE people (id integer NOT NULL PRIMARY KEY, phone varchar(40) NOT NULL, name varchar(60));\n\
             CREATE UNIQUE INDEX people_phone ON people (phone);\n\
             CREATE VIEW people_names AS SELECT id, name FROM people;\n",
        );
        if self.engine == Engine::Sqlite {
            // A rebuild writes the name in quotes, there and back.
            text = text.replace("CREATE TABLE people", "CREATE TABLE \"people\"");
        }
        for row in 0..COUNTERS {
            let _ = writeln!(text, "INSERT INTO crash_count VALUES ({row}, 100);");
        }
        let join = match self.engine {
            Engine::Mariadb | Engine::Mysql => "CONCAT('+90 ', x.i * 100 + y.i), CONCAT('n', y.i)",
            Engine::Sqlite | Engine::Postgres => "'+90 ' || (x.i * 100 + y.i), 'n' || y.i",
        };
        let _ = writeln!(
            text,
            "INSERT INTO people (id, phone, name) WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99) \
             SELECT x.i * 100 + y.i + 1, {join} FROM n x, n y WHERE x.i * 100 + y.i < {rows};"
        );
        text
    }

    fn plan(&mut self) {
        let on_failure = ["undo-phase", "undo-plan"][self.rng.below(2)];
        let _ = writeln!(
            self.text,
            "name = \"crash\"\ndatabase = \"app\"\non_failure = \"{on_failure}\""
        );
        self.phase("ground", "none", GROUND);
        let backup = ["checkpoint", "none"][self.rng.below(2)];
        self.phase("bound", backup, BOUND);
        self.phase("rest", "none", REST);
    }

    fn phase(&mut self, id: &str, backup: &str, steps: &[&str]) {
        let _ = writeln!(
            self.text,
            "\n[[phase]]\nid = \"{id}\"\nbackup = \"{backup}\""
        );
        let checks = match id {
            "ground" => GROUND_CHECKS,
            "bound" => BOUND_CHECKS,
            _ => REST_CHECKS,
        };
        self.text.push_str(checks);
        for step in steps {
            if self.fails_at.is_some_and(|at| at <= self.steps) {
                self.fails_at = None;
                self.step(
                    "sql = \"INSERT INTO nowhere_at_all (id) VALUES (1)\"\nundo = { none = \"it never does anything\" }",
                );
            }
            let (own, serial) = match self.engine {
                Engine::Sqlite => ("integer", "INTEGER PRIMARY KEY"),
                Engine::Postgres => (
                    "integer",
                    "integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
                ),
                Engine::Mariadb | Engine::Mysql => {
                    ("int", "int NOT NULL AUTO_INCREMENT PRIMARY KEY")
                }
            };
            let batch = (20 + self.rng.below(100)).to_string();
            let step = step
                .replace("{int}", own)
                .replace("{serial}", serial)
                .replace("{batch}", &batch);
            self.step(&step);
            if self.rng.chance(0.4) {
                self.count();
            }
        }
    }

    /// A statement whose effect would be seen twice, and the one that takes it back.
    fn count(&mut self) {
        let row = self.rng.below(COUNTERS);
        self.step(&format!(
            "sql = \"UPDATE crash_count SET n = n + 1 WHERE k = {row}\"\nundo = \"UPDATE crash_count SET n = n - 1 WHERE k = {row}\""
        ));
    }

    fn step(&mut self, body: &str) {
        self.steps += 1;
        let _ = writeln!(
            self.text,
            "\n[[phase.step]]\nid = \"step-{}\"\n{body}",
            self.steps
        );
    }
}

const GROUND: &[&str] = &[
    "sql = \"\"\"\nCREATE TABLE teams (id {int} NOT NULL PRIMARY KEY, title varchar(60) NOT NULL);\n\
     CREATE INDEX teams_title ON teams (title);\nINSERT INTO teams (id, title) VALUES (1, 'one'), (2, 'two');\n\
     CREATE VIEW team_titles AS SELECT title FROM teams;\n\"\"\"",
    "add_columns = { table = \"people\", columns = [\"team_id {int}\", \"note varchar(40)\"] }",
    "backfill = { table = \"people\", set = \"team_id = 1 + id % 2, note = 'filled'\", where = \"team_id IS NULL\", \
     batch = {batch}, pause = \"0s\", new_rows = \"trigger\" }",
    "index = { name = \"people_team\", table = \"people\", columns = [\"team_id\"] }",
];

const GROUND_CHECKS: &str = r#"
[[phase.check]]
id = "people-there"
when = "before"
sql = "SELECT count(*) FROM people"
expect = ">= 200"
[[phase.check]]
id = "all-filled"
sql = "SELECT count(*) FROM people WHERE team_id IS NULL OR note IS NULL"
expect = "= 0"
[[phase.check]]
id = "nobody-lost"
kept = { table = "people", except = ["team_id", "note"] }
"#;

const BOUND: &[&str] = &[
    "sql = \"DROP VIEW people_names\"",
    "require = { table = \"people\", not_null = [\"team_id\"], unique = [[\"team_id\", \"phone\"]], \
     foreign_keys = [\"team_id -> teams(id)\"], checks = [\"team_id > 0\"], drops = [\"people_phone\"] }",
    "settings = { table = \"settings\", key = [\"skey\"], rows = [{ skey = \"mode\", svalue = \"new\" }, \
     { skey = \"extra\", svalue = \"o'neill\" }] }",
    "exec = { run = \"mkdir done-outside\", probe = \"test -d done-outside\" }\nundo = { exec = \"rm -rf done-outside\" }",
];

const BOUND_CHECKS: &str = r#"
[[phase.check]]
id = "bound"
has = { tables = ["teams"], columns = ["people.team_id"], foreign_keys = ["people.team_id -> teams.id"] }
[[phase.check]]
id = "same-people"
unchanged = "SELECT count(*), sum(id), sum(team_id) FROM people"
"#;

const REST: &[&str] = &[
    // Statements that only the whole undo takes back, with DDL between.
    "sql = \"\"\"\nCREATE TABLE audit (id {int} NOT NULL PRIMARY KEY);\nUPDATE crash_count SET n = n * 2 WHERE k = 1;\n\
     ALTER TABLE audit ADD COLUMN what varchar(40);\nINSERT INTO audit (id, what) VALUES (1, 'x');\n\"\"\"\n\
     undo = \"\"\"\nDELETE FROM audit;\nALTER TABLE audit DROP COLUMN what;\nUPDATE crash_count SET n = n / 2 WHERE k = 1;\n\
     DROP TABLE audit;\n\"\"\"",
    "checkpoint = { name = \"half-way\", tables = [\"people\", \"settings\"] }",
    "migrate = { to = \"latest\" }",
    "sql = \"\"\"\nCREATE TABLE visits (id {serial}, person {int} NOT NULL, CONSTRAINT visits_person FOREIGN KEY (person) \
     REFERENCES people (id));\nINSERT INTO visits (id, person) VALUES (1, 1), (2, 2), (3, 3);\n\
     ALTER TABLE teams ADD COLUMN size {int};\n\"\"\"",
    "backfill = { table = \"teams\", set = \"size = (SELECT count(*) FROM people p WHERE p.team_id = teams.id)\", \
     batch = 1, pause = \"0s\", new_rows = \"none\" }",
];

const REST_CHECKS: &str = r#"
[[phase.check]]
id = "settings-as-they-were"
untouched = { tables = ["settings"], rows = true }
[[phase.check]]
id = "nobody-visits-twice"
refuses = { sql = "INSERT INTO visits (id, person) VALUES (1, 2)", because = "unique" }
"#;

#[cfg(test)]
mod tests {
    use super::planned;
    use crate::crash::{Engine, generate::Rng};

    #[test]
    fn a_seed_gives_the_same_plan_again_and_some_of_them_fail() {
        for engine in Engine::ALL {
            let fail = (0..50).filter(|seed| {
                let one = planned(engine, &mut Rng::new(*seed));
                let two = planned(engine, &mut Rng::new(*seed));
                assert_eq!(one.files, two.files);
                let text = &one.files[1].1;
                assert!(
                    !text.contains("{int}") && !text.contains("{batch}"),
                    "{text}"
                );
                assert_eq!(one.fails, text.contains("nowhere_at_all"));
                one.fails
            });
            assert!((10..40).contains(&fail.count()));
        }
    }
}
