//! Databases on an object store: two writers, readers that follow, few objects, and what `buffered` means there.

use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;

use super::support::{contents, keyed, rows, small};
use crate::io::object::{CloudObjects, Objects, Patience};
use crate::io::{ObjectStorage, ObjectTuning};
use crate::testing::{Bucket, BucketFaults};
use crate::{
    Durability, EncryptionKey, Engine, Error, ErrorKind, Options, Result, Storage, TableName, WriteBatch,
    check_storage, restore_storage,
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

fn secret(byte: u8) -> EncryptionKey {
    EncryptionKey::from_bytes(&[byte; 32]).unwrap()
}

fn with_key(byte: u8) -> Options {
    Options { encryption_key: Some(secret(byte)), ..small() }
}

fn sealed(bucket: &Bucket, byte: u8) -> Result<Arc<Engine>> {
    Engine::open(storage(bucket), with_key(byte))
}

/// Rows survive a flush, a log and a change of keys, no object shows them, and each key opens what it should.
#[test]
fn an_encrypted_database_on_a_store_changes_its_key() {
    let bucket = bucket();
    let writer = sealed(&bucket, 1).unwrap();
    keyed(&writer, "t");
    (0..100).for_each(|id| put(&writer, id, "the plaintext marker", Durability::Group).unwrap());
    writer.flush().unwrap();
    put(&writer, 100, "the plaintext marker", Durability::Group).unwrap();
    let follower = Engine::open(storage(&bucket), Options { read_only: true, ..with_key(1) }).unwrap();
    assert_eq!(ids(&follower).len(), 101);
    writer.rotate_key(&secret(2)).unwrap();
    put(&writer, 101, "the plaintext marker", Durability::Strict).unwrap();
    writer.vacuum().unwrap();
    put(&writer, 102, "the plaintext marker", Durability::Group).unwrap();
    writer.close().unwrap();
    for wrong in [small(), with_key(1)] {
        let refused = Engine::open(storage(&bucket), wrong).unwrap_err();
        assert!(matches!(refused, Error::Key { .. }), "{refused}");
    }
    let again = sealed(&bucket, 2).unwrap();
    assert_eq!(ids(&again), (0..103).collect::<Vec<_>>());
    again.close().unwrap();
    for name in bucket.names() {
        let bytes = bucket.contents(&name).unwrap();
        let shows = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
        assert!(!shows(b"the plaintext marker") && !shows(b"ARROW1") && !shows(&[2; 32]), "{name}");
    }
    let unlocked = crate::io::unlock(storage(&bucket), Some(&secret(2))).unwrap();
    assert_eq!(check_storage(&unlocked, &mut |_| {}).unwrap().problems, Vec::<String>::new());
}

/// Whoever takes over an encrypted database ends its writer, which changes neither rows nor keys after that.
#[test]
fn an_encrypted_database_on_a_store_is_taken_over() {
    let bucket = bucket();
    let zombie = sealed(&bucket, 1).unwrap();
    keyed(&zombie, "t");
    put(&zombie, 1, "old", Durability::Group).unwrap();
    let writer = sealed(&bucket, 1).unwrap();
    taken_over(put(&zombie, 2, "lost", Durability::Group));
    assert!(zombie.rotate_key(&secret(3)).is_err());
    put(&writer, 3, "new", Durability::Group).unwrap();
    writer.rotate_key(&secret(2)).unwrap();
    put(&writer, 4, "newer", Durability::Group).unwrap();
    drop((zombie, writer));
    assert!(matches!(sealed(&bucket, 1), Err(Error::Key { .. })));
    assert_eq!(ids(&sealed(&bucket, 2).unwrap()), [1, 3, 4]);
}

/// A writer that is stopped while it commits as fast as it can: what it was told of is there, and what came after the
/// taker opened is not.
#[test]
fn a_taker_ends_a_busy_writer_and_finds_all_that_was_acknowledged() {
    for encrypted in [false, true] {
        let bucket = bucket();
        let open = || if encrypted { sealed(&bucket, 1).unwrap() } else { open(&bucket) };
        let mut writer = open();
        keyed(&writer, "t");
        let mut acknowledged = Vec::new();
        for round in 0..12 {
            let next = std::thread::scope(|scope| {
                let lanes: Vec<_> = (0..3)
                    .map(|lane| {
                        let writer = &writer;
                        scope.spawn(move || busy(writer, 1_000_000 * round + 100_000 * lane))
                    })
                    .collect();
                std::thread::sleep(Duration::from_millis(3 + round as u64 % 4));
                let next = open();
                let seen = ids(&next);
                for told in lanes.into_iter().map(|lane| lane.join().unwrap()) {
                    assert!(
                        told.iter().all(|id| seen.contains(id)),
                        "a commit is gone that was acknowledged"
                    );
                    acknowledged.extend(told);
                }
                assert_eq!(ids(&next), seen, "nothing comes after the taker has opened");
                next
            });
            writer = next;
        }
        writer.close().unwrap();
        let last = ids(&open());
        assert!(acknowledged.iter().all(|id| last.contains(id)));
        assert!(acknowledged.len() > 12, "{} commits", acknowledged.len());
    }
}

/// Commits until it is taken over from, and returns the ids that were acknowledged.
fn busy(writer: &Engine, first: i64) -> Vec<i64> {
    let mut told = Vec::new();
    for id in first.. {
        match put(writer, id, "text", if id % 3 == 0 { Durability::Strict } else { Durability::Group }) {
            Ok(()) => told.push(id),
            Err(error) => {
                let ended = matches!(error, Error::TakenOver { .. } | Error::Closed(_));
                assert!(ended, "{error}");
                break;
            }
        }
        if id % 40 == 39 {
            let _ = writer.flush();
        }
    }
    told
}
