//! The grammar of `dunlin.toml` as types. What stands here is what the parser accepts and what
//! `schemas/dunlin.schema.json` says: the parser walks that schema, and a test holds it equal to what these types generate.

pub mod apps;
pub mod checks;
pub mod data;
pub mod database;
pub mod fleet;
pub mod moving;
pub mod plan;
pub mod steps;

use crate::source::duration::DurationText;
use crate::source::shape::at;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A text in which `${NAME}` takes an environment variable: URLs, paths, `http`, `exec`, `requires`.
/// `Debug` masks the password of a URL.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnvText(pub String);

impl std::fmt::Debug for EnvText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", crate::redact::mask_url(&self.0))
    }
}

impl JsonSchema for EnvText {
    fn schema_name() -> Cow<'static, str> {
        "EnvText".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A text; `${NAME}` and `${NAME:-default}` take an environment variable.",
            "x-dunlin-env": true,
        })
    }
}

/// `dunlin.toml`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "dunlin.toml")]
pub struct ProjectFile {
    /// The project.
    pub project: ProjectTable,
    /// The databases by name. The first one, or the one named `app`, is the default.
    pub database: BTreeMap<String, database::DatabaseTable>,
    /// Environments by name: `dunlin --env NAME` overrides key by key.
    pub env: BTreeMap<String, EnvTable>,
    /// What is masked wherever values are shown.
    pub privacy: Option<PrivacyTable>,
    /// What checkpoints, backups and the emergency restore save and bring back besides tables.
    pub configuration: Option<ConfigurationTable>,
    /// Where we are: `plan show`.
    pub state: Option<data::StateTable>,
    /// Capabilities of the application that steps switch.
    pub plugin: Vec<apps::PluginTable>,
    /// Integrity rules: `dunlin check`, `dunlin clean`, checks of plans.
    pub rule: Vec<data::RuleTable>,
    /// A checklist computed from the database: `dunlin progress`.
    pub item: Vec<data::ItemTable>,
    /// Named read-only queries: `dunlin fleet query ID`, shown in reports.
    pub report: Vec<data::ReportTable>,
    /// Old and new columns side by side: `dunlin coexist`.
    pub coexistence: Vec<data::CoexistenceTable>,
    /// Parallel runs of the old and the new path: `dunlin compare`.
    pub compare: Vec<apps::CompareTable>,
    /// Many databases under one change: `dunlin fleet …`.
    pub fleet: BTreeMap<String, fleet::FleetTable>,
    /// Who is told, after the fact.
    pub notify: Option<apps::NotifyTable>,
    /// `dunlin rollback --emergency`.
    pub emergency: Option<apps::EmergencyTable>,
}

/// `[project]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectTable {
    /// The project's name, as it stands in the log.
    pub name: Option<String>,
    /// The log file: one line for each start and end.
    pub log: Option<EnvText>,
}

/// `[env.NAME]`: what `--env NAME` overrides.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnvTable {
    /// Overrides of `[project]`.
    pub project: Option<ProjectTable>,
    /// Overrides of `[database.NAME]`, key by key.
    pub database: BTreeMap<String, database::DatabaseTable>,
    /// Overrides of `[notify]`.
    pub notify: Option<apps::NotifyTable>,
    /// Overrides of `[emergency]`.
    pub emergency: Option<apps::EmergencyTable>,
}

/// `[privacy]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacyTable {
    /// `table.column` or `table.column where …`: masked wherever values are shown.
    pub sensitive: Vec<String>,
}

/// `[configuration]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigurationTable {
    /// Files, relative to this file.
    pub files: Vec<EnvText>,
    /// Tables.
    pub tables: Vec<String>,
}

/// A query, with what is expected of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryTable {
    /// The SQL, or one word ending in `.sql`: a file.
    pub sql: String,
    /// What the value must be: `= 0`, `>= 1`, `between 1 and 5`, or a text.
    #[serde(default)]
    pub expect: Option<String>,
    /// The database asked; default: the default database.
    #[serde(default)]
    pub database: Option<String>,
}

/// An HTTP request.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-dunlin-env" = true))]
pub struct HttpTable {
    /// The method; default `GET`.
    #[serde(default)]
    pub method: Option<String>,
    /// The address.
    pub url: EnvText,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, EnvText>,
    /// The body, sent as JSON.
    #[serde(default)]
    pub json: Option<Value>,
    /// How long an answer may take.
    #[serde(default)]
    pub timeout: Option<DurationText>,
}

/// The JSON Schema of `dunlin.toml`.
pub fn dunlin_toml_schema() -> Value {
    document_schema::<ProjectFile>()
}

/// The schema of `dunlin.toml`, read once.
pub(crate) fn project_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let stored = include_str!("../../../../../schemas/dunlin.schema.json");
    SCHEMA.get_or_init(|| read_schema(stored, dunlin_toml_schema))
}

/// The JSON Schema of `*.plan.toml`.
pub fn plan_toml_schema() -> Value {
    document_schema::<plan::PlanFile>()
}

/// The schema of `*.plan.toml`, read once.
pub fn plan_schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let stored = include_str!("../../../../../schemas/plan.schema.json");
    SCHEMA.get_or_init(|| read_schema(stored, plan_toml_schema))
}

/// A schema that was made from the types beforehand, which takes several times as long as reading it: every command would
/// make it anew. A test holds the two equal.
fn read_schema(stored: &str, made: fn() -> Value) -> Value {
    serde_json::from_str(stored).unwrap_or_else(|_| made())
}

/// The JSON Schema of a TOML document. TOML has no null, so "or null" is taken out everywhere.
pub fn document_schema<T: JsonSchema>() -> Value {
    let mut schema = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    without_null(&mut schema);
    schema
}

/// The JSON Schema of JSON that Dunlin writes, where what is not known may be null.
pub fn output_schema<T: JsonSchema>() -> Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(without_null),
        Value::Object(map) => {
            if map.get("default").is_some_and(is_no_default) {
                map.remove("default");
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    map.insert("type".into(), one);
                }
            }
            if let Some(Value::Array(values)) = map.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            if let Some(Value::Array(branches)) = map.get_mut("anyOf") {
                branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
                if branches.len() == 1
                    && let Some(Value::Object(only)) = branches.pop()
                {
                    map.remove("anyOf");
                    only.into_iter().for_each(|(key, value)| {
                        map.entry(key).or_insert(value);
                    });
                }
            }
            // Editors do not know Rust's number formats; the bounds say the same.
            match map.get("format").and_then(Value::as_str) {
                Some("uint32") => {
                    map.remove("format");
                    map.insert("maximum".into(), u32::MAX.into());
                }
                Some("uint64" | "int64" | "double") => {
                    map.remove("format");
                }
                _ => {}
            }
            map.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

/// `null`, `{}` and `[]` as a default say no more than that the key may be left out.
fn is_no_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_no_default),
        _ => false,
    }
}

/// Looks a `$ref` up; anything else is itself.
pub(crate) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(name) = schema.get("$ref").and_then(Value::as_str) else {
        return schema;
    };
    at(root, name.trim_start_matches('#')).unwrap_or(schema)
}

/// The properties of an object schema.
pub(crate) fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_checked_in_schemas_are_those_that_the_types_give() {
        for (name, schema) in [
            ("dunlin.schema.json", dunlin_toml_schema()),
            ("plan.schema.json", plan_toml_schema()),
        ] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../../schemas")
                .join(name);
            let stored = std::fs::read_to_string(&path).unwrap();
            let stored: Value = serde_json::from_str(&stored).unwrap();
            assert!(
                stored == schema,
                "run `cargo x gen`: schemas/{name} is out of date"
            );
        }
    }

    #[test]
    fn no_schema_speaks_of_null() {
        for schema in [dunlin_toml_schema(), plan_toml_schema()] {
            // `not_null` and its like are keys; what a type says stands alone.
            assert!(!schema.to_string().contains("\"null\""));
        }
    }
}
