//! `has`.

use super::*;
use dunlin_core::source::grammar::checks::Has;

fn script(kind: TestEngine) -> &'static str {
    kind.pick(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE); \
         CREATE TABLE chatbots (id INTEGER PRIMARY KEY, user_id INT NOT NULL REFERENCES users (id) ON DELETE CASCADE, \
         name varchar(100), made timestamp); CREATE INDEX idx_user ON chatbots (user_id, made DESC); \
         CREATE UNIQUE INDEX uq_name ON chatbots (user_id, name); CREATE VIEW names AS SELECT name FROM chatbots",
        "CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL UNIQUE); \
         CREATE TABLE chatbots (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users (id) ON DELETE CASCADE, \
         name varchar(100), made timestamp, CONSTRAINT uq_name UNIQUE (user_id, name)); \
         CREATE INDEX idx_user ON chatbots (user_id, made DESC); CREATE VIEW names AS SELECT name FROM chatbots",
        "CREATE TABLE users (id int PRIMARY KEY, email varchar(100) NOT NULL UNIQUE); \
         CREATE TABLE chatbots (id int PRIMARY KEY, user_id int NOT NULL, name varchar(100), made datetime, \
         UNIQUE KEY uq_name (user_id, name), KEY idx_user (user_id, made DESC), \
         CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE); \
         CREATE VIEW names AS SELECT name FROM chatbots",
    )
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

for_each_engine! {
    async fn what_is_there_is_found_and_what_is_not_is_named(kind: TestEngine) {
        let room = Room::with(kind, script(kind)).await;
        let there = Has {
            tables: texts(&["users", "chatbots"]),
            columns: texts(&["chatbots.user_id"]),
            indexes: texts(&[
                "idx_user(user_id, made DESC)", "idx_user", "chatbots.uq_name(user_id, name) unique", "uq_name",
            ]),
            foreign_keys: texts(&[
                "chatbots.user_id -> users.id on delete cascade", "chatbots(user_id) -> users(id)",
                "chatbots.user_id -> users.id on delete cascade on update no action",
            ]),
            views: texts(&["names"]),
        };
        let found = room.now(CheckSpec::Has(there)).await;
        holds(&found);
        assert_eq!(found.observed, "all 11 are there");
        for (lacking, sentence) in [
            (Has { tables: texts(&["user"]), ..Has::default() }, "no table user"),
            (Has { columns: texts(&["chatbots.owner"]), ..Has::default() }, "no column owner"),
            (Has { columns: texts(&["owner"]), ..Has::default() }, "is not `table.column`"),
            (Has { indexes: texts(&["idx_users(user_id)"]), ..Has::default() }, "no index idx_users"),
            (Has { indexes: texts(&["idx_user(made, user_id)"]), ..Has::default() }, "is over (user_id, made desc)"),
            (Has { indexes: texts(&["idx_user(user_id, made)"]), ..Has::default() }, "is over (user_id, made desc)"),
            (Has { indexes: texts(&["chatbots.idx_user(user_id, made desc) unique"]), ..Has::default() }, "is not unique"),
            (Has { foreign_keys: texts(&["chatbots.user_id -> users.id on delete set null"]), ..Has::default() }, "on delete cascade"),
            (Has { foreign_keys: texts(&["chatbots.id -> users.id"]), ..Has::default() }, "no foreign key"),
            (Has { foreign_keys: texts(&["chatbots.user_id -> users.email"]), ..Has::default() }, "no foreign key"),
            (Has { foreign_keys: texts(&["chatbots.user_id"]), ..Has::default() }, "is not `table.column ->"),
            (Has { views: texts(&["users"]), ..Has::default() }, "no view users"),
        ] {
            fails(&room.now(CheckSpec::Has(lacking)).await, sentence);
        }
        // All that is lacking is said at once.
        let many = Has { tables: texts(&["a", "b"]), views: texts(&["c"]), ..Has::default() };
        fails(&room.now(CheckSpec::Has(many)).await, "no table a; there is no table b; there is no view c");
    }
}
