//! Points 3 and 13: a backup before the first statement, and hosts that allow nothing.

use crate::{Shop, codes};
use dunlin_testkit::servers::{Kind, Server};

on_both!(
    point_03_a_backup_is_made_verified_and_named_before_the_first_statement,
    point_03_no_write_happens_where_the_backup_fails,
    point_13_without_tools_and_rights_the_backup_is_our_own_and_says_so,
);

/// Asks for a backup before every `up`.
fn always(shop: &Shop) {
    let toml = shop.sandbox.read("dunlin.toml");
    shop.sandbox.write(
        "dunlin.toml",
        toml.replacen("owns = ", "backup = \"always\"\nowns = ", 1),
    );
}

/// What a manifest says.
fn manifest(path: &str) -> serde_json::Value {
    let json = path.replace(".dunlin", ".json");
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

fn tables(manifest: &serde_json::Value) -> Vec<&str> {
    let tables = manifest["tables"].as_array().unwrap();
    tables
        .iter()
        .map(|table| table["table"].as_str().unwrap())
        .collect()
}

fn point_03_a_backup_is_made_verified_and_named_before_the_first_statement(kind: Kind) {
    let shop = Shop::new(kind);
    let _ = shop.dunlin("up --to 001 --no-backup").success();
    shop.database.run(crate::CUSTOMERS);
    let before = shop.dunlin("digest wp_woo_ai_messages --format json");
    let before = before.success().json()["data"]["tables"][0].clone();
    assert_eq!(before["rows"], 3);
    always(&shop);
    let up = shop.dunlin("up --to 002").success();
    let named = up.stdout.lines().chain(up.stderr.lines());
    let named: Vec<_> = named.filter(|line| line.contains(".dunlin")).collect();
    assert!(!named.is_empty(), "{}\n{}", up.stdout, up.stderr);
    let up = shop.dunlin("up --format json").success().json();
    let path = up["data"]["backup"].as_str().unwrap();
    let made = manifest(path);
    let how = made["verified"].as_str().unwrap();
    assert!(how.contains("restored and compared"), "{how}");
    // What 003 and 004 change is not in it yet: 004 writes into the analytics.
    let of = |name: &str| {
        let all = made["tables"].as_array().unwrap();
        all.iter()
            .find(|table| table["table"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(of("wp_woo_ai_analytics")["rows"], 0);
    assert_eq!(of("wp_woo_ai_messages")["digest"], before["digest"]);
    let now = "SELECT count(*) FROM wp_woo_ai_analytics";
    assert_ne!(shop.database.scalar(now), "0");
    // Nothing to do: nothing is backed up.
    let up = shop.dunlin("up --format json").success().json();
    assert!(up["data"]["backup"].is_null(), "{up}");
}

fn point_03_no_write_happens_where_the_backup_fails(kind: Kind) {
    let shop = Shop::new(kind);
    always(&shop);
    shop.sandbox
        .write("backups", "a file where the folder should be");
    let up = shop.dunlin("up --format json").code(4).json();
    let message = up["failure"]["message"].as_str().unwrap();
    assert!(message.contains("no migration was applied"), "{message}");
    assert!(shop.tables().0.is_empty(), "{:?}", shop.tables().0);
    let units = "SELECT count(*) FROM dunlin_journal WHERE scope = 'unit'";
    if shop.database.has_table("dunlin_journal") {
        assert_eq!(shop.database.scalar(units), "0");
    }
    std::fs::remove_file(shop.sandbox.path("backups")).unwrap();
    let _ = shop.dunlin("up").success();
}

fn point_13_without_tools_and_rights_the_backup_is_our_own_and_says_so(kind: Kind) {
    let mut shop = Shop::new(kind);
    let name = shop.database.name().to_owned();
    let user = format!("v{name}");
    let user = &user[..user.len().min(30)];
    // What hosts give: everything in one database, and no database beside it.
    shop.database.run(&format!(
        "CREATE USER '{user}'@'%' IDENTIFIED BY 'pass'; GRANT ALL ON `{name}`.* TO '{user}'@'%'"
    ));
    let url = Server::shared(kind).url_as(user, "pass", &name);
    shop.sandbox.set("SHOP_DATABASE_URL", url);
    shop.sandbox.write("bin/nothing", "");
    let path = shop.sandbox.path("bin").display().to_string();
    shop.sandbox.set("PATH", path);
    let _ = shop.dunlin("up --no-backup --to 001").success();
    shop.database.run(crate::CUSTOMERS);
    let _ = shop.dunlin("up --no-backup").success();
    always(&shop);
    shop.sandbox.write(
        "migrations/005_more.sql",
        "ALTER TABLE {prefix}woo_ai_tags ADD COLUMN colour VARCHAR(10) NULL;\n\
         -- dunlin: undo\nALTER TABLE {prefix}woo_ai_tags DROP COLUMN colour;\n",
    );
    let up = shop.dunlin("up --format json").success().json();
    let said = codes(&up);
    assert!(said.contains(&"scratch-refused".to_owned()), "{said:?}");
    assert!(up["findings"].to_string().contains("GRANT"), "{up}");
    let path = up["data"]["backup"].as_str().unwrap().to_owned();
    let made = manifest(&path);
    assert_eq!(made["method"], "own");
    let how = made["verified"].as_str().unwrap();
    assert!(how.contains("read again and compared"), "{how}");
    assert!(made["lacks"].to_string().contains("owns"), "{made}");
    let held = tables(&made);
    assert!(held.contains(&"wp_woo_ai_messages"), "{held:?}");
    assert!(!held.contains(&"wp_posts"), "only what is ours: {held:?}");

    // It holds what it says: emptied and restored over, the rows are the same.
    let before = shop.dunlin("digest --format json").success().json();
    let again = shop.dunlin("backup create --format json").success().json();
    let path = again["data"]["items"][0]["path"]
        .as_str()
        .unwrap()
        .to_owned();
    let _ = shop.dunlin("backup verify").success();
    shop.database.run("DELETE FROM wp_woo_ai_messages");
    let _ = shop
        .dunlin(&format!("backup restore {path} --replace"))
        .success();
    let after = shop.dunlin("digest --format json").success().json();
    assert_eq!(after["data"]["tables"], before["data"]["tables"]);
    assert_eq!(shop.tables().1, ["wp_posts", "wp_users"]);
    shop.database.run(&format!("DROP USER '{user}'@'%'"));
}
