//! One table as of a snapshot: point reads by key, and the parts of a scan.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use roaring::RoaringBitmap;

use super::batch::key_codec;
use super::conform::conform_key_arrays;
use super::key_range::KeyRange;
use super::scan::ScanPart;
use super::transaction::Reads;
use crate::common::{Error, Result, SeqNo};
use crate::format::key::KeyCodec;
use crate::format::table::TableDef;
use crate::lsm::columns::projected;
use crate::lsm::{Expiry, Masks, TableFile, TableState};

/// A table that does not change.
#[derive(Clone, Debug)]
pub struct TableView {
    inner: Arc<Inner>,
    /// Where a serializable transaction notes what is read.
    reads: Option<Arc<Reads>>,
    /// The keys that scans are asked for.
    range: KeyRange,
    /// Which rows have expired.
    expiry: Option<Expiry>,
}

#[derive(Debug)]
struct Inner {
    table: Arc<TableState>,
    seq: SeqNo,
    limits: Vec<u32>,
    masks: OnceLock<Arc<Masks>>,
    codec: OnceLock<KeyCodec>,
}

/// Where the live row of a key is.
enum Place {
    MemTable(RecordBatch),
    File(Arc<TableFile>, u64),
}

impl TableView {
    pub(super) fn new(table: Arc<TableState>, seq: SeqNo) -> Self {
        let limits = table.limits(seq);
        let inner = Inner { table, seq, limits, masks: OnceLock::new(), codec: OnceLock::new() };
        Self { inner: Arc::new(inner), reads: None, range: KeyRange::ALL, expiry: None }
    }

    /// The same without the rows that have expired at `time`, in milliseconds since 1970.
    pub(super) fn at(self, time: i64) -> Self {
        let expiry = Expiry::of(self.def(), time);
        Self { expiry, ..self }
    }

    /// The same, noting in `reads` what is read of it.
    pub(super) fn tracked(self, reads: Option<Arc<Reads>>) -> Self {
        Self { reads, ..self }
    }

    /// The same for a reader that needs no keys but those of `range`. Scans may return others, which the reader passes
    /// over; a serializable transaction takes only these for read.
    #[must_use]
    pub fn within(&self, range: KeyRange) -> Self {
        Self { range, ..self.clone() }
    }

    /// What the table is.
    #[must_use]
    pub fn def(&self) -> &Arc<TableDef> {
        &self.inner.table.def
    }

    /// Its columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.def().schema()
    }

    /// The commit it is as of.
    #[must_use]
    pub fn seq(&self) -> SeqNo {
        self.inner.seq
    }

    /// Exact number of rows.
    ///
    /// # Errors
    /// When a file that newer rows may hide rows of cannot be read.
    pub fn row_count(&self) -> Result<u64> {
        Ok(self.parts()?.iter().map(ScanPart::rows).sum())
    }

    /// The row of a key, or `None`. `key` holds one array of length 1 per key column; the result has one row of the
    /// columns `projection` (all when `None`).
    ///
    /// # Errors
    /// `Invalid` when the table has no key or the values are no key of it; `Corrupt` or `Io` when the row's file cannot
    /// be read.
    pub fn get(&self, key: &[ArrayRef], projection: Option<&[usize]>) -> Result<Option<RecordBatch>> {
        let keys = conform_key_arrays(self.def(), key)?;
        let encoded = self.codec()?.encode(&keys)?;
        if encoded.is_empty() {
            return Err(Error::invalid(format!("key of table {}", self.def().name), "no value was given"));
        }
        self.get_encoded(encoded.value(0), projection)
    }

    /// As [`TableView::get`], for a key that [`TableView::codec`] encoded.
    ///
    /// # Errors
    /// As [`TableView::get`].
    pub fn get_encoded(&self, key: &[u8], projection: Option<&[usize]>) -> Result<Option<RecordBatch>> {
        self.note_key(key);
        self.find(key)?.map(|place| self.fetch(&place, projection)).transpose()
    }

    /// The rows of many keys: those found, in the order of the keys, and for each key the place of its row among them.
    ///
    /// # Errors
    /// As [`TableView::get`].
    pub fn get_many(
        &self,
        keys: &[ArrayRef],
        projection: Option<&[usize]>,
    ) -> Result<(RecordBatch, Vec<Option<usize>>)> {
        let keys = conform_key_arrays(self.def(), keys)?;
        let encoded = self.codec()?.encode(&keys)?;
        let mut rows = Vec::new();
        let mut places = Vec::with_capacity(encoded.len());
        for key in encoded.iter().flatten() {
            let row = self.get_encoded(key, projection)?;
            places.push(row.as_ref().map(|_| rows.len()));
            rows.extend(row);
        }
        let schema = projection.map_or_else(|| self.schema(), |columns| projected(self.def(), columns));
        Ok((concat_batches(&schema, &rows)?, places))
    }

    /// Encodes this table's keys.
    ///
    /// # Errors
    /// `Invalid` when the table has no primary key.
    pub fn codec(&self) -> Result<&KeyCodec> {
        if !self.def().is_keyed() {
            return Err(Error::invalid(
                format!("table {}", self.def().name),
                "it has no primary key to look a row up by",
            ));
        }
        if let Some(codec) = self.inner.codec.get() {
            return Ok(codec);
        }
        let codec = key_codec(self.def())?;
        Ok(self.inner.codec.get_or_init(|| codec))
    }

    /// The live rows as parts that can be read independently: each row is in exactly one.
    ///
    /// # Errors
    /// When a file that newer rows may hide rows of cannot be read.
    pub fn parts(&self) -> Result<Vec<ScanPart>> {
        if let Some(reads) = &self.reads {
            reads.range(self.def(), &self.range);
        }
        let masks = self.masks()?;
        let table = &self.inner.table;
        let mut parts = Vec::new();
        for (file, hidden) in table.files.iter().zip(&masks.files) {
            let hidden = self.with_expired(hidden, |expiry| expiry.in_file(&table.def, file))?;
            parts.push(ScanPart::file(Arc::clone(&table.def), Arc::clone(file), &hidden)?);
        }
        for ((memtable, &limit), hidden) in table.memtables().zip(&self.inner.limits).zip(&masks.memtables) {
            let hidden = self.with_expired(hidden, |expiry| expiry.in_memtable(memtable, limit))?;
            parts.extend(ScanPart::memtable(Arc::clone(&table.def), memtable, limit, &hidden)?);
        }
        parts.retain(|part| part.rows() > 0);
        Ok(parts)
    }

    /// True when `key` has a live row, encoded as [`TableView::codec`] does.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        self.note_key(key);
        Ok(self.find(key)?.is_some())
    }

    fn with_expired<'a>(
        &self,
        hidden: &'a RoaringBitmap,
        expired: impl FnOnce(&Expiry) -> Result<RoaringBitmap>,
    ) -> Result<Cow<'a, RoaringBitmap>> {
        Ok(match &self.expiry {
            Some(expiry) => Cow::Owned(hidden | expired(expiry)?),
            None => Cow::Borrowed(hidden),
        })
    }

    fn note_key(&self, key: &[u8]) {
        if let Some(reads) = &self.reads {
            reads.key(self.def(), key);
        }
    }

    fn masks(&self) -> Result<&Arc<Masks>> {
        if let Some(masks) = self.inner.masks.get() {
            return Ok(masks);
        }
        let masks = self.inner.table.masks(&self.inner.limits)?;
        Ok(self.inner.masks.get_or_init(|| masks))
    }

    /// Newest memtable first; a deletion leaves only the files that are newer than it (bulk appends).
    fn find(&self, key: &[u8]) -> Result<Option<Place>> {
        let place = self.find_stored(key)?;
        let (Some(expiry), Some(found)) = (&self.expiry, &place) else { return Ok(place) };
        let time = self.fetch(found, Some(&[expiry.column]))?;
        Ok(if expiry.has_expired(time.column(0), 0)? { None } else { place })
    }

    fn find_stored(&self, key: &[u8]) -> Result<Option<Place>> {
        let table = &self.inner.table;
        let mut deleted_at = SeqNo(0);
        for (memtable, &limit) in
            table.memtables().zip(&self.inner.limits).collect::<Vec<_>>().into_iter().rev()
        {
            if let Some(found) = memtable.find(key, limit) {
                if let Some(row) = found.row() {
                    return Ok(Some(Place::MemTable(row)));
                }
                deleted_at = found.seq;
                break;
            }
        }
        for file in table.files.iter().filter(|file| file.max_seq() >= deleted_at) {
            if let Some(row) = file.find_live(key)? {
                return Ok(Some(Place::File(Arc::clone(file), row)));
            }
        }
        Ok(None)
    }

    fn fetch(&self, place: &Place, projection: Option<&[usize]>) -> Result<RecordBatch> {
        match place {
            Place::MemTable(row) => Ok(match projection {
                Some(columns) => row.project(columns)?,
                None => row.clone(),
            }),
            Place::File(file, row) => {
                let all: Vec<usize>;
                let columns = match projection {
                    Some(columns) => columns,
                    None => {
                        all = (0..self.def().columns.len()).collect();
                        &all
                    }
                };
                crate::lsm::columns::read_row(self.def(), file.reader()?, *row, columns)
            }
        }
    }
}
