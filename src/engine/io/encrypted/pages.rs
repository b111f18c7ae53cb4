//! A file that is sealed once: pages of 16 KiB, each under its number, the last one under its own mark.
//!
//! A page is sealed when more bytes follow it, and the last one when the file is whole: with its sync, or when its writer
//! is dropped. After that nothing can be appended, so no page is ever sealed twice. A file that was cut, grown or put
//! together from others has a page that does not open.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::cipher::{FileCipher, HEADER_LEN, PieceNonce, TAG_LEN};
use super::storage::NewFile;
use crate::common::{ClosedReason, Error, Result};
use crate::io::aligned::AlignedBytes;
use crate::io::storage::check_range;
use crate::io::{FileReader, FileWriter, Stamp};

/// Bytes of a page before it is sealed; a multiple of 64, so that views of it are aligned like the file.
pub(super) const PAGE: u64 = 16 << 10;
const SEALED_PAGE: u64 = PAGE + TAG_LEN as u64;

/// Appends to a file of pages.
#[derive(Debug)]
pub(super) struct PagedWriter {
    inner: Box<dyn FileWriter>,
    path: String,
    new: NewFile,
    /// Bytes of the last page, at most a whole one.
    open: Vec<u8>,
    /// Sealed bytes on their way out; the header goes with the first.
    out: Vec<u8>,
    /// Pages sealed.
    pages: u64,
    len: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    Whole,
    Failed,
}

impl PagedWriter {
    pub(super) fn new(inner: Box<dyn FileWriter>, path: &str, new: NewFile) -> Self {
        let (path, out) = (path.to_owned(), new.header.encode().to_vec());
        Self { inner, path, new, open: Vec::new(), out, pages: 0, len: 0, state: State::Open }
    }

    fn seal_page(&mut self, is_last: bool) -> Result<()> {
        let nonce = PieceNonce { at: self.pages, is_last };
        self.new.cipher.seal(nonce, &[], &self.open, &mut self.out)?;
        self.pages += 1;
        self.open.clear();
        Ok(())
    }

    fn write_out(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            self.inner.append(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }

    /// Marks the last page as such and hands it over.
    fn finish(&mut self) -> Result<()> {
        if self.state == State::Open {
            self.state = State::Failed;
            self.seal_page(true)?;
            self.write_out()?;
            (self.out, self.state) = (Vec::new(), State::Whole);
        }
        Ok(())
    }
}

impl FileWriter for PagedWriter {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match self.state {
            State::Open => self.state = State::Failed,
            State::Failed => return Err(Error::Closed(ClosedReason::Poisoned)),
            State::Whole => {
                return Err(Error::Internal(format!("{} is appended to after its sync", self.path)));
            }
        }
        let mut rest = bytes;
        // A whole page stays open until more follows: it may be the last one.
        while self.open.len() + rest.len() > PAGE as usize {
            let (now, later) = rest.split_at(PAGE as usize - self.open.len());
            self.open.extend_from_slice(now);
            self.seal_page(false)?;
            rest = later;
        }
        self.open.extend_from_slice(rest);
        if self.pages > 0 {
            self.write_out()?;
        }
        self.len += bytes.len() as u64;
        self.state = State::Open;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        if self.state == State::Failed {
            return Err(Error::Closed(ClosedReason::Poisoned));
        }
        self.finish()?;
        self.inner.sync()
    }
}

impl Drop for PagedWriter {
    fn drop(&mut self) {
        // Files that are derived are not synced. One whose end is missing does not open, and is made again.
        let _ = self.finish();
    }
}

/// Reads a file of pages.
#[derive(Debug)]
pub(super) struct PagedReader {
    inner: Arc<dyn FileReader>,
    path: String,
    cipher: FileCipher,
    len: u64,
    /// Number of the page that must be marked as the last.
    last: u64,
    /// It does not end as a page does.
    is_cut: bool,
}

impl PagedReader {
    pub(super) fn new(inner: Arc<dyn FileReader>, path: &str, cipher: FileCipher) -> Self {
        let sealed = inner.len().saturating_sub(HEADER_LEN);
        let (whole, rest) = (sealed / SEALED_PAGE, sealed % SEALED_PAGE);
        let tag = TAG_LEN as u64;
        let len = whole * PAGE + rest.saturating_sub(tag);
        let last = if rest == 0 { whole.saturating_sub(1) } else { whole };
        // A page holds something, but for the only one of a file without bytes.
        let is_cut = if whole == 0 { rest < tag } else { (1..=tag).contains(&rest) };
        Self { inner, path: path.to_owned(), cipher, len, last, is_cut }
    }

    /// Where the sealed pages lie.
    fn sealed(&self, pages: &Range<u64>) -> Range<u64> {
        let at = |page: u64| HEADER_LEN + page * SEALED_PAGE;
        at(pages.start)..at(pages.end).min(self.inner.len())
    }

    fn open_pages(&self, pages: Range<u64>) -> Result<Buffer> {
        let sealed = self.inner.read(self.sealed(&pages))?;
        // The tag of a page lies where the next page begins, until that is put there.
        let mut opened = AlignedBytes::zeroed(((pages.end - pages.start) * PAGE) as usize + TAG_LEN)
            .map_err(|_| Error::io("read", &self.path, std::io::ErrorKind::OutOfMemory.into()))?;
        let room = opened.as_mut_slice();
        for (i, (at, page)) in pages.zip(sealed.chunks(SEALED_PAGE as usize)).enumerate() {
            let start = i * PAGE as usize;
            let piece = &mut room[start..start + page.len()];
            piece.copy_from_slice(page);
            if !self.cipher.open(PieceNonce { at, is_last: at == self.last }, &[], piece) {
                let what = format!("page {at} is not what was sealed there");
                return Err(Error::corrupt(&self.path, at * PAGE, what));
            }
        }
        Ok(opened.into_buffer())
    }
}

impl FileReader for PagedReader {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        let (_, len) = check_range(&self.path, self.len, &range)?;
        if self.is_cut && range.end == self.len {
            return Err(Error::corrupt(
                &self.path,
                self.len,
                "it does not end with a page; it was cut or grew",
            ));
        }
        // Also a file of no bytes has a page, which says so.
        let end = range.end.div_ceil(PAGE).max(u64::from(self.len == 0));
        let first = (range.start / PAGE).min(end);
        if len == 0 && self.len > 0 {
            return Ok(AlignedBytes::zeroed(0).map(AlignedBytes::into_buffer).unwrap_or_default());
        }
        let opened = self.open_pages(first..end)?;
        Ok(opened.slice_with_length((range.start - first * PAGE) as usize, len))
    }

    fn is_mapped(&self) -> bool {
        false
    }

    fn check_len(&self) -> Result<()> {
        self.inner.check_len()
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        self.inner.stamp()
    }
}
