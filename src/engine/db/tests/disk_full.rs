//! A disk that fills up: nothing acknowledged is lost, reads go on, and so do writes when there is space again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::support::{contents, keyed, rows, small};
use crate::testing::{CallKind, CrashPolicy, Fault, FaultError, SimStorage};
use crate::{Durability, Engine, Error, Options, TableName, WriteBatch, WriteMode};

/// A disk that gives no room ahead: with it, a record is sure of its space.
fn without_room() -> SimStorage {
    let storage = SimStorage::new();
    heal(&storage);
    storage
}

fn heal(storage: &SimStorage) {
    storage.heal();
    storage.inject(full(CallKind::Reserve, 1, FaultError::ENOSPC));
}

fn put(engine: &Engine, id: i64, level: Durability) -> crate::Result<()> {
    let there = engine.snapshot()?.table(&TableName::public("t"));
    let table = there.map_or_else(|_| keyed(engine, "t"), |view| Arc::clone(view.def()));
    let mut batch = WriteBatch::new();
    batch.upsert(&table, &rows(&[(id, "text")]))?;
    batch.durability(level);
    engine.commit(batch).map(drop)
}

fn ids(engine: &Engine) -> Vec<i64> {
    contents(&engine.snapshot().unwrap(), "t").into_keys().collect()
}

fn full(kind: CallKind, nth: u64, error: FaultError) -> Fault {
    Fault::forever(Some(kind), nth, error)
}

#[test]
fn writes_resume_without_reopening() {
    for (level, error) in [
        (Durability::Group, FaultError::ENOSPC),
        (Durability::Strict, FaultError::EDQUOT),
        (Durability::Buffered, FaultError::ENOSPC),
    ] {
        for partly in [false, true] {
            let storage = without_room();
            let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
            put(&engine, 1, level).unwrap();
            let fault = full(CallKind::Append, 1, error);
            storage.inject(if partly { fault.partly() } else { fault });
            for _ in 0..3 {
                let refused = put(&engine, 2, level).unwrap_err();
                assert!(refused.is_out_of_space(), "{refused}");
                assert_eq!(ids(&engine), [1]);
            }
            heal(&storage);
            put(&engine, 3, level).unwrap();
            assert_eq!(ids(&engine), [1, 3]);
            for image in [storage.kill_image(), storage.crash_image(7, CrashPolicy::BEST)] {
                let engine = Engine::open(Arc::new(image), small()).unwrap();
                assert_eq!(ids(&engine), [1, 3]);
                put(&engine, 4, level).unwrap();
            }
            engine.flush().unwrap();
            engine.close().unwrap();
            let engine = Engine::open(Arc::new(storage), small()).unwrap();
            assert_eq!(ids(&engine), [1, 3]);
        }
    }
}

#[test]
fn no_log_goes_that_the_memtables_still_need() {
    let storage = without_room();
    let engine =
        Engine::open(Arc::new(storage.clone()), Options { memtable_bytes: 2000, ..small() }).unwrap();
    let mut expected = BTreeMap::new();
    let mut refused = 0;
    for id in 0..200 {
        if id % 7 == 3 {
            storage.inject(full(CallKind::Append, 1, FaultError::ENOSPC));
        }
        match put(&engine, id, Durability::Group) {
            Ok(()) => drop(expected.insert(id, "text".to_owned())),
            Err(error) => {
                assert!(error.is_out_of_space(), "{error}");
                refused += 1;
            }
        }
        heal(&storage);
        if id % 5 == 0 {
            engine.maintain().unwrap();
        }
        let image = storage.crash_image(id as u64, CrashPolicy::WORST);
        let after = Engine::open(Arc::new(image), small()).unwrap();
        assert_eq!(contents(&after.snapshot().unwrap(), "t"), expected, "after {id}");
    }
    assert!(refused > 20, "{refused} refused");
}

#[test]
fn a_log_that_finds_no_space_to_begin_is_begun_later() {
    for (kind, nth) in [(CallKind::Create, 1), (CallKind::Append, 1), (CallKind::Rename, 1)] {
        let storage = without_room();
        let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
        put(&engine, 1, Durability::Group).unwrap();
        engine.flush().unwrap();
        storage.inject(full(kind, nth, FaultError::ENOSPC));
        assert!(put(&engine, 2, Durability::Group).unwrap_err().is_out_of_space());
        heal(&storage);
        put(&engine, 3, Durability::Group).unwrap();
        assert_eq!(ids(&engine), [1, 3]);
        let engine = Engine::open(Arc::new(storage.crash_image(1, CrashPolicy::WORST)), small()).unwrap();
        assert_eq!(ids(&engine), [1, 3]);
    }
}

#[test]
fn a_failed_sync_still_ends_writing() {
    let storage = without_room();
    let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
    put(&engine, 1, Durability::Group).unwrap();
    storage.inject(Fault::once(Some(CallKind::Sync), 1, FaultError::ENOSPC));
    assert!(put(&engine, 2, Durability::Group).is_err());
    assert!(matches!(put(&engine, 3, Durability::Group), Err(Error::Closed(_))));
}

#[test]
fn what_a_failed_flush_or_append_wrote_is_removed() {
    let storage = without_room();
    let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
    put(&engine, 1, Durability::Group).unwrap();
    engine.flush().unwrap();
    put(&engine, 1, Durability::Group).unwrap();
    let data = || {
        let is_data = |path: &&String| path.starts_with("sst/") || path.starts_with("del/");
        storage.paths().iter().filter(is_data).count()
    };
    let before = data();
    for nth in 1..20 {
        storage.inject(full(CallKind::Append, nth, FaultError::ENOSPC));
        let flushed = engine.flush();
        if flushed.is_ok() {
            assert!(nth > 2, "nothing failed");
            break;
        }
        assert_eq!((data(), ids(&engine)), (before, vec![1]));
        heal(&storage);
    }
    heal(&storage);
    let before = data();
    let text = "x".repeat(1000);
    let mut appender = engine.appender(&TableName::public("t"), WriteMode::Upsert).unwrap();
    for id in 0..40 {
        appender.write(&rows(&[(id, &text)])).unwrap();
    }
    assert!(data() > before);
    drop(appender);
    assert_eq!(data(), before);
}

#[test]
fn a_writer_far_ahead_of_the_flushes_flushes_itself() {
    let storage = without_room();
    let engine = Engine::open(Arc::new(storage.clone()), Options { memtable_bytes: 1, ..small() }).unwrap();
    for id in 0..20 {
        put(&engine, id, Durability::Group).unwrap();
        let frozen = engine.files().iter().filter(|file| file.kind == "memtable").count();
        assert!(frozen <= 4, "{frozen} memtables");
    }
    // When the flush finds no space, the writer hears of it, and nothing is written.
    let calls = |storage: &SimStorage| storage.faults_fired();
    storage.inject(full(CallKind::Create, 1, FaultError::ENOSPC));
    let refused = (20..30).find_map(|id| put(&engine, id, Durability::Group).err());
    assert!(refused.is_some_and(|error| error.is_out_of_space()) && calls(&storage) > 0);
    let known = ids(&engine);
    heal(&storage);
    put(&engine, 100, Durability::Group).unwrap();
    assert_eq!(ids(&engine).len(), known.len() + 1);
}
