//! The data file, seen only through verified blocks.
//!
//! Mapped storage hands out views of one mapping, so a block that was verified stays verified and a bit
//! remembers it. Other storage reads anew each time, so each read is widened to whole blocks and verified.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::buffer::Buffer;

use crate::common::{Error, Result};
use crate::format::block::{BLOCK_LEN, BlockSums, block_count};
use crate::io::FileReader;

const BLOCK: u64 = BLOCK_LEN as u64;

/// A sealed file and the checksums of its blocks.
#[derive(Debug)]
pub(super) struct VerifiedFile {
    reader: Arc<dyn FileReader>,
    /// Bytes that the checksums speak of, from the first on.
    len: u64,
    sums: BlockSums,
    map: Option<Mapping>,
}

#[derive(Debug)]
struct Mapping {
    bytes: Buffer,
    verified: Vec<AtomicU64>,
}

impl Mapping {
    fn is_verified(&self, block: u64) -> bool {
        self.verified[(block / 64) as usize].load(Ordering::Acquire) & (1 << (block % 64)) != 0
    }

    fn set_verified(&self, block: u64) {
        self.verified[(block / 64) as usize].fetch_or(1 << (block % 64), Ordering::Release);
    }
}

impl VerifiedFile {
    /// Takes over a file that must have `len` bytes.
    pub(super) fn new(reader: Arc<dyn FileReader>, len: u64, sums: BlockSums) -> Result<Self> {
        Self::part(reader, len, len, sums)
    }

    /// Takes over a file that must have `whole` bytes, to read the first `len` of them.
    pub(super) fn part(reader: Arc<dyn FileReader>, whole: u64, len: u64, sums: BlockSums) -> Result<Self> {
        if reader.len() != whole {
            let what = format!("it has {} bytes, the manifest says {whole}", reader.len());
            return Err(Error::corrupt(reader.path(), reader.len().min(whole), what));
        }
        let map = if reader.is_mapped() {
            let words = block_count(len).div_ceil(64);
            let verified = (0..words).map(|_| AtomicU64::new(0)).collect();
            Some(Mapping { bytes: reader.read(0..len)?, verified })
        } else {
            None
        };
        Ok(Self { reader, len, sums, map })
    }

    pub(super) fn path(&self) -> &str {
        self.reader.path()
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// True when [`VerifiedFile::read`] never copies.
    pub(super) fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    /// Confirms that nobody cut the file short since it was opened.
    pub(super) fn check_len(&self) -> Result<()> {
        self.reader.check_len()
    }

    /// Damage at a byte of this file.
    pub(super) fn corrupt(&self, offset: u64, what: impl Into<String>) -> Error {
        Error::corrupt(self.path(), offset, what)
    }

    /// Verified bytes, aligned like `range.start`.
    pub(super) fn read(&self, range: Range<u64>) -> Result<Buffer> {
        if range.start > range.end || range.end > self.len() {
            return Err(self.corrupt(range.start, "a stated range runs past the end"));
        }
        let len = (range.end - range.start) as usize;
        if len == 0 {
            return Ok(Buffer::from(&[]));
        }
        if let Some(map) = &self.map {
            self.verify_mapped(map, range.clone())?;
            return Ok(map.bytes.slice_with_length(range.start as usize, len));
        }
        let wide = range.start / BLOCK * BLOCK..range.end.next_multiple_of(BLOCK).min(self.len());
        let bytes = self.read_blocks(wide.clone())?;
        Ok(bytes.slice_with_length((range.start - wide.start) as usize, len))
    }

    /// A view of the mapping, verified or not: for decoders that look only where [`VerifiedFile::read`] was.
    pub(super) fn mapped(&self, range: Range<u64>) -> Result<Buffer> {
        match &self.map {
            Some(map) if range.start <= range.end && range.end <= self.len() => {
                Ok(map.bytes.slice_with_length(range.start as usize, (range.end - range.start) as usize))
            }
            _ => Err(self.corrupt(range.start, "a stated range runs past the end")),
        }
    }

    /// Confirms that `range` of the mapping is what was written, without handing it out.
    fn verify_mapped(&self, map: &Mapping, range: Range<u64>) -> Result<()> {
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let mut length_confirmed = false;
        for block in blocks {
            if map.is_verified(block) {
                continue;
            }
            if !length_confirmed {
                self.reader.check_len()?;
                length_confirmed = true;
            }
            let start = block * BLOCK;
            let end = (start + BLOCK).min(self.len());
            self.check_block(block, &map.bytes[start as usize..end as usize])?;
            map.set_verified(block);
        }
        Ok(())
    }

    /// Reads whole blocks anew and verifies them, whatever is remembered.
    pub(super) fn read_blocks(&self, range: Range<u64>) -> Result<Buffer> {
        self.reader.check_len()?;
        let bytes = self.reader.read(range.clone())?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(self.corrupt(range.start, "the storage returned fewer bytes than there are"));
        }
        for (i, block) in bytes.chunks(BLOCK_LEN).enumerate() {
            self.check_block(range.start / BLOCK + i as u64, block)?;
        }
        Ok(bytes)
    }

    fn check_block(&self, number: u64, block: &[u8]) -> Result<()> {
        if self.sums.matches(number, block) {
            return Ok(());
        }
        Err(self.corrupt(number * BLOCK, format!("block {number} does not match its checksum")))
    }
}
