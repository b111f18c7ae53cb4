//! A database in a folder of the local disk.
//!
//! Files are private to the user (0600, folders 0700). Nothing is opened through a symbolic link, and
//! only regular files are read, so that a planted link, pipe or device is an error and not a hang.
//! Unix only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::local_file::{LocalReader, LocalWriter, stamp_of};
use super::path::{check_dir, check_path};
use super::{Cache, FileReader, FileWriter, LockGuard, Stamp, Storage, lock};
use crate::common::{ClosedReason, Error, Result};

/// How a folder is opened.
#[derive(Clone, Copy, Debug)]
pub struct LocalOptions {
    /// Map sealed files into memory; otherwise `pread` them.
    pub mmap: bool,
    /// Make the folder when it is missing.
    pub create: bool,
    /// Refuse every call that would change something.
    pub read_only: bool,
    /// Bytes kept in memory of what was read of files that are not mapped.
    pub cache_bytes: usize,
}

impl LocalOptions {
    /// A cache, where one is of use.
    pub(super) fn cache(self) -> Option<Arc<Cache>> {
        (!self.mmap && self.cache_bytes > 0).then(|| Cache::new(self.cache_bytes))
    }
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self { mmap: true, create: true, read_only: false, cache_bytes: 0 }
    }
}

/// A folder that holds one database.
#[derive(Debug)]
pub struct LocalStorage {
    root: PathBuf,
    options: LocalOptions,
    cache: Option<Arc<Cache>>,
}

impl LocalStorage {
    /// Opens the folder `dir`, making it (durably) when it is missing and `create` is set.
    ///
    /// # Errors
    /// `NotFound` when it is missing and not to be made, `Invalid` when it is not a folder, `Io` when it
    /// cannot be entered.
    pub fn open(dir: &Path, options: LocalOptions) -> Result<Self> {
        // Absolute, so that a later change of the working directory does not move the database.
        let root = std::path::absolute(dir).map_err(|source| Error::io("find", show(dir), source))?;
        match fs::metadata(&root) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                return Err(Error::invalid(
                    show(&root),
                    "not a folder; name the folder of a database, or a new one",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_root(&root, options)?,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(Error::invalid(show(&root), "a part of this path is a file, not a folder"));
            }
            Err(error) => return Err(Error::io("open", show(&root), error)),
        }
        fs::read_dir(&root).map_err(|source| Error::io("list", show(&root), source))?;
        Ok(Self { root, options, cache: options.cache() })
    }

    fn writable(&self) -> Result<()> {
        if self.options.read_only { Err(Error::Closed(ClosedReason::ReadOnly)) } else { Ok(()) }
    }

    fn full(&self, path: &str) -> Result<PathBuf> {
        check_path(path)?;
        Ok(self.root.join(path))
    }

    fn full_dir(&self, dir: &str) -> Result<PathBuf> {
        check_dir(dir)?;
        Ok(if dir.is_empty() { self.root.clone() } else { self.root.join(dir) })
    }
}

impl Storage for LocalStorage {
    fn describe(&self) -> String {
        show(&self.root)
    }

    fn create_dir(&self, dir: &str) -> Result<()> {
        self.writable()?;
        make_dir(&self.full_dir(dir)?)
    }

    fn create(&self, path: &str) -> Result<Box<dyn FileWriter>> {
        self.writable()?;
        let full = self.full(path)?;
        // `create_new` also refuses to go through a symbolic link.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&full);
        let file = file.map_err(|source| Error::io("create", show(&full), source))?;
        Ok(Box::new(LocalWriter::new(file, path)))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn FileReader>> {
        let full = self.full(path)?;
        let file = open_regular(&full, libc::O_NOFOLLOW)?;
        Ok(Arc::new(LocalReader::new(file, path, self.options.mmap)?))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        let full = self.full_dir(dir)?;
        let failed = |source| Error::io("list", show(&full), source);
        let entries = match fs::read_dir(&full) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_file() {
                // A name that is not UTF-8 is none of ours.
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.writable()?;
        let full = self.full(path)?;
        match fs::remove_file(&full) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", show(&full), error))
            }
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.writable()?;
        let (from, to) = (self.full(from)?, self.full(to)?);
        fs::rename(&from, &to).map_err(|source| Error::io("rename to", show(&to), source))
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        self.writable()?;
        sync_folder(&self.full_dir(dir)?)
    }

    fn stamp(&self, path: &str) -> Result<Option<Stamp>> {
        let full = self.full(path)?;
        let found =
            fs::symlink_metadata(&full).map_err(|source| Error::io("look at", show(&full), source))?;
        Ok(Some(stamp_of(&found)))
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>> {
        self.writable()?;
        lock::acquire(&self.root)
    }

    fn link(&self, path: &str, source: &dyn Storage) -> Result<bool> {
        self.writable()?;
        let Some(folder) = source.local_folder() else { return Ok(false) };
        let (from, to) = (folder.join(path), self.full(path)?);
        match fs::hard_link(&from, &to) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::io("link", show(&from), error))
            }
            // Another file system, one without links, or a rule against them: the file is copied.
            Err(_) => Ok(false),
        }
    }

    fn cache(&self) -> Option<&Arc<Cache>> {
        self.cache.as_ref()
    }

    fn local_folder(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn stranger(&self, known: &[&str]) -> Result<Option<String>> {
        let failed = |source| Error::io("list", show(&self.root), source);
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if !known.contains(&name.as_str()) && name != lock::LOCK_FILE {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Opens one file that the user names, wherever it lies, for reading without a mapping.
///
/// # Errors
/// `Io` when it cannot be opened, `Invalid` when it is no regular file.
pub fn open_file(path: &Path) -> Result<Arc<dyn FileReader>> {
    open_mapped(path, false)
}

/// [`open_file`], mapped where that is asked for.
pub(super) fn open_mapped(path: &Path, mmap: bool) -> Result<Arc<dyn FileReader>> {
    let file = open_regular(path, 0)?;
    Ok(Arc::new(LocalReader::new(file, &show(path), mmap)?))
}

fn open_regular(full: &Path, flags: i32) -> Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(flags | libc::O_NONBLOCK).open(full);
    let file = file.map_err(|source| Error::io("open", show(full), source))?;
    let found = file.metadata().map_err(|source| Error::io("open", show(full), source))?;
    if !found.is_file() {
        return Err(Error::invalid(
            show(full),
            "not a regular file; remove it, or restore the file from a backup",
        ));
    }
    Ok(file)
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn make_root(root: &Path, options: LocalOptions) -> Result<()> {
    if !options.create || options.read_only {
        return Err(Error::NotFound { entity: "database", name: show(root) });
    }
    let missing: Vec<&Path> = root.ancestors().take_while(|part| !part.exists()).collect();
    missing.into_iter().rev().try_for_each(make_dir)
}

/// Makes one folder whose parent exists, and makes its name durable.
fn make_dir(dir: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => dir.parent().map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(Error::io("create the folder", show(dir), error)),
    }
}

fn sync_folder(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| Error::io("sync the folder", show(dir), source))
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
