-- dunlin: description = "created_at is an instant in UTC, whatever format it was written in"
--
-- Four formats are in the file: 2024-03-05T10:00:00Z, 2024-03-05 10:00:00, 05.03.2024 10:00 and seconds since 1970.

CREATE TABLE kb_created_as_written (entry_id TEXT PRIMARY KEY, created_at);

INSERT INTO kb_created_as_written (entry_id, created_at)
SELECT id, created_at FROM kb_entries WHERE created_at NOT GLOB '????-??-??T??:??:??Z';

UPDATE kb_entries
SET created_at = CASE
    WHEN typeof(created_at) = 'integer' THEN strftime('%Y-%m-%dT%H:%M:%SZ', created_at, 'unixepoch')
    WHEN created_at GLOB '??.??.???? ??:??' THEN
        substr(created_at, 7, 4) || '-' || substr(created_at, 4, 2) || '-' || substr(created_at, 1, 2)
        || 'T' || substr(created_at, 12, 5) || ':00Z'
    ELSE strftime('%Y-%m-%dT%H:%M:%SZ', created_at)
END
WHERE id IN (SELECT entry_id FROM kb_created_as_written);

-- dunlin:undo

UPDATE kb_entries
SET created_at = (SELECT was.created_at FROM kb_created_as_written was WHERE was.entry_id = kb_entries.id)
WHERE id IN (SELECT entry_id FROM kb_created_as_written);

DROP TABLE kb_created_as_written;
