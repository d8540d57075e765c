-- What the parser finds in a program, and where.

CREATE TABLE code_files (
    id TEXT PRIMARY KEY,
    file_path TEXT NOT NULL,
    language TEXT NOT NULL DEFAULT 'cobol',
    content_hash TEXT,
    analysed_at DATETIME
);

CREATE TABLE code_findings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id TEXT NOT NULL REFERENCES code_files (id) ON DELETE CASCADE,
    entry_id TEXT,
    line INTEGER,
    finding TEXT NOT NULL
);

CREATE INDEX idx_code_findings_file ON code_findings (file_id);
