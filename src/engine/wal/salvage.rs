//! Reads a log file as far as it proves itself, over damage and on to its end: for inspection and repair.
//!
//! Ordinary replay stops at the first bad record. Here it is passed over: a record header is bound to its file and
//! position by its checksum, so what follows the damage can be found and believed by itself. Nothing is decided about
//! what a hole means, and nothing is written.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::replay::{WINDOW, Window};
use crate::common::Result;
use crate::format::wal_header::{WAL_HEADER_LEN, WalHeader};
use crate::format::wal_record::{RECORD_ALIGN, RECORD_HEADER_LEN, RECORD_MAX, RecordHeader, padding};
use crate::io::FileReader;

/// A stretch of a log file.
#[derive(Clone, Debug)]
pub enum LogPiece {
    /// A record whose header and payload agree with their checksums.
    Record {
        /// Position of its header.
        at: u64,
        /// What stands before the payload.
        header: RecordHeader,
        /// The commit.
        payload: Buffer,
    },
    /// Bytes that are no record.
    Hole {
        /// Where they lie.
        bytes: Range<u64>,
        /// The header of the record that stood there, where the header alone still proves itself.
        header: Option<RecordHeader>,
    },
    /// Zeros up to the end: room that was reserved for more records.
    Room {
        /// Where they lie.
        bytes: Range<u64>,
    },
}

/// The header of a log file that may be damaged.
#[derive(Clone, Copy, Debug)]
pub struct LogHead {
    /// What it says, when it proves itself.
    pub header: Option<WalHeader>,
    seeds: [u32; 2],
}

/// Reads the header of a log, whatever its state. Either the header or its checksum, where one of them is intact,
/// is enough to believe the records.
///
/// # Errors
/// `Io` when the file cannot be read.
pub fn log_head(reader: &dyn FileReader) -> Result<LogHead> {
    let bytes = reader.load(0..reader.len().min(WAL_HEADER_LEN as u64))?;
    let header = WalHeader::decode(&bytes, reader.path()).ok().map(|(header, _)| header);
    let body = &bytes[..bytes.len().min(WAL_HEADER_LEN - 4)];
    let stored = bytes.get(WAL_HEADER_LEN - 4..).and_then(|tail| tail.first_chunk::<4>());
    let computed = crc32c::crc32c(body);
    Ok(LogHead { header, seeds: [computed, stored.map_or(computed, |bytes| u32::from_le_bytes(*bytes))] })
}

/// Hands every piece of a log file up to `limit` to `visit`, in order.
///
/// # Errors
/// `Io` when the file cannot be read; what `visit` returns.
pub fn log_pieces(
    reader: &Arc<dyn FileReader>,
    head: &LogHead,
    limit: u64,
    visit: &mut dyn FnMut(LogPiece) -> Result<()>,
) -> Result<()> {
    let seeds = head.seeds;
    let mut scan = Scan {
        window: Window::new(Arc::clone(reader)),
        seeds: if seeds[0] == seeds[1] { seeds[..1].to_vec() } else { seeds.to_vec() },
        limit: limit.min(reader.len()),
    };
    let mut at = (WAL_HEADER_LEN as u64).min(scan.limit);
    while at < scan.limit {
        let piece = scan.piece(at)?;
        at = match &piece {
            LogPiece::Record { at, header, .. } => at + header.stride(),
            LogPiece::Hole { bytes, .. } | LogPiece::Room { bytes } => bytes.end,
        };
        visit(piece)?;
    }
    Ok(())
}

struct Scan {
    window: Window,
    seeds: Vec<u32>,
    limit: u64,
}

impl Scan {
    fn piece(&mut self, at: u64) -> Result<LogPiece> {
        let Some(header) = self.header(at)? else {
            let end = self.next_header(at + RECORD_ALIGN as u64)?;
            if end == self.limit && self.is_zero(at..end)? {
                return Ok(LogPiece::Room { bytes: at..end });
            }
            return Ok(LogPiece::Hole { bytes: at..end, header: None });
        };
        let (body, next) = (at + RECORD_HEADER_LEN as u64, at + header.stride());
        if u64::from(header.len) > RECORD_MAX || next > self.limit {
            return Ok(LogPiece::Hole { bytes: at..self.limit, header: Some(header) });
        }
        let padded = self.window.read(body..next)?;
        if crc32c::crc32c(&padded) != header.payload_crc || !padded.ends_with(padding(header.len.into())) {
            return Ok(LogPiece::Hole { bytes: at..next, header: Some(header) });
        }
        Ok(LogPiece::Record { at, header, payload: padded.slice_with_length(0, header.len as usize) })
    }

    fn header(&mut self, at: u64) -> Result<Option<RecordHeader>> {
        let end = at + RECORD_HEADER_LEN as u64;
        if end > self.limit {
            return Ok(None);
        }
        let bytes = self.window.read(at..end)?;
        Ok(self.proven(&bytes, at))
    }

    fn proven(&self, bytes: &[u8], at: u64) -> Option<RecordHeader> {
        self.seeds.iter().find_map(|seed| RecordHeader::decode(bytes, *seed, at)).map(|(header, _)| header)
    }

    fn is_zero(&mut self, bytes: Range<u64>) -> Result<bool> {
        let mut start = bytes.start;
        while start < bytes.end {
            let end = bytes.end.min(start + WINDOW);
            if self.window.read(start..end)?.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            start = end;
        }
        Ok(true)
    }

    /// Position of the first header at or after `from` that proves itself, or the limit.
    fn next_header(&mut self, from: u64) -> Result<u64> {
        let header = RECORD_HEADER_LEN as u64;
        let mut start = from;
        while start + header <= self.limit {
            let bytes = self.window.read(start..self.limit.min(start + WINDOW))?;
            let places = (0..bytes.len() - RECORD_HEADER_LEN + 1).step_by(RECORD_ALIGN);
            if let Some(at) =
                places.clone().find(|at| self.proven(&bytes[*at..], start + *at as u64).is_some())
            {
                return Ok(start + at as u64);
            }
            start += (places.len() * RECORD_ALIGN) as u64;
        }
        Ok(self.limit)
    }
}
