-- dunlin: description = "MVP 1, as the application itself has made it so far"
--
-- `kb.db` was there before Dunlin was, so this script has never run on it: `dunlin baseline 001` took it as it stands.
-- On an empty database (`dunlin up --create --url sqlite:new.db`) it runs like any other.

CREATE TABLE kb_entries (
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

CREATE TABLE kb_tags (
    entry_id TEXT,
    tag TEXT
);

CREATE TABLE search_history (
    query TEXT,
    timestamp DATETIME,
    results_count INTEGER,
    user_id TEXT,
    search_time_ms INTEGER
);

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT
);

-- dunlin:undo

DROP TABLE settings;
DROP TABLE search_history;
DROP TABLE kb_tags;
DROP TABLE kb_entries;
