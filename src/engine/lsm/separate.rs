//! Large values on their way out of the rows: into blob files, with references in their place.
//!
//! A value that is in a blob file already stays there, and its reference is copied, unless its file is to be given up.
//! The rows of one SSTable may refer to many blob files, and one blob file may serve several SSTables.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::file::TableFile;
use super::output::FileNumbers;
use crate::common::{DatabaseId, Error, FileId, Result};
use crate::format::blob::{BlobHeader, BlobInfo, BlobUse};
use crate::format::table::{TableDef, record_batch};
use crate::io::Storage;
use crate::sstable::{
    BlobFile, BlobRef, BlobRefs, BlobWriter, HEAD_LEN, Large, RefBuilder, blob_field, blob_owner, cut,
    is_separable,
};

/// What becomes of large values in new files.
#[derive(Clone, Debug, Default)]
pub struct BlobPlan {
    /// Values of more bytes than this leave the rows; 0 lets all of them stay.
    pub larger_than: usize,
    /// Columns of the table, by position, that are known to have such.
    pub columns: Vec<usize>,
    /// What the rows refer to already.
    pub sources: Vec<Arc<BlobFile>>,
    /// Of those, the files to be given up, whose values are copied.
    pub moved: HashSet<FileId>,
}

impl BlobPlan {
    /// For rows without references.
    #[must_use]
    pub fn fresh(larger_than: usize) -> Self {
        // A head must be shorter than its value.
        let larger_than = if larger_than == 0 { 0 } else { larger_than.max(2 * HEAD_LEN) };
        Self { larger_than, ..Self::default() }
    }

    /// For the merge of these files, of which `moved` are to be given up.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn merge(
        larger_than: usize,
        table: &TableDef,
        inputs: &[Arc<TableFile>],
        moved: HashSet<FileId>,
    ) -> Result<Self> {
        let mut plan = Self { moved, ..Self::fresh(larger_than) };
        for file in inputs.iter().filter(|file| !file.blobs().is_empty()) {
            let reader = file.reader()?;
            let has_refs = |column: &usize| {
                reader.column_index(table.columns[*column].id).is_some_and(|i| reader.has_refs(i))
            };
            plan.add(&eligible(table).filter(has_refs).collect::<Vec<_>>());
            for blob in file.blobs() {
                if plan.sources.iter().all(|known| known.info().file != blob.info().file) {
                    plan.sources.push(Arc::clone(blob));
                }
            }
        }
        Ok(plan)
    }

    /// The same for rows of which these are some: their large columns are known before the first is written.
    pub fn expect<'a>(&mut self, table: &TableDef, rows: impl Iterator<Item = &'a RecordBatch>) {
        for rows in rows {
            let wanted = self.wanted(table, rows);
            self.add(&wanted);
        }
    }

    pub(super) fn add(&mut self, columns: &[usize]) {
        self.columns.extend(columns);
        self.columns.sort_unstable();
        self.columns.dedup();
    }

    /// Columns with a large value or a reference that are not known yet.
    fn wanted(&self, table: &TableDef, rows: &RecordBatch) -> Vec<usize> {
        let is_large = |column: &usize| {
            let long =
                || Large::new(rows.column(*column)).is_some_and(|all| all.any_longer(self.larger_than));
            refs_of(table, rows, *column).is_some() || (self.larger_than > 0 && long())
        };
        eligible(table).filter(|column| !self.columns.contains(column)).filter(is_large).collect()
    }
}

/// Columns whose values may leave the rows.
fn eligible(table: &TableDef) -> impl Iterator<Item = usize> + '_ {
    (0..table.columns.len()).filter(|column| {
        is_separable(table.columns[*column].field.data_type()) && !table.key_columns().contains(column)
    })
}

/// The references beside a column of rows that have such.
fn refs_of<'a>(table: &TableDef, rows: &'a RecordBatch, column: usize) -> Option<&'a ArrayRef> {
    let schema = rows.schema_ref();
    let held = table.columns.len()..schema.fields().len();
    let at = held.into_iter().find(|i| blob_owner(schema.field(*i)) == Some(table.columns[column].id));
    at.map(|at| rows.column(at))
}

/// The columns of references of these columns of a table, in their order.
pub(super) fn ref_fields<'a>(
    table: &'a TableDef,
    columns: &'a [usize],
) -> impl Iterator<Item = FieldRef> + 'a {
    columns.iter().map(|column| {
        let column = &table.columns[*column];
        blob_field(column.field.name(), column.id)
    })
}

/// What rows of the present SSTable need: values and bytes, of each blob file.
pub(super) type Uses = BTreeMap<FileId, (u64, u64)>;

/// Takes large values out of rows.
#[derive(Debug)]
pub(super) struct Separator {
    storage: Arc<dyn Storage>,
    database: DatabaseId,
    numbers: FileNumbers,
    table: Arc<TableDef>,
    /// Bytes at which a blob file is full.
    file_bytes: u64,
    pub(super) plan: BlobPlan,
    writer: Option<BlobWriter>,
    finished: Vec<BlobInfo>,
    uses: Uses,
    /// Bytes of values written since the caller asked.
    pub(super) written: u64,
    /// Blob files begun since the caller asked.
    pub(super) begun: Vec<FileId>,
}

impl Separator {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        database: DatabaseId,
        numbers: FileNumbers,
        table: Arc<TableDef>,
        file_bytes: u64,
    ) -> Self {
        let plan = BlobPlan::default();
        let (writer, finished, uses, begun, written) = (None, vec![], Uses::new(), vec![], 0);
        Self { storage, database, numbers, table, file_bytes, plan, writer, finished, uses, written, begun }
    }

    /// Columns of these rows that need references and have none in the present file.
    pub(super) fn missing(&self, rows: &RecordBatch) -> Vec<usize> {
        self.plan.wanted(&self.table, rows)
    }

    /// Columns of the files from here on.
    pub(super) fn file_schema(&self) -> SchemaRef {
        self.with_refs(&self.table.file_schema())
    }

    fn with_refs(&self, schema: &Schema) -> SchemaRef {
        let fields = schema.fields().iter().map(Arc::clone);
        Arc::new(Schema::new(fields.chain(ref_fields(&self.table, &self.plan.columns)).collect::<Vec<_>>()))
    }

    /// The rows as they are stored, and the bytes of their large values.
    pub(super) fn separate(&mut self, rows: &RecordBatch) -> Result<(RecordBatch, u64)> {
        let mut columns = rows.columns()[..self.table.columns.len()].to_vec();
        if self.plan.columns.is_empty() {
            return Ok((record_batch(&self.table.schema(), columns, rows.num_rows())?, 0));
        }
        let mut beside = 0;
        for column in self.plan.columns.clone() {
            let refs = refs_of(&self.table, rows, column).map(BlobRefs::new).transpose()?;
            let (values, refs) = self.column(&columns[column], refs.as_ref(), &mut beside)?;
            columns[column] = values;
            columns.push(refs);
        }
        let schema = self.with_refs(&self.table.schema());
        Ok((record_batch(&schema, columns, rows.num_rows())?, beside))
    }

    /// A column as it is stored, and its references.
    fn column(
        &mut self,
        values: &ArrayRef,
        refs: Option<&BlobRefs>,
        beside: &mut u64,
    ) -> Result<(ArrayRef, ArrayRef)> {
        let cells = Large::new(values)
            .ok_or_else(|| Error::Internal(format!("large values of type {}", values.data_type())))?;
        let (mut found, mut cuts) = (RefBuilder::default(), vec![false; values.len()]);
        for (row, is_cut) in cuts.iter_mut().enumerate() {
            let value = match (refs.and_then(|refs| refs.get(row)), cells.value(row)) {
                (Some(held), _) => Some(self.carried(held)?),
                (None, Some(value)) if self.is_large(value) => {
                    *is_cut = true;
                    Some(self.append(value)?)
                }
                _ => None,
            };
            if let Some(value) = value {
                let (count, bytes) = self.uses.entry(value.file).or_default();
                (*count, *bytes, *beside) = (*count + 1, *bytes + value.len, *beside + value.len);
            }
            found.push(value);
        }
        let heads = if cuts.contains(&true) { cut(values, &cuts)? } else { Arc::clone(values) };
        Ok((heads, found.finish()?))
    }

    fn is_large(&self, value: &[u8]) -> bool {
        self.plan.larger_than > 0 && value.len() > self.plan.larger_than
    }

    /// A value that has its place already: it stays, or is copied when its file is to be given up.
    fn carried(&mut self, held: BlobRef) -> Result<BlobRef> {
        if !self.plan.moved.contains(&held.file) {
            return Ok(held);
        }
        let source = self.plan.sources.iter().find(|source| source.info().file == held.file);
        let source = source.ok_or_else(|| Error::Internal(format!("blob file {} is not open", held.file)))?;
        let value = source.read_hashed(&held)?;
        self.append(&value)
    }

    fn append(&mut self, value: &[u8]) -> Result<BlobRef> {
        if self.writer.as_ref().is_some_and(|writer| writer.bytes_written() >= self.file_bytes) {
            self.end_blob()?;
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let (file, table) = (self.numbers.begin(), self.table.id);
                self.begun.push(file);
                let header = BlobHeader { database: self.database, file, table };
                self.writer.insert(BlobWriter::create(&*self.storage, header)?)
            }
        };
        self.written += value.len() as u64;
        writer.append(value)
    }

    /// What the rows since the last call need.
    pub(super) fn take_uses(&mut self) -> Uses {
        std::mem::take(&mut self.uses)
    }

    /// Leaves off; returns the files begun that the caller has not heard of.
    pub(super) fn abandon(&mut self) -> Vec<FileId> {
        self.writer = None;
        std::mem::take(&mut self.begun)
    }

    /// Makes what was written durable.
    pub(super) fn end_blob(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            self.finished.push(writer.finish()?);
        }
        Ok(())
    }

    /// What the manifest says of the blob files that rows need; once all are written.
    pub(super) fn described(&self, uses: &Uses) -> Result<Vec<BlobUse>> {
        let known = |file: FileId| {
            let old = self.plan.sources.iter().map(|source| source.info());
            old.chain(&self.finished).find(|info| info.file == file).copied()
        };
        let describe = |(&file, &(values, bytes)): (&FileId, &(u64, u64))| {
            let blob =
                known(file).ok_or_else(|| Error::Internal(format!("blob file {file} is not known")))?;
            Ok(BlobUse { blob, values, bytes })
        };
        uses.iter().map(describe).collect()
    }
}
