//! A dict of columns to one batch.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::column::column;
use crate::error::{from_arrow, invalid};

/// One batch of the columns in `columns`; all must be equally long.
pub(super) fn batch(columns: &Bound<'_, PyDict>, target: Option<&SchemaRef>) -> PyResult<RecordBatch> {
    if columns.is_empty() {
        return Err(invalid("the data has no columns"));
    }
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for (name, values) in columns {
        let name: String =
            name.extract().map_err(|_| invalid(format!("column names are text, not {name}")))?;
        let known = target.and_then(|schema| schema.fields().find(&name).map(|(_, field)| field));
        let (field, array) = column(&name, &values, known)?;
        if let Some(first) = arrays.first().map(|first: &arrow::array::ArrayRef| first.len())
            && first != array.len()
        {
            return Err(invalid(format!(
                "column {name:?} has {} rows where the columns before it have {first}",
                array.len()
            )));
        }
        fields.push(field);
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(from_arrow)
}
