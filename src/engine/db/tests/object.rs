//! Databases on an object store: two writers, readers that follow, few objects, and what `buffered` means there.

use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;

use super::support::{contents, keyed, rows, small};
use crate::io::object::{CloudObjects, Objects, Patience};
use crate::io::{ObjectStorage, ObjectTuning};
use crate::testing::{Bucket, BucketFaults};
use crate::{
    Durability, Engine, Error, ErrorKind, Options, Result, Storage, TableName, WriteBatch, check_storage,
    restore_storage,
};

fn bucket() -> Bucket {
    Bucket::new(1, BucketFaults::default(), None)
}

fn over(objects: Arc<dyn Objects>, keep_removed: Duration) -> Arc<dyn Storage> {
    let patience = Patience { attempts: 3, pause: Duration::ZERO };
    Arc::new(ObjectStorage::new(objects, ObjectTuning { cache_bytes: 4 << 20, keep_removed, patience }))
}

fn storage(bucket: &Bucket) -> Arc<dyn Storage> {
    over(Arc::new(bucket.client("test")), Duration::ZERO)
}

fn open(bucket: &Bucket) -> Arc<Engine> {
    Engine::open(storage(bucket), small()).unwrap()
}

fn put(engine: &Engine, id: i64, text: &str, level: Durability) -> Result<()> {
    let mut batch = WriteBatch::new();
    let table = Arc::clone(engine.snapshot()?.table(&TableName::public("t"))?.def());
    batch.upsert(&table, &rows(&[(id, text)]))?;
    batch.durability(level);
    engine.commit(batch).map(|_| ())
}

fn taken_over<T: std::fmt::Debug>(outcome: Result<T>) {
    assert!(matches!(outcome, Err(Error::TakenOver { .. })), "{outcome:?}");
}

fn ids(engine: &Engine) -> Vec<i64> {
    contents(&engine.snapshot().unwrap(), "t").into_keys().collect()
}

#[test]
fn a_writer_that_was_taken_over_from_acknowledges_and_publishes_nothing() {
    let bucket = bucket();
    let zombie = open(&bucket);
    keyed(&zombie, "t");
    put(&zombie, 1, "old", Durability::Group).unwrap();
    let writer = open(&bucket);
    assert_eq!(ids(&writer), [1]);
    taken_over(put(&zombie, 2, "lost", Durability::Group));
    taken_over(put(&zombie, 2, "lost", Durability::Strict));
    taken_over(zombie.flush());
    taken_over(zombie.create_schema("s", false));
    assert_eq!(zombie.create_schema("s", false).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(ids(&zombie), [1], "reads go on");
    put(&writer, 3, "new", Durability::Group).unwrap();
    writer.flush().unwrap();
    taken_over(zombie.close());
    put(&writer, 4, "newer", Durability::Group).unwrap();
    writer.close().unwrap();
    assert_eq!(ids(&open(&bucket)), [1, 3, 4]);
}

#[test]
fn a_flush_that_was_taken_over_from_leaves_no_trace() {
    let bucket = bucket();
    let zombie = open(&bucket);
    keyed(&zombie, "t");
    put(&zombie, 1, "old", Durability::Group).unwrap();
    let writer = open(&bucket);
    put(&writer, 2, "new", Durability::Group).unwrap();
    writer.flush().unwrap();
    taken_over(zombie.flush());
    drop(zombie);
    writer.close().unwrap();
    let last = open(&bucket);
    assert_eq!(ids(&last), [1, 2]);
    last.close().unwrap();
    assert!(check_storage(&storage(&bucket), &mut |_| {}).unwrap().problems.is_empty());
}

#[test]
fn two_that_create_a_database_make_one() {
    let bucket = bucket();
    let (first, second) = (open(&bucket), open(&bucket));
    keyed(&second, "t");
    let refused = first.create_schema("s", false);
    taken_over(refused);
    put(&second, 1, "a", Durability::Group).unwrap();
    drop((first, second));
    assert_eq!(ids(&open(&bucket)), [1]);
}

#[test]
fn readers_follow_a_writer() {
    let bucket = bucket();
    let writer = open(&bucket);
    keyed(&writer, "t");
    let reader = Engine::open(storage(&bucket), Options { read_only: true, ..small() }).unwrap();
    for id in 0..200 {
        put(&writer, id, "text", Durability::Group).unwrap();
        if id % 40 == 39 {
            writer.flush().unwrap();
        }
        if id % 100 == 99 {
            writer.compact().unwrap();
        }
        if id % 7 == 0 {
            assert_eq!(ids(&reader).len() as i64, id + 1);
        }
    }
    drop(writer);
    let next = open(&bucket);
    put(&next, 1000, "text", Durability::Group).unwrap();
    assert_eq!(ids(&reader).len(), 201);
    assert!(matches!(put(&reader, 1, "x", Durability::Group), Err(Error::Closed(_))));
}

#[test]
fn a_snapshot_of_another_process_outlives_compaction_for_a_while_and_then_says_that_it_is_gone() {
    for (keep_removed, lives) in [(Duration::from_secs(300), true), (Duration::ZERO, false)] {
        let bucket = bucket();
        let writer = Engine::open(over(Arc::new(bucket.client("w")), keep_removed), small()).unwrap();
        keyed(&writer, "t");
        for id in 0..4 {
            put(&writer, id, &"text".repeat(2000), Durability::Group).unwrap();
            writer.flush().unwrap();
        }
        // Without a cache everything is asked of the store.
        let patience = Patience { attempts: 1, pause: Duration::ZERO };
        let tuning = ObjectTuning { cache_bytes: 0, keep_removed, patience };
        let options = Options { read_only: true, ..small() };
        let objects = Arc::new(ObjectStorage::new(Arc::new(bucket.client("r")), tuning));
        let reader = Engine::open(objects, options).unwrap();
        let snapshot = reader.snapshot().unwrap();
        writer.compact().unwrap();
        let parts = snapshot.table(&TableName::public("t")).unwrap().parts();
        let read = parts.and_then(|parts| {
            parts.iter().map(|part| part.read(0, &[0, 1], false)).collect::<Result<Vec<_>>>()
        });
        match read {
            Ok(batches) => assert!(lives && batches.len() == 4),
            Err(error) => assert!(!lives && error.to_string().contains("removed it since"), "{error}"),
        }
        assert_eq!(ids(&reader).len(), 4, "a new snapshot has new files");
    }
}

#[test]
fn buffered_commits_are_put_by_the_background_and_at_close() {
    let bucket = bucket();
    let writer = Engine::open(storage(&bucket), Options { background: true, ..small() }).unwrap();
    keyed(&writer, "t");
    put(&writer, 1, "a", Durability::Buffered).unwrap();
    let start = std::time::Instant::now();
    let reader = Engine::open(storage(&bucket), Options { read_only: true, ..small() }).unwrap();
    while ids(&reader).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "it is never put");
        std::thread::sleep(Duration::from_millis(20));
    }
    put(&writer, 2, "b", Durability::Buffered).unwrap();
    writer.close().unwrap();
    assert_eq!(ids(&reader), [1, 2]);
}

#[test]
fn a_long_row_of_small_commits_starts_another_log() {
    let bucket = bucket();
    let writer = open(&bucket);
    keyed(&writer, "t");
    for id in 0..1100 {
        put(&writer, id, "text", Durability::Group).unwrap();
        while writer.maintain().unwrap() {}
    }
    // Those before were flushed, and their entries are gone.
    let entries = bucket.names().iter().filter(|name| name.starts_with("journal/")).count();
    assert!(entries < 200, "{entries}");
    drop(writer);
    assert_eq!(ids(&open(&bucket)).len(), 1100);
}

#[test]
fn a_database_goes_to_a_store_and_back() {
    let (here, there, back) = (bucket(), bucket(), crate::MemoryStorage::new());
    let writer = open(&here);
    keyed(&writer, "t");
    (0..300).for_each(|id| put(&writer, id, "text", Durability::Group).unwrap());
    for more in [300, 301] {
        put(&writer, more, "more", Durability::Group).unwrap();
        writer.backup_to(storage(&there), crate::CopyMode::Copy, &mut |_| Ok(())).unwrap();
    }
    restore_storage(&storage(&there), Arc::new(back.clone()), crate::CopyMode::Copy, &mut |_| Ok(()))
        .unwrap();
    assert_eq!(ids(&Engine::open(Arc::new(back), small()).unwrap()).len(), 302);
    let copy = open(&there);
    put(&copy, 500, "in the copy", Durability::Group).unwrap();
    copy.compact().unwrap();
    copy.close().unwrap();
    assert_eq!(ids(&open(&there)).len(), 303);
    assert!(check_storage(&storage(&there), &mut |_| {}).unwrap().problems.is_empty());
}

#[test]
fn calls_come_from_threads_and_from_runtimes() {
    let store = Arc::new(InMemory::new());
    let objects = || Arc::new(CloudObjects::new(Arc::clone(&store) as _, "shop".into(), "memory".into()));
    let engine = Engine::open(over(objects(), Duration::ZERO), small()).unwrap();
    keyed(&engine, "t");
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let engine = &engine;
            scope.spawn(move || {
                (0..25).for_each(|id| put(engine, lane * 100 + id, "x", Durability::Group).unwrap())
            });
        }
    });
    let inside = tokio::runtime::Builder::new_current_thread().build().unwrap();
    inside.block_on(async { put(&engine, 1000, "x", Durability::Group).unwrap() });
    engine.flush().unwrap();
    drop(engine);
    let again = Engine::open(over(objects(), Duration::ZERO), small()).unwrap();
    assert_eq!(ids(&again).len(), 101);
}

#[test]
fn one_process_shares_the_engine_of_an_address() {
    let dir = tempfile::tempdir().unwrap();
    let address = format!("file+object://{}", dir.path().display());
    let first = Engine::open_path(address.as_ref(), small()).unwrap();
    let second = Engine::open_path(format!("{address}/").as_ref(), small()).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(first.path(), address);
    keyed(&first, "t");
    put(&first, 1, "a", Durability::Group).unwrap();
    first.close().unwrap();
    let reader = Engine::open_path(address.as_ref(), Options { read_only: true, ..small() }).unwrap();
    assert_eq!(ids(&reader), [1]);
    let missing = Engine::open_path(format!("{address}/none").as_ref(), Options { create: false, ..small() });
    assert!(matches!(missing, Err(Error::NotFound { .. } | Error::Invalid { .. })), "{missing:?}");
}
