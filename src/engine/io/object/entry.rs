//! One object of the journal as bytes; FORMAT.md, section "Object store".

use bytes::{BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_128;

use crate::common::{Error, Result};

const MAGIC: [u8; 8] = *b"TRIENTRY";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 64;
const HASH_LEN: usize = 16;
/// Longest path that is believed.
const PATH_MAX: usize = 512;

/// What an object of the journal does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Begins the time of another writer; the body says who it is.
    Writer = 1,
    /// Appends the body to a file.
    Part = 2,
    /// The body is a file, in the place of what had its name.
    Whole = 3,
    /// Its writer ended and puts nothing more.
    Closed = 4,
}

/// An object of the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub kind: Kind,
    /// Its place in the row.
    pub number: u64,
    /// The writer that put it.
    pub epoch: u64,
    /// Where the body begins in its file.
    pub offset: u64,
    /// The file; empty for one that has none.
    pub path: String,
    pub body: Bytes,
}

impl Entry {
    /// Its bytes. They differ from those of any other entry, also of the same content.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER_LEN + self.path.len() + self.body.len() + HASH_LEN);
        out.put_slice(&MAGIC);
        out.put_u32_le(VERSION);
        out.put_u16_le(self.kind as u16);
        out.put_u16_le(self.path.len() as u16);
        out.put_u64_le(self.number);
        out.put_u64_le(self.epoch);
        out.put_u64_le(self.offset);
        out.put_u64_le(self.body.len() as u64);
        out.put_u128_le(rand::random());
        out.put_slice(self.path.as_bytes());
        out.put_slice(&self.body);
        let hash = xxh3_128(&out);
        out.put_u128_le(hash);
        out.freeze()
    }

    /// Reads the entry of a number.
    ///
    /// # Errors
    /// `Corrupt`; `Unsupported` for one of a newer format.
    pub fn decode(name: &str, number: u64, bytes: &Bytes) -> Result<Self> {
        let damaged = |at: usize, what: &str| Error::corrupt(name, at as u64, what);
        if bytes.len() < HEADER_LEN + HASH_LEN || bytes[..8] != MAGIC {
            return Err(damaged(0, "it is no entry of a journal"));
        }
        let end = bytes.len() - HASH_LEN;
        if xxh3_128(&bytes[..end]).to_le_bytes() != bytes[end..] {
            return Err(damaged(end, "its hash does not match"));
        }
        let version = u32::from_le_bytes(array(bytes, 8));
        if version != VERSION {
            let (what, found) = (format!("format of {name}"), version.to_string());
            return Err(Error::Unsupported { what, found, max: VERSION.to_string() });
        }
        let kind = match u16::from_le_bytes(array(bytes, 12)) {
            1 => Kind::Writer,
            2 => Kind::Part,
            3 => Kind::Whole,
            4 => Kind::Closed,
            _ => return Err(damaged(12, "its kind is unknown")),
        };
        let word = |at| u64::from_le_bytes(array(bytes, at));
        let path_len = usize::from(u16::from_le_bytes(array(bytes, 14)));
        if word(16) != number {
            return Err(damaged(16, "it is another entry under this name"));
        }
        if path_len > PATH_MAX || word(40) != (end - HEADER_LEN).saturating_sub(path_len) as u64 {
            return Err(damaged(40, "its lengths do not fit"));
        }
        let body = bytes.slice(HEADER_LEN + path_len..end);
        let path = std::str::from_utf8(&bytes[HEADER_LEN..HEADER_LEN + path_len])
            .map_err(|_| damaged(HEADER_LEN, "its path is no text"))?;
        let (epoch, offset, path) = (word(24), word(32), path.to_owned());
        Ok(Self { kind, number, epoch, offset, path, body })
    }
}

/// The bytes at `at`, which lie within the header.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn sample() -> Entry {
        let body = Bytes::from_static(b"records");
        Entry { kind: Kind::Part, number: 7, epoch: 2, offset: 96, path: "wal/3.wal".into(), body }
    }

    #[test]
    fn entries_come_back_and_no_two_are_alike() {
        let entry = sample();
        let bytes = entry.encode();
        assert_eq!(Entry::decode("e", 7, &bytes).unwrap(), entry);
        assert_ne!(bytes, entry.encode());
        let none = Entry { kind: Kind::Closed, path: String::new(), body: Bytes::new(), ..entry };
        assert_eq!(Entry::decode("e", 7, &none.encode()).unwrap(), none);
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_found() {
        let bytes = sample().encode();
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 0x10;
            assert!(Entry::decode("e", 7, &changed.into()).is_err(), "byte {at}");
            assert!(Entry::decode("e", 7, &bytes.slice(..at)).is_err(), "cut to {at}");
        }
        assert!(matches!(Entry::decode("e", 8, &bytes), Err(Error::Corrupt { .. })));
    }
}
