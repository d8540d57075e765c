-- Hazards of SQLite's DDL, one beside the other.
CREATE TABLE "Order" ("sp ace" INTEGER PRIMARY KEY, "quo""te" TEXT DEFAULT 'it''s', "Group" BOOLEAN NOT NULL DEFAULT 1, camelCase DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE parents (id TEXT PRIMARY KEY, n INTEGER UNIQUE, v INT, w REAL);
CREATE TABLE children (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  parent TEXT REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
  n VARCHAR(10) REFERENCES parents(N),
  free INTEGER REFERENCES parents(v),
  self INTEGER REFERENCES children(id)
);
CREATE TABLE ring_a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES ring_b(id));
CREATE TABLE ring_b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES ring_a(id));
CREATE TABLE pairs (a INTEGER, b TEXT, c TEXT, PRIMARY KEY (b, a));
CREATE TABLE of_pairs (x TEXT, y INTEGER, FOREIGN KEY (x, y) REFERENCES pairs (b, a));
CREATE TABLE folds (id INTEGER PRIMARY KEY, mail TEXT UNIQUE COLLATE NOCASE, name TEXT, deleted INTEGER DEFAULT 0, tail TEXT COLLATE RTRIM);
CREATE UNIQUE INDEX live_names ON folds (name) WHERE deleted = 0;
CREATE UNIQUE INDEX mail_lower ON folds (lower(mail), name DESC);
CREATE INDEX "by name" ON folds (name COLLATE NOCASE DESC);
CREATE TABLE checks (
  a INTEGER CHECK (a > 0), b TEXT CHECK (length(b) < 5), c TEXT CHECK (c IN ('x', 'y')),
  d TEXT CHECK (d GLOB '[a-c]*'), e INTEGER CHECK (typeof(e) = 'integer'), f JSON CHECK (json_valid(f)),
  g BOOLEAN CHECK (g IN (0, 1)), h TEXT CHECK (h LIKE '%@%.com'), i INTEGER CHECK (i BETWEEN 1 AND 9 OR i IS NULL),
  j DATE CHECK (j > '2000-01-01'), k TEXT CHECK (hex(k) <> '00'), l TEXT CHECK (instr(l, ' ') = 0)
);
CREATE TABLE computed (p REAL, q INTEGER, total REAL AS (p * q) STORED, label TEXT AS (q || ' pieces'), year TEXT AS (strftime('%Y', p)));
CREATE TABLE defaults (
  a TEXT DEFAULT 'it''s', b INTEGER DEFAULT -1, c DATETIME DEFAULT CURRENT_TIMESTAMP, d DATETIME DEFAULT (datetime('now', 'localtime')),
  e INTEGER DEFAULT (strftime('%s','now')), f TEXT DEFAULT (lower(hex(randomblob(16)))), g TEXT DEFAULT "dq", h BLOB DEFAULT x'00ff',
  i TEXT DEFAULT NULL, j BOOLEAN DEFAULT 1, k TEXT DEFAULT CURRENT_TIMESTAMP, l DATE DEFAULT CURRENT_DATE, m NUMERIC DEFAULT 1.5,
  n TEXT DEFAULT (date('now')), o INTEGER DEFAULT (abs(-3)), r TIMESTAMP DEFAULT '2024-01-01 00:00:00', s TEXT DEFAULT 5
);
CREATE TABLE odd (a "TEXT[]", b "ENUM('a','b')", c STRING, d FLOATING POINT, e, f ANY, g "UNSIGNED BIG INT", h UUID, i JSON, j JSONB, k BOOLEAN, l "NATIVE CHARACTER(70)", m BLOB, n TIME);
CREATE TABLE a_table_with_a_name_that_is_longer_than_the_sixty_three_bytes_of_others_1 (id INTEGER PRIMARY KEY, x INTEGER);
CREATE TABLE a_table_with_a_name_that_is_longer_than_the_sixty_three_bytes_of_others_2 (id INTEGER PRIMARY KEY, x INTEGER);
CREATE VIEW grown AS SELECT id, ifnull(name, 'none') AS name FROM folds WHERE deleted = 0;
