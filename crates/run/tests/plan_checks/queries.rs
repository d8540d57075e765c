//! `sql` and `unchanged`.

use super::*;
use dunlin_core::source::plan::expect::{Expect, Op, RowExpect};

const ORDERS: &str = "CREATE TABLE orders (id int PRIMARY KEY, total decimal(10,2), owner int); \
    INSERT INTO orders VALUES (1, 10.50, 1), (2, 20, 1), (3, 30, NULL)";

fn value(query: &str, op: Op, literal: &str) -> CheckSpec {
    CheckSpec::Sql {
        sql: sql(query),
        expect: Some(Expect::Is(op, literal.into())),
        rows: None,
    }
}

fn every_row(query: &str, left: &str, op: Op, right: &str) -> CheckSpec {
    CheckSpec::Sql {
        sql: sql(query),
        expect: None,
        rows: Some(RowExpect {
            left: left.into(),
            op,
            right: right.into(),
        }),
    }
}

for_each_engine! {
    async fn a_value_is_as_expected_or_not(kind: TestEngine) {
        let room = Room::with(kind, ORDERS).await;
        let count = "SELECT count(*) FROM orders";
        holds(&room.now(value(count, Op::Equal, "3")).await);
        fails(&room.now(value(count, Op::GreaterOrEqual, "4")).await, "3");
        holds(&room.now(value("SELECT sum(total) FROM orders;\n-- of all", Op::Equal, "60.5")).await);
        let between = CheckSpec::Sql {
            sql: sql(count),
            expect: Some(Expect::Between("4".into(), "9".into())),
            rows: None,
        };
        fails(&room.now(between).await, "3");
        fails(&room.now(value("SELECT id FROM orders WHERE id > 9", Op::Equal, "1")).await, "no rows");
        // What goes wrong is a failed check; the next one is evaluated by the same session.
        let mut cx = room.context();
        let none = Marks::default();
        let broken = check(value("SELECT count(*) FROM nothing_there", Op::Equal, "0"));
        let found = evaluate(&mut cx, &broken, When::After, &none, None, None).await;
        fails(&found, "nothing_there");
        let fine = check(value(count, Op::Equal, "3"));
        holds(&evaluate(&mut cx, &fine, When::Before, &none, None, None).await);
        cx.close().await;
    }

    async fn a_query_that_writes_is_refused_and_so_are_two(kind: TestEngine) {
        let room = Room::with(kind, ORDERS).await;
        let before = room.digest().await;
        let two = room.now(value("SELECT 1; DELETE FROM orders", Op::Equal, "1")).await;
        fails(&two, "one statement");
        let writes = room.now(value("DELETE FROM orders", Op::Equal, "1")).await;
        assert_eq!(writes.outcome, CheckOutcome::Failed, "{writes:?}");
        assert_eq!(room.digest().await, before);
    }

    async fn something_holds_for_every_row_or_not(kind: TestEngine) {
        let room = Room::with(kind, ORDERS).await;
        let grouped = "SELECT count(*) AS total, count(owner) AS owned FROM orders WHERE id < 3";
        holds(&room.now(every_row(grouped, "total", Op::Equal, "owned")).await);
        let all = "SELECT count(*) AS total, count(owner) AS owned FROM orders";
        fails(&room.now(every_row(all, "total", Op::Equal, "owned")).await, "3 = 2");
        let none = room.now(every_row("SELECT id FROM orders WHERE id > 9", "id", Op::Less, "3")).await;
        holds(&none);
        assert!(none.observed.contains("0 rows"), "{none:?}");
        let large = room.now(every_row("SELECT id FROM orders ORDER BY id", "id", Op::Less, "3")).await;
        fails(&large, "1 of 3 rows");
        let misspelt = room.now(every_row(all, "totals", Op::Equal, "owned")).await;
        fails(&misspelt, "no column totals");
        let nulls = room.now(every_row("SELECT owner, owner AS same FROM orders", "owner", Op::Equal, "same")).await;
        fails(&nulls, "1 of 3 rows");
    }

    async fn an_answer_is_unchanged_up_to_the_mark(kind: TestEngine) {
        let room = Room::with(kind, ORDERS).await;
        let query = "SELECT sum(total), count(*) FROM orders WHERE id <= {mark:orders}";
        let begun = room.begin(CheckSpec::Unchanged(sql(query))).await.unwrap();
        room.run("INSERT INTO orders VALUES (4, 1, 1)").await;
        holds(&room.end(&begun).await);
        room.run("UPDATE orders SET total = 11 WHERE id = 1").await;
        fails(&room.end(&begun).await, "60.5");
        room.run("UPDATE orders SET total = 10.5 WHERE id = 1; DELETE FROM orders WHERE id = 3").await;
        fails(&room.end(&begun).await, "now: 30.5");

        // Many rows, whatever their order; and an empty table's mark.
        let list = room.begin(CheckSpec::Unchanged(sql("SELECT id FROM orders ORDER BY id"))).await.unwrap();
        room.run("CREATE TABLE later (id int PRIMARY KEY)").await;
        holds(&room.end(&list).await);
        let empty = "SELECT count(*) FROM later WHERE id <= {mark:later}";
        let empty = room.begin(CheckSpec::Unchanged(sql(empty))).await.unwrap();
        room.run("INSERT INTO later VALUES (1); UPDATE orders SET id = 9 WHERE id = 2").await;
        holds(&room.end(&empty).await);
        fails(&room.end(&list).await, "3 rows: 1; 4; 9");
    }

    async fn a_mark_that_cannot_be_is_refused_when_the_phase_begins(kind: TestEngine) {
        let room = Room::with(kind, "CREATE TABLE pairs (a int, b int, PRIMARY KEY (a, b))").await;
        let pairs = "SELECT count(*) FROM pairs WHERE a <= {mark:pairs}";
        let refused = room.begin(CheckSpec::Unchanged(sql(pairs))).await.err().unwrap();
        assert_eq!(refused.code, "check-not-evaluable");
        assert!(refused.message.contains("several columns"), "{refused}");
        let missing = "SELECT count(*) FROM pairs WHERE a <= {mark:other}";
        let refused = room.begin(CheckSpec::Unchanged(sql(missing))).await.err().unwrap();
        assert!(refused.message.contains("no table other"), "{refused}");
    }

    async fn a_warning_warns_and_a_persons_answer_counts(kind: TestEngine) {
        let room = Room::with(kind, ORDERS).await;
        let mut cx = room.context();
        let none = Marks::default();
        let mut warning = check(value("SELECT 1", Op::Equal, "2"));
        warning.severity = CheckSeverity::Warning;
        let found = evaluate(&mut cx, &warning, When::After, &none, None, None).await;
        assert_eq!(found.outcome, CheckOutcome::Warned);
        let ask = check(CheckSpec::Ask("Is it there?".into()));
        for (answer, outcome) in [
            (None, CheckOutcome::NotRun),
            (Some(true), CheckOutcome::Passed),
            (Some(false), CheckOutcome::Failed),
        ] {
            let found = evaluate(&mut cx, &ask, When::After, &none, None, answer).await;
            assert_eq!(found.outcome, outcome, "{found:?}");
        }
        let later = check(CheckSpec::Compare("chat".into()));
        let found = evaluate(&mut cx, &later, When::After, &none, None, None).await;
        assert_eq!(found.outcome, CheckOutcome::NotRun);
        cx.close().await;
    }

    async fn before_a_phase_the_mark_is_the_key_of_now(kind: TestEngine) {
        let room = Room::with(kind, ORDERS).await;
        let query = "SELECT count(*) FROM orders WHERE id <= {mark:orders}";
        let check = check(value(query, Op::Equal, "3"));
        let mut cx = room.context();
        let none = Marks::default();
        holds(&evaluate(&mut cx, &check, When::Before, &none, None, None).await);
        let after = evaluate(&mut cx, &check, When::After, &none, None, None).await;
        fails(&after, "no mark of orders");
        cx.close().await;
    }

    async fn invariant_12_sensitive_columns_and_the_plans_secrets_are_masked(kind: TestEngine) {
        let room = Room::with(kind, "CREATE TABLE t (id int PRIMARY KEY, phone varchar(30)); INSERT INTO t VALUES (1, '+98-77')").await;
        let mut cx = room
            .context()
            .masking(&["users.phone".to_owned()])
            .hiding(&["s3cret".to_owned()]);
        let none = Marks::default();
        let mut told = String::new();
        for kind in [
            value("SELECT phone FROM t", Op::Equal, "x"),
            every_row("SELECT phone FROM t", "phone", Op::Equal, "x"),
            value("SELECT 's3cret-of-the-plan'", Op::Equal, "s3cret"),
        ] {
            let found = evaluate(&mut cx, &check(kind), When::After, &none, None, None).await;
            assert_eq!(found.outcome, CheckOutcome::Failed, "{found:?}");
            told.push_str(&format!("{found:?}"));
        }
        let unchanged = check(CheckSpec::Unchanged(sql("SELECT phone FROM t")));
        let noted = baseline(&mut cx, &unchanged, &none).await.unwrap().unwrap();
        room.run("UPDATE t SET phone = '+98-78'").await;
        let found = evaluate(&mut cx, &unchanged, When::After, &none, Some(&noted), None).await;
        fails(&found, "before: ***; now: ***");
        told.push_str(&format!("{found:?} {noted}"));
        cx.close().await;
        assert!(!told.contains("+98") && !told.contains("s3cret"), "{told}");
    }
}
