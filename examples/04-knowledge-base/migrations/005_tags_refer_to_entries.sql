-- dunlin: description = "A tag refers to its entry, and goes with it"
-- dunlin: requires = ["004"]
--
-- SQLite cannot add a reference to a table that is there: the table is built anew. Dunlin does this with foreign keys
-- off, checks them before the commit, and rolls back where rows would be lost.

CREATE TABLE kb_tags_new (
    entry_id TEXT NOT NULL REFERENCES kb_entries (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (entry_id, tag)
);

INSERT INTO kb_tags_new (entry_id, tag) SELECT entry_id, tag FROM kb_tags;

DROP TABLE kb_tags;

ALTER TABLE kb_tags_new RENAME TO kb_tags;

CREATE INDEX idx_kb_tags_tag ON kb_tags (tag);

-- dunlin:undo

CREATE TABLE kb_tags_old (
    entry_id TEXT,
    tag TEXT
);

INSERT INTO kb_tags_old (entry_id, tag) SELECT entry_id, tag FROM kb_tags;

DROP TABLE kb_tags;

ALTER TABLE kb_tags_old RENAME TO kb_tags;
