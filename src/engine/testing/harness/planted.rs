//! Storages with a bug, to prove that the harnesses bite: a harness that passes on one of them tests nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use trilith_engine::format::layout;
use trilith_engine::io::{FileReader, FileWriter, LockGuard, Storage};
use trilith_engine::testing::SimStorage;
use trilith_engine::{FileId, Result};

use crate::seals;

/// What a planted storage does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// Folders are not synced.
    SkipFolderSync,
    /// Files are not synced.
    SkipFileSync,
    /// Files of large values are not synced.
    SkipBlobSync,
    /// A failed sync is reported as done.
    HideFailedSync,
    /// A failed or short write is reported as done.
    HideFailedWrite,
    /// Every so often a bit of what is written flips on its way.
    FlipOnWrite,
    /// Sorted files leave the disk with the manifest that does not name them any more, whoever still reads them.
    RemoveWhileRead,
}

/// A simulated disk behind a layer that may have a bug.
#[derive(Debug)]
pub struct Planted {
    disk: SimStorage,
    bug: Option<Bug>,
    writes: Arc<AtomicU64>,
}

impl Planted {
    /// `bug` over `disk`.
    pub fn new(disk: SimStorage, bug: Option<Bug>) -> Self {
        Self { disk, bug, writes: Arc::default() }
    }
}

impl Planted {
    /// The sorted files that the live manifest names.
    fn named_files(&self) -> BTreeSet<FileId> {
        let mut files = BTreeSet::new();
        if self.bug == Some(Bug::RemoveWhileRead) {
            let _ = seals::reseal(&self.disk.kill_image(), |payload| {
                seals::data_files(&serde_json::from_slice(payload).ok()?, &mut files);
                None
            });
        }
        files
    }
}

impl Storage for Planted {
    fn describe(&self) -> String {
        self.disk.describe()
    }

    fn create_dir(&self, dir: &str) -> Result<()> {
        self.disk.create_dir(dir)
    }

    fn create(&self, path: &str) -> Result<Box<dyn FileWriter>> {
        let file = self.disk.create(path)?;
        let Some(bug) = self.bug else { return Ok(file) };
        Ok(Box::new(PlantedWriter { file, bug, writes: Arc::clone(&self.writes) }))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn FileReader>> {
        self.disk.open(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.disk.remove(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let before = self.named_files();
        self.disk.rename(from, to)?;
        if self.bug == Some(Bug::RemoveWhileRead) {
            let after = self.named_files();
            let paths = |file: &FileId| [layout::sst(*file), layout::sum(*file), layout::blob(*file)];
            let gone = before.difference(&after).flat_map(paths);
            gone.for_each(|path| drop(self.disk.remove(&path)));
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        if self.bug == Some(Bug::SkipFolderSync) { Ok(()) } else { self.disk.sync_dir(dir) }
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>> {
        self.disk.lock()
    }
}

#[derive(Debug)]
struct PlantedWriter {
    file: Box<dyn FileWriter>,
    bug: Bug,
    writes: Arc<AtomicU64>,
}

impl FileWriter for PlantedWriter {
    fn path(&self) -> &str {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match self.bug {
            Bug::HideFailedWrite => {
                let _ = self.file.append(bytes);
                Ok(())
            }
            Bug::FlipOnWrite if self.writes.fetch_add(1, Ordering::Relaxed) % 7 == 3 && !bytes.is_empty() => {
                let mut flipped = bytes.to_vec();
                flipped[bytes.len() / 2] ^= 4;
                self.file.append(&flipped)
            }
            _ => self.file.append(bytes),
        }
    }

    fn sync(&mut self) -> Result<()> {
        match self.bug {
            Bug::SkipFileSync => Ok(()),
            Bug::SkipBlobSync if self.file.path().starts_with(layout::BLOB_DIR) => Ok(()),
            Bug::HideFailedSync => {
                let _ = self.file.sync();
                Ok(())
            }
            _ => self.file.sync(),
        }
    }

    fn reserve(&mut self, len: u64) -> u64 {
        self.file.reserve(len)
    }

    fn trim(&mut self) {
        self.file.trim();
    }
}
