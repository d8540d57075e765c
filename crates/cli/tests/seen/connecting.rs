//! What keeps us out of a database: engine, host, password, rights, name.

use crate::{dunlin, room, room_for, shows, shows_on};
use dunlin_testkit::servers::{Kind, Server};
use dunlin_testkit::{TestEngine, for_each_engine};

#[test]
fn a_url_that_names_no_engine() {
    let sandbox = room();
    shows(
        "engine_unknown",
        &dunlin(&sandbox, "up --url oracle://u:geheim@h/x").code(2),
    );
    shows("engine_missing", &dunlin(&sandbox, "up --url shop").code(2));
    shows("database_not_named", &dunlin(&sandbox, "up").code(2));
    shows(
        "port_wrong",
        &dunlin(&sandbox, "up --url mysql://u:geheim@h:99999/x").code(2),
    );
    shows(
        "host_unknown",
        &dunlin(
            &sandbox,
            "status --url postgres://u:geheim@no.such.host.invalid/x",
        )
        .code(4),
    );
}

#[test]
fn a_file_that_is_no_database() {
    let sandbox = room();
    shows(
        "file_missing",
        &dunlin(&sandbox, "up --url sqlite:app.db").code(4),
    );
    assert!(
        !sandbox.path("app.db").exists(),
        "a misspelled name makes no file"
    );
    shows(
        "file_folder_missing",
        &dunlin(&sandbox, "up --create --url sqlite:data/app.db").code(4),
    );
    shows(
        "file_is_a_folder",
        &dunlin(&sandbox, "up --url sqlite:migrations").code(4),
    );
    sandbox.write(
        "text.db",
        "These are notes about birds and no database at all. ".repeat(20),
    );
    shows(
        "file_is_text",
        &dunlin(&sandbox, "up --url sqlite:text.db").code(4),
    );
    shows(
        "file_made",
        &dunlin(&sandbox, "up --create --url sqlite:app.db").success(),
    );
}

for_each_engine! {
    only servers
    async fn nobody_answers(kind: TestEngine) {
        let scheme = kind.pick("", "postgres", "mysql");
        let sandbox = room_for(&format!("{scheme}://app:geheim@127.0.0.1:1/shop"));
        shows_on("nobody_answers", kind, &dunlin(&sandbox, "up").code(4), &[]);
        let waited = dunlin(&sandbox, "up --wait 300ms").code(4);
        assert!(waited.took.as_millis() >= 300, "{waited:?}");
    }
}

/// The server of an engine.
fn server(engine: TestEngine) -> &'static Server {
    Server::shared(engine.kind().expect("only servers"))
}

/// Makes a user who may log in and nothing more, and gives the statement that removes it.
fn user(engine: TestEngine, name: &str, database: &dunlin_testkit::TestDatabase) -> String {
    if engine.is_postgres() {
        database.run(&format!("CREATE ROLE {name} LOGIN PASSWORD 'geheim'"));
        format!("DROP OWNED BY {name}; DROP ROLE {name}")
    } else {
        database.run(&format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'geheim'"));
        format!("DROP USER '{name}'@'%'")
    }
}

for_each_engine! {
    only servers
    async fn the_password_is_wrong(kind: TestEngine) {
        let database = kind.database();
        let name = format!("u{}", database.name());
        let remove = user(kind, &name, &database);
        let sandbox = room_for(&server(kind).url_as(&name, "falsch", database.name()));
        let ran = dunlin(&sandbox, "up").code(4);
        database.run(&remove);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("falsch"));
        shows_on("password_wrong", kind, &ran, &[(&name, "[USER]")]);
    }

    async fn a_right_is_missing(kind: TestEngine) {
        let database = kind.database();
        let name = format!("u{}", database.name());
        let remove = user(kind, &name, &database);
        if kind.is_postgres() {
            // Up to 14 everybody may make tables in `public`.
            database.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
        } else {
            let grant = format!("GRANT SELECT ON {}.* TO '{name}'@'%'", database.name());
            database.run(&grant);
        }
        let sandbox = room_for(&server(kind).url_as(&name, "geheim", database.name()));
        let status = dunlin(&sandbox, "status").success();
        let up = dunlin(&sandbox, "up").code(4);
        let create = room_for(&server(kind).url_as(&name, "geheim", &format!("{name}_x")));
        let create = dunlin(&create, "up --create").code(4);
        database.run(&remove);
        assert!(!database.has_table("notes"), "nothing was done");
        shows_on("rights_to_look", kind, &status, &[(&name, "[USER]")]);
        shows_on("rights_missing", kind, &up, &[(&name, "[USER]")]);
        shows_on("rights_missing_to_create", kind, &create, &[(&name, "[USER]")]);
    }

    async fn a_database_that_is_not_there_can_be_made(kind: TestEngine) {
        let name = dunlin_testkit::database::fresh_name();
        let server = server(kind);
        let sandbox = room_for(&server.url_of(&name));
        shows_on("database_missing", kind, &dunlin(&sandbox, "up").code(4), &[]);
        let dry = dunlin(&sandbox, "up --create --dry-run").success();
        assert!(dry.stdout.contains("would be made first"), "{dry:?}");
        let _ = dunlin(&sandbox, "up").code(4);
        let made = dunlin(&sandbox, "up --create").success();
        let again = dunlin(&sandbox, "up --create").success();
        let admin = server.url();
        let drop = format!("DROP DATABASE {name}");
        dunlin_testkit::database::ask(&admin, kind.kind().unwrap_or(Kind::Mysql), &drop).unwrap();
        shows_on("database_made", kind, &made, &[]);
        shows_on("database_made_already", kind, &again, &[]);
    }
}
