//! A part of a scan: one file, or the chunks of one memtable, with the rows that do not count masked out.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use roaring::RoaringBitmap;

use super::batch::ROW_ID;
use crate::common::{Error, Result};
use crate::format::stats::ColumnStats;
use crate::format::table::{TableDef, record_batch};
use crate::index::CodedRows;
use crate::lsm::TableFile;
use crate::lsm::columns::{live_rows, read_around, read_live};
use crate::memtable::{Chunk, ChunkKeys, MemTable};
use crate::sstable::SstReader;

/// Live rows that can be read independently of every other part.
#[derive(Clone, Debug)]
pub struct ScanPart {
    pub(super) table: Arc<TableDef>,
    pub(super) source: Source,
    rows: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    File { file: Arc<TableFile>, reader: Arc<SstReader>, path: String, hidden: Arc<RoaringBitmap> },
    MemTable { memtable: Arc<MemTable>, limit: u32, chunks: Vec<(Arc<Chunk>, Option<BooleanArray>)> },
}

impl ScanPart {
    pub(super) fn file(table: Arc<TableDef>, file: Arc<TableFile>, masked: &RoaringBitmap) -> Result<Self> {
        let deletes = file.deletes()?;
        let hidden = if masked.is_empty() { Arc::clone(deletes) } else { Arc::new(&**deletes | masked) };
        let rows = file.info().rows - hidden.len();
        let reader = Arc::clone(file.reader()?);
        reader.check_len()?;
        let path = crate::format::layout::sst(file.id());
        Ok(Self { table, source: Source::File { file, reader, path, hidden }, rows })
    }

    /// `None` when the memtable holds no live row.
    pub(super) fn memtable(
        table: Arc<TableDef>,
        memtable: &Arc<MemTable>,
        limit: u32,
        hidden: &RoaringBitmap,
    ) -> Result<Option<Self>> {
        let mut chunks = Vec::new();
        let mut rows = 0;
        for chunk in memtable.chunks(limit)?.into_iter().filter(|chunk| chunk.rows.is_some()) {
            let live = live_entries(&chunk, limit, hidden);
            let count = live.as_ref().map_or(chunk.len(), BooleanArray::true_count);
            if count > 0 {
                rows += count as u64;
                chunks.push((chunk, live));
            }
        }
        let source = Source::MemTable { memtable: Arc::clone(memtable), limit, chunks };
        Ok((rows > 0).then_some(Self { table, source, rows }))
    }

    /// Live rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Number of batches it is read in.
    #[must_use]
    pub fn num_batches(&self) -> usize {
        match &self.source {
            Source::File { reader, .. } => reader.num_batches(),
            Source::MemTable { chunks, .. } => chunks.len(),
        }
    }

    /// Rows of batch `i` before masking.
    #[must_use]
    pub fn batch_rows(&self, i: usize) -> usize {
        match &self.source {
            Source::File { reader, .. } => {
                let rows = reader.batch_rows(i);
                (rows.end - rows.start) as usize
            }
            Source::MemTable { chunks, .. } => chunks[i].0.len(),
        }
    }

    /// True when no row is masked, so that the statistics are exact.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        match &self.source {
            Source::File { hidden, .. } => hidden.is_empty(),
            Source::MemTable { chunks, .. } => chunks.iter().all(|(_, live)| live.is_none()),
        }
    }

    /// The file it reads; `None` for a memtable.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match &self.source {
            Source::File { path, .. } => Some(path),
            Source::MemTable { .. } => None,
        }
    }

    /// Smallest and largest value and number of nulls of a column, one entry per batch. Dropping a batch by any
    /// predicate on them is always right: rows hidden by newer ones are masked already.
    #[must_use]
    pub fn stats(&self, column: usize) -> Option<ColumnStats> {
        let Source::File { reader, .. } = &self.source else { return None };
        reader.stats(reader.column_index(self.table.columns[column].id)?)
    }

    /// The live rows of batch `i`: the table's columns `columns`, then [`ROW_ID`] when `row_id` is set (keyless tables).
    ///
    /// # Errors
    /// `Corrupt` or `Io` when the file cannot be read; `Invalid` for the row id of a keyed table.
    pub fn read(&self, i: usize, columns: &[usize], row_id: bool) -> Result<RecordBatch> {
        match &self.source {
            Source::File { reader, hidden, .. } => {
                let live = live_rows(reader.batch_rows(i), hidden);
                let rows = read_live(&self.table, reader, i, columns, live.as_ref())?;
                if !row_id {
                    return Ok(rows);
                }
                let ids = self.file_row_ids(reader, i)?;
                let ids = live.map_or(Ok(Arc::new(ids.clone()) as _), |live| filter(&ids, &live))?;
                with_row_ids(rows, ids)
            }
            Source::MemTable { chunks, .. } => {
                let (chunk, live) = &chunks[i];
                let Some(rows) = &chunk.rows else {
                    return Err(Error::Internal("a scan of deletions".into()));
                };
                let rows = rows.project(columns)?;
                let ids = || Ok::<_, Error>(Arc::new(self.chunk_row_ids(chunk)?));
                let rows = if row_id { with_row_ids(rows, ids()?)? } else { rows };
                masked(rows, live.as_ref())
            }
        }
    }

    /// As [`ScanPart::read`] with the rows that do not count still in place, so that nothing is copied; the second
    /// value tells which rows count, all when `None`.
    ///
    /// # Errors
    /// As [`ScanPart::read`].
    pub fn read_unmasked(&self, i: usize, columns: &[usize]) -> Result<(RecordBatch, Option<BooleanArray>)> {
        match &self.source {
            Source::File { reader, hidden, .. } => {
                let live = live_rows(reader.batch_rows(i), hidden);
                Ok((read_around(&self.table, reader, i, columns, live.as_ref())?, live))
            }
            Source::MemTable { chunks, .. } => {
                let (chunk, live) = &chunks[i];
                let Some(rows) = &chunk.rows else {
                    return Err(Error::Internal("a scan of deletions".into()));
                };
                Ok((rows.project(columns)?, live.clone()))
            }
        }
    }

    /// The codes of a column of vectors in batch `i`; `None` when it has none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn codes(&self, i: usize, column: usize) -> Result<Option<CodedRows>> {
        let Source::File { file, reader, .. } = &self.source else { return Ok(None) };
        let rows = reader.batch_rows(i);
        let codes = file.codes(&self.table, self.table.columns[column].id)?;
        Ok(codes.map(|codes| CodedRows { codes, rows: rows.start as usize..rows.end as usize }))
    }

    /// Which rows of batch `i` count; all when `None`.
    #[must_use]
    pub fn live(&self, i: usize) -> Option<BooleanArray> {
        match &self.source {
            Source::File { reader, hidden, .. } => live_rows(reader.batch_rows(i), hidden),
            Source::MemTable { chunks, .. } => chunks[i].1.clone(),
        }
    }

    fn file_row_ids(&self, reader: &SstReader, i: usize) -> Result<UInt64Array> {
        if self.table.is_keyed() { Err(self.no_row_id()) } else { Ok(reader.row_ids(reader.batch_rows(i))) }
    }

    fn chunk_row_ids(&self, chunk: &Chunk) -> Result<UInt64Array> {
        match &chunk.keys {
            ChunkKeys::RowIds(ids) => Ok(ids.clone()),
            ChunkKeys::Encoded(_) => Err(self.no_row_id()),
        }
    }

    fn no_row_id(&self) -> Error {
        Error::invalid(
            format!("table {}", self.table.name),
            "its rows are known by primary key and have no row id",
        )
    }
}

/// `None` when every entry is live.
fn live_entries(chunk: &Chunk, limit: u32, hidden: &RoaringBitmap) -> Option<BooleanArray> {
    let is_live = |offset: usize| {
        let entry = chunk.start + offset as u32;
        entry < limit && chunk.entries[offset].superseded_by() >= limit && !hidden.contains(entry)
    };
    let live = BooleanArray::from((0..chunk.len()).map(is_live).collect::<Vec<bool>>());
    (live.true_count() < live.len()).then_some(live)
}

fn masked(rows: RecordBatch, live: Option<&BooleanArray>) -> Result<RecordBatch> {
    match live {
        Some(live) => Ok(filter_record_batch(&rows, live)?),
        None => Ok(rows),
    }
}

fn with_row_ids(rows: RecordBatch, ids: ArrayRef) -> Result<RecordBatch> {
    let count = rows.num_rows();
    let mut fields = rows.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(ROW_ID, DataType::UInt64, false)));
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns.push(ids);
    record_batch(&Arc::new(Schema::new(fields)), columns, count)
}
