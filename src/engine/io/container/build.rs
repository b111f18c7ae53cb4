//! A container being written: a place that takes one file after another and lays them into one.
//!
//! Rows stream through; what is small and renamed on its way (CURRENT, the manifest) waits in memory for the end. A file
//! is whole with its sync. What was begun and not finished, or was removed again, leaves bytes that no member names.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::directory::{Footer, Member, header, padding, show_hash};
use super::storage::MemberReader;
use crate::common::sync::Mutex;
use crate::common::{Error, Result};
use crate::io::path::{check_dir, check_path, split};
use crate::io::{FileReader, FileWriter, LockGuard, MemoryStorage, Storage};

/// Opens the file that a container is written to, for reading what is in it so far.
pub type Reopen = Box<dyn Fn() -> Result<Arc<dyn FileReader>> + Send + Sync>;

/// A container being written. Clones write to the same one.
#[derive(Clone, Debug)]
pub struct ContainerWriter(Arc<Mutex<Build>>);

/// What is written so far.
struct Build {
    sink: Box<dyn FileWriter>,
    reopen: Reopen,
    content: Xxh3,
    members: BTreeMap<String, Member>,
    /// The member that is being appended to.
    open: Option<String>,
    small: MemoryStorage,
}

impl std::fmt::Debug for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Build")
            .field("sink", &self.sink)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

impl Build {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.append(bytes)?;
        self.content.update(bytes);
        Ok(())
    }

    fn align(&mut self) -> Result<()> {
        let zeros = [0; super::directory::ALIGN as usize];
        self.append(&zeros[..padding(self.sink.len())])
    }

    fn add(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.align()?;
        let (offset, len) = (self.sink.len(), bytes.len() as u64);
        self.append(bytes)?;
        self.members.insert(path.to_owned(), Member { offset, len, hash: show_hash(xxh3_128(bytes)) });
        Ok(())
    }
}

impl ContainerWriter {
    /// Begins one in a new file, which `reopen` reads.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn new(sink: Box<dyn FileWriter>, reopen: Reopen) -> Result<Self> {
        let (members, small) = (BTreeMap::new(), MemoryStorage::new());
        let mut build = Build { sink, reopen, content: Xxh3::new(), members, open: None, small };
        build.append(&header())?;
        Ok(Self(Arc::new(Mutex::new(build))))
    }

    /// Writes what waits, the directory and the footer, syncs it all, and returns the bytes of the container.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&self, dirs: &[&str]) -> Result<u64> {
        let mut build = self.0.lock();
        for dir in [""].iter().chain(dirs) {
            for name in build.small.list(dir)? {
                let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
                let file = build.small.open(&path)?;
                build.add(&path, &file.read(0..file.len())?)?;
            }
        }
        build.align()?;
        let listed =
            serde_json::to_vec(&build.members).map_err(|error| Error::Internal(error.to_string()))?;
        let (offset, len, content) = (build.sink.len(), listed.len() as u64, build.content.digest128());
        build.append(&listed)?;
        build.align()?;
        build.append(&Footer { offset, len, hash: xxh3_128(&listed), content }.encode())?;
        build.sink.sync()?;
        Ok(build.sink.len())
    }

    /// True for what waits in memory.
    fn is_small(path: &str) -> bool {
        !matches!(split(path).1.rsplit_once('.'), Some((_, "arrow" | "sum" | "del" | "codes")))
    }
}

impl Storage for ContainerWriter {
    fn describe(&self) -> String {
        self.0.lock().sink.path().to_owned()
    }

    fn create_dir(&self, dir: &str) -> Result<()> {
        self.0.lock().small.create_dir(dir)
    }

    fn create(&self, path: &str) -> Result<Box<dyn FileWriter>> {
        check_path(path)?;
        let mut build = self.0.lock();
        if Self::is_small(path) {
            return build.small.create(path);
        }
        if build.members.contains_key(path) {
            return Err(Error::io("create", path, io::ErrorKind::AlreadyExists.into()));
        }
        if let Some(open) = &build.open {
            return Err(Error::Internal(format!("{path} is begun in a container before {open} is whole")));
        }
        build.align()?;
        build.open = Some(path.to_owned());
        let (offset, hash) = (build.sink.len(), Xxh3::new());
        Ok(Box::new(MemberWriter { build: Arc::clone(&self.0), path: path.to_owned(), offset, len: 0, hash }))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn FileReader>> {
        let build = self.0.lock();
        match build.members.get(path) {
            Some(member) => Ok(Arc::new(MemberReader::new(path, member, (build.reopen)()?))),
            None => build.small.open(path),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        check_dir(dir)?;
        let build = self.0.lock();
        let mut names = build.small.list(dir)?;
        let here = build.members.keys().map(|path| split(path)).filter(|(found, _)| *found == dir);
        names.extend(here.map(|(_, name)| name.to_owned()));
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, path: &str) -> Result<()> {
        let mut build = self.0.lock();
        build.members.remove(path);
        build.small.remove(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        check_path(to)?;
        let mut build = self.0.lock();
        match build.members.remove(from) {
            Some(member) => {
                build.members.insert(to.to_owned(), member);
                Ok(())
            }
            None => build.small.rename(from, to),
        }
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        check_dir(dir)
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>> {
        self.0.lock().small.lock()
    }
}

/// The member at the end of a container.
struct MemberWriter {
    build: Arc<Mutex<Build>>,
    path: String,
    offset: u64,
    len: u64,
    hash: Xxh3,
}

impl std::fmt::Debug for MemberWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemberWriter")
            .field("path", &self.path)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl FileWriter for MemberWriter {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let mut build = self.build.lock();
        if build.open.as_deref() != Some(&self.path) {
            return Err(Error::Internal(format!("{} is whole in its container", self.path)));
        }
        build.append(bytes)?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let mut build = self.build.lock();
        if build.open.as_deref() == Some(&self.path) {
            build.open = None;
            let (offset, len, hash) = (self.offset, self.len, show_hash(self.hash.digest128()));
            build.members.insert(self.path.clone(), Member { offset, len, hash });
        }
        Ok(())
    }
}

impl Drop for MemberWriter {
    fn drop(&mut self) {
        let mut build = self.build.lock();
        if build.open.as_deref() == Some(&self.path) {
            build.open = None;
        }
    }
}
