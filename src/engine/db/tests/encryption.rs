//! Encrypted databases: the same answers, no plaintext on the disk, no nonce used twice, and a key for every door.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::support::{contents, key, keyed, keyless, rows, scan, schema, small};
use crate::io::KEYS;
use crate::testing::{CallKind, CrashPolicy, Fault, FaultError, SimStorage};
use crate::{
    CopyMode, EncryptionKey, Engine, Error, IfExists, KeyFault, Options, TableDef, TableName, TableSpec,
    WriteBatch, check_path, repair_path, restore_path,
};

const SECRET: &str = "the plaintext marker";

fn secret(byte: u8) -> EncryptionKey {
    EncryptionKey::from_bytes(&[byte; 32]).unwrap()
}

fn options(byte: u8) -> Options {
    Options { encryption_key: Some(secret(byte)), ..small() }
}

fn put(engine: &Engine, ids: std::ops::Range<i64>) {
    let (k, l) = (keyed(engine, "k"), keyless(engine, "l"));
    let pairs: Vec<(i64, &str)> = ids.map(|id| (id, SECRET)).collect();
    let mut batch = WriteBatch::new();
    batch.upsert(&k, &rows(&pairs)).unwrap();
    batch.insert(&l, &rows(&pairs)).unwrap();
    engine.commit(batch).unwrap();
}

/// Ids in the keyed table, once the keyless one holds the same.
fn ids(engine: &Engine) -> Vec<i64> {
    let snapshot = engine.snapshot().unwrap();
    let keyed: Vec<i64> = contents(&snapshot, "k").into_keys().collect();
    let mut keyless: Vec<i64> =
        scan(&snapshot.table(&TableName::public("l")).unwrap()).into_iter().map(|(id, _)| id).collect();
    keyless.sort_unstable();
    assert_eq!(keyed, keyless);
    keyed
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// Every door, and no plaintext or key behind any of them.
#[test]
fn an_encrypted_database_is_one_behind_every_door() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let engine = Engine::open_path(&at("db"), options(1)).unwrap();
    assert!(engine.is_encrypted());
    put(&engine, 0..300);
    engine.flush().unwrap();
    put(&engine, 300..310);
    let follower = Engine::open_path(&at("db"), Options { read_only: true, ..options(1) }).unwrap();
    assert_eq!(ids(&follower).len(), 310);
    put(&engine, 310..320);
    assert_eq!(ids(&follower).len(), 320);
    let quiet = &mut |_| Ok(());
    engine.backup(&at("backup"), CopyMode::Link, quiet).unwrap();
    assert!(engine.backup(&at("backup"), CopyMode::Link, quiet).unwrap().reused > 0);
    follower.backup(&at("beside"), CopyMode::Copy, quiet).unwrap();
    engine.export(&at("single"), false, None, quiet).unwrap();
    engine.branch(&at("branch"), None, quiet).unwrap();
    engine.close().unwrap();
    restore_path(&at("single"), &at("restored"), Some(&secret(1)), CopyMode::Copy, quiet).unwrap();
    repair_path(&at("db"), &at("repaired"), Some(&secret(1)), &mut |_| Ok(())).unwrap();
    for name in ["db", "backup", "beside", "single", "branch", "restored", "repaired"] {
        let report = check_path(&at(name), Some(&secret(1)), &mut |_| {}).unwrap();
        assert_eq!(report.problems, Vec::<String>::new(), "{name}");
        let reopened = Engine::open_path(&at(name), options(1)).unwrap();
        assert_eq!(ids(&reopened), (0..320).collect::<Vec<_>>(), "{name}");
        for (other, fault) in [(small(), KeyFault::Missing), (options(2), KeyFault::Wrong)] {
            let error = Engine::open_path(&at(name), Options { read_only: true, ..other }).unwrap_err();
            assert!(matches!(error, Error::Key { fault: found, .. } if found == fault), "{name}: {error}");
        }
    }
    for (path, bytes) in files(folder.path()) {
        assert!(!holds(&bytes, SECRET.as_bytes()) && !holds(&bytes, b"ARROW1"), "{path}");
        assert!(!holds(&bytes, &[1; 32]), "{path}");
    }
}

#[test]
fn a_key_and_a_plain_database_do_not_go_together() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open_path(folder.path(), small()).unwrap();
    put(&engine, 0..3);
    let error = Engine::open_path(folder.path(), options(1)).unwrap_err();
    assert!(matches!(error, Error::Key { fault: KeyFault::Other, .. }), "{error}");
    engine.close().unwrap();
    let error = Engine::open_path(folder.path(), options(1)).unwrap_err();
    assert!(matches!(error, Error::Key { fault: KeyFault::NotEncrypted, .. }), "{error}");
    assert!(!folder.path().join(KEYS).exists());
    assert!(Engine::in_memory(options(1)).is_err());
}

#[test]
fn handles_of_one_process_share_an_engine_only_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open_path(folder.path(), options(1)).unwrap();
    assert!(Arc::ptr_eq(&engine, &Engine::open_path(folder.path(), options(1)).unwrap()));
    for other in [small(), options(2)] {
        let error = Engine::open_path(folder.path(), other).unwrap_err();
        assert!(matches!(error, Error::Key { fault: KeyFault::Other, .. }), "{error}");
        assert!(!format!("{error:?}").contains("2, 2"), "{error:?}");
    }
    assert!(!format!("{engine:?}").contains("1, 1, 1"));
}

/// Bytes of each file, changed: the same rows, or an error that names the file.
#[test]
fn no_changed_byte_is_returned_as_data() {
    let disk = SimStorage::new();
    for life in 0..2 {
        let engine = Engine::open(Arc::new(disk.clone()), options(1)).unwrap();
        put(&engine, life * 20..life * 20 + 30);
        engine.flush().unwrap();
        put(&engine, life * 5..life * 5 + 2);
        engine.close().unwrap();
    }
    let all: Vec<(String, Vec<u8>)> =
        disk.paths().into_iter().filter_map(|path| Some((path.clone(), disk.contents(&path)?))).collect();
    let (mut noticed, mut tried) = (0, 0);
    for (path, bytes) in &all {
        // One byte in eleven; the reliability harness flips every bit.
        for at in (0..bytes.len()).step_by(11) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let image = disk.kill_image();
            image.plant(path, &damaged);
            let stem = path.split('.').next().unwrap();
            tried += 1;
            noticed += u32::from(!reads_as_before(image, stem, &format!("byte {at} of {path}")));
        }
    }
    assert!(noticed * 10 > tried, "{noticed} of {tried}");
}

fn reads_as_before(image: SimStorage, stem: &str, place: &str) -> bool {
    let readonly = Options { read_only: true, ..options(1) };
    let read = |table: &str| -> crate::Result<usize> {
        let engine = Engine::open(Arc::new(image.clone()), readonly.clone())?;
        let view = engine.snapshot()?.table(&TableName::public(table))?;
        let mut rows = 0;
        for part in view.parts()? {
            for i in 0..part.num_batches() {
                rows += part.read(i, &[0, 1], false)?.num_rows();
            }
        }
        Ok(rows)
    };
    let mut whole = true;
    for (table, expected) in [("k", 50), ("l", 64)] {
        match read(table) {
            Ok(found) => assert_eq!(found, expected, "{place}"),
            Err(error) => {
                assert!(error.to_string().contains(stem), "{place}: {error}");
                whole = false;
            }
        }
    }
    whole
}

/// Files of one database in the place of each other, and of another database under the same key.
#[test]
fn exchanged_files_are_never_taken_for_each_other() {
    let make = || {
        let disk = SimStorage::new();
        let engine = Engine::open(Arc::new(disk.clone()), options(1)).unwrap();
        for life in 0..3 {
            put(&engine, life * 20..life * 20 + 20);
            engine.flush().unwrap();
        }
        engine.close().unwrap();
        disk
    };
    let (one, two) = (make(), make());
    let expected = ids(&Engine::open(Arc::new(one.kill_image()), options(1)).unwrap());
    let mut refused = 0;
    for path in one.paths() {
        for (source, from) in one.paths().into_iter().map(|from| (&one, from)).chain([(&two, path.clone())]) {
            let image = one.kill_image();
            let Some(bytes) = source.contents(&from) else { continue };
            image.plant(&path, &bytes);
            let opened = Engine::open(Arc::new(image), Options { read_only: true, ..options(1) });
            let read = opened.and_then(|engine| {
                let snapshot = engine.snapshot()?;
                snapshot.table(&TableName::public("k"))?.row_count()?;
                for table in ["k", "l"] {
                    for part in snapshot.table(&TableName::public(table))?.parts()? {
                        (0..part.num_batches()).try_for_each(|i| part.read(i, &[0, 1], false).map(drop))?;
                    }
                }
                Ok(ids(&engine))
            });
            match read {
                Ok(found) => assert_eq!(found, expected, "{from} at {path}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

/// What was written under each salt of a file, and so under each key: a nonce is a place in the file, so no nonce
/// is used twice as long as no place ever holds two contents.
#[derive(Default)]
struct Seen {
    files: HashMap<Vec<u8>, Vec<u8>>,
    /// Files that a crash left: nobody may go on with them.
    left: HashMap<Vec<u8>, Vec<u8>>,
}

impl Seen {
    fn look(&mut self, disk: &SimStorage) {
        for path in disk.paths() {
            let Some(bytes) = disk.contents(&path).filter(|bytes| bytes.starts_with(b"TRICRYPT")) else {
                continue;
            };
            let Some(salt) = bytes.get(24..56).map(<[u8]>::to_vec) else { continue };
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            if let Some(left) = self.left.get(&salt) {
                assert!(*left == bytes, "{path} was changed after a crash");
                continue;
            }
            let held = self.files.entry(salt).or_default();
            assert!(bytes.starts_with(held) || held.starts_with(&bytes[..used]), "{path} was rewritten");
            if used > held.len() {
                *held = bytes[..used].to_vec();
            }
        }
    }

    fn crash(&mut self, image: &SimStorage) {
        for path in image.paths() {
            let bytes = image.contents(&path).unwrap();
            if let Some(salt) = bytes.get(24..56).filter(|_| bytes.starts_with(b"TRICRYPT")) {
                self.left.insert(salt.to_vec(), bytes);
            }
        }
        // What the power took away has its salt all the same.
        for (salt, bytes) in self.files.drain() {
            self.left.entry(salt).or_insert(bytes);
        }
    }
}

#[test]
fn no_nonce_is_used_twice_over_crashes_and_failures() {
    let mut seen = Seen::default();
    let mut disk = SimStorage::new();
    for life in 0..40u64 {
        let options = Options { memtable_bytes: 8 << 10, ..options(1) };
        let engine = Engine::open(Arc::new(disk.clone()), options).unwrap();
        if life % 3 == 1 {
            let error = if life % 2 == 0 { FaultError::ENOSPC } else { FaultError::EIO };
            disk.inject(Fault::once(Some(CallKind::Append), 1 + life / 3, error).partly());
        }
        for step in 0..8 {
            let base = (life * 8 + step) as i64;
            let (k, l) = (table(&engine, "k", &["id"]), table(&engine, "l", &[]));
            let (Some(k), Some(l)) = (k, l) else { break };
            let mut batch = WriteBatch::new();
            batch.upsert(&k, &rows(&[(base, SECRET)])).unwrap();
            batch.insert(&l, &rows(&[(base, SECRET)])).unwrap();
            let _ = engine.commit(batch);
            if step % 3 == 2 {
                let _ = engine.flush();
            }
            if step == 4 && life % 5 == 0 {
                let _ = engine.rotate_key(&secret(1));
            }
            seen.look(&disk);
        }
        disk.stop();
        drop(engine);
        disk = disk.crash_image(life, CrashPolicy::RANDOM);
        seen.crash(&disk);
    }
    assert!(seen.left.len() > 100, "{}", seen.left.len());
}

/// The table, made when it is missing and the disk allows.
fn table(engine: &Engine, name: &str, primary_key: &[&str]) -> Option<Arc<TableDef>> {
    let primary_key = primary_key.iter().map(|column| (*column).to_owned()).collect();
    let (name, defaults, options) = (TableName::public(name), HashMap::new(), Default::default());
    let spec = TableSpec { name, schema: schema(), primary_key, defaults, options, indexes: vec![] };
    engine.create_table(&spec, IfExists::Keep).ok()
}

#[test]
fn a_rotated_key_is_the_only_one_and_a_vacuum_forgets_what_was_before() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open_path(folder.path(), options(1)).unwrap();
    put(&engine, 0..300);
    engine.flush().unwrap();
    engine.rotate_key(&secret(2)).unwrap();
    assert!(Engine::open_path(folder.path(), options(1)).is_err());
    assert!(Arc::ptr_eq(&engine, &Engine::open_path(folder.path(), options(2)).unwrap()));
    put(&engine, 300..310);
    let long = std::fs::metadata(folder.path().join(KEYS)).unwrap().len();
    assert!(engine.vacuum().unwrap().rewritten > 0);
    let short = std::fs::metadata(folder.path().join(KEYS)).unwrap().len();
    assert_eq!(long - short, 40);
    engine.close().unwrap();
    let error = Engine::open_path(folder.path(), options(1)).unwrap_err();
    assert!(matches!(error, Error::Key { fault: KeyFault::Wrong, .. }), "{error}");
    let engine = Engine::open_path(folder.path(), options(2)).unwrap();
    assert_eq!(ids(&engine), (0..310).collect::<Vec<_>>());
    let plain = Engine::in_memory(small()).unwrap();
    let error = plain.rotate_key(&secret(1)).unwrap_err();
    assert!(matches!(error, Error::Key { fault: KeyFault::NotEncrypted, .. }), "{error}");
}

/// Gets and scans that come again decrypt nothing, and a cache of no bytes changes no answer.
#[test]
fn what_was_read_once_is_kept_within_its_budget() {
    for (cache_bytes, keeps) in [(0, false), (1 << 20, true), (16 << 10, true)] {
        for encryption_key in [None, Some(secret(1))] {
            let folder = tempfile::tempdir().unwrap();
            let options = Options { mmap: false, cache_bytes, encryption_key, ..small() };
            let engine = Engine::open_path(folder.path(), options).unwrap();
            put(&engine, 0..300);
            engine.flush().unwrap();
            let figure = |name: &str| {
                engine.metrics().iter().find(|metric| metric.name == name).map_or(0.0, |metric| metric.value)
            };
            for _ in 0..3 {
                assert_eq!(ids(&engine), (0..300).collect::<Vec<_>>());
                let view = engine.snapshot().unwrap().table(&TableName::public("k")).unwrap();
                for id in 0..300 {
                    assert_eq!(view.get(&key(id), None).unwrap().unwrap().num_rows(), 1);
                }
            }
            assert_eq!(figure("cache_hits") > 1000.0, keeps, "{cache_bytes}");
            assert!(figure("cache_bytes") <= cache_bytes as f64);
            assert!(cache_bytes != 1 << 20 || figure("cache_misses") < 200.0);
        }
    }
}
