-- dunlin: description = "Entries must have a title, a known severity, and a boolean where one belongs"
-- dunlin: requires = ["002", "003", "005"]
--
-- The table is built anew while kb_tags refers to it with ON DELETE CASCADE. With foreign keys on, the DROP would take
-- every tag along; here none is touched.

CREATE TABLE kb_entries_new (
    id TEXT PRIMARY KEY NOT NULL,
    title TEXT NOT NULL,
    problem TEXT,
    solution TEXT,
    category TEXT,
    severity TEXT NOT NULL DEFAULT 'medium' CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    created_by TEXT,
    created_at DATETIME NOT NULL,
    updated_at DATETIME,
    usage_count INTEGER NOT NULL DEFAULT 0,
    archived BOOLEAN NOT NULL DEFAULT 0 CHECK (archived IN (0, 1))
);

INSERT INTO kb_entries_new
SELECT id, title, problem, solution, category, severity, created_by, created_at, updated_at, usage_count, archived
FROM kb_entries;

DROP TABLE kb_entries;

ALTER TABLE kb_entries_new RENAME TO kb_entries;

CREATE INDEX idx_kb_entries_category ON kb_entries (category, severity);

-- dunlin:undo

CREATE TABLE kb_entries_old (
    id TEXT PRIMARY KEY,
    title TEXT,
    problem TEXT,
    solution TEXT,
    category TEXT,
    severity TEXT,
    created_by TEXT,
    created_at DATETIME,
    updated_at DATETIME,
    usage_count INTEGER DEFAULT 0,
    archived BOOLEAN DEFAULT 0
);

INSERT INTO kb_entries_old
SELECT id, title, problem, solution, category, severity, created_by, created_at, updated_at, usage_count, archived
FROM kb_entries;

DROP TABLE kb_entries;

ALTER TABLE kb_entries_old RENAME TO kb_entries;
