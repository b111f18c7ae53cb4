//! Reading some of a scan's columns from one of its units: for nodes that take a scan's place.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use trilith_engine::TableName;

use super::plan::{ScanPlan, Unit};
use crate::error::external;

impl ScanPlan {
    /// The table.
    pub(crate) fn table(&self) -> &TableName {
        &self.view.def().name
    }

    /// The columns of the scan.
    pub(crate) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.columns.schema)
    }

    /// What is to be read, in scan order.
    pub(crate) fn units(&self) -> impl Iterator<Item = Unit> + '_ {
        self.partitions.iter().flatten().copied()
    }

    /// How many tasks share the reading.
    pub(crate) fn partitions_len(&self) -> usize {
        self.partitions.len()
    }

    /// Batches of the table before pruning.
    pub(crate) fn batches_total(&self) -> usize {
        self.batches_total
    }

    /// The live rows of a unit, with the columns of the scan at `outputs`, in that order. The rows of
    /// two reads of one unit are the same.
    pub(crate) fn read_outputs(&self, unit: Unit, outputs: &[usize]) -> Result<RecordBatch> {
        let columns = &self.columns;
        let place = |output: &usize| columns.order.as_ref().map_or(*output, |order| order[*output]);
        let places: Vec<usize> = outputs.iter().map(place).collect();
        let hidden = columns.table.len();
        let row_id = places.contains(&hidden);
        let table: Vec<usize> =
            places.iter().filter(|place| **place != hidden).map(|place| columns.table[*place]).collect();
        let batch = self.parts[unit.part].read(unit.batch, &table, row_id).map_err(external)?;
        if !row_id {
            return Ok(batch);
        }
        let mut next = 0;
        let order: Vec<usize> = places
            .iter()
            .map(|place| {
                next += usize::from(*place != hidden);
                if *place == hidden { table.len() } else { next - 1 }
            })
            .collect();
        Ok(batch.project(&order)?)
    }
}
