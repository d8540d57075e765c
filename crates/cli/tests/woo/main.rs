//! Case A whole: the shop plugin of `examples/01-woo-assistant` on MariaDB and MySQL, each point of its list by a test.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dunlin_testkit::TestDatabase;
use dunlin_testkit::sandbox::{Ran, Sandbox};
use dunlin_testkit::servers::{Kind, Server};
use std::path::Path;

/// One test per server: `mariadb::name` and `mysql::name`.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod mariadb { $( #[test] fn $name() { super::$name(dunlin_testkit::servers::Kind::Mariadb); } )* }
        mod mysql { $( #[test] fn $name() { super::$name(dunlin_testkit::servers::Kind::Mysql); } )* }
    };
}

mod backups;
mod errors;
mod everyday;
mod maintenance;
mod trouble;

/// What the host has before the plugin comes: WordPress' users and posts, under the prefix that the host chose.
const HOST: &str = "CREATE TABLE wp_users (ID BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, \
    user_login VARCHAR(60) NOT NULL, display_name VARCHAR(250) NOT NULL) DEFAULT CHARSET=utf8mb4; \
    INSERT INTO wp_users (user_login, display_name) VALUES ('ayse', 'Ayşe Yılmaz'), ('reza', 'رضا'); \
    CREATE TABLE wp_posts (ID BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, post_title TEXT NOT NULL) DEFAULT CHARSET=utf8mb4; \
    INSERT INTO wp_posts (post_title) VALUES ('Hello 👋')";

/// What customers did between 001 and 004.
const CUSTOMERS: &str = "INSERT INTO wp_woo_ai_conversations (id, user_id, session_id, rating, total_messages) VALUES \
    (1, 1, 'a', 5, 9), (2, NULL, 'b', 2, 0), (3, 2, 'c', NULL, 0); \
    INSERT INTO wp_woo_ai_messages (conversation_id, role, content) VALUES \
    (1, 'user', 'Siparişim nerede?'), (1, 'assistant', 'On its way 🚚'), (2, 'user', '؟')";

/// A host with the plugin's folder, before activation.
struct Shop {
    sandbox: Sandbox,
    database: TestDatabase,
}

impl Shop {
    fn new(kind: Kind) -> Shop {
        Shop::on(TestDatabase::on(Server::shared(kind)))
    }

    fn on(database: TestDatabase) -> Shop {
        database.run(HOST);
        let mut sandbox = Sandbox::new();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/01-woo-assistant");
        dunlin_testkit::console::copy_into(&sandbox, &example, ".");
        sandbox
            .set("SHOP_DATABASE_URL", database.url())
            .set("HOSTNAME", "host");
        Shop { sandbox, database }
    }

    /// The same, activated: everything applied, with customers in it.
    fn active(kind: Kind) -> Shop {
        let shop = Shop::new(kind);
        let _ = shop.dunlin("up --to 001 --no-backup").success();
        shop.database.run(CUSTOMERS);
        let _ = shop.dunlin("up --no-backup").success();
        shop
    }

    /// Runs a command line (split at blanks).
    fn dunlin(&self, line: &str) -> Ran {
        self.sandbox.dunlin(line.split_whitespace())
    }

    /// The versions that count as applied.
    fn applied(&self) -> Vec<String> {
        let status = self.dunlin("status --format json").success().json();
        let lines = status["data"]["migrations"].as_array().unwrap().clone();
        let applied = lines.iter().filter(|line| line["state"] == "applied");
        applied
            .map(|line| line["version"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The plugin's tables and views, then the host's.
    fn tables(&self) -> (Vec<String>, Vec<String>) {
        let names = "SELECT table_name FROM information_schema.tables WHERE table_schema = database() \
                     AND table_name NOT LIKE 'dunlin%' ORDER BY table_name";
        let names = self
            .database
            .run(names)
            .into_iter()
            .filter_map(|row| row.into_iter().next().flatten());
        names.partition(|name| name.contains("woo_ai_"))
    }

    /// Everything the catalog says of the plugin's objects, and every row of them but for clocks.
    fn picture(&self) -> Vec<String> {
        let catalog = [
            "SELECT table_name, column_name, ordinal_position, column_type, is_nullable, column_default, extra \
             FROM information_schema.columns WHERE table_schema = database() AND table_name LIKE '%woo\\_ai%' ORDER BY 1, 3",
            "SELECT table_name, index_name, seq_in_index, column_name, non_unique FROM information_schema.statistics \
             WHERE table_schema = database() AND table_name LIKE '%woo\\_ai%' ORDER BY 1, 2, 3",
            "SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name \
             FROM information_schema.key_column_usage WHERE table_schema = database() \
             AND table_name LIKE '%woo\\_ai%' ORDER BY 1, 2, ordinal_position",
            "SELECT table_name, view_definition FROM information_schema.views WHERE table_schema = database() ORDER BY 1",
        ];
        let mut lines = vec![];
        for sql in catalog {
            let own = format!("`{}`.", self.database.name());
            lines.extend(
                self.database
                    .run(sql)
                    .iter()
                    .map(|row| format!("{row:?}").replace(&own, "")),
            );
        }
        for table in self
            .tables()
            .0
            .iter()
            .filter(|name| !name.ends_with("_summary"))
        {
            // Counters go on where a transaction was rolled back: gaps in them are the server's, and no difference.
            let columns = format!(
                "SELECT group_concat(column_name ORDER BY ordinal_position) FROM information_schema.columns \
                 WHERE table_schema = database() AND table_name = '{table}' AND data_type <> 'datetime' \
                 AND extra NOT LIKE '%auto_increment%'"
            );
            let columns = self.database.scalar(&columns);
            let rows = self
                .database
                .run(&format!("SELECT {columns} FROM {table} ORDER BY 1, 2"));
            lines.extend(rows.iter().map(|row| format!("{table}: {row:?}")));
        }
        lines
    }
}

/// The codes of all findings of a JSON answer.
fn codes(answer: &serde_json::Value) -> Vec<String> {
    let findings = answer["findings"].as_array().cloned().unwrap_or_default();
    findings
        .iter()
        .map(|finding| finding["code"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// The example's README shows what happens on MariaDB.
#[test]
fn the_example_shows_what_happens() {
    let database = TestDatabase::on(Server::shared(Kind::Mariadb));
    database.run(HOST);
    let mut shell = dunlin_testkit::console::shell();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/01-woo-assistant");
    dunlin_testkit::console::copy_into(&shell, &example, ".");
    shell.set("SHOP_DATABASE_URL", database.url());
    let address = format!("127.0.0.1:{}", Server::shared(Kind::Mariadb).port());
    let names = [
        (database.name(), "shop"),
        (address.as_str(), "db.host.example"),
    ];
    dunlin_testkit::console::check(&example.join("README.md"), &shell, &names);
}
