//! Reading some of a scan's columns from one of its units: for nodes that take a scan's place.
//!
//! Not for scans with the hidden key, which no such node needs.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use trilith_engine::index::CodedRows;
use trilith_engine::{Derivation, FreshRows, IndexDef, TableName};

use super::plan::{ScanPlan, Unit};
use crate::error::external;

impl ScanPlan {
    /// The table.
    pub(crate) fn table(&self) -> &TableName {
        &self.view.def().name
    }

    /// The index of one of the columns that a statement named.
    pub(crate) fn index(&self, output: usize) -> Option<&IndexDef> {
        let column = *self.table_columns(&[output]).first()?;
        let table = self.view.def();
        table.index_of(table.columns.get(column)?.id)
    }

    /// Whether searches over this measure their recall.
    pub(crate) fn measures_recall(&self) -> bool {
        self.measures_recall
    }

    /// The columns of the scan.
    pub(crate) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.columns.schema)
    }

    /// What is to be read, in scan order.
    pub(crate) fn units(&self) -> impl Iterator<Item = Unit> + '_ {
        self.partitions.iter().flatten().copied()
    }

    /// What one partition reads, in scan order.
    pub(crate) fn units_of(&self, partition: usize) -> &[Unit] {
        self.partitions.get(partition).map_or(&[], Vec::as_slice)
    }

    /// Rows of what is read, by one partition or all, dead ones included.
    pub(crate) fn rows_planned(&self, partition: Option<usize>) -> usize {
        let partitions = self.partitions.iter().enumerate();
        let read = partitions.filter(|(at, _)| partition.is_none_or(|wanted| wanted == *at));
        read.flat_map(|(_, units)| units).map(|unit| self.parts[unit.part].batch_rows(unit.batch)).sum()
    }

    /// How many tasks share the reading.
    pub(crate) fn partitions_len(&self) -> usize {
        self.partitions.len()
    }

    /// Batches of the table before pruning.
    pub(crate) fn batches_total(&self) -> usize {
        self.batches_total
    }

    /// Whether the columns include the hidden key.
    pub(crate) fn has_row_id(&self) -> bool {
        self.columns.row_id
    }

    /// The live rows of a unit, with the columns of the scan at `outputs`, in that order.
    pub(crate) fn read_live(&self, unit: Unit, outputs: &[usize]) -> Result<RecordBatch> {
        let columns = self.table_columns(outputs);
        self.parts[unit.part].read(unit.batch, &columns, false).map_err(external)
    }

    /// All rows of a unit, and which of them are live; all when `None`.
    pub(crate) fn read_unmasked(
        &self,
        unit: Unit,
        outputs: &[usize],
    ) -> Result<(RecordBatch, Option<BooleanArray>)> {
        let columns = self.table_columns(outputs);
        self.parts[unit.part].read_unmasked(unit.batch, &columns).map_err(external)
    }

    /// Which rows of a unit are live; all when `None`.
    pub(crate) fn live(&self, unit: Unit) -> Option<BooleanArray> {
        self.parts[unit.part].live(unit.batch)
    }

    /// The codes of a unit's vectors in one of the columns; `None` when it has none.
    pub(crate) fn codes(&self, unit: Unit, output: usize) -> Result<Option<CodedRows>> {
        let columns = self.table_columns(&[output]);
        columns
            .first()
            .map_or(Ok(None), |column| self.parts[unit.part].codes(unit.batch, *column).map_err(external))
    }

    /// Parts of the table: files and memtables.
    pub(crate) fn parts_len(&self) -> usize {
        self.parts.len()
    }

    /// The part that a unit belongs to, and which of the part's rows it holds.
    pub(crate) fn place(&self, unit: Unit) -> (usize, Range<u64>) {
        let part = &self.parts[unit.part];
        let first = part.first_row(unit.batch);
        (unit.part, first..first + part.batch_rows(unit.batch) as u64)
    }

    /// What is made of a column of a part that is a file; `None` for a memtable.
    pub(crate) fn derived<D: Derivation>(
        &self,
        part: usize,
        output: usize,
        how: &D,
    ) -> Result<Option<Arc<D::Opened>>> {
        let column = self.columns.table[output];
        self.parts[part].derived(column, how).map_err(external)
    }

    /// A column of a part that is a memtable, with the rows that do not count; `None` for a file.
    pub(crate) fn fresh(&self, part: usize, output: usize) -> Option<FreshRows> {
        self.parts[part].fresh(self.columns.table[output])
    }

    /// The table's columns that outputs are; none of them the hidden key.
    fn table_columns(&self, outputs: &[usize]) -> Vec<usize> {
        outputs.iter().filter_map(|output| self.columns.table.get(*output).copied()).collect()
    }
}
