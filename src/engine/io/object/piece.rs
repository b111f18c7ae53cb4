//! The file of a piece in the cache folder: its bytes, then what they are, then a hash of all that.
//!
//! `bytes | tag | id u128 | number of the piece u64 | length of the object u64 | length of the tag u32 | version u32 | xxh3-128`,
//! numbers little-endian. The cache may be thrown away, so another version is no more than a miss.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

const VERSION: u32 = 1;
/// What follows the tag, without the hash.
const FOOTER_LEN: usize = 16 + 8 + 8 + 4 + 4;

/// A piece of one state of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece<B, T> {
    /// Its bytes.
    pub bytes: B,
    /// What the store calls this state of the object.
    pub tag: T,
    /// Length of the object.
    pub len: u64,
}

/// The file of piece `number` of the object `id`.
pub(super) fn encode(id: u128, number: u64, piece: &Piece<&[u8], &str>) -> Vec<u8> {
    let mut file = Vec::with_capacity(piece.bytes.len() + piece.tag.len() + FOOTER_LEN + 16);
    file.extend_from_slice(piece.bytes);
    file.extend_from_slice(piece.tag.as_bytes());
    file.extend_from_slice(&id.to_le_bytes());
    file.extend_from_slice(&number.to_le_bytes());
    file.extend_from_slice(&piece.len.to_le_bytes());
    file.extend_from_slice(&(piece.tag.len() as u32).to_le_bytes());
    file.extend_from_slice(&VERSION.to_le_bytes());
    let hash = xxh3_128(&file);
    file.extend_from_slice(&hash.to_le_bytes());
    file
}

/// What [`encode`] made of piece `number` of the object `id`; `None` for anything else.
pub(super) fn decode(id: u128, number: u64, file: Bytes) -> Option<Piece<Bytes, Box<str>>> {
    let (rest, hash) = file.split_last_chunk::<16>()?;
    let (rest, footer) = rest.split_last_chunk::<FOOTER_LEN>()?;
    if xxh3_128(&file[..file.len() - 16]) != u128::from_le_bytes(*hash) {
        return None;
    }
    let (named, footer) = footer.split_first_chunk::<16>()?;
    let (at, footer) = footer.split_first_chunk::<8>()?;
    let (len, footer) = footer.split_first_chunk::<8>()?;
    let (tag_len, version) = footer.split_first_chunk::<4>()?;
    let is_it = u128::from_le_bytes(*named) == id && u64::from_le_bytes(*at) == number;
    if !is_it || version != VERSION.to_le_bytes() {
        return None;
    }
    let end = rest.len().checked_sub(u32::from_le_bytes(*tag_len) as usize)?;
    let tag = std::str::from_utf8(&rest[end..]).ok()?.into();
    Some(Piece { bytes: file.slice(..end), tag, len: u64::from_le_bytes(*len) })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_proves_what_it_is() {
        let file = encode(7, 3, &Piece { bytes: b"bytes", tag: "\"tag\"", len: 99 });
        let whole = decode(7, 3, file.clone().into()).unwrap();
        assert_eq!((&whole.bytes[..], &*whole.tag, whole.len), (&b"bytes"[..], "\"tag\"", 99));
        assert_eq!(decode(8, 3, file.clone().into()), None);
        assert_eq!(decode(7, 4, file.clone().into()), None);
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(7, 3, damaged.into()), None, "bit {bit}");
        }
        for len in 0..file.len() {
            assert_eq!(decode(7, 3, file[..len].to_vec().into()), None, "cut at {len}");
        }
    }
}
