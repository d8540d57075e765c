//! What arrives, and that the proof sees what does not.

use super::{Ends, all_equal};
use dunlin_testkit::for_each_engine;
use serde_json::json;

const SHOP: &str = "
CREATE TABLE customers (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email VARCHAR(80) UNIQUE,
  vip BOOLEAN DEFAULT 0, born DATE, note TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  total NUMERIC NOT NULL CHECK (total >= 0), placed DATETIME, raw BLOB, weight REAL);
CREATE TABLE \"odd \"\"name\" (a INTEGER, \"b c\" TEXT, PRIMARY KEY (\"b c\", a));
CREATE INDEX orders_placed ON orders (placed DESC);
INSERT INTO customers VALUES (1, 'Ayşe 🚚', 'a@x', 1, '2000-02-29', ''), (2, 'رضا', NULL, 0, NULL, char(9) || 'tab\\N' || char(10)),
  (100, 'gone', 'g@x', 0, '1999-12-31', 'trail  ');
DELETE FROM customers WHERE id = 100;
INSERT INTO orders VALUES (1, 1, 12.5, '2024-02-29 12:00:00.123456', x'00ff5c0a', 3.141592653589793),
  (2, 1, 0, '2024-02-29 12:00:00', x'', 1e308), (3, 2, 1000000.01, NULL, NULL, -0.5);
INSERT INTO \"odd \"\"name\" VALUES (1, 'x'), (2, 'x'), (1, 'é');
";

for_each_engine! {
    async fn a_shop_arrives_whole_and_its_next_customer_is_the_hundred_and_first(engine: TestEngine) {
        let ends = Ends::new(engine, SHOP);
        let ran = ends.copy(&[]).code(0);
        let json = ran.json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(json["data"]["equal"], true);
        let rows: Vec<_> = json["data"]["tables"].as_array().unwrap().iter()
            .map(|table| table["rows_target"].as_u64().unwrap()).collect();
        assert_eq!(rows.iter().sum::<u64>(), 8, "{json:#}");
        let quoted = |name: &str| engine.pick(&format!("\"{name}\""), &format!("\"{name}\""), &format!("`{name}`")).to_owned();
        let (customers, orders) = (quoted("customers"), quoted("orders"));
        assert_eq!(ends.target.scalar(&format!("SELECT name FROM {customers} WHERE id = 1")), "Ayşe 🚚");
        let _ = ends.target.run(&format!("INSERT INTO {customers} (name) VALUES ('next')"));
        assert_eq!(ends.target.scalar(&format!("SELECT max(id) FROM {customers}")), "101");
        // What the source refuses, the target refuses.
        for refused in [
            format!("INSERT INTO {customers} (name, email) VALUES ('twice', 'a@x')"),
            format!("INSERT INTO {customers} (name) VALUES (NULL)"),
            format!("INSERT INTO {orders} (id, customer_id, total) VALUES (9, 1, -1)"),
            format!("INSERT INTO {orders} (id, customer_id, total) VALUES (1, 1, 1)"),
        ] {
            assert!(ends.target.try_run(&refused).is_err(), "{refused}");
        }
    }

    async fn verify_names_rows_and_columns(engine: TestEngine) {
        let ends = Ends::new(engine, SHOP);
        let _ = ends.copy(&[]).code(0);
        let (code, json) = ends.verify();
        assert_eq!((code, &json["data"]["equal"]), (0, &json!(true)), "{json:#}");
        let _ = ends.target.run("UPDATE customers SET note = 'other' WHERE id = 2");
        let _ = ends.target.run("DELETE FROM orders WHERE id = 3");
        let (code, json) = ends.verify();
        assert_eq!(code, 5, "{json:#}");
        let found = json["data"]["differences"].as_array().unwrap();
        assert_eq!(found.len(), 2, "{json:#}");
        let of = |table: &str| found.iter().find(|one| one["table"] == table).unwrap();
        assert_eq!(of("customers")["key"], json!({ "id": 2 }));
        assert_eq!(of("customers")["columns"], json!(["note"]));
        assert_eq!((&of("orders")["key"], &of("orders")["in"]), (&json!({ "id": 3 }), &json!("source")));
    }

    async fn a_value_that_does_not_fit_stops_is_rejected_or_bent_as_asked(engine: TestEngine) {
        let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME);
            INSERT INTO t VALUES (1, '2024-01-01 00:00:00'), (2, '2024-06-01 00:00:00'), (3, '0000-00-00');
            CREATE TABLE u (id INTEGER PRIMARY KEY); INSERT INTO u VALUES (1);";
        let cast = "[columns.\"t.at\"]\ntype = \"TYPE\"\n".replace("TYPE", engine.pick("DATETIME", "timestamp without time zone", "datetime(6)"));
        if engine.pick("as it is", "", "") == "as it is" {
            // SQLite to SQLite every value goes over in its own class: there is nothing that does not fit.
            let ends = Ends::new(engine, sql);
            let json = ends.copy(&[]).code(0).json();
            assert!(all_equal(&json), "{json:#}");
            return;
        }
        let ends = Ends::new(engine, sql);
        ends.sandbox.write("cast.toml", &cast);
        let failed = ends.copy(&["--cast", "cast.toml"]).code(1);
        let json = failed.json();
        assert_eq!(json["failure"]["code"], "zero-date", "{json:#}");
        assert!(json["failure"]["message"].as_str().unwrap().contains("id = 3"), "{json:#}");
        let ends = Ends::new(engine, sql);
        ends.sandbox.write("cast.toml", &cast);
        let json = ends.copy(&["--cast", "cast.toml", "--on-error", "reject", "--rejects", "r.ndjson"]).code(8).json();
        assert!(all_equal(&json), "{json:#}");
        let line: serde_json::Value = serde_json::from_str(ends.sandbox.read("r.ndjson").trim()).unwrap();
        assert_eq!((&line["table"], &line["column"], &line["code"]), (&json!("t"), &json!("at"), &json!("zero-date")));
        assert_eq!((&line["key"], &line["raw"]), (&json!({ "id": 3 }), &json!("303030302d30302d3030")));
        let ends = Ends::new(engine, sql);
        ends.sandbox.write("cast.toml", &cast);
        let json = ends.copy(&["--cast", "cast.toml", "--policy", "zero-date=coerce"]).code(0).json();
        assert_eq!(json["data"]["lossy"].as_array().unwrap().iter().filter(|one| one["kind"] == "zero-date").count(), 1, "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM t WHERE at IS NULL"), "1");
    }

    async fn rows_are_added_or_replaced_in_tables_that_are_there(engine: TestEngine) {
        let ends = Ends::new(engine, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');");
        let _ = ends.target.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, name varchar(20))");
        let _ = ends.target.run("INSERT INTO t VALUES (7, 'mine')");
        let _ = ends.copy(&[]).code(4);
        let json = ends.copy(&["--into-existing", "append"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "3");
        let json = ends.copy(&["--into-existing", "replace"]).code(0).json();
        assert!(all_equal(&json), "{json:#}");
        assert_eq!(ends.target.scalar("SELECT count(*) FROM t"), "2");
    }

    async fn a_trigger_that_changes_one_row_in_ten_thousand_is_caught(engine: TestEngine) {
        let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);
            INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, 'n' || i FROM n;";
        let ends = Ends::new(engine, sql);
        let _ = ends.target.run("CREATE TABLE t (id int NOT NULL PRIMARY KEY, name varchar(20))");
        for statement in engine.pick(
            "CREATE TRIGGER bend AFTER INSERT ON t WHEN new.id = 12345 BEGIN UPDATE t SET name = 'bent' WHERE id = 12345; END",
            "CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.id = 12345 THEN new.name = 'bent'; END IF; \
             RETURN new; END $$;;CREATE TRIGGER bend BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION bend()",
            "CREATE TRIGGER bend BEFORE INSERT ON t FOR EACH ROW SET new.name = IF(new.id = 12345, 'bent', new.name)",
        ).split(";;") {
            let _ = ends.target.run(statement);
        }
        let json = ends.copy(&["--into-existing", "append"]).code(5).json();
        assert_eq!(json["data"]["equal"], false, "{json:#}");
        let (code, json) = ends.verify();
        assert_eq!(code, 5);
        assert_eq!(json["data"]["differences"][0]["key"], json!({ "id": 12345 }), "{json:#}");
        assert_eq!(json["data"]["differences"][0]["columns"], json!(["name"]), "{json:#}");
    }
}
