-- dunlin: description = "Tags whose entry is gone are set aside"

CREATE TABLE kb_tags_without_entry (entry_id TEXT, tag TEXT);

INSERT INTO kb_tags_without_entry (entry_id, tag)
SELECT entry_id, tag FROM kb_tags WHERE entry_id NOT IN (SELECT id FROM kb_entries);

DELETE FROM kb_tags WHERE entry_id NOT IN (SELECT id FROM kb_entries);

-- dunlin:undo

INSERT INTO kb_tags (entry_id, tag) SELECT entry_id, tag FROM kb_tags_without_entry;

DROP TABLE kb_tags_without_entry;
