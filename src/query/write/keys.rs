//! Key columns of rows on their way into a table: which keys are new, which stood there before.
//!
//! Works on the rows' values as the table stores them; knows the snapshot, not the write.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::error::Result;
use trilith_engine::{Error as EngineError, TableDef, TableView};

use crate::error::external;

/// Keys met so far in one statement.
pub(super) struct KeySet {
    converter: RowConverter,
    seen: HashSet<OwnedRow>,
}

impl KeySet {
    pub(super) fn new(def: &TableDef) -> Result<Self> {
        let schema = def.schema();
        let fields =
            def.key_columns().iter().map(|&i| SortField::new(schema.field(i).data_type().clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)?, seen: HashSet::new() })
    }

    /// Adds keys; for each, whether it was new.
    pub(super) fn insert(&mut self, keys: &[ArrayRef]) -> Result<Vec<bool>> {
        let rows = self.converter.convert_columns(keys)?;
        Ok(rows.iter().map(|row| self.seen.insert(row.owned())).collect())
    }

    /// For each key, whether it has been added.
    pub(super) fn contains(&self, keys: &[ArrayRef]) -> Result<Vec<bool>> {
        let rows = self.converter.convert_columns(keys)?;
        Ok(rows.iter().map(|row| self.seen.contains(&row.owned())).collect())
    }
}

/// For each key, whether the table held it.
pub(super) fn present(view: &TableView, keys: &[ArrayRef]) -> Result<Vec<bool>> {
    if keys.first().is_none_or(|column| column.is_empty()) {
        return Ok(vec![]);
    }
    let (_, found) = view.get_many(keys, Some(&[])).map_err(external)?;
    Ok(found.iter().map(Option::is_some).collect())
}

/// The rows of `batch` that `keep` marks.
pub(super) fn filter(batch: &RecordBatch, keep: Vec<bool>) -> Result<RecordBatch> {
    Ok(filter_record_batch(batch, &BooleanArray::from(keep))?)
}

/// The key columns of `batch` as a batch of their own.
pub(super) fn key_batch(def: &TableDef, batch: &RecordBatch) -> Result<RecordBatch> {
    Ok(batch.project(def.key_columns())?)
}

/// The error for a key that a moved row would take from another row.
pub(super) fn taken(def: &Arc<TableDef>, key: &RecordBatch, row: usize) -> Result<EngineError> {
    let values = key
        .columns()
        .iter()
        .map(|column| datafusion::arrow::util::display::array_value_to_string(column, row))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(EngineError::AlreadyExists {
        entity: format!("key in table {:?}", def.name.to_string()),
        name: format!("({})", values.join(", ")),
    })
}
