//! One blob file, open for reading: any part of a value, verified block by block.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use arrow::buffer::Buffer;

use super::refs::BlobRef;
use crate::common::sync::AtomicBool;
use crate::common::{DatabaseId, Error, Result};
use crate::format::blob::{BlobInfo, HEADER_LEN, decode_tail};
use crate::format::block::BLOCK_LEN;
use crate::io::Storage;
use crate::sstable::file::VerifiedFile;

/// Bytes verified at a time.
const STEP: u64 = 256 * BLOCK_LEN as u64;

/// A blob file, opened at first use. It leaves the disk when it was let go of and nobody holds it any more.
#[derive(Debug)]
pub struct BlobFile {
    storage: Arc<dyn Storage>,
    database: DatabaseId,
    info: BlobInfo,
    file: OnceLock<VerifiedFile>,
    obsolete: AtomicBool,
    pid: u32,
}

impl Drop for BlobFile {
    fn drop(&mut self) {
        // In a forked child the parent may still read it.
        if self.obsolete.load(Ordering::Acquire) && self.pid == std::process::id() {
            // A file that stays behind is an orphan, which the next opening for writing removes.
            let _ = self.storage.remove(&self.info.path());
        }
    }
}

impl BlobFile {
    /// The file that a manifest describes as `info`.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, database: DatabaseId, info: BlobInfo) -> Self {
        let (file, obsolete) = (OnceLock::new(), AtomicBool::new(false));
        Self { storage, database, info, file, obsolete, pid: std::process::id() }
    }

    /// What the manifest says of it.
    #[must_use]
    pub fn info(&self) -> &BlobInfo {
        &self.info
    }

    /// Removes the file from disk once nobody holds it; or leaves it there.
    pub fn set_obsolete(&self, obsolete: bool) {
        self.obsolete.store(obsolete, Ordering::Release);
    }

    /// Gets hold of the file, so that it can be read after its name is gone.
    ///
    /// # Errors
    /// `Corrupt` or `Io`, at every call until the file is mended.
    pub fn open(&self) -> Result<()> {
        self.file().map(drop)
    }

    /// A whole value.
    ///
    /// # Errors
    /// `Corrupt` when a block that it touches is not what was written, or there is no such value; `Io`.
    pub fn read(&self, value: &BlobRef) -> Result<Buffer> {
        self.read_range(value, 0, value.len)
    }

    /// `len` bytes of a value from its byte `start` on; nothing else of it is read.
    ///
    /// # Errors
    /// As [`BlobFile::read`].
    pub fn read_range(&self, value: &BlobRef, start: u64, len: u64) -> Result<Buffer> {
        let file = self.file()?;
        let end = value.offset.checked_add(value.len).filter(|end| *end <= self.info.data_len);
        let part_end = start.checked_add(len).filter(|end| *end <= value.len);
        let (Some(_), Some(part_end), true) = (end, part_end, value.offset >= HEADER_LEN as u64) else {
            return Err(file.corrupt(value.offset, "a row refers to a value that lies outside"));
        };
        // What was verified of a mapping must not be touched where somebody cut the file short.
        file.check_len()?;
        file.read(value.offset + start..value.offset + part_end)
    }

    /// A whole value, compared with its own hash too: before it is copied, and in a check.
    ///
    /// # Errors
    /// As [`BlobFile::read`].
    pub fn read_hashed(&self, value: &BlobRef) -> Result<Buffer> {
        let bytes = self.read(value)?;
        if value.is(&bytes) {
            return Ok(bytes);
        }
        Err(self.file()?.corrupt(value.offset, "the value there is not the one that a row refers to"))
    }

    /// Verifies every byte.
    ///
    /// # Errors
    /// `Corrupt`, naming the first thing that is wrong.
    pub fn verify(&self) -> Result<()> {
        let file = self.opened()?;
        for start in (0..self.info.data_len).step_by(STEP as usize) {
            file.read_blocks(start..(start + STEP).min(self.info.data_len))?;
        }
        Ok(())
    }

    fn file(&self) -> Result<&VerifiedFile> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let opened = self.opened()?;
        Ok(self.file.get_or_init(|| opened))
    }

    fn opened(&self) -> Result<VerifiedFile> {
        let path = self.info.path();
        let reader = self.storage.open(&path)?;
        if reader.len() != self.info.len {
            let what = format!("it has {} bytes, the manifest says {}", reader.len(), self.info.len);
            return Err(Error::corrupt(path, reader.len().min(self.info.len), what));
        }
        reader.check_len()?;
        let header = reader.load(0..HEADER_LEN as u64)?;
        // In memory of its own: what it says is used long after it was verified.
        let tail = reader.load(self.info.data_len..self.info.len)?;
        let (tail, hash) = decode_tail(&path, &header, &tail, self.info.data_len)?;
        let database = crate::format::blob::BlobHeader::decode(&path, &header)?.database;
        if hash != self.info.hash || database != self.database {
            let what = format!("its hash is {hash}, the manifest says {}", self.info.hash);
            return Err(Error::corrupt(path, self.info.data_len, what));
        }
        VerifiedFile::part(reader, self.info.len, self.info.data_len, tail.sums)
    }
}
