//! Rows with an age: gone for every reader at the moment they expire, and from the disk soon after.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};

use super::support::{Meanwhile, key, small};
use crate::testing::SimStorage;
use crate::{
    AlterTable, Clock, Engine, IfExists, Isolation, Options, SetClock, Snapshot, TableDef, TableName,
    TableSpec, WriteBatch, WriteMode,
};

const TTL: i64 = 1000;

fn schema() -> Arc<Schema> {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("at", time, true)]))
}

fn rows(pairs: &[(i64, Option<i64>)]) -> RecordBatch {
    let ids = Int64Array::from_iter_values(pairs.iter().map(|(id, _)| *id));
    let times: TimestampMillisecondArray = pairs.iter().map(|(_, at)| *at).collect();
    RecordBatch::try_new(schema(), vec![Arc::new(ids), Arc::new(times)]).unwrap()
}

fn create(engine: &Engine, style: &str) -> Arc<TableDef> {
    let options = [("ttl", "1 second"), ("ttl_column", "at"), ("compaction", style)];
    let spec = TableSpec {
        name: TableName::public("t"),
        schema: schema(),
        primary_key: vec!["id".into()],
        defaults: HashMap::new(),
        options: options.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        indexes: vec![],
    };
    engine.create_table(&spec, IfExists::Keep).unwrap()
}

fn upsert(engine: &Engine, table: &Arc<TableDef>, pairs: &[(i64, Option<i64>)]) {
    let mut batch = WriteBatch::new();
    batch.upsert(table, &rows(pairs)).unwrap();
    engine.commit(batch).unwrap();
}

fn ids(snapshot: &Snapshot) -> Vec<i64> {
    let view = snapshot.table(&TableName::public("t")).unwrap();
    let mut found = Vec::new();
    for part in view.parts().unwrap() {
        for i in 0..part.num_batches() {
            found.extend(part.read(i, &[0], false).unwrap().column(0).as_primitive::<Int64Type>().values());
        }
    }
    found.sort_unstable();
    assert_eq!(view.row_count().unwrap(), found.len() as u64);
    for id in 0..12 {
        let row = view.get(&key(id), None).unwrap();
        assert_eq!(row.is_some(), found.contains(&id), "row {id}");
    }
    found
}

struct Timed {
    storage: SimStorage,
    clock: Arc<SetClock>,
}

impl Timed {
    fn new() -> Self {
        Self { storage: SimStorage::new(), clock: Arc::new(SetClock::default()) }
    }

    fn open(&self) -> Arc<Engine> {
        let options = Options { clock: Arc::clone(&self.clock) as _, ..small() };
        Engine::open(Arc::new(self.storage.clone()), options).unwrap()
    }
}

#[test]
fn rows_are_gone_from_the_moment_they_expire() {
    let timed = Timed::new();
    let engine = timed.open();
    let table = create(&engine, "leveled");
    upsert(&engine, &table, &[(1, Some(100)), (2, Some(200)), (3, None)]);
    engine.flush().unwrap();
    upsert(&engine, &table, &[(4, Some(150)), (5, Some(900))]);
    for (now, expected) in [
        (0, vec![1, 2, 3, 4, 5]),
        (TTL + 99, vec![1, 2, 3, 4, 5]),
        (TTL + 100, vec![2, 3, 4, 5]),
        (TTL + 150, vec![2, 3, 5]),
        (TTL + 200, vec![3, 5]),
        (TTL + 5000, vec![3]),
    ] {
        timed.clock.set(now);
        assert_eq!(ids(&engine.snapshot().unwrap()), expected, "at {now}");
    }
}

#[test]
fn a_snapshot_keeps_what_it_saw_and_a_clock_set_back_brings_nothing_back() {
    let timed = Timed::new();
    let engine = timed.open();
    let table = create(&engine, "leveled");
    upsert(&engine, &table, &[(1, Some(100)), (2, Some(5000))]);
    engine.flush().unwrap();
    let before = engine.snapshot().unwrap();
    timed.clock.set(TTL + 100);
    assert_eq!(ids(&engine.snapshot().unwrap()), [2]);
    engine.compact().unwrap();
    assert_eq!(ids(&before), [1, 2]);
    timed.clock.set(0);
    assert_eq!(ids(&engine.snapshot().unwrap()), [2]);
    engine.close().unwrap();
    assert_eq!(ids(&timed.open().snapshot().unwrap()), [2]);
}

#[test]
fn the_time_is_kept_over_an_opening() {
    let timed = Timed::new();
    let engine = timed.open();
    let table = create(&engine, "leveled");
    upsert(&engine, &table, &[(1, Some(100)), (2, Some(5000))]);
    timed.clock.set(TTL + 100);
    engine.flush().unwrap();
    engine.close().unwrap();
    timed.clock.set(0);
    assert_eq!(ids(&timed.open().snapshot().unwrap()), [2]);
}

#[test]
fn an_expired_key_is_free_again() {
    for flush in [false, true] {
        let timed = Timed::new();
        let engine = timed.open();
        let table = create(&engine, "leveled");
        upsert(&engine, &table, &[(1, Some(100)), (2, Some(100))]);
        if flush {
            engine.flush().unwrap();
        }
        let insert = |id, at| {
            let mut batch = WriteBatch::new();
            batch.insert(&table, &rows(&[(id, Some(at))])).unwrap();
            engine.commit(batch)
        };
        assert!(insert(1, 9000).is_err());
        timed.clock.set(TTL + 100);
        insert(1, 9000).unwrap();
        assert_eq!(ids(&engine.snapshot().unwrap()), [1]);
        let mut appender = engine.appender(&TableName::public("t"), WriteMode::Insert).unwrap();
        let bulk: Vec<(i64, Option<i64>)> = (2..1000).map(|id| (id, Some(9000))).collect();
        appender.write(&rows(&bulk)).unwrap();
        appender.finish().unwrap();
        engine.flush().unwrap();
        engine.compact().unwrap();
        assert_eq!(ids(&engine.snapshot().unwrap()).len(), 999);
    }
}

#[test]
fn expired_bytes_leave_the_disk_without_being_asked() {
    for style in ["leveled", "tiered", "fifo"] {
        let timed = Timed::new();
        let engine = timed.open();
        let table = create(&engine, style);
        for round in 0..8i64 {
            let pairs: Vec<(i64, Option<i64>)> =
                (0..200).map(|i| (round * 200 + i, Some(round * 100))).collect();
            upsert(&engine, &table, &pairs);
            engine.flush().unwrap();
            while engine.maintain().unwrap() {}
        }
        let bytes = || engine.files().iter().map(|file| file.bytes).sum::<u64>();
        let before = bytes();
        timed.clock.set(TTL + 300);
        while engine.maintain().unwrap() {}
        assert!(bytes() < before * 7 / 10, "{style}: {} of {before}", bytes());
        assert_eq!(engine.snapshot().unwrap().table(&table.name).unwrap().row_count().unwrap(), 800);
        timed.clock.set(TTL + 700);
        while engine.maintain().unwrap() {}
        assert_eq!(bytes(), 0, "{style}");
        assert!(!timed.storage.paths().iter().any(|path| path.ends_with(".arrow")), "{style}");
    }
}

#[test]
fn expiry_begins_and_ends_with_the_option() {
    let timed = Timed::new();
    let engine = timed.open();
    let table = create(&engine, "leveled");
    upsert(&engine, &table, &[(1, Some(100)), (2, Some(5000))]);
    timed.clock.set(TTL + 100);
    let set = |value: &str| {
        let options = [("ttl".to_owned(), value.to_owned())].into();
        engine.alter_table(&table.name, &AlterTable::SetOptions { options }).unwrap();
        ids(&engine.snapshot().unwrap())
    };
    assert_eq!(set("none"), [1, 2]);
    let options = [("ttl".to_owned(), "1 s".to_owned()), ("ttl_column".to_owned(), "at".to_owned())].into();
    engine.alter_table(&table.name, &AlterTable::SetOptions { options }).unwrap();
    assert_eq!(ids(&engine.snapshot().unwrap()), [2]);
    assert_eq!(set("1 minute"), [1, 2]);
}

#[test]
fn a_merge_never_drops_rows_that_no_longer_expire() {
    let clock = Arc::new(Meanwhile::default());
    let options = Options { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..small() };
    let engine = Engine::open(Arc::new(SimStorage::new()), options).unwrap();
    let table = create(&engine, "leveled");
    upsert(&engine, &table, &[(1, Some(0)), (2, None)]);
    engine.flush().unwrap();
    upsert(&engine, &table, &[(3, None)]);
    assert_eq!(ids(&engine.snapshot().unwrap()), [2, 3]);
    clock.doing(&engine, |engine| {
        let options = [("ttl".to_owned(), "none".to_owned())].into();
        engine.alter_table(&TableName::public("t"), &AlterTable::SetOptions { options }).unwrap();
    });
    engine.compact().unwrap();
    assert!(clock.is_done());
    assert_eq!(ids(&engine.snapshot().unwrap()), [1, 2, 3]);
}

#[test]
fn a_transaction_lives_at_one_moment() {
    let clock = Arc::new(SetClock::default());
    let options = Options { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..small() };
    let engine = Engine::open(Arc::new(SimStorage::new()), options).unwrap();
    let table = create(&engine, "leveled");
    upsert(&engine, &table, &[(1, Some(TTL)), (2, None)]);
    let transaction = engine.begin(Isolation::Snapshot).unwrap();
    clock.set(5 * TTL);
    let mut batch = WriteBatch::new();
    batch.upsert(&table, &rows(&[(3, Some(TTL))])).unwrap();
    transaction.write(batch).unwrap();
    assert_eq!(ids(&transaction.snapshot().unwrap()), [1, 2, 3]);
    assert_eq!(ids(&engine.snapshot().unwrap()), [2]);
    transaction.commit().unwrap();
    assert_eq!(ids(&engine.snapshot().unwrap()), [2]);
}

#[test]
fn readers_of_other_processes_keep_their_time() {
    let (storage, clock) = (SimStorage::new(), Arc::new(SetClock::default()));
    let writer = Engine::open(Arc::new(storage.clone()), small()).unwrap();
    let table = create(&writer, "leveled");
    upsert(&writer, &table, &[(1, Some(TTL)), (2, None)]);
    let options = Options { clock: Arc::clone(&clock) as Arc<dyn Clock>, read_only: true, ..small() };
    let reader = Engine::open(Arc::new(storage.clone()), options).unwrap();
    clock.set(5 * TTL);
    for id in 3..6 {
        // The manifest of each flush is another state, under the same clock.
        upsert(&writer, &table, &[(id, None)]);
        writer.flush().unwrap();
        clock.set(0);
        assert_eq!(ids(&reader.snapshot().unwrap()), (2..=id).collect::<Vec<_>>());
    }
}
