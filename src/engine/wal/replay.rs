//! Reads one log file from its header to its end.
//!
//! Damage is told from a torn tail by the testimony of later records (see `evidence`). Bytes are read into
//! memory of their own, in windows, so that neither a length stated in a file nor somebody who cuts the
//! file meanwhile can end the process. Nothing is written.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::{evidence, wal_path};
use crate::common::{DatabaseId, Error, FileId, Result, SeqNo};
use crate::format::wal_header::{WAL_HEADER_LEN, WalEnd, WalHeader};
use crate::format::wal_record::{RECORD_HEADER_LEN, RECORD_MAX, RecordHeader, padding};
use crate::io::{FileReader, Storage};

/// Bytes read at a time.
pub(super) const WINDOW: u64 = 1 << 20;

/// Where a log file must end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplayBound {
    /// The newest file, not closed: an incomplete record that no sync ever covered may follow its end.
    Open,
    /// A sealed file: it holds valid records up to exactly here, or it is damaged. Bytes beyond are ignored:
    /// they were cut off when it was sealed.
    Exact(WalEnd),
}

/// What a log file was found to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalTail {
    /// What it says about itself.
    pub header: WalHeader,
    /// After its last valid record.
    pub end: WalEnd,
    /// The last end that some record proves was durable. Records between here and `end` are valid, and are
    /// perhaps in the cache of the operating system only: whoever goes on from them must log them again.
    pub proven: WalEnd,
    /// The last commit in it (or, for a chain, in it or the files before), if there is any.
    pub last_seq: Option<SeqNo>,
    /// Bytes that follow `end` and were not returned.
    pub torn_bytes: u64,
}

/// One valid record, as [`scan`] hands it on.
pub(super) struct Record {
    pub(super) seq: SeqNo,
    pub(super) payload: Buffer,
    /// Bytes of the file that it proves durable.
    pub(super) synced_upto: u64,
    /// After this record.
    pub(super) end: WalEnd,
}

/// Hands every record of a log file to `visit`, in order. When this fails, forget what `visit` was given.
///
/// # Errors
/// `Corrupt` when bytes that had been synced are damaged or missing, or when the file belongs to another
/// database, file number or epoch; `NotFound` (`Io`) when it is not there; what `visit` returns.
pub fn replay(
    storage: &dyn Storage,
    file: FileId,
    database: DatabaseId,
    bound: ReplayBound,
    visit: &mut dyn FnMut(SeqNo, Buffer) -> Result<()>,
) -> Result<WalTail> {
    scan(storage, file, database, bound, None, &mut |record| visit(record.seq, record.payload))
}

/// Reads the header of a log file.
///
/// # Errors
/// As [`replay`].
pub fn read_header(storage: &dyn Storage, file: FileId, database: DatabaseId) -> Result<WalHeader> {
    let path = wal_path(file);
    Ok(checked_header(&*storage.open(&path)?, &path, file, database)?.0)
}

/// [`replay`] with the position of each record; with `from`, on from where an earlier reading of the file ended.
pub(super) fn scan(
    storage: &dyn Storage,
    file: FileId,
    database: DatabaseId,
    bound: ReplayBound,
    from: Option<&WalTail>,
    visit: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<WalTail> {
    let path = wal_path(file);
    let reader = storage.open(&path)?;
    let (header, seed) = checked_header(&*reader, &path, file, database)?;
    let limit = match bound {
        ReplayBound::Open => reader.len(),
        ReplayBound::Exact(end) => sealed_limit(&path, &header, &*reader, end)?,
    };
    let start = WalEnd { file, len: WAL_HEADER_LEN as u64, chain: seed };
    let (end, last_seq) = from.map_or((start, None), |tail| (tail.end, tail.last_seq));
    let mut log = Log { window: Window::new(reader), header, seed, limit, end, last_seq };
    let proof = log.visit_all(visit)?;
    match bound {
        ReplayBound::Exact(end) if log.end.len != end.len => {
            return Err(log.damaged("a record fails its checksum"));
        }
        ReplayBound::Exact(end) if log.end != end => {
            return Err(log.damaged("it is not the log that was sealed"));
        }
        ReplayBound::Exact(_) => {}
        // Reserved room, seen again and again by a reader that follows: the seal of the file tells in the end.
        ReplayBound::Open if from.is_some() && log.ends_in_zeros()? => {}
        ReplayBound::Open => log.check_tail()?,
    }
    let torn_bytes = log.window.file.len().saturating_sub(log.end.len);
    // A seal was durable before it was written down.
    let proven = if bound == ReplayBound::Open { proof } else { log.end };
    Ok(WalTail { header, end: log.end, proven, last_seq: log.last_seq, torn_bytes })
}

fn checked_header(
    reader: &dyn FileReader,
    path: &str,
    file: FileId,
    database: DatabaseId,
) -> Result<(WalHeader, u32)> {
    let bytes = reader.load(0..reader.len().min(WAL_HEADER_LEN as u64))?;
    let (header, seed) = WalHeader::decode(&bytes, path)?;
    if header.database != database {
        return Err(Error::corrupt(
            path,
            16,
            format!("it belongs to database {}, not {database}", header.database),
        ));
    }
    if header.file != file {
        return Err(Error::corrupt(
            path,
            32,
            format!("it is log {} under the name of log {file}", header.file),
        ));
    }
    Ok((header, seed))
}

fn sealed_limit(path: &str, header: &WalHeader, reader: &dyn FileReader, end: WalEnd) -> Result<u64> {
    if end.file != header.file {
        return Err(Error::Internal(format!("log {} is read up to an end of log {}", header.file, end.file)));
    }
    if reader.len() < end.len || end.len < WAL_HEADER_LEN as u64 {
        let what = format!("the log was sealed with {} bytes and has {}", end.len, reader.len());
        return Err(Error::corrupt(path, reader.len().min(end.len), what));
    }
    Ok(end.len)
}

/// The state of a reading.
struct Log {
    window: Window,
    header: WalHeader,
    seed: u32,
    /// No record reaches beyond this.
    limit: u64,
    /// After the last valid record.
    end: WalEnd,
    last_seq: Option<SeqNo>,
}

impl Log {
    /// Visits records until the first that is not valid, and returns the last end proven durable.
    fn visit_all(&mut self, visit: &mut dyn FnMut(Record) -> Result<()>) -> Result<WalEnd> {
        let mut ends = VecDeque::from([self.end]);
        while let Some(record) = self.next_record()? {
            // The newest end below the testimony stays in front.
            while ends.get(1).is_some_and(|next| next.len <= record.synced_upto) {
                ends.pop_front();
            }
            self.end = record.end;
            self.last_seq = Some(record.seq);
            ends.push_back(record.end);
            visit(record)?;
        }
        Ok(ends.front().copied().unwrap_or(self.end))
    }

    /// The record at the current end, if a valid one is there.
    fn next_record(&mut self) -> Result<Option<Record>> {
        let at = self.end.len;
        let body = at + RECORD_HEADER_LEN as u64;
        if body > self.limit {
            return Ok(None);
        }
        let Some((header, chain)) = RecordHeader::decode(&self.window.read(at..body)?, self.seed, at) else {
            return Ok(None);
        };
        let next = at + header.stride();
        if next > self.limit || !self.follows(&header) {
            return Ok(None);
        }
        let padded = self.window.read(body..next)?;
        if crc32c::crc32c(&padded) != header.payload_crc || !padded.ends_with(padding(u64::from(header.len)))
        {
            return Ok(None);
        }
        let payload = padded.slice_with_length(0, header.len as usize);
        let end = WalEnd { len: next, chain, ..self.end };
        Ok(Some(Record { seq: header.seq, payload, synced_upto: header.synced_upto, end }))
    }

    fn follows(&self, header: &RecordHeader) -> bool {
        header.prev_chain == self.end.chain
            && header.epoch == self.header.epoch
            && header.synced_upto <= self.end.len
            && u64::from(header.len) <= RECORD_MAX
            && self.last_seq.is_none_or(|last| last < header.seq)
    }

    fn ends_in_zeros(&mut self) -> Result<bool> {
        let end = self.window.file.len().min(self.end.len + RECORD_HEADER_LEN as u64);
        Ok(end <= self.end.len || self.window.read(self.end.len..end)?.iter().all(|byte| *byte == 0))
    }

    /// Confirms that nothing after the current end was ever synced.
    fn check_tail(&mut self) -> Result<()> {
        match evidence::find(&mut self.window, self.seed, self.end.len)? {
            Some(witness) => Err(self.damaged(&format!(
                "a record fails its checksum, and the one at byte {witness} proves that it had been written in full"
            ))),
            None => Ok(()),
        }
    }

    fn damaged(&self, what: &str) -> Error {
        Error::corrupt(self.window.file.path(), self.end.len, what)
    }
}

/// A file seen through pieces of [`WINDOW`] bytes, so that small records cost no read each.
pub(super) struct Window {
    pub(super) file: Arc<dyn FileReader>,
    start: u64,
    bytes: Buffer,
}

impl Window {
    fn new(file: Arc<dyn FileReader>) -> Self {
        Self { file, start: 0, bytes: Buffer::default() }
    }

    /// The bytes of `range`, which lies within the file.
    pub(super) fn read(&mut self, range: Range<u64>) -> Result<Buffer> {
        let wanted = (range.end - range.start) as usize;
        if range.start < self.start || range.end > self.start + self.bytes.len() as u64 {
            let end = range.end.max(self.file.len().min(range.start + WINDOW));
            self.bytes = self.file.load(range.start..end)?;
            self.start = range.start;
        }
        Ok(self.bytes.slice_with_length((range.start - self.start) as usize, wanted))
    }
}
