//! The form builder's HTTP service: three answers in JSON, from the database. It knows nothing of the plan, and answers
//! before, during and after it as ever.
//!
//! ```text
//! DATASAVE_DATABASE_URL=mysql://root@127.0.0.1/datasave cargo run --release --example datasave-service
//! curl http://127.0.0.1:8090/api/settings/get
//! ```
//!
//! `DATASAVE_LISTEN` is where it listens (default `127.0.0.1:8090`; port 0 takes a free one). `DATASAVE_RELEASE=2` is the
//! mistake of a careless release: once the plan's tables are there, the settings are told in another shape, which the
//! plan's check `settings-api` finds.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use mysql_async::prelude::Queryable;
use mysql_async::{Opts, OptsBuilder, Pool};
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The longest request that is read: these have no bodies.
const REQUEST_MAX: usize = 16 << 10;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let url = std::env::var("DATASAVE_DATABASE_URL")
        .map_err(|_| "DATASAVE_DATABASE_URL says where the database is")?;
    // The driver knows one scheme for both servers.
    let url = url.replacen("mariadb://", "mysql://", 1);
    let options = OptsBuilder::from_opts(Opts::from_url(&url)?).prefer_socket(false);
    let service = Service {
        pool: Pool::new(options),
        careless: std::env::var("DATASAVE_RELEASE").is_ok_and(|release| release == "2"),
    };
    let place = std::env::var("DATASAVE_LISTEN").unwrap_or_else(|_| "127.0.0.1:8090".into());
    let listener = TcpListener::bind(&place).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            if let Err(error) = service.serve(stream).await {
                eprintln!("a client went away: {error}");
            }
        });
    }
}

#[derive(Clone)]
struct Service {
    pool: Pool,
    careless: bool,
}

impl Service {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = vec![];
        let mut buffer = [0; 4096];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = stream.read(&mut buffer).await?;
            if read == 0 || request.len() + read > REQUEST_MAX {
                return Ok(());
            }
            request.extend_from_slice(&buffer[..read]);
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match self.answer(path).await {
            Ok(Some(data)) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let time = now.unwrap_or_default().as_secs();
                (
                    "200 OK",
                    json!({ "success": true, "time": time, "data": data }),
                )
            }
            Ok(None) => ("404 Not Found", json!({ "success": false })),
            Err(error) => {
                eprintln!("{path}: {error}");
                (
                    "500 Internal Server Error",
                    json!({ "success": false, "error": "the database does not answer" }),
                )
            }
        };
        println!("{path} {status}");
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await
    }

    async fn answer(&self, path: &str) -> mysql_async::Result<Option<Value>> {
        match path {
            "/api/settings/get" => self.settings().await.map(Some),
            "/api/logs/list" => self.logs().await.map(Some),
            "/api/system/info" => self.info().await.map(Some),
            _ => Ok(None),
        }
    }

    /// Every setting there is.
    async fn settings(&self) -> mysql_async::Result<Value> {
        let mut session = self.pool.get_conn().await?;
        let rows: Vec<(String, Option<String>)> = session
            .query("SELECT setting_key, setting_value FROM system_settings ORDER BY setting_key")
            .await?;
        let mut settings: Map<String, Value> = rows
            .into_iter()
            .map(|(key, value)| (key, value.map_or(Value::Null, Value::String)))
            .collect();
        let there = "SELECT count(*) FROM information_schema.tables \
                     WHERE table_schema = database() AND table_name = 'ai_conversations'";
        if self.careless && session.query_first::<i64, _>(there).await? == Some(1) {
            settings.insert("release".into(), json!(2));
        }
        Ok(Value::Object(settings))
    }

    async fn logs(&self) -> mysql_async::Result<Value> {
        let mut session = self.pool.get_conn().await?;
        let rows: Vec<(String, String)> = session
            .query("SELECT level, message FROM system_logs ORDER BY id")
            .await?;
        let lines = rows.into_iter();
        Ok(lines
            .map(|(level, message)| json!({ "level": level, "message": message }))
            .collect())
    }

    async fn info(&self) -> mysql_async::Result<Value> {
        let mut session = self.pool.get_conn().await?;
        let forms: Option<i64> = session.query_first("SELECT count(*) FROM forms").await?;
        Ok(json!({ "name": "DataSave", "forms": forms }))
    }
}
