//! A frozen memtable becomes sorted files, and its updates become deletion bitmaps of the older files.

use arrow::array::{Array, BinaryArray, RecordBatch, UInt64Array};
use arrow::compute::{filter_record_batch, interleave_record_batch};
use roaring::RoaringBitmap;

use super::output::Output;
use super::state::TableState;
use crate::common::{Error, Result, SeqNo};
use crate::memtable::{Chunk, ChunkKeys, LIVE, MemTable};
use crate::sstable::SstInfo;

/// Rows gathered into one batch on their way to a file.
const GATHER_ROWS: usize = 8192;

/// What a flush wrote, to be published in one manifest.
#[derive(Debug)]
pub struct FlushOutput {
    /// New files.
    pub files: Vec<SstInfo>,
    /// Older files, by position, that lost rows, with all their deleted rows.
    pub deletes: Vec<(usize, RoaringBitmap)>,
}

/// Writes the oldest frozen memtable of `table`, newest version of each key only.
///
/// # Errors
/// When a file cannot be written, or one that must be probed cannot be read.
pub fn flush_memtable(table: &TableState, mut output: Output) -> Result<FlushOutput> {
    let memtable =
        table.frozen.first().ok_or_else(|| Error::Internal("a flush without a frozen memtable".into()))?;
    let deletes = new_deletes(table, memtable)?;
    if table.def.is_keyed() {
        write_keyed(table, memtable, &mut output)?;
    } else {
        write_keyless(memtable, &mut output)?;
    }
    Ok(FlushOutput { files: output.finish()?, deletes })
}

fn new_deletes(table: &TableState, memtable: &MemTable) -> Result<Vec<(usize, RoaringBitmap)>> {
    let mut limits = vec![0; table.frozen.len() + 1];
    limits[0] = memtable.len();
    let masks = table.masks(&limits)?;
    let mut changed = Vec::new();
    for (position, hidden) in masks.files.iter().enumerate().filter(|(_, hidden)| !hidden.is_empty()) {
        changed.push((position, &**table.files[position].deletes()? | hidden));
    }
    Ok(changed)
}

fn write_keyed(table: &TableState, memtable: &MemTable, output: &mut Output) -> Result<()> {
    let chunks = memtable.chunks(u32::MAX);
    let (batches, ordinals) = row_chunks(&chunks);
    let mut keys: Vec<Box<[u8]>> = Vec::new();
    let mut places = Vec::new();
    let mut outcome = Ok(());
    memtable.for_each_newest(|key, entry| {
        let at = chunks.partition_point(|chunk| chunk.start <= entry) - 1;
        let offset = (entry - chunks[at].start) as usize;
        let Some(batch) = ordinals[at] else { return };
        match is_replaced(table, key, chunks[at].seq(offset)) {
            Ok(true) => {}
            Ok(false) => {
                keys.push(key.into());
                places.push((batch, offset));
            }
            Err(error) => outcome = Err(error),
        }
    });
    outcome?;
    for (keys, places) in keys.chunks(GATHER_ROWS).zip(places.chunks(GATHER_ROWS)) {
        let rows = interleave_record_batch(&batches, places)?;
        output.write(&rows, &ChunkKeys::Encoded(BinaryArray::from_iter_values(keys)))?;
    }
    Ok(())
}

/// True when a bulk append after `seq` holds the row of `key`: its files are newer than this memtable.
fn is_replaced(table: &TableState, key: &[u8], seq: SeqNo) -> Result<bool> {
    for file in table.files.iter().filter(|file| file.max_seq() > seq) {
        if file.find_live(key)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The chunks that hold rows, and for each chunk its place among them.
fn row_chunks(chunks: &[std::sync::Arc<Chunk>]) -> (Vec<&RecordBatch>, Vec<Option<usize>>) {
    let mut batches = Vec::new();
    let ordinals = chunks
        .iter()
        .map(|chunk| {
            chunk.rows.as_ref().map(|rows| {
                batches.push(rows);
                batches.len() - 1
            })
        })
        .collect();
    (batches, ordinals)
}

fn write_keyless(memtable: &MemTable, output: &mut Output) -> Result<()> {
    for chunk in memtable.chunks(u32::MAX) {
        let (Some(rows), ChunkKeys::RowIds(ids)) = (&chunk.rows, &chunk.keys) else { continue };
        let live = arrow::array::BooleanArray::from_iter(
            chunk.entries.iter().map(|entry| Some(entry.superseded_by() == LIVE)),
        );
        if live.true_count() == live.len() {
            output.write(rows, &chunk.keys)?;
        } else if live.true_count() > 0 {
            let ids: UInt64Array = arrow::compute::filter(ids, &live)?.to_data().into();
            output.write(&filter_record_batch(rows, &live)?, &ChunkKeys::RowIds(ids))?;
        }
    }
    Ok(())
}
