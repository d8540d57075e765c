//! Loading rows into MySQL and MariaDB: LOAD DATA from memory, by a task that has the connection meanwhile. Where the
//! server takes no files of clients, the same rows by INSERT.
//!
//! LOAD DATA LOCAL makes warnings of errors, as if people had asked for it: rows are left out, numbers are bent. Here
//! every warning and every row left out is the error that it is.

use super::session::{MysqlSession, db_error};
use crate::{DbError, RowSink};
use async_trait::async_trait;
use bytes::Bytes;
use dunlin_core::dialect::Dialect;
use dunlin_core::dialect::mysql::{Mysql, bulk};
use dunlin_core::failure::ErrorClass;
use futures_util::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, LocalInfileError};
use tokio::sync::{mpsc, oneshot};

/// Bytes of one INSERT, or one row: larger ones are no faster, and the driver keeps buffers of their size.
const BYTES_MAX: usize = 128 * 1024;
/// What a packet holds beside the statement.
const ROOM: usize = 1024;

/// Bytes that go in one packet: a server hangs up on a larger one than it is set to take (`max_allowed_packet`, 1 MiB
/// where it is least), and a row with one large value is one piece.
const PACKET_MAX: usize = 512 * 1024;

/// What the task is told.
enum Told {
    Rows(Vec<u8>),
    /// There are no more, and the load is wanted.
    End,
}

struct Load<'a> {
    session: &'a mut MysqlSession,
    rows: mpsc::Sender<Told>,
    outcome: oneshot::Receiver<Result<u64, DbError>>,
}

/// Begins a load. Two pieces wait at most.
pub(super) async fn start<'a>(
    session: &'a mut MysqlSession,
    sql: &str,
) -> Result<Box<dyn RowSink + 'a>, DbError> {
    use crate::Session;
    let asked =
        "SELECT @@local_infile, @@max_allowed_packet, @@sql_mode LIKE '%NO_BACKSLASH_ESCAPES%'";
    let answer = session.query(asked, &[]).await?;
    let number = |at: usize| answer.first().and_then(|row| row.get(at)?.as_i64());
    if number(2) != Some(0) {
        return Err(DbError::new(
            ErrorClass::Other,
            "a session whose sql_mode reads no backslashes loads no rows",
        ));
    }
    let takes_files = number(0) == Some(1);
    let packet = number(1).and_then(|bytes| usize::try_from(bytes).ok());
    let packet = packet.unwrap_or(BYTES_MAX);
    // Outside of a transaction the load is one of its own: whole or not at all.
    let own = !session.in_transaction();
    if own {
        session.begin().await?;
    }
    let (home, back) = oneshot::channel();
    let (answer, outcome) = oneshot::channel();
    let (rows, inbox) = mpsc::channel(2);
    let Some(mut conn) = session.lend(back, own) else {
        return Err(gone());
    };
    let sql = sql.to_owned();
    tokio::spawn(async move {
        let done = if takes_files {
            from_file(&mut conn, &sql, inbox).await
        } else {
            by_insert(&mut conn, &sql, packet, inbox).await
        };
        let _ = home.send(conn);
        let _ = answer.send(done);
    });
    Ok(Box::new(Load {
        session,
        rows,
        outcome,
    }))
}

fn gone() -> DbError {
    DbError::new(
        ErrorClass::ConnectionLost,
        "the connection to the server was lost",
    )
}

impl Load<'_> {
    async fn hand_over(&mut self, bytes: Vec<u8>) -> Result<(), DbError> {
        match self.rows.send(Told::Rows(bytes)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended().await),
        }
    }

    /// Why the task listens no more.
    async fn ended(&mut self) -> DbError {
        let outcome = (&mut self.outcome).await;
        // What the rollback says matters less than what went wrong.
        let _ = self.session.take_back(false).await;
        match outcome {
            Ok(Err(error)) => error,
            Ok(Ok(_)) | Err(_) => gone(),
        }
    }
}

#[async_trait]
impl RowSink for Load<'_> {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), DbError> {
        if bytes.len() <= PACKET_MAX {
            return self.hand_over(bytes).await;
        }
        for part in bytes.chunks(PACKET_MAX) {
            self.hand_over(part.to_vec()).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, DbError> {
        if self.rows.send(Told::End).await.is_err() {
            return Err(self.ended().await);
        }
        match (&mut self.outcome).await {
            Ok(Ok(rows)) => {
                self.session.take_back(true).await?;
                Ok(rows)
            }
            Ok(Err(error)) => {
                let _ = self.session.take_back(false).await;
                Err(error)
            }
            Err(_) => Err(gone()),
        }
    }
}

/// The rows as the file that the server asks for. A load that is given up ends the file with an error.
async fn from_file(
    conn: &mut Conn,
    sql: &str,
    inbox: mpsc::Receiver<Told>,
) -> Result<u64, DbError> {
    conn.set_infile_handler(async move {
        let pieces = futures_util::stream::unfold(Some(inbox), |inbox| async move {
            let mut inbox = inbox?;
            match inbox.recv().await {
                Some(Told::Rows(bytes)) => Some((Ok(Bytes::from(bytes)), Some(inbox))),
                Some(Told::End) => None,
                None => Some((Err(std::io::Error::other("the load was given up")), None)),
            }
        });
        Ok(pieces.boxed())
    });
    let loaded = async {
        let result = conn.query_iter(sql).await?;
        let rows = result.affected_rows();
        let skipped = skipped(&result.info());
        let warned = result.warnings();
        result.drop_result().await?;
        Ok((rows, skipped, warned))
    };
    let loaded = loaded.await;
    // Where the statement ended before the server asked for its file, the driver still holds the rows: whoever sends them
    // would wait for ever. Nor does a server get them that asks for a file later.
    conn.set_infile_handler(async { Err(LocalInfileError::NoHandler.into()) });
    let (rows, skipped, warned) = loaded.map_err(|error| db_error(&error))?;
    if skipped == 0 && warned == 0 {
        return Ok(rows);
    }
    Err(warning(conn, skipped, warned).await)
}

/// `Records: 3  Deleted: 0  Skipped: 1  Warnings: 1`.
fn skipped(info: &str) -> u64 {
    info.split_once("Skipped:")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

/// The first warning as the error that it is.
async fn warning(conn: &mut Conn, skipped: u64, warned: u16) -> DbError {
    let all = conn
        .query::<(String, u16, String), _>("SHOW WARNINGS LIMIT 1")
        .await;
    let first = match all {
        Ok(all) => all.into_iter().next(),
        Err(error) => return db_error(&error),
    };
    let (code, message) = match first {
        Some((_, code, message)) => (code.to_string(), message),
        None => (String::new(), "the server left rows out".to_owned()),
    };
    let hint = format!("{warned} warnings in all, and {skipped} rows left out");
    let own = Mysql.error_hint(&code, &message);
    let mut class = Mysql.error_class(&code, &message);
    if class == ErrorClass::Other {
        class = ErrorClass::Data;
    }
    DbError {
        class,
        hint: Some(own.map_or_else(|| hint.clone(), |own| format!("{own}; {hint}"))),
        code,
        message,
        position: None,
    }
}

/// What a server says that is sent such a row before it hangs up.
const PACKET_TOO_LARGE: &str = "1153";

/// A row that no packet holds.
fn too_large(bytes: usize, packet: usize) -> DbError {
    let message = format!(
        "a row of {bytes} bytes is more than one packet holds (max_allowed_packet is {packet})"
    );
    DbError {
        hint: Some("raise max_allowed_packet on the server".into()),
        code: PACKET_TOO_LARGE.into(),
        ..DbError::new(ErrorClass::Data, message)
    }
}

/// The same rows by INSERT. `packet`: how many bytes the server takes at once.
async fn by_insert(
    conn: &mut Conn,
    sql: &str,
    packet: usize,
    mut inbox: mpsc::Receiver<Told>,
) -> Result<u64, DbError> {
    let Some((head, marks)) = bulk::insert(sql) else {
        return Err(DbError::new(
            ErrorClass::Other,
            "this statement takes rows from a file, which the server does not allow (local_infile)",
        ));
    };
    let mut rows = Rows {
        text: head.clone().into_bytes(),
        row: head.len(),
        head,
        packet,
        taken: 0,
    };
    let mut literals = bulk::Literals::new(&marks);
    while let Some(told) = inbox.recv().await {
        let Told::Rows(bytes) = told else {
            rows.insert(conn).await?;
            if literals.is_between() {
                return Ok(rows.taken);
            }
            let message = "a row of the load is not whole";
            return Err(DbError::new(ErrorClass::Data, message));
        };
        let mut at = 0;
        while at < bytes.len() {
            if literals.is_between() {
                rows.begin();
            }
            let (took, ended) = literals.take(&bytes[at..], &mut rows.text);
            at += took;
            if ended {
                rows.ended(conn).await?;
            }
        }
    }
    Err(gone())
}

/// Rows on their way into one INSERT, as literals: of values bound to marks the driver would keep a hundred packets, and the
/// server would be asked about each mark.
struct Rows {
    /// The statement up to its rows.
    head: String,
    /// The statement as far as it is there.
    text: Vec<u8>,
    /// Where the last row begins in it.
    row: usize,
    packet: usize,
    taken: u64,
}

impl Rows {
    fn begin(&mut self) {
        if self.text.len() > self.head.len() {
            self.text.push(b',');
        }
        self.row = self.text.len();
    }

    /// After a row: it is sent with those before it, where they are enough; without them, where one packet does not hold all.
    async fn ended(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        if self.text.len() + ROOM > self.packet {
            let row = self.text.split_off(self.row);
            self.text
                .truncate(self.row.saturating_sub(1).max(self.head.len()));
            self.insert(conn).await?;
            if self.head.len() + row.len() + ROOM > self.packet {
                return Err(too_large(row.len(), self.packet));
            }
            self.text.extend_from_slice(&row);
        }
        if self.text.len() < BYTES_MAX {
            return Ok(());
        }
        self.insert(conn).await
    }

    /// Inserts what is here.
    async fn insert(&mut self, conn: &mut Conn) -> Result<(), DbError> {
        if self.text.len() <= self.head.len() {
            return Ok(());
        }
        let done = conn.query_drop(&self.text[..]).await;
        done.map_err(|error| db_error(&error))?;
        if conn.get_warnings() > 0 {
            return Err(warning(conn, 0, conn.get_warnings()).await);
        }
        self.taken += conn.affected_rows();
        self.text.truncate(self.head.len());
        self.text.shrink_to(2 * BYTES_MAX);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_left_out_are_read_from_what_the_server_says() {
        assert_eq!(
            skipped("Records: 30  Deleted: 0  Skipped: 12  Warnings: 13"),
            12
        );
        assert_eq!(skipped(""), 0);
    }
}
