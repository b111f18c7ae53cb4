//! A companion file as bytes.

use super::{ALIGN, BatchBlock, ENTRY_LEN, Fences, HEADER_LEN, MAGIC, Section, SumHeader, VERSION};
use crate::format::bloom::FilterBuilder;
use crate::format::hash::Hash128;
use crate::format::row_ids::RowIdRuns;

/// What a writer has collected about its data file.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Which SSTable this is.
    pub header: SumHeader,
    /// One little-endian crc32c per block.
    pub block_sums: &'a [u8],
    /// Its batches.
    pub batches: &'a [BatchBlock],
    /// Fence keys and filters of a keyed table.
    pub keys: Option<(Fences, FilterBuilder)>,
    /// Row ids of a keyless table.
    pub row_ids: Option<&'a RowIdRuns>,
    /// Zone maps as an Arrow IPC stream.
    pub zones: &'a [u8],
}

/// The whole file, sealed, and its hash.
#[must_use]
pub fn encode(parts: Parts<'_>) -> (Vec<u8>, Hash128) {
    let mut sections = vec![
        (Section::Blocks, parts.block_sums.to_vec()),
        (Section::Batches, parts.batches.iter().flat_map(batch_entry).collect()),
    ];
    if let Some((fences, filters)) = parts.keys {
        let (ends, lines) = filters.finish();
        sections.push((Section::Fences, fences.encode()));
        sections.push((Section::FilterEnds, ends.iter().flat_map(|end| end.to_le_bytes()).collect()));
        sections.push((Section::FilterLines, lines));
    }
    if let Some(ids) = parts.row_ids {
        let pairs = ids.runs().iter().flat_map(|run| [run.first_row, run.first_id.0]);
        sections.push((Section::RowIds, pairs.flat_map(u64::to_le_bytes).collect()));
    }
    sections.push((Section::Zones, parts.zones.to_vec()));
    let mut bytes = header(&parts.header, sections.len() as u32);
    append_sections(&mut bytes, &sections);
    let hash = Hash128::seal(&mut bytes);
    (bytes, hash)
}

fn header(header: &SumHeader, sections: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(sections.to_le_bytes());
    bytes.extend(header.database.0.to_le_bytes());
    let numbers =
        [header.file.0, header.table.0, header.data_len, header.rows, header.min_seq.0, header.max_seq.0];
    bytes.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
    bytes.resize(HEADER_LEN, 0);
    bytes
}

fn batch_entry(batch: &BatchBlock) -> Vec<u8> {
    let numbers = [batch.offset, u64::from(batch.meta_len), batch.body_len, batch.end_row];
    numbers.into_iter().flat_map(u64::to_le_bytes).collect()
}

/// The directory, then each section at the next aligned place.
fn append_sections(bytes: &mut Vec<u8>, sections: &[(Section, Vec<u8>)]) {
    let mut offset = bytes.len() + sections.len() * ENTRY_LEN;
    for (kind, content) in sections {
        offset = offset.next_multiple_of(ALIGN);
        let entry = [u64::from(*kind as u32), offset as u64, content.len() as u64];
        bytes.extend(entry.into_iter().flat_map(u64::to_le_bytes));
        offset += content.len();
    }
    for (_, content) in sections {
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes.extend_from_slice(content);
    }
}
