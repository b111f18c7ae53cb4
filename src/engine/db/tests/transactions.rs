//! Transactions: what they see, what they leave, what they refuse.

use std::sync::Arc;

use super::support::{contents, key, keyed, keyless, keys, row_ids, rows, small};
use crate::testing::{CrashPolicy, SimStorage};
use crate::{
    Engine, Error, ErrorKind, Isolation, Options, Snapshot, TableName, Transaction, WriteBatch, WriteMode,
};

pub fn map(pairs: &[(i64, &str)]) -> std::collections::BTreeMap<i64, String> {
    pairs.iter().map(|(id, text)| (*id, (*text).to_owned())).collect()
}

fn engine() -> Arc<Engine> {
    let engine = Engine::in_memory(small()).unwrap();
    keyed(&engine, "t");
    keyless(&engine, "log");
    engine
}

fn batch(engine: &Engine, fill: impl FnOnce(&mut WriteBatch, &Arc<crate::TableDef>)) -> WriteBatch {
    let mut batch = WriteBatch::new();
    fill(&mut batch, &keyed(engine, "t"));
    batch
}

fn upsert(engine: &Engine, pairs: &[(i64, &str)]) -> WriteBatch {
    batch(engine, |batch, table| batch.upsert(table, &rows(pairs)).unwrap())
}

fn insert(engine: &Engine, pairs: &[(i64, &str)]) -> WriteBatch {
    batch(engine, |batch, table| batch.insert(table, &rows(pairs)).unwrap())
}

fn delete(engine: &Engine, ids: &[i64]) -> WriteBatch {
    batch(engine, |batch, table| batch.delete_keys(table, &keys(ids)).unwrap())
}

fn t(snapshot: crate::Result<Snapshot>) -> std::collections::BTreeMap<i64, String> {
    contents(&snapshot.unwrap(), "t")
}

fn get(tx: &Transaction, id: i64) -> bool {
    let view = tx.snapshot().unwrap().table(&TableName::public("t")).unwrap();
    view.get(&key(id), None).unwrap().is_some()
}

fn kind<T: std::fmt::Debug>(outcome: crate::Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

#[test]
fn it_reads_its_own_writes_and_nobody_else_does() {
    for flushed in [false, true] {
        let engine = engine();
        engine.commit(upsert(&engine, &[(1, "a"), (2, "b"), (3, "c")])).unwrap();
        if flushed {
            engine.flush().unwrap();
        }
        let tx = engine.begin(Isolation::Snapshot).unwrap();
        tx.write(upsert(&engine, &[(2, "own"), (4, "own")])).unwrap();
        tx.write(delete(&engine, &[1, 9])).unwrap();
        engine.commit(upsert(&engine, &[(3, "other"), (5, "other")])).unwrap();
        let own = map(&[(2, "own"), (3, "c"), (4, "own")]);
        assert_eq!(t(tx.snapshot()), own);
        assert!(!get(&tx, 1) && get(&tx, 2) && get(&tx, 4) && !get(&tx, 5));
        assert_eq!(t(engine.snapshot()), map(&[(1, "a"), (2, "b"), (3, "other"), (5, "other")]));
        engine.flush().unwrap();
        engine.compact().unwrap();
        assert_eq!(t(tx.snapshot()), own);
        tx.commit().unwrap();
        assert_eq!(t(engine.snapshot()), map(&[(2, "own"), (3, "other"), (4, "own"), (5, "other")]));
    }
}

#[test]
fn a_row_changed_by_others_after_the_snapshot_is_seen_as_it_was() {
    let engine = engine();
    engine.commit(upsert(&engine, &[(1, "old"), (2, "old")])).unwrap();
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    // Others change the very rows that the transaction hides.
    engine.commit(upsert(&engine, &[(1, "other"), (2, "other")])).unwrap();
    tx.write(upsert(&engine, &[(1, "own")])).unwrap();
    assert_eq!(t(tx.snapshot()), map(&[(1, "own"), (2, "old")]));
    assert_eq!(kind(tx.commit()), ErrorKind::Conflict);
    assert_eq!(t(engine.snapshot()), map(&[(1, "other"), (2, "other")]));
}

#[test]
fn an_old_snapshot_of_a_transaction_stays_as_it_was() {
    let engine = engine();
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    tx.write(upsert(&engine, &[(1, "a")])).unwrap();
    let before = tx.snapshot().unwrap();
    tx.write(upsert(&engine, &[(1, "b"), (2, "b")])).unwrap();
    assert_eq!(contents(&before, "t"), map(&[(1, "a")]));
    tx.commit().unwrap();
    assert_eq!(contents(&before, "t"), map(&[(1, "a")]));
}

#[test]
fn rollback_and_drop_leave_nothing() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
    keyed(&engine, "t");
    let calls = storage.calls();
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    tx.write(upsert(&engine, &[(1, "a")])).unwrap();
    tx.rollback();
    assert_eq!(kind(tx.snapshot()), ErrorKind::Invalid);
    assert_eq!(kind(tx.commit()), ErrorKind::Invalid);
    let tx = engine.begin(Isolation::Serializable).unwrap();
    tx.write(upsert(&engine, &[(1, "a")])).unwrap();
    drop(tx);
    assert_eq!(storage.calls(), calls);
    assert!(t(engine.snapshot()).is_empty());
}

#[test]
fn a_commit_is_one_record_that_a_power_cut_keeps_wholly() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
    keyed(&engine, "t");
    let log = keyless(&engine, "log");
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    for id in 0..50 {
        tx.write(insert(&engine, &[(id, "a")])).unwrap();
        let mut line = WriteBatch::new();
        line.insert(&log, &rows(&[(id, "line")])).unwrap();
        tx.write(line).unwrap();
    }
    let before = engine.snapshot().unwrap().seq();
    assert_eq!(tx.commit().unwrap(), before.next());
    let image = Engine::open(Arc::new(storage.crash_image(1, CrashPolicy::WORST)), small()).unwrap();
    let snapshot = image.snapshot().unwrap();
    assert_eq!((contents(&snapshot, "t").len(), contents(&snapshot, "log").len()), (50, 50));
}

#[test]
fn keyless_rows_can_be_changed_before_they_have_an_id() {
    let engine = engine();
    let log = keyless(&engine, "log");
    let add = |pairs: &[(i64, &str)]| {
        let mut batch = WriteBatch::new();
        batch.insert(&log, &rows(pairs)).unwrap();
        batch
    };
    engine.commit(add(&[(1, "a"), (2, "b")])).unwrap();
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    tx.write(add(&[(3, "c"), (4, "d")])).unwrap();
    engine.commit(add(&[(5, "other")])).unwrap();
    let mut gone = WriteBatch::new();
    for id in [1, 3] {
        gone.delete_row_ids(&log, &row_ids(&tx.snapshot().unwrap(), "log", id)).unwrap();
    }
    tx.write(gone).unwrap();
    assert_eq!(contents(&tx.snapshot().unwrap(), "log"), map(&[(2, "b"), (4, "d")]));
    tx.commit().unwrap();
    engine.flush().unwrap();
    assert_eq!(contents(&engine.snapshot().unwrap(), "log"), map(&[(2, "b"), (4, "d"), (5, "other")]));
    assert!(row_ids(&engine.snapshot().unwrap(), "log", 4).value(0) < 1 << 62);
}

#[test]
fn an_insert_fails_at_once_on_a_key_that_it_sees_and_at_commit_on_one_it_does_not() {
    let engine = engine();
    engine.commit(upsert(&engine, &[(1, "a")])).unwrap();
    for own in [false, true] {
        let tx = engine.begin(Isolation::Snapshot).unwrap();
        if own {
            tx.write(delete(&engine, &[1])).unwrap();
            tx.write(insert(&engine, &[(1, "again")])).unwrap();
        }
        assert_eq!(kind(tx.write(insert(&engine, &[(1, "b")]))), ErrorKind::AlreadyExists);
    }
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    tx.write(insert(&engine, &[(2, "own")])).unwrap();
    engine.commit(insert(&engine, &[(2, "other")])).unwrap();
    engine.flush().unwrap();
    assert_eq!(kind(tx.commit()), ErrorKind::Conflict);
}

#[test]
fn what_comes_and_goes_within_it_conflicts_with_nobody() {
    let engine = engine();
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    tx.write(insert(&engine, &[(1, "own")])).unwrap();
    tx.write(delete(&engine, &[1, 2])).unwrap();
    engine.commit(insert(&engine, &[(1, "other"), (2, "other")])).unwrap();
    let seq = engine.snapshot().unwrap().seq();
    assert_eq!(tx.commit().unwrap(), seq);
    assert_eq!(t(engine.snapshot()).len(), 2);
}

#[test]
fn savepoints_nest_hide_one_another_and_outlive_a_rollback_to_them() {
    let engine = engine();
    engine.commit(upsert(&engine, &[(1, "base")])).unwrap();
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    tx.savepoint("a").unwrap();
    tx.write(upsert(&engine, &[(1, "one"), (2, "one")])).unwrap();
    tx.savepoint("b").unwrap();
    tx.write(delete(&engine, &[1])).unwrap();
    tx.savepoint("a").unwrap();
    tx.write(upsert(&engine, &[(3, "three")])).unwrap();
    tx.rollback_to("a").unwrap();
    assert_eq!(t(tx.snapshot()), map(&[(2, "one")]));
    tx.rollback_to("b").unwrap();
    assert_eq!(t(tx.snapshot()), map(&[(1, "one"), (2, "one")]));
    tx.rollback_to("a").unwrap();
    assert_eq!(t(tx.snapshot()), map(&[(1, "base")]));
    assert_eq!(kind(tx.rollback_to("b")), ErrorKind::NotFound);
    tx.write(upsert(&engine, &[(4, "four")])).unwrap();
    tx.release("a").unwrap();
    assert_eq!(kind(tx.release("a")), ErrorKind::NotFound);
    tx.commit().unwrap();
    assert_eq!(t(engine.snapshot()), map(&[(1, "base"), (4, "four")]));
}

#[test]
fn rolling_back_many_small_writes_keeps_those_before() {
    let engine = engine();
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    for id in 0..100 {
        if id == 37 {
            tx.savepoint("here").unwrap();
        }
        tx.write(upsert(&engine, &[(id, "a"), (id % 5, "b")])).unwrap();
    }
    tx.rollback_to("here").unwrap();
    assert_eq!(t(tx.snapshot()).len(), 37);
    tx.write(upsert(&engine, &[(99, "after")])).unwrap();
    tx.commit().unwrap();
    assert_eq!(t(engine.snapshot()).len(), 38);
}

#[test]
fn error_midway_poisons_txn() {
    let engine = engine();
    engine.commit(upsert(&engine, &[(7, "there")])).unwrap();
    let midway = |tx: &Transaction| {
        let half = batch(&engine, |batch, table| {
            batch.insert(table, &rows(&[(1, "half")])).unwrap();
            batch.insert(table, &rows(&[(7, "twice")])).unwrap();
        });
        assert_eq!(kind(tx.write(half)), ErrorKind::AlreadyExists);
    };
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    tx.write(upsert(&engine, &[(2, "before")])).unwrap();
    midway(&tx);
    assert!(tx.has_failed());
    assert_eq!(kind(tx.snapshot()), ErrorKind::Invalid);
    assert_eq!(kind(tx.write(upsert(&engine, &[(3, "after")]))), ErrorKind::Invalid);
    assert_eq!(kind(tx.savepoint("late")), ErrorKind::Invalid);
    assert_eq!(kind(tx.commit()), ErrorKind::Invalid);
    assert_eq!(t(engine.snapshot()), map(&[(7, "there")]));

    let tx = engine.begin(Isolation::Snapshot).unwrap();
    tx.write(upsert(&engine, &[(2, "before")])).unwrap();
    tx.savepoint("s").unwrap();
    midway(&tx);
    tx.rollback_to("s").unwrap();
    tx.commit().unwrap();
    assert_eq!(t(engine.snapshot()), map(&[(2, "before"), (7, "there")]));
}

#[test]
fn panic_in_closure_poisons() {
    let engine = engine();
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    let attempt = std::panic::AssertUnwindSafe(|| {
        tx.nested(|tx| -> crate::Result<()> {
            tx.write(upsert(&engine, &[(1, "half")]))?;
            panic!("in the middle")
        })
    });
    assert!(std::panic::catch_unwind(attempt).is_err());
    assert!(tx.has_failed());
    assert_eq!(kind(tx.commit()), ErrorKind::Invalid);
    assert!(t(engine.snapshot()).is_empty());
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    tx.write(upsert(&engine, &[(1, "kept")])).unwrap();
    let outcome = tx.nested(|tx| {
        tx.write(upsert(&engine, &[(2, "half")]))?;
        tx.write(insert(&engine, &[(1, "twice")]))
    });
    assert_eq!(kind(outcome), ErrorKind::AlreadyExists);
    tx.nested(|tx| tx.write(upsert(&engine, &[(3, "kept")]))).unwrap();
    tx.commit().unwrap();
    assert_eq!(t(engine.snapshot()), map(&[(1, "kept"), (3, "kept")]));
}

#[test]
fn drop_under_txn() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), Options { background: true, ..small() }).unwrap();
    keyed(&engine, "t");
    let write = upsert(&engine, &[(1, "a")]);
    let tx = engine.begin(Isolation::Serializable).unwrap();
    tx.write(write.clone()).unwrap();
    drop(engine);
    assert_eq!(kind(tx.write(write.clone())), ErrorKind::Closed);
    assert_eq!(kind(tx.snapshot()), ErrorKind::Closed);
    // The lock is free although the transaction is still there.
    let again = Engine::open(Arc::new(storage), small()).unwrap();
    drop(tx);
    assert!(t(again.snapshot()).is_empty());
    let tx = again.begin(Isolation::Snapshot).unwrap();
    tx.write(write).unwrap();
    again.close().unwrap();
    assert_eq!(kind(tx.commit()), ErrorKind::Closed);
}

#[test]
fn an_appender_is_one_write_and_fails_the_transaction_when_it_is_given_up() {
    let engine = Engine::in_memory(Options { direct_append_bytes: 1, ..small() }).unwrap();
    keyed(&engine, "t");
    let name = TableName::public("t");
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    let mut appender = tx.appender(&name, WriteMode::Insert).unwrap();
    appender.write(&rows(&[(1, "a")])).unwrap();
    appender.write(&rows(&[(2, "b")])).unwrap();
    assert!(t(tx.snapshot()).is_empty());
    assert_eq!(appender.finish().unwrap(), 2);
    assert_eq!(t(tx.snapshot()).len(), 2);
    let mut appender = tx.appender(&name, WriteMode::Upsert).unwrap();
    appender.write(&rows(&[(2, "c")])).unwrap();
    drop(appender);
    assert!(tx.has_failed());
    assert!(t(engine.snapshot()).is_empty());
}

#[test]
fn its_memory_is_bounded() {
    let engine = Engine::in_memory(Options { transaction_bytes: 20_000, ..small() }).unwrap();
    keyed(&engine, "t");
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    let outcome = (0..10_000).try_for_each(|id| tx.write(upsert(&engine, &[(id, "some text")])));
    assert!(matches!(outcome, Err(Error::Limit { max: 20_000, .. })));
    assert!(tx.bytes() < 40_000 && tx.has_failed());
    let mut appender = engine
        .begin(Isolation::Snapshot)
        .unwrap()
        .appender(&TableName::public("t"), WriteMode::Upsert)
        .unwrap();
    let many: Vec<(i64, &str)> = (0..10_000).map(|id| (id, "some text")).collect();
    assert_eq!(kind(appender.write(&rows(&many))), ErrorKind::Limit);
}

#[test]
fn a_table_made_after_it_began_can_be_adopted() {
    let engine = engine();
    let tx = engine.begin(Isolation::Serializable).unwrap();
    let late = keyed(&engine, "late");
    let mut write = WriteBatch::new();
    write.insert(&late, &rows(&[(1, "own")])).unwrap();
    assert_eq!(kind(tx.snapshot().unwrap().table(&late.name)), ErrorKind::NotFound);
    tx.adopt(&late.name).unwrap();
    tx.write(write.clone()).unwrap();
    assert_eq!(contents(&tx.snapshot().unwrap(), "late"), map(&[(1, "own")]));
    tx.commit().unwrap();
    assert_eq!(contents(&engine.snapshot().unwrap(), "late"), map(&[(1, "own")]));
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    engine.drop_table(&late.name).unwrap();
    tx.write(delete(&engine, &[5])).unwrap();
    let mut lost = WriteBatch::new();
    lost.upsert(&late, &rows(&[(2, "own")])).unwrap();
    tx.write(lost).unwrap();
    assert_eq!(kind(tx.commit()), ErrorKind::Conflict);
}

#[test]
fn a_read_only_transaction_refuses_to_write() {
    let engine = engine();
    engine.commit(upsert(&engine, &[(1, "a")])).unwrap();
    let tx = engine.begin_read_only().unwrap();
    assert_eq!(t(tx.snapshot()).len(), 1);
    engine.commit(upsert(&engine, &[(2, "b")])).unwrap();
    assert_eq!(t(tx.snapshot()).len(), 1);
    assert_eq!(kind(tx.write(upsert(&engine, &[(3, "c")]))), ErrorKind::Invalid);
    let tx = engine.begin_read_only().unwrap();
    assert_eq!(kind(tx.appender(&TableName::public("t"), WriteMode::Upsert)), ErrorKind::Invalid);
    assert_eq!(t(engine.snapshot()).len(), 2);
}

#[test]
fn rows_that_move_to_files_meanwhile_are_no_conflict() {
    let engine = engine();
    engine.commit(upsert(&engine, &[(1, "a"), (2, "b")])).unwrap();
    let tx = engine.begin(Isolation::Snapshot).unwrap();
    tx.write(upsert(&engine, &[(1, "own")])).unwrap();
    tx.write(delete(&engine, &[2])).unwrap();
    engine.commit(upsert(&engine, &[(3, "other")])).unwrap();
    engine.compact().unwrap();
    tx.commit().unwrap();
    assert_eq!(t(engine.snapshot()), map(&[(1, "own"), (3, "other")]));
}

#[test]
fn a_bulk_upsert_of_the_same_row_is_a_conflict_and_of_its_neighbours_is_none() {
    for (ids, conflicts) in [([1, 9], false), ([1, 5], true)] {
        let engine = Engine::in_memory(Options { direct_append_bytes: 1, file_bytes: 1, ..small() }).unwrap();
        keyed(&engine, "t");
        engine.commit(upsert(&engine, &[(5, "a")])).unwrap();
        let tx = engine.begin(Isolation::Snapshot).unwrap();
        tx.write(upsert(&engine, &[(5, "own")])).unwrap();
        let mut appender = engine.appender(&TableName::public("t"), WriteMode::Upsert).unwrap();
        appender.write(&rows(&[(ids[0], "bulk"), (ids[1], "bulk")])).unwrap();
        appender.finish().unwrap();
        assert_eq!(tx.commit().is_err(), conflicts, "{ids:?}");
    }
}
