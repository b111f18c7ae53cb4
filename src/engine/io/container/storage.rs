//! A container as a place that holds a database, for reading.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::buffer::Buffer;
use xxhash_rust::xxh3::Xxh3;

use super::directory::{self, Directory, Member, show_hash};
use crate::common::{ClosedReason, Error, Result};
use crate::io::path::{check_dir, check_path, split};
use crate::io::storage::check_range;
use crate::io::{Cache, FileReader, FileWriter, LockGuard, Stamp, Storage};

/// Bytes hashed at a time.
const STEP: u64 = 1 << 20;

/// A database in a single file.
#[derive(Debug)]
pub struct ContainerStorage {
    file: Arc<dyn FileReader>,
    directory: Directory,
    cache: Option<Arc<Cache>>,
}

impl ContainerStorage {
    /// True when `path` leads to a regular file, and so to no folder of a database.
    #[must_use]
    pub fn is_at(path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| found.is_file())
    }

    /// Opens a container.
    ///
    /// # Errors
    /// `Invalid` for a file that is none, `Corrupt` for one that was cut or changed, `Unsupported` for one of a newer
    /// format, `Io`.
    pub fn open(file: Arc<dyn FileReader>) -> Result<Self> {
        let head = file.load(0..file.len().min(8))?;
        if head[..] != directory::CONTAINER_MAGIC {
            return Err(Error::invalid(
                file.path(),
                "not a folder, nor a database in a single file; name the folder of a database, or a new one",
            ));
        }
        let directory = directory::read(&*file)?;
        Ok(Self { file, directory, cache: None })
    }

    /// The same with memory for what readers make of members.
    #[must_use]
    pub fn with_cache(self, cache: Option<Arc<Cache>>) -> Self {
        Self { cache, ..self }
    }

    /// What it holds, by path.
    pub fn members(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.directory.members.iter()
    }

    fn hash(&self, range: Range<u64>) -> Result<u128> {
        let mut hash = Xxh3::new();
        for start in range.clone().step_by(STEP as usize) {
            hash.update(&self.file.load(start..(start + STEP).min(range.end))?);
        }
        Ok(hash.digest128())
    }

    /// The first member whose bytes are not those that were written.
    fn damaged(&self) -> Result<Option<(&String, u64)>> {
        for (path, member) in self.members() {
            if show_hash(self.hash(member.offset..member.offset + member.len)?) != member.hash {
                return Ok(Some((path, member.offset)));
            }
        }
        Ok(None)
    }
}

const SEALED: Error = Error::Closed(ClosedReason::SingleFile);

impl Storage for ContainerStorage {
    fn describe(&self) -> String {
        self.file.path().to_owned()
    }

    fn create_dir(&self, _: &str) -> Result<()> {
        Err(SEALED)
    }

    fn create(&self, _: &str) -> Result<Box<dyn FileWriter>> {
        Err(SEALED)
    }

    fn open(&self, path: &str) -> Result<Arc<dyn FileReader>> {
        check_path(path)?;
        let found = self.directory.members.get(path);
        let member = found.ok_or_else(|| Error::io("open", path, io::ErrorKind::NotFound.into()))?;
        Ok(Arc::new(MemberReader::new(path, member, Arc::clone(&self.file))))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        check_dir(dir)?;
        let here = self.directory.members.keys().map(|path| split(path)).filter(|(found, _)| *found == dir);
        Ok(here.map(|(_, name)| name.to_owned()).collect())
    }

    fn remove(&self, _: &str) -> Result<()> {
        Err(SEALED)
    }

    fn rename(&self, _: &str, _: &str) -> Result<()> {
        Err(SEALED)
    }

    fn sync_dir(&self, _: &str) -> Result<()> {
        Err(SEALED)
    }

    fn stamp(&self, _: &str) -> Result<Option<Stamp>> {
        // Nothing in it changes, and whatever gets its name is another file.
        self.file.stamp()
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>> {
        Err(SEALED)
    }

    fn is_sealed(&self) -> bool {
        true
    }

    fn cache(&self) -> Option<&Arc<Cache>> {
        self.cache.as_ref()
    }

    fn verify(&self) -> Result<()> {
        let footer = self.directory.footer;
        self.file.check_len()?;
        if self.hash(0..footer.offset)? == footer.content {
            return Ok(());
        }
        let (what, at) = match self.damaged()? {
            Some((path, at)) => (format!("its member {path} does not match its hash"), at),
            None => ("bytes between its members are not those that were written".to_owned(), 0),
        };
        Err(Error::corrupt(self.file.path(), at, what))
    }
}

/// One member.
#[derive(Debug)]
pub(super) struct MemberReader {
    path: String,
    file: Arc<dyn FileReader>,
    start: u64,
    len: u64,
}

impl MemberReader {
    /// A member of the container in `file`.
    pub(super) fn new(path: &str, member: &Member, file: Arc<dyn FileReader>) -> Self {
        Self { path: path.to_owned(), file, start: member.offset, len: member.len }
    }

    fn range(&self, range: &Range<u64>) -> Result<Range<u64>> {
        check_range(&self.path, self.len, range)?;
        Ok(self.start + range.start..self.start + range.end)
    }
}

impl FileReader for MemberReader {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        self.file.read(self.range(&range)?)
    }

    fn load(&self, range: Range<u64>) -> Result<Buffer> {
        self.file.load(self.range(&range)?)
    }

    fn is_mapped(&self) -> bool {
        self.file.is_mapped()
    }

    fn check_len(&self) -> Result<()> {
        self.file.check_len()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        self.file.stamp()
    }
}
