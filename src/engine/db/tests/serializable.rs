//! Serializable transactions: what was read, and would have been read, must not have changed.

use std::ops::Bound;
use std::sync::Arc;

use super::support::{key, keyed, keyless, keys, rows, small};
use crate::{
    Engine, ErrorKind, Isolation, KeyRange, Options, Snapshot, TableName, Transaction, WriteBatch, WriteMode,
};

fn engine() -> Arc<Engine> {
    let engine = Engine::in_memory(small()).unwrap();
    put(&engine, &[(10, "a"), (20, "b"), (30, "c")]);
    engine
}

fn upsert(engine: &Engine, pairs: &[(i64, &str)]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.upsert(&keyed(engine, "t"), &rows(pairs)).unwrap();
    batch
}

fn put(engine: &Engine, pairs: &[(i64, &str)]) {
    engine.commit(upsert(engine, pairs)).unwrap();
}

fn remove(engine: &Engine, id: i64) {
    let mut batch = WriteBatch::new();
    batch.delete_keys(&keyed(engine, "t"), &keys(&[id])).unwrap();
    engine.commit(batch).unwrap();
}

fn read_key(tx: &Transaction, id: i64) -> bool {
    table(&tx.snapshot().unwrap()).get(&key(id), None).unwrap().is_some()
}

fn table(snapshot: &Snapshot) -> crate::TableView {
    snapshot.table(&TableName::public("t")).unwrap()
}

/// Scans the ids from `from` up to but not including `to`.
fn read_range(tx: &Transaction, from: i64, to: i64) {
    let view = table(&tx.snapshot().unwrap());
    let bound = |id: i64| view.codec().unwrap().encode(&key(id)).unwrap().value(0).to_vec();
    let range = KeyRange { lower: Bound::Included(bound(from)), upper: Bound::Excluded(bound(to)) };
    view.within(range).parts().unwrap();
}

/// Commits a write that touches nothing that is read elsewhere.
fn finish(engine: &Engine, tx: &Transaction) -> Result<(), ErrorKind> {
    tx.write(upsert(engine, &[(1000 + tx.base().0 as i64, "own")])).unwrap();
    tx.commit().map(|_| ()).map_err(|error| error.kind())
}

#[test]
fn scan_range_conflicts() {
    type Change = fn(&Engine);
    let changes: [(Change, bool); 8] = [
        (|engine| put(engine, &[(20, "changed")]), true),
        (|engine| put(engine, &[(15, "phantom")]), true),
        (|engine| put(engine, &[(24, "phantom")]), true),
        (|engine| remove(engine, 20), true),
        (|engine| put(engine, &[(14, "below")]), false),
        (|engine| put(engine, &[(25, "at the open end")]), false),
        (|engine| remove(engine, 30), false),
        (|engine| put(engine, &[(10, "changed")]), false),
    ];
    for (i, (change, conflicts)) in changes.into_iter().enumerate() {
        for flush in [false, true] {
            let engine = engine();
            let tx = engine.begin(Isolation::Serializable).unwrap();
            read_range(&tx, 15, 25);
            change(&engine);
            if flush {
                engine.compact().unwrap();
            }
            let expected = if conflicts { Err(ErrorKind::Conflict) } else { Ok(()) };
            assert_eq!(finish(&engine, &tx), expected, "change {i}, flush {flush}");
        }
    }
}

#[test]
fn point_reads_conflict_with_their_key_alone_found_or_not() {
    let engine = engine();
    for (id, other, conflicts) in [(10, 10, true), (10, 11, false), (55, 55, true), (55, 56, false)] {
        let tx = engine.begin(Isolation::Serializable).unwrap();
        read_key(&tx, id);
        put(&engine, &[(other, "changed")]);
        assert_eq!(finish(&engine, &tx).is_err(), conflicts, "{id} {other}");
        remove(&engine, 55);
    }
}

#[test]
fn a_whole_scan_conflicts_with_any_write_to_the_table_and_none_to_others() {
    let engine = engine();
    let log = keyless(&engine, "log");
    let line = || {
        let mut batch = WriteBatch::new();
        batch.insert(&log, &rows(&[(1, "line")])).unwrap();
        engine.commit(batch).unwrap();
    };
    let tx = engine.begin(Isolation::Serializable).unwrap();
    table(&tx.snapshot().unwrap()).row_count().unwrap();
    line();
    assert_eq!(finish(&engine, &tx), Ok(()));
    let tx = engine.begin(Isolation::Serializable).unwrap();
    tx.snapshot().unwrap().table(&log.name).unwrap().row_count().unwrap();
    line();
    assert_eq!(finish(&engine, &tx), Err(ErrorKind::Conflict));
}

#[test]
fn write_skew_is_possible_at_snapshot_and_not_at_serializable() {
    for (isolation, second) in [(Isolation::Snapshot, true), (Isolation::Serializable, false)] {
        let engine = engine();
        let (a, b) = (engine.begin(isolation).unwrap(), engine.begin(isolation).unwrap());
        assert!(read_key(&a, 10) && read_key(&a, 20) && read_key(&b, 10) && read_key(&b, 20));
        a.write(upsert(&engine, &[(10, "a")])).unwrap();
        b.write(upsert(&engine, &[(20, "b")])).unwrap();
        a.commit().unwrap();
        assert_eq!(b.commit().is_ok(), second, "{isolation:?}");
    }
}

#[test]
fn two_that_count_and_add_do_not_both_commit() {
    let engine = engine();
    let (a, b) =
        (engine.begin(Isolation::Serializable).unwrap(), engine.begin(Isolation::Serializable).unwrap());
    for (tx, id) in [(&a, 11), (&b, 12)] {
        read_range(tx, 0, 100);
        tx.write(upsert(&engine, &[(id, "counted")])).unwrap();
    }
    b.commit().unwrap();
    assert_eq!(a.commit().unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_bulk_append_counts_with_its_range_of_keys() {
    for (ids, conflicts) in [([12, 40], true), ([40, 41], false)] {
        let engine = Engine::in_memory(Options { direct_append_bytes: 1, file_bytes: 1, ..small() }).unwrap();
        put(&engine, &[(10, "a"), (20, "b"), (30, "c")]);
        let tx = engine.begin(Isolation::Serializable).unwrap();
        read_range(&tx, 15, 25);
        let mut appender = engine.appender(&TableName::public("t"), WriteMode::Insert).unwrap();
        appender.write(&rows(&[(ids[0], "bulk"), (ids[1], "bulk")])).unwrap();
        appender.finish().unwrap();
        assert_eq!(finish(&engine, &tx).is_err(), conflicts, "{ids:?}");
    }
}

#[test]
fn reading_alone_never_fails() {
    let engine = engine();
    let tx = engine.begin(Isolation::Serializable).unwrap();
    read_range(&tx, 0, 100);
    put(&engine, &[(20, "changed")]);
    assert!(read_key(&tx, 20));
    tx.commit().unwrap();
}

#[test]
fn a_changed_or_dropped_table_is_a_conflict() {
    let engine = engine();
    let other = keyed(&engine, "other");
    let tx = engine.begin(Isolation::Serializable).unwrap();
    tx.snapshot().unwrap().table(&other.name).unwrap().row_count().unwrap();
    engine.drop_table(&other.name).unwrap();
    assert_eq!(finish(&engine, &tx), Err(ErrorKind::Conflict));
}

#[test]
fn what_is_kept_for_transactions_is_given_up_with_them() {
    let engine = engine();
    let early = engine.begin(Isolation::Serializable).unwrap();
    read_key(&early, 10);
    for id in 100..400 {
        put(&engine, &[(id, "x")]);
    }
    let late = engine.begin(Isolation::Serializable).unwrap();
    drop(early);
    read_key(&late, 150);
    put(&engine, &[(150, "changed")]);
    assert_eq!(finish(&engine, &late), Err(ErrorKind::Conflict));
    let tx = engine.begin(Isolation::Serializable).unwrap();
    read_key(&tx, 150);
    put(&engine, &[(151, "x")]);
    assert_eq!(finish(&engine, &tx), Ok(()));
}
