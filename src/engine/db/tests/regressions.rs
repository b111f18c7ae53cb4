//! Bugs that the harnesses found, each as the shortest case that shows it. A test here is never removed.

use std::sync::Arc;

use super::support::{contents, key, keyed, keys, rows, small};
use crate::testing::{CallKind, CrashPolicy, Fault, FaultError, SimStorage};
use crate::{Durability, Engine, Error, MemoryStorage, Options, TableName, WriteBatch, WriteMode};

fn map(pairs: &[(i64, &str)]) -> std::collections::BTreeMap<i64, String> {
    pairs.iter().map(|(id, text)| (*id, (*text).to_owned())).collect()
}

/// Every append becomes files at once.
fn direct() -> Options {
    Options { direct_append_bytes: 1, ..small() }
}

fn upsert(engine: &Engine, pairs: &[(i64, &str)]) {
    let mut batch = WriteBatch::new();
    batch.upsert(&keyed(engine, "t"), &rows(pairs)).unwrap();
    engine.commit(batch).unwrap();
}

fn delete(engine: &Engine, ids: &[i64]) {
    let mut batch = WriteBatch::new();
    batch.delete_keys(&keyed(engine, "t"), &keys(ids)).unwrap();
    engine.commit(batch).unwrap();
}

fn append(engine: &Engine, mode: WriteMode, pairs: &[(i64, &str)]) -> crate::Result<u64> {
    let mut appender = engine.appender(&TableName::public("t"), mode)?;
    appender.write(&rows(pairs))?;
    appender.finish()
}

#[test]
fn operations_of_one_batch_see_each_other() {
    let engine = Engine::in_memory(small()).unwrap();
    let table = keyed(&engine, "t");
    upsert(&engine, &[(1, "a")]);
    for flush in [false, true] {
        if flush {
            engine.flush().unwrap();
        }
        let mut batch = WriteBatch::new();
        batch.delete_keys(&table, &keys(&[1])).unwrap();
        batch.insert(&table, &rows(&[(1, "b")])).unwrap();
        engine.commit(batch).unwrap();
        assert_eq!(contents(&engine.snapshot().unwrap(), "t"), map(&[(1, "b")]));
    }
    let mut batch = WriteBatch::new();
    batch.insert(&table, &rows(&[(2, "a")])).unwrap();
    batch.insert(&table, &rows(&[(2, "b")])).unwrap();
    assert!(matches!(engine.commit(batch), Err(Error::AlreadyExists { .. })));
    assert_eq!(contents(&engine.snapshot().unwrap(), "t"), map(&[(1, "b")]));
}

#[test]
fn a_row_is_found_while_it_is_being_replaced() {
    let engine = Engine::in_memory(small()).unwrap();
    upsert(&engine, &[(1, "x")]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = || {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let view = engine.snapshot().unwrap().table(&TableName::public("t")).unwrap();
                let found = || view.get(&key(1), None).unwrap().map(|row| row.column(1).to_data());
                let first = found();
                assert!(first.is_some() && first == found());
            }
        };
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(reader)).collect();
        let many: Vec<(i64, String)> = (0..40).map(|id| (id % 3, format!("v{id}"))).collect();
        for round in 0..200 {
            let pairs: Vec<(i64, &str)> =
                many.iter().skip(round % 7).map(|(id, text)| (*id, &**text)).collect();
            upsert(&engine, &pairs);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn deleting_nothing_does_nothing() {
    let engine = Engine::in_memory(small()).unwrap();
    for _ in 0..20 {
        delete(&engine, &[]);
        upsert(&engine, &[]);
    }
    assert!(contents(&engine.snapshot().unwrap(), "t").is_empty());
}

#[test]
fn a_bulk_upsert_replaces_rows_that_wait_for_their_flush() {
    let storage = Arc::new(MemoryStorage::new());
    let engine = Engine::open(storage, Options { memtable_bytes: 1, ..direct() }).unwrap();
    upsert(&engine, &[(1, "frozen"), (2, "frozen")]);
    append(&engine, WriteMode::Upsert, &[(1, "bulk")]).unwrap();
    assert_eq!(contents(&engine.snapshot().unwrap(), "t"), map(&[(1, "bulk"), (2, "frozen")]));
}

#[test]
fn a_flush_after_a_bulk_upsert_leaves_out_what_it_replaced() {
    let storage = SimStorage::new();
    let open = || Engine::open(Arc::new(storage.clone()), Options { memtable_bytes: 1, ..direct() }).unwrap();
    let engine = open();
    upsert(&engine, &[(1, "frozen"), (2, "frozen")]);
    append(&engine, WriteMode::Upsert, &[(1, "bulk")]).unwrap();
    engine.maintain().unwrap();
    engine.close().unwrap();
    let engine = open();
    assert_eq!(contents(&engine.snapshot().unwrap(), "t"), map(&[(1, "bulk"), (2, "frozen")]));
}

#[test]
fn a_bulk_insert_takes_keys_whose_deletion_is_not_flushed() {
    let engine = Engine::in_memory(direct()).unwrap();
    upsert(&engine, &[(1, "old"), (2, "old")]);
    engine.flush().unwrap();
    delete(&engine, &[1]);
    append(&engine, WriteMode::Insert, &[(1, "new")]).unwrap();
    assert!(matches!(append(&engine, WriteMode::Insert, &[(2, "new")]), Err(Error::AlreadyExists { .. })));
    assert_eq!(contents(&engine.snapshot().unwrap(), "t"), map(&[(1, "new"), (2, "old")]));
    let row = engine.snapshot().unwrap().table(&TableName::public("t")).unwrap().get(&key(1), None).unwrap();
    assert_eq!(row.unwrap().num_rows(), 1);
}

#[test]
fn a_snapshot_outlives_its_dropped_table() {
    let storage = SimStorage::new();
    let open = || Engine::open(Arc::new(storage.clone()), small()).unwrap();
    let engine = open();
    upsert(&engine, &[(1, "a"), (2, "b")]);
    engine.flush().unwrap();
    delete(&engine, &[1]);
    engine.flush().unwrap();
    engine.close().unwrap();
    let engine = open();
    let snapshot = engine.snapshot().unwrap();
    engine.drop_table(&TableName::public("t")).unwrap();
    engine.create_schema("other", false).unwrap();
    assert_eq!(contents(&snapshot, "t"), map(&[(2, "b")]));
}

#[test]
fn a_durable_step_takes_earlier_buffered_commits_with_it() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), direct()).unwrap();
    let table = keyed(&engine, "t");
    let buffered = |id| {
        let mut batch = WriteBatch::new();
        batch.upsert(&table, &rows(&[(id, "buffered")])).unwrap();
        batch.durability(Durability::Buffered);
        engine.commit(batch).unwrap();
    };
    buffered(1);
    append(&engine, WriteMode::Upsert, &[(2, "bulk")]).unwrap();
    let after = || Arc::new(storage.crash_image(1, CrashPolicy::WORST));
    let found = Engine::open(after(), small()).unwrap();
    assert_eq!(contents(&found.snapshot().unwrap(), "t"), map(&[(1, "buffered"), (2, "bulk")]));
    buffered(3);
    keyed(&engine, "another");
    let found = Engine::open(after(), small()).unwrap();
    assert_eq!(contents(&found.snapshot().unwrap(), "t").len(), 3);
}

#[test]
fn a_manifest_is_durable_before_its_predecessor_is_forgotten() {
    for nth in 1..12 {
        let storage = SimStorage::new();
        let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
        upsert(&engine, &[(1, "a")]);
        engine.flush().unwrap();
        upsert(&engine, &[(1, "b"), (2, "b")]);
        storage.inject(Fault::once(Some(CallKind::SyncDir), nth, FaultError::EIO));
        let _ = engine.flush();
        // The process dies; the next one sees a CURRENT that a power cut may still take back.
        let after_kill = storage.kill_image();
        let engine = Engine::open(Arc::new(after_kill.clone()), small()).unwrap();
        let seen = contents(&engine.snapshot().unwrap(), "t");
        let after_cut = after_kill.crash_image(nth, CrashPolicy::WORST);
        let engine = Engine::open(Arc::new(after_cut), small()).unwrap();
        assert_eq!(contents(&engine.snapshot().unwrap(), "t"), seen, "sync {nth}");
    }
}

#[test]
fn closing_after_a_failed_write_is_an_error() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), Options { memtable_bytes: 1, ..small() }).unwrap();
    let table = keyed(&engine, "t");
    storage.inject(Fault::once(Some(CallKind::Append), 1, FaultError::ENOSPC));
    let mut batch = WriteBatch::new();
    batch.upsert(&table, &rows(&[(1, "held in memory")])).unwrap();
    batch.durability(Durability::None);
    engine.commit(batch).unwrap();
    assert!(engine.close().is_err());
    engine.close().unwrap();
}

#[test]
fn a_missing_log_is_noticed_wherever_it_stood() {
    let mut storage = SimStorage::new();
    for life in 0..3 {
        let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
        for id in 0..3 {
            upsert(&engine, &[(10 * life + id, "a")]);
        }
        if life < 2 {
            storage = storage.kill_image();
        }
    }
    let logs: Vec<String> = storage.paths().into_iter().filter(|path| path.starts_with("wal/")).collect();
    assert!(logs.len() > 1);
    for log in logs {
        let storage = storage.kill_image();
        crate::Storage::remove(&storage, &log).unwrap();
        let error = Engine::open(Arc::new(storage), small()).unwrap_err();
        assert!(error.to_string().contains(&log), "without {log}: {error}");
    }
}

#[test]
fn a_database_without_current_is_damaged_and_not_absent() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
    upsert(&engine, &[(1, "a")]);
    engine.close().unwrap();
    crate::Storage::remove(&storage, "CURRENT").unwrap();
    for (read_only, create) in [(true, false), (false, false), (false, true)] {
        let options = Options { read_only, create, ..small() };
        let error = Engine::open(Arc::new(storage.clone()), options).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
}

#[test]
fn a_file_cut_short_under_an_open_database_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open_path(dir.path(), small()).unwrap();
    let many: Vec<(i64, &str)> = (0..200).map(|id| (id, "text")).collect();
    upsert(&engine, &many);
    engine.flush().unwrap();
    let snapshot = engine.snapshot().unwrap();
    assert_eq!(contents(&snapshot, "t").len(), 200);
    let view = snapshot.table(&TableName::public("t")).unwrap();
    let parts = view.parts().unwrap();
    for entry in std::fs::read_dir(dir.path().join("sst")).unwrap() {
        let file = std::fs::OpenOptions::new().write(true).open(entry.unwrap().path()).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    }
    assert!(matches!(parts[0].read(0, &[0, 1], false), Err(Error::Corrupt { .. })));
    assert!(matches!(view.get(&key(7), None), Err(Error::Corrupt { .. })));
    assert!(matches!(view.parts(), Err(Error::Corrupt { .. })));
}

#[test]
fn a_snapshot_keeps_the_deletions_of_a_table_that_is_dropped() {
    let disk = SimStorage::new();
    let engine = Engine::open(Arc::new(disk.clone()), small()).unwrap();
    keyed(&engine, "t");
    upsert(&engine, &[(1, "a"), (2, "b"), (3, "c")]);
    engine.flush().unwrap();
    delete(&engine, &[1]);
    engine.flush().unwrap();
    engine.close().unwrap();
    let engine = Engine::open(Arc::new(disk), small()).unwrap();
    let snapshot = engine.snapshot().unwrap();
    engine.drop_table(&TableName::public("t")).unwrap();
    assert_eq!(contents(&snapshot, "t"), map(&[(2, "b"), (3, "c")]));
}

/// A commit that was let in before a close, and wrote after it, began a log under the name that the next engine had given to
/// its own; an append removed files of the next engine's numbers. Found by h11.
#[cfg(debug_assertions)]
#[test]
fn a_close_beside_writers_leaves_the_files_to_who_opens_next() {
    for seed in 0..300 {
        let ended = crate::testing::run_schedule(seed, None, close_beside_writers);
        assert!(ended.is_ok(), "seed {seed}: {ended:?}");
    }
}

#[cfg(debug_assertions)]
fn close_beside_writers() {
    use crate::common::sync;
    let disk = SimStorage::new();
    let open = || Engine::open(Arc::new(disk.clone()), direct()).unwrap();
    let first = open();
    upsert(&first, &[(1, "before")]);
    let told = Arc::new(parking_lot::Mutex::new(vec![1]));
    let is_told = |outcome: crate::Result<u64>, id: i64, told: &parking_lot::Mutex<Vec<i64>>| match outcome {
        Ok(_) => told.lock().push(id),
        Err(error) => assert!(matches!(error, Error::Closed(_)), "{error}"),
    };
    let (engine, acked) = (Arc::clone(&first), Arc::clone(&told));
    let committer = sync::spawn("committer", move || {
        let mut batch = WriteBatch::new();
        let table =
            engine.snapshot().map(|now| Arc::clone(now.table(&TableName::public("t")).unwrap().def()));
        let Ok(table) = table else { return };
        batch.upsert(&table, &rows(&[(2, "beside")])).unwrap();
        is_told(engine.commit(batch).map(|seq| seq.0), 2, &acked);
    });
    let (engine, acked) = (Arc::clone(&first), Arc::clone(&told));
    let appender = sync::spawn("appender", move || {
        is_told(append(&engine, WriteMode::Upsert, &[(3, "beside"), (4, "beside")]), 3, &acked);
        let _ = engine.compact();
    });
    first.close().unwrap();
    let second = open();
    append(&second, WriteMode::Upsert, &[(5, "after")]).unwrap();
    upsert(&second, &[(6, "after")]);
    [committer, appender].into_iter().for_each(|thread| thread.unwrap().join());
    second.close().unwrap();
    let found = contents(&open().snapshot().unwrap(), "t");
    let told = told.lock();
    assert!(told.iter().chain(&[5, 6]).all(|id| found.contains_key(id)), "{told:?} were told, {found:?}");
}
