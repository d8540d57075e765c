//! Forward through every gate, back to what was, and forward again.

use crate::{Builder, example, state};
use dunlin_testkit::servers::Kind;

on_both!(forward_back_and_forward,);

/// The example's README shows what happens on MariaDB.
#[test]
fn the_example_shows_what_happens() {
    let builder = Builder::new(Kind::Mariadb);
    let mut shell = dunlin_testkit::console::shell();
    dunlin_testkit::console::copy_into(&shell, &example(), ".");
    shell.write("bi.plan.toml", builder.sandbox.read("bi.plan.toml"));
    // Something to stop and to start.
    let tools = shell.home().join("bin");
    std::os::unix::fs::symlink("/bin/true", tools.join("systemctl")).unwrap();
    shell
        .set("DATASAVE_DATABASE_URL", builder.database.url())
        .set("DATASAVE_API", builder.service.url());
    let names = [(builder.database.name(), "datasave")];
    dunlin_testkit::console::check(&example().join("README.md"), &shell, &names);
}

/// Every check passes, the way back leaves nothing, and the second way forward comes to the same.
fn forward_back_and_forward(kind: Kind) {
    let builder = Builder::new(kind);
    let before = builder.picture();
    let done = builder.forward();
    let phases = done["data"]["phases"].as_array().unwrap();
    assert_eq!(phases.len(), 5);
    for phase in phases {
        assert_eq!(phase["state"], "done", "{done:#}");
    }
    let checks: Vec<_> = phases
        .iter()
        .flat_map(|phase| phase["checks"].as_array().unwrap())
        .collect();
    assert_eq!(checks.len(), 12, "{done:#}");
    for check in checks {
        assert_eq!(check["outcome"], "passed", "{check:#}");
        assert!(!check["observed"].as_str().unwrap().is_empty(), "{check:#}");
    }
    let after = (builder.catalog(), builder.settings());
    assert_eq!(builder.tables().len(), 11);
    assert_eq!(builder.setting("embed_allowed_domains"), "[]");
    assert_eq!(builder.setting("wordpress_integration"), "true");
    assert_eq!(
        builder
            .database
            .scalar("SELECT count(*) FROM ai_conversations"),
        "0"
    );
    let old: Vec<_> = before
        .iter()
        .filter(|line| !line.starts_with("system_settings:"))
        .collect();
    let now = builder.picture();
    assert!(
        old.iter().all(|line| now.contains(line)),
        "nothing that exists has changed"
    );
    let (asked, failed) = builder.service.served();
    assert!(asked > 4, "{asked} requests");
    assert_eq!(failed, Vec::<String>::new());

    let nothing = builder.json(&["run", "bi"], 0);
    assert!(nothing["data"]["run"].is_null(), "{nothing:#}");

    let back = builder.json(&["rollback", "bi"], 0);
    for phase in [
        "schema",
        "services",
        "front-end",
        "integration",
        "production",
    ] {
        assert_eq!(state(&back, phase), "undone", "{back:#}");
    }
    assert_eq!(builder.picture(), before);

    let _ = builder.forward();
    assert_eq!((builder.catalog(), builder.settings()), after);
}
