//! Checks a TOML document against a JSON Schema, with places: every fault at once, and what is sound is kept.
//!
//! serde stops at the first fault and knows no spans of what it skipped; so the spanned tree is walked beside the schema
//! of the types, faulty values are left out, and serde reads what remains.

use super::duration::{EXAMPLES, parse_duration};
use super::grammar::{properties, resolve};
use super::nearest::did_you_mean;
use crate::finding::{Finding, Place};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where each value of a document stands: JSON pointer to byte range.
pub type Places = BTreeMap<String, Range<usize>>;

/// A document after the walk.
#[derive(Debug, Default)]
pub struct Shaped {
    /// What is sound, as JSON, keys in the order of the file.
    pub value: Value,
    /// Where each value stands.
    pub places: Places,
    /// Pointers of texts in which environment variables are expanded.
    pub env: Vec<String>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Parses and checks a document. `schema` is the root schema.
pub fn shape(file: &str, text: &str, schema: &Value) -> Shaped {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk {
        file,
        text,
        root: schema,
        out: Shaped::default(),
        broken: errors.iter().filter_map(|error| error.span()).collect(),
    };
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let message = format!(
            "not valid TOML: {}",
            error.message().trim().replace('\n', ", ")
        );
        walk.out
            .findings
            .push(Finding::error("toml-syntax", walk.place(&span), message));
    }
    let span = root.span();
    let value = walk.table("", schema, root.get_ref(), &span, false);
    walk.out.value = value.unwrap_or_else(|| Value::Object(Map::new()));
    walk.out
}

struct Walk<'a> {
    file: &'a str,
    text: &'a str,
    root: &'a Value,
    out: Shaped,
    /// Where the text has syntax errors: what is missing may only have been lost.
    broken: Vec<Range<usize>>,
}

/// One step down a JSON pointer.
pub(crate) fn pointer(path: &str, key: &str) -> String {
    let mut out = String::with_capacity(path.len() + 1 + key.len());
    out.push_str(path);
    out.push('/');
    match key.contains(['~', '/']) {
        true => out.push_str(&key.replace('~', "~0").replace('/', "~1")),
        false => out.push_str(key),
    }
    out
}

/// One part of a JSON pointer as the key that it means.
fn key_of(part: &str) -> Cow<'_, str> {
    match part.contains('~') {
        true => part.replace("~1", "/").replace("~0", "~").into(),
        false => part.into(),
    }
}

/// What a JSON pointer points to. As [`Value::pointer`], which makes two texts of every part: a plan is asked for
/// thousands.
pub(crate) fn at<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    let parts = pointer.split('/').skip(1);
    parts.map(key_of).try_fold(value, |value, key| match value {
        Value::Object(map) => map.get(key.as_ref()),
        Value::Array(list) => list.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// As [`at`], to be changed.
pub(crate) fn at_mut<'v>(value: &'v mut Value, pointer: &str) -> Option<&'v mut Value> {
    let parts = pointer.split('/').skip(1);
    parts.map(key_of).try_fold(value, |value, key| match value {
        Value::Object(map) => map.get_mut(key.as_ref()),
        Value::Array(list) => list.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })
}

impl<'a> Walk<'a> {
    fn place(&self, span: &Range<usize>) -> Place {
        Place::in_file(self.file, self.text, span.clone())
    }

    fn error(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
        help: Option<String>,
    ) {
        let mut finding = Finding::error(code, self.place(span), message);
        finding.help = help;
        self.out.findings.push(finding);
    }

    fn value(
        &mut self,
        path: &str,
        schema: &'a Value,
        node: &Spanned<DeValue<'_>>,
        env: bool,
    ) -> Option<Value> {
        let env = env || is_env(schema);
        let schema = resolve(self.root, schema);
        let env = env || is_env(schema);
        let span = node.span();
        self.out.places.insert(path.to_owned(), span.clone());
        // What the parser made of broken text is not what was written; its own fault is said already.
        let single = !matches!(node.get_ref(), DeValue::Array(_) | DeValue::Table(_));
        let touches = |broken: &Range<usize>| broken.start <= span.end && span.start <= broken.end;
        if single && self.broken.iter().any(touches) {
            return None;
        }
        if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
            let fits = branches
                .iter()
                .find(|branch| self.fits(branch, node.get_ref()));
            return match fits {
                Some(branch) => self.value(path, branch, node, env),
                None => self.wrong_type(path, schema, node),
            };
        }
        if !self.fits(schema, node.get_ref()) {
            return self.wrong_type(path, schema, node);
        }
        match node.get_ref() {
            DeValue::String(text) => self.text(path, schema, text, &span, env),
            DeValue::Integer(_) | DeValue::Float(_) => {
                self.number(path, schema, node.get_ref(), &span)
            }
            DeValue::Boolean(yes) => Some(Value::Bool(*yes)),
            DeValue::Datetime(instant) => Some(Value::String(instant.to_string())),
            DeValue::Array(list) => {
                let items = schema.get("items").unwrap_or(&Value::Bool(true));
                let walked = list.iter().enumerate();
                let values = walked.map(|(at, item)| {
                    let value = self.value(&format!("{path}/{at}"), items, item, env);
                    // Places and values must keep the same numbering, so a faulty item is a null until the end.
                    value.unwrap_or(Value::Null)
                });
                Some(Value::Array(values.collect()))
            }
            DeValue::Table(table) => self.table(path, schema, table, &span, env),
        }
    }

    fn number(
        &mut self,
        path: &str,
        schema: &Value,
        node: &DeValue<'_>,
        span: &Range<usize>,
    ) -> Option<Value> {
        let value = match node {
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                let Ok(number) = i64::from_str_radix(&digits, number.radix()) else {
                    self.error("bad-value", span, format!("`{digits}` is too large"), None);
                    return None;
                };
                return self
                    .bounds(path, schema, number, span)
                    .then(|| number.into());
            }
            DeValue::Float(number) => number.as_str().replace('_', "").parse::<f64>().ok(),
            _ => None,
        };
        let value = value.filter(|number| number.is_finite()).map(Value::from);
        if value.is_none() {
            let message = format!("{} is not a number that can be used", name(path));
            self.error("bad-value", span, message, None);
        }
        value
    }

    fn table(
        &mut self,
        path: &str,
        schema: &'a Value,
        table: &DeTable<'_>,
        span: &Range<usize>,
        env: bool,
    ) -> Option<Value> {
        let known = properties(schema);
        let others = schema.get("additionalProperties");
        let open = known.is_none() && others.is_none();
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut out = Map::new();
        for (key, node) in entries {
            let below = pointer(path, key.get_ref());
            let schema = known.and_then(|known| known.get(key.get_ref().as_ref()));
            let schema = match (schema, others) {
                (Some(schema), _) => schema,
                (None, Some(Value::Bool(false))) => {
                    self.unknown_key(path, key, known);
                    continue;
                }
                (None, Some(others)) => others,
                (None, None) if open => &Value::Bool(true),
                (None, None) => {
                    self.unknown_key(path, key, known);
                    continue;
                }
            };
            if let Some(value) = self.value(&below, schema, node, env) {
                out.insert(key.get_ref().to_string(), value);
            }
        }
        let complete =
            self.required(path, schema, table, span) & self.exactly_one(path, schema, table, span);
        // A required value may also be there and faulty: that was said at its place.
        let usable = required_keys(schema).all(|key| out.contains_key(key));
        // What is faulty is said; where the type can do without, the rest of the table is worth reading all the same.
        let lenient = schema
            .get("x-dunlin-lenient")
            .is_some_and(|yes| yes == true);
        ((complete && usable) || lenient).then_some(Value::Object(out))
    }

    fn required(
        &mut self,
        path: &str,
        schema: &Value,
        table: &DeTable<'_>,
        span: &Range<usize>,
    ) -> bool {
        let missing: Vec<&str> = required_keys(schema)
            .filter(|key| !table.contains_key(*key))
            .collect();
        if self.broken.is_empty() {
            for key in &missing {
                let owner = name(path);
                self.error("missing-key", span, format!("{owner} needs `{key}`"), None);
            }
        }
        missing.is_empty()
    }

    fn exactly_one(
        &mut self,
        path: &str,
        schema: &Value,
        table: &DeTable<'_>,
        span: &Range<usize>,
    ) -> bool {
        let Some(branches) = schema.get("oneOf").and_then(Value::as_array) else {
            return true;
        };
        let kinds: Vec<&str> = branches.iter().flat_map(required_keys).collect();
        let mut given: Vec<_> = table
            .iter()
            .filter(|(key, _)| kinds.contains(&key.get_ref().as_ref()))
            .collect();
        given.sort_by_key(|(key, _)| key.span().start);
        let list = || {
            let kinds = kinds.iter().map(|kind| format!("`{kind}`"));
            kinds.collect::<Vec<_>>().join(", ")
        };
        match given.as_slice() {
            [_] => true,
            [] => {
                if self.broken.is_empty() {
                    let message = format!("{} needs one of {}", name(path), list());
                    self.error("exactly-one", span, message, None);
                }
                false
            }
            [(first, _), rest @ ..] => {
                for (key, _) in rest {
                    let message =
                        format!("`{}` stands beside `{}`", key.get_ref(), first.get_ref());
                    let help = format!("exactly one of {} is meant", list());
                    self.error("exactly-one", &key.span(), message, Some(help));
                }
                false
            }
        }
    }

    fn unknown_key(
        &mut self,
        path: &str,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        known: Option<&Map<String, Value>>,
    ) {
        let known: Vec<&str> = known
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect();
        let owner = if path.is_empty() {
            String::new()
        } else {
            format!(" in {}", name(path))
        };
        let message = format!("unknown key `{}`{owner}", key.get_ref().escape_debug());
        self.error(
            "unknown-key",
            &key.span(),
            message,
            did_you_mean(key.get_ref(), &known),
        );
    }

    fn text(
        &mut self,
        path: &str,
        schema: &Value,
        text: &str,
        span: &Range<usize>,
        env: bool,
    ) -> Option<Value> {
        if schema
            .get("x-dunlin-type")
            .is_some_and(|kind| kind == "duration")
            && let Err(message) = parse_duration(text)
        {
            self.error("bad-duration", span, message, Some(EXAMPLES.into()));
            return None;
        }
        if let Some(choices) = choices(schema)
            && !choices.contains(&text)
        {
            let message = format!(
                "`{}` is not a value of `{}`",
                text.escape_debug(),
                last(path)
            );
            let list = choices
                .iter()
                .map(|choice| format!("`{choice}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let near = super::nearest::nearest(text, choices.iter().copied());
            let near = near
                .map(|near| format!("did you mean `{near}`? "))
                .unwrap_or_default();
            self.error(
                "bad-value",
                span,
                message,
                Some(format!("{near}It is one of {list}")),
            );
            return None;
        }
        if env {
            self.out.env.push(path.to_owned());
        } else if super::expand::mentions_variable(text) {
            let message = format!(
                "`${{…}}` is not expanded in `{}`; it is taken as it stands",
                last(path)
            );
            let help = "environment variables are taken in URLs, paths, `http`, `exec` and `requires` only";
            self.out.findings.push(
                Finding::warning("variable-not-expanded", self.place(span), message).help(help),
            );
        }
        Some(Value::String(text.to_owned()))
    }

    fn bounds(&mut self, path: &str, schema: &Value, number: i64, span: &Range<usize>) -> bool {
        let least = schema.get("minimum").and_then(Value::as_i64);
        let most = schema.get("maximum").and_then(Value::as_i64);
        let inside =
            least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most);
        if !inside {
            let range = match (least, most) {
                (Some(least), Some(most)) => format!("it lies between {least} and {most}"),
                (Some(least), None) => format!("it is at least {least}"),
                (None, Some(most)) => format!("it is at most {most}"),
                (None, None) => String::new(),
            };
            self.error(
                "bad-value",
                span,
                format!("{number} is out of range for `{}`", last(path)),
                Some(range),
            );
        }
        inside
    }

    fn wrong_type(
        &mut self,
        path: &str,
        schema: &Value,
        node: &Spanned<DeValue<'_>>,
    ) -> Option<Value> {
        let wanted = self.describe(schema);
        let given = match node.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("{} takes {wanted}, and this is {given}", name(path));
        let quoted = matches!(
            node.get_ref(),
            DeValue::Integer(_) | DeValue::Boolean(_) | DeValue::Float(_)
        );
        let help = (wanted.starts_with("a duration")).then(|| EXAMPLES.to_owned());
        let help = help
            .or_else(|| (quoted && wanted == "a text").then(|| "put it into quotes".to_owned()));
        let help = help.or_else(|| {
            let single = self.item_fits(schema, node.get_ref());
            single.then(|| "put it into brackets: […]".to_owned())
        });
        self.error("wrong-type", &node.span(), message, help);
        None
    }

    fn item_fits(&self, schema: &Value, node: &DeValue<'_>) -> bool {
        resolve(self.root, schema)
            .get("items")
            .is_some_and(|items| self.fits(items, node))
    }

    fn fits(&self, schema: &Value, node: &DeValue<'_>) -> bool {
        let schema = resolve(self.root, schema);
        if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
            return branches.iter().any(|branch| self.fits(branch, node));
        }
        let kind = match schema.get("type").and_then(Value::as_str) {
            Some(kind) => kind,
            // Unit variants with docs are `oneOf` constants; what states no type takes anything.
            None if choices(schema).is_some() => "string",
            None => return true,
        };
        match node {
            DeValue::String(_) | DeValue::Datetime(_) => kind == "string",
            DeValue::Integer(_) => kind == "integer" || kind == "number",
            DeValue::Float(_) => kind == "number",
            DeValue::Boolean(_) => kind == "boolean",
            DeValue::Array(_) => kind == "array",
            DeValue::Table(_) => kind == "object",
        }
    }

    fn describe(&self, schema: &Value) -> String {
        let schema = resolve(self.root, schema);
        if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
            return branches
                .iter()
                .map(|branch| self.describe(branch))
                .collect::<Vec<_>>()
                .join(" or ");
        }
        if schema
            .get("x-dunlin-type")
            .is_some_and(|kind| kind == "duration")
        {
            return "a duration in quotes".into();
        }
        if let Some(choices) = choices(schema) {
            return choices
                .iter()
                .map(|choice| format!("\"{choice}\""))
                .collect::<Vec<_>>()
                .join(" or ");
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => "a text".into(),
            Some("integer") => "a whole number".into(),
            Some("number") => "a number".into(),
            Some("boolean") => "true or false".into(),
            Some("array") => match schema.get("items").map(|items| self.describe(items)) {
                Some(items) if items == "a text" => "a list of texts".into(),
                Some(items) if items == "a table" => "a list of tables ([[…]])".into(),
                _ => "a list".into(),
            },
            Some("object") => "a table".into(),
            _ => "a value".into(),
        }
    }
}

fn is_env(schema: &Value) -> bool {
    schema.get("x-dunlin-env").is_some_and(|yes| yes == true)
}

fn required_keys(schema: &Value) -> impl Iterator<Item = &str> {
    schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// The texts that a schema allows, where it lists them.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.iter().filter_map(Value::as_str).collect());
    }
    let branches = schema.get("oneOf").and_then(Value::as_array)?;
    branches
        .iter()
        .map(|branch| branch.get("const").and_then(Value::as_str))
        .collect()
}

fn last(path: &str) -> String {
    let is_number =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let part = path
        .rsplit('/')
        .find(|part| !is_number(part))
        .unwrap_or_default();
    key_of(part).escape_debug().to_string()
}

/// A pointer as people write it: `/rule/0/orphans` is `rule.orphans`; which rule, the place says.
fn name(path: &str) -> String {
    let mut out = String::new();
    for part in path.split('/').skip(1).map(key_of) {
        match part.parse::<usize>() {
            Ok(_) => {}
            Err(_) if out.is_empty() => out.push_str(&part.escape_debug().to_string()),
            Err(_) => out.push_str(&format!(".{}", part.escape_debug())),
        }
    }
    if out.is_empty() {
        "the file".into()
    } else {
        format!("`{out}`")
    }
}

/// Removes what stands for faulty items of lists, once nothing is looked up by number any more.
pub fn without_holes(value: &mut Value) {
    match value {
        Value::Array(list) => {
            list.retain(|item| !item.is_null());
            list.iter_mut().for_each(without_holes);
        }
        Value::Object(map) => map.values_mut().for_each(without_holes),
        _ => {}
    }
}
