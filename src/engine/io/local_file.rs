//! Files of a database on a local disk: append with checked syncs, read by mapping or by `pread`.
//!
//! A writer that failed once takes no more calls: after a failed sync Linux calls the lost pages clean,
//! so a second sync would succeed over missing data. A mapping is only ever made of a file opened for
//! reading, which by the rules of the engine no longer changes.

use std::fs::{File, Metadata};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::buffer::Buffer;
use memmap2::Mmap;

use super::aligned::AlignedBytes;
use super::{FileReader, FileWriter, Stamp};
use crate::common::{ClosedReason, Error, Result};

const APPEND: &str = "append to";

/// A file being appended to.
#[derive(Debug)]
pub(crate) struct LocalWriter {
    file: File,
    path: String,
    len: u64,
    /// Bytes the file has room for, when more than `len`.
    room: u64,
    failed: bool,
    /// An append found no space: no more appends, but a sync is as good as before.
    full: bool,
}

impl LocalWriter {
    pub(crate) fn new(file: File, path: &str) -> Self {
        Self { file, path: path.to_owned(), len: 0, room: 0, failed: false, full: false }
    }

    fn attempt(&mut self, op: &'static str, call: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
        if self.failed {
            return Err(Error::Closed(ClosedReason::Poisoned));
        }
        call(&mut self.file).map_err(|source| {
            let error = Error::io(op, &self.path, source);
            let only_full = op == APPEND && error.is_out_of_space();
            (self.full, self.failed) = (only_full, !only_full);
            error
        })
    }
}

impl FileWriter for LocalWriter {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.full {
            return Err(Error::Closed(ClosedReason::Poisoned));
        }
        // `write_all` goes on after short writes and EINTR, and takes a write of nothing for an error.
        self.attempt(APPEND, |file| file.write_all(bytes))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.attempt("sync", |file| file.sync_data())
    }

    fn reserve(&mut self, len: u64) -> u64 {
        if len > self.room && !self.failed && allocate(&self.file, len) {
            self.room = len;
        }
        self.room
    }

    fn trim(&mut self) {
        if self.room > self.len && !self.failed {
            // Room that stays costs space only.
            let _ = self.file.set_len(self.len);
            self.room = 0;
        }
    }
}

/// False where the file system cannot, or has no space: appending then says so, if it matters.
#[cfg(target_os = "linux")]
fn allocate(file: &File, len: u64) -> bool {
    use std::os::fd::AsRawFd;
    let Ok(len) = libc::off_t::try_from(len) else { return false };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call touches no memory of ours.
    unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, len) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn allocate(_: &File, _: u64) -> bool {
    false
}

/// A file that no longer changes.
#[derive(Debug)]
pub(crate) struct LocalReader {
    file: File,
    path: String,
    len: u64,
    /// The whole file, when mapping is on and it is not empty.
    map: Option<Buffer>,
}

impl LocalReader {
    pub(crate) fn new(file: File, path: &str, mmap: bool) -> Result<Self> {
        let failed = |source| Error::io("open", path, source);
        let len = file.metadata().map_err(failed)?.len();
        let map = if mmap && len > 0 {
            Some(map(&file).map_err(|source| Error::io("map", path, source))?)
        } else {
            None
        };
        Ok(Self { file, path: path.to_owned(), len, map })
    }

    /// The range as an offset and a length, within the file.
    fn check(&self, range: &Range<u64>) -> Result<(usize, usize)> {
        super::storage::check_range(&self.path, self.len, range)
    }
}

fn map(file: &File) -> io::Result<Buffer> {
    // SAFETY: the file is open for reading only and sealed: the engine never writes to or cuts a file that it
    // opens this way, and `check_len` lets callers notice somebody else who does.
    let map = unsafe { Mmap::map(file)? };
    let len = map.len();
    let start = NonNull::new(map.as_ptr().cast_mut()).ok_or(io::ErrorKind::OutOfMemory)?;
    // SAFETY: `start` points at `len` readable bytes, at a fixed address until the map, handed over as the
    // owner, is dropped. A buffer with a custom owner is never given out mutably.
    Ok(unsafe { Buffer::from_custom_allocation(start, len, Arc::new(map)) })
}

impl FileReader for LocalReader {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        match &self.map {
            Some(map) => {
                let (start, len) = self.check(&range)?;
                Ok(map.slice_with_length(start, len))
            }
            None => self.load(range),
        }
    }

    fn load(&self, range: Range<u64>) -> Result<Buffer> {
        let (_, len) = self.check(&range)?;
        let failed = |source| Error::io("read", &self.path, source);
        let mut bytes = AlignedBytes::zeroed(len).map_err(|_| failed(io::ErrorKind::OutOfMemory.into()))?;
        match self.file.read_exact_at(bytes.as_mut_slice(), range.start) {
            Ok(()) => Ok(bytes.into_buffer()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.check_len()?;
                Err(failed(error))
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    fn check_len(&self) -> Result<()> {
        // Every point read asks, and the end is a cheaper question than all that `fstat` answers. Nothing here reads
        // from the position that this sets.
        let now = (&self.file)
            .seek(SeekFrom::End(0))
            .map_err(|source| Error::io("find the end of", &self.path, source))?;
        if now == self.len {
            return Ok(());
        }
        let what = format!("the file had {} bytes when it was opened and now has {now}", self.len);
        Err(Error::corrupt(&self.path, now.min(self.len), what))
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        let found = self.file.metadata().map_err(|source| Error::io("look at", &self.path, source))?;
        Ok(Some(stamp_of(&found)))
    }

    fn peek(&self, at: u64, bytes: &mut [u8]) -> Result<Option<usize>> {
        let failed = |source| Error::io("read", &self.path, source);
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(Some(filled))
    }
}

/// An inode number is given out again only when nobody has the file open.
pub(crate) fn stamp_of(found: &Metadata) -> Stamp {
    Stamp { file: (found.dev(), found.ino()), changed: (found.mtime(), found.mtime_nsec()) }
}
