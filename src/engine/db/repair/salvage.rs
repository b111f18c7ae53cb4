//! The intact batches of an SSTable with bad blocks, and the rows whose large values are intact. Every value proves itself
//! by the hash in its reference, however damaged the rest of its blob file is; it goes into the rows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, UInt64Array};
use arrow::buffer::Buffer;
use arrow::compute::filter;
use arrow::datatypes::SchemaRef;
use roaring::RoaringBitmap;

use crate::common::{DatabaseId, Error, Result};
use crate::db::maintenance::key_spec;
use crate::format::layout;
use crate::format::row_ids::RowIdRuns;
use crate::format::table::{TableDef, record_batch};
use crate::io::{FileReader, Storage};
use crate::lsm::FileNumbers;
use crate::lsm::columns::live_rows;
use crate::memtable::ChunkKeys;
use crate::sstable::{
    BlobRef, BlobRefs, RowKeys, SstHeader, SstInfo, SstKey, SstReader, SstWriter, StoredColumn, blob_owner,
};

/// Rows of a file that are lost together.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) live: u64,
    /// The first and last key they may have.
    pub(super) first: Vec<u8>,
    pub(super) last: Vec<u8>,
    pub(super) why: String,
}

/// An SSTable of which some batches can be read.
pub(super) struct Salvage<'a> {
    /// Where large values are read from.
    source: &'a dyn Storage,
    reader: SstReader,
    keyed: bool,
}

/// Opens what is left of a file. Its companion must be whole: without it no byte of the data proves itself.
pub(super) fn salvage<'a>(
    source: &'a dyn Storage,
    database: DatabaseId,
    def: &TableDef,
    info: &SstInfo,
) -> Result<Salvage<'a>> {
    let companion = source.open(&layout::sum(info.file))?;
    let data = source.open(&layout::sst(info.file))?;
    let data = Arc::new(Stated { file: data, len: info.data_len });
    let reader = SstReader::open_damaged(companion, data, database, info, key_spec(def)?)?;
    Ok(Salvage { source, reader, keyed: def.is_keyed() })
}

impl Salvage<'_> {
    /// Writes the live rows of the intact batches to a file of their own, if there are any, and tells of the others.
    pub(super) fn write(
        &self,
        target: &Arc<dyn Storage>,
        database: DatabaseId,
        numbers: &FileNumbers,
        dead: &RoaringBitmap,
        lost: &mut dyn FnMut(Part),
    ) -> Result<Option<SstInfo>> {
        let info = self.reader.info();
        let mut writer: Option<SstWriter> = None;
        for batch in 0..self.reader.num_batches() {
            let rows = self.reader.batch_rows(batch);
            let (columns, keys) = match self.read(batch) {
                Ok(read) => read,
                Err(error) => {
                    let live =
                        (rows.end - rows.start) - dead.range_cardinality(rows.start as u32..rows.end as u32);
                    let (first, last) = self.key_range(batch);
                    lost(Part { live, first, last, why: error.to_string() });
                    continue;
                }
            };
            let live = live_rows(rows.clone(), dead);
            let key_of = |row: usize| keys.with(row, <[u8]>::to_vec);
            let live =
                without_lost(self.source, &columns, live, (rows.end - rows.start) as usize, &key_of, lost)?;
            if live.true_count() == 0 {
                continue;
            }
            let values = columns.iter().map(|column| {
                column.filter(&live)?.resolve_by(&|value| proven_value(self.source, value), None)
            });
            let found = record_batch(&self.schema()?, values.collect::<Result<_>>()?, live.true_count())?;
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(self.open(target, database, numbers)?),
            };
            match keys {
                ChunkKeys::Encoded(keys) => {
                    writer.write(&found, RowKeys::Encoded(&filter(&keys, &live)?.to_data().into()))?;
                }
                ChunkKeys::RowIds(ids) => {
                    let ids: UInt64Array = filter(&ids, &live)?.to_data().into();
                    let runs = RowIdRuns::from_ids(ids.values())
                        .ok_or_else(|| Error::Internal("row ids do not ascend".into()))?;
                    writer.write(&found, RowKeys::RowIds(&runs))?;
                }
            }
        }
        writer.map(|writer| writer.finish(info.min_seq, info.max_seq)).transpose()
    }

    /// The columns of a batch, those of references apart, and its keys.
    fn read(&self, batch: usize) -> Result<(Vec<StoredColumn>, ChunkKeys)> {
        let columns = self.reader.stored_columns(batch, &self.columns())?;
        let keys = if self.keyed {
            ChunkKeys::Encoded(self.reader.keys(batch)?)
        } else {
            ChunkKeys::RowIds(self.reader.row_ids(self.reader.batch_rows(batch)))
        };
        Ok((columns, keys))
    }

    fn columns(&self) -> Vec<usize> {
        let fields = self.reader.schema().fields();
        (0..fields.len()).filter(|column| blob_owner(&fields[*column]).is_none()).collect()
    }

    fn schema(&self) -> Result<SchemaRef> {
        Ok(Arc::new(self.reader.schema().project(&self.columns())?))
    }

    fn open(
        &self,
        target: &Arc<dyn Storage>,
        database: DatabaseId,
        numbers: &FileNumbers,
    ) -> Result<SstWriter> {
        let header = SstHeader {
            database,
            file: numbers.take(),
            table: self.reader.info().table,
            schema: self.schema()?,
            key: if self.keyed { SstKey::Keyed } else { SstKey::RowId },
            batch_rows: self.largest_batch(),
        };
        SstWriter::create(Arc::clone(target), header)
    }

    fn largest_batch(&self) -> usize {
        let rows = (0..self.reader.num_batches()).map(|batch| self.reader.batch_rows(batch));
        rows.map(|rows| (rows.end - rows.start) as usize).max().unwrap_or(1)
    }

    /// Bounds of the keys of a batch that cannot be read: its own first key, and the first of the next batch.
    fn key_range(&self, batch: usize) -> (Vec<u8>, Vec<u8>) {
        let info = self.reader.info();
        if !self.keyed {
            let rows = self.reader.batch_rows(batch);
            let ids = self.reader.row_ids(rows);
            let id = |at: usize| ids.value(at).to_be_bytes().to_vec();
            return if ids.is_empty() { Default::default() } else { (id(0), id(ids.len() - 1)) };
        }
        let first = |batch: usize| self.reader.first_key(batch).map(<[u8]>::to_vec);
        (first(batch).unwrap_or_default(), first(batch + 1).unwrap_or_else(|| info.max_key.clone()))
    }
}

/// The live rows of a batch of `rows` rows whose large values can all be read; tells of the others.
fn without_lost(
    source: &dyn Storage,
    columns: &[StoredColumn],
    live: Option<BooleanArray>,
    rows: usize,
    key_of: &dyn Fn(usize) -> Vec<u8>,
    lost: &mut dyn FnMut(Part),
) -> Result<BooleanArray> {
    let is_live = |row: usize| live.as_ref().is_none_or(|live| live.value(row));
    let mut bad: BTreeMap<usize, String> = BTreeMap::new();
    for column in columns {
        for (row, value) in column.refs()?.iter().flat_map(BlobRefs::iter).filter(|(row, _)| is_live(*row)) {
            if let Err(error) = proven_value(source, &value) {
                bad.insert(row, error.to_string());
            }
        }
    }
    for (row, why) in &bad {
        let key = key_of(*row);
        lost(Part { live: 1, first: key.clone(), last: key, why: why.clone() });
    }
    Ok((0..rows).map(|row| Some(is_live(row) && !bad.contains_key(&row))).collect())
}

/// A value that is the one a row refers to.
fn proven_value(source: &dyn Storage, value: &BlobRef) -> Result<Buffer> {
    let path = layout::blob(value.file);
    let file = source.open(&path)?;
    let end = value.offset.checked_add(value.len).filter(|end| *end <= file.len());
    let end =
        end.ok_or_else(|| Error::corrupt(&path, value.offset, "it ends before the value of a row does"))?;
    let bytes = file.load(value.offset..end)?;
    if value.is(&bytes) {
        return Ok(bytes);
    }
    Err(Error::corrupt(&path, value.offset, "the value there is not the one that a row refers to"))
}

/// A data file seen at the length it should have: what is missing cannot be read, what is beyond is not there.
#[derive(Debug)]
struct Stated {
    file: Arc<dyn FileReader>,
    len: u64,
}

impl FileReader for Stated {
    fn path(&self) -> &str {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> Result<Buffer> {
        self.file.load(range)
    }

    fn is_mapped(&self) -> bool {
        false
    }

    fn check_len(&self) -> Result<()> {
        Ok(())
    }
}
