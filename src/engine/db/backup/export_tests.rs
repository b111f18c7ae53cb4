#![expect(clippy::unwrap_used, reason = "tests")]
//! A single file is the database as of one commit, or an error.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::db::tests::support::{contents, keyed, keyless, keys, rows, scan, small};
use crate::io::{ContainerStorage, MemoryStorage};
use crate::testing::{Fault, FaultError, SimStorage};
use crate::{ClosedReason, Engine, ErrorKind, Options, TableName, WriteBatch};

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

type Content = (std::collections::BTreeMap<i64, String>, Vec<(i64, String)>);

fn content(engine: &Engine) -> Content {
    let snapshot = engine.snapshot().unwrap();
    let mut keyless = scan(&snapshot.table(&TableName::public("l")).unwrap());
    keyless.sort();
    (contents(&snapshot, "k"), keyless)
}

fn shop(folder: &Path) -> Arc<Engine> {
    let engine = Engine::open_path(&folder.join("db"), small()).unwrap();
    put(&engine, 0..300, "first");
    engine.flush().unwrap();
    put(&engine, 100..350, "second");
    let mut batch = WriteBatch::new();
    batch.delete_keys(&keyed(&engine, "k"), &keys(&[3, 4])).unwrap();
    engine.commit(batch).unwrap();
    engine
}

fn open(file: &Path) -> Result<Arc<Engine>> {
    Engine::open_path(file, small())
}

#[test]
fn a_single_file_holds_what_the_database_held_and_takes_no_write() {
    let folder = tempfile::tempdir().unwrap();
    let engine = shop(folder.path());
    let (file, beside) = (folder.path().join("all.trilith"), folder.path().join("beside.trilith"));
    engine.export(&file, false, None, &mut quiet).unwrap();
    let reader =
        Engine::open_path(&folder.path().join("db"), Options { read_only: true, ..small() }).unwrap();
    put(&engine, 500..510, "only in the log");
    reader.export(&beside, false, None, &mut quiet).unwrap();
    assert_eq!(content(&open(&beside).unwrap()), content(&engine));
    for mmap in [true, false] {
        let opened = Engine::open_path(&file, Options { mmap, ..small() }).unwrap();
        assert_eq!(content(&opened).0.len(), 348);
        let mut batch = WriteBatch::new();
        batch.upsert(&keyed_there(&opened), &rows(&[(1, "never")])).unwrap();
        let refused = [
            opened.commit(batch).map(drop),
            opened.drop_table(&TableName::public("k")),
            opened.vacuum().map(drop),
            opened.create_tag("t").map(drop),
        ];
        for outcome in refused {
            assert!(matches!(outcome, Err(Error::Closed(ClosedReason::SingleFile))), "{outcome:?}");
        }
        opened.close().unwrap();
    }
    assert_eq!(crate::check_path(&file, None, &mut |_| {}).unwrap().problems, Vec::<String>::new());
}

fn keyed_there(engine: &Engine) -> Arc<crate::TableDef> {
    Arc::clone(engine.snapshot().unwrap().table(&TableName::public("k")).unwrap().def())
}

#[test]
fn a_single_file_is_exported_backed_up_and_restored_like_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let engine = shop(folder.path());
    let at = |name: &str| folder.path().join(name);
    let was = content(&engine);
    engine.create_tag("then").unwrap();
    let version = engine.version_of_tag("then").unwrap();
    put(&engine, 600..601, "newer");
    engine.export(&at("then"), false, Some(version), &mut quiet).unwrap();
    let then = open(&at("then")).unwrap();
    assert_eq!(content(&then), was);
    then.export(&at("again"), false, None, &mut quiet).unwrap();
    then.backup(&at("folder"), CopyMode::Link, &mut quiet).unwrap();
    restore_path(&at("again"), &at("restored"), None, CopyMode::Copy, &mut quiet).unwrap();
    for name in ["again", "folder", "restored"] {
        assert_eq!(content(&open(&at(name)).unwrap()), was, "{name}");
    }
    let memory = Engine::in_memory(small()).unwrap();
    put(&memory, 0..10, "never on a disk");
    memory.export(&at("memory"), false, None, &mut quiet).unwrap();
    assert_eq!(content(&open(&at("memory")).unwrap()), content(&memory));
}

#[test]
fn an_export_that_fails_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let engine = shop(folder.path());
    let file = folder.path().join("file");
    let mut stop = |_| Err(Error::invalid("the work", "it was stopped"));
    assert!(engine.export(&file, false, None, &mut stop).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::fs::write(&file, "precious").unwrap();
    assert_eq!(engine.export(&file, false, None, &mut quiet).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(engine.export(&file, true, None, &mut stop).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    assert_eq!(open(&file).unwrap_err().kind(), ErrorKind::Invalid);
    engine.export(&file, true, None, &mut quiet).unwrap();
    assert_eq!(content(&open(&file).unwrap()), content(&engine));
}

#[test]
fn no_failing_call_makes_a_container_that_opens_with_other_rows() {
    let folder = tempfile::tempdir().unwrap();
    let engine = shop(folder.path());
    let mut call = 0;
    loop {
        call += 1;
        let sim = SimStorage::new();
        let sink = sim.create("file").unwrap();
        sim.inject(Fault::once(None, call, FaultError::EIO));
        let reader = sim.clone();
        let outcome = engine.export_to(sink, Box::new(move || reader.open("file")), None, &mut quiet);
        if sim.faults_fired() == 0 {
            outcome.unwrap();
            break;
        }
        assert!(outcome.is_err(), "call {call}");
        sim.heal();
        // Whole, where only the last sync failed.
        if let Ok(container) = ContainerStorage::open(sim.open("file").unwrap()) {
            let opened = Engine::open(Arc::new(container), Options { read_only: true, ..small() }).unwrap();
            assert_eq!(content(&opened), content(&engine), "call {call}");
        }
    }
    assert!(call > 10, "only {call} calls");
}

#[test]
fn an_export_beside_a_writer_is_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let engine = shop(folder.path());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let text = format!("round {round}");
                let pairs: Vec<(i64, &str)> = (0..50).map(|id| (id, text.as_str())).collect();
                let mut batch = WriteBatch::new();
                batch.upsert(&keyed(&engine, "k"), &rows(&pairs)).unwrap();
                engine.commit(batch).unwrap();
            }
        });
        for round in 0..8 {
            let file = folder.path().join(format!("{round}"));
            engine.export(&file, false, None, &mut quiet).unwrap();
            let found = content(&open(&file).unwrap());
            let texts: std::collections::BTreeSet<&String> = (5..50).map(|id| &found.0[&id]).collect();
            assert_eq!(texts.len(), 1, "{texts:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_flipped_bit_is_an_error_and_never_another_row() {
    let folder = tempfile::tempdir().unwrap();
    let engine = shop(folder.path());
    let file = folder.path().join("file");
    engine.export(&file, false, None, &mut quiet).unwrap();
    let (bytes, right) = (std::fs::read(&file).unwrap(), content(&engine));
    let mut noticed = 0;
    for step in 0..400 {
        let bit = (step * 7_919 + step * step * 31) % (bytes.len() * 8);
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let place = MemoryStorage::new();
        place.create("file").unwrap().append(&flipped).unwrap();
        let Ok(container) = ContainerStorage::open(place.open("file").unwrap()) else {
            noticed += 1;
            continue;
        };
        let storage: Arc<dyn Storage> = Arc::new(container);
        match crate::check_storage(&storage, &mut |_| {}) {
            Ok(report) => assert!(!report.problems.is_empty(), "bit {bit}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}"),
        }
        let Ok(opened) = Engine::open(storage, Options { read_only: true, ..small() }) else {
            noticed += 1;
            continue;
        };
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| content(&opened)));
        match read {
            Ok(found) => assert_eq!(found, right, "bit {bit}"),
            Err(_) => noticed += 1,
        }
    }
    assert!(noticed > 100, "{noticed}");
}
