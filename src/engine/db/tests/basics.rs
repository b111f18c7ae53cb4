//! Commits, reads and reopening, one behaviour a test.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::support::{contents, key, keyed, keyless, keys, row_ids, rows, small};
use crate::{AlterTable, Engine, Error, MemoryStorage, TableName, WriteBatch, WriteMode};

fn open() -> Arc<Engine> {
    Engine::in_memory(small()).unwrap()
}

fn map(pairs: &[(i64, &str)]) -> BTreeMap<i64, String> {
    pairs.iter().map(|(id, text)| (*id, (*text).to_owned())).collect()
}

fn upsert(engine: &Engine, name: &str, pairs: &[(i64, &str)]) {
    let table = keyed(engine, name);
    let mut batch = WriteBatch::new();
    batch.upsert(&table, &rows(pairs)).unwrap();
    engine.commit(batch).unwrap();
}

#[test]
fn an_upsert_replaces_and_a_snapshot_keeps() {
    let engine = open();
    upsert(&engine, "t", &[(1, "a"), (2, "b")]);
    let before = engine.snapshot().unwrap();
    upsert(&engine, "t", &[(2, "c"), (3, "d")]);
    for flushed in [false, true] {
        if flushed {
            engine.flush().unwrap();
        }
        assert_eq!(contents(&before, "t"), map(&[(1, "a"), (2, "b")]));
        assert_eq!(contents(&engine.snapshot().unwrap(), "t"), map(&[(1, "a"), (2, "c"), (3, "d")]));
    }
    upsert(&engine, "t", &[(1, "e")]);
    engine.flush().unwrap();
    engine.compact().unwrap();
    assert_eq!(contents(&before, "t"), map(&[(1, "a"), (2, "b")]));
    assert_eq!(contents(&engine.snapshot().unwrap(), "t"), map(&[(1, "e"), (2, "c"), (3, "d")]));
}

#[test]
fn an_insert_of_a_known_key_is_refused_wherever_the_key_is() {
    let engine = open();
    let table = keyed(&engine, "t");
    for flushed in [false, true] {
        upsert(&engine, "t", &[(1, "a")]);
        if flushed {
            engine.flush().unwrap();
        }
        let mut batch = WriteBatch::new();
        batch.insert(&table, &rows(&[(1, "b"), (2, "b")])).unwrap();
        let error = engine.commit(batch).unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
        assert_eq!(contents(&engine.snapshot().unwrap(), "t"), map(&[(1, "a")]));
    }
}

#[test]
fn a_deleted_key_can_be_inserted_again() {
    let engine = open();
    let table = keyed(&engine, "t");
    for flush in [false, true] {
        upsert(&engine, "t", &[(1, "a")]);
        if flush {
            engine.flush().unwrap();
        }
        let mut batch = WriteBatch::new();
        batch.delete_keys(&table, &keys(&[1])).unwrap();
        engine.commit(batch).unwrap();
        assert_eq!(contents(&engine.snapshot().unwrap(), "t"), map(&[]));
        let mut batch = WriteBatch::new();
        batch.insert(&table, &rows(&[(1, "b")])).unwrap();
        engine.commit(batch).unwrap();
        assert_eq!(contents(&engine.snapshot().unwrap(), "t"), map(&[(1, "b")]));
        let row =
            engine.snapshot().unwrap().table(&TableName::public("t")).unwrap().get(&key(1), None).unwrap();
        assert_eq!(row.unwrap().columns(), rows(&[(1, "b")]).columns());
    }
}

#[test]
fn keyless_rows_are_deleted_by_row_id() {
    let engine = open();
    let table = keyless(&engine, "t");
    for round in 0..3 {
        let mut batch = WriteBatch::new();
        batch.insert(&table, &rows(&[(round * 2, "x"), (round * 2 + 1, "y")])).unwrap();
        engine.commit(batch).unwrap();
        if round == 1 {
            engine.flush().unwrap();
        }
    }
    for id in [1, 4] {
        let mut batch = WriteBatch::new();
        batch.delete_row_ids(&table, &row_ids(&engine.snapshot().unwrap(), "t", id)).unwrap();
        engine.commit(batch).unwrap();
    }
    let expected = map(&[(0, "x"), (2, "x"), (3, "y"), (5, "y")]);
    assert_eq!(contents(&engine.snapshot().unwrap(), "t"), expected);
    engine.compact().unwrap();
    assert_eq!(contents(&engine.snapshot().unwrap(), "t"), expected);
}

#[test]
fn a_stale_writer_gets_a_conflict() {
    let engine = open();
    let table = keyed(&engine, "t");
    upsert(&engine, "t", &[(1, "a"), (2, "a")]);
    for flush in [false, true] {
        let snapshot = engine.snapshot().unwrap();
        upsert(&engine, "t", &[(1, "b")]);
        if flush {
            engine.flush().unwrap();
        }
        let mut batch = WriteBatch::new();
        batch.based_on(&snapshot);
        batch.upsert(&table, &rows(&[(1, "c")])).unwrap();
        assert!(matches!(engine.commit(batch), Err(Error::Conflict { .. })));
        let mut batch = WriteBatch::new();
        batch.based_on(&engine.snapshot().unwrap());
        batch.upsert(&table, &rows(&[(1, "c"), (2, "c")])).unwrap();
        engine.commit(batch).unwrap();
    }
}

#[test]
fn a_bulk_upsert_replaces_rows_in_memtable_and_files() {
    let engine = open();
    keyed(&engine, "t");
    upsert(&engine, "t", &[(1, "file"), (2, "file")]);
    engine.flush().unwrap();
    upsert(&engine, "t", &[(2, "mem"), (3, "mem")]);
    let before = engine.snapshot().unwrap();
    let mut appender = engine.appender(&TableName::public("t"), WriteMode::Upsert).unwrap();
    for start in (0..2000).step_by(100) {
        let batch: Vec<(i64, &str)> = (start..start + 100).map(|id| (id, "bulk")).collect();
        appender.write(&rows(&batch)).unwrap();
    }
    assert_eq!(appender.finish().unwrap(), 2000);
    assert_eq!(contents(&before, "t"), map(&[(1, "file"), (2, "mem"), (3, "mem")]));
    let expected: BTreeMap<i64, String> = (0..2000).map(|id| (id, "bulk".to_owned())).collect();
    assert_eq!(contents(&engine.snapshot().unwrap(), "t"), expected);
    upsert(&engine, "t", &[(3, "later")]);
    engine.flush().unwrap();
    let now = contents(&engine.snapshot().unwrap(), "t");
    assert_eq!((now.len(), now[&3].as_str(), now[&2].as_str()), (2000, "later", "bulk"));
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Engine::open_path(dir.path(), small()).unwrap();
    let mut expected = BTreeMap::new();
    for round in 0..12i64 {
        let engine = open();
        assert_eq!(engine.snapshot().unwrap().tables().len(), usize::from(round > 0));
        let table = keyed(&engine, "t");
        assert_eq!(contents(&engine.snapshot().unwrap(), "t"), expected, "round {round}");
        let text = round.to_string();
        upsert(&engine, "t", &[(round, &text), (0, &text)]);
        expected.extend([(round, text.clone()), (0, text)]);
        if round % 5 == 3 {
            engine.flush().unwrap();
        }
        if round % 3 == 0 {
            engine.close().unwrap();
        }
        drop(table);
    }
    let report = crate::check_path(dir.path(), None, &mut |_| {}).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

#[test]
fn one_process_shares_one_engine_and_a_closed_one_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let one = Engine::open_path(dir.path(), small()).unwrap();
    let two =
        Engine::open_path(&dir.path().join("../").join(dir.path().file_name().unwrap()), small()).unwrap();
    assert!(Arc::ptr_eq(&one, &two));
    one.close().unwrap();
    assert!(matches!(two.snapshot(), Err(Error::Closed(_))));
    Engine::open_path(dir.path(), small()).unwrap();
}

#[test]
fn a_foreign_folder_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    let error = Engine::open_path(dir.path(), small()).unwrap_err();
    assert!(error.to_string().contains("letter.txt"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn overwrites_leave_files_few_and_bytes_bounded() {
    let storage = Arc::new(MemoryStorage::new());
    let engine = Engine::open(storage, small()).unwrap();
    let text = "x".repeat(100);
    for _ in 0..200 {
        let batch: Vec<(i64, &str)> = (0..100).map(|id| (id, text.as_str())).collect();
        upsert(&engine, "t", &batch);
        while engine.maintain().unwrap() {}
    }
    engine.flush().unwrap();
    while engine.maintain().unwrap() {}
    let files = engine.files();
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    assert!(files.len() <= 4 && bytes < 100_000, "{} files, {bytes} bytes", files.len());
}

#[test]
fn a_table_takes_the_place_of_another_in_one_step() {
    let storage = Arc::new(MemoryStorage::new());
    let engine = Engine::open(Arc::clone(&storage) as Arc<dyn crate::Storage>, small()).unwrap();
    upsert(&engine, "t", &[(1, "old")]);
    engine.flush().unwrap();
    upsert(&engine, "t", &[(2, "old too")]);
    upsert(&engine, "aside", &[(1, "new")]);
    let before = engine.snapshot().unwrap();
    let replace = |from: &str, other: &str| {
        let change = AlterTable::ReplaceTable { other: TableName::public(other) };
        engine.alter_table(&TableName::public(from), &change).unwrap();
    };
    replace("aside", "t");
    replace("t", "t");
    assert_eq!(contents(&before, "t"), map(&[(1, "old"), (2, "old too")]));
    drop(before);
    upsert(&engine, "t", &[(3, "later")]);
    replace("t", "renamed");
    for reopened in [false, true] {
        let snapshot = match reopened {
            false => engine.snapshot().unwrap(),
            true => {
                engine.close().unwrap();
                Engine::open(Arc::clone(&storage) as Arc<dyn crate::Storage>, small())
                    .unwrap()
                    .snapshot()
                    .unwrap()
            }
        };
        let names: Vec<String> = snapshot.tables().iter().map(|def| def.name.to_string()).collect();
        assert_eq!(names, ["renamed"]);
        assert_eq!(contents(&snapshot, "renamed"), map(&[(1, "new"), (3, "later")]));
    }
}
