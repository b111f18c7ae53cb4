#![expect(clippy::unwrap_used, reason = "tests")]
//! Every file of a database is explained; damage is placed and never panics.

use std::sync::Arc;

use super::*;
use crate::db::tests::support::{small_database, with_bytes};
use crate::io::Storage;

fn report(storage: &dyn Storage, path: &str) -> FileReport {
    let companion = path.strip_suffix(".arrow").and_then(|stem| storage.open(&format!("{stem}.sum")).ok());
    inspect_file(&storage.open(path).unwrap(), companion.as_ref(), true).unwrap()
}

#[test]
fn every_kind_of_file_is_explained() {
    let (storage, paths) = small_database();
    let mut kinds: Vec<&str> = Vec::new();
    for path in &paths {
        let found = report(&storage, path);
        assert_eq!(found.damage, vec![], "{found}");
        assert!(found.to_json().contains("\"fields\""));
        kinds.push(found.kind);
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        ["CURRENT", "SSTable", "companion of an SSTable", "deletion bitmaps", "manifest", "write-ahead log"]
    );
    let data = paths.iter().find(|path| path.ends_with(".arrow")).unwrap();
    let shown = report(&storage, data).to_string();
    assert!(shown.contains("match their checksums") && shown.contains("columns"), "{shown}");
    let log = paths.iter().rfind(|path| path.ends_with(".wal")).unwrap();
    assert!(report(&storage, log).to_string().contains("upsert 1 rows"), "{}", report(&storage, log));
}

#[test]
fn every_flip_and_cut_is_placed_or_harmless_and_never_panics() {
    let (storage, paths) = small_database();
    let (mut injected, mut silent) = (0, Vec::new());
    for path in &paths {
        let good = storage.open(path).unwrap();
        let good = good.load(0..good.len()).unwrap();
        for at in (0..good.len()).step_by(if good.len() > 4096 { 7 } else { 1 }) {
            let mut bad = good.to_vec();
            bad[at] ^= 1 << (at % 8);
            let cut = good[..at].to_vec();
            for bytes in [bad, cut] {
                let damaged = with_bytes(&storage, path, &bytes);
                let found = report(&damaged, path);
                let torn = found.fields.get("torn tail").is_some();
                // A log cut between two records is a shorter log: only the database knows better.
                if found.damage.is_empty() && !torn && !path.ends_with(".wal") {
                    silent.push(format!("{path} at {at}"));
                }
                injected += 1;
            }
        }
    }
    assert!(injected > 2000, "{injected}");
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn strangers_are_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "hello").unwrap();
    let found = inspect_path(&path, None, true).unwrap();
    assert_eq!((found.kind, found.damage.len()), ("unknown file", 1));
    assert!(inspect_path(folder.path(), None, true).is_err());
    let empty: Arc<dyn crate::io::FileReader> = {
        std::fs::write(&path, "").unwrap();
        open_file(&path).unwrap()
    };
    assert_eq!(inspect_file(&empty, None, true).unwrap().damage.len(), 1);
}
