//! Files as readers see them: entries of the journal, and sealed objects by pieces.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::cache::aligned;
use super::disk::Kept;
use super::index::{Named, Part};
use super::storage::Shared;
use crate::common::sync::Mutex;
use crate::common::{Error, Result};
use crate::io::aligned::AlignedBytes;
use crate::io::storage::check_range;
use crate::io::{FileReader, Stamp};

/// Bytes of a piece: what is asked for at once, and kept.
pub(super) const PIECE_LEN: u64 = 1 << 20;

/// A file in memory: a draft, or one that is a single entry of the journal.
#[derive(Debug)]
pub(super) struct HeldReader {
    pub path: String,
    pub bytes: Buffer,
    /// The entry that holds it.
    pub entry: Option<u64>,
}

/// What tells one entry from another.
pub(super) fn stamp_of(entry: u64) -> Stamp {
    Stamp { file: (entry, 0), changed: (0, 0) }
}

impl FileReader for HeldReader {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        let (start, len) = check_range(&self.path, self.len(), &range)?;
        Ok(self.bytes.slice_with_length(start, len))
    }

    fn is_mapped(&self) -> bool {
        true
    }

    fn check_len(&self) -> Result<()> {
        Ok(())
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        Ok(self.entry.map(stamp_of))
    }
}

/// A file that the journal holds in parts.
#[derive(Debug)]
pub(super) struct PartsReader {
    shared: Arc<Shared>,
    path: String,
    parts: Vec<Part>,
    len: u64,
    /// The part that was read last.
    last: Mutex<Option<(u64, Buffer)>>,
}

impl PartsReader {
    /// # Errors
    /// `Corrupt` when a part is missing.
    pub fn new(shared: Arc<Shared>, path: &str, parts: Vec<Part>) -> Result<Self> {
        let mut len = 0;
        for part in &parts {
            if part.offset != len {
                let what = format!("the entry of the journal before number {} is missing", part.number);
                return Err(Error::corrupt(path, len, what));
            }
            len += part.len;
        }
        Ok(Self { shared, path: path.to_owned(), parts, len, last: Mutex::default() })
    }

    fn body(&self, part: Part) -> Result<Buffer> {
        let mut last = self.last.lock();
        match &*last {
            Some((number, body)) if *number == part.number => Ok(body.clone()),
            _ => {
                let body = self.shared.journal.body(&self.path, part)?;
                *last = Some((part.number, body.clone()));
                Ok(body)
            }
        }
    }

    /// Copies what `parts` hold from `at` on into `bytes`; how many those are.
    fn fill(&self, parts: &[Part], at: u64, bytes: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        let first = parts.partition_point(|part| part.offset + part.len <= at);
        for part in &parts[first..] {
            if filled == bytes.len() {
                break;
            }
            let body = self.body(*part)?;
            let from = (at + filled as u64 - part.offset) as usize;
            let some = (bytes.len() - filled).min(body.len() - from);
            bytes[filled..filled + some].copy_from_slice(&body[from..from + some]);
            filled += some;
        }
        Ok(filled)
    }
}

impl FileReader for PartsReader {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        let (_, len) = check_range(&self.path, self.len, &range)?;
        let mut bytes = room(&self.path, len)?;
        self.fill(&self.parts, range.start, bytes.as_mut_slice())?;
        Ok(bytes.into_buffer())
    }

    fn is_mapped(&self) -> bool {
        false
    }

    fn check_len(&self) -> Result<()> {
        Ok(())
    }

    fn peek(&self, at: u64, bytes: &mut [u8]) -> Result<Option<usize>> {
        match self.shared.journal.file(&self.path) {
            Some(Named::Parts(parts)) => self.fill(&parts, at, bytes).map(Some),
            _ => Ok(None),
        }
    }
}

/// A sealed object, read by pieces.
#[derive(Debug)]
pub(super) struct SealedReader {
    shared: Arc<Shared>,
    path: String,
    len: u64,
    /// What the local disk keeps of it.
    kept: Option<Kept>,
    /// Keeps the object from being removed by this process.
    open: Arc<()>,
}

impl SealedReader {
    pub fn open(shared: &Arc<Shared>, path: &str) -> Result<Self> {
        let open = shared.trash.open(path);
        let (first, len, kept) = shared.begin(path, PIECE_LEN)?;
        if first.len() as u64 == len.min(PIECE_LEN) {
            shared.cache.put(path, 0, aligned(path, &first)?);
        }
        Ok(Self { shared: Arc::clone(shared), path: path.to_owned(), len, kept, open })
    }

    /// A piece from memory or the local disk.
    fn near(&self, number: u64) -> Result<Option<Buffer>> {
        if let Some(bytes) = self.shared.cache.get(&self.path, number) {
            return Ok(Some(bytes));
        }
        let Some(bytes) = self.kept.as_ref().and_then(|kept| kept.get(number)) else { return Ok(None) };
        let range = self.range_of(number);
        if bytes.len() as u64 != range.end - range.start {
            return Ok(None);
        }
        let bytes = aligned(&self.path, &bytes)?;
        self.shared.cache.put(&self.path, number, bytes.clone());
        Ok(Some(bytes))
    }

    /// The pieces of these numbers, from nearby or from the store.
    fn pieces(&self, numbers: Range<u64>) -> Result<Vec<Buffer>> {
        let mut found = numbers.clone().map(|number| self.near(number)).collect::<Result<Vec<_>>>()?;
        let missing: Vec<u64> =
            numbers.clone().filter(|number| found[(number - numbers.start) as usize].is_none()).collect();
        let ranges: Vec<Range<u64>> = missing.iter().map(|number| self.range_of(*number)).collect();
        let fetched = if ranges.is_empty() { Vec::new() } else { self.fetch(&ranges)? };
        for ((number, bytes), range) in missing.into_iter().zip(fetched).zip(ranges) {
            if bytes.len() as u64 != range.end - range.start {
                return Err(Error::corrupt(
                    &self.path,
                    range.start,
                    "the store returned fewer bytes than it has",
                ));
            }
            if let Some(kept) = &self.kept {
                kept.put(number, &bytes);
            }
            let bytes = aligned(&self.path, &bytes)?;
            self.shared.cache.put(&self.path, number, bytes.clone());
            found[(number - numbers.start) as usize] = Some(bytes);
        }
        Ok(found.into_iter().flatten().collect())
    }

    fn range_of(&self, number: u64) -> Range<u64> {
        number * PIECE_LEN..((number + 1) * PIECE_LEN).min(self.len)
    }

    fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.shared.remote.ranges(&self.path, ranges).map_err(|error| match error {
            Error::Io { op, path, source } if source.kind() == std::io::ErrorKind::NotFound => {
                let why = "the writer has removed it since this snapshot was taken; take a new one, or open the \
                           database again (a writer keeps what it replaces for `keep_removed`)";
                Error::io(op, path, std::io::Error::new(std::io::ErrorKind::NotFound, why))
            }
            error => error,
        })
    }
}

impl FileReader for SealedReader {
    fn path(&self) -> &str {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        let (start, len) = check_range(&self.path, self.len, &range)?;
        if len == 0 {
            return Ok(Buffer::from(&[]));
        }
        let numbers = range.start / PIECE_LEN..(range.end - 1) / PIECE_LEN + 1;
        let first = numbers.start;
        let pieces = self.pieces(numbers)?;
        let skipped = start - (first * PIECE_LEN) as usize;
        if let [piece] = &pieces[..] {
            return Ok(piece.slice_with_length(skipped, len));
        }
        let mut bytes = room(&self.path, len)?;
        let (mut out, mut skipped) = (bytes.as_mut_slice(), skipped);
        for piece in &pieces {
            let some = (piece.len() - skipped).min(out.len());
            let (now, later) = out.split_at_mut(some);
            now.copy_from_slice(&piece[skipped..skipped + some]);
            (out, skipped) = (later, 0);
        }
        Ok(bytes.into_buffer())
    }

    fn is_mapped(&self) -> bool {
        false
    }

    fn check_len(&self) -> Result<()> {
        Ok(())
    }
}

impl Drop for SealedReader {
    fn drop(&mut self) {
        self.open = Arc::default();
        if self.shared.trash.is_immediate() {
            self.shared.sweep();
        }
    }
}

fn room(path: &str, len: usize) -> Result<AlignedBytes> {
    AlignedBytes::zeroed(len).map_err(|_| Error::io("read", path, std::io::ErrorKind::OutOfMemory.into()))
}
