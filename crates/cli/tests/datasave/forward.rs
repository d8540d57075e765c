//! Forward through every gate, back to what was, and forward again.

use crate::{Builder, state};
use dunlin_testkit::servers::Kind;

on_both!(forward_back_and_forward,);

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
    assert!(asked > 4 && !failed, "{asked} requests, failed: {failed}");

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
