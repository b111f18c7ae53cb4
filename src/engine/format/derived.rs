//! A file that was made of one column of an SSTable: whose it is, what it holds, and that it is what was written.
//!
//! ```text
//! magic 8 | format version u32 | column u32 | database u128 | sst u64 | rows u64 | length of the sst u64 |
//! length of the description u64 | description | zeros up to a multiple of 64 | body | xxh3-128
//! ```
//! The hash covers everything before it. What the body means is the business of whoever described it.

use arrow::buffer::Buffer;
use xxhash_rust::xxh3::xxh3_128;

use crate::common::{ColumnId, DatabaseId, Error, FileId, Result};

const MAGIC: [u8; 8] = *b"TRIDERIV";
/// A file of any other version is made again.
const VERSION: u32 = 1;
const FIXED_BYTES: usize = 64;
const HASH_BYTES: usize = 16;
const ALIGNMENT: usize = 64;

/// What a file was made of, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DerivedSource {
    /// The database.
    pub database: DatabaseId,
    /// The SSTable.
    pub file: FileId,
    /// Length of its data file.
    pub data_len: u64,
    /// Its rows.
    pub rows: u64,
    /// The column.
    pub column: ColumnId,
    /// All that the body depends on besides the rows, in words.
    pub description: String,
}

impl DerivedSource {
    /// A number that tells two descriptions apart in the names of files; the file itself holds the words.
    #[must_use]
    pub fn variant(&self) -> u64 {
        xxh3_128(self.description.as_bytes()) as u64
    }

    fn header(&self) -> Vec<u8> {
        let fields: [&[u8]; 9] = [
            &MAGIC,
            &VERSION.to_le_bytes(),
            &self.column.0.to_le_bytes(),
            &self.database.0.to_le_bytes(),
            &self.file.0.to_le_bytes(),
            &self.rows.to_le_bytes(),
            &self.data_len.to_le_bytes(),
            &(self.description.len() as u64).to_le_bytes(),
            self.description.as_bytes(),
        ];
        let mut header = fields.concat();
        header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
        header
    }
}

/// The bytes of a file with this body.
#[must_use]
pub fn seal(source: &DerivedSource, body: &[u8]) -> Vec<u8> {
    let mut bytes = source.header();
    bytes.extend_from_slice(body);
    let hash = xxh3_128(&bytes);
    bytes.extend_from_slice(&hash.to_le_bytes());
    bytes
}

/// The body of a file made of `source`.
///
/// # Errors
/// `Corrupt` when it is not whole, or is of something else.
pub fn open(path: &str, bytes: &Buffer, source: &DerivedSource) -> Result<Buffer> {
    verify(path, bytes)?;
    let header = source.header();
    if !bytes.starts_with(&header) {
        return Err(Error::corrupt(path, 0, "it was made of another file, or in another way"));
    }
    let body = bytes.len() - HASH_BYTES - header.len();
    Ok(bytes.slice_with_length(header.len(), body))
}

/// That the bytes are those of such a file, whole.
///
/// # Errors
/// `Corrupt`.
pub fn verify(path: &str, bytes: &[u8]) -> Result<()> {
    let damaged = |what: &str| Err(Error::corrupt(path, 0, what));
    if !bytes.starts_with(&MAGIC) {
        return damaged("it does not begin as a file derived from another");
    }
    match bytes.split_at_checked(bytes.len().saturating_sub(HASH_BYTES)) {
        Some((body, hash)) if body.len() >= FIXED_BYTES && hash == xxh3_128(body).to_le_bytes() => Ok(()),
        _ => damaged("its hash does not agree with its content"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn source() -> DerivedSource {
        DerivedSource {
            database: DatabaseId(7),
            file: FileId(3),
            data_len: 4096,
            rows: 12,
            column: ColumnId(2),
            description: "text, english".into(),
        }
    }

    #[test]
    fn only_the_body_that_was_sealed_for_the_same_source_comes_back() {
        let bytes = seal(&source(), b"body");
        let buffer = Buffer::from(bytes.as_slice());
        assert_eq!(open("f", &buffer, &source()).unwrap().as_slice(), b"body");
        assert_eq!((bytes.len() - HASH_BYTES - 4) % ALIGNMENT, 0);
        let others = [
            DerivedSource { rows: 13, ..source() },
            DerivedSource { description: "text, german".into(), ..source() },
        ];
        others.iter().for_each(|other| assert!(open("f", &buffer, other).is_err()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            assert!(open("f", &Buffer::from(damaged), &source()).is_err(), "byte {at}");
            assert!(open("f", &Buffer::from(&bytes[..at]), &source()).is_err(), "cut at {at}");
        }
    }
}
