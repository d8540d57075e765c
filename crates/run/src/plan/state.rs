//! The observed state: where we are, as `[state]` and the server tell.

use crate::observe;
use crate::outside;
use crate::world::World;
use dunlin_core::source::Project;
use dunlin_core::source::grammar::apps::PluginTable;
use dunlin_core::source::grammar::data::MetricTable;
use dunlin_core::value::{Query, Value};
use dunlin_engines::{Purpose, Session};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one question of `[state]` may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where we are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct State {
    /// The application's version, as `[state]` asks for it.
    pub version: Option<serde_json::Value>,
    /// The engine.
    pub engine: Option<String>,
    /// The server's version, as it spells it.
    pub engine_version: Option<String>,
    /// How many entries there are, as `[state]` asks for it.
    pub entries: Option<serde_json::Value>,
    /// The size of the database.
    pub bytes: Option<u64>,
    /// The plugins.
    pub plugins: Vec<PluginState>,
    /// `ok`, `troubled`, `unknown` or `unreachable`.
    pub health: &'static str,
    /// What is wrong with it.
    pub troubles: Vec<String>,
    /// The figures.
    pub metrics: Vec<MetricState>,
    /// Questions that were not answered, and why.
    pub errors: Vec<String>,
    /// Why the questions to the plan's own database were not asked, where a step has yet to fill it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaits: Option<String>,
}

/// A plugin as it is.
#[derive(Debug, Clone, Serialize)]
pub struct PluginState {
    /// Its name.
    pub id: String,
    /// Whether it is on; `None`: not known.
    pub on: Option<bool>,
    /// Why that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A figure as it is.
#[derive(Debug, Clone, Serialize)]
pub struct MetricState {
    /// Its name.
    pub id: String,
    /// Its value; `None`: not known.
    pub value: Option<f64>,
    /// Above this it is a risk.
    pub warn_above: Option<f64>,
    /// Below this it is a risk.
    pub warn_below: Option<f64>,
    /// It is beyond its bound.
    pub exceeded: bool,
    /// Why the value is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip)]
    table: Option<MetricTable>,
}

impl State {
    /// What is known where nobody answers: that.
    pub fn unreachable(project: &Project, why: &str) -> Self {
        let unasked = || Some("nobody has answered yet".to_owned());
        let mut state = State {
            health: "unreachable",
            troubles: vec![why.to_owned()],
            ..State::default()
        };
        for plugin in &project.file.plugin {
            state.plugins.push(PluginState {
                id: plugin.id.clone(),
                on: None,
                error: unasked(),
            });
        }
        for metric in metrics(project) {
            state
                .metrics
                .push(of_metric(metric, Err("nobody has answered yet".into())));
        }
        state
    }

    /// Which plugins are known to be on or off.
    pub fn plugins_on(&self) -> BTreeMap<String, bool> {
        let known = self.plugins.iter();
        known
            .filter_map(|plugin| Some((plugin.id.clone(), plugin.on?)))
            .collect()
    }

    /// The figures for the risk: without those that wait for a copy.
    pub fn figures(&self) -> Vec<(MetricTable, Option<f64>)> {
        let waits = |metric: &&MetricState| metric.error.is_some() && metric.error == self.awaits;
        let figures = self.metrics.iter().filter(|metric| !waits(metric));
        figures
            .filter_map(|metric| Some((metric.table.clone()?, metric.value)))
            .collect()
    }
}

fn metrics(project: &Project) -> &[MetricTable] {
    project
        .file
        .state
        .as_ref()
        .map_or(&[], |state| state.metric.as_slice())
}

fn of_metric(table: &MetricTable, value: Result<f64, String>) -> MetricState {
    let known = value.as_ref().ok().copied();
    let exceeded = known.is_some_and(|value| {
        table.warn_above.is_some_and(|bound| value > bound)
            || table.warn_below.is_some_and(|bound| value < bound)
    });
    MetricState {
        id: table.id.clone(),
        value: known,
        warn_above: table.warn_above,
        warn_below: table.warn_below,
        exceeded,
        error: value.err(),
        table: Some(table.clone()),
    }
}

/// Sessions that only read, of the world's database and of others that `dunlin.toml` names.
pub struct Readers<'a> {
    world: &'a World,
    project: &'a Project,
    session: &'a mut (dyn Session + 'a),
    others: BTreeMap<String, Box<dyn Session>>,
}

impl<'a> Readers<'a> {
    /// Begins with the world's own.
    pub fn new(
        world: &'a World,
        project: &'a Project,
        session: &'a mut (dyn Session + 'a),
    ) -> Self {
        Readers {
            world,
            project,
            session,
            others: BTreeMap::new(),
        }
    }

    /// The session of a database; `None`: the default one.
    async fn of(&mut self, database: Option<&str>) -> Result<&mut (dyn Session + '_), String> {
        let name = database.filter(|name| *name != self.world.config.name);
        let Some(name) = name else {
            return Ok(&mut *self.session);
        };
        if !self.others.contains_key(name) {
            let chosen = self.project.select(Some(name));
            let config = chosen.map_err(|findings| {
                let said = findings.first().map(|finding| finding.message.clone());
                said.unwrap_or_else(|| format!("there is no database `{name}`"))
            })?;
            let world = World::new(config.clone(), config.base_dir.clone(), false);
            let world = world.map_err(|failure| failure.message)?;
            let session = world.open(Purpose::Read).await;
            let session = session.map_err(|failure| failure.message)?;
            self.others.insert(name.to_owned(), session);
        }
        match self.others.get_mut(name) {
            Some(session) => Ok(&mut **session),
            None => Err(format!("there is no database `{name}`")),
        }
    }

    /// The first value that a query gives. `sql`: SQL, or one word ending in `.sql`: a file of the project.
    pub async fn value(&mut self, sql: &str, database: Option<&str>) -> Result<Value, String> {
        let sql = text_of(self.project, sql)?;
        let redactor = self.world.redactor.clone();
        let session = self.of(database).await?;
        let query = Query::new(sql, vec![]);
        let answer = observe::bounded(session, &query, PATIENCE).await;
        let rows = answer.map_err(|error| redactor.apply(&error.message))?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next())
            .unwrap_or(Value::Null))
    }

    async fn asked(&mut self, query: &Query, database: Option<&str>) -> Result<Value, String> {
        let redactor = self.world.redactor.clone();
        let session = self.of(database).await?;
        let answer = observe::bounded(session, query, PATIENCE).await;
        let rows = answer.map_err(|error| redactor.apply(&error.message))?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next())
            .unwrap_or(Value::Null))
    }

    /// Whether a plugin is on, by its settings row or its command.
    pub async fn plugin(&mut self, plugin: &PluginTable) -> Result<bool, String> {
        if let Some(setting) = &plugin.setting {
            let dialect = self.of(plugin.database.as_deref()).await?.dialect();
            let query =
                dialect.setting(&setting.table, &setting.key, &setting.value, &setting.name);
            let value = self.asked(&query, plugin.database.as_deref()).await?;
            let on = shown(&value);
            return Ok(on.is_some_and(|value| value == setting.on));
        }
        let Some(exec) = &plugin.exec else {
            return Err("it has neither a settings row nor commands".into());
        };
        let timeout = exec.timeout.map_or(PATIENCE, |timeout| timeout.0);
        let redactor = &self.world.redactor;
        let ended = outside::run(&exec.is_on.0, &self.project.root, timeout, redactor).await;
        match ended {
            Ok(ended) if ended.timed_out => Err(ended.said()),
            Ok(ended) => Ok(ended.is_ok()),
            Err(error) => Err(format!("the shell could not be started: {error}")),
        }
    }

    /// Ends the sessions that were opened here.
    pub async fn close(self) {
        for session in self.others.into_values() {
            session.close().await;
        }
    }
}

/// SQL that stands there, or the text of the file that is named there.
fn text_of(project: &Project, sql: &str) -> Result<String, String> {
    let is_file = sql.ends_with(".sql") && !sql.contains(char::is_whitespace);
    if !is_file {
        return Ok(sql.to_owned());
    }
    let path = project.root.join(sql);
    std::fs::read_to_string(&path).map_err(|error| format!("{sql}: {error}"))
}

/// A value as a settings row spells it.
pub fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(is) => Some(is.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        text => text.as_str().map(str::to_owned),
    }
}

fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Null => Err("it has no value".into()),
        Value::Int(number) => Ok(*number as f64),
        Value::UInt(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        other => shown(other)
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| "its value is no number".to_owned()),
    }
}

/// Looks. `sizes`: the sum of the tables' sizes, for engines that know no better. `awaits`: why nothing is known of the
/// world's own database before its turn, where that is so.
pub async fn observe(
    world: &World,
    project: &Project,
    session: &mut dyn Session,
    sizes: Option<u64>,
    awaits: Option<String>,
) -> State {
    let own = |database: Option<&str>| database.is_none_or(|name| name == world.config.name);
    let waits = |database: Option<&str>| awaits.clone().filter(|_| own(database));
    let mut state = State {
        engine: Some(session.caps().engine.to_string()),
        engine_version: Some(session.caps().version_text.clone()),
        ..State::default()
    };
    state.bytes = bytes(session).await.or(sizes);
    (state.health, state.troubles) = health(session, PATIENCE).await;
    let mut readers = Readers::new(world, project, session);
    if let Some(table) = &project.file.state {
        for (what, query, into) in [
            ("version", &table.version, &mut state.version),
            ("entries", &table.entries, &mut state.entries),
        ] {
            let Some(query) = query else { continue };
            if waits(query.database.as_deref()).is_some() {
                continue;
            }
            match readers.value(&query.sql, query.database.as_deref()).await {
                Ok(value) => *into = serde_json::to_value(&value).ok(),
                Err(why) => state.errors.push(format!("`{what}` of [state]: {why}")),
            }
        }
    }
    for metric in metrics(project) {
        if let Some(why) = waits(metric.database.as_deref()) {
            state.metrics.push(of_metric(metric, Err(why)));
            continue;
        }
        let value = readers.value(&metric.sql, metric.database.as_deref()).await;
        let value = value.and_then(|value| number(&value));
        if let Err(why) = &value {
            state.errors.push(format!("metric `{}`: {why}", metric.id));
        }
        state.metrics.push(of_metric(metric, value));
    }
    for plugin in &project.file.plugin {
        // A plugin with commands is asked by them.
        let waits = waits(plugin.database.as_deref()).filter(|_| plugin.setting.is_some());
        let on = match waits {
            Some(why) => Err(why),
            None => readers.plugin(plugin).await,
        };
        state.plugins.push(PluginState {
            id: plugin.id.clone(),
            on: on.as_ref().ok().copied(),
            error: on.err(),
        });
    }
    readers.close().await;
    state.awaits = awaits;
    state
}

/// The size of the database as the server tells it.
pub async fn bytes(session: &mut dyn Session) -> Option<u64> {
    let sql = session.dialect().preflight().database_bytes()?;
    let query = Query::new(sql, vec![]);
    let rows = observe::bounded(session, &query, PATIENCE).await.ok()?;
    let bytes = rows.first()?.first()?.as_i64()?;
    u64::try_from(bytes).ok()
}

/// Whether the database is well, and what is wrong with it; why it is not known.
pub async fn health(session: &mut dyn Session, limit: Duration) -> (&'static str, Vec<String>) {
    let asked = session.dialect().preflight();
    let query = Query::new(asked.health(), vec![]);
    match observe::bounded(session, &query, limit).await {
        Ok(rows) => match asked.read_health(&rows) {
            troubles if troubles.is_empty() => ("ok", troubles),
            troubles => ("troubled", troubles),
        },
        Err(error) => ("unknown", vec![error.message]),
    }
}
