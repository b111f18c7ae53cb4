//! What stands at the beginning of an encrypted file, and the key that its pieces are sealed with.
//!
//! AES-256-GCM; the key of a file comes by HKDF-SHA256 from a data key, the file's own random salt, the database, the
//! folder and the whole header, so no two files share one, and nothing opens in another folder or database. Within a
//! file a nonce is the place of a piece, which is written once and never again.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};

use crate::common::{Error, KEY_BYTES, Result, Secret};

/// How an encrypted file begins.
pub const ENCRYPTED_MAGIC: [u8; 8] = *b"TRICRYPT";
/// The format that this build writes, and the newest it reads.
const VERSION: u32 = 1;
/// Bytes of the header.
pub(super) const HEADER_LEN: u64 = 64;
/// Bytes that sealing adds to a piece.
pub(super) const TAG_LEN: usize = 16;
const SALT_LEN: usize = 32;
/// Gives a new file its salt.
pub type Salts = fn() -> Result<[u8; SALT_LEN]>;
/// Where the header's own checksum stands.
const SUM_AT: usize = 60;
const PURPOSE: &[u8] = b"trilith file 1";

/// How the rest of a file is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// Pages of one size.
    Pages,
    /// One frame or more for each append, each with a header of its own.
    Frames,
}

/// What every sealed piece is bound to: the database, or a family of backups and branches of one.
pub(super) type RingId = [u8; 16];

/// What of an id stands in the header of every file.
pub(super) fn family(id: &RingId) -> [u8; 4] {
    std::array::from_fn(|i| id[i])
}

/// What an encrypted file says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub shape: Shape,
    /// Number of the data key.
    pub key: u32,
    /// The first bytes of the database's id, so that a file of another one is told from a damaged one.
    pub family: [u8; 4],
    pub salt: [u8; SALT_LEN],
}

impl Header {
    /// The header of a new file.
    pub(super) fn new(shape: Shape, key: u32, id: &RingId, salts: Salts) -> Result<Self> {
        Ok(Self { shape, key, family: family(id), salt: salts()? })
    }

    pub(super) fn encode(&self) -> [u8; HEADER_LEN as usize] {
        let mut bytes = [0; HEADER_LEN as usize];
        bytes[..8].copy_from_slice(&ENCRYPTED_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&u32::from(self.shape == Shape::Frames).to_le_bytes());
        bytes[16..20].copy_from_slice(&self.key.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.family);
        bytes[24..56].copy_from_slice(&self.salt);
        let sum = crc32c::crc32c(&bytes[..SUM_AT]);
        bytes[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(path: &str, bytes: &[u8]) -> Result<Self> {
        let damaged = |at: u64, what: &str| Error::corrupt(path, at, what);
        let Some(bytes) = bytes.first_chunk::<{ HEADER_LEN as usize }>() else {
            return Err(damaged(bytes.len() as u64, "the file is too short for an encrypted one"));
        };
        if bytes[..8] != ENCRYPTED_MAGIC {
            return Err(damaged(0, "the database is encrypted, and this file is not"));
        }
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if word(SUM_AT) != crc32c::crc32c(&bytes[..SUM_AT]) {
            return Err(damaged(0, "the header does not match its checksum"));
        }
        if word(8) > VERSION {
            let what = format!("version of the encryption of {path}");
            return Err(Error::Unsupported { what, found: word(8).to_string(), max: VERSION.to_string() });
        }
        let shape = match word(12) {
            0 => Shape::Pages,
            1 => Shape::Frames,
            _ => return Err(damaged(12, "it is cut in an unknown way")),
        };
        let family = word(20).to_le_bytes();
        Ok(Self { shape, key: word(16), family, salt: std::array::from_fn(|i| bytes[24 + i]) })
    }
}

/// Seals and opens the pieces of one file.
pub(super) struct FileCipher {
    key: LessSafeKey,
    /// Ties checksums to this file.
    pub seed: u32,
}

impl std::fmt::Debug for FileCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileCipher").finish_non_exhaustive()
    }
}

impl FileCipher {
    /// The cipher of the file with this header in `folder` of the database `id`.
    pub(super) fn new(data_key: &Secret, id: &RingId, folder: &str, header: &Header) -> Result<Self> {
        let bytes = header.encode();
        let secret = derive(&header.salt, data_key, &[PURPOSE, id, folder.as_bytes(), &bytes])?;
        Ok(Self { key: aes(&secret)?, seed: crc32c::crc32c(&bytes) })
    }

    /// Appends `plain`, sealed, to `out`.
    pub(super) fn seal(&self, nonce: PieceNonce, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        seal(&self.key, nonce.bytes(), aad, plain, out)
    }

    /// Opens a sealed piece where it lies; what it held then stands at its start. False, and nothing of use in `piece`,
    /// when it is not what was sealed there.
    #[must_use]
    pub(super) fn open(&self, nonce: PieceNonce, aad: &[u8], piece: &mut [u8]) -> bool {
        open(&self.key, nonce.bytes(), aad, piece)
    }
}

/// The place of a piece: its number or offset, and whether it is the last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PieceNonce {
    pub at: u64,
    pub is_last: bool,
}

impl PieceNonce {
    fn bytes(self) -> [u8; NONCE_LEN] {
        let mut bytes = [0; NONCE_LEN];
        bytes[..8].copy_from_slice(&self.at.to_le_bytes());
        bytes[8] = u8::from(self.is_last);
        bytes
    }
}

/// A key for one use, from one that has many.
pub(super) fn derive(salt: &[u8], from: &Secret, info: &[&[u8]]) -> Result<Secret> {
    let mut bytes = [0; KEY_BYTES];
    Salt::new(HKDF_SHA256, salt)
        .extract(from.expose())
        .expand(info, HKDF_SHA256)
        .and_then(|key| key.fill(&mut bytes))
        .map_err(|_| Error::Internal("a key could not be derived".into()))?;
    Ok(Secret::new(bytes))
}

/// A key as AES takes it.
pub(super) fn aes(secret: &Secret) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, secret.expose());
    Ok(LessSafeKey::new(key.map_err(|_| Error::Internal("a key has another length".into()))?))
}

/// [`FileCipher::seal`] with any key.
pub(super) fn seal(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut out[start..])
        .map_err(|_| Error::Internal("a piece could not be sealed".into()))?;
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

/// [`FileCipher::open`] with any key.
#[must_use]
pub(super) fn open(key: &LessSafeKey, nonce: [u8; NONCE_LEN], aad: &[u8], piece: &mut [u8]) -> bool {
    key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), piece).is_ok()
}

/// Bytes that nobody can foresee, from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Error::Internal("the system gave no random bytes".into()))?;
    Ok(bytes)
}
