//! One writer at a time, also when somebody takes its lock away; and handles in a forked child or twice in a process.

use std::path::Path;
use std::sync::Arc;

use super::support::{contents, keyed, rows, small};
use crate::{ClosedReason, Durability, Engine, Error, Options, WriteBatch};

fn put(engine: &Engine, id: i64, text: &str) -> crate::Result<()> {
    let mut batch = WriteBatch::new();
    batch.upsert(&keyed_now(engine)?, &rows(&[(id, text)]))?;
    engine.commit(batch).map(|_| ())
}

fn keyed_now(engine: &Engine) -> crate::Result<Arc<crate::TableDef>> {
    Ok(Arc::clone(engine.snapshot()?.table(&crate::TableName::public("t"))?.def()))
}

fn steal_lock(dir: &Path) {
    std::fs::remove_file(dir.join("LOCK")).unwrap();
}

fn fenced<T: std::fmt::Debug>(outcome: crate::Result<T>) {
    assert!(matches!(outcome, Err(Error::Closed(ClosedReason::Fenced))), "{outcome:?}");
}

#[test]
fn a_writer_without_its_lock_acknowledges_and_publishes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // The registry would share one engine.
    let open = || {
        let storage = crate::LocalStorage::open(dir.path(), crate::io::LocalOptions::default()).unwrap();
        Engine::open(Arc::new(storage), small()).unwrap()
    };
    let zombie = open();
    keyed(&zombie, "t");
    put(&zombie, 1, "old").unwrap();
    steal_lock(dir.path());
    let writer = open();
    fenced(put(&zombie, 2, "lost"));
    fenced(zombie.flush());
    fenced(zombie.create_schema("s", false));
    put(&writer, 3, "new").unwrap();
    writer.flush().unwrap();
    fenced(zombie.close());
    put(&writer, 4, "newer").unwrap();
    writer.close().unwrap();
    let kept = contents(&open().snapshot().unwrap(), "t");
    assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [1, 3, 4]);
}

#[test]
fn a_writer_without_its_lock_cannot_flush_first() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let storage = crate::LocalStorage::open(dir.path(), crate::io::LocalOptions::default()).unwrap();
        Engine::open(Arc::new(storage), small()).unwrap()
    };
    let zombie = open();
    keyed(&zombie, "t");
    put(&zombie, 1, "old").unwrap();
    steal_lock(dir.path());
    let writer = open();
    put(&writer, 2, "new").unwrap();
    fenced(zombie.flush());
    drop(zombie);
    writer.close().unwrap();
    assert_eq!(contents(&open().snapshot().unwrap(), "t").len(), 2);
}

#[test]
fn a_writer_without_its_lock_touches_no_file_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let storage = crate::LocalStorage::open(dir.path(), crate::io::LocalOptions::default()).unwrap();
        Engine::open(Arc::new(storage), small()).unwrap()
    };
    let zombie = open();
    let tables = ["t", "u", "v", "w"];
    for name in tables {
        let mut batch = WriteBatch::new();
        batch.insert(&keyed(&zombie, name), &rows(&[(1, "old")])).unwrap();
        zombie.commit(batch).unwrap();
    }
    steal_lock(dir.path());
    let writer = open();
    put(&writer, 2, "new").unwrap();
    writer.flush().unwrap();
    // It writes a file for each table, is refused when it would name them, and removes them.
    fenced(zombie.flush());
    drop(zombie);
    writer.close().unwrap();
    let after = open();
    for (name, expected) in tables.iter().zip([2, 1, 1, 1]) {
        assert_eq!(contents(&after.snapshot().unwrap(), name).len(), expected, "{name}");
    }
}

#[test]
fn one_process_shares_one_engine_of_one_kind() {
    let dir = tempfile::tempdir().unwrap();
    let first = Engine::open_path(dir.path(), small()).unwrap();
    let same = Engine::open_path(dir.path(), Options { create: false, ..small() }).unwrap();
    assert!(Arc::ptr_eq(&first, &same));
    let other = Options { durability: Durability::Strict, ..small() };
    let refused = Engine::open_path(dir.path(), other.clone()).unwrap_err().to_string();
    assert!(refused.contains("durability") && !refused.contains("mmap"), "{refused}");
    // A reader beside the writer is an engine of its own and follows it.
    let reader = Engine::open_path(dir.path(), Options { read_only: true, ..other.clone() }).unwrap();
    keyed(&first, "t");
    put(&first, 1, "a").unwrap();
    assert_eq!(contents(&reader.snapshot().unwrap(), "t").len(), 1);
    first.close().unwrap();
    Engine::open_path(dir.path(), other).unwrap();
}

#[test]
fn two_paths_to_one_folder_are_one_database() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    let first = Engine::open_path(&real, small()).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let second = Engine::open_path(&link, small()).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn a_path_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.tri"));
    let engine = Engine::open_path(&path, small()).unwrap();
    keyed(&engine, "t");
    put(&engine, 1, "a").unwrap();
    engine.close().unwrap();
    let again = Engine::open_path(&path, Options { read_only: true, ..small() }).unwrap();
    assert_eq!(contents(&again.snapshot().unwrap(), "t").len(), 1);
}
