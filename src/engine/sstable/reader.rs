//! Reads one SSTable.
//!
//! Opening verifies the companion and the data file's footer and nothing else; every later read verifies
//! the blocks it touches. On mapped storage a column of a batch is decoded and fully validated once, by
//! reference, and kept, so that a second read costs a few reference counts. On other storage it is kept in the storage's
//! cache, if that has one.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::SchemaRef;

use super::blob::{BlobFile, blob_owner};
use super::columns::Decoded;
use super::file::VerifiedFile;
use super::info::{KeySpec, SstInfo};
use super::key_column::KeyColumn;
use crate::common::{ColumnId, DatabaseId, Error, Result, RowId};
use crate::format::key::KeyCodec;
use crate::format::layout;
use crate::format::row_ids::RowIdRuns;
use crate::format::stats::ColumnStats;
use crate::format::sum::{self, Lookup, Sum};
use crate::format::table::COLUMN_ID_KEY;
use crate::io::{FileCache, Storage};

/// An open SSTable.
#[derive(Debug)]
pub struct SstReader {
    pub(super) info: SstInfo,
    pub(super) file: VerifiedFile,
    pub(super) sum: Sum,
    pub(super) companion: Arc<dyn crate::io::FileReader>,
    pub(super) schema: SchemaRef,
    /// Of each column of the file.
    ids: Vec<Option<ColumnId>>,
    /// Of each column of the file, the one that holds its references.
    pub(super) refs: Vec<Option<usize>>,
    /// What they refer to.
    pub(super) blobs: Vec<Arc<BlobFile>>,
    pub(super) key: Option<Key>,
    /// What is decoded of each batch; only on mapped storage.
    pub(super) decoded: Box<[OnceLock<Decoded>]>,
    /// The same on other storage, as far as there is memory for it.
    pub(super) cache: Option<FileCache>,
}

/// The key of this file's rows.
#[derive(Debug)]
pub(super) struct Key {
    columns: Vec<usize>,
    spec: KeySpec,
}

impl SstReader {
    /// Opens the SSTable that the manifest describes as `info`; `key` for a keyed table.
    ///
    /// # Errors
    /// `Corrupt` when the companion, the footer or either length is not what was written.
    pub fn open(
        storage: &dyn Storage,
        database: DatabaseId,
        info: &SstInfo,
        key: Option<KeySpec>,
    ) -> Result<Self> {
        let companion = storage.open(&layout::sum(info.file))?;
        let sum = read_sum(&*companion, database, info)?;
        let data = storage.open(&layout::sst(info.file))?;
        let file = VerifiedFile::new(data, info.data_len, sum.blocks.clone())?;
        let schema = super::footer::read_schema(&file, &sum.batches)?;
        let cache = storage.cache().filter(|_| !file.is_mapped()).map(FileCache::new);
        Ok(Self { cache, ..Self::assemble(companion, sum, file, schema, info, key)? })
    }

    /// As [`SstReader::open`] for a file that may be damaged anywhere, as long as its companion is whole and either
    /// its first or its last bytes tell its columns. `data` states the length that the file should have.
    ///
    /// # Errors
    /// As [`SstReader::open`].
    pub fn open_damaged(
        companion: Arc<dyn crate::io::FileReader>,
        data: Arc<dyn crate::io::FileReader>,
        database: DatabaseId,
        info: &SstInfo,
        key: Option<KeySpec>,
    ) -> Result<Self> {
        let sum = read_sum(&*companion, database, info)?;
        let file = VerifiedFile::new(data, info.data_len, sum.blocks.clone())?;
        let schema = super::footer::read_schema(&file, &sum.batches)
            .or_else(|error| super::footer::read_leading_schema(&file, &sum.batches).map_err(|_| error))?;
        Self::assemble(companion, sum, file, schema, info, key)
    }

    fn assemble(
        companion: Arc<dyn crate::io::FileReader>,
        sum: Sum,
        file: VerifiedFile,
        schema: SchemaRef,
        info: &SstInfo,
        key: Option<KeySpec>,
    ) -> Result<Self> {
        let ids = column_ids(&schema);
        let key = key.map(|spec| Key::resolve(spec, &ids, &file)).transpose()?;
        if key.is_some() != matches!(sum.lookup, Lookup::Keys { .. }) {
            return Err(Error::corrupt(
                companion.path(),
                0,
                "the catalog and the file disagree on whether rows have a key",
            ));
        }
        let decoded =
            (0..if file.is_mapped() { sum.batches.len() } else { 0 }).map(|_| OnceLock::new()).collect();
        let refs = ids.iter().map(|id| refs_of(&schema, (*id)?)).collect();
        let (info, blobs, cache) = (info.clone(), vec![], None);
        Ok(Self { info, file, sum, companion, schema, ids, refs, blobs, key, decoded, cache })
    }

    /// The same with the blob files that its rows refer to.
    #[must_use]
    pub fn with_blobs(self, blobs: Vec<Arc<BlobFile>>) -> Self {
        Self { blobs, ..self }
    }

    /// The blob files that its rows refer to.
    #[must_use]
    pub fn blobs(&self) -> &[Arc<BlobFile>] {
        &self.blobs
    }

    /// First encoded key of a batch; none for a keyless table, or when there is no such batch.
    #[must_use]
    pub fn first_key(&self, batch: usize) -> Option<&[u8]> {
        match &self.sum.lookup {
            Lookup::Keys { fences, .. } => fences.first(batch),
            Lookup::RowIds(_) => None,
        }
    }

    /// What the manifest says of it.
    #[must_use]
    pub fn info(&self) -> &SstInfo {
        &self.info
    }

    /// Columns of the file; each field carries its column id as metadata.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns of the file that belong to a column of a table.
    pub fn column_ids(&self) -> impl Iterator<Item = ColumnId> + '_ {
        self.ids.iter().flatten().copied()
    }

    /// Position of a column in the file.
    #[must_use]
    pub fn column_index(&self, id: ColumnId) -> Option<usize> {
        self.ids.iter().position(|held| *held == Some(id))
    }

    /// Bytes of both files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.info.data_len + self.info.sum_len
    }

    /// Confirms that the data file still has its length. Columns that are kept point into its mapping, which
    /// a file cut short by somebody else would turn into a signal: ask before a scan.
    ///
    /// # Errors
    /// `Corrupt` when it has not.
    pub fn check_len(&self) -> Result<()> {
        self.file.check_len()
    }

    /// Number of Arrow batches.
    #[must_use]
    pub fn num_batches(&self) -> usize {
        self.sum.batches.len()
    }

    /// Rows of the file that batch `batch` holds; empty when there is no such batch.
    #[must_use]
    pub fn batch_rows(&self, batch: usize) -> Range<u64> {
        let end = |i: usize| self.sum.batches.get(i).map_or(self.info.rows, |block| block.end_row);
        let start = batch.checked_sub(1).map_or(0, end);
        start..end(batch).max(start)
    }

    /// The batch that holds a row of the file.
    #[must_use]
    pub fn batch_of_row(&self, row: u64) -> usize {
        self.sum.batches.partition_point(|block| block.end_row <= row)
    }

    /// Zone maps of a column; none for types without an order.
    #[must_use]
    pub fn stats(&self, column: usize) -> Option<ColumnStats> {
        self.sum.zones.column(column)
    }

    /// Columns of one batch as they are stored, in the order of `projection`; all columns for `None`, those of references
    /// too. Of a value in a blob file it is the head.
    ///
    /// # Errors
    /// `Corrupt` when a block under these columns is not what was written; `Invalid` for a batch or column
    /// that is not there.
    pub fn read_batch(&self, batch: usize, projection: Option<&[usize]>) -> Result<RecordBatch> {
        let rows = self.batch_rows(batch);
        let options = RecordBatchOptions::new().with_row_count(Some((rows.end - rows.start) as usize));
        let (schema, columns) = match projection {
            Some(columns) => (Arc::new(self.schema.project(columns)?), self.stored_arrays(batch, columns)?),
            None => {
                let all: Vec<usize> = (0..self.schema.fields().len()).collect();
                (Arc::clone(&self.schema), self.stored_arrays(batch, &all)?)
            }
        };
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }

    /// Row ids of some rows; empty for a keyed table.
    #[must_use]
    pub fn row_ids(&self, rows: Range<u64>) -> UInt64Array {
        self.row_id_runs().map_or_else(|| UInt64Array::from(Vec::<u64>::new()), |runs| runs.ids(rows))
    }

    /// Runs of row ids; none for a keyed table.
    #[must_use]
    pub fn row_id_runs(&self) -> Option<&RowIdRuns> {
        match &self.sum.lookup {
            Lookup::RowIds(runs) => Some(runs),
            Lookup::Keys { .. } => None,
        }
    }

    /// Row with this id; none for a keyed table.
    #[must_use]
    pub fn find_row_id(&self, id: RowId) -> Option<u64> {
        self.row_id_runs()?.find(id)
    }

    /// The key columns of one batch, ready to be searched.
    pub(super) fn with_key_column<T>(&self, batch: usize, act: impl FnOnce(&KeyColumn) -> T) -> Result<T> {
        let key = self
            .key
            .as_ref()
            .ok_or_else(|| Error::Internal("a keyless SSTable was asked for a key".into()))?;
        let kept = self.decoded.get(batch).map(|slot| slot.get_or_init(|| Decoded::new(&self.schema)));
        if let Some(column) = kept.and_then(|decoded| decoded.key.get()) {
            return Ok(act(column));
        }
        let columns = self.stored_arrays(batch, &key.columns)?;
        let column = KeyColumn::new(columns, key.codec());
        Ok(match kept {
            Some(decoded) => act(decoded.key.get_or_init(|| column)),
            None => act(&column),
        })
    }
}

impl Key {
    /// The key columns among all columns of the file.
    pub(super) fn columns_of(&self, all: &[ArrayRef]) -> Vec<ArrayRef> {
        self.columns.iter().map(|column| Arc::clone(&all[*column])).collect()
    }

    pub(super) fn codec(&self) -> Arc<KeyCodec> {
        Arc::clone(&self.spec.codec)
    }

    fn resolve(spec: KeySpec, ids: &[Option<ColumnId>], file: &VerifiedFile) -> Result<Self> {
        let index = |id: &ColumnId| {
            ids.iter()
                .position(|held| held.as_ref() == Some(id))
                .ok_or_else(|| file.corrupt(0, format!("it lacks the key column with id {id}")))
        };
        let columns = spec.columns.iter().map(index).collect::<Result<_>>()?;
        Ok(Self { columns, spec })
    }
}

fn refs_of(schema: &SchemaRef, owner: ColumnId) -> Option<usize> {
    schema.fields().iter().position(|field| blob_owner(field) == Some(owner))
}

fn column_ids(schema: &SchemaRef) -> Vec<Option<ColumnId>> {
    let id =
        |field: &arrow::datatypes::FieldRef| field.metadata().get(COLUMN_ID_KEY)?.parse().ok().map(ColumnId);
    schema.fields().iter().map(id).collect()
}

/// The whole companion, verified against the manifest.
pub(super) fn read_sum(
    file: &dyn crate::io::FileReader,
    database: DatabaseId,
    info: &SstInfo,
) -> Result<Sum> {
    let path = file.path();
    if file.len() != info.sum_len {
        let what = format!("it has {} bytes, the manifest says {}", file.len(), info.sum_len);
        return Err(Error::corrupt(path, file.len().min(info.sum_len), what));
    }
    file.check_len()?;
    // In memory of its own: what it says is used long after it was verified.
    let bytes = file.load(0..info.sum_len)?;
    let (sum, hash) = sum::decode(path, database, info.file, &bytes)?;
    let header = (sum.header.table, sum.header.rows, sum.header.data_len);
    if hash != info.sum_hash || header != (info.table, info.rows, info.data_len) {
        let what = format!("its hash is {hash}, the manifest says {}", info.sum_hash);
        return Err(Error::corrupt(path, 0, what));
    }
    Ok(sum)
}
