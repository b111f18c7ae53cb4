//! Writes one SSTable: sorted rows in, a durable data file and companion out.
//!
//! Memory stays at one batch plus what the companion needs (fences, zone maps, about 1.3 bytes per key),
//! however long the file becomes. A writer that is dropped unfinished leaves files that no manifest names,
//! which the next opening for writing removes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::MetadataVersion;
use arrow::ipc::writer::{FileWriter as IpcWriter, IpcWriteOptions};

use super::chunk::{Chunker, row_bytes};
use super::info::SstInfo;
use super::keys::{KeyLog, RowKeys};
use super::plain::{compact, plain_batch, plain_schema};
use super::sink::SummedFile;
use crate::common::{DatabaseId, Error, FileId, Result, SeqNo, TableId};
use crate::format::layout;
use crate::format::row_ids::RowIdRuns;
use crate::format::stats::ZoneBuilder;
use crate::format::sum::{self, BatchBlock, SumHeader};
use crate::io::Storage;

/// Whether rows are sorted by primary key or by row id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SstKey {
    /// By encoded primary key.
    Keyed,
    /// By row id.
    RowId,
}

/// What a new SSTable is.
#[derive(Clone, Debug)]
pub struct SstHeader {
    /// The database it belongs to.
    pub database: DatabaseId,
    /// Its number.
    pub file: FileId,
    /// Its table.
    pub table: TableId,
    /// Columns; each field carries its column id as metadata.
    pub schema: SchemaRef,
    /// What its rows are sorted by.
    pub key: SstKey,
    /// Rows per Arrow batch.
    pub batch_rows: usize,
}

/// An SSTable being written.
#[derive(Debug)]
pub struct SstWriter {
    storage: Arc<dyn Storage>,
    header: SstHeader,
    ipc: IpcFile,
    keys: KeyLog,
    chunks: Chunker,
    zones: ZoneBuilder,
    batches: Vec<BatchBlock>,
    rows: u64,
}

/// Arrow's writer, which has no `Debug`.
struct IpcFile(IpcWriter<SummedFile>);

impl std::fmt::Debug for IpcFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.get_ref().fmt(f)
    }
}

impl IpcFile {
    /// The storage's own error where there is one.
    fn check<T>(&mut self, result: Result<T, ArrowError>) -> Result<T> {
        result.map_err(|error| self.0.get_mut().take_failure().unwrap_or_else(|| error.into()))
    }
}

impl SstWriter {
    /// Creates the data file of a new SSTable.
    ///
    /// # Errors
    /// `Invalid` for columns that cannot be stored; `Io` when the storage fails.
    pub fn create(storage: Arc<dyn Storage>, header: SstHeader) -> Result<Self> {
        let schema = Arc::new(plain_schema(&header.schema)?);
        let file = storage.create(&layout::sst(header.file))?;
        let sink = SummedFile::new(file, header.database, header.file);
        let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5)?;
        let ipc = IpcWriter::try_new_with_options(sink, &labelled(&schema, &header), options)?;
        let keys = match header.key {
            SstKey::Keyed => KeyLog::Keys(super::keys::EncodedKeys::default()),
            SstKey::RowId => KeyLog::RowIds(RowIdRuns::default()),
        };
        let zones = ZoneBuilder::new(&schema);
        let chunks = Chunker::new(schema, header.batch_rows);
        Ok(Self { storage, header, ipc: IpcFile(ipc), keys, chunks, zones, batches: vec![], rows: 0 })
    }

    /// Appends rows whose keys follow all keys so far.
    ///
    /// # Errors
    /// `Internal` when the keys do not ascend; `Io` when the storage fails.
    pub fn write(&mut self, batch: &RecordBatch, keys: RowKeys<'_>) -> Result<()> {
        self.write_beside(batch, keys, 0)
    }

    /// As [`SstWriter::write`], for rows that have so many bytes beside the file: a batch is what one reader holds in memory,
    /// wherever it is read from.
    ///
    /// # Errors
    /// As [`SstWriter::write`].
    pub fn write_beside(&mut self, batch: &RecordBatch, keys: RowKeys<'_>, beside: u64) -> Result<()> {
        self.keys.begin(keys, batch.num_rows())?;
        let batch = plain_batch(batch, self.chunks.schema())?;
        let row_bytes = row_bytes(&batch) + beside as usize / batch.num_rows().max(1);
        let mut start = 0;
        while start < batch.num_rows() {
            let fitting = self.chunks.room(row_bytes).min(batch.num_rows() - start);
            if fitting == 0 {
                self.end_batch()?;
                continue;
            }
            self.keys.push(keys, start..start + fitting)?;
            self.chunks.push(batch.slice(start, fitting), row_bytes);
            start += fitting;
        }
        Ok(())
    }

    /// Bytes of the data file so far; rows that wait for their batch count as the average row.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        let written = self.ipc.0.get_ref().len();
        written + written.checked_div(self.rows).unwrap_or(0) * self.chunks.rows() as u64
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows + self.chunks.rows() as u64
    }

    /// Writes what is left and makes both files durable; the caller syncs their folder.
    ///
    /// # Errors
    /// `Io` when the storage fails.
    pub fn finish(mut self, min_seq: SeqNo, max_seq: SeqNo) -> Result<SstInfo> {
        if self.chunks.rows() > 0 {
            self.end_batch()?;
        }
        let finished = self.ipc.0.finish();
        self.ipc.check(finished)?;
        let (data_len, block_sums) = self.ipc.0.into_inner()?.finish()?;
        let header = SumHeader {
            database: self.header.database,
            file: self.header.file,
            table: self.header.table,
            data_len,
            rows: self.rows,
            min_seq,
            max_seq,
        };
        let (min_key, max_key) = self.keys.range();
        let (keys, row_ids) = match self.keys {
            KeyLog::Keys(log) => (Some(log.finish()?), None),
            KeyLog::RowIds(ids) => (None, Some(ids)),
        };
        let zones = self.zones.finish()?;
        let parts = sum::Parts {
            header,
            block_sums: &block_sums,
            batches: &self.batches,
            keys,
            row_ids: row_ids.as_ref(),
            zones: &zones,
        };
        let (bytes, sum_hash) = sum::encode(parts);
        write_whole(&*self.storage, &layout::sum(header.file), &bytes)?;
        let (file, table, rows, sum_len) = (header.file, header.table, header.rows, bytes.len() as u64);
        Ok(SstInfo {
            file,
            table,
            rows,
            data_len,
            sum_len,
            sum_hash,
            min_key,
            max_key,
            min_seq,
            max_seq,
            blobs: vec![],
        })
    }

    fn end_batch(&mut self) -> Result<()> {
        let batch = compact(&self.chunks.take()?)?;
        self.keys.end_batch();
        self.zones.push(&batch);
        let offset = self.ipc.0.get_mut().mark();
        let written = self.ipc.0.write(&batch);
        self.ipc.check(written)?;
        let sink = self.ipc.0.get_ref();
        let len = sink.len() - offset;
        let meta_len = sink.message_meta_len().filter(|meta| u64::from(*meta) <= len);
        let meta_len =
            meta_len.ok_or_else(|| Error::Internal("Arrow wrote a message without a prefix".into()))?;
        self.rows += batch.num_rows() as u64;
        let body_len = len - u64::from(meta_len);
        self.batches.push(BatchBlock { offset, meta_len, body_len, end_row: self.rows });
        Ok(())
    }
}

/// The schema as it stands in the file: with the names of database, file and table.
fn labelled(schema: &Schema, header: &SstHeader) -> Schema {
    let labels = [
        ("trilith:format", sum::VERSION.to_string()),
        ("trilith:database", header.database.to_string()),
        ("trilith:file", header.file.to_string()),
        ("trilith:table", header.table.to_string()),
    ];
    let metadata: HashMap<_, _> = labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    schema.clone().with_metadata(metadata)
}

fn write_whole(storage: &dyn Storage, path: &str, bytes: &[u8]) -> Result<()> {
    let mut file = storage.create(path)?;
    file.append(bytes)?;
    file.sync()
}
