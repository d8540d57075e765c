//! The form builder's service: what it answers comes from the database.

use dunlin_testkit::database::ask;
use dunlin_testkit::servers::Kind;
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A service that is up as long as the test's process.
pub struct Service {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    kind: Kind,
    database: String,
    /// Once this table is there the settings are told in another shape: the mistake of a careless release.
    careless: Mutex<Option<String>>,
    asked: AtomicU32,
    failed: AtomicBool,
}

impl Service {
    pub fn start(kind: Kind, database: &str) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            kind,
            database: database.to_owned(),
            careless: Mutex::new(None),
            asked: AtomicU32::new(0),
            failed: AtomicBool::new(false),
        });
        let mine = Arc::clone(&shared);
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let _ = mine.answer(stream);
            }
        });
        Service { url, shared }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// From the moment that this table is there, the settings are told otherwise; `None`: as ever.
    pub fn changes_with(&self, table: Option<&str>) {
        *self.shared.careless.lock().unwrap() = table.map(str::to_owned);
    }

    /// How many requests it answered, and whether the database failed it once.
    pub fn served(&self) -> (u32, bool) {
        let failed = self.shared.failed.load(Ordering::SeqCst);
        (self.shared.asked.load(Ordering::SeqCst), failed)
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = vec![];
        let mut buffer = [0; 4096];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            request.extend_from_slice(&buffer[..read]);
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (status, body) = match self.body(path) {
            Ok(Some(body)) => (200, body),
            Ok(None) => (404, json!({"success": false})),
            Err(error) => {
                self.failed.store(true, Ordering::SeqCst);
                (500, json!({"success": false, "error": error}))
            }
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())
    }

    fn rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        ask(&self.database, self.kind, sql)
    }

    fn body(&self, path: &str) -> Result<Option<Value>, String> {
        let time = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos()
            .to_string();
        let data = match path {
            "/api/settings/get" => {
                let rows =
                    self.rows("SELECT setting_key, setting_value FROM system_settings ORDER BY 1")?;
                let mut settings = Map::new();
                for row in rows {
                    let text = |at: usize| row[at].clone().unwrap_or_default();
                    settings.insert(text(0), Value::String(text(1)));
                }
                if self.has_changed()? {
                    settings.insert("release".into(), json!(2));
                }
                Value::Object(settings)
            }
            "/api/logs/list" => {
                let rows = self.rows("SELECT level, message FROM system_logs ORDER BY id")?;
                rows.iter()
                    .map(|row| json!({"level": row[0], "message": row[1]}))
                    .collect()
            }
            "/api/system/info" => {
                let rows = self.rows("SELECT count(*) FROM forms")?;
                json!({"name": "DataSave", "forms": rows[0][0]})
            }
            _ => return Ok(None),
        };
        Ok(Some(json!({"success": true, "time": time, "data": data})))
    }

    fn has_changed(&self) -> Result<bool, String> {
        let careless = self.careless.lock().map_err(|error| error.to_string())?;
        let Some(table) = careless.clone() else {
            return Ok(false);
        };
        let sql = format!(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name = '{table}'"
        );
        Ok(self.rows(&sql)?[0][0].as_deref() == Some("1"))
    }
}
