//! Appends to a file that grows: each append is sealed and handed over at once, so that it survives the process, and a
//! sync makes it durable, without a byte that is written twice.

use super::frame::{FRAME_OVERHEAD, Frame};
use super::storage::NewFile;
use crate::common::{ClosedReason, Error, Result};
use crate::io::FileWriter;

/// Bytes of buffer kept between appends.
const BUFFER_KEPT: usize = 4 << 20;
/// Bytes on disk for each byte to come, at most: no append is shorter than what its frame adds.
const GROWTH: u64 = 2;

/// Appends to a file of frames.
#[derive(Debug)]
pub(super) struct FrameWriter {
    inner: Box<dyn FileWriter>,
    path: String,
    new: NewFile,
    /// Sealed bytes on their way out; the header goes with the first.
    out: Vec<u8>,
    len: u64,
    failed: bool,
}

impl FrameWriter {
    pub(super) fn new(inner: Box<dyn FileWriter>, path: &str, new: NewFile) -> Self {
        let (path, out) = (path.to_owned(), new.header.encode().to_vec());
        Self { inner, path, new, out, len: 0, failed: false }
    }

    fn on_disk(&self) -> u64 {
        self.inner.len() + self.out.len() as u64
    }
}

impl FileWriter for FrameWriter {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        // What was sealed and perhaps written stays the only thing that its nonces were ever used for.
        if std::mem::replace(&mut self.failed, true) {
            return Err(Error::Closed(ClosedReason::Poisoned));
        }
        Frame::seal(&self.new.cipher, self.len, bytes, &mut self.out)?;
        self.inner.append(&self.out)?;
        self.out.clear();
        self.out.shrink_to(BUFFER_KEPT);
        self.len += bytes.len() as u64;
        self.failed = false;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        if !self.failed && !self.out.is_empty() {
            self.append(&[])?;
        }
        self.inner.sync()
    }

    /// Room for appends of at least as many bytes as a frame adds; a record of the log is longer.
    fn reserve(&mut self, len: u64) -> u64 {
        let here = self.on_disk();
        let wanted = here + len.saturating_sub(self.len) * GROWTH + FRAME_OVERHEAD;
        let given = self.inner.reserve(wanted);
        if given > here { self.len + (given - here) / GROWTH } else { 0 }
    }

    fn trim(&mut self) {
        self.inner.trim();
    }

    fn is_fragmented(&self) -> bool {
        self.inner.is_fragmented()
    }
}
