//! Compaction among everything else: flushes, dropped tables, closing, crashes.

use std::sync::Arc;

use super::support::{Meanwhile, contents, keyed, keys, rows, small, with_options};
use crate::testing::{CallKind, CrashPolicy, Fault, FaultError, SimStorage};
use crate::{AlterTable, Clock, CompactionStyle, Engine, Error, Options, TableDef, TableName, WriteBatch};

/// One byte a second: a merge that has begun does not end by itself.
fn slow() -> Options {
    Options { compaction_bytes_per_second: 1, ..small() }
}

fn fill(engine: &Engine, name: &str, round: i64) {
    let table = keyed(engine, name);
    let text = "x".repeat(50);
    let pairs: Vec<(i64, &str)> = (0..400).map(|id| (id * 7 % 400 + round, text.as_str())).collect();
    let mut batch = WriteBatch::new();
    batch.upsert(&table, &rows(&pairs)).unwrap();
    engine.commit(batch).unwrap();
    engine.flush().unwrap();
}

/// Runs `meanwhile` while a merge of table `t` is under way, and returns how the merge came out.
fn during_a_merge(engine: &Arc<Engine>, meanwhile: impl FnOnce()) -> crate::Result<()> {
    for round in 0..3 {
        fill(engine, "t", round);
    }
    let merging = std::thread::spawn({
        let engine = Arc::clone(engine);
        move || engine.compact()
    });
    while engine.compactions().iter().all(|job| job.state != "running" || job.bytes_out == 0) {
        std::thread::yield_now();
    }
    meanwhile();
    merging.join().unwrap()
}

fn data_files(storage: &SimStorage) -> usize {
    storage.paths().iter().filter(|path| path.ends_with(".arrow")).count()
}

#[test]
fn a_flush_does_not_wait_for_a_merge() {
    let engine = Engine::open(Arc::new(SimStorage::new()), slow()).unwrap();
    let merged = during_a_merge(&engine, || {
        fill(&engine, "other", 0);
        fill(&engine, "t", 100);
        assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 500);
        engine.cancel_compactions();
    });
    assert!(merged.is_err());
}

#[test]
fn closing_and_dropping_do_not_wait_for_a_merge() {
    let engine = Engine::open(Arc::new(SimStorage::new()), slow()).unwrap();
    assert!(during_a_merge(&engine, || engine.close().unwrap()).is_err());
    let engine = Engine::open(Arc::new(SimStorage::new()), slow()).unwrap();
    let dropped = during_a_merge(&engine, || engine.drop_table(&TableName::public("t")).unwrap());
    assert!(dropped.is_ok(), "{dropped:?}");
    assert_eq!(engine.compactions()[0].state, "cancelled");
}

#[test]
fn dead_job_stays_dead() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), slow()).unwrap();
    let (mut before, mut version) = (0, 0);
    let merged = during_a_merge(&engine, || {
        // The file being written is one too many.
        (before, version) = (data_files(&storage) - 1, engine.version());
        engine.cancel_compactions();
    });
    assert!(matches!(merged, Err(Error::Conflict { .. })), "{merged:?}");
    assert_eq!((data_files(&storage), engine.version()), (before, version));
    assert_eq!(engine.compactions()[0].state, "cancelled");
    assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 402);
    let error = engine.compactions().into_iter().find_map(|job| job.error);
    assert_eq!(error, None);
}

#[test]
fn those_who_ask_for_a_merge_take_turns() {
    let paced = Options { compaction_bytes_per_second: 100_000, ..small() };
    let engine = Engine::open(Arc::new(SimStorage::new()), paced).unwrap();
    let first = during_a_merge(&engine, || {
        fill(&engine, "t", 100);
        std::thread::scope(|scope| {
            let calls = [
                scope.spawn(|| engine.compact()),
                scope.spawn(|| engine.vacuum().map(drop)),
                scope.spawn(|| engine.compact()),
            ];
            calls.into_iter().for_each(|call| call.join().unwrap().unwrap());
        });
    });
    first.unwrap();
    let ended = engine.compactions();
    assert!(ended.iter().all(|job| job.reason != "manual" || job.state == "done"), "{ended:?}");
    let files = engine.files();
    let left = || files.iter().filter(|file| file.kind == "sst");
    assert_eq!(left().map(|file| file.rows).sum::<u64>(), 500);
    assert_eq!(left().map(|file| file.dead_rows).sum::<u64>(), 0);
}

#[test]
fn a_merge_that_nobody_asked_for_gives_way() {
    let engine = Arc::new(Engine::open(Arc::new(SimStorage::new()), slow()).unwrap());
    for round in 0..8 {
        fill(&engine, "t", round);
    }
    let maintaining = std::thread::spawn({
        let engine = Arc::clone(&engine);
        move || engine.maintain()
    });
    while engine.compactions().iter().all(|job| job.state != "running" || job.bytes_out == 0) {
        std::thread::yield_now();
    }
    // It is still to be merged when the other one has gone, and is cancelled in its turn.
    let asked = std::thread::spawn({
        let engine = Arc::clone(&engine);
        move || engine.compact()
    });
    let manual = || engine.compactions().into_iter().find(|job| job.reason == "manual");
    while manual().is_none_or(|job| job.bytes_out == 0) {
        std::thread::yield_now();
    }
    let ended = engine.compactions();
    assert!(ended.iter().any(|job| job.reason != "manual" && job.state == "cancelled"), "{ended:?}");
    assert!(!asked.is_finished());
    engine.cancel_compactions();
    assert!(matches!(asked.join().unwrap(), Err(Error::Conflict { .. })));
    engine.close().unwrap();
    let _ = maintaining.join().unwrap();
}

#[test]
fn gc_spares_unpublished() {
    let storage = SimStorage::new();
    let engine = Engine::open(
        Arc::new(storage.clone()),
        Options { compaction_bytes_per_second: 100_000, file_bytes: 4 << 10, ..small() },
    )
    .unwrap();
    let expected = during_a_merge(&engine, || {
        // Everything that removes files, while files lie there that no manifest names yet.
        for round in 0..3 {
            fill(&engine, "other", round);
        }
        engine.drop_table(&TableName::public("other")).unwrap();
        let reader = Options { read_only: true, ..small() };
        let other = Engine::open(Arc::new(storage.clone()), reader).unwrap();
        assert_eq!(contents(&other.snapshot().unwrap(), "t").len(), 402);
    });
    expected.unwrap();
    assert_eq!(engine.compactions()[0].state, "done");
    assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 402);
}

#[test]
fn a_crash_during_a_merge_leaves_no_trace_of_it() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), slow()).unwrap();
    let mut images = Vec::new();
    let _ = during_a_merge(&engine, || {
        images = vec![storage.kill_image(), storage.crash_image(3, CrashPolicy::RANDOM)];
        engine.cancel_compactions();
    });
    for image in images {
        let engine = Engine::open(Arc::new(image.clone()), small()).unwrap();
        assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 402);
        assert_eq!(data_files(&image), engine.files().iter().filter(|file| file.kind == "sst").count());
        engine.compact().unwrap();
        assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 402);
    }
}

#[test]
fn a_merge_that_fails_gives_its_space_back() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
    for round in 0..3 {
        fill(&engine, "t", round);
    }
    let before = data_files(&storage);
    let mut failures = 0;
    for nth in 1..12 {
        storage.inject(Fault::forever(Some(CallKind::Append), nth, FaultError::ENOSPC));
        let failed = engine.compact();
        storage.heal();
        if failed.is_ok() {
            break;
        }
        assert_eq!(data_files(&storage), before);
        assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 402);
        failures = engine.compactions().iter().filter(|job| job.state == "failed").count();
    }
    assert!(failures > 3, "{failures} merges failed");
}

/// A flush takes a file from its table when the last row of it is gone, also from under a merge.
#[test]
fn a_merge_outlives_an_input_that_loses_all_its_rows() {
    for (mmap, all) in [(true, false), (false, true)] {
        let clock = Arc::new(Meanwhile::default());
        let storage = SimStorage::new();
        let options = Options { clock: Arc::clone(&clock) as Arc<dyn Clock>, mmap, ..small() };
        let engine = Engine::open(Arc::new(storage.clone()), options).unwrap();
        let (table, ids) = (keyed(&engine, "t"), |range: std::ops::Range<i64>| range.collect::<Vec<_>>());
        for from in [0, 100] {
            put(&engine, &table, &ids(from..from + 100));
        }
        clock.doing(&engine, {
            let (table, gone) = (Arc::clone(&table), ids(if all { 0..200 } else { 0..130 }));
            move |engine| {
                delete(engine, &table, &gone[..100]);
                delete(engine, &table, &gone[100..]);
                put(engine, &table, &[7]);
            }
        });
        engine.compact().unwrap();
        assert!(clock.is_done());
        let expected: Vec<i64> = if all { vec![7] } else { [vec![7], ids(130..200)].concat() };
        let found =
            |engine: &Engine| contents(&engine.snapshot().unwrap(), "t").into_keys().collect::<Vec<_>>();
        assert_eq!(found(&engine), expected);
        assert_eq!(engine.compactions()[0].state, "done");
        drop(engine);
        assert_eq!(found(&Engine::open(Arc::new(storage), small()).unwrap()), expected);
    }
}

fn put(engine: &Engine, table: &Arc<TableDef>, ids: &[i64]) {
    let mut batch = WriteBatch::new();
    batch.upsert(table, &rows(&ids.iter().map(|id| (*id, "text")).collect::<Vec<_>>())).unwrap();
    engine.commit(batch).unwrap();
    engine.flush().unwrap();
}

fn delete(engine: &Engine, table: &Arc<TableDef>, ids: &[i64]) {
    let mut batch = WriteBatch::new();
    batch.delete_keys(table, &keys(ids)).unwrap();
    engine.commit(batch).unwrap();
    engine.flush().unwrap();
}

#[test]
fn deleted_bytes_leave_the_disk() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
    let table = keyed(&engine, "t");
    fill(&engine, "t", 0);
    let mut batch = WriteBatch::new();
    batch.delete_keys(&table, &keys(&(0..300).collect::<Vec<i64>>())).unwrap();
    engine.commit(batch).unwrap();
    engine.flush().unwrap();
    let bytes = |engine: &Engine| engine.files().iter().map(|file| file.bytes).sum::<u64>();
    let before = bytes(&engine);
    while engine.maintain().unwrap() {}
    assert!(bytes(&engine) < before / 2, "{} of {before} bytes", bytes(&engine));
    assert!(engine.files().iter().all(|file| file.dead_rows == 0));
}

#[test]
fn every_strategy_keeps_the_rows() {
    for (style, name) in [
        (CompactionStyle::Leveled, "leveled"),
        (CompactionStyle::Tiered, "tiered"),
        (CompactionStyle::Fifo, "fifo"),
    ] {
        let storage = SimStorage::new();
        let open = || Engine::open(Arc::new(storage.clone()), small()).unwrap();
        let engine = open();
        let table = with_options(&engine, "t", vec!["id".into()], &[("compaction", name)]);
        assert_eq!(table.options.compaction, style);
        for round in 0..12 {
            fill(&engine, "t", round * 40);
            while engine.maintain().unwrap() {}
        }
        assert!(engine.compactions().iter().any(|job| job.state == "done"), "{name}");
        assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 840, "{name}");
        engine.close().unwrap();
        let engine = open();
        let def = Arc::clone(engine.snapshot().unwrap().table(&TableName::public("t")).unwrap().def());
        assert_eq!(def.options.compaction, style);
        assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 840, "{name}");
    }
}

#[test]
fn options_are_checked_and_changed() {
    let engine = Engine::in_memory(small()).unwrap();
    keyed(&engine, "t");
    let set = |pairs: &[(&str, &str)]| {
        let options = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        engine.alter_table(&TableName::public("t"), &AlterTable::SetOptions { options })
    };
    assert_eq!(set(&[("compaction", "fifo")]).unwrap().options.compaction, CompactionStyle::Fifo);
    for (pairs, part) in [
        (vec![("compaction", "best")], "leveled, tiered, fifo"),
        (vec![("ttl", "7 days")], "ttl_column"),
        (vec![("ttl", "7 days"), ("ttl_column", "text")], "timestamps or dates"),
        (vec![("ttl", "7 days"), ("ttl_column", "nowhere")], "does not exist"),
        (vec![("ttl_column", "id")], "type"),
        (vec![("colour", "red")], "compaction, ttl and ttl_column"),
    ] {
        let error = set(&pairs).unwrap_err().to_string();
        assert!(error.contains(part), "{pairs:?}: {error}");
    }
    assert_eq!(set(&[]).unwrap().options.compaction, CompactionStyle::Fifo);
}
