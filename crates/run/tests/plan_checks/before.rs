//! `kept` and `untouched`: what was there when the phase began.

use super::*;
use dunlin_core::source::grammar::checks::{Kept, Untouched};

fn kept(table: &str, except: &[&str]) -> CheckSpec {
    CheckSpec::Kept(Kept {
        table: table.into(),
        except: except.iter().map(|name| (*name).to_owned()).collect(),
    })
}

fn untouched(tables: &[&str], rows: bool) -> CheckSpec {
    CheckSpec::Untouched(Untouched {
        tables: tables.iter().map(|name| (*name).to_owned()).collect(),
        rows,
    })
}

const CONTACTS: &str = "CREATE TABLE contacts (id int PRIMARY KEY, phone varchar(30) NOT NULL, note varchar(30)); \
    INSERT INTO contacts VALUES (1, '+1', 'a'), (2, '+2', NULL), (4, '+4', 'd'), (7, '+7', 'e')";

impl Room {
    /// What lies in the folder for state.
    fn state(&self) -> usize {
        let folder = self.folder.path().join("backups/.dunlin-state");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

for_each_engine! {
    async fn rows_are_kept_with_a_whole_number_as_the_key(kind: TestEngine) {
        let room = Room::with(kind, CONTACTS).await;
        let begun = room.begin(kept("contacts", &["user_id"])).await.unwrap();
        let at_all = room.begin(kept("contacts", &[])).await.unwrap();
        holds(&room.end(&begun).await);
        // Columns that came and rows that were added, between the others and behind them, are welcome.
        room.run(
            "ALTER TABLE contacts ADD COLUMN user_id int; UPDATE contacts SET user_id = 1; \
             INSERT INTO contacts (id, phone) VALUES (3, '+3'), (9, '+9')",
        ).await;
        holds(&room.end(&begun).await);
        holds(&room.end(&at_all).await);
        room.run("UPDATE contacts SET note = '' WHERE id = 2").await;
        fails(&room.end(&begun).await, "of 4 rows 0 are missing and 1 altered: id 2");
        room.run("DELETE FROM contacts WHERE id = 7").await;
        fails(&room.end(&begun).await, "of 4 rows 1 are missing and 1 altered: id 2, 7");
        room.run("UPDATE contacts SET note = NULL WHERE id = 2; INSERT INTO contacts (id, phone, note) VALUES (7, '+7', 'e')").await;
        holds(&room.end(&begun).await);
        if kind != TestEngine::Sqlite {
            // Another type for the same values is no alteration.
            room.run(kind.pick("", "ALTER TABLE contacts ALTER COLUMN id TYPE bigint", "ALTER TABLE contacts MODIFY id bigint NOT NULL")).await;
            holds(&room.end(&begun).await);
        }
        room.run("ALTER TABLE contacts DROP COLUMN note").await;
        fails(&room.end(&begun).await, "column note");
        room.run("DROP TABLE contacts").await;
        fails(&room.end(&begun).await, "no table contacts; it had 4 rows");
        assert_eq!(room.state(), 2, "one file for each check, and none of the comparisons");
        dunlin::checks::forget(begun.noted.as_ref().unwrap());
        assert_eq!(room.state(), 1);
    }

    async fn rows_are_kept_whatever_their_key(kind: TestEngine) {
        let room = Room::with(
            kind,
            "CREATE TABLE words (word varchar(40) PRIMARY KEY, n int); INSERT INTO words VALUES ('a', 1), ('b', 2); \
             CREATE TABLE pairs (a int, b int, c int, PRIMARY KEY (a, b)); INSERT INTO pairs VALUES (1, 1, 5), (1, 2, 6); \
             CREATE TABLE loose (a int, b int); INSERT INTO loose VALUES (1, 1), (1, 1), (2, NULL)",
        ).await;
        let mut all = vec![];
        for table in ["words", "pairs", "loose"] {
            all.push(room.begin(kept(table, &[])).await.unwrap());
        }
        room.run(
            "INSERT INTO words VALUES ('aa', 3); INSERT INTO pairs VALUES (0, 9, 9); INSERT INTO loose VALUES (1, 2)",
        ).await;
        for begun in &all {
            holds(&room.end(begun).await);
        }
        room.run(
            "UPDATE words SET n = 7 WHERE word = 'b'; DELETE FROM words WHERE word = 'a'; \
             UPDATE pairs SET c = 0 WHERE a = 1 AND b = 2; UPDATE loose SET b = 0 WHERE a = 2",
        ).await;
        fails(&room.end(&all[0]).await, "of 2 rows 1 are missing and 1 altered");
        fails(&room.end(&all[1]).await, "of 2 rows 0 are missing and 1 altered");
        fails(&room.end(&all[2]).await, "1 of 3 rows are missing or altered");
    }

    /// A row swapped for another leaves the number of rows as it is; so does a value moved between two.
    async fn a_swap_is_found_and_a_file_that_is_gone_is_said(kind: TestEngine) {
        let room = Room::with(kind, CONTACTS).await;
        let begun = room.begin(kept("contacts", &["note"])).await.unwrap();
        room.run("UPDATE contacts SET note = 'other'").await;
        holds(&room.end(&begun).await);
        room.run("UPDATE contacts SET phone = '+0' WHERE id = 1; UPDATE contacts SET phone = '+1' WHERE id = 2; UPDATE contacts SET phone = '+2' WHERE id = 1").await;
        fails(&room.end(&begun).await, "2 altered: id 1, 2");
        let file = begun.noted.as_ref().unwrap()["file"].as_str().unwrap();
        let mut bytes = std::fs::read(file).unwrap();
        bytes[40] ^= 1;
        std::fs::write(file, bytes).unwrap();
        fails(&room.end(&begun).await, "is not as it was written");
        std::fs::remove_file(file).unwrap();
        let gone = room.end(&begun).await;
        assert_eq!(gone.outcome, CheckOutcome::Failed, "{gone:?}");
        let refused = room.begin(kept("nothing_there", &[])).await.err().unwrap();
        assert!(refused.message.contains("no table nothing_there"), "{refused}");
    }

    async fn tables_are_untouched_or_what_was_touched_is_named(kind: TestEngine) {
        let room = Room::with(kind, CONTACTS).await;
        room.run("CREATE TABLE forms (id int PRIMARY KEY, title varchar(20)); INSERT INTO forms VALUES (1, 'x')").await;
        let catalog = room.begin(untouched(&["contacts", "forms"], false)).await.unwrap();
        let rows = room.begin(untouched(&["contacts", "forms"], true)).await.unwrap();
        room.run("CREATE TABLE others (id int PRIMARY KEY); INSERT INTO others VALUES (1)").await;
        holds(&room.end(&catalog).await);
        holds(&room.end(&rows).await);
        room.run("UPDATE forms SET title = 'y'").await;
        holds(&room.end(&catalog).await);
        fails(&room.end(&rows).await, "forms: some of its 1 rows");
        room.run("INSERT INTO forms VALUES (2, 'z')").await;
        fails(&room.end(&rows).await, "forms has 2 rows and had 1");
        room.run("CREATE INDEX sneaked ON contacts (phone)").await;
        fails(&room.end(&catalog).await, "sneaked is new");
        room.run("ALTER TABLE forms ADD COLUMN more int").await;
        fails(&room.end(&catalog).await, "column forms.more");
        room.run("DROP TABLE forms").await;
        fails(&room.end(&catalog).await, "no table forms");
        let refused = room.begin(untouched(&["form"], false)).await.err().unwrap();
        assert_eq!(refused.code, "check-not-evaluable");
    }
}

/// More rows than are sorted at once, inserted in no order of their keys: memory is bounded, and one altered row is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_row_of_many_is_found_through_the_runs_on_the_disk() {
    let room = Room::with(
        TestEngine::Sqlite,
        "CREATE TABLE big (code TEXT PRIMARY KEY, n INTEGER); \
         WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 600000) \
         INSERT INTO big SELECT hex(n * 7919 % 600011) , n FROM s",
    )
    .await;
    let begun = room.begin(kept("big", &[])).await.unwrap();
    room.run("INSERT INTO big VALUES ('new', 0)").await;
    holds(&room.end(&begun).await);
    room.run("UPDATE big SET n = -1 WHERE n = 345678; DELETE FROM big WHERE n = 5")
        .await;
    fails(
        &room.end(&begun).await,
        "of 600000 rows 1 are missing and 1 altered",
    );
    assert_eq!(room.state(), 1, "runs are removed");
}
