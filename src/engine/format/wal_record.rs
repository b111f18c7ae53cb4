//! One record of a write-ahead log: a header of 48 bytes, the payload, zeros up to a multiple of 8.
//!
//! The header has a checksum of its own, bound to the file and to the position, so that a header alone can
//! testify (`synced_upto`) even when its payload is gone, and never after it was copied elsewhere. It
//! contains the checksum of the payload and that of the header before it: the last one covers the file.

use super::wal_header::{u32_at, u64_at};
use crate::common::{Epoch, Error, Result, SeqNo};

/// Bytes of an encoded [`RecordHeader`].
pub const RECORD_HEADER_LEN: usize = 48;

/// Records start at multiples of this.
pub const RECORD_ALIGN: usize = 8;

/// Longest payload.
pub const RECORD_MAX: u64 = 1 << 30;

const MARKER: u32 = u32::from_le_bytes(*b"TREC");
const CRC_AT: usize = RECORD_HEADER_LEN - 4;

/// What stands before a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHeader {
    /// Bytes of payload, without padding.
    pub len: u32,
    /// The opening for writing that appended it.
    pub epoch: Epoch,
    /// The commit.
    pub seq: SeqNo,
    /// Bytes of this file that were known to be durable before this record was handed to the system.
    pub synced_upto: u64,
    /// Chain value of the record before, or of the file header.
    pub prev_chain: u32,
    /// Checksum of payload and padding.
    pub payload_crc: u32,
}

/// True when a record may start with these bytes.
#[must_use]
pub fn may_start_record(bytes: &[u8]) -> bool {
    bytes.starts_with(&MARKER.to_le_bytes())
}

impl RecordHeader {
    /// The bytes of the header and the chain value after this record. `seed` is the chain value of the file
    /// header, `offset` the position of the record.
    #[must_use]
    pub fn encode(&self, seed: u32, offset: u64) -> ([u8; RECORD_HEADER_LEN], u32) {
        let mut bytes = [0; RECORD_HEADER_LEN];
        bytes[0..4].copy_from_slice(&MARKER.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.seq.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.synced_upto.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.prev_chain.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.payload_crc.to_le_bytes());
        let chain = header_crc(&bytes, seed, offset);
        bytes[CRC_AT..].copy_from_slice(&chain.to_le_bytes());
        (bytes, chain)
    }

    /// Reads back a header found at `offset`, with the chain value after it; `None` when these bytes are not one.
    #[must_use]
    pub fn decode(bytes: &[u8], seed: u32, offset: u64) -> Option<(Self, u32)> {
        let bytes = bytes.first_chunk::<RECORD_HEADER_LEN>()?;
        if u32_at(bytes, 0) != MARKER || u32_at(bytes, 40) != 0 {
            return None;
        }
        let chain = header_crc(bytes, seed, offset);
        let header = Self {
            len: u32_at(bytes, 4),
            epoch: Epoch(u64_at(bytes, 8)),
            seq: SeqNo(u64_at(bytes, 16)),
            synced_upto: u64_at(bytes, 24),
            prev_chain: u32_at(bytes, 32),
            payload_crc: u32_at(bytes, 36),
        };
        (chain == u32_at(bytes, CRC_AT)).then_some((header, chain))
    }

    /// Bytes from the start of this record to the start of the next.
    #[must_use]
    pub fn stride(&self) -> u64 {
        RECORD_HEADER_LEN as u64 + u64::from(self.len).next_multiple_of(RECORD_ALIGN as u64)
    }
}

/// The length and the checksum of a payload given in parts, with its padding.
///
/// # Errors
/// `Limit` when it is longer than [`RECORD_MAX`].
pub fn measure(payload: &[&[u8]]) -> Result<(u32, u32)> {
    let len: u64 = payload.iter().map(|part| part.len() as u64).sum();
    let short = check_len(len)?;
    let crc = payload.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part));
    Ok((short, crc32c::crc32c_append(crc, padding(len))))
}

/// The length of a payload as a header has it.
///
/// # Errors
/// `Limit` when it is longer than [`RECORD_MAX`].
pub fn check_len(len: u64) -> Result<u32> {
    let limit = || Error::Limit { what: "bytes of one commit in the log".into(), got: len, max: RECORD_MAX };
    u32::try_from(len).ok().filter(|_| len <= RECORD_MAX).ok_or_else(limit)
}

/// The zeros that follow a payload of `len` bytes.
#[must_use]
pub fn padding(len: u64) -> &'static [u8] {
    const ZEROS: [u8; RECORD_ALIGN] = [0; RECORD_ALIGN];
    &ZEROS[..(len.next_multiple_of(RECORD_ALIGN as u64) - len) as usize]
}

fn header_crc(bytes: &[u8; RECORD_HEADER_LEN], seed: u32, offset: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &offset.to_le_bytes()), &bytes[..CRC_AT])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn header() -> RecordHeader {
        let (len, payload_crc) = measure(&[b"hello ", b"world"]).unwrap();
        RecordHeader { len, epoch: Epoch(3), seq: SeqNo(9), synced_upto: 96, prev_chain: 5, payload_crc }
    }

    #[test]
    fn headers_come_back_at_their_own_place_only() {
        let (bytes, chain) = header().encode(11, 96);
        assert_eq!(RecordHeader::decode(&bytes, 11, 96), Some((header(), chain)));
        assert_eq!(RecordHeader::decode(&bytes, 11, 104), None);
        assert_eq!(RecordHeader::decode(&bytes, 12, 96), None);
        assert_eq!(header().stride(), 48 + 16);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (bytes, _) = header().encode(11, 96);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&bad, 11, 96), None, "bit {bit}");
        }
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(RecordHeader::decode(&[0; 64], 0, 0), None);
    }

    #[test]
    fn parts_do_not_matter() {
        assert_eq!(measure(&[b"ab", b"", b"c"]).unwrap(), measure(&[b"abc"]).unwrap());
        assert_eq!(padding(11).len(), 5);
        assert_eq!(padding(16).len(), 0);
    }
}
