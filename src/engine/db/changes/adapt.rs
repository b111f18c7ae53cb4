//! Rows of a table as it was, in the columns that it has now.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{Schema, SchemaRef};

use crate::common::Result;
use crate::format::table::{ColumnDef, TableDef, record_batch};
use crate::lsm::{State, TableState};

/// The columns that all changes have. Each may be null: an older row need not have had it.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    def: Arc<TableDef>,
    schema: SchemaRef,
}

impl Shape {
    pub(super) fn of(def: &Arc<TableDef>) -> Self {
        let fields = def.columns.iter().map(|column| column.field.as_ref().clone().with_nullable(true));
        Self { def: Arc::clone(def), schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())) }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The table as an earlier version has it: by its identity, or, before it was created again, by its name.
    pub(super) fn table_in(&self, state: &State) -> Option<Arc<TableState>> {
        let found = state.table_by_id(self.def.id).or_else(|| state.tables.get(&self.def.name));
        found.map(Arc::clone)
    }

    /// The rows, which have the columns of `from`. Columns of one table are known by their ids, those of a table that
    /// was there before it by their names.
    pub(super) fn adapt(&self, rows: &RecordBatch, from: &TableDef) -> Result<RecordBatch> {
        let is_same = |a: &ColumnDef, b: &ColumnDef| match self.def.id == from.id {
            true => a.id == b.id,
            false => a.field.name() == b.field.name() && a.field.data_type() == b.field.data_type(),
        };
        let column = |wanted: &ColumnDef| match from.columns.iter().position(|had| is_same(had, wanted)) {
            Some(at) => Ok(Arc::clone(rows.column(at))),
            None => missing(wanted, rows.num_rows()),
        };
        let columns = self.def.columns.iter().map(column).collect::<Result<Vec<ArrayRef>>>()?;
        record_batch(&self.schema, columns, rows.num_rows())
    }
}

/// What rows hold that were written before the column was there.
fn missing(column: &ColumnDef, rows: usize) -> Result<ArrayRef> {
    Ok(match &column.fill {
        Some(value) => take(value, &UInt32Array::from(vec![0; rows]), None)?,
        None => new_null_array(column.field.data_type(), rows),
    })
}
