//! Header, directory and footer of a container: where its members lie, and what proves it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::common::{Error, Result};
use crate::io::FileReader;
use crate::io::path::check_path;

/// How a container begins.
pub const CONTAINER_MAGIC: [u8; 8] = *b"TRIPACK\0";
/// How its footer begins.
const END_MAGIC: [u8; 8] = *b"TRIPKEND";
/// The format that this build writes, and the newest it reads.
const VERSION: u32 = 1;
/// Bytes of the header, and of the footer.
pub(super) const EDGE: u64 = 64;
/// Every part starts at a multiple of it.
pub(super) const ALIGN: u64 = 64;
/// Where either's own checksum stands.
const SUM_AT: usize = 56;

/// A file within a container.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// xxh3-128 of them, in hexadecimal digits.
    pub hash: String,
}

/// The members by path, and the footer.
#[derive(Debug)]
pub(super) struct Directory {
    pub members: BTreeMap<String, Member>,
    pub footer: Footer,
}

/// What the last bytes of a container say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Footer {
    /// Where the directory starts.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
    /// Its hash.
    pub hash: u128,
    /// The hash of everything before it.
    pub content: u128,
}

/// A hash as directories write it.
pub(super) fn show_hash(hash: u128) -> String {
    format!("{hash:032x}")
}

/// Zeros that follow byte `at`, so that the next part is aligned.
pub(super) fn padding(at: u64) -> usize {
    (at.next_multiple_of(ALIGN) - at) as usize
}

/// The first bytes of a container.
pub(super) fn header() -> [u8; EDGE as usize] {
    let mut bytes = [0; EDGE as usize];
    bytes[..8].copy_from_slice(&CONTAINER_MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    seal_edge(bytes)
}

fn seal_edge(mut bytes: [u8; EDGE as usize]) -> [u8; EDGE as usize] {
    let sum = xxh3_64(&bytes[..SUM_AT]);
    bytes[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

impl Footer {
    pub(super) fn encode(self) -> [u8; EDGE as usize] {
        let mut bytes = [0; EDGE as usize];
        bytes[..8].copy_from_slice(&END_MAGIC);
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.len.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.hash.to_le_bytes());
        bytes[40..56].copy_from_slice(&self.content.to_le_bytes());
        seal_edge(bytes)
    }

    /// Where the footer itself starts.
    pub(super) fn start(self) -> Option<u64> {
        self.offset.checked_add(self.len)?.checked_next_multiple_of(ALIGN)
    }
}

/// Reads what stands around the members, and believes nothing of it that does not prove itself.
pub(super) fn read(file: &dyn FileReader) -> Result<Directory> {
    let damaged = |at: u64, what: &str| Error::corrupt(file.path(), at, what);
    let Some(end) = file.len().checked_sub(EDGE).filter(|end| *end >= EDGE) else {
        return Err(damaged(file.len(), "it is too short for a database in a single file; it was cut"));
    };
    read_header(file)?;
    let bytes = file.load(end..file.len())?;
    if bytes[..8] != END_MAGIC || !is_sealed(&bytes) {
        return Err(damaged(
            end,
            "it does not end as a database in a single file does; it was cut or changed",
        ));
    }
    let footer = Footer {
        offset: u64::from_le_bytes(field(&bytes, 8)),
        len: u64::from_le_bytes(field(&bytes, 16)),
        hash: u128::from_le_bytes(field(&bytes, 24)),
        content: u128::from_le_bytes(field(&bytes, 40)),
    };
    if footer.offset < EDGE || footer.start() != Some(end) {
        return Err(damaged(end, "its footer does not follow its directory; it was cut or changed"));
    }
    let bytes = file.load(footer.offset..end)?;
    let (listed, rest) = bytes.split_at(footer.len as usize);
    if xxh3_128(listed) != footer.hash || rest.iter().any(|byte| *byte != 0) {
        return Err(damaged(footer.offset, "its directory does not match its hash"));
    }
    let members: BTreeMap<String, Member> =
        serde_json::from_slice(listed).map_err(|error| damaged(footer.offset, &error.to_string()))?;
    for (path, member) in &members {
        check_member(path, member, footer.offset).ok_or_else(|| {
            damaged(footer.offset, &format!("its directory tells of {path:?}, which cannot be"))
        })?;
    }
    Ok(Directory { members, footer })
}

fn read_header(file: &dyn FileReader) -> Result<()> {
    let bytes = file.load(0..EDGE)?;
    if bytes[..8] != CONTAINER_MAGIC || !is_sealed(&bytes) {
        return Err(Error::corrupt(file.path(), 0, "its header is not that of a database in a single file"));
    }
    let version = u32::from_le_bytes(field(&bytes, 8));
    if version == VERSION {
        return Ok(());
    }
    let what = format!("format version of {}", file.path());
    Err(Error::Unsupported { what, found: version.to_string(), max: VERSION.to_string() })
}

fn check_member(path: &str, member: &Member, end: u64) -> Option<()> {
    check_path(path).ok()?;
    let is_aligned = member.offset >= EDGE && member.offset.is_multiple_of(ALIGN);
    (is_aligned && member.offset.checked_add(member.len)? <= end).then_some(())
}

fn is_sealed(bytes: &[u8]) -> bool {
    xxh3_64(&bytes[..SUM_AT]).to_le_bytes() == bytes[SUM_AT..]
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}
