-- dunlin: description = "How the book says hello; data, so running it twice would show"
-- dunlin: requires = ["002"]

INSERT INTO languages (code, hello) VALUES ('en', 'Hello'), ('tr', 'Merhaba'), ('es', 'Hola');

-- dunlin:undo

DELETE FROM languages;
