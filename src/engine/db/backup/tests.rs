#![expect(clippy::unwrap_used, reason = "tests")]
//! A backup is a database as of one commit, whatever happens while it is taken.

use std::sync::Arc;

use super::*;
use crate::db::tests::support::{contents, keyed, keyless, keys, rows, scan, small, small_database};
use crate::testing::{CrashPolicy, SimStorage};
use crate::{Engine, ErrorKind, Options, WriteBatch};

fn quiet(_: BackupProgress) -> Result<()> {
    Ok(())
}

fn put(engine: &Engine, ids: std::ops::Range<i64>, text: &str) {
    let (k, l) = (keyed(engine, "k"), keyless(engine, "l"));
    let pairs: Vec<(i64, &str)> = ids.map(|id| (id, text)).collect();
    let mut batch = WriteBatch::new();
    batch.upsert(&k, &rows(&pairs)).unwrap();
    batch.insert(&l, &rows(&pairs)).unwrap();
    engine.commit(batch).unwrap();
}

fn same(a: &Engine, b: &Engine) {
    assert_eq!(contents(&a.snapshot().unwrap(), "k"), contents(&b.snapshot().unwrap(), "k"));
    let sorted = |engine: &Engine| {
        let view = engine.snapshot().unwrap().table(&crate::TableName::public("l")).unwrap();
        let mut rows = scan(&view);
        rows.sort();
        rows
    };
    assert_eq!(sorted(a), sorted(b));
}

fn open(storage: &SimStorage, read_only: bool) -> Result<Arc<Engine>> {
    Engine::open(Arc::new(storage.clone()), Options { read_only, ..small() })
}

#[test]
fn a_backup_opens_and_a_second_one_brings_only_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let (home, copy) = (folder.path().join("db"), folder.path().join("copy"));
    let engine = Engine::open_path(&home, small()).unwrap();
    put(&engine, 0..50, "first");
    let first = engine.backup(&copy, CopyMode::Link, &mut quiet).unwrap();
    assert!(first.linked == 2 && first.copied == 0, "{first:?}");
    put(&engine, 50..60, "second");
    let mut batch = WriteBatch::new();
    batch.delete_keys(&keyed(&engine, "k"), &keys(&[3, 4])).unwrap();
    engine.commit(batch).unwrap();
    let second = engine.backup(&copy, CopyMode::Copy, &mut quiet).unwrap();
    assert!(second.reused == 2 && second.copied == 3, "{second:?}");
    let restored = folder.path().join("restored");
    restore_path(&copy, &restored, None, CopyMode::Copy, &mut quiet).unwrap();
    let again = restore_path(&copy, &restored, None, CopyMode::Copy, &mut quiet).unwrap_err();
    assert!(again.kind() == ErrorKind::Invalid && again.to_string().contains("not empty"), "{again}");
    for path in [&copy, &restored] {
        let report = crate::check_path(path, None, &mut |_| {}).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        let opened = Engine::open_path(path, small()).unwrap();
        same(&engine, &opened);
        put(&opened, 100..101, "a life of its own");
        opened.close().unwrap();
        same(&Engine::open_path(path, small()).unwrap(), &opened_twin(&engine));
    }
    let diverged = engine.backup(&restored, CopyMode::Copy, &mut quiet);
    assert!(diverged.is_ok() || diverged.unwrap_err().kind() == ErrorKind::Invalid);
}

/// What the copies hold after their own commit.
fn opened_twin(engine: &Engine) -> Arc<Engine> {
    let twin = SimStorage::new();
    engine.backup_to(Arc::new(twin.clone()), CopyMode::Copy, &mut quiet).unwrap();
    let twin = open(&twin, false).unwrap();
    put(&twin, 100..101, "a life of its own");
    twin
}

#[test]
fn a_read_only_database_with_a_log_is_backed_up_again_and_again() {
    let (storage, _) = small_database();
    let writer = open(&storage, false).unwrap();
    let target = SimStorage::new();
    for round in 0..4 {
        put(&writer, round * 7..round * 7 + 20, "in the log");
        if round == 2 {
            writer.flush().unwrap();
            writer.compact().unwrap();
        }
        let reader = open(&storage, true).unwrap();
        let report = reader.backup_to(Arc::new(target.clone()), CopyMode::Link, &mut quiet).unwrap();
        assert_eq!(report.seq, reader.snapshot().unwrap().seq().0);
        same(&reader, &open(&target.kill_image(), false).unwrap());
        same(&reader, &open(&target.kill_image(), true).unwrap());
    }
}

#[test]
fn what_is_not_a_backup_of_this_database_is_left_alone() {
    let (storage, _) = small_database();
    let engine = open(&storage, false).unwrap();
    let (other, _) = small_database();
    let error = engine.backup_to(Arc::new(other.clone()), CopyMode::Copy, &mut quiet).unwrap_err();
    assert!(error.to_string().contains("another database"), "{error}");
    open(&other, false).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("photos")).unwrap();
    let error = engine.backup(folder.path(), CopyMode::Copy, &mut quiet).unwrap_err();
    assert!(error.to_string().contains("photos"), "{error}");
}

#[test]
fn cancelling_takes_everything_back() {
    let (storage, _) = small_database();
    let engine = open(&storage, false).unwrap();
    let target = SimStorage::new();
    let stop = |_| Err(Error::invalid("backup", "it was stopped"));
    engine.backup_to(Arc::new(target.clone()), CopyMode::Copy, &mut { stop }).unwrap_err();
    assert_eq!(target.paths(), Vec::<String>::new());
    engine.backup_to(Arc::new(target.clone()), CopyMode::Copy, &mut quiet).unwrap();
    let before = target.paths();
    put(&engine, 70..90, "new");
    engine.backup_to(Arc::new(target.clone()), CopyMode::Copy, &mut { stop }).unwrap_err();
    assert_eq!(target.paths(), before);
}

#[test]
fn damage_in_the_database_is_an_error_and_not_a_backup() {
    let (storage, paths) = small_database();
    for path in paths.iter().filter(|path| path.ends_with(".arrow") || path.ends_with(".del")) {
        let disk = storage.kill_image();
        let mut bytes = disk.contents(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        disk.plant(path, &bytes);
        let Ok(engine) = open(&disk, true) else { continue };
        let target = SimStorage::new();
        let error = engine.backup_to(Arc::new(target.clone()), CopyMode::Copy, &mut quiet);
        if error.is_ok() {
            // No manifest names the file any more.
            same(&open(&target, true).unwrap(), &open(&storage, true).unwrap());
        } else {
            assert_eq!(target.paths(), Vec::<String>::new(), "{path}");
        }
    }
}

/// The power goes at every call of a first and of a second backup: the folder is refused, or holds one of the two.
#[test]
fn a_crash_at_any_call_leaves_no_half_backup() {
    let (storage, _) = small_database();
    let engine = open(&storage, false).unwrap();
    let target = SimStorage::new();
    target.record_history();
    engine.backup_to(Arc::new(target.clone()), CopyMode::Copy, &mut quiet).unwrap();
    let first = open(&target.kill_image(), true).unwrap();
    let turn = target.calls();
    put(&engine, 200..240, "second backup");
    engine.backup_to(Arc::new(target.clone()), CopyMode::Copy, &mut quiet).unwrap();
    let mut opened = [0, 0, 0];
    for call in target.history() {
        for seed in 0..3 {
            let image = target.crash_image_at(call, seed, CrashPolicy::RANDOM);
            match open(&image, false) {
                Ok(found) if found.snapshot().unwrap().seq() == first.snapshot().unwrap().seq() => {
                    same(&found, &first);
                    opened[1] += 1;
                }
                Ok(found) if found.snapshot().unwrap().tables().is_empty() => {
                    assert!(
                        call < turn && image.paths().iter().all(|path| !path.starts_with("sst")),
                        "{call}"
                    );
                    opened[0] += 1;
                }
                Ok(found) => {
                    same(&found, &engine);
                    opened[2] += 1;
                }
                Err(error) => assert!(call < turn, "call {call}: {error}"),
            }
        }
    }
    assert!(opened[1] > 10 && opened[2] > 0, "{opened:?}");
}
