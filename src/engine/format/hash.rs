//! The 128-bit hash (xxh3) that pins a whole file: in the file's own trailer and in the manifest.
//!
//! It finds accidents, not forgeries. Written as 32 hex digits wherever people read it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use xxhash_rust::xxh3::xxh3_128;

use crate::common::{Error, Result};

/// Bytes of the trailer that [`Hash128::seal`] appends.
pub const TRAILER_LEN: usize = 16;

/// xxh3-128 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash128(pub u128);

impl Hash128 {
    /// Hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes))
    }

    /// Appends the hash of all bytes so far, which closes a file, and returns it.
    pub fn seal(bytes: &mut Vec<u8>) -> Self {
        let hash = Self::of(bytes);
        bytes.extend_from_slice(&hash.0.to_le_bytes());
        hash
    }

    /// Checks the trailer of a whole file and returns its hash.
    ///
    /// # Errors
    /// `Corrupt`, naming `file`, when the bytes are not those that were sealed.
    pub fn check_sealed(file: &str, bytes: &[u8]) -> Result<Self> {
        let (body, trailer) = bytes
            .split_last_chunk::<TRAILER_LEN>()
            .ok_or_else(|| Error::corrupt(file, 0, "it is shorter than its own checksum"))?;
        let stated = Self(u128::from_le_bytes(*trailer));
        let found = Self::of(body);
        if found == stated {
            Ok(stated)
        } else {
            Err(Error::corrupt(file, 0, format!("its bytes hash to {found}, its trailer says {stated}")))
        }
    }
}

impl fmt::Display for Hash128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Hash128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash128 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash128 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(de::Error::custom)
    }
}
