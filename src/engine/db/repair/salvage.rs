//! The intact batches of an SSTable with bad blocks.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::buffer::Buffer;
use arrow::compute::{filter, filter_record_batch};
use roaring::RoaringBitmap;

use crate::common::{DatabaseId, Error, Result};
use crate::db::maintenance::key_spec;
use crate::format::layout;
use crate::format::row_ids::RowIdRuns;
use crate::format::table::TableDef;
use crate::io::{FileReader, Storage};
use crate::lsm::FileNumbers;
use crate::lsm::columns::live_rows;
use crate::sstable::{RowKeys, SstHeader, SstInfo, SstKey, SstReader, SstWriter};

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
pub(super) struct Salvage {
    reader: SstReader,
    keyed: bool,
}

/// Opens what is left of a file. Its companion must be whole: without it no byte of the data proves itself.
pub(super) fn salvage(
    source: &dyn Storage,
    database: DatabaseId,
    def: &TableDef,
    info: &SstInfo,
) -> Result<Salvage> {
    let companion = source.open(&layout::sum(info.file))?;
    let data = source.open(&layout::sst(info.file))?;
    let data = Arc::new(Stated { file: data, len: info.data_len });
    let reader = SstReader::open_damaged(companion, data, database, info, key_spec(def)?)?;
    Ok(Salvage { reader, keyed: def.is_keyed() })
}

impl Salvage {
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
            let read = self.reader.read_batch(batch, None).and_then(|rows| Ok((rows, self.keys(batch)?)));
            let (found, keys) = match read {
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
            let found = live.as_ref().map_or(Ok(found.clone()), |live| filter_record_batch(&found, live))?;
            if found.num_rows() == 0 {
                continue;
            }
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(self.open(target, database, numbers)?),
            };
            match keys {
                Some(keys) => {
                    let keys = live.map_or(Ok(Arc::new(keys.clone()) as _), |live| filter(&keys, &live))?;
                    writer.write(&found, RowKeys::Encoded(&keys.to_data().into()))?;
                }
                None => writer.write(&found, RowKeys::RowIds(&self.row_ids(rows, live.as_ref())?))?,
            }
        }
        writer.map(|writer| writer.finish(info.min_seq, info.max_seq)).transpose()
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
            schema: Arc::clone(self.reader.schema()),
            key: if self.keyed { SstKey::Keyed } else { SstKey::RowId },
            batch_rows: self.largest_batch(),
        };
        SstWriter::create(Arc::clone(target), header)
    }

    fn largest_batch(&self) -> usize {
        let rows = (0..self.reader.num_batches()).map(|batch| self.reader.batch_rows(batch));
        rows.map(|rows| (rows.end - rows.start) as usize).max().unwrap_or(1)
    }

    fn keys(&self, batch: usize) -> Result<Option<arrow::array::BinaryArray>> {
        if self.keyed { self.reader.keys(batch).map(Some) } else { Ok(None) }
    }

    fn row_ids(&self, rows: Range<u64>, live: Option<&BooleanArray>) -> Result<RowIdRuns> {
        let ids = self.reader.row_ids(rows);
        let ids: arrow::array::UInt64Array = match live {
            Some(live) => filter(&ids, live)?.to_data().into(),
            None => ids,
        };
        RowIdRuns::from_ids(ids.values()).ok_or_else(|| Error::Internal("row ids do not ascend".into()))
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
