//! What is told of runs: how each ended, and events as their published schema has them.

use crate::{Desk, PLAN};
use dunlin_testkit::for_each_engine;
use serde_json::Value;
use std::path::Path;

/// Why a value is not as a schema has it, where it is not. What the published schema uses of the language, and no more.
fn fault(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    let no = |why: &str| Some(format!("{why}: {value} against {schema}"));
    if let Some(name) = schema["$ref"].as_str() {
        let found = root.pointer(name.trim_start_matches('#')).unwrap();
        return fault(root, found, value);
    }
    for (key, wanted) in schema.as_object().into_iter().flatten() {
        let list = wanted.as_array().map_or(&[][..], Vec::as_slice);
        let wrong = match key.as_str() {
            "const" => (wanted != value).then(|| format!("no {wanted}: {value}")),
            "enum" if !list.contains(value) => no("none of them"),
            "oneOf" | "anyOf" if list.iter().all(|one| fault(root, one, value).is_some()) => {
                no("fits none")
            }
            "allOf" => list.iter().find_map(|one| fault(root, one, value)),
            "required" => {
                let mut names = list.iter().filter_map(Value::as_str);
                names.find(|name| value.get(name).is_none()).and_then(no)
            }
            "properties" => wanted
                .as_object()
                .into_iter()
                .flatten()
                .find_map(|(name, own)| value.get(name).and_then(|value| fault(root, own, value))),
            "items" => value
                .as_array()
                .into_iter()
                .flatten()
                .find_map(|one| fault(root, wanted, one)),
            "type" => {
                let is = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(n) if n.is_f64() => "number",
                    Value::Number(_) => "integer",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                let fits = |name: &Value| name == is || (name == "number" && is == "integer");
                (!fits(wanted) && !list.iter().any(fits))
                    .then(|| no("another type"))
                    .flatten()
            }
            _ => None,
        };
        if wrong.is_some() {
            return wrong;
        }
    }
    None
}

/// The events of a command, each as the published schema has it.
fn events(desk: &Desk, line: &str) -> Vec<Value> {
    let _ = desk.dunlin(&format!("{line} --events events.ndjson"));
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/events.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(published).unwrap()).unwrap();
    let text = desk.sandbox.read("events.ndjson");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    for line in &lines {
        assert_eq!(fault(&schema, &schema, line), None);
    }
    lines
}

/// How the newest run ended, by `runs`.
fn newest(desk: &Desk) -> Value {
    let (_, runs) = desk.json("runs");
    let runs = runs["data"]["runs"].as_array().unwrap().clone();
    runs.last().unwrap()["outcome"].clone()
}

for_each_engine! {
    /// Forward, back, refused and failed: every line is as the schema says, and every run that begins has an end.
    async fn events_are_as_their_schema_has_them(engine: TestEngine) {
        let desk = Desk::new(engine);
        let _ = desk.sandbox.write("owners.plan.toml", PLAN);
        let late = PLAN.replace("to owners", "late").replace("expect = \">= 1\"", "expect = \"= 77\"");
        let _ = desk.sandbox.write("late.plan.toml", late);
        let bad = PLAN.replace("to owners", "bad").replace("expect = \"= 1\"", "expect = \"= 77\"");
        let _ = desk.sandbox.write("bad.plan.toml", bad);
        for (line, outcome) in [
            ("run late", "refused"),
            ("run bad", "failed"),
            ("rollback bad", "done"),
            ("run owners", "done"),
            ("rollback owners", "done"),
        ] {
            let lines = events(&desk, line);
            let ended = lines.iter().filter(|event| event["event"] == "run_ended");
            let ended: Vec<&Value> = ended.map(|event| &event["outcome"]).collect();
            assert_eq!(ended, [outcome], "{line}: {lines:#?}");
            let began = lines.iter().filter(|event| event["event"] == "run_began");
            assert_eq!(began.count(), 1, "{line}");
        }
    }
}

for_each_engine! {
    /// What is written down as begun is written down as ended: a run that is refused when it has saved something, a baseline,
    /// a checkpoint that is brought back.
    async fn what_has_ended_has_an_end(engine: TestEngine) {
        let desk = Desk::new(engine);
        let _ = desk.sandbox.write("migrations/001_there.sql", "CREATE TABLE there (id int);\n");
        assert_eq!(desk.json("baseline 001").0, 0);
        assert_eq!(newest(&desk), "done");
        assert_eq!(desk.json("checkpoint create one --tables contacts").0, 0);
        let (code, restored) = desk.json("checkpoint restore one");
        assert_eq!(code, 0, "{restored:#}");
        assert_eq!(newest(&desk), "done");
        // Below a file there is no room for anything.
        let project = desk.sandbox.read("dunlin.toml");
        let _ = desk.sandbox.write("dunlin.toml", format!("{project}backup_dir = \"dunlin.toml/below\"\n"));
        let text = PLAN.replace("id = \"tables\"", "id = \"tables\"\nbackup = \"checkpoint\"");
        let _ = desk.sandbox.write("owners.plan.toml", text);
        let (code, ran) = desk.json("run owners");
        assert_eq!(code, 4, "{ran:#}");
        let ended = newest(&desk);
        assert!(ended == "refused" || ended == "done", "{ended}");
    }
}

for_each_engine! {
    /// A report of one run: the plan as it was when that run had ended. And `runs RUN` shows what the checks have found.
    async fn a_report_is_of_one_run_where_it_is_named(engine: TestEngine) {
        let desk = Desk::new(engine);
        let _ = desk.sandbox.write("owners.plan.toml", PLAN);
        let (code, first) = desk.json("run owners --until tables");
        assert_eq!(code, 0, "{first:#}");
        let (code, second) = desk.json("run owners");
        assert_eq!(code, 0, "{second:#}");
        for (run, state) in [(&first, "pending"), (&second, "done")] {
            let id = run["data"]["run"].as_str().unwrap();
            let _ = desk.dunlin(&format!("report {id} -o one.json")).code(0);
            let report: Value = serde_json::from_str(&desk.sandbox.read("one.json")).unwrap();
            assert_eq!(report["phases"][1]["state"], state, "{report:#}");
            let runs: Vec<&Value> = report["runs"].as_array().unwrap().iter().map(|run| &run["run"]).collect();
            assert_eq!(runs, [id], "{report:#}");
            let told = desk.dunlin(&format!("runs {id}")).code(0).stdout;
            let check = if state == "done" { "one-owner" } else { "nobody-has-one" };
            assert!(told.contains(&format!("check {check} after: passed; expected = ")), "{told}");
            assert!(told.contains(", observed "), "{told}");
        }
        let (code, unknown) = desk.json("report 20200101T000000-abcdef -o one.json");
        assert_eq!((code, unknown["failure"]["code"].as_str()), (2, Some("plan-missing")), "{unknown:#}");
    }
}
