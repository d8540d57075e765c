//! A small service that brings its own database up to date when it starts: a guest book behind HTTP.
//!
//! ```text
//! DATABASE_URL=sqlite:guests.db cargo run -p embedded-service          # then: curl http://127.0.0.1:8080/
//! ```
//!
//! The scripts are compiled into the binary. Start as many of these as you like at the same time: each script runs once,
//! the others wait until it is done, and a service whose database could not be brought up to date does not start.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use anyhow::Context;
use dunlin::{Event, Migrator};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite:guests.db".into());
    bring_up_to_date(&url).await?;
    if std::env::args().any(|arg| arg == "--migrate-only") {
        return Ok(());
    }
    serve(&url).await
}

/// The whole of what a service needs to do about its database.
async fn bring_up_to_date(url: &str) -> anyhow::Result<()> {
    let report = Migrator::new(url)?
        .embedded(dunlin::migrations!("migrations"))?
        .create(true)
        .events(|event: &Event| match event {
            Event::LeaseWaiting { holder, .. } => eprintln!("another process is at it: {holder}"),
            Event::StepDone {
                version,
                name,
                duration_ms,
                ..
            } => eprintln!("{version} {name}: {duration_ms} ms"),
            Event::DoubtSettled { version, why, .. } => {
                eprintln!("{version} was interrupted: {why}")
            }
            _ => {}
        })
        .up()
        .await
        // The hints say what to do; a log that lacks them is read at 3 a.m. by somebody who needs them.
        .map_err(|failure| anyhow::anyhow!("{failure}\n{}", failure.hints.join("\n")))?;
    println!("database ready, {} migrations applied", report.steps.len());
    Ok(())
}

/// The service itself. Its own queries go through a driver of its choice, here SQLite's.
async fn serve(url: &str) -> anyhow::Result<()> {
    let file = url
        .strip_prefix("sqlite:")
        .context("this service keeps its guests in SQLite")?;
    let book = Arc::new(Mutex::new(rusqlite::Connection::open(file)?));
    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".into());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let book = Arc::clone(&book);
        tokio::spawn(async move {
            if let Err(error) = answer(stream, &book).await {
                eprintln!("{error:#}");
            }
        });
    }
}

/// `POST /NAME` signs; anything else shows who was here.
async fn answer(stream: TcpStream, book: &Mutex<rusqlite::Connection>) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request).await?;
    let mut words = request.split_whitespace();
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or("/"),
    );
    let body = {
        let book = book
            .lock()
            .map_err(|_| anyhow::anyhow!("another request panicked"))?;
        if method == "POST" {
            let name = path.trim_start_matches('/');
            book.execute(
                "INSERT INTO guests (name, signed_at) VALUES (?, datetime('now'))",
                [name],
            )?;
        }
        let hello: String =
            book.query_row("SELECT hello FROM languages WHERE code = 'tr'", [], |row| {
                row.get(0)
            })?;
        let mut query = book.prepare("SELECT name FROM guests ORDER BY id")?;
        let names: Vec<String> = query
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        format!("{hello}! {} guests: {}\n", names.len(), names.join(", "))
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n"
    );
    stream
        .get_mut()
        .write_all((head + &body).as_bytes())
        .await?;
    Ok(())
}
