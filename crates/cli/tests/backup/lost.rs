//! Tools that leave out an object and exit 0: every row is there, and verifying tells all the same.

use super::tools::{names, objects, program, real};
use super::{files, fill, room};
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::{TestDatabase, TestEngine, for_each_engine};

/// Objects besides those of [`objects`], among them texts that a server tells otherwise once they were loaded.
fn more(kind: TestEngine, database: &TestDatabase) {
    for sql in [
        "CREATE INDEX notes_one ON notes (title)",
        "CREATE INDEX notes_two ON notes (title, id)",
        "CREATE TABLE moods (id int PRIMARY KEY, mood varchar(20) DEFAULT 'calm', \
         CONSTRAINT a_known CHECK (mood IN ('calm', 'glad', 'o''dd')), CONSTRAINT b_low CHECK (id > -5), \
         CONSTRAINT c_high CHECK (id < 90000))",
        "CREATE VIEW calm AS SELECT id FROM moods WHERE mood IN ('calm', 'glad') AND id BETWEEN 1 AND 9",
    ] {
        database.run(sql);
    }
    if kind.is_postgres() {
        for sql in [
            "CREATE INDEX moods_some ON moods (id) WHERE mood IN ('calm', 'glad')",
            "ALTER TABLE moods ADD COLUMN at timestamptz DEFAULT (now() AT TIME ZONE 'utc')",
            "CREATE FUNCTION alone(n int) RETURNS int LANGUAGE sql AS $$ SELECT n $$",
            "CREATE TYPE kind AS ENUM ('a', 'b')",
            "CREATE DOMAIN short AS varchar(9) CHECK (VALUE IN ('x', 'y'))",
        ] {
            database.run(sql);
        }
    }
}

/// Lays wrappers first in PATH that leave something out of what the real tools write, or of what they load.
fn without(kind: TestEngine, sandbox: &mut Sandbox, what: &str) {
    let tool = |name: &str| real(kind).join(name).display().to_string();
    if kind.is_postgres() {
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && exec {real} --version\nfor last; do :; done\n\
             {real} -l \"$last\" | grep -v '{what}' > \"$last.list\"\n{real} -L \"$last.list\" \"$@\"\ncode=$?\nrm -f \"$last.list\"\nexit $code\n",
            real = tool("pg_restore")
        );
        program(sandbox, "pg_restore", &script);
        let script = format!("#!/bin/sh\nexec {} \"$@\"\n", tool("pg_dump"));
        program(sandbox, "pg_dump", &script);
    } else {
        let script = format!(
            "#!/bin/sh\n{} \"$@\" > \"$0.out\" || exit $?\n\
             awk '/{what}/ {{ out = 1 }} !out {{ print }} /(;;|,)$/ {{ out = 0 }}' \"$0.out\"\n",
            tool(names(kind)[0])
        );
        program(sandbox, names(kind)[0], &script);
    }
    let path = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    sandbox.set("PATH", path);
}

for_each_engine! {
    only servers
    async fn an_object_that_a_tool_leaves_out_is_named(kind: TestEngine) {
        let database = kind.database();
        let mut sandbox = room(kind, &database);
        fill(&database);
        objects(kind, &database);
        more(kind, &database);
        // What a line that is left out is like, and what is missing then.
        let cases: &[(&str, &str)] = if kind.is_postgres() {
            &[
                (" INDEX public notes_one ", "notes_one"),
                (" TRIGGER public notes marks ", "marks"),
                (" VIEW public titles ", "titles"),
                (" FUNCTION public alone", "alone"),
                (" CONSTRAINT public moods moods_pkey ", "moods_pkey"),
                (" TYPE public kind ", "kind"),
            ]
        } else {
            &[
                ("KEY `notes_one`", "notes_one"),
                ("TRIGGER `*marks`*", "marks"),
                ("PROCEDURE `counted`", "counted"),
                ("EVENT `tidies`", "tidies"),
                ("CONSTRAINT `b_low`", "b_low"),
            ]
        };
        without(kind, &mut sandbox, "nothing at all");
        let _ = sandbox.dunlin(["backup", "create"]).success();
        let calm = sandbox.dunlin(["backup", "verify", "--format", "json"]).success().json();
        assert_eq!(calm["findings"].as_array().map(Vec::len), Some(0), "{calm:#}");
        for (line, named) in cases {
            without(kind, &mut sandbox, line);
            let _ = sandbox.dunlin(["backup", "create"]).success();
            let lost = sandbox.dunlin(["backup", "verify", "--format", "json"]).code(5).json();
            assert_eq!(lost["failure"]["code"], "backup-unequal", "{line}: {lost:#}");
            let message = lost["failure"]["message"].as_str().unwrap_or_default();
            assert!(message.contains(named) && message.contains("missing"), "{line}: {lost:#}");
            assert_eq!(message.matches(';').count(), 0, "nothing else: {lost:#}");
        }
        // Before `up` the same: nothing is applied on top of it.
        sandbox.write("migrations/002_more.sql", "-- dunlin: backup = true\nALTER TABLE notes ADD COLUMN more int;\n");
        let refused = sandbox.dunlin(["up", "--format", "json"]).code(4).json();
        assert_eq!(refused["failure"]["code"], "backup-unequal", "{refused:#}");
    }
}

for_each_engine! {
    /// A manifest from before they recorded objects: rows are compared, and it says that nothing else was.
    async fn an_old_manifest_verifies_and_says_what_was_not_compared(kind: TestEngine) {
        let database = kind.database();
        let sandbox = room(kind, &database);
        fill(&database);
        let _ = sandbox.dunlin(["backup", "create"]).success();
        let manifest = files(&sandbox).into_iter().find(|file| file.extension().is_some_and(|end| end == "json")).unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
        let catalog = json.as_object_mut().unwrap().remove("catalog").unwrap();
        assert!(catalog.as_str().unwrap().contains("notes"), "{catalog}");
        std::fs::write(&manifest, json.to_string()).unwrap();
        let verified = sandbox.dunlin(["backup", "verify", "--format", "json"]).success().json();
        assert_eq!(verified["findings"][0]["code"], "objects-not-compared", "{verified:#}");
        let how = verified["data"]["items"][0]["verified"].as_str().unwrap_or_default().to_owned();
        assert!(how.ends_with("(restored, rows compared)"), "{how}");
    }
}
