//! Changes that somebody makes to the zoo behind the migrations' back.

use dunlin_core::schema::DifferenceKind::{self, Different, Extra, Missing};

/// A change by somebody, how drift tells it, and of what.
pub type Case = (&'static str, DifferenceKind, &'static str);

pub const SQLITE: &[Case] = &[
    (
        "DROP INDEX idx_users_name",
        Missing,
        "index users.idx_users_name",
    ),
    (
        "CREATE INDEX more ON users (age)",
        Extra,
        "index users.more",
    ),
    (
        "DROP INDEX uq_users_name_age; CREATE INDEX uq_users_name_age ON users (name, age)",
        Different,
        "index users.uq_users_name_age",
    ),
    ("DROP VIEW a_first", Missing, "view a_first"),
    ("CREATE VIEW extra AS SELECT 1 AS x", Extra, "view extra"),
    (
        "DROP VIEW a_first; CREATE VIEW a_first AS SELECT id, name FROM adults",
        Different,
        "view a_first",
    ),
    (
        "DROP VIEW adults; CREATE VIEW adults AS SELECT id, name FROM users",
        Different,
        "view adults",
    ),
    (
        "DROP TRIGGER users_touch",
        Missing,
        "trigger users.users_touch",
    ),
    (
        "CREATE TRIGGER more AFTER DELETE ON users BEGIN SELECT 1; END",
        Extra,
        "trigger users.more",
    ),
    (
        "ALTER TABLE users ADD COLUMN more TEXT",
        Extra,
        "column users.more",
    ),
    (
        "ALTER TABLE \"order items\" DROP COLUMN twice",
        Missing,
        "column order items.twice",
    ),
    ("CREATE TABLE extra (id INTEGER)", Extra, "table extra"),
    ("DROP TABLE notes", Missing, "table notes"),
    (
        "PRAGMA foreign_keys = OFF; DROP TABLE \"order items\"",
        Missing,
        "table order items",
    ),
    (
        "PRAGMA foreign_keys = OFF; DROP TABLE \"order items\"; CREATE TABLE \"order items\" (\"user id\" TEXT, line INTEGER, twice INTEGER AS (line * 2) STORED, parent INTEGER)",
        Different,
        "column order items.user id",
    ),
    (
        "DROP TRIGGER users_touch; CREATE TRIGGER users_touch AFTER UPDATE ON users BEGIN SELECT 1; END",
        Different,
        "trigger users.users_touch",
    ),
    (
        "PRAGMA foreign_keys = OFF; DROP TABLE \"order items\"; CREATE TABLE \"order items\" (\"user id\" INTEGER NOT NULL REFERENCES users ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, line INTEGER NOT NULL, twice INTEGER AS (line * 2) STORED, parent INTEGER, PRIMARY KEY (\"user id\", line), FOREIGN KEY (\"user id\", parent) REFERENCES \"order items\" (\"user id\", line) ON UPDATE SET NULL) WITHOUT ROWID",
        Different,
        "table order items",
    ),
    (
        "PRAGMA foreign_keys = OFF; DROP TABLE users; CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL COLLATE NOCASE, name VARCHAR(40) DEFAULT 'no one''s', age INTEGER CHECK (age >= 0 AND age < 200), score REAL NOT NULL DEFAULT (1.5 * 2), made_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, lower_name TEXT GENERATED ALWAYS AS (lower(name)) VIRTUAL, UNIQUE (email), CONSTRAINT name_not_empty CHECK (length(name) > 1))",
        Different,
        "constraint users.name_not_empty",
    ),
    (
        "PRAGMA foreign_keys = OFF; DROP TABLE \"order items\"; CREATE TABLE \"order items\" (\"user id\" INTEGER NOT NULL REFERENCES users ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, line INTEGER NOT NULL, twice INTEGER AS (line * 2) STORED, parent INTEGER, PRIMARY KEY (\"user id\", line), FOREIGN KEY (\"user id\", parent) REFERENCES \"order items\" (\"user id\", line) ON UPDATE SET NULL, CONSTRAINT more CHECK (line > 1)) WITHOUT ROWID, STRICT",
        Extra,
        "constraint order items.more",
    ),
    (
        "PRAGMA foreign_keys = OFF; DROP TABLE \"order items\"; CREATE TABLE \"order items\" (\"user id\" INTEGER NOT NULL REFERENCES users ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, line INTEGER NOT NULL, twice INTEGER AS (line * 2) STORED, parent INTEGER, PRIMARY KEY (\"user id\", line)) WITHOUT ROWID, STRICT",
        Missing,
        "constraint order items.user id, parent",
    ),
];

pub const POSTGRES: &[Case] = &[
    ("DROP INDEX users_lower", Missing, "index users.users_lower"),
    (
        "CREATE INDEX more ON users (age)",
        Extra,
        "index users.more",
    ),
    (
        "ALTER INDEX users_uid RENAME TO other_uid",
        Different,
        "index users.users_uid",
    ),
    ("DROP VIEW \"A second\"", Missing, "view A second"),
    (
        "CREATE OR REPLACE VIEW \"A second\" AS SELECT id FROM a_view WHERE id > 1",
        Different,
        "view A second",
    ),
    (
        "DROP MATERIALIZED VIEW app.sums",
        Missing,
        "materialized view app.sums",
    ),
    (
        "ALTER TABLE users ADD COLUMN more text NOT NULL DEFAULT 'x'",
        Extra,
        "column users.more",
    ),
    (
        "ALTER TABLE app.\"order items\" DROP COLUMN line",
        Missing,
        "column app.order items.line",
    ),
    (
        "ALTER TABLE users ALTER COLUMN email TYPE text",
        Different,
        "column users.email",
    ),
    (
        "ALTER TABLE users ALTER COLUMN age SET NOT NULL",
        Different,
        "column users.age",
    ),
    (
        "ALTER TABLE users ALTER COLUMN uid DROP DEFAULT",
        Different,
        "column users.uid",
    ),
    (
        "ALTER TABLE app.\"order items\" ALTER COLUMN id SET GENERATED ALWAYS",
        Different,
        "column app.order items.id",
    ),
    (
        "COMMENT ON COLUMN users.email IS 'else'",
        Different,
        "column users.email",
    ),
    ("COMMENT ON TABLE users IS NULL", Different, "table users"),
    (
        "ALTER TABLE scratchpad SET LOGGED",
        Different,
        "table scratchpad",
    ),
    (
        "ALTER TABLE app.\"order items\" SET (fillfactor = 90)",
        Different,
        "table app.order items",
    ),
    (
        "ALTER TABLE users DROP CONSTRAINT name_age",
        Missing,
        "constraint users.name_age",
    ),
    (
        "ALTER TABLE users DROP CONSTRAINT users_age_check",
        Missing,
        "constraint users.users_age_check",
    ),
    (
        "ALTER TABLE users ADD CONSTRAINT more CHECK (age < 200)",
        Extra,
        "constraint users.more",
    ),
    (
        "ALTER TABLE app.\"order items\" DROP CONSTRAINT \"order items_user id_fkey\"",
        Missing,
        "constraint app.order items.order items_user id_fkey",
    ),
    (
        "ALTER TABLE users RENAME CONSTRAINT name_age TO other",
        Different,
        "constraint users.name_age",
    ),
    (
        "DROP TRIGGER users_touch ON users",
        Missing,
        "trigger users.users_touch",
    ),
    (
        "ALTER TABLE users ENABLE TRIGGER users_off",
        Different,
        "trigger users.users_off",
    ),
    ("DROP POLICY adults ON users", Missing, "other users.adults"),
    (
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        Different,
        "table users",
    ),
    (
        "CREATE OR REPLACE FUNCTION slug(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT t'",
        Different,
        "function slug",
    ),
    ("DROP PROCEDURE app.tidy", Missing, "procedure app.tidy"),
    (
        "CREATE FUNCTION more(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        Extra,
        "function more",
    ),
    (
        "ALTER SEQUENCE app.tickets INCREMENT 7",
        Different,
        "sequence app.tickets",
    ),
    ("CREATE SEQUENCE more", Extra, "sequence more"),
    ("CREATE TYPE more AS ENUM ('x')", Extra, "type more"),
    (
        "DROP TABLE app.\"order items\"",
        Missing,
        "table app.order items",
    ),
    (
        "CREATE TABLE extra (id serial PRIMARY KEY, u integer REFERENCES users)",
        Extra,
        "table extra",
    ),
    ("DROP TABLE events", Missing, "table events"),
    (
        "CREATE FUNCTION t_more() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE extra (id \
         integer); CREATE TRIGGER t_more BEFORE INSERT ON extra FOR EACH ROW EXECUTE FUNCTION t_more()",
        Extra,
        "function t_more",
    ),
    (
        "DROP VIEW \"A second\", a_view; DROP MATERIALIZED VIEW app.sums; DROP TABLE app.\"order items\", users; DROP \
         FUNCTION slug",
        Missing,
        "function slug",
    ),
    ("CREATE VIEW more AS SELECT 1 AS x", Extra, "view more"),
    (
        "CREATE MATERIALIZED VIEW more AS SELECT 1 AS x",
        Extra,
        "materialized view more",
    ),
    (
        "DROP MATERIALIZED VIEW app.sums; CREATE MATERIALIZED VIEW app.sums AS SELECT count(*) AS n, 1 AS more FROM users",
        Different,
        "materialized view app.sums",
    ),
    (
        "ALTER TABLE users DROP CONSTRAINT users_age_check, ADD CONSTRAINT users_age_check CHECK (age >= 1)",
        Different,
        "constraint users.users_age_check",
    ),
    (
        "CREATE TRIGGER more AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION touch()",
        Extra,
        "trigger users.more",
    ),
    (
        "CREATE PROCEDURE more() LANGUAGE sql AS 'SELECT 1'",
        Extra,
        "procedure more",
    ),
    (
        "CREATE OR REPLACE PROCEDURE app.tidy(older integer) LANGUAGE sql AS 'SELECT 1'",
        Different,
        "procedure app.tidy",
    ),
    (
        "ALTER TABLE users ALTER COLUMN ticket DROP DEFAULT; DROP SEQUENCE app.tickets",
        Missing,
        "sequence app.tickets",
    ),
    ("DROP TYPE pair", Missing, "type pair"),
    (
        "DROP TYPE pair; CREATE TYPE pair AS (a integer, b text, c text)",
        Different,
        "type pair",
    ),
];

pub const MYSQL: &[Case] = &[
    (
        "ALTER TABLE users DROP INDEX idx_name_age",
        Missing,
        "index users.idx_name_age",
    ),
    (
        "CREATE INDEX more ON users (age)",
        Extra,
        "index users.more",
    ),
    (
        "ALTER TABLE users DROP INDEX uq_email, ADD KEY uq_email (email)",
        Different,
        "index users.uq_email",
    ),
    (
        "ALTER TABLE users RENAME INDEX idx_name_age TO other",
        Different,
        "index users.idx_name_age",
    ),
    ("DROP VIEW a_first", Missing, "view a_first"),
    ("CREATE VIEW extra AS SELECT 1 AS x", Extra, "view extra"),
    (
        "CREATE OR REPLACE VIEW adults AS SELECT u.id, u.name, u.email AS mail FROM users u",
        Different,
        "view adults",
    ),
    (
        "ALTER TABLE users ADD COLUMN more varchar(10) NOT NULL",
        Extra,
        "column users.more",
    ),
    (
        "ALTER TABLE users DROP COLUMN seen_at",
        Missing,
        "column users.seen_at",
    ),
    (
        "ALTER TABLE users MODIFY COLUMN email varchar(100) NOT NULL",
        Different,
        "column users.email",
    ),
    (
        "ALTER TABLE users ALTER COLUMN on_off SET DEFAULT 0",
        Different,
        "column users.on_off",
    ),
    (
        "ALTER TABLE users MODIFY COLUMN body longtext NOT NULL",
        Different,
        "column users.body",
    ),
    (
        "ALTER TABLE users MODIFY COLUMN doc longtext",
        Different,
        "column users.doc",
    ),
    ("ALTER TABLE users COMMENT 'else'", Different, "table users"),
    (
        "ALTER TABLE log_lines ENGINE=InnoDB",
        Different,
        "table log_lines",
    ),
    (
        "ALTER TABLE users DROP CONSTRAINT price_ok",
        Missing,
        "constraint users.price_ok",
    ),
    (
        "ALTER TABLE users ADD CONSTRAINT more CHECK (age < 200)",
        Extra,
        "constraint users.more",
    ),
    (
        "ALTER TABLE `order items` DROP FOREIGN KEY items_user",
        Missing,
        "constraint order items.items_user",
    ),
    (
        "ALTER TABLE `order items` DROP FOREIGN KEY items_user, ADD CONSTRAINT items_user2 FOREIGN KEY (`user id`) REFERENCES users (id)",
        Extra,
        "constraint order items.items_user2",
    ),
    ("DROP TRIGGER users_bi", Missing, "trigger users.users_bi"),
    (
        "CREATE TRIGGER more AFTER DELETE ON users FOR EACH ROW SET @x = 1",
        Extra,
        "trigger users.more",
    ),
    (
        "DROP FUNCTION twice_of; CREATE FUNCTION twice_of(n int) RETURNS int DETERMINISTIC RETURN n * 3",
        Different,
        "function twice_of",
    ),
    ("DROP PROCEDURE tidy", Missing, "procedure tidy"),
    ("DROP EVENT nightly", Missing, "event nightly"),
    (
        "ALTER EVENT nightly ON SCHEDULE EVERY 2 DAY",
        Different,
        "event nightly",
    ),
    (
        "CREATE TABLE extra (id int, u bigint unsigned, FOREIGN KEY (u) REFERENCES users (id))",
        Extra,
        "table extra",
    ),
    ("DROP TABLE `order items`", Missing, "table order items"),
    (
        "ALTER TABLE log_lines ADD PRIMARY KEY (at)",
        Extra,
        "constraint log_lines.primary key",
    ),
    (
        "ALTER TABLE users DROP CONSTRAINT price_ok, ADD CONSTRAINT price_ok CHECK (price >= 1)",
        Different,
        "constraint users.price_ok",
    ),
    (
        "DROP TRIGGER users_bi; CREATE TRIGGER users_bi BEFORE INSERT ON users FOR EACH ROW SET NEW.age = 2",
        Different,
        "trigger users.users_bi",
    ),
    ("DROP FUNCTION twice_of", Missing, "function twice_of"),
    (
        "CREATE FUNCTION more() RETURNS int DETERMINISTIC RETURN 1",
        Extra,
        "function more",
    ),
    ("CREATE PROCEDURE more() SELECT 1", Extra, "procedure more"),
    (
        "DROP PROCEDURE tidy; CREATE PROCEDURE tidy(IN older int, OUT gone int) SET gone = older",
        Different,
        "procedure tidy",
    ),
    (
        "CREATE EVENT more ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM log_lines",
        Extra,
        "event more",
    ),
];
