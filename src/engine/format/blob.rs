//! Files of large values: what stands before and behind the values, and what the manifest pins of them.
//!
//! `FORMAT.md`, section "Blobs", is the byte layout. Not the values themselves, nor which rows they belong to.

use arrow::buffer::Buffer;
use serde::{Deserialize, Serialize};

use super::block::{BlockSeed, BlockSums, block_count};
use super::cursor::Cursor;
use super::hash::Hash128;
use super::layout;
use crate::common::{DatabaseId, Error, FileId, Result, TableId};

/// How the file begins.
pub const MAGIC: &[u8; 8] = b"TRILBLOB";
const END_MAGIC: &[u8; 8] = b"TRIBLEND";
const VERSION: u32 = 1;
/// Bytes before the first value.
pub const HEADER_LEN: usize = 64;
/// Bytes of the footer, its hash included.
pub const FOOTER_LEN: usize = 48;

/// A blob file as the manifest records it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlobInfo {
    /// Its number.
    pub file: FileId,
    /// Its length.
    pub len: u64,
    /// Bytes before its checksums: the header and all values.
    pub data_len: u64,
    /// Values in it.
    pub values: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Hash of its header, checksums and footer.
    pub hash: Hash128,
}

/// What the rows of one SSTable need of a blob file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlobUse {
    /// The file.
    pub blob: BlobInfo,
    /// Values that rows of the SSTable refer to, rows that are deleted included.
    pub values: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Which blob file this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlobHeader {
    /// The database it belongs to.
    pub database: DatabaseId,
    /// Its number.
    pub file: FileId,
    /// The table of its values.
    pub table: TableId,
}

/// What stands behind the values.
#[derive(Clone, Debug)]
pub struct BlobTail {
    /// Bytes before the checksums.
    pub data_len: u64,
    /// Values in the file.
    pub values: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Checksums of the blocks of header and values.
    pub sums: BlockSums,
}

impl BlobHeader {
    /// The first bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.database.0.to_le_bytes());
        bytes.extend(self.file.0.to_le_bytes());
        bytes.extend(self.table.0.to_le_bytes());
        bytes.resize(HEADER_LEN, 0);
        bytes
    }

    /// Reads the first bytes of the file `path`.
    ///
    /// # Errors
    /// `Corrupt` for another kind of file; `Unsupported` for a newer format.
    pub fn decode(path: &str, bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(bytes);
        let mut read = || {
            let own = cursor.bytes(8)? == MAGIC;
            let version = cursor.u32()?;
            cursor.u32()?;
            Some((own, version, DatabaseId(cursor.u128()?), FileId(cursor.u64()?), TableId(cursor.u64()?)))
        };
        let Some((true, version, database, file, table)) = read() else {
            return Err(Error::corrupt(path, 0, "it does not begin as a blob file"));
        };
        if version > VERSION {
            let what = format!("format version of {path}");
            return Err(Error::Unsupported { what, found: version.to_string(), max: VERSION.to_string() });
        }
        Ok(Self { database, file, table })
    }
}

/// What is appended behind the values, of which `sums` holds a little-endian crc32c per block; and its hash.
#[must_use]
pub fn encode_tail(header: &[u8], sums: &[u8], data_len: u64, values: u64, bytes: u64) -> (Vec<u8>, Hash128) {
    let mut hashed = header.to_vec();
    hashed.extend_from_slice(sums);
    hashed.extend_from_slice(END_MAGIC);
    hashed.extend([data_len, values, bytes].into_iter().flat_map(u64::to_le_bytes));
    let hash = Hash128::seal(&mut hashed);
    (hashed.split_off(header.len()), hash)
}

/// Reads what stands behind the values of the file `path` of length `len`: `header` its first bytes, `tail` its last
/// ones from `data_len` on.
///
/// # Errors
/// `Corrupt` when they are not what was written together.
pub fn decode_tail(path: &str, header: &[u8], tail: &Buffer, data_len: u64) -> Result<(BlobTail, Hash128)> {
    let damaged = |what: &str| Error::corrupt(path, data_len, what);
    let hash = Hash128::check_sealed(path, &[header, tail].concat())?;
    let id = BlobHeader::decode(path, header)?;
    let sums_len = usize::try_from(block_count(data_len)).ok().and_then(|blocks| blocks.checked_mul(4));
    let sums_len = sums_len.filter(|sums| sums.checked_add(FOOTER_LEN) == Some(tail.len()));
    let sums_len = sums_len.ok_or_else(|| damaged("its checksums are not as many as its blocks"))?;
    let mut footer = Cursor::new(&tail[sums_len..]);
    let mut read = || {
        let own = footer.bytes(8)? == END_MAGIC;
        Some((own, footer.u64()?, footer.u64()?, footer.u64()?))
    };
    let Some((true, stated, values, bytes)) = read() else {
        return Err(damaged("it does not end as a blob file"));
    };
    if stated != data_len {
        return Err(damaged("its footer lies elsewhere than it says"));
    }
    let sums = BlockSums::new(BlockSeed::new(id.database, id.file), tail.slice_with_length(0, sums_len));
    Ok((BlobTail { data_len, values, bytes, sums }, hash))
}

/// Where the values of a file of length `len` end, by its last bytes; `None` when they are no footer.
#[must_use]
pub fn data_len(footer: &[u8], len: u64) -> Option<u64> {
    let mut cursor = Cursor::new(footer);
    let own = cursor.bytes(8)? == END_MAGIC;
    let data_len = cursor.u64()?;
    let sums = block_count(data_len).checked_mul(4)?;
    let whole = data_len.checked_add(sums)?.checked_add(FOOTER_LEN as u64)? == len;
    (own && whole && data_len >= HEADER_LEN as u64).then_some(data_len)
}

impl BlobInfo {
    /// Path of the file.
    #[must_use]
    pub fn path(&self) -> String {
        layout::blob(self.file)
    }
}
