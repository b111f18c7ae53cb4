//! The cache on the local disk: what it spares, what it survives, and that nobody takes it for the truth.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::memory::InMemory;

use super::reader::PIECE_LEN;
use super::{
    CloudObjects, DiskCache, ObjectStorage, ObjectTuning, Objects, Opened, Patience, Trouble, Upload,
};
use crate::io::Storage;

const PATH: &str = "sst/4294967297.arrow";

/// A store that counts the bytes of objects that it hands out.
#[derive(Debug)]
struct Counting(CloudObjects, AtomicU64);

impl Counting {
    fn new() -> Arc<Self> {
        let objects = CloudObjects::new(Arc::new(InMemory::new()), "db".into(), "memory://db".into());
        Arc::new(Self(objects, AtomicU64::new(0)))
    }

    /// Bytes handed out since this was asked last.
    fn bytes(&self) -> u64 {
        self.1.swap(0, Ordering::Relaxed)
    }

    fn count(&self, bytes: &Bytes) {
        self.1.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
}

impl Objects for Counting {
    fn describe(&self) -> String {
        self.0.describe()
    }
    fn put(&self, name: &str, bytes: Bytes) -> Result<(), Trouble> {
        self.0.put(name, bytes)
    }
    fn put_new(&self, name: &str, bytes: Bytes) -> Result<(), Trouble> {
        self.0.put_new(name, bytes)
    }
    fn upload(&self, name: &str) -> Result<Box<dyn Upload>, Trouble> {
        self.0.upload(name)
    }
    fn open(&self, name: &str, len: u64, unless: Option<&str>) -> Result<Option<Opened>, Trouble> {
        let opened = self.0.open(name, len, unless)?;
        opened.iter().for_each(|opened| self.count(&opened.first));
        Ok(opened)
    }
    fn get(&self, name: &str) -> Result<Bytes, Trouble> {
        self.0.get(name)
    }
    fn ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Trouble> {
        let found = self.0.ranges(name, ranges)?;
        found.iter().for_each(|bytes| self.count(bytes));
        Ok(found)
    }
    fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, Trouble> {
        self.0.list(folder, after)
    }
    fn delete(&self, name: &str) -> Result<(), Trouble> {
        self.0.delete(name)
    }
}

/// What another process would be: nothing in memory, the same folder.
fn process(objects: &Arc<Counting>, folder: &Path, budget: u64) -> ObjectStorage {
    let patience = Patience { attempts: 3, pause: Duration::ZERO };
    let tuning = ObjectTuning { cache_bytes: 0, keep_removed: Duration::ZERO, patience };
    let storage = ObjectStorage::new(Arc::clone(objects) as Arc<dyn Objects>, tuning);
    storage.with_disk(DiskCache::new(folder, budget).unwrap())
}

fn content(seed: u64, len: u64) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(seed) >> 3) as u8).collect()
}

fn read(storage: &ObjectStorage, path: &str) -> Vec<u8> {
    let file = storage.open(path).unwrap();
    file.read(0..file.len()).unwrap().to_vec()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let inside = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        inside(folder.to_owned()).filter(|path| path.is_dir()).flat_map(inside).collect();
    files.sort();
    files
}

fn held(folder: &Path) -> u64 {
    files(folder).iter().map(|file| fs::metadata(file).unwrap().len()).sum()
}

#[test]
fn what_was_read_once_is_not_fetched_again() {
    let (objects, folder) = (Counting::new(), tempfile::tempdir().unwrap());
    let bytes = content(7, 3 * PIECE_LEN + 1000);
    objects.put(PATH, bytes.clone().into()).unwrap();
    assert_eq!(read(&process(&objects, folder.path(), 1 << 30), PATH), bytes);
    assert_eq!(objects.bytes(), bytes.len() as u64);
    for _ in 0..2 {
        assert_eq!(read(&process(&objects, folder.path(), 1 << 30), PATH), bytes);
        assert_eq!(objects.bytes(), 0);
    }
}

#[test]
fn a_damaged_piece_is_fetched_again_and_mended() {
    let (objects, folder) = (Counting::new(), tempfile::tempdir().unwrap());
    let bytes = content(7, 2 * PIECE_LEN + 500);
    objects.put(PATH, bytes.clone().into()).unwrap();
    read(&process(&objects, folder.path(), 1 << 30), PATH);
    let damages: [fn(&mut Vec<u8>); 4] =
        [|file| file[1] ^= 1, |file| file.truncate(50), Vec::clear, |file| file.push(0)];
    for damage in damages {
        let pieces = files(folder.path());
        assert_eq!(pieces.len(), 3);
        for piece in &pieces {
            let mut file = fs::read(piece).unwrap();
            damage(&mut file);
            fs::write(piece, file).unwrap();
        }
        objects.bytes();
        assert_eq!(read(&process(&objects, folder.path(), 1 << 30), PATH), bytes);
        assert_eq!(objects.bytes(), bytes.len() as u64);
        assert_eq!(read(&process(&objects, folder.path(), 1 << 30), PATH), bytes);
        assert_eq!(objects.bytes(), 0);
    }
}

#[test]
fn pieces_that_changed_places_are_not_taken() {
    let (objects, folder) = (Counting::new(), tempfile::tempdir().unwrap());
    let bytes = content(9, 3 * PIECE_LEN);
    objects.put(PATH, bytes.clone().into()).unwrap();
    read(&process(&objects, folder.path(), 1 << 30), PATH);
    let pieces = files(folder.path());
    fs::copy(&pieces[2], &pieces[1]).unwrap();
    assert_eq!(read(&process(&objects, folder.path(), 1 << 30), PATH), bytes);
}

#[test]
fn an_object_that_took_the_place_of_another_is_not_taken_for_it() {
    let (objects, folder) = (Counting::new(), tempfile::tempdir().unwrap());
    for seed in 1..4 {
        let bytes = content(seed, 2 * PIECE_LEN);
        // Another database at the same address gives out the same numbers.
        objects.put(PATH, bytes.clone().into()).unwrap();
        assert_eq!(read(&process(&objects, folder.path(), 1 << 30), PATH), bytes);
    }
    objects.delete(PATH).unwrap();
    let gone = process(&objects, folder.path(), 1 << 30).open(PATH).unwrap_err();
    assert_eq!(gone.kind(), crate::ErrorKind::Io, "the cache does not say what there is: {gone}");
}

#[test]
fn the_budget_holds_and_what_was_read_longest_ago_goes() {
    let (objects, folder) = (Counting::new(), tempfile::tempdir().unwrap());
    let budget = 400_000;
    fs::write(folder.path().join("somebody else's"), [0; 999]).unwrap();
    let path = |i: u64| format!("sst/{i}.arrow");
    for i in 0..40 {
        objects.put(&path(i), content(i + 1, 20_000).into()).unwrap();
    }
    let storage = process(&objects, folder.path(), budget);
    for i in 0..40 {
        assert_eq!(read(&storage, &path(i)), content(i + 1, 20_000));
        assert!(held(folder.path()) <= budget, "{}", held(folder.path()));
        // The first one is read again and again; no two moments are alike.
        read(&storage, &path(0));
        let old = SystemTime::now() - Duration::from_secs(1000 - i);
        for file in files(folder.path()) {
            let file = fs::File::open(file).unwrap();
            if file.metadata().unwrap().modified().unwrap().elapsed().unwrap() < Duration::from_secs(500) {
                file.set_modified(old).unwrap();
            }
        }
    }
    assert!(held(folder.path()) > budget / 2, "{}", held(folder.path()));
    objects.bytes();
    let again = process(&objects, folder.path(), budget);
    read(&again, &path(0));
    read(&again, &path(39));
    assert_eq!(objects.bytes(), 0);
    read(&again, &path(1));
    assert_eq!(objects.bytes(), 20_000);
    assert!(folder.path().join("somebody else's").exists());
}

#[test]
fn processes_that_share_a_folder_read_what_is_there() {
    let (objects, folder) = (Counting::new(), tempfile::tempdir().unwrap());
    let path = |i: u64| format!("sst/{i}.arrow");
    for i in 0..20 {
        objects.put(&path(i), content(i + 1, 30_000).into()).unwrap();
    }
    std::thread::scope(|scope| {
        for start in 0..4_u64 {
            let (objects, folder) = (&objects, folder.path());
            scope.spawn(move || {
                let storage = process(objects, folder, 250_000);
                for i in 0..200 {
                    let i = (i * 7 + start * 5) % 20;
                    assert_eq!(read(&storage, &path(i)), content(i + 1, 30_000));
                }
            });
        }
    });
}

#[test]
fn a_folder_that_cannot_be_used_costs_nothing_but_time() {
    let (objects, folder) = (Counting::new(), tempfile::tempdir().unwrap());
    let cache = folder.path().join("cache");
    let storage = process(&objects, &cache, 1 << 30);
    fs::remove_dir(&cache).unwrap();
    fs::write(&cache, b"now a file").unwrap();
    objects.put(PATH, content(3, 5000).into()).unwrap();
    assert_eq!(read(&storage, PATH), content(3, 5000));
    let refused = DiskCache::new(&cache, 1).unwrap_err().to_string();
    assert!(refused.contains("make the cache folder"), "{refused}");
}
