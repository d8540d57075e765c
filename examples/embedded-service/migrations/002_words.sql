-- dunlin: description = "Guests may leave a word"
-- dunlin: requires = ["001"]

ALTER TABLE guests ADD COLUMN word VARCHAR(200);

CREATE TABLE languages (
    code VARCHAR(8) NOT NULL PRIMARY KEY,
    hello VARCHAR(50) NOT NULL
);

-- dunlin:undo

DROP TABLE languages;
ALTER TABLE guests DROP COLUMN word;
