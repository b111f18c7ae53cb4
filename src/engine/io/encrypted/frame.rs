//! The frames of a file that grows: what one append brought, sealed as it came.
//!
//! A frame states its length and where its bytes stand in the file as it was before encryption, which is its nonce as
//! well; bytes are appended there once. The header of a frame is checked by a sum that is bound to the file, so that the
//! frames behind a damaged one are found again; what proves a frame is that it opens.

use super::cipher::{FileCipher, PieceNonce, TAG_LEN};
use crate::common::Result;

/// How a frame begins.
const MAGIC: [u8; 4] = *b"TFRM";
/// Bytes of its header.
pub(super) const FRAME_HEADER: usize = 24;
/// Bytes that a frame adds to what it holds.
pub(super) const FRAME_OVERHEAD: u64 = (FRAME_HEADER + TAG_LEN) as u64;
/// Most bytes that one holds.
pub(super) const FRAME_MAX: usize = 64 << 10;
/// Where the header's checksum stands.
const SUM_AT: usize = 20;

/// The header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// Where its bytes stand in the file as its writer sees it.
    pub at: u64,
    /// How many they are.
    pub len: u32,
}

impl Frame {
    /// Bytes on disk.
    pub(super) fn stride(self) -> u64 {
        u64::from(self.len) + FRAME_OVERHEAD
    }

    /// After its bytes.
    pub(super) fn end(self) -> u64 {
        self.at + u64::from(self.len)
    }

    fn encode(self, seed: u32) -> [u8; FRAME_HEADER] {
        let mut bytes = [0; FRAME_HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.at.to_le_bytes());
        let sum = crc32c::crc32c_append(seed, &bytes[..SUM_AT]);
        bytes[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The header at the start of `bytes`, if one of this file is there.
    pub(super) fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let bytes = bytes.first_chunk::<FRAME_HEADER>().filter(|bytes| bytes[..4] == MAGIC)?;
        let len = u32::from_le_bytes(std::array::from_fn(|i| bytes[4 + i]));
        let at = u64::from_le_bytes(std::array::from_fn(|i| bytes[8 + i]));
        let frame = Self { at, len };
        (1..=FRAME_MAX as u32).contains(&len).then_some(())?;
        (at < u64::MAX / 2 && frame.encode(seed) == *bytes).then_some(frame)
    }

    /// Appends `plain`, which stands at `at`, to `out` as frames.
    pub(super) fn seal(cipher: &FileCipher, mut at: u64, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        for piece in plain.chunks(FRAME_MAX) {
            let header = Self { at, len: piece.len() as u32 }.encode(cipher.seed);
            out.extend_from_slice(&header);
            cipher.seal(PieceNonce { at, is_last: false }, &header, piece, out)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Opens the frame where it lies, from its header on; its bytes then follow the header. False when it does not open.
    #[must_use]
    pub(super) fn open(self, cipher: &FileCipher, bytes: &mut [u8]) -> bool {
        let (header, piece) = bytes.split_at_mut(FRAME_HEADER);
        cipher.open(PieceNonce { at: self.at, is_last: false }, header, piece)
    }

    /// Position of the next header in `bytes` from `from` on that may be one.
    pub(super) fn find(bytes: &[u8], from: usize) -> Option<usize> {
        let tail = bytes.get(from..)?;
        // Room that was reserved is zeros, and may be long.
        let zeros =
            tail.chunks(64).take_while(|chunk| chunk.iter().fold(0, |or, byte| or | byte) == 0).count() * 64;
        let found = tail.get(zeros..)?.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        Some(from + zeros + found)
    }
}
