//! The same hazards on their way into other targets: what must arrive there, or which finding names it. A case without a word
//! here is as it is in its own pair but for what is asked in the words of that pair's target. Every case is run.

use super::{Act, Case, Ends, Pair, all, case, copy};
use super::{from_mysql, sqlite, to_mysql, to_sqlite};
use dunlin_testkit::engines::TestEngine;
use dunlin_testkit::sandbox::Sandbox;
use dunlin_testkit::servers::Kind;

const MYSQL: TestEngine = TestEngine::Server(Kind::Mysql);
const MARIADB: TestEngine = TestEngine::Server(Kind::Mariadb);
const POSTGRES: TestEngine = TestEngine::Server(Kind::Postgres);
const LITE: TestEngine = TestEngine::Sqlite;

/// A word about a case of this name.
fn at(id: &'static str) -> Case {
    case(id, "")
}

/// The cases with what is said of them here. `kin`: their own target speaks the same words.
fn there(cases: Vec<Case>, kin: bool, words: Vec<Case>) -> Vec<Case> {
    for word in &words {
        assert!(
            cases.iter().any(|case| case.id == word.id),
            "no case {}",
            word.id
        );
    }
    let mut cases = cases;
    for case in &mut cases {
        match words.iter().rfind(|word| word.id == case.id) {
            Some(word) => {
                case.ends = word.ends;
                case.acts = word.acts.clone();
                case.listed = word.listed.clone();
            }
            None if kin => {}
            None => case.acts.retain(|act| !matches!(act, Act::Ask(..))),
        }
    }
    cases
}

fn go(from: TestEngine, to: TestEngine, cases: &[Case]) {
    all(Pair { from, to }, cases, &[]);
}

#[test]
fn sqlite_to_mysql() {
    let mut words = family();
    words.extend([
        at("S32-twice")
            .ask("SELECT count(*) FROM t WHERE v = '{\"a\":1,\"a\":2}'", "1")
            .listed("json-as-text")
            .refuse("INSERT INTO t VALUES ('{')"),
        at("S54")
            .refuse("INSERT INTO t VALUES ('a', 0)")
            .take("INSERT INTO t VALUES ('a', 1)"),
    ]);
    go(LITE, MYSQL, &there(sqlite::cases(), false, words));
}

#[test]
fn sqlite_to_mariadb() {
    let mut words = family();
    words.extend([
        at("S32-twice")
            .ask("SELECT count(*) FROM t WHERE v = '{\"a\":1,\"a\":2}'", "1")
            .refuse("INSERT INTO t VALUES ('{')"),
        at("S54")
            .listed("the target has no partial unique indexes")
            .ask("SELECT count(*) FROM t", "3"),
        at("S55")
            .listed("the target has no indexes over expressions")
            .ask("SELECT email FROM t", "A@x"),
    ]);
    let mut cases = there(sqlite::cases(), false, words);
    cases.extend(there(
        to_mysql::of_sqlite(),
        true,
        vec![
            at("Q-expression")
                .listed("index u of t")
                .listed("index w of t"),
            at("Q-long-expression").listed("index u of t"),
        ],
    ));
    go(LITE, MARIADB, &cases);
}

/// The same engine holds whatever the other holds: every cell in its own class, every statement as it was.
#[test]
fn sqlite_to_sqlite() {
    let mut cases = sqlite::cases();
    for case in &mut cases {
        case.ends = Ends::Arrives;
        case.listed.clear();
        // What a server refuses SQLite may take: a key that is NULL.
        case.acts.retain(|act| matches!(act, Act::Taken(_)));
        // Its bytes are those of another encoding.
        case.acts.push(match case.id {
            "S26" => Act::Ask("SELECT v FROM t".into(), "Ayşe 🚚 رضا".into()),
            _ => Act::Alike,
        });
    }
    let cases = there_too(cases, &[("S47", "orphan-row"), ("S62", "table f")]);
    go(LITE, LITE, &cases);
}

/// The cases with what must be listed beside.
fn there_too(mut cases: Vec<Case>, listed: &[(&str, &str)]) -> Vec<Case> {
    for case in &mut cases {
        let own = listed.iter().filter(|(id, _)| *id == case.id);
        case.listed.extend(own.map(|(_, text)| (*text).to_owned()));
    }
    cases
}

#[test]
fn mysql_to_sqlite() {
    let mut cases = from_mysql::common();
    cases.extend(from_mysql::of_mysql());
    let mut words = lite();
    words.push(
        at("M22-ai")
            .refuse("INSERT INTO t VALUES ('abc')")
            .listed("index-collation"),
    );
    go(MYSQL, LITE, &there(cases, false, words));
}

#[test]
fn mariadb_to_sqlite() {
    let mut cases = from_mysql::common();
    cases.extend(from_mysql::of_mariadb());
    let mut words = lite();
    words.push(
        at("M34")
            .ask(
                "SELECT a, b, c FROM t",
                "550e8400-e29b-41d4-a716-446655440000|::1|10.0.0.1",
            )
            .listed("other-as-text"),
    );
    let mut cases = there(cases, false, words);
    // A collation that the other server alone has.
    let own = to_sqlite::of_mysql()
        .into_iter()
        .filter(|case| case.id != "L-ci");
    cases.extend(own);
    go(MARIADB, LITE, &cases);
}

#[test]
fn postgres_to_mariadb() {
    let words = vec![
        at("P12")
            .ask("SELECT v LIKE '%12345678901234567890.123%' FROM t", "1")
            .refuse("INSERT INTO t VALUES ('{')"),
        at("P12-plain")
            .ask(
                "SELECT v FROM t",
                "{\"a\": 2.50, \"b\": 18446744073709551615}",
            )
            .refuse("INSERT INTO t VALUES ('{')"),
        at("P19")
            .listed("index g of t")
            .listed("the target has no partial unique indexes"),
    ];
    go(
        POSTGRES,
        MARIADB,
        &there(to_mysql::of_postgres(), true, words),
    );
}

/// A target that is there already and whose column is narrower takes no number that it would bend (P25).
#[test]
fn p25_a_narrower_column_bends_nothing() {
    for to in [MYSQL, MARIADB] {
        let (from, to) = (super::End::new(POSTGRES), super::End::new(to));
        from.fill(
            "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 5), (2, 300);",
        )
        .unwrap();
        to.fill("CREATE TABLE t (id INT PRIMARY KEY, v TINYINT)")
            .unwrap();
        let ran = copy(&Sandbox::new(), &from, &to, &["--into-existing", "append"]);
        let json = ran.json();
        assert_eq!(ran.code, Some(1), "{json:#}");
        assert_eq!(json["failure"]["code"], "value-refused", "{json:#}");
        assert!(to.database.try_run("SELECT v FROM t").unwrap().is_empty());
    }
}

/// SQLite's hazards into both servers of the family.
fn family() -> Vec<Case> {
    let mut words = numbers();
    words.extend(moments());
    words.extend(texts());
    words.extend(keys());
    words.extend(names());
    words
}

fn numbers() -> Vec<Case> {
    vec![
        at("S01").ask(
            "SELECT v FROM t ORDER BY v",
            "3.141592653589793|16777217|1700000000.123456",
        ),
        at("S02")
            .stops(1, "not-finite")
            .ask("SELECT v = 1e308 FROM t", "1"),
        at("S03").ask("SELECT count(*) FROM t WHERE v = 0", "2"),
        at("S04").ask(
            "SELECT v FROM t ORDER BY v",
            "-9223372036854775808|2147483648|9223372036854775807",
        ),
        at("S05")
            .ask("SELECT max(v) = 18446744073709551616 FROM t", "1")
            .listed("number-as-double"),
        at("S06")
            .ask(
                "SELECT count(*) FROM t WHERE v IN ('12abc', '1.5', '1')",
                "3",
            )
            .listed("mixed-as-text"),
        at("S06-numbers")
            .ask("SELECT sum(v) = 2.5 FROM t", "1")
            .listed("number-as-decimal"),
        at("S07")
            .ask("SELECT count(*) FROM t WHERE v = 7", "1")
            .listed("number-as-double"),
        at("S08")
            .ask("SELECT count(*) FROM t WHERE v = '1'", "3")
            .listed("mixed-as-text"),
        at("S09").ask("SELECT hex(v) FROM t ORDER BY 1", "00|FF00"),
        at("S09-mixed")
            .ask("SELECT hex(v) FROM t ORDER BY id", "61|00")
            .listed("mixed")
            .listed("text-as-bytes"),
        at("S10")
            .ask("SELECT count(*) FROM t WHERE v", "4")
            .ask("SELECT count(*) FROM t WHERE NOT v", "2")
            .listed("text-as-boolean"),
        at("S10-two").ask("SELECT sum(v) FROM t", "3"),
        at("S30").ask(
            "SELECT v FROM t ORDER BY v LIMIT 3",
            "0.30000000000000004|1.005|2.675",
        ),
        at("S31").ask(
            "SELECT count(*) FROM t WHERE v BETWEEN 12345678901234500 AND 12345678901234600",
            "1",
        ),
        at("S36")
            .ask("SELECT v FROM t ORDER BY v", "7|x")
            .listed("mixed-as-text"),
        at("S70").ask("SELECT sum(a) = 3.5, sum(b) FROM t", "1|15"),
    ]
}

fn moments() -> Vec<Case> {
    vec![
        at("S11").ask("SELECT CAST(v AS CHAR) FROM t WHERE v IS NOT NULL", "2024-02-29 12:00:00.000000"),
        at("S12").ask("SELECT CAST(min(v) AS CHAR) FROM t", "2020-09-13 12:26:40.000000").listed("epoch-to-timestamp"),
        at("S13").ask("SELECT CAST(min(v) AS CHAR) FROM t", "2020-09-13 12:26:40.456000").listed("epoch-to-timestamp"),
        at("S14").ask("SELECT CAST(v AS CHAR) FROM t", "2023-02-25 00:00:00.000000").listed("epoch-to-timestamp"),
        at("S15").ask("SELECT v FROM t ORDER BY v", "0|2024").listed("unclear-epoch"),
        at("S16").ask("SELECT CAST(v AS CHAR) FROM t ORDER BY v", "2024-06-01 06:30:00.000000|2024-06-01 12:00:00.000000").listed("instant-as-utc"),
        at("S16-mixed").ask("SELECT v FROM t ORDER BY 1", "2024-06-01 12:00:00|2024-06-01 12:00:00+05:30").listed("mixed-offsets"),
        at("S17").ask("SELECT v FROM t", "2024-06-01 12:00:00.123456789").listed("date-as-text"),
        // What is infinite goes too.
        at("S18").stops(1, "bad-date").ask("SELECT count(*) FROM t", "0"),
        at("S19").ask("SELECT count(*) FROM t WHERE v IN ('2024-13-45', '29/02/2024', '20240229', '0000-00-00')", "4").listed("date-as-text"),
        at("S20").ask("SELECT CAST(v AS CHAR) FROM t ORDER BY v", "2024-02-29 00:00:00.000000|2024-02-29 23:00:00.000000"),
    ]
}

fn texts() -> Vec<Case> {
    let uuid = "550e8400-e29b-41d4-a716-446655440000";
    vec![
        at("S21").ask("SELECT hex(v) FROM t ORDER BY 1", "|0001FF"),
        at("S22")
            .ask("SELECT hex(v) FROM t ORDER BY 1", "00|61626364")
            .listed("text-as-bytes"),
        at("S23")
            .stops(1, "wrong-class")
            .ask("SELECT hex(v) FROM t", "FF"),
        // These engines hold U+0000.
        at("S24").ask("SELECT hex(v) FROM t ORDER BY id", "610062|63"),
        at("S25")
            .stops(1, "not-utf8")
            .ask("SELECT v FROM t", "after"),
        at("S25-surrogate")
            .stops(1, "not-utf8")
            .ask("SELECT v FROM t", "after"),
        at("S25-blob")
            .stops(1, "wrong-class")
            .ask("SELECT v FROM t", "after"),
        at("S26").ask("SELECT v FROM t", "Ayşe 🚚 رضا"),
        at("S27").ask(
            "SELECT hex(v) FROM t ORDER BY 1",
            "090D0A080B|5C2E|5C4E|5C5C|5C783431",
        ),
        at("S28").ask(
            "SELECT hex(v) FROM t WHERE v IS NOT NULL ORDER BY 1",
            "|65CC81|747261696C2020|C3A9|F09F9A9A",
        ),
        at("S29").ask("SELECT max(v) FROM t", "abcdef"),
        at("S32").ask("SELECT count(*) FROM t WHERE v = '{\"a\":1,\"a\":2}'", "1"),
        at("S32-clean")
            .ask(
                "SELECT count(*) FROM t WHERE json_extract(v, '$.a') = 2",
                "1",
            )
            .refuse("INSERT INTO t VALUES ('{')"),
        at("S33").ask("SELECT count(*) FROM t", "1"),
        at("S34")
            .ask("SELECT v FROM t", uuid)
            .listed("uuid-as-text"),
        at("S34-bytes")
            .ask("SELECT v FROM t", uuid)
            .listed("bytes-as-uuid"),
        at("S35").ask("SELECT a, e = 1.25, g FROM t", "{a,b}|1|l"),
    ]
}

fn keys() -> Vec<Case> {
    let next = "INSERT INTO t (v) VALUES ('next')";
    vec![
        at("S37").take(next).ask("SELECT max(id) FROM t", "101"),
        at("S38").take(next).ask("SELECT max(id) FROM t", "1"),
        at("S39").take(next).ask("SELECT max(id) FROM t", "8"),
        at("S41")
            .ask("SELECT count(*) FROM t WHERE k IS NULL", "2")
            .refuse("INSERT INTO t VALUES ('a', 4)")
            .listed("null-in-key"),
        at("S42").refuse("INSERT INTO t VALUES (1, 2)"),
        at("S44").ask("SELECT count(*) FROM t", "5"),
        at("S45")
            .refuse("INSERT INTO t VALUES (2, 2)")
            .take("DELETE FROM p")
            .ask("SELECT count(*) FROM t", "1"),
        at("S47")
            .stops(1, "orphan-row")
            .ask("SELECT id FROM t", "1")
            .refuse("INSERT INTO t VALUES (3, 9)"),
        at("S48")
            .refuse("INSERT INTO b VALUES (2, 9, 1)")
            .listed("DEFERRABLE INITIALLY DEFERRED"),
        // Their collations know two cases of every letter.
        at("S52")
            .stops(1, "duplicate-key")
            .ask("SELECT count(*) FROM t", "2")
            .refuse("INSERT INTO t VALUES ('aBC')")
            .listed("it refuses values there"),
        at("S52-own")
            .stops(1, "duplicate-key")
            .ask("SELECT count(*) FROM t", "1")
            .listed("it refuses values there"),
        at("S57-listed")
            .refuse("INSERT INTO t VALUES ('ay', 1, '{}')")
            .refuse("INSERT INTO t VALUES ('xy', 1, '{')")
            .refuse("INSERT INTO t VALUES ('xy', 'a', '{}')"),
        at("S58")
            .ask("SELECT b, `c d` FROM t ORDER BY a", "2|1x|4|2x")
            .take("INSERT INTO t (a) VALUES (9)"),
        at("S58-chain")
            .ask("SELECT b, c FROM t ORDER BY id", "2|3|4|5")
            .listed("how t.b is computed"),
        at("S59").take("INSERT INTO t (id) VALUES (2)").ask(
            "SELECT a, b, hex(d), e, f, g FROM t WHERE id = 2",
            "it's|-1|00FF|null|1|NULL",
        ),
        at("S60").ask("SELECT v FROM w", "none").listed("view odd"),
    ]
}

fn names() -> Vec<Case> {
    const TABLES: &str = "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name LIKE";
    vec![
        at("S62")
            .ask(&format!("{TABLES} 'f%'"), "0")
            .listed("table f"),
        at("S63").ask(&format!("{TABLES} 'sqlite%'"), "0"),
        at("S64").ask(
            "SELECT `Group`, `camelCase`, `sp ace`, `quo\"te` FROM `Order`",
            "1|a|b|c",
        ),
        at("S65")
            .ask(&format!("{TABLES} 'nnn%'"), "2")
            .listed("name-changed"),
        at("S65-columns").listed("name-changed"),
        at("S66")
            .ask("SELECT `Id` FROM `A`", "1")
            .ask("SELECT `ID` FROM b", "1"),
        at("S67").stops(4, "too-many-columns"),
        at("S67-fits").stops(4, "too-many-columns"),
        at("S68").ask("SELECT max(length(v)) FROM t", "4000000"),
        at("S68-index")
            .ask("SELECT count(*) FROM t", "3")
            .listed("its texts are longer than a key of the target may be"),
        at("S68-parts")
            .ask("SELECT count(*) FROM t", "3")
            .listed("index i of t"),
        at("S69").ask("SELECT sum(v) FROM t", "3"),
    ]
}

/// Hazards of both servers into SQLite.
fn lite() -> Vec<Case> {
    let mut words = lite_values();
    words.extend(lite_structure());
    words
}

fn lite_values() -> Vec<Case> {
    vec![
        at("M01").stops(1, "zero-date").ask("SELECT v FROM t", "2024-02-29"),
        at("M01-parts").stops(1, "zero-date").ask("SELECT v FROM t", "2024-06-01 00:00:00").refuse("INSERT INTO t VALUES (9, NULL)"),
        at("M02").ask("SELECT v FROM t", "9999-12-31 23:59:59.999999").listed("moment-as-text"),
        at("M03").ask("SELECT v FROM t ORDER BY v", "-00:00:01|-12:30:00|24:00:00|838:59:59").listed("moment-as-text"),
        at("M03-day").ask("SELECT v FROM t ORDER BY v", "00:00:00|23:59:59.999000").listed("moment-as-text"),
        at("M04").ask("SELECT v FROM t ORDER BY v", "0|1901|2155"),
        at("M05").ask("SELECT v FROM t ORDER BY v", "-1|2|127"),
        at("M05-boolean").ask("SELECT count(*) FROM t WHERE v", "1"),
        at("M06").ask("SELECT b FROM t ORDER BY 1", "00000000|10101010").ask("SELECT max(c) FROM t", &"1".repeat(64)).listed("bits-as-text"),
        at("M07").ask("SELECT v FROM t ORDER BY length(v)", "1|18446744073709551615").listed("number-as-text"),
        at("M07-counter").ask("SELECT v FROM t ORDER BY length(v)", "1|18446744073709551614").listed("counter of t.v"),
        at("M08").ask("SELECT a, b, c, d FROM t", "4294967295|16777215|65535|255"),
        at("M09").ask("SELECT count(*) FROM t WHERE v IN (16777216.0, 12345.669921875, 3.4028234663852886e38)", "3"),
        at("M10").ask("SELECT count(*) FROM t WHERE v IN (4.9e-324, 1e308, 0.1, 0.0)", "4"),
        at("M11").ask("SELECT v FROM t", "12345678901234567890123456789012345.123456789012345678901234567890").listed("decimal-as-text"),
        at("M35").ask("SELECT v FROM t", "2024-03-10 02:30:00"),
        at("M36").ask("SELECT datetime(v) FROM t", "2024-03-09 23:00:00"),
        at("M38").ask("SELECT count(*) FROM t", "4"),
        at("M39").ask("SELECT hex(v) FROM t ORDER BY 1", "|00FF5C0A"),
        at("M41").ask("SELECT v, w FROM t", "|NULL"),
        at("M12").ask("SELECT hex(v) FROM t ORDER BY id", "610062|63"),
        at("M13").ask("SELECT v FROM t ORDER BY hex(v)", "é|€"),
        at("M14").ask("SELECT v FROM t", "Ã©"),
        at("M15").ask("SELECT a, b, c, d FROM t", "é|é|你|あ"),
        at("M16").ask("SELECT '[' || a || ']', '[' || b || ']', hex(c) FROM t", "[x]|[y  ]|61620000"),
        at("M17").take("INSERT INTO t (id) VALUES (2)").ask("SELECT v FROM t WHERE id = 2", "NULL"),
        at("M18").ask("SELECT v FROM t ORDER BY v", "a|b,c|it's|x\\y").refuse("INSERT INTO t VALUES ('z')").listed("enum-as-text"),
        at("M18-zero").stops(1, "bad-label").ask("SELECT v FROM t", "a"),
        at("M20").ask("SELECT v FROM t ORDER BY 1 DESC", "p,r s|").refuse("INSERT INTO t VALUES ('p,x')").take("INSERT INTO t VALUES ('q,r s')"),
        at("M21").ask("SELECT count(*) FROM t", "2").refuse("INSERT INTO t VALUES ('{')").listed("json-as-text"),
        at("M22").refuse("INSERT INTO t VALUES ('abc')").listed("index-collation"),
        // A reference folds as the column does that it refers to.
        at("M23").ask("SELECT count(*) FROM t", "2").listed("index-collation"),
        at("M40").ask("SELECT length(v) FROM t", "2000000"),
    ]
}

fn lite_structure() -> Vec<Case> {
    vec![
        at("M24").ask("SELECT b, c FROM t ORDER BY a", "2|2|4|3"),
        at("M26")
            .take("INSERT INTO t (id) VALUES (2)")
            .ask(
                "SELECT length(a), b IS NULL, c, d, e, f FROM t WHERE id = 2",
                "36|0|1|NULL||5",
            )
            .listed("ON UPDATE of t.b"),
        at("M28").ask(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('t', 'u')",
            "2",
        ),
        at("M29")
            .stops(1, "orphan-row")
            .ask("SELECT id FROM t", "1"),
        at("M30")
            .take("INSERT INTO t (v) VALUES (2)")
            .ask("SELECT max(id) FROM t", "1000"),
        at("M31")
            .ask("SELECT \"Ca se\", \"b.c\" FROM \"odd Table\"", "1|2")
            .listed("comment of odd Table.Ca se"),
        at("M33")
            .ask("SELECT length(g) FROM t WHERE id = 1", "81")
            .listed("geometry-as-bytes"),
    ]
}
