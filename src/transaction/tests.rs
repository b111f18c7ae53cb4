//! Transactions from every door of the Rust API: what is shared, what fails them, what runs again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use serde_json::json;
use trilith_engine::{ErrorKind, Isolation};

use super::{Transaction, retry_delay};
use crate::document::Filter;
use crate::{Database, Error, Result};

fn database() -> Database {
    let db = Database::in_memory().unwrap();
    db.sql_blocking("CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT)").unwrap();
    db.sql_blocking("INSERT INTO t VALUES (1, 10), (2, 20)").unwrap();
    db
}

fn rows(pairs: &[(i64, i64)]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(pairs.iter().map(|(id, _)| *id)));
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(pairs.iter().map(|(_, v)| *v)));
    RecordBatch::try_from_iter([("id", ids), ("v", values)]).unwrap()
}

fn sum(batches: Result<Vec<RecordBatch>>) -> i64 {
    batches.unwrap()[0].column(0).as_primitive::<Int64Type>().value(0)
}

fn total(db: &Database) -> i64 {
    sum(db.sql_blocking("SELECT sum(v) FROM t"))
}

#[tokio::test]
async fn every_door_of_it_reads_and_writes_together() {
    let db = database();
    let tx = db.begin().await.unwrap();
    tx.table("t").unwrap().append([rows(&[(3, 30)])]).unwrap();
    tx.sql("UPDATE t SET v = v + 1 WHERE id >= 2").await.unwrap();
    tx.collection("notes").insert_one(json!({"_id": "a", "text": "hello"})).unwrap();
    assert_eq!(sum(tx.sql_blocking("SELECT sum(v) FROM t")), 62);
    assert_eq!(sum(tx.sql_blocking("SELECT count(*) FROM notes")), 1);
    assert_eq!(tx.table("t").unwrap().count(None).await.unwrap(), 3);
    let everything = Filter::parse(json!({})).unwrap();
    assert_eq!(tx.collection("notes").count(&everything).await.unwrap(), 1);
    assert_eq!((total(&db), db.collection("notes").count(&everything).await.unwrap()), (30, 0));
    tx.commit().await.unwrap();
    assert_eq!((total(&db), db.collection("notes").count(&everything).await.unwrap()), (62, 1));
}

#[test]
fn handles_share_a_transaction_of_sql_and_other_connections_do_not() {
    let db = database();
    let (clone, other) = (db.clone(), db.connect());
    let table = db.table("t").unwrap();
    db.sql_blocking("BEGIN").unwrap();
    table.upsert([rows(&[(1, 11)])]).unwrap();
    assert_eq!((total(&clone), total(&other)), (31, 30));
    other.sql_blocking("UPDATE t SET v = 21 WHERE id = 2").unwrap();
    assert_eq!((total(&clone), total(&other)), (31, 31));
    clone.sql_blocking("COMMIT").unwrap();
    assert_eq!((total(&db), total(&other)), (32, 32));
}

#[test]
fn a_scoped_transaction_is_not_ended_by_sql() {
    let db = database();
    let tx = db.begin_blocking(Isolation::Snapshot).unwrap();
    for verb in ["BEGIN", "COMMIT", "ROLLBACK"] {
        assert_eq!(tx.sql_blocking(verb).unwrap_err().kind(), ErrorKind::Invalid, "{verb}");
    }
    tx.sql_blocking("SAVEPOINT s").unwrap();
    tx.sql_blocking("DELETE FROM t").unwrap();
    tx.rollback_to("s").unwrap();
    tx.release("s").unwrap();
    assert_eq!(sum(tx.sql_blocking("SELECT sum(v) FROM t")), 30);
    let left = tx.clone();
    tx.rollback();
    assert!(!left.is_open());
    assert_eq!(left.sql_blocking("SELECT 1").unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn failed_writes_of_every_door_fail_it_and_queries_do_not() {
    let db = database();
    type Write = fn(&Transaction) -> Result<()>;
    let writes: [Write; 6] = [
        |tx| tx.sql_blocking("INSERT INTO t VALUES (1, 1)").map(drop),
        |tx| tx.sql_blocking("UPDATE t SET nothing = 1").map(drop),
        |tx| tx.sql_blocking("CREATE TABLE u (a INT)").map(drop),
        |tx| tx.table("t")?.append([rows(&[(1, 1)])]).map(drop),
        |tx| tx.table("t")?.append([rows(&[(9, 1), (9, 2)])]).map(drop),
        |tx| tx.collection("t").insert_one(json!({"a": 1})).map(drop),
    ];
    for (i, write) in writes.into_iter().enumerate() {
        let tx = db.begin().await.unwrap();
        for query in ["SELECT nothing FROM t", "SELECT 1 FROM missing", "this is no SQL", "RELEASE x"] {
            assert!(tx.sql_blocking(query).is_err());
        }
        assert!(!tx.has_failed());
        tx.savepoint("s").unwrap();
        assert!(write(&tx).is_err(), "write {i}");
        assert!(tx.has_failed(), "write {i}");
        assert_eq!(tx.sql_blocking("SELECT 1").unwrap_err().kind(), ErrorKind::Invalid);
        tx.sql_blocking("ROLLBACK TO s").unwrap();
        tx.sql_blocking("UPDATE t SET v = v + 1 WHERE id = 1").unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(total(&db), 36);
}

#[tokio::test]
async fn cancelled_commit_is_all_or_nothing() {
    let db = database();
    for _ in 0..20 {
        let tx = db.begin().await.unwrap();
        tx.sql("UPDATE t SET v = v + 1").await.unwrap();
        let before = total(&db);
        // Polled once and dropped.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, tx.commit()).await;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while total(&db) == before && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(total(&db), before + 2);
    }
}

#[tokio::test]
async fn a_cancelled_write_fails_the_transaction() {
    let db = database();
    let tx = db.begin().await.unwrap();
    let slow = "INSERT INTO t SELECT a.value * 100000 + b.value + 10, 1 \
                FROM generate_series(1, 3000) a, generate_series(1, 3000) b";
    let done = tokio::time::timeout(std::time::Duration::from_millis(30), tx.sql(slow)).await;
    assert!(done.is_err(), "it was too quick");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !tx.has_failed() && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(tx.commit().await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(total(&db), 30);
}

#[tokio::test]
async fn transact_runs_again_after_a_conflict_and_only_then() {
    let db = database();
    let attempts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&attempts);
    let rival = db.clone();
    let work = move |tx: Transaction| {
        let (attempt, rival) = (counted.fetch_add(1, Ordering::Relaxed), rival.clone());
        async move {
            tx.sql("UPDATE t SET v = v + 1 WHERE id = 1").await?;
            if attempt < 3 {
                rival.sql("UPDATE t SET v = v + 100 WHERE id = 1").await?;
            }
            Ok(attempt)
        }
    };
    assert_eq!(db.transact(Isolation::Snapshot, 5, work).await.unwrap(), 3);
    assert_eq!((total(&db), attempts.load(Ordering::Relaxed)), (331, 4));
    let mut attempts = 0;
    let outcome: Result<()> = db.transact_blocking(Isolation::Snapshot, 2, |tx| {
        attempts += 1;
        tx.sql_blocking("UPDATE t SET v = v + 1 WHERE id = 1")?;
        db.sql_blocking("UPDATE t SET v = v + 100 WHERE id = 1").map(drop)
    });
    assert_eq!((outcome.unwrap_err().kind(), attempts), (ErrorKind::Conflict, 3));
    let outcome: Result<()> = db.transact_blocking(Isolation::Snapshot, 9, |tx| {
        tx.sql_blocking("DELETE FROM t")?;
        Err(Error::invalid("test", "changed its mind"))
    });
    assert_eq!((outcome.unwrap_err().kind(), total(&db)), (ErrorKind::Invalid, 631));
}

#[test]
fn write_skew_over_sql_needs_serializable() {
    for (isolation, second) in [(Isolation::Snapshot, true), (Isolation::Serializable, false)] {
        let db = database();
        let (a, b) = (db.begin_blocking(isolation).unwrap(), db.begin_blocking(isolation).unwrap());
        for (tx, id) in [(&a, 1), (&b, 2)] {
            assert_eq!(sum(tx.sql_blocking("SELECT sum(v) FROM t")), 30);
            tx.sql_blocking(&format!("UPDATE t SET v = v - 30 WHERE id = {id}")).unwrap();
        }
        a.commit_blocking().unwrap();
        assert_eq!(b.commit_blocking().is_ok(), second, "{isolation:?}");
    }
}

#[test]
fn a_range_that_was_scanned_conflicts_with_what_comes_into_it_alone() {
    for (id, conflicts) in [(15, true), (25, false)] {
        let db = database();
        let tx = db.begin_blocking(Isolation::Serializable).unwrap();
        tx.sql_blocking("SELECT count(*) FROM t WHERE id > 10 AND id <= 20").unwrap();
        tx.sql_blocking("SELECT v FROM t WHERE id = 7").unwrap();
        tx.sql_blocking("INSERT INTO t VALUES (100, 1)").unwrap();
        db.sql_blocking(&format!("INSERT INTO t VALUES ({id}, 1)")).unwrap();
        assert_eq!(tx.commit_blocking().is_err(), conflicts, "{id}");
    }
}

#[test]
fn pauses_grow_to_a_tenth_of_a_second_and_differ() {
    assert!(retry_delay(0).as_micros() <= 1000 && retry_delay(40).as_millis() <= 100);
    let many: std::collections::HashSet<_> = (0..20).map(|_| retry_delay(10)).collect();
    assert!(many.len() > 1);
}
