//! What every storage must do, run on each.

use std::sync::Arc;

use super::SimStorage;
use crate::common::Error;
use crate::io::{LocalOptions, LocalStorage, MemoryStorage, Storage};

fn on_each_storage(check: impl Fn(&dyn Storage)) {
    for mmap in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        check(&LocalStorage::open(dir.path(), LocalOptions { mmap, ..LocalOptions::default() }).unwrap());
    }
    check(&MemoryStorage::new());
    check(&SimStorage::new());
}

fn io_kind(error: Error) -> std::io::ErrorKind {
    match error {
        Error::Io { source, .. } => source.kind(),
        other => panic!("{other}"),
    }
}

#[test]
fn bytes_come_back() {
    on_each_storage(|storage| {
        storage.create_dir("sst").unwrap();
        let mut file = storage.create("sst/1.arrow").unwrap();
        let bytes: Vec<u8> = (0..5000_u32).map(|at| at as u8).collect();
        file.append(&bytes[..1000]).unwrap();
        file.append(&[]).unwrap();
        file.append(&bytes[1000..]).unwrap();
        assert_eq!(file.len(), 5000);
        file.sync().unwrap();
        storage.sync_dir("sst").unwrap();
        let reader = storage.open("sst/1.arrow").unwrap();
        assert_eq!(reader.len(), 5000);
        for range in [0..5000, 0..0, 64..100, 4999..5000, 5000..5000] {
            let part = &bytes[range.start as usize..range.end as usize];
            assert_eq!(reader.read(range.clone()).unwrap().as_slice(), part);
            assert_eq!(reader.load(range).unwrap().as_slice(), part);
        }
        assert_eq!(reader.read(64..640).unwrap().as_ptr() as usize % 64, 0);
        reader.check_len().unwrap();
    });
}

#[test]
fn ranges_beyond_the_end_are_damage() {
    on_each_storage(|storage| {
        storage.publish("", "x", b"hello").unwrap();
        let reader = storage.open("x").unwrap();
        #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
        for range in [0..6, 6..7, 0..u64::MAX, 3..2, u64::MAX..u64::MAX] {
            assert!(matches!(reader.read(range.clone()), Err(Error::Corrupt { .. })), "{range:?}");
            assert!(matches!(reader.load(range), Err(Error::Corrupt { .. })));
        }
    });
}

#[test]
fn empty_files_are_files() {
    on_each_storage(|storage| {
        drop(storage.create("empty").unwrap());
        let reader = storage.open("empty").unwrap();
        assert!(reader.is_empty());
        assert_eq!(reader.read(0..0).unwrap().len(), 0);
    });
}

#[test]
fn names_behave() {
    on_each_storage(|storage| {
        assert_eq!(storage.list("wal").unwrap(), Vec::<String>::new());
        assert_eq!(io_kind(storage.create("wal/1.wal").unwrap_err()), std::io::ErrorKind::NotFound);
        assert_eq!(io_kind(storage.open("nothing").unwrap_err()), std::io::ErrorKind::NotFound);
        storage.create_dir("wal").unwrap();
        storage.create_dir("wal").unwrap();
        drop(storage.create("wal/2.wal").unwrap());
        drop(storage.create("wal/10.wal").unwrap());
        assert_eq!(io_kind(storage.create("wal/2.wal").unwrap_err()), std::io::ErrorKind::AlreadyExists);
        assert_eq!(storage.list("wal").unwrap(), ["10.wal", "2.wal"]);
        storage.rename("wal/2.wal", "wal/10.wal").unwrap();
        storage.remove("wal/2.wal").unwrap();
        assert_eq!(storage.list("wal").unwrap(), ["10.wal"]);
        assert!(storage.rename("wal/2.wal", "wal/3.wal").is_err());
        assert!(storage.create("../escape").is_err());
        assert!(storage.open("/etc/passwd").is_err());
        assert!(storage.remove("wal/../../x").is_err());
    });
}

#[test]
fn publish_replaces() {
    on_each_storage(|storage| {
        storage.publish("", "CURRENT", b"one").unwrap();
        let old = storage.open("CURRENT").unwrap();
        storage.publish("", "CURRENT", b"second").unwrap();
        assert_eq!(old.read(0..3).unwrap().as_slice(), b"one");
        assert_eq!(storage.open("CURRENT").unwrap().read(0..6).unwrap().as_slice(), b"second");
    });
}

#[test]
fn removed_files_serve_their_readers() {
    on_each_storage(|storage| {
        storage.publish("", "x", b"hello").unwrap();
        let reader = storage.open("x").unwrap();
        let view = reader.read(1..5).unwrap();
        storage.remove("x").unwrap();
        drop(Arc::clone(&reader));
        assert_eq!(reader.read(0..5).unwrap().as_slice(), b"hello");
        drop(reader);
        assert_eq!(view.as_slice(), b"ello");
    });
}

#[test]
fn one_lock_at_a_time() {
    on_each_storage(|storage| {
        let guard = storage.lock().unwrap();
        assert!(matches!(storage.lock(), Err(Error::Busy { .. })));
        drop(guard);
        drop(storage.lock().unwrap());
    });
}
