//! The data of a knowledge base in a SQLite file: three tables, texts in Persian, Turkish, English and emoji, five indexes and
//! a foreign key. What `cargo x bench copy` and `cargo x bench verify` copy and compare.

#![allow(clippy::unwrap_used)]

use rusqlite::{Connection, params};
use std::path::Path;

/// Of which characters its texts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// With emoji among them.
    All,
    /// None beyond U+FFFF.
    Plain,
}

const SOURCE: &str = "
CREATE TABLE kb_entries (id TEXT PRIMARY KEY, title TEXT NOT NULL, problem TEXT NOT NULL, solution TEXT NOT NULL,
  category TEXT, severity TEXT, created_by TEXT, created_at DATETIME, updated_at DATETIME,
  usage_count INTEGER DEFAULT 0, archived BOOLEAN DEFAULT 0);
CREATE TABLE kb_tags (entry_id TEXT NOT NULL REFERENCES kb_entries(id), tag TEXT NOT NULL);
CREATE TABLE search_history (id INTEGER PRIMARY KEY AUTOINCREMENT, query TEXT NOT NULL, timestamp DATETIME,
  results_count INTEGER, user_id TEXT, search_time_ms REAL);";
const SOURCE_INDEXES: &str = "
CREATE INDEX by_category ON kb_entries (category); CREATE INDEX by_created ON kb_entries (created_at);
CREATE INDEX tags_entry ON kb_tags (entry_id); CREATE INDEX tags_tag ON kb_tags (tag);
CREATE INDEX by_time ON search_history (timestamp);";
const WORDS: [&str; 24] = [
    "the job abends with",
    "S0C7 in",
    "PAYROLL1",
    "after the nightly load",
    "check",
    "the data set",
    "خطای",
    "فایل",
    "کتاب‌خانه",
    "سلام",
    "پشتیبان",
    "çalışmıyor",
    "İş akışı",
    "dosya bulunamadı",
    "ığdır şube",
    "🐦",
    "👩‍👩‍👧‍👦",
    "🛠️ fixed",
    "\"quoted\"",
    "it's",
    "C:\\temp\\x",
    "line\nbreak",
    "tab\there",
    "REBIND PACKAGE",
];

/// Numbers that are the same in every run.
struct Seeded {
    state: u64,
    words: Vec<&'static str>,
}

impl Seeded {
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
    fn text(&mut self, words: u64) -> String {
        let mut text = String::new();
        for _ in 0..words {
            let at = self.below(self.words.len() as u64) as usize;
            text.push_str(self.words[at]);
            text.push(' ');
        }
        text
    }
    fn time(&mut self) -> String {
        let (day, hour, minute) = (self.below(28) + 1, self.below(24), self.below(60));
        format!(
            "202{}-0{}-{day:02} {hour:02}:{minute:02}:{:02}",
            self.below(6),
            self.below(9) + 1,
            self.below(60)
        )
    }
}

fn uuid(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{number:012x}",
        mixed >> 32,
        mixed >> 16 & 0xffff,
        mixed >> 4 & 0xfff,
        mixed & 0xfff
    )
}

/// Makes the file, of about so many MB. Gives its rows.
///
/// # Panics
/// Where it cannot be written.
pub fn fill(path: &Path, mb: u64, texts: Texts) -> u64 {
    let mut connection = Connection::open(path).unwrap();
    let swift = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;";
    connection.execute_batch(swift).unwrap();
    connection.execute_batch(SOURCE).unwrap();
    let plain = |word: &&str| texts == Texts::All || word.chars().all(|char| char <= '\u{ffff}');
    let mut seeded = Seeded {
        state: 0x6475_6e6c_696e,
        words: WORDS.into_iter().filter(plain).collect(),
    };
    let entries = mb * 480;
    let all = connection.transaction().unwrap();
    let mut insert = all
        .prepare("INSERT INTO kb_entries VALUES (?,?,?,?,?,?,?,?,?,?,?)")
        .unwrap();
    for number in 0..entries {
        let (title, problem) = (seeded.text(4), seeded.text(30));
        let (solution, by) = (seeded.text(40), seeded.text(1));
        let (created, updated) = (seeded.time(), seeded.time());
        let category = ["JCL", "VSAM", "DB2", "CICS", "COBOL"][seeded.below(5) as usize];
        let severity = ["low", "medium", "high"][seeded.below(3) as usize];
        let used = seeded.below(1_000) as i64;
        let archived = seeded.below(2) == 1;
        insert
            .execute(params![
                uuid(number),
                title,
                problem,
                solution,
                category,
                severity,
                by,
                created,
                updated,
                used,
                archived
            ])
            .unwrap();
    }
    drop(insert);
    let mut insert = all.prepare("INSERT INTO kb_tags VALUES (?,?)").unwrap();
    for _ in 0..entries * 10 / 3 {
        let entry = uuid(seeded.below(entries));
        insert.execute(params![entry, seeded.text(1)]).unwrap();
    }
    drop(insert);
    let mut insert = all
        .prepare("INSERT INTO search_history (query, timestamp, results_count, user_id, search_time_ms) VALUES (?,?,?,?,?)")
        .unwrap();
    for _ in 0..entries * 5 {
        let (query, at, found) = (seeded.text(4), seeded.time(), seeded.below(500) as i64);
        let user = format!("user{}", seeded.below(5_000));
        let took = seeded.below(1 << 40) as f64 / 1e9;
        insert
            .execute(params![query, at, found, user, took])
            .unwrap();
    }
    drop(insert);
    all.commit().unwrap();
    connection.execute_batch(SOURCE_INDEXES).unwrap();
    entries + entries * 10 / 3 + entries * 5
}
