#![expect(clippy::unwrap_used, reason = "tests")]
//! What survives a repair and what is declared lost are together what was there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::Engine;
use crate::common::{ErrorKind, Options};
use crate::db::tests::support::{contents, keyed, rows, small, small_database};
use crate::testing::SimStorage;

fn quiet(_: &str) -> Result<()> {
    Ok(())
}

fn repaired(damaged: &SimStorage) -> (SimStorage, RepairReport) {
    let target = SimStorage::new();
    let source: Arc<dyn Storage> = Arc::new(damaged.clone());
    let report = repair_storage(&source, Arc::new(target.clone()), &mut quiet).unwrap();
    (target, report)
}

fn held(storage: &SimStorage, table: &str) -> BTreeMap<i64, String> {
    let engine = Engine::open(Arc::new(storage.clone()), Options { read_only: true, ..small() }).unwrap();
    contents(&engine.snapshot().unwrap(), table)
}

fn flip(storage: &SimStorage, path: &str, at: usize) -> SimStorage {
    let changed = storage.kill_image();
    let mut bytes = changed.contents(path).unwrap();
    bytes[at] ^= 1;
    changed.plant(path, &bytes);
    changed
}

/// One keyed table of a thousand rows in one file.
fn large() -> (SimStorage, String) {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), Options { file_bytes: 8 << 20, ..small() }).unwrap();
    let table = keyed(&engine, "k");
    let texts: Vec<String> = (0..1000).map(|id| format!("text {id} {}", "x".repeat(200))).collect();
    let pairs: Vec<(i64, &str)> = texts.iter().enumerate().map(|(id, text)| (id as i64, &**text)).collect();
    let mut batch = crate::WriteBatch::new();
    batch.insert(&table, &rows(&pairs)).unwrap();
    engine.commit(batch).unwrap();
    engine.flush().unwrap();
    engine.close().unwrap();
    let path = storage.paths().into_iter().find(|path| path.ends_with(".arrow")).unwrap();
    (storage, path)
}

#[test]
fn a_whole_database_comes_over_whole() {
    let (storage, _) = small_database();
    let (target, report) = repaired(&storage);
    assert!(report.losses.is_empty() && report.notes.is_empty(), "{report}");
    assert_eq!(held(&target, "k"), held(&storage, "k"));
    let again = Engine::open(Arc::new(target), small()).unwrap();
    keyed(&again, "k");
    again.close().unwrap();
}

#[test]
fn one_bad_block_costs_its_batches_and_no_more() {
    let (storage, path) = large();
    let everything = held(&storage, "k");
    let len = storage.contents(&path).unwrap().len();
    for at in [100, len / 3, len / 2, len - 4] {
        let (target, report) = repaired(&flip(&storage, &path, at));
        let left = held(&target, "k");
        let lost: u64 = report.losses.iter().filter_map(|loss| loss.rows).sum();
        assert_eq!(left.len() as u64 + lost, 1000, "{report}");
        assert!(lost < 100 && report.rows == left.len() as u64, "{report}");
        assert!(left.iter().all(|(id, text)| everything[id] == *text));
    }
    let cut = storage.kill_image();
    cut.plant(&path, &storage.contents(&path).unwrap()[..len / 2]);
    let (target, report) = repaired(&cut);
    let lost: u64 = report.losses.iter().filter_map(|loss| loss.rows).sum();
    assert!(held(&target, "k").len() as u64 + lost == 1000 && lost < 600, "{report}");
}

#[test]
fn a_lost_current_costs_nothing_and_lost_manifests_are_declared() {
    let (storage, paths) = small_database();
    let bare = storage.kill_image();
    bare.remove("CURRENT").unwrap();
    let (target, report) = repaired(&bare);
    assert!(report.losses.iter().all(|loss| !loss.certain), "{report}");
    assert_eq!(held(&target, "k"), held(&storage, "k"));
    let number = |path: &String| path.split(['/', '.']).nth(1).and_then(|n| n.parse::<u64>().ok());
    let newest = paths.iter().filter(|path| path.ends_with(".mf")).max_by_key(|path| number(path)).unwrap();
    let (_, report) = repaired(&flip(&storage, newest, 60));
    assert!(report.losses.iter().any(|loss| loss.kind == LossKind::Versions), "{report}");
    for path in paths.iter().filter(|path| path.ends_with(".mf")) {
        bare.remove(path).unwrap();
    }
    let source: Arc<dyn Storage> = Arc::new(bare);
    let error = repair_storage(&source, Arc::new(SimStorage::new()), &mut quiet).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_damaged_commit_is_lost_alone() {
    let storage = SimStorage::new();
    let engine = Engine::open(Arc::new(storage.clone()), small()).unwrap();
    let table = keyed(&engine, "k");
    let mut seqs = Vec::new();
    for id in 0..5 {
        let mut batch = crate::WriteBatch::new();
        batch.insert(&table, &rows(&[(id, "a text that is easy to find")])).unwrap();
        seqs.push(engine.commit(batch).unwrap().0);
    }
    engine.close().unwrap();
    let path = storage.paths().into_iter().rfind(|path| path.ends_with(".wal")).unwrap();
    let bytes = storage.contents(&path).unwrap();
    let needle = b"easy to find";
    let places: Vec<usize> =
        (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert_eq!(places.len(), 5);
    let (target, report) = repaired(&flip(&storage, &path, places[2]));
    assert_eq!(report.losses.len(), 1, "{report}");
    assert_eq!(report.losses[0].seqs, Some((seqs[2], Some(seqs[2]))));
    assert_eq!(held(&target, "k").into_keys().collect::<Vec<_>>(), [0, 1, 3, 4]);
}

#[test]
fn the_damaged_folder_is_only_read_and_the_new_one_must_be_empty() {
    let (storage, paths) = small_database();
    let before: Vec<_> = paths.iter().map(|path| storage.contents(path)).collect();
    repaired(&storage);
    assert_eq!(storage.paths(), paths);
    assert_eq!(paths.iter().map(|path| storage.contents(path)).collect::<Vec<_>>(), before);
    let source: Arc<dyn Storage> = Arc::new(storage.kill_image());
    let error = repair_storage(&source, Arc::new(storage), &mut quiet).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
}
