//! What every storage must do, run on each.

use std::sync::Arc;
use std::time::Duration;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

use super::{Bucket, BucketFaults, SimStorage};
use crate::common::Error;
use crate::io::object::{CloudObjects, Objects};
use crate::io::{LocalOptions, LocalStorage, MemoryStorage, ObjectStorage, ObjectTuning, Storage};

fn on_each_storage(check: impl Fn(&dyn Storage)) {
    on_each_folder(&check);
    for keep_removed in [Duration::ZERO, Duration::from_secs(300)] {
        let dir = tempfile::tempdir().unwrap();
        let local = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
        let objects: [Arc<dyn Objects>; 3] = [
            Arc::new(Bucket::new(1, BucketFaults::default(), None).client("test")),
            Arc::new(CloudObjects::new(Arc::new(InMemory::new()), "a/b".into(), "memory".into())),
            Arc::new(CloudObjects::new(Arc::new(local), "shop".into(), "folder".into())),
        ];
        for objects in objects {
            check(&ObjectStorage::new(objects, ObjectTuning { keep_removed, ..ObjectTuning::default() }));
        }
    }
}

/// Those that know folders.
fn on_each_folder(check: &impl Fn(&dyn Storage)) {
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
        let _lock = storage.lock().unwrap();
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
fn a_file_needs_its_folder() {
    on_each_folder(&|storage: &dyn Storage| {
        assert_eq!(io_kind(storage.create("wal/1.wal").unwrap_err()), std::io::ErrorKind::NotFound);
    });
}

#[test]
fn publish_replaces() {
    on_each_storage(|storage| {
        let _lock = storage.lock().unwrap();
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
        let _lock = storage.lock().unwrap();
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
fn named_files_grow_with_each_sync() {
    on_each_storage(|storage| {
        let lock = storage.lock().unwrap();
        storage.create_dir("wal").unwrap();
        let mut file = storage.create("wal/1.wal.new").unwrap();
        let mut wanted = vec![7; 100];
        file.append(&wanted).unwrap();
        file.sync().unwrap();
        storage.rename("wal/1.wal.new", "wal/1.wal").unwrap();
        for step in 0..200_u8 {
            let bytes = vec![step; usize::from(step) * 3];
            file.append(&bytes).unwrap();
            file.sync().unwrap();
            wanted.extend(bytes);
        }
        let reader = storage.open("wal/1.wal").unwrap();
        let len = wanted.len() as u64;
        assert_eq!(reader.load(0..len).unwrap().as_slice(), wanted);
        assert_eq!(reader.load(99..5000).unwrap().as_slice(), &wanted[99..5000]);
        assert_eq!(storage.list("wal").unwrap(), ["1.wal"]);
        storage.remove("wal/1.wal").unwrap();
        assert_eq!(storage.list("wal").unwrap(), Vec::<String>::new());
        drop((file, lock));
    });
}

#[test]
fn long_files_come_back() {
    on_each_storage(|storage| {
        storage.create_dir("sst").unwrap();
        storage.create_dir("idx").unwrap();
        let bytes: Vec<u8> = (0..20_000_000_u32).map(|at| (at >> 8) as u8 ^ at as u8).collect();
        let mut file = storage.create("sst/1.arrow").unwrap();
        bytes.chunks(3_000_000).for_each(|some| file.append(some).unwrap());
        file.sync().unwrap();
        storage.write_draft("idx/1.new", &bytes).unwrap();
        storage.rename("idx/1.new", "idx/1").unwrap();
        for path in ["sst/1.arrow", "idx/1"] {
            let reader = storage.open(path).unwrap();
            assert_eq!(reader.len(), bytes.len() as u64);
            for range in [0..20_000_000, 1_048_575..1_048_577, 2_097_152..5_000_000, 19_999_999..20_000_000] {
                let part = &bytes[range.start as usize..range.end as usize];
                assert!(reader.read(range).unwrap().as_slice() == part);
            }
        }
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
