//! The file `KEYS`: the data keys of a database, sealed with the caller's key.
//!
//! It is hashed as a whole, so that damage is told from a wrong key by a check value, which is derived from the caller's
//! key. Each writing has a salt of its own, so the key that seals it is used once. Files name the data key that they were
//! written under by its number; the greatest number is that of new files.

use xxhash_rust::xxh3::xxh3_128;

use super::cipher::{RingId, TAG_LEN, aes, derive, open, random, seal};
use crate::common::{EncryptionKey, Error, KEY_BYTES, KeyFault, Result, Secret};

/// Its name in the database's folder.
pub const KEYS: &str = "KEYS";
/// How it begins.
pub const KEYS_MAGIC: [u8; 8] = *b"TRIKEYS\0";
const VERSION: u32 = 1;
const ID_AT: usize = 16;
const SALT_AT: usize = 32;
const CHECK_AT: usize = 64;
const SEALED_AT: usize = 80;
const HASH_LEN: usize = 16;
/// Number, zero, key.
const ENTRY_LEN: usize = 8 + KEY_BYTES;
const SEAL_PURPOSE: &[u8] = b"trilith keys 1";
const CHECK_PURPOSE: &[u8] = b"trilith key check 1";

/// The data keys of a database, and the key that opens them.
#[derive(Clone, Debug)]
pub(super) struct KeyRing {
    pub id: RingId,
    /// By ascending number; never empty.
    keys: Vec<(u32, Secret)>,
    /// Who has it may open the database.
    pub caller: EncryptionKey,
    /// The file.
    pub bytes: Vec<u8>,
}

impl KeyRing {
    /// A ring with one key.
    pub(super) fn new(caller: &EncryptionKey) -> Result<Self> {
        Self::sealed(random()?, vec![(1, Secret::new(random()?))], caller)
    }

    /// The same keys and a new one, under another key of the caller's.
    pub(super) fn rotated(&self, caller: &EncryptionKey) -> Result<Self> {
        let number = self.newest().0.checked_add(1);
        let number = number.ok_or_else(|| Error::Internal("all numbers of data keys are used".into()))?;
        let mut keys = self.keys.clone();
        keys.push((number, Secret::new(random()?)));
        Self::sealed(self.id, keys, caller)
    }

    /// The keys that `is_used` still, and the newest; `None` when that is all of them.
    pub(super) fn without(&self, is_used: impl Fn(u32) -> bool) -> Result<Option<Self>> {
        let newest = self.newest().0;
        let keys: Vec<_> =
            self.keys.iter().filter(|(number, _)| *number == newest || is_used(*number)).cloned().collect();
        if keys.len() == self.keys.len() {
            return Ok(None);
        }
        Self::sealed(self.id, keys, &self.caller).map(Some)
    }

    /// True when whatever `other` opens, this opens.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.id == other.id && other.keys.iter().all(|(number, key)| self.key(*number) == Some(key))
    }

    /// The key of new files, and its number.
    pub(super) fn newest(&self) -> &(u32, Secret) {
        &self.keys[self.keys.len() - 1]
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn key(&self, number: u32) -> Option<&Secret> {
        self.keys.iter().find(|(held, _)| *held == number).map(|(_, key)| key)
    }

    fn sealed(id: RingId, keys: Vec<(u32, Secret)>, caller: &EncryptionKey) -> Result<Self> {
        let salt: [u8; 32] = random()?;
        let mut bytes = Vec::with_capacity(SEALED_AT + keys.len() * ENTRY_LEN + TAG_LEN + HASH_LEN);
        bytes.extend_from_slice(&KEYS_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(keys.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(&salt);
        bytes.extend_from_slice(&check(caller, &salt, &id)?);
        let head = bytes.clone();
        let mut plain = Vec::with_capacity(keys.len() * ENTRY_LEN);
        for (number, key) in &keys {
            plain.extend_from_slice(&u64::from(*number).to_le_bytes());
            plain.extend_from_slice(key.expose());
        }
        seal(&sealing_key(caller, &salt, &id)?, [0; 12], &head, &plain, &mut bytes)?;
        plain.fill(0);
        std::hint::black_box(&plain);
        bytes.extend_from_slice(&xxh3_128(&bytes).to_le_bytes());
        Ok(Self { id, keys, caller: caller.clone(), bytes })
    }

    /// Opens the file of the database `place`.
    ///
    /// # Errors
    /// `Corrupt` when it is not what was written, `Key` when the key is not the one, `Unsupported`.
    pub(super) fn open(place: &str, bytes: &[u8], caller: &EncryptionKey) -> Result<Self> {
        let damaged = |at: usize, what: &str| Error::corrupt(KEYS, at as u64, what);
        let count = checked(bytes)?;
        let id: RingId = field(bytes, ID_AT);
        let salt: [u8; 32] = field(bytes, SALT_AT);
        if bytes[CHECK_AT..SEALED_AT] != check(caller, &salt, &id)? {
            return Err(Error::key(place, KeyFault::Wrong));
        }
        let (head, sealed) = bytes[..bytes.len() - HASH_LEN].split_at(SEALED_AT);
        let mut plain = sealed.to_vec();
        if !open(&sealing_key(caller, &salt, &id)?, [0; 12], head, &mut plain) {
            return Err(damaged(SEALED_AT, "its keys are not those that were sealed"));
        }
        let entries = plain.chunks_exact(ENTRY_LEN).take(count);
        let entry = |entry: &[u8]| (u32::from_le_bytes(field(entry, 0)), Secret::new(field(entry, 8)));
        let keys: Vec<(u32, Secret)> = entries.map(entry).collect();
        plain.fill(0);
        std::hint::black_box(&plain);
        if keys.is_empty() || !keys.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(damaged(SEALED_AT, "it holds no keys, or not in their order"));
        }
        Ok(Self { id, keys, caller: caller.clone(), bytes: bytes.to_vec() })
    }
}

/// Confirms that the file is whole, and returns how many keys it holds.
fn checked(bytes: &[u8]) -> Result<usize> {
    let damaged = |at: usize, what: &str| Error::corrupt(KEYS, at as u64, what);
    let Some(end) = bytes.len().checked_sub(HASH_LEN).filter(|end| *end >= SEALED_AT + TAG_LEN) else {
        return Err(damaged(bytes.len(), "the file is too short"));
    };
    if bytes[end..] != xxh3_128(&bytes[..end]).to_le_bytes() {
        return Err(damaged(0, "its hash does not agree with its content"));
    }
    if bytes[..8] != KEYS_MAGIC {
        return Err(damaged(0, "it is a file of another kind"));
    }
    let version = u32::from_le_bytes(field(bytes, 8));
    if version > VERSION {
        let (found, max) = (version.to_string(), VERSION.to_string());
        return Err(Error::Unsupported { what: format!("format version of {KEYS}"), found, max });
    }
    let count = u32::from_le_bytes(field(bytes, 12)) as usize;
    if count.checked_mul(ENTRY_LEN) != Some(end - SEALED_AT - TAG_LEN) {
        return Err(damaged(12, "it states another number of keys than it has"));
    }
    Ok(count)
}

/// What a damaged or a readable file says without a key: the database's id and how many data keys there are.
///
/// # Errors
/// As of a database that is opened, but for the key.
pub fn describe_keys(bytes: &[u8]) -> Result<(u128, usize)> {
    let count = checked(bytes)?;
    Ok((u128::from_le_bytes(field(bytes, ID_AT)), count))
}

fn sealing_key(caller: &EncryptionKey, salt: &[u8], id: &RingId) -> Result<ring::aead::LessSafeKey> {
    aes(&derive(salt, caller.secret(), &[SEAL_PURPOSE, id])?)
}

/// Tells a wrong key from damage, and says nothing of the right one.
fn check(caller: &EncryptionKey, salt: &[u8], id: &RingId) -> Result<[u8; SEALED_AT - CHECK_AT]> {
    Ok(field(derive(salt, caller.secret(), &[CHECK_PURPOSE, id])?.expose(), 0))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}
