//! Point 12: the errors that a host will meet, each with a plain sentence and a hint.

use crate::Shop;
use dunlin_testkit::servers::{Kind, Server};

on_both!(
    point_12_a_table_of_another_shape_is_not_passed_over_in_silence,
    point_12_a_table_that_is_there_already,
    point_12_a_referenced_table_is_missing,
    point_12_an_index_name_is_taken,
    point_12_types_do_not_match,
    point_12_a_right_is_missing_and_the_grant_is_named,
    point_12_the_server_is_gone,
);

/// Runs a script as 005 of an active shop: it must fail with this code, a hint, and nothing left behind.
fn fails(kind: Kind, sql: &str, code: &str, words: &[&str]) {
    let shop = Shop::active(kind);
    let before = shop.picture();
    shop.sandbox.write(
        "migrations/005_new.sql",
        format!("-- dunlin: irreversible = \"fails\"\n{sql}\n"),
    );
    let answer = shop.dunlin("up --format json").code(1).json();
    let failure = &answer["failure"];
    assert_eq!(failure["code"], code, "{failure}");
    assert!(
        !failure["hints"].as_array().unwrap().is_empty(),
        "a hint: {failure}"
    );
    let text = failure.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` in {text}");
    }
    assert_eq!(shop.picture(), before);
}

fn point_12_a_table_of_another_shape_is_not_passed_over_in_silence(kind: Kind) {
    let shop = Shop::new(kind);
    shop.database
        .run("CREATE TABLE wp_woo_ai_settings (id INT PRIMARY KEY, name VARCHAR(20))");
    let answer = shop.dunlin("up --to 001 --format json").code(1).json();
    let failure = &answer["failure"];
    assert!(
        failure["code"].as_str().unwrap().contains("shape"),
        "{failure}"
    );
    assert!(
        failure["message"]
            .as_str()
            .unwrap()
            .contains("wp_woo_ai_settings"),
        "{failure}"
    );
    assert!(
        !failure["hints"].as_array().unwrap().is_empty(),
        "{failure}"
    );
    assert_eq!(
        shop.tables().0,
        ["wp_woo_ai_settings"],
        "what was made before it is taken back, and it stays"
    );
}

fn point_12_a_table_that_is_there_already(kind: Kind) {
    fails(
        kind,
        "CREATE TABLE {prefix}woo_ai_tags (id INT);",
        "object-exists",
        &["wp_woo_ai_tags"],
    );
}

fn point_12_a_referenced_table_is_missing(kind: Kind) {
    let sql = "CREATE TABLE {prefix}woo_ai_x (id INT PRIMARY KEY, o INT, FOREIGN KEY (o) REFERENCES {prefix}woo_orders (id));";
    fails(kind, sql, "foreign-key-violated", &["woo_ai_x"]);
}

fn point_12_an_index_name_is_taken(kind: Kind) {
    fails(
        kind,
        "CREATE INDEX idx_tag ON {prefix}woo_ai_conversation_tags (created_at);",
        "object-exists",
        &["idx_tag"],
    );
}

fn point_12_types_do_not_match(kind: Kind) {
    let sql = "ALTER TABLE {prefix}woo_ai_action_logs ADD COLUMN conversation_id INT NULL, \
               ADD CONSTRAINT x_fk FOREIGN KEY (conversation_id) REFERENCES {prefix}woo_ai_conversations (id);";
    fails(kind, sql, "foreign-key-violated", &[]);
}

fn point_12_a_right_is_missing_and_the_grant_is_named(kind: Kind) {
    let mut shop = Shop::new(kind);
    let user = format!("u{}", shop.database.name());
    let user = &user[..user.len().min(30)];
    let name = shop.database.name();
    shop.database.run(&format!(
        "CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'; GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO '{user}'@'%'"
    ));
    let url = Server::shared(kind).url_as(user, "pw", name);
    shop.sandbox.set("SHOP_DATABASE_URL", url);
    let answer = shop.dunlin("up --format json").code(4).json();
    let failure = &answer["failure"];
    assert_eq!(failure["code"], "rights-missing", "{failure}");
    assert!(failure["hints"].to_string().contains("GRANT"), "{failure}");
    assert!(!answer.to_string().contains("pw@"), "no password: {answer}");
    shop.database.run(&format!("DROP USER '{user}'@'%'"));
}

fn point_12_the_server_is_gone(kind: Kind) {
    let mut shop = Shop::new(kind);
    let url = format!("{}://root:geheim@127.0.0.1:1/shop", kind.name());
    shop.sandbox.set("SHOP_DATABASE_URL", url);
    let answer = shop.dunlin("up --format json").code(4).json();
    assert_eq!(answer["failure"]["code"], "unreachable", "{answer}");
    assert!(
        answer["failure"]["hints"].to_string().contains("--wait"),
        "{answer}"
    );
    assert!(
        !answer.to_string().contains("geheim"),
        "no password: {answer}"
    );
}
