//! What a vacuum gives back, and what it leaves alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::support::{contents, keyed, keys, rows, scan, small, with_options};
use crate::testing::{CallKind, CrashPolicy, Fault, FaultError, SimStorage};
use crate::{Engine, Options, TableDef, TableName, WriteBatch, WriteMode};

fn open(storage: &SimStorage) -> Arc<Engine> {
    Engine::open(Arc::new(storage.clone()), small()).unwrap()
}

fn put(engine: &Engine, table: &Arc<TableDef>, ids: std::ops::Range<i64>, text: &str) {
    let texts: Vec<(i64, String)> = ids.map(|id| (id, format!("{text}-{id:05}"))).collect();
    let pairs: Vec<(i64, &str)> = texts.iter().map(|(id, text)| (*id, text.as_str())).collect();
    let mut batch = WriteBatch::new();
    batch.upsert(table, &rows(&pairs)).unwrap();
    engine.commit(batch).unwrap();
}

fn delete(engine: &Engine, table: &Arc<TableDef>, ids: std::ops::Range<i64>) {
    let mut batch = WriteBatch::new();
    batch.delete_keys(table, &keys(&ids.collect::<Vec<_>>())).unwrap();
    engine.commit(batch).unwrap();
}

/// Files that hold the word, as it is or as base64.
fn traces(storage: &SimStorage) -> BTreeSet<String> {
    let holds = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    let is_trace = |path: &String| {
        let bytes = storage.contents(path).unwrap_or_default();
        holds(&bytes, b"secret") || holds(&bytes, b"c2VjcmV0")
    };
    storage.paths().into_iter().filter(is_trace).collect()
}

fn data_files(storage: &SimStorage) -> BTreeSet<String> {
    let is_data = |path: &String| path.starts_with("sst/") || path.starts_with("del/");
    storage.paths().into_iter().filter(is_data).collect()
}

#[test]
fn deleted_bytes_are_in_no_file() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    let by_text = with_options(&engine, "by_text", vec!["text".into()], &[]);
    for flushed in [true, false] {
        put(&engine, &table, 0..300, "plain");
        put(&engine, &table, 300..600, "secret");
        put(&engine, &by_text, 0..300, "secret");
        if flushed {
            engine.flush().unwrap();
            assert!(traces(&storage).iter().any(|path| path.starts_with("sst/")));
        }
        assert!(traces(&storage).iter().any(|path| path.starts_with("manifest/")) || !flushed);
        delete(&engine, &table, 300..500);
        put(&engine, &table, 500..600, "open");
        let gone: Vec<String> = (0..300).map(|id| format!("secret-{id:05}")).collect();
        let gone: arrow::array::ArrayRef = Arc::new(arrow::array::StringArray::from(gone));
        let mut batch = WriteBatch::new();
        let gone = arrow::array::RecordBatch::try_from_iter([("text", gone)]).unwrap();
        batch.delete_keys(&by_text, &gone).unwrap();
        engine.commit(batch).unwrap();
        assert!(!traces(&storage).is_empty());
        let report = engine.vacuum().unwrap();
        assert!(report.rewritten > 0 || !flushed);
        assert_eq!(report.orphans, 0);
        assert_eq!(traces(&storage), BTreeSet::new());
        let image = storage.crash_image(1, CrashPolicy::WORST);
        assert_eq!(traces(&image), BTreeSet::new());
        for engine in [&engine, &open(&image)] {
            assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 400);
            assert_eq!(contents(&engine.snapshot().unwrap(), "by_text").len(), 0);
        }
    }
}

#[test]
fn a_vacuum_rewrites_what_has_a_hole_and_nothing_else() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    for first in [0, 1000, 2000] {
        put(&engine, &table, first..first + 100, "text");
        engine.flush().unwrap();
    }
    let before = data_files(&storage);
    delete(&engine, &table, 1050..1051);
    assert_eq!(engine.vacuum().unwrap().rewritten, 1);
    assert_eq!(data_files(&storage).intersection(&before).count(), 4);
    assert!(engine.files().iter().all(|file| file.dead_rows == 0));
    assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 299);
    assert_eq!(engine.vacuum().unwrap().rewritten, 0);
}

#[test]
fn a_vacuum_removes_what_nothing_names() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    put(&engine, &table, 0..100, "old");
    engine.flush().unwrap();
    let snapshot = engine.snapshot().unwrap();
    put(&engine, &table, 0..100, "new");
    engine.flush().unwrap();
    storage.inject(Fault::forever(Some(CallKind::Remove), 1, FaultError::EIO));
    drop(snapshot);
    storage.heal();
    let named = |engine: &Engine| engine.files().iter().filter(|file| file.kind == "sst").count();
    assert!(data_files(&storage).len() > 2 * named(&engine));
    let report = engine.vacuum().unwrap();
    assert!(report.orphans > 0, "{report:?}");
    assert_eq!(data_files(&storage).len(), 2 * named(&engine));
    assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 100);
}

#[test]
fn a_vacuum_spares_what_is_read_or_written() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    put(&engine, &table, 0..100, "old");
    engine.flush().unwrap();
    let snapshot = engine.snapshot().unwrap();
    let mut appender = engine.appender(&TableName::public("t"), WriteMode::Upsert).unwrap();
    let text = "x".repeat(1000);
    for id in 1000..1040 {
        appender.write(&rows(&[(id, &text)])).unwrap();
    }
    let written = data_files(&storage);
    assert!(written.len() > 2, "nothing was written ahead");
    delete(&engine, &table, 0..50);
    assert_eq!(engine.vacuum().unwrap().orphans, 0);
    assert!(data_files(&storage).is_superset(&written));
    assert_eq!(scan(&snapshot.table(&TableName::public("t")).unwrap()).len(), 100);
    appender.finish().unwrap();
    drop(snapshot);
    assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 90);
    assert_eq!(
        contents(&open(&storage.crash_image(1, CrashPolicy::WORST)).snapshot().unwrap(), "t").len(),
        90
    );
}

/// The rows of one memtable may all be replaced by the next, flushed with it.
#[test]
fn a_file_that_is_dead_before_it_is_named_leaves_no_trace() {
    let storage = SimStorage::new();
    let options = Options { memtable_bytes: 1, ..small() };
    let engine = Engine::open(Arc::new(storage.clone()), options).unwrap();
    let table = keyed(&engine, "t");
    put(&engine, &table, 0..100, "one");
    put(&engine, &table, 0..100, "two");
    engine.flush().unwrap();
    assert_eq!(data_files(&storage).len(), 2);
    assert_eq!(contents(&engine.snapshot().unwrap(), "t").len(), 100);
}

#[test]
fn a_vacuum_spares_what_past_versions_need() {
    let storage = SimStorage::new();
    let engine = open(&storage);
    let table = keyed(&engine, "t");
    put(&engine, &table, 0..300, "secret");
    let version = engine.create_tag("first").unwrap();
    delete(&engine, &table, 0..200);
    assert!(engine.vacuum().unwrap().rewritten > 0);
    let first = |engine: &Engine| contents(&engine.at(version).unwrap(), "t").len();
    for engine in [&engine, &open(&storage.crash_image(1, CrashPolicy::WORST))] {
        assert_eq!((first(engine), contents(&engine.snapshot().unwrap(), "t").len()), (300, 100));
        assert_eq!(engine.vacuum().unwrap().orphans, 0);
        assert_eq!(first(engine), 300);
    }
    let pinned = engine.at(version).unwrap();
    engine.drop_tag("first").unwrap();
    engine.vacuum().unwrap();
    assert_eq!(contents(&pinned, "t").len(), 300);
    drop(pinned);
    delete(&engine, &table, 200..300);
    engine.vacuum().unwrap();
    assert_eq!(traces(&storage), BTreeSet::new());
}
