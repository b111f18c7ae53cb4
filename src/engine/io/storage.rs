//! The storage seam: what the engine needs of a file system, and nothing more.
//!
//! Paths are relative to the database, with `/` between at most two parts (`wal/7.wal`), and are
//! made by the engine alone: no user-given name ever becomes one.

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::buffer::Buffer;

use crate::common::{ClosedReason, Error, Result};

/// What tells one state of a name from the next, at the cost of one look at it and no reading.
///
/// `file` differs between two files of one name for as long as a handle to the first is open. `changed` moves when a
/// folder gains or loses a name, but not necessarily twice within one tick of the system's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Which file it is.
    pub file: (u64, u64),
    /// When it was last changed, in seconds and nanoseconds.
    pub changed: (i64, i64),
}

/// A place that holds one database.
pub trait Storage: Send + Sync + Debug {
    /// Where this is, for messages.
    fn describe(&self) -> String;

    /// False when nothing outlives the process, so that a log would be of no use.
    fn is_durable(&self) -> bool {
        true
    }

    /// Makes a folder (and its parents), durably. Fine when it is there already.
    fn create_dir(&self, dir: &str) -> Result<()>;

    /// Opens a new file for appending. The name is durable only after [`Storage::sync_dir`].
    ///
    /// # Errors
    /// `Io` with `AlreadyExists` when the file is there.
    fn create(&self, path: &str) -> Result<Box<dyn FileWriter>>;

    /// [`Storage::create`] for a file that is synced again and again while it grows, and read meanwhile.
    ///
    /// # Errors
    /// As [`Storage::create`].
    fn create_log(&self, path: &str) -> Result<Box<dyn FileWriter>> {
        self.create(path)
    }

    /// Opens a file that no longer changes.
    ///
    /// # Errors
    /// `Io` with `NotFound` when there is none.
    fn open(&self, path: &str) -> Result<Arc<dyn FileReader>>;

    /// Names of the files in `dir` (not their paths), sorted; empty when the folder is missing.
    fn list(&self, dir: &str) -> Result<Vec<String>>;

    /// Removes a file; fine when it is gone already.
    fn remove(&self, path: &str) -> Result<()>;

    /// Renames, replacing the target atomically. Durable after [`Storage::sync_dir`].
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Makes the names in `dir` durable ("" is the database's own folder).
    fn sync_dir(&self, dir: &str) -> Result<()>;

    /// What `path`, a file or a folder, is now; `None` where this cannot be told, so that one has to read it.
    ///
    /// # Errors
    /// `Io`, with `NotFound` when there is nothing of that name.
    fn stamp(&self, path: &str) -> Result<Option<Stamp>> {
        let _ = path;
        Ok(None)
    }

    /// Takes the writer lock, held until the guard is dropped.
    ///
    /// # Errors
    /// `Busy`, naming the holder, when somebody else has it.
    fn lock(&self) -> Result<Box<dyn LockGuard>>;

    /// Makes `path` the same sealed file as `path` of `source`, without a copy of its bytes; false, and no change, where
    /// that cannot be. The name is durable only after [`Storage::sync_dir`].
    ///
    /// # Errors
    /// `Io` when `source` has no such file.
    fn link(&self, path: &str, source: &dyn Storage) -> Result<bool> {
        let _ = (path, source);
        Ok(false)
    }

    /// True when what was appended outlives the process without a sync, as in the memory of an operating system.
    fn keeps_appends(&self) -> bool {
        true
    }

    /// True when nothing here can ever be written.
    fn is_sealed(&self) -> bool {
        false
    }

    /// Confirms what this place itself added to the files of the database; those prove themselves.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    fn verify(&self) -> Result<()> {
        Ok(())
    }

    /// The folder of the local disk that holds the files as they are, if there is one.
    fn local_folder(&self) -> Option<&Path> {
        None
    }

    /// The name of something in the database's own folder, other than the lock and the folders `known`.
    ///
    /// # Errors
    /// `Io` when the folder cannot be listed.
    fn stranger(&self, known: &[&str]) -> Result<Option<String>> {
        let is_strange = |name: &String| name != super::lock::LOCK_FILE && !known.contains(&name.as_str());
        Ok(self.list("")?.into_iter().find(is_strange))
    }

    /// Memory for what readers made of files here, where those are not mapped.
    fn cache(&self) -> Option<&Arc<super::Cache>> {
        None
    }

    /// This place, if its files are encrypted.
    fn encryption(&self) -> Option<&super::EncryptedStorage> {
        None
    }

    /// Writes a whole file, syncs it, and only then gives it its name, durably, replacing what was there.
    fn publish(&self, dir: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let path = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
        let draft = format!("{path}.new");
        self.write_draft(&draft, bytes)?;
        self.rename(&draft, &path)?;
        self.sync_dir(dir)
    }

    /// Writes a whole file under a name that means nothing yet, and syncs it.
    fn write_draft(&self, draft: &str, bytes: &[u8]) -> Result<()> {
        self.remove(draft)?;
        let mut file = self.create(draft)?;
        file.append(bytes)?;
        file.sync()
    }
}

/// A file being written, append only.
pub trait FileWriter: Send + Debug {
    /// Path within the database, for messages.
    fn path(&self) -> &str;

    /// Bytes appended so far.
    fn len(&self) -> u64;

    /// True before the first append.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends all of `bytes`, or fails: a short or zero-length write is never passed over. After a failure nothing
    /// more can be appended. When it was for want of space, what was appended before can still be synced.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes everything appended so far durable (`fdatasync`).
    fn sync(&mut self) -> Result<()>;

    /// Asks for room for the first `len` bytes, which then reads as zeros where nothing was appended yet, so that
    /// syncs need not grow the file. Returns for how many bytes there is room; a storage may have none to give.
    fn reserve(&mut self, len: u64) -> u64 {
        let _ = len;
        0
    }

    /// Gives back the room that was not used.
    fn trim(&mut self) {}

    /// True once the file lies in so many pieces that what follows had better go to another one.
    fn is_fragmented(&self) -> bool {
        false
    }
}

/// A sealed file.
pub trait FileReader: Send + Sync + Debug {
    /// Path within the database, for messages.
    fn path(&self) -> &str;

    /// Length when it was opened.
    fn len(&self) -> u64;

    /// True for a file of no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of `range`, without a copy where the storage allows; at least 64-byte aligned when
    /// `range.start` is a multiple of 64.
    ///
    /// # Errors
    /// `Corrupt` when the file is shorter than `range.end`.
    fn read(&self, range: Range<u64>) -> Result<Buffer>;

    /// The bytes of `range` in memory of their own: no later change of the file can reach them. For files
    /// that another process may still be writing, such as the newest log.
    ///
    /// # Errors
    /// As [`FileReader::read`].
    fn load(&self, range: Range<u64>) -> Result<Buffer> {
        self.read(range)
    }

    /// True when [`FileReader::read`] returns views of one mapping, so that bytes verified once stay verified.
    fn is_mapped(&self) -> bool;

    /// Confirms that the file still has the length it was opened with, so that a mapping of a file that
    /// someone cut short is an error and not a signal.
    fn check_len(&self) -> Result<()>;

    /// Which file this is, whatever its name names now; `None` where this cannot be told.
    ///
    /// # Errors
    /// `Io`.
    fn stamp(&self) -> Result<Option<Stamp>> {
        Ok(None)
    }

    /// Fills `bytes` with what the file holds now from `at` on and returns how many there were, also beyond the
    /// length it was opened with; `None` where this cannot be told without opening it again.
    ///
    /// # Errors
    /// `Io`.
    fn peek(&self, at: u64, bytes: &mut [u8]) -> Result<Option<usize>> {
        let _ = (at, bytes);
        Ok(None)
    }
}

/// Fails once the writer lock is lost. It is asked between writing a draft and giving it its name: whoever opens for
/// writing takes the lock and then removes all drafts, so a writer that was stopped in between, for however long, finds
/// nothing to name. Drafts carry the epoch, so that it does not name another writer's either.
pub type Fence<'a> = &'a dyn Fn() -> Result<()>;

/// Holds the writer lock until dropped.
pub trait LockGuard: Send + Sync + Debug {
    /// False once the lock no longer keeps another writer out: somebody replaced or removed what it lies on.
    fn is_held(&self) -> bool {
        true
    }

    /// What to tell a writer whose lock is not held.
    fn lost(&self) -> Error {
        Error::Closed(ClosedReason::Fenced)
    }

    /// A number above `used` from which this holder numbers files and manifests, and that no other holder ever counts
    /// from: on a storage where one may still be at work without knowing that it has lost the lock. `None` elsewhere.
    ///
    /// # Errors
    /// When the lock is lost.
    fn numbers_above(&self, used: u64) -> Result<Option<u64>> {
        let _ = used;
        Ok(None)
    }
}

/// `range` as an offset and a length in memory, once it lies within a file of `len` bytes.
pub(crate) fn check_range(path: &str, len: u64, range: &Range<u64>) -> Result<(usize, usize)> {
    if range.start > range.end || range.end > len {
        let what = format!("bytes {}..{} are wanted of a file of {len}", range.start, range.end);
        return Err(Error::corrupt(path, len.min(range.start), what));
    }
    match (usize::try_from(range.start), usize::try_from(range.end - range.start)) {
        (Ok(start), Ok(len)) => Ok((start, len)),
        _ => Err(Error::Limit {
            what: format!("address space for {path}"),
            got: range.end,
            max: usize::MAX as u64,
        }),
    }
}
