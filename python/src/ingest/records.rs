//! Dicts, one per row, to batches.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{from_arrow, invalid};
use crate::values::{build, infer};

/// One batch of `records`; columns come in the order in which their names are first seen.
pub(super) fn batch(records: &[Bound<'_, PyAny>], target: Option<&SchemaRef>) -> PyResult<RecordBatch> {
    let dicts =
        records.iter().enumerate().map(|(row, record)| as_dict(row, record)).collect::<PyResult<Vec<_>>>()?;
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for name in names(&dicts)? {
        let values = values(&dicts, &name)?;
        let field = match target.and_then(|schema| schema.fields().find(&name)) {
            Some((_, field)) => field.as_ref().clone(),
            None => infer(&name, &values)?,
        };
        arrays.push(build(&field, &values)?);
        fields.push(field);
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(records.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(from_arrow)
}

fn values<'py>(dicts: &[&Bound<'py, PyDict>], name: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let one = |dict: &&Bound<'py, PyDict>| -> PyResult<Bound<'py, PyAny>> {
        Ok(dict.get_item(name)?.unwrap_or_else(|| dict.py().None().into_bound(dict.py())))
    };
    dicts.iter().map(one).collect()
}

fn as_dict<'a, 'py>(row: usize, record: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyDict>> {
    record.cast::<PyDict>().map_err(|_| {
        let kind = record.get_type().name().map_or_else(|_| "value".into(), |name| name.to_string());
        invalid(format!("row {row} is a {kind}; rows are dicts of column name to value"))
    })
}

fn names(dicts: &[&Bound<'_, PyDict>]) -> PyResult<Vec<String>> {
    let mut seen = std::collections::HashSet::new();
    let mut names = Vec::new();
    for dict in dicts {
        for key in dict.keys() {
            let name: String =
                key.extract().map_err(|_| invalid(format!("column names are text, not {key}")))?;
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
    }
    Ok(names)
}
