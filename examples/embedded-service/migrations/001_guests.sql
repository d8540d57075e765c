-- dunlin: description = "The guest book"

CREATE TABLE guests (
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    signed_at VARCHAR(40) NOT NULL
);

-- dunlin:undo

DROP TABLE guests;
