//! Point 11: old conversations are archived, orphans removed, tables tidied, with sizes, indexes and slow queries.

use crate::Shop;
use dunlin_testkit::TestDatabase;
use dunlin_testkit::servers::{Kind, Options, Server};
use serde_json::Value;

on_both!(point_11_the_shop_is_kept_tidy_and_a_cleaning_is_taken_back);

const OLD: &str = "INSERT INTO wp_woo_ai_conversations (id, user_id, session_id, status, created_at, updated_at) VALUES \
    (11, 1, 'old', 'completed', '2020-01-01 00:00:00', '2020-01-02 00:00:00'), \
    (12, 1, 'long', 'active', '2020-01-01 00:00:00', '2020-01-02 00:00:00'), \
    (13, 99, 'whose', 'active', '2026-01-01 00:00:00', '2026-01-01 00:00:00'); \
    INSERT INTO wp_woo_ai_messages (conversation_id, role, content, created_at) VALUES \
    (11, 'user', 'کفش 👟', '2020-01-01 00:00:00'), (12, 'user', 'recent', '2026-01-01 00:00:00'), (13, 'user', 'whose?', '2026-01-01 00:00:00')";

fn numbers(answer: &Value, id: &str, what: &str) -> u64 {
    let rules = answer["data"]["rules"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["id"] == id).unwrap();
    rule[what].as_u64().unwrap()
}

fn point_11_the_shop_is_kept_tidy_and_a_cleaning_is_taken_back(kind: Kind) {
    let shop = Shop::active(kind);
    shop.database.run(OLD);
    shop.database
        .run("CREATE INDEX superfluous ON wp_woo_ai_knowledge_base (content_type)");
    let tables = "digest --format json";
    let of = |table: &str| {
        let answer = shop.dunlin(tables).success().json();
        let all = answer["data"]["tables"].as_array().unwrap().clone();
        let found = all.into_iter().find(|one| one["table"] == table).unwrap();
        found["digest"].as_str().unwrap().to_owned()
    };
    let before = (of("wp_woo_ai_conversations"), of("wp_woo_ai_messages"));
    found(&shop, kind);
    let told = shop
        .dunlin("clean --dry-run --format json")
        .success()
        .json();
    let done = shop.dunlin("clean --format json").success().json();
    for id in [
        "old-messages",
        "old-conversations",
        "conversations-of-nobody",
    ] {
        for what in ["removed", "changed"] {
            assert_eq!(
                numbers(&told, id, what),
                numbers(&done, id, what),
                "{id} {what}"
            );
        }
    }
    assert_eq!(
        shop.database
            .scalar("SELECT content FROM wp_woo_ai_messages_archive"),
        "کفش 👟"
    );
    assert_eq!(
        shop.database
            .scalar("SELECT group_concat(id) FROM wp_woo_ai_conversations_archive"),
        "11"
    );
    assert_eq!(
        shop.database
            .scalar("SELECT count(*) FROM wp_woo_ai_conversations WHERE id IN (11, 13)"),
        "0"
    );
    assert_eq!(
        shop.database.scalar("SELECT count(*) FROM wp_users"),
        "2",
        "the host's rows are the host's"
    );
    let tidied = done["data"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["id"] == "tidy")
        .unwrap();
    assert!(tidied["bytes_before"].as_u64().unwrap() > 0, "{tidied:#}");
    assert!(tidied["bytes_after"].as_u64().unwrap() > 0, "{tidied:#}");
    let _ = shop.dunlin("check").success();
    let _ = shop.dunlin("clean --undo").success();
    assert_eq!(
        (of("wp_woo_ai_conversations"), of("wp_woo_ai_messages")),
        before
    );
}

/// What `check` counts, and what it says of the indexes.
fn found(shop: &Shop, kind: Kind) {
    let checked = shop.dunlin("check --format json").code(5).json();
    assert_eq!(numbers(&checked, "old-messages", "violations"), 1);
    assert_eq!(numbers(&checked, "old-conversations", "violations"), 1);
    assert_eq!(
        numbers(&checked, "conversations-of-nobody", "violations"),
        1
    );
    let findings = checked["findings"].as_array().unwrap();
    let said = |code: &str, words: &str| {
        let of_code = |one: &&Value| one["code"] == code;
        let mut found = findings.iter().filter(of_code);
        found.any(|one| one["message"].as_str().unwrap().contains(words))
    };
    assert!(
        said(
            "index-redundant",
            "index superfluous of wp_woo_ai_knowledge_base"
        ),
        "{checked:#}"
    );
    if kind == Kind::Mysql {
        // MariaDB keeps no count unless it was started with one.
        assert!(
            findings.iter().any(|one| one["code"] == "index-unused"),
            "{checked:#}"
        );
    }
}

/// On a server of its own: the shared one counts so many statements of other tests that it takes in no more.
#[test]
fn point_11_slow_queries_are_shown_with_their_plans() {
    let server = Server::private(Kind::Mysql, Options::default());
    let shop = Shop::on(TestDatabase::on(&server));
    let _ = shop.dunlin("up --to 001 --no-backup").success();
    shop.database.run(crate::CUSTOMERS);
    let _ = shop
        .database
        .scalar("SELECT count(*) FROM wp_woo_ai_messages WHERE content LIKE '%sipariş%'");
    let shown = shop.dunlin("check tidy").success().stdout;
    assert!(
        shown.contains("ran 1 times") && shown.contains("plan: "),
        "{shown}"
    );
    assert!(shown.contains("wp_woo_ai_messages"), "{shown}");
}
