//! SQLite to SQLite and PostgreSQL to PostgreSQL: everything goes over as it is, in its own class.

use super::{Case, Pair, all, case};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::servers::Kind;

#[test]
fn sqlite_to_sqlite() {
    let pair = Pair {
        from: TestEngine::Sqlite,
        to: TestEngine::Sqlite,
    };
    all(pair, &of_sqlite(), &[]);
}

#[test]
fn postgres_to_postgres() {
    let postgres = TestEngine::Server(Kind::Postgres);
    let pair = Pair {
        from: postgres,
        to: postgres,
    };
    all(pair, &of_postgres(), KNOWN_POSTGRES);
}

const KNOWN_POSTGRES: &[(&str, &str)] = &[];

fn of_sqlite() -> Vec<Case> {
    vec![
        case("classes", "CREATE TABLE t (v); INSERT INTO t VALUES (1), ('1'), (1.5), (x'31'), (NULL), (CAST(x'ff41' AS TEXT)), ('a' || char(0) || 'b');")
            .ask("SELECT group_concat(typeof(v)) FROM t", "integer,text,real,blob,null,text,text"),
        case("dates", "CREATE TABLE t (v DATETIME); INSERT INTO t VALUES ('now'), (0), ('0000-00-00'), (2460000.5);").ask("SELECT count(*) FROM t WHERE v IN ('now', 0, '0000-00-00')", "3"),
        case("infinity", "CREATE TABLE t (v REAL); INSERT INTO t VALUES (9e999), (-9e999), (1e308);").ask("SELECT count(*) FROM t WHERE v > 1e308", "1"),
        case("counter", "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO t VALUES (100, 1); DELETE FROM t;").take("INSERT INTO t (v) VALUES (1)").ask("SELECT id FROM t", "101"),
        case("strict", "CREATE TABLE t (a ANY, k TEXT PRIMARY KEY) STRICT, WITHOUT ROWID; INSERT INTO t VALUES ('001', 'k'), (1, 'l');").ask("SELECT typeof(a) FROM t ORDER BY k", "text|integer"),
        case("null-key", "CREATE TABLE t (k TEXT PRIMARY KEY); INSERT INTO t VALUES (NULL), (NULL), ('a');").ask("SELECT count(*) FROM t", "3").refuse("INSERT INTO t VALUES ('a')"),
        case("generated", "CREATE TABLE t (a INT, b INT AS (a * 2) STORED, c AS (a + 1)); INSERT INTO t (a) VALUES (2);").ask("SELECT b, c FROM t", "4|3"),
        case("partial", "CREATE TABLE t (v TEXT COLLATE NOCASE, d INT); CREATE UNIQUE INDEX u ON t (v) WHERE d = 0; INSERT INTO t VALUES ('a', 0), ('A', 1);").refuse("INSERT INTO t VALUES ('A', 0)"),
        case("trigger", "CREATE TABLE t (v INT); CREATE TABLE log (n INT); CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.v); END; INSERT INTO t VALUES (1);")
            .ask("SELECT count(*) FROM log", "1").take("INSERT INTO t VALUES (2)").ask("SELECT count(*) FROM log", "2"),
        case("virtual", "CREATE TABLE t (v TEXT); CREATE VIRTUAL TABLE f USING fts5(v); CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO f VALUES (new.v); END; CREATE VIEW w AS SELECT v FROM f; INSERT INTO t VALUES ('a');")
            .listed("table f").listed("trigger tr of t").listed("view w").take("INSERT INTO t VALUES ('b')"),
        case("view", "CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('xa'); CREATE VIEW w AS SELECT group_concat(v) AS g FROM t WHERE v GLOB 'x*';").ask("SELECT g FROM w", "xa"),
    ]
}

fn of_postgres() -> Vec<Case> {
    vec![
        case("unlogged", "CREATE UNLOGGED TABLE t (v int); INSERT INTO t VALUES (1);").ask("SELECT relpersistence FROM pg_class WHERE oid = 't'::regclass", "u"),
        case("identity", "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int); INSERT INTO t (v) VALUES (1), (2);").refuse("INSERT INTO t VALUES (9, 1)").ask("INSERT INTO t (v) VALUES (3) RETURNING id", "3"),
        case("generated", "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t (a) VALUES (2);").ask("SELECT b FROM t", "4"),
        case("identity-step", "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5 MAXVALUE 1000 CACHE 2 CYCLE) PRIMARY KEY, v int); INSERT INTO t (v) VALUES (1);")
            .ask("SELECT seqstart, seqincrement, seqmax, seqcache, seqcycle FROM pg_sequence WHERE seqrelid = 't_id_seq'::regclass", "100|5|1000|2|t"),
        case("collations", "CREATE SCHEMA o; CREATE COLLATION o.\"Z ci\" (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE COLLATION posix FROM \"POSIX\"; CREATE TABLE t (v text COLLATE o.\"Z ci\" UNIQUE, w text, x text COLLATE posix); CREATE UNIQUE INDEX i ON t (w COLLATE o.\"Z ci\"); INSERT INTO t VALUES ('Ali', 'Can', 'x');")
            .refuse("INSERT INTO t VALUES ('ALI', 'a')").refuse("INSERT INTO t VALUES ('b', 'CAN')").take("INSERT INTO t VALUES ('b', 'c')"),
        case("type-order", "CREATE TYPE z AS ENUM ('a', 'A'); CREATE FUNCTION good(z) RETURNS bool LANGUAGE sql IMMUTABLE AS $$SELECT $1 = 'a'$$; CREATE DOMAIN d AS z NOT NULL; CREATE TYPE c AS (v d, w z); CREATE DOMAIN b AS z CHECK (good(value)); CREATE TABLE t (v d, w c, x b); INSERT INTO t VALUES ('a', ROW('a', 'A'), 'a');")
            .refuse("INSERT INTO t VALUES ('a', ROW('a', 'A'), 'A')"),
        case("named", "CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 2); CREATE VIEW w AS SELECT a FROM t; CREATE RULE r AS ON INSERT TO w DO INSTEAD NOTHING; CREATE STATISTICS st (dependencies) ON a, b FROM t; CREATE PUBLICATION p FOR TABLE t; GRANT SELECT ON t TO PUBLIC; SELECT lo_create(0); CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);")
            .listed("rule r of view w").listed("extended statistics st").listed("publication p").listed("rights on t").listed("the 1 large objects").listed("operator ==="),
        case("sequence", "CREATE SEQUENCE s; CREATE TABLE t (v int DEFAULT nextval('s')); INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES;").ask("INSERT INTO t DEFAULT VALUES RETURNING v", "3"),
        case("domain", "CREATE DOMAIN d AS int CHECK (value > 0); CREATE TABLE t (v d); INSERT INTO t VALUES (1);").refuse("INSERT INTO t VALUES (0)"),
        case("nulls", "CREATE TABLE t (v int, UNIQUE NULLS NOT DISTINCT (v)); INSERT INTO t VALUES (NULL);").refuse("INSERT INTO t VALUES (NULL)"),
        case("deferrable", "CREATE TABLE t (v int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO t VALUES (1);").ask("SELECT condeferred FROM pg_constraint WHERE conrelid = 't'::regclass", "t"),
        case("exclusion", "CREATE TABLE t (v int4range, EXCLUDE USING gist (v WITH &&)); INSERT INTO t VALUES ('[1,5)');").refuse("INSERT INTO t VALUES ('[2,3)')"),
        case("partition", "CREATE TABLE t (id int PRIMARY KEY, v int) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE a2 PARTITION OF t FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id); CREATE TABLE a1 PARTITION OF a2 DEFAULT; CREATE INDEX i ON t (v);
            CREATE TABLE c (id int REFERENCES t (id)); INSERT INTO t VALUES (1, 2), (11, 3); INSERT INTO c VALUES (11);")
            .ask("SELECT tableoid::regclass::text FROM t ORDER BY id", "t1|a1").refuse("INSERT INTO t VALUES (1, 3)").refuse("INSERT INTO t VALUES (21, 1)").refuse("INSERT INTO c VALUES (2)")
            .ask("SELECT count(*) FROM pg_index WHERE NOT indisvalid", "0").ask("SELECT count(*) FROM pg_indexes WHERE tablename IN ('t1', 'a1') AND indexdef LIKE '%(v)%'", "2"),
        case("inherits", "CREATE TABLE t (v int); CREATE TABLE c (w int) INHERITS (t); CREATE TABLE a (x int) INHERITS (c); INSERT INTO t VALUES (1); INSERT INTO c VALUES (2, 3); INSERT INTO a VALUES (4, 5, 6);")
            .ask("SELECT count(*) FROM t", "3").ask("SELECT v FROM ONLY t", "1").ask("SELECT v, w FROM ONLY c", "2|3").ask("SELECT v, w, x FROM a", "4|5|6"),
        case("floats", "CREATE TABLE t (a float4, b float8); INSERT INTO t VALUES (0.1, 0.1), ('NaN', '-Infinity');").ask("SELECT b::text FROM t ORDER BY b", "-Infinity|0.1"),
        case("odd", "CREATE TABLE t (a interval, b timestamptz, c date, d numeric, e jsonb, f int[]); INSERT INTO t VALUES ('1 mon 2 days', 'infinity', '4713-01-01 BC', 'NaN', '{\"a\": 1.10}', '{{1,2},{3,NULL}}');")
            .ask("SELECT a::text, b::text, c::text, d::text, e::text, f::text FROM t", "1 mon 2 days|infinity|4713-01-01 BC|NaN|{\"a\": 1.10}|{{1,2},{3,NULL}}"),
        case("toasted", "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT 1, string_agg(md5(n::text), '') FROM generate_series(1, 50000) n;").ask("SELECT length(v) FROM t", "1600000"),
        case("schemas", "CREATE SCHEMA a; CREATE TABLE a.t (v int); CREATE TABLE t (v int); INSERT INTO a.t VALUES (1); INSERT INTO t VALUES (2);").ask("SELECT v FROM a.t", "1"),
    ]
}
