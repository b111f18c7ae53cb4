//! A small file that is written once and hashed as a whole: the manifest and CURRENT.
//!
//! ```text
//! magic 8 | format version u32 | reserved u32 | database id u128 | number u64 | payload length u64 | payload | xxh3-128
//! ```
//! The hash covers everything before it; nothing of the payload is looked at before it agrees.

use xxhash_rust::xxh3::xxh3_128;

use crate::common::{DatabaseId, Error, Result};

/// The format of a database without large values, which every build reads.
pub const PLAIN_VERSION: u32 = 1;
/// The format of a manifest that names files of large values, and the newest that this build reads.
pub const FORMAT_VERSION: u32 = 2;

const HEADER_BYTES: usize = 48;
const HASH_BYTES: usize = 16;

/// What stands before the payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// The kind of file.
    pub magic: [u8; 8],
    /// The oldest format that a reader of it must know.
    pub version: u32,
    /// The database it belongs to.
    pub database: DatabaseId,
    /// Its number among files of its kind.
    pub number: u64,
}

/// The bytes of a sealed file, and their hash.
#[must_use]
pub fn seal(header: Sealed, payload: &[u8]) -> (Vec<u8>, u128) {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len() + HASH_BYTES);
    bytes.extend_from_slice(&header.magic);
    bytes.extend_from_slice(&header.version.to_le_bytes());
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.extend_from_slice(&header.database.0.to_le_bytes());
    bytes.extend_from_slice(&header.number.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
    let hash = xxh3_128(&bytes);
    bytes.extend_from_slice(&hash.to_le_bytes());
    (bytes, hash)
}

/// Checks a sealed file and returns its header, payload and hash.
///
/// # Errors
/// `Unsupported` for a newer format, `Corrupt` for anything else than what [`seal`] wrote.
pub fn unseal<'a>(path: &str, magic: [u8; 8], bytes: &'a [u8]) -> Result<(Sealed, &'a [u8], u128)> {
    let damaged = |offset: usize, what: &str| Error::corrupt(path, offset as u64, what);
    let Some(body_end) = bytes.len().checked_sub(HASH_BYTES).filter(|end| *end >= HEADER_BYTES) else {
        return Err(damaged(bytes.len(), "the file is too short"));
    };
    let (body, stored) = bytes.split_at(body_end);
    let hash = xxh3_128(body);
    if stored != hash.to_le_bytes() {
        return Err(damaged(0, "its hash does not agree with its content"));
    }
    let version = u32::from_le_bytes(field(body, 8));
    if body[..8] != magic {
        return Err(damaged(0, "it is a file of another kind"));
    }
    if version > FORMAT_VERSION {
        let what = format!("format version of {path}");
        return Err(Error::Unsupported { what, found: version.to_string(), max: FORMAT_VERSION.to_string() });
    }
    let payload = &body[HEADER_BYTES..];
    if u64::from_le_bytes(field(body, 40)) != payload.len() as u64 {
        return Err(damaged(40, "it states another length than it has"));
    }
    let database = DatabaseId(u128::from_le_bytes(field(body, 16)));
    Ok((Sealed { magic, version, database, number: u64::from_le_bytes(field(body, 32)) }, payload, hash))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 8] = *b"TESTFILE";

    #[test]
    fn a_newer_format_is_refused() {
        let header = Sealed { magic: MAGIC, version: FORMAT_VERSION, database: DatabaseId(7), number: 3 };
        assert_eq!(unseal("x", MAGIC, &seal(header, b"").0).map(|(found, ..)| found).ok(), Some(header));
        let newer = Sealed { version: FORMAT_VERSION + 1, ..header };
        assert!(matches!(unseal("x", MAGIC, &seal(newer, b"").0), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn every_flip_and_every_cut_is_found() {
        let header = Sealed { magic: MAGIC, version: PLAIN_VERSION, database: DatabaseId(7), number: 3 };
        let (bytes, hash) = seal(header, b"payload");
        assert_eq!(
            unseal("x", MAGIC, &bytes).map_err(|e| e.to_string()),
            Ok((header, &b"payload"[..], hash))
        );
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal("x", MAGIC, &damaged).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(unseal("x", MAGIC, &bytes[..len]).is_err(), "cut at {len}");
        }
    }
}
