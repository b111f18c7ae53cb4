//! The data file being written: gathers small writes, and sums each 4 KiB block as it leaves.

use std::io;

use crate::common::{DatabaseId, Error, FileId, Result};
use crate::format::block::{BLOCK_LEN, BlockSeed};
use crate::io::FileWriter;

/// Bytes gathered before they are appended.
const GATHER: usize = 256 * BLOCK_LEN;

/// Appends to a file and keeps the checksums of its blocks.
#[derive(Debug)]
pub(super) struct SummedFile {
    file: Box<dyn FileWriter>,
    seed: BlockSeed,
    sums: Vec<u8>,
    gathered: Vec<u8>,
    /// First bytes since [`SummedFile::mark`].
    head: Vec<u8>,
    failed: Option<Error>,
}

impl SummedFile {
    pub(super) fn new(file: Box<dyn FileWriter>, database: DatabaseId, id: FileId) -> Self {
        let seed = BlockSeed::new(database, id);
        Self { file, seed, sums: vec![], gathered: vec![], head: vec![], failed: None }
    }

    /// Bytes written so far, gathered ones included.
    pub(super) fn len(&self) -> u64 {
        self.file.len() + self.gathered.len() as u64
    }

    /// Begins a message; returns where.
    pub(super) fn mark(&mut self) -> u64 {
        self.head.clear();
        self.len()
    }

    /// Bytes of metadata, prefix included, of the IPC message written since the mark.
    pub(super) fn message_meta_len(&self) -> Option<u32> {
        let (marker, len) = (self.head.first_chunk::<4>()?, self.head.get(4..)?.first_chunk::<4>()?);
        (marker == &[0xff; 4]).then(|| u32::from_le_bytes(*len).checked_add(8))?
    }

    /// Why the last write failed.
    pub(super) fn take_failure(&mut self) -> Option<Error> {
        self.failed.take()
    }

    /// Appends what is left, makes the file durable and returns its length and block checksums.
    pub(super) fn finish(self) -> Result<(u64, Vec<u8>)> {
        self.finish_with(|_, _| Vec::new())
    }

    /// As [`SummedFile::finish`], with a tail behind the summed bytes, made of their number and checksums. The length is
    /// that without the tail.
    pub(super) fn finish_with(mut self, tail: impl FnOnce(u64, &[u8]) -> Vec<u8>) -> Result<(u64, Vec<u8>)> {
        self.append_gathered(self.gathered.len())?;
        let len = self.file.len();
        let tail = tail(len, &self.sums);
        if !tail.is_empty() {
            self.file.append(&tail)?;
        }
        self.file.sync()?;
        Ok((len, self.sums))
    }

    /// Appends bytes, or says why not in the storage's words.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let written = io::Write::write_all(self, bytes);
        written.map_err(|error| self.failed.take().unwrap_or_else(|| Error::Internal(error.to_string())))
    }

    fn append_gathered(&mut self, len: usize) -> Result<()> {
        let first = self.file.len() / BLOCK_LEN as u64;
        for (i, block) in self.gathered[..len].chunks(BLOCK_LEN).enumerate() {
            self.sums.extend(self.seed.sum(first + i as u64, block).to_le_bytes());
        }
        self.file.append(&self.gathered[..len])?;
        self.gathered.drain(..len);
        Ok(())
    }
}

impl io::Write for SummedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let missing = 8 - self.head.len();
        self.head.extend(bytes.iter().take(missing));
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER {
            let whole = self.gathered.len() / BLOCK_LEN * BLOCK_LEN;
            self.append_gathered(whole).map_err(|error| {
                self.failed = Some(error);
                io::Error::other("the storage refused a write")
            })?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
