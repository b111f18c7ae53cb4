//! Bytes to a companion file: seal first, then identity, then structure, every length bounded.

use arrow::buffer::Buffer;

use super::{BatchBlock, ENTRY_LEN, Fences, HEADER_LEN, Lookup, MAGIC, Section, Sum, SumHeader, VERSION};
use crate::common::{DatabaseId, Error, FileId, Result, RowId, SeqNo, TableId};
use crate::format::block::{BlockSeed, BlockSums, block_count};
use crate::format::bloom::Filters;
use crate::format::cursor::Cursor;
use crate::format::hash::{Hash128, TRAILER_LEN};
use crate::format::row_ids::{RowIdRun, RowIdRuns};
use crate::format::stats::Zones;

/// Reads the companion of `file`, held whole in `bytes`, and the hash it is sealed with.
///
/// # Errors
/// `Corrupt`, naming `path`, unless the bytes are what a writer of this database and file sealed;
/// `Unsupported` for a newer format.
pub fn decode(path: &str, database: DatabaseId, file: FileId, bytes: &Buffer) -> Result<(Sum, Hash128)> {
    let hash = Hash128::check_sealed(path, bytes)?;
    let reader = Reader { path, bytes: bytes.slice_with_length(0, bytes.len() - TRAILER_LEN) };
    let (header, sections) = reader.header()?;
    if (header.database, header.file) != (database, file) {
        let what = format!(
            "it belongs to file {} of database {}, not {file} of {database}",
            header.file, header.database
        );
        return Err(Error::corrupt(path, 16, what));
    }
    Ok((reader.sum(header, sections)?, hash))
}

struct Reader<'a> {
    path: &'a str,
    bytes: Buffer,
}

impl Reader<'_> {
    fn corrupt(&self, what: &str) -> Error {
        Error::corrupt(self.path, 0, what)
    }

    /// The header, and the number of sections.
    fn header(&self) -> Result<(SumHeader, u32)> {
        let mut cursor = Cursor::new(&self.bytes);
        if cursor.bytes(MAGIC.len()) != Some(MAGIC) {
            return Err(self.corrupt("it does not begin as the companion of an SSTable"));
        }
        let version = cursor.u32().unwrap_or_default();
        if version != VERSION {
            let what = format!("format of {}", self.path);
            return Err(Error::Unsupported { what, found: version.to_string(), max: VERSION.to_string() });
        }
        let mut read = || {
            let sections = cursor.u32()?;
            let header = SumHeader {
                database: DatabaseId(cursor.u128()?),
                file: FileId(cursor.u64()?),
                table: TableId(cursor.u64()?),
                data_len: cursor.u64()?,
                rows: cursor.u64()?,
                min_seq: SeqNo(cursor.u64()?),
                max_seq: SeqNo(cursor.u64()?),
            };
            Some((header, sections))
        };
        read().ok_or_else(|| self.corrupt("it ends within its header"))
    }

    /// Content of a section; `None` when the file has no such section.
    fn section(&self, sections: u32, kind: Section) -> Result<Option<Buffer>> {
        let short = || self.corrupt("a section runs past its end");
        let directory = self.bytes.get(HEADER_LEN..).unwrap_or_default();
        for entry in directory.chunks_exact(ENTRY_LEN).take(sections as usize) {
            let mut cursor = Cursor::new(entry);
            let numbers = (cursor.u64(), cursor.u64(), cursor.u64());
            let (Some(found), Some(offset), Some(len)) = numbers else { return Err(short()) };
            if found == u64::from(kind as u32) {
                let end = offset.checked_add(len).filter(|end| *end <= self.bytes.len() as u64);
                end.ok_or_else(short)?;
                return Ok(Some(self.bytes.slice_with_length(offset as usize, len as usize)));
            }
        }
        Ok(None)
    }

    fn needed(&self, sections: u32, kind: Section) -> Result<Buffer> {
        self.section(sections, kind)?.ok_or_else(|| self.corrupt(&format!("it has no section {kind:?}")))
    }

    fn sum(&self, header: SumHeader, sections: u32) -> Result<Sum> {
        let sums = self.needed(sections, Section::Blocks)?;
        if sums.len() as u64 / 4 != block_count(header.data_len) || !sums.len().is_multiple_of(4) {
            return Err(self.corrupt("it has not one checksum for each block of the data file"));
        }
        let batches = batches(&self.needed(sections, Section::Batches)?, &header)
            .ok_or_else(|| self.corrupt("its batches do not fit the data file"))?;
        let lookup = self.lookup(&header, sections, batches.len())?;
        let zones = Zones::decode(self.needed(sections, Section::Zones)?)
            .map_err(|error| self.corrupt(&format!("its zone maps cannot be read: {error}")))?;
        if zones.batches().is_some_and(|described| described != batches.len()) {
            return Err(self.corrupt("its zone maps describe another number of batches"));
        }
        let blocks = BlockSums::new(BlockSeed::new(header.database, header.file), sums);
        Ok(Sum { header, blocks, batches, lookup, zones })
    }

    fn lookup(&self, header: &SumHeader, sections: u32, batches: usize) -> Result<Lookup> {
        if let Some(bytes) = self.section(sections, Section::RowIds)? {
            let ids =
                row_ids(&bytes, header.rows).ok_or_else(|| self.corrupt("its row ids are out of order"))?;
            return Ok(Lookup::RowIds(ids));
        }
        let fences = Fences::decode(&self.needed(sections, Section::Fences)?)
            .filter(|fences| fences.batches() == batches)
            .ok_or_else(|| self.corrupt("its fence keys are out of order"))?;
        let ends = self.needed(sections, Section::FilterEnds)?;
        let (ends, _) = ends.as_chunks::<4>();
        let ends = ends.iter().map(|end| u32::from_le_bytes(*end)).collect();
        let filters = Filters::new(ends, self.needed(sections, Section::FilterLines)?)
            .filter(|filters| filters.len() == batches)
            .ok_or_else(|| self.corrupt("its Bloom filters do not fit together"))?;
        Ok(Lookup::Keys { fences, filters })
    }
}

/// Batches in ascending order, each within the data file, their rows adding up.
fn batches(bytes: &[u8], header: &SumHeader) -> Option<Vec<BatchBlock>> {
    let mut cursor = Cursor::new(bytes);
    let (mut end, mut rows) = (0, 0);
    let mut batches = Vec::with_capacity(bytes.len() / 32);
    while !cursor.is_at_end() {
        let (offset, meta_len) = (cursor.u64()?, u32::try_from(cursor.u64()?).ok()?);
        let (body_len, end_row) = (cursor.u64()?, cursor.u64()?);
        if offset < end || end_row <= rows || meta_len < 8 || meta_len % 8 != 0 {
            return None;
        }
        end = offset.checked_add(u64::from(meta_len))?.checked_add(body_len)?;
        rows = end_row;
        batches.push(BatchBlock { offset, meta_len, body_len, end_row });
    }
    (end <= header.data_len && rows == header.rows).then_some(batches)
}

fn row_ids(bytes: &[u8], rows: u64) -> Option<RowIdRuns> {
    let mut cursor = Cursor::new(bytes);
    let mut runs = Vec::with_capacity(bytes.len() / 16);
    while !cursor.is_at_end() {
        runs.push(RowIdRun { first_row: cursor.u64()?, first_id: RowId(cursor.u64()?) });
    }
    RowIdRuns::new(runs, rows)
}
