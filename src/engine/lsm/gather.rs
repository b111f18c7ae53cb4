//! Rows picked one by one from many batches, made into one batch with one gather per column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;

use super::columns::read_stored;
use super::interleave::interleave;
use crate::common::{Error, FileId, Result};
use crate::format::table::{TableDef, record_batch};
use crate::memtable::Chunk;
use crate::sstable::{BlobFile, RefBuilder, SstReader, StoredColumn};

/// What a batch that rows are picked from is known by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Source {
    File(FileId, usize),
    /// Address of a memtable's chunk, which is held meanwhile.
    Chunk(usize),
}

/// A batch, and the columns of it that are asked for.
type Picked = (Source, Vec<StoredColumn>);

/// Rows picked so far.
#[derive(Debug)]
pub struct Gather {
    table: Arc<TableDef>,
    columns: Vec<usize>,
    schema: SchemaRef,
    sources: Vec<Picked>,
    /// What the rows' references lead to.
    blobs: Vec<Arc<BlobFile>>,
    /// Where each source stands among them.
    known: HashMap<Source, usize>,
    held: Vec<Arc<Chunk>>,
    places: Vec<(usize, usize)>,
}

impl Gather {
    /// Nothing yet; rows will have the table's columns `columns`.
    #[must_use]
    pub fn new(table: &Arc<TableDef>, columns: &[usize]) -> Self {
        let schema = super::columns::projected(table, columns);
        let (table, columns) = (Arc::clone(table), columns.to_vec());
        let (sources, blobs, held, places) = (vec![], vec![], vec![], vec![]);
        Self { table, columns, schema, sources, blobs, known: HashMap::new(), held, places }
    }

    /// Rows picked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True when none was picked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Picks a row of a file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn push_file(&mut self, reader: &SstReader, row: u64) -> Result<()> {
        self.push_rows(reader, row, std::iter::once(row))
    }

    /// Picks rows of the batch of a file that holds row `first`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn push_rows(
        &mut self,
        reader: &SstReader,
        first: u64,
        rows: impl Iterator<Item = u64>,
    ) -> Result<()> {
        let batch = reader.batch_of_row(first);
        let source = Source::File(reader.info().file, batch);
        let at = match self.source(source) {
            Some(at) => at,
            None => {
                reader.check_len()?;
                let stored = read_stored(&self.table, reader, batch, &self.columns)?;
                if stored.iter().any(|column| column.refs.is_some()) {
                    self.hold(reader.blobs());
                }
                self.add(source, stored)
            }
        };
        let start = reader.batch_rows(batch).start;
        self.places.extend(rows.map(|row| (at, (row - start) as usize)));
        Ok(())
    }

    /// Picks an entry of a memtable.
    ///
    /// # Errors
    /// `Internal` when it is a deletion.
    pub fn push_entry(&mut self, chunk: &Arc<Chunk>, offset: usize) -> Result<()> {
        let source = Source::Chunk(Arc::as_ptr(chunk) as usize);
        let at = match (self.source(source), &chunk.rows) {
            (Some(at), _) => at,
            (None, Some(rows)) => {
                self.held.push(Arc::clone(chunk));
                let column = |&column: &usize| StoredColumn::plain(Arc::clone(rows.column(column)));
                let arrays = self.columns.iter().map(column).collect();
                self.add(source, arrays)
            }
            (None, None) => return Err(Error::Internal("a deletion was picked as a row".into())),
        };
        self.places.push((at, offset));
        Ok(())
    }

    /// Rows that follow each other often come from one batch.
    fn source(&self, wanted: Source) -> Option<usize> {
        match self.sources.last() {
            Some((source, _)) if *source == wanted => Some(self.sources.len() - 1),
            _ => self.known.get(&wanted).copied(),
        }
    }

    fn hold(&mut self, blobs: &[Arc<BlobFile>]) {
        for blob in blobs {
            if self.blobs.iter().all(|held| held.info().file != blob.info().file) {
                self.blobs.push(Arc::clone(blob));
            }
        }
    }

    fn add(&mut self, source: Source, arrays: Vec<StoredColumn>) -> usize {
        self.known.insert(source, self.sources.len());
        self.sources.push((source, arrays));
        self.sources.len() - 1
    }

    /// True when the rows follow each other in one batch, so that none need be copied.
    fn is_run(&self) -> bool {
        self.places.windows(2).all(|pair| pair[1] == (pair[0].0, pair[0].1 + 1))
    }

    /// The rows picked, as one batch.
    ///
    /// # Errors
    /// When they pass what one batch can hold.
    pub fn take(self) -> Result<RecordBatch> {
        let Some(&(first, row)) = self.places.first() else { return Ok(RecordBatch::new_empty(self.schema)) };
        let is_run = self.is_run();
        // Of one batch, rows are taken by their number alone.
        let rows = || self.places.iter().map(|(_, row)| *row as u32);
        let indices = (!is_run && self.sources.len() == 1).then(|| UInt32Array::from_iter_values(rows()));
        let column = |i: usize| -> Result<StoredColumn> {
            if is_run {
                return Ok(self.sources[first].1[i].slice(row, self.places.len()));
            }
            let values = |(_, arrays): &Picked| Ok(Arc::clone(&arrays[i].values));
            let has_refs = self.sources.iter().any(|(_, arrays)| arrays[i].refs.is_some());
            let refs = |(_, arrays): &Picked| match &arrays[i].refs {
                Some(refs) => Ok(Arc::clone(refs)),
                None => RefBuilder::none(arrays[i].values.len()),
            };
            let refs = has_refs.then(|| self.picked(&refs, indices.as_ref())).transpose()?;
            Ok(StoredColumn { values: self.picked(&values, indices.as_ref())?, refs })
        };
        let column = |i: usize| column(i)?.resolve(&self.blobs, None);
        let columns = (0..self.columns.len()).map(column).collect::<Result<_>>()?;
        record_batch(&self.schema, columns, self.places.len())
    }
    /// The rows picked, of one array of each source.
    fn picked(
        &self,
        array: &dyn Fn(&Picked) -> Result<ArrayRef>,
        indices: Option<&UInt32Array>,
    ) -> Result<ArrayRef> {
        if let Some(indices) = indices {
            return Ok(take(&array(&self.sources[0])?, indices, None)?);
        }
        let pieces = self.sources.iter().map(array).collect::<Result<Vec<_>>>()?;
        let pieces: Vec<&dyn Array> = pieces.iter().map(|piece| &**piece as &dyn Array).collect();
        interleave(&pieces, &self.places)
    }
}
