//! A database that lives and dies with its process: `":memory:"`.
//!
//! Buffers are shared with readers without a copy. Syncs do nothing. Files keep existing for the readers
//! that hold them after they are removed, as on a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::{Buffer, MutableBuffer};

use super::path::{check_dir, check_path, split};
use super::{FileReader, FileWriter, LockGuard, Storage};
use crate::common::sync::Mutex;
use crate::common::{Error, Result};

/// Bytes that grow at the end and can be seen without a copy.
#[derive(Debug, Default)]
pub(crate) struct MemoryFile(Mutex<Buffer>);

impl MemoryFile {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(Mutex::new(Buffer::from(bytes)))
    }

    /// Appends, in place while nobody else holds the bytes.
    pub(crate) fn append(&self, bytes: &[u8]) {
        let mut held = self.0.lock();
        let mut grown = std::mem::take(&mut *held).into_mutable().unwrap_or_else(|shared| {
            let mut copy = MutableBuffer::new(shared.len() + bytes.len());
            copy.extend_from_slice(&shared);
            copy
        });
        grown.extend_from_slice(bytes);
        *held = grown.into();
    }

    /// Everything appended so far.
    pub(crate) fn bytes(&self) -> Buffer {
        self.0.lock().clone()
    }
}

#[derive(Debug, Default)]
struct State {
    dirs: BTreeSet<String>,
    files: BTreeMap<String, Arc<MemoryFile>>,
    locked: bool,
}

/// A folder held in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    state: Arc<Mutex<State>>,
}

impl MemoryStorage {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Storage for MemoryStorage {
    fn is_durable(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        ":memory:".to_owned()
    }

    fn create_dir(&self, dir: &str) -> Result<()> {
        check_dir(dir)?;
        self.state.lock().dirs.insert(dir.to_owned());
        Ok(())
    }

    fn create(&self, path: &str) -> Result<Box<dyn FileWriter>> {
        check_path(path)?;
        let mut state = self.state.lock();
        let (dir, _) = split(path);
        if !dir.is_empty() && !state.dirs.contains(dir) {
            return Err(Error::io("create", path, io::ErrorKind::NotFound.into()));
        }
        if state.files.contains_key(path) {
            return Err(Error::io("create", path, io::ErrorKind::AlreadyExists.into()));
        }
        let file = Arc::<MemoryFile>::default();
        state.files.insert(path.to_owned(), Arc::clone(&file));
        Ok(Box::new(MemoryWriter { path: path.to_owned(), file, len: 0 }))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn FileReader>> {
        check_path(path)?;
        let state = self.state.lock();
        let found = state.files.get(path);
        let file = found.ok_or_else(|| Error::io("open", path, io::ErrorKind::NotFound.into()))?;
        Ok(Arc::new(MemoryReader { path: path.to_owned(), bytes: file.bytes() }))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        check_dir(dir)?;
        let state = self.state.lock();
        let here = state.files.keys().map(|path| split(path)).filter(|(found, _)| *found == dir);
        Ok(here.map(|(_, name)| name.to_owned()).collect())
    }

    fn remove(&self, path: &str) -> Result<()> {
        check_path(path)?;
        self.state.lock().files.remove(path);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check_path(from)?;
        check_path(to)?;
        let mut state = self.state.lock();
        let file = state
            .files
            .remove(from)
            .ok_or_else(|| Error::io("rename", from, io::ErrorKind::NotFound.into()))?;
        state.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        check_dir(dir)
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>> {
        let mut state = self.state.lock();
        if state.locked {
            return Err(Error::Busy { path: self.describe(), holder: "this process".into() });
        }
        state.locked = true;
        Ok(Box::new(MemoryLock(Arc::clone(&self.state))))
    }
}

#[derive(Debug)]
struct MemoryWriter {
    path: String,
    file: Arc<MemoryFile>,
    len: u64,
}

impl FileWriter for MemoryWriter {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.append(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryReader {
    path: String,
    bytes: Buffer,
}

impl FileReader for MemoryReader {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        let (start, len) = super::storage::check_range(&self.path, self.len(), &range)?;
        Ok(self.bytes.slice_with_length(start, len))
    }

    fn is_mapped(&self) -> bool {
        true
    }

    fn check_len(&self) -> Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryLock(Arc<Mutex<State>>);

impl LockGuard for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.lock().locked = false;
    }
}
