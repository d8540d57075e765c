CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  email TEXT NOT NULL COLLATE NOCASE,
  name VARCHAR(40) DEFAULT 'no one''s',
  age INTEGER CHECK (age >= 0 AND age < 200), -- a comment, with a )
  score REAL NOT NULL DEFAULT (1.5 * 2),
  made_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  lower_name TEXT GENERATED ALWAYS AS (lower(name)) VIRTUAL,
  UNIQUE (email),
  CONSTRAINT name_not_empty CHECK (length(name) > 0)
);
CREATE TABLE "order items" (
  "user id" INTEGER NOT NULL REFERENCES users ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  line INTEGER NOT NULL,
  twice INTEGER AS (line * 2) STORED,
  parent INTEGER,
  PRIMARY KEY ("user id", line),
  FOREIGN KEY ("user id", parent) REFERENCES "order items" ("user id", line) ON UPDATE SET NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX idx_users_name ON users (name DESC, lower(email) COLLATE NOCASE) WHERE age > 18;
CREATE UNIQUE INDEX uq_users_name_age ON users (name, age);
CREATE VIEW adults AS SELECT id, name FROM users WHERE age >= 18;
CREATE VIEW a_first AS SELECT id FROM adults;
CREATE TRIGGER users_touch AFTER UPDATE ON users WHEN new.age <> old.age BEGIN
  UPDATE users SET made_at = CURRENT_TIMESTAMP WHERE id = new.id;
END;
CREATE TRIGGER adults_insert INSTEAD OF INSERT ON adults BEGIN INSERT INTO users (email, name) VALUES ('x', new.name); END;
CREATE VIRTUAL TABLE notes USING fts5(body);
