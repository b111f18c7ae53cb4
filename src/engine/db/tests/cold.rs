//! How often a point read of files that are not mapped goes to the disk, and for how many bytes.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::buffer::Buffer;

use super::support::{key, keyed, rows, small};
use crate::io::{Cache, FileReader, FileWriter, LocalOptions, LocalStorage, LockGuard, Storage};
use crate::{Engine, Options, Result, TableName, WriteBatch};

/// Reads, and the bytes of the longest.
#[derive(Debug, Default)]
struct Reads(AtomicU64, AtomicU64);

impl Reads {
    fn take(&self) -> (u64, u64) {
        (self.0.swap(0, Ordering::Relaxed), self.1.swap(0, Ordering::Relaxed))
    }
}

/// A folder whose reads are counted.
#[derive(Debug)]
struct Counted(LocalStorage, Arc<Reads>);

#[derive(Debug)]
struct CountedReader(Arc<dyn FileReader>, Arc<Reads>);

impl FileReader for CountedReader {
    fn path(&self) -> &str {
        self.0.path()
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        self.1.0.fetch_add(1, Ordering::Relaxed);
        self.1.1.fetch_max(range.end - range.start, Ordering::Relaxed);
        self.0.read(range)
    }
    fn is_mapped(&self) -> bool {
        self.0.is_mapped()
    }
    fn check_len(&self) -> Result<()> {
        self.0.check_len()
    }
}

impl Storage for Counted {
    fn describe(&self) -> String {
        self.0.describe()
    }
    fn create_dir(&self, dir: &str) -> Result<()> {
        self.0.create_dir(dir)
    }
    fn create(&self, path: &str) -> Result<Box<dyn FileWriter>> {
        self.0.create(path)
    }
    fn open(&self, path: &str) -> Result<Arc<dyn FileReader>> {
        Ok(Arc::new(CountedReader(self.0.open(path)?, Arc::clone(&self.1))))
    }
    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.0.list(dir)
    }
    fn remove(&self, path: &str) -> Result<()> {
        self.0.remove(path)
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.0.rename(from, to)
    }
    fn sync_dir(&self, dir: &str) -> Result<()> {
        self.0.sync_dir(dir)
    }
    fn lock(&self) -> Result<Box<dyn LockGuard>> {
        self.0.lock()
    }
    fn cache(&self) -> Option<&Arc<Cache>> {
        self.0.cache()
    }
}

fn open(folder: &Path, batch_rows: usize, reads: &Arc<Reads>) -> Arc<Engine> {
    let local = LocalOptions { mmap: false, cache_bytes: 64 << 20, ..LocalOptions::default() };
    let storage = Counted(LocalStorage::open(folder, local).unwrap(), Arc::clone(reads));
    let options = Options { batch_rows, file_bytes: 8 << 20, ..small() };
    Engine::open(Arc::new(storage), options).unwrap()
}

/// Four files that all span the keys, every other of which is there; 100 bytes a row.
fn fill(engine: &Engine) {
    let table = keyed(engine, "t");
    let text = "x".repeat(88);
    for file in 0..4 {
        let pairs: Vec<(i64, &str)> = (0..5000).map(|i| ((i * 4 + file) * 2, text.as_str())).collect();
        let mut batch = WriteBatch::new();
        batch.upsert(&table, &rows(&pairs)).unwrap();
        engine.commit(batch).unwrap();
        engine.flush().unwrap();
    }
    assert_eq!(engine.files().iter().filter(|file| file.kind == "sst").count(), 4);
    engine.close().unwrap();
}

/// Reads of one get of each of these keys, each in a database just opened whose files are open: how many, and the longest.
fn reads_of(batch_rows: usize, ids: &[i64]) -> Vec<(bool, u64, u64)> {
    let (folder, reads) = (tempfile::tempdir().unwrap(), Arc::new(Reads::default()));
    fill(&open(folder.path(), batch_rows, &reads));
    let get = |id: &i64| {
        let engine = open(folder.path(), batch_rows, &reads);
        let view = engine.snapshot().unwrap().table(&TableName::public("t")).unwrap();
        // Loads fences and filters of all four, and no rows.
        engine.snapshot().unwrap().table(&TableName::public("t")).unwrap().parts().unwrap();
        reads.take();
        let found = view.get(&key(*id), None).unwrap().is_some();
        let (count, longest) = reads.take();
        (found, count, longest)
    };
    ids.iter().map(get).collect()
}

#[test]
fn a_cold_get_of_small_batches_reads_once() {
    let ids: Vec<i64> = (0..40).map(|i| i * 997).collect();
    let outcomes = reads_of(256, &ids);
    for ((found, count, longest), id) in outcomes.iter().zip(&ids) {
        assert_eq!(*found, id % 2 == 0, "{id}");
        if *found {
            assert_eq!(*count, 1, "{id}");
        } else {
            assert!(*count <= 1, "{id}: a filter that is wrong costs a read, {count}");
        }
        assert!(*longest <= 36 << 10, "{id}: {longest}");
    }
    let absent: u64 = outcomes.iter().filter(|outcome| !outcome.0).map(|outcome| outcome.1).sum();
    assert!(absent <= 4, "filters spare nearly all absent keys: {absent}");
}

#[test]
fn a_cold_get_of_large_batches_reads_its_key_and_its_row() {
    for (found, count, _) in reads_of(8192, &[0, 994, 1994, 20_002]) {
        assert!(found && count <= 4, "{count}");
    }
}
