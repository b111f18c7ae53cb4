//! The first bytes of a write-ahead log file: whose it is, and which log it continues.
//!
//! Encoding only; reading and writing files is the business of `wal`. The position of the version and of
//! the checksum never change, so that any build can tell a newer format from a damaged file.

use crate::common::{DatabaseId, Epoch, Error, FileId, Result};
use serde::{Deserialize, Serialize};

/// First bytes of every log file. The newline shows up a transfer that rewrote line ends.
pub const WAL_MAGIC: [u8; 8] = *b"TRILWAL\n";

/// Version of the log format that this build writes, and the newest it reads.
pub const WAL_VERSION: u32 = 1;

/// Bytes of an encoded [`WalHeader`].
pub const WAL_HEADER_LEN: usize = 96;

const CRC_AT: usize = WAL_HEADER_LEN - 4;
const HAS_PREV: u32 = 1;

/// A point between two records of a log: where its valid part ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WalEnd {
    /// The log file.
    pub file: FileId,
    /// Bytes up to here.
    pub len: u64,
    /// Checksum that covers every byte up to here.
    pub chain: u32,
}

/// What a log file says about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalHeader {
    /// The database it belongs to.
    pub database: DatabaseId,
    /// Its own number.
    pub file: FileId,
    /// The opening for writing that made it, and that alone may append to it.
    pub epoch: Epoch,
    /// Where the log before this one ends. What that file holds beyond was cut off and is not data.
    pub prev: Option<WalEnd>,
}

impl WalHeader {
    /// The bytes of the header; the last four are its checksum, from which the chain of the file starts.
    #[must_use]
    pub fn encode(&self) -> [u8; WAL_HEADER_LEN] {
        let prev = self.prev.unwrap_or(WalEnd { file: FileId(0), len: 0, chain: 0 });
        let flags = if self.prev.is_some() { HAS_PREV } else { 0 };
        let mut bytes = [0; WAL_HEADER_LEN];
        bytes[0..8].copy_from_slice(&WAL_MAGIC);
        bytes[8..12].copy_from_slice(&WAL_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.database.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.file.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&prev.file.0.to_le_bytes());
        bytes[56..64].copy_from_slice(&prev.len.to_le_bytes());
        bytes[64..68].copy_from_slice(&prev.chain.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header back, with the chain value from which the records of the file go on. `path` is for messages.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not those of a header, `Unsupported` when a newer build wrote them.
    pub fn decode(bytes: &[u8], path: &str) -> Result<(Self, u32)> {
        let Some(bytes) = bytes.first_chunk::<WAL_HEADER_LEN>() else {
            let what = format!("a log starts with {WAL_HEADER_LEN} bytes of header, found {}", bytes.len());
            return Err(Error::corrupt(path, bytes.len() as u64, what));
        };
        if bytes[0..8] != WAL_MAGIC {
            return Err(Error::corrupt(path, 0, "it does not start like a log of Trilith"));
        }
        let chain = crc32c::crc32c(&bytes[..CRC_AT]);
        if chain != u32_at(bytes, CRC_AT) {
            return Err(Error::corrupt(path, 0, "the header fails its checksum"));
        }
        let (version, flags) = (u32_at(bytes, 8), u32_at(bytes, 12));
        if version != WAL_VERSION || flags & !HAS_PREV != 0 {
            let found = format!("version {version} with flags {flags:#x}");
            return Err(Error::Unsupported {
                what: path.into(),
                found,
                max: format!("version {WAL_VERSION}"),
            });
        }
        let prev =
            WalEnd { file: FileId(u64_at(bytes, 48)), len: u64_at(bytes, 56), chain: u32_at(bytes, 64) };
        let header = Self {
            database: DatabaseId(u128::from(u64_at(bytes, 16)) | u128::from(u64_at(bytes, 24)) << 64),
            file: FileId(u64_at(bytes, 32)),
            epoch: Epoch(u64_at(bytes, 40)),
            prev: (flags & HAS_PREV != 0).then_some(prev),
        };
        Ok((header, chain))
    }
}

/// The little-endian number at `at`. Callers pass constants within the array.
pub(super) fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// The little-endian number at `at`. Callers pass constants within the array.
pub(super) fn u64_at<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn header(prev: Option<WalEnd>) -> WalHeader {
        WalHeader { database: DatabaseId(0x1234_5678 << 80 | 9), file: FileId(7), epoch: Epoch(3), prev }
    }

    #[test]
    fn headers_come_back() {
        for prev in [None, Some(WalEnd { file: FileId(6), len: 4096, chain: 77 })] {
            let bytes = header(prev).encode();
            let (found, chain) = WalHeader::decode(&bytes, "wal/7.wal").unwrap();
            assert_eq!(found, header(prev));
            assert_eq!(chain.to_le_bytes(), bytes[CRC_AT..]);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = header(None).encode();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(WalHeader::decode(&bad, "wal/7.wal").is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_named_as_such() {
        let mut bytes = header(None).encode();
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        assert!(matches!(WalHeader::decode(&bytes, "wal/7.wal"), Err(Error::Unsupported { .. })));
    }
}
