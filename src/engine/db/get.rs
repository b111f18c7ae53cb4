//! Point reads: the rows of given keys, as of a snapshot.
//!
//! Newest memtable first, then the files by fence keys and Bloom filter; only the one batch that holds the row is read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, RecordBatch};

use super::conform::conform_key_arrays;
use super::view::TableView;
use crate::common::{Error, Result, SeqNo};
use crate::format::table::{TableDef, record_batch};
use crate::lsm::columns::{projected, read_row};
use crate::lsm::{Gather, TableFile};
use crate::memtable::Found;
use crate::sstable::SortedKeys;

/// A row where it lies, nothing copied: columns of its batch, and its place in them.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    table: Arc<TableDef>,
    projection: Option<&'a [usize]>,
    columns: Vec<ArrayRef>,
    index: usize,
}

impl Row<'_> {
    /// The columns of its batch that were asked for.
    #[must_use]
    pub fn columns(&self) -> &[ArrayRef] {
        &self.columns
    }

    /// Its place in each of them.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The row as a batch of its own.
    ///
    /// # Errors
    /// When the columns do not fit the table, which they do.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        let columns = self.columns.iter().map(|column| column.slice(self.index, 1)).collect();
        let schema =
            self.projection.map_or_else(|| self.table.schema(), |columns| projected(&self.table, columns));
        record_batch(&schema, columns, 1)
    }
}

/// Where the live row of a key is.
pub(super) enum Place {
    Entry(Found),
    File(Arc<TableFile>, u64),
}

impl TableView {
    /// The row of a key, or `None`. `key` holds one array of length 1 per key column; the result has one row of the
    /// columns `projection` (all when `None`).
    ///
    /// # Errors
    /// `Invalid` when the table has no key or the values are no key of it; `Corrupt` or `Io` when the row's file cannot
    /// be read.
    pub fn get(&self, key: &[ArrayRef], projection: Option<&[usize]>) -> Result<Option<RecordBatch>> {
        let encoded = self.encoded(key)?;
        self.get_encoded(self.first_of(&encoded)?, projection)
    }

    /// As [`TableView::get`], for a key that [`TableView::codec`] encoded.
    ///
    /// # Errors
    /// As [`TableView::get`].
    pub fn get_encoded(&self, key: &[u8], projection: Option<&[usize]>) -> Result<Option<RecordBatch>> {
        self.get_row(key, projection)?.map(|row| row.to_batch()).transpose()
    }

    /// As [`TableView::get_encoded`], without making a batch of the row.
    ///
    /// # Errors
    /// As [`TableView::get`].
    pub fn get_row<'a>(&self, key: &[u8], projection: Option<&'a [usize]>) -> Result<Option<Row<'a>>> {
        self.note_key(key);
        let Some(place) = self.find(key)? else { return Ok(None) };
        let all: Vec<usize>;
        let columns = match projection {
            Some(columns) => columns,
            None => {
                all = (0..self.def().columns.len()).collect();
                &all
            }
        };
        let (columns, index) = self.values(&place, columns)?;
        Ok(Some(Row { table: Arc::clone(self.def()), projection, columns, index }))
    }

    /// These columns of the batch that holds a row, and the row's place in them.
    fn values(&self, place: &Place, columns: &[usize]) -> Result<(Vec<ArrayRef>, usize)> {
        Ok(match place {
            Place::Entry(found) => {
                let rows = found.chunk.rows.as_ref();
                let column = |&i: &usize| rows.map(|rows| Arc::clone(rows.column(i)));
                (columns.iter().filter_map(column).collect(), found.offset)
            }
            Place::File(file, row) => {
                let reader = file.reader()?;
                let batch = reader.batch_of_row(*row);
                let index = (row - reader.batch_rows(batch).start) as usize;
                read_row(self.def(), reader, batch, columns, index)?
            }
        })
    }

    fn has_expired(&self, place: &Place) -> Result<bool> {
        let Some(expiry) = &self.expiry else { return Ok(false) };
        let (times, index) = self.values(place, &[expiry.column])?;
        expiry.has_expired(&times[0], index)
    }

    /// The rows of many keys: those found, in the order of the keys, and for each key the place of its row among them.
    /// Files are asked for all keys at once, in key order, and each column is gathered once.
    ///
    /// # Errors
    /// As [`TableView::get`].
    pub fn get_many(
        &self,
        keys: &[ArrayRef],
        projection: Option<&[usize]>,
    ) -> Result<(RecordBatch, Vec<Option<usize>>)> {
        let encoded = self.encoded(keys)?;
        encoded.iter().flatten().for_each(|key| self.note_key(key));
        let places = self.find_many(&encoded)?;
        let all: Vec<usize> = (0..self.def().columns.len()).collect();
        let mut gather = Gather::new(self.def(), projection.unwrap_or(&all));
        let mut found = Vec::with_capacity(places.len());
        for place in &places {
            found.push(place.as_ref().map(|_| gather.len()));
            match place {
                Some(Place::Entry(entry)) => gather.push_entry(&entry.chunk, entry.offset)?,
                Some(Place::File(file, row)) => gather.push_file(file.reader()?, *row)?,
                None => {}
            }
        }
        Ok((gather.take()?, found))
    }

    /// True when `key` has a live row, encoded as [`TableView::codec`] does.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        self.note_key(key);
        Ok(self.find(key)?.is_some())
    }

    /// A key as [`TableView::codec`] encodes it.
    pub(super) fn encoded_key(&self, key: &[ArrayRef]) -> Result<Vec<u8>> {
        Ok(self.first_of(&self.encoded(key)?)?.to_vec())
    }

    fn first_of<'a>(&self, encoded: &'a BinaryArray) -> Result<&'a [u8]> {
        if encoded.is_empty() {
            return Err(Error::invalid(format!("key of table {}", self.def().name), "no value was given"));
        }
        Ok(encoded.value(0))
    }

    /// Whether each of these encoded keys, or row ids, has a live row.
    pub(super) fn contains_each(&self, keys: &BinaryArray) -> Result<Vec<bool>> {
        if self.def().is_keyed() {
            return Ok(self.find_many(keys)?.iter().map(Option::is_some).collect());
        }
        keys.iter().flatten().map(|id| Ok(self.find(id)?.is_some())).collect()
    }

    fn encoded(&self, keys: &[ArrayRef]) -> Result<BinaryArray> {
        let codec = self.codec()?;
        codec.encode(&conform_key_arrays(self.def(), keys)?)
    }

    /// The newest entry of a key.
    fn find_entry(&self, key: &[u8]) -> Result<Option<Found>> {
        for (i, limit) in self.inner.limits.iter().enumerate().rev() {
            if let Some(found) = self.inner.table.memtable(i).find(key, *limit)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    pub(super) fn find(&self, key: &[u8]) -> Result<Option<Place>> {
        let Some(place) = self.find_stored(key)? else { return Ok(None) };
        Ok((!self.has_expired(&place)?).then_some(place))
    }

    /// A deletion leaves only the files that are not older than it (bulk appends).
    fn find_stored(&self, key: &[u8]) -> Result<Option<Place>> {
        let entry = self.find_entry(key)?;
        let deleted_at = match entry {
            Some(found) if !found.is_deletion() => return Ok(Some(Place::Entry(found))),
            Some(found) => found.seq,
            None => SeqNo(0),
        };
        for file in self.inner.table.files.iter().filter(|file| file.max_seq() >= deleted_at) {
            if let Some(row) = file.find_live(key)? {
                return Ok(Some(Place::File(Arc::clone(file), row)));
            }
        }
        Ok(None)
    }

    /// For each key what [`TableView::find`] finds.
    fn find_many(&self, keys: &BinaryArray) -> Result<Vec<Option<Place>>> {
        let mut places = Vec::with_capacity(keys.len());
        // Keys that the memtables leave to the files, and the sequence number that a file must have reached.
        let mut left: Vec<(usize, SeqNo)> = Vec::new();
        for i in 0..keys.len() {
            let entry = self.find_entry(keys.value(i))?;
            let deleted_at = entry.as_ref().map_or(SeqNo(0), |found| found.seq);
            let row = entry.filter(|found| !found.is_deletion());
            if row.is_none() {
                left.push((i, deleted_at));
            }
            places.push(row.map(Place::Entry));
        }
        left.sort_unstable_by(|(a, _), (b, _)| keys.value(*a).cmp(keys.value(*b)));
        let sorted = BinaryArray::from_iter_values(left.iter().map(|(i, _)| keys.value(*i)));
        let sorted = SortedKeys::new(sorted)?;
        for file in self.inner.table.files.iter() {
            for (at, row) in file.find_live_many(&sorted)? {
                let (i, deleted_at) = left[at];
                if file.max_seq() >= deleted_at {
                    places[i] = Some(Place::File(Arc::clone(file), row));
                }
            }
        }
        for place in &mut places {
            if place.as_ref().map_or(Ok(false), |place| self.has_expired(place))? {
                *place = None;
            }
        }
        Ok(places)
    }
}
