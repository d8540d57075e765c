-- dunlin: description = "archived is 0 or 1, and nothing else"
--
-- Three versions of the application wrote 0/1, 'true'/'false' and 'yes'/'no'. What is rewritten is kept as it was
-- written, so that the undo gives back the very values.

CREATE TABLE kb_archived_as_written (entry_id TEXT PRIMARY KEY, archived);

INSERT INTO kb_archived_as_written (entry_id, archived)
SELECT id, archived FROM kb_entries WHERE typeof(archived) <> 'integer' OR archived NOT IN (0, 1);

UPDATE kb_entries
SET archived = coalesce(lower(archived) IN ('true', 'yes'), 0)
WHERE id IN (SELECT entry_id FROM kb_archived_as_written);

-- dunlin:undo

UPDATE kb_entries
SET archived = (SELECT was.archived FROM kb_archived_as_written was WHERE was.entry_id = kb_entries.id)
WHERE id IN (SELECT entry_id FROM kb_archived_as_written);

DROP TABLE kb_archived_as_written;
