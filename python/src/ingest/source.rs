//! Any Python object that holds rows, as one stream of batches.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use pyo3_arrow::{PyRecordBatch, PyRecordBatchReader};

use super::{columns, conform, iterator, owned, records};
use crate::error::{from_arrow, invalid};
use crate::query::Query;

/// Batches that may fail to come.
pub(super) type Batches = Box<dyn Iterator<Item = PyResult<RecordBatch>> + Send>;

/// Rows that are on their way in.
pub(crate) struct Source {
    /// Schema of every batch.
    pub(crate) schema: SchemaRef,
    /// The rows. Reading may run Python code or a query; call it with the GIL released.
    pub(crate) batches: Batches,
    /// Number of rows, when it is known before reading.
    pub(crate) rows: Option<u64>,
}

impl Source {
    /// A source of one batch.
    pub(super) fn one(batch: RecordBatch) -> Self {
        let rows = Some(batch.num_rows() as u64);
        Self { schema: batch.schema(), batches: Box::new(std::iter::once(Ok(batch))), rows }
    }
}

/// Opens `data` for reading; values without a type of their own take that of the column in `target`.
pub(crate) fn source(data: &Bound<'_, PyAny>, target: Option<&SchemaRef>) -> PyResult<Source> {
    if let Ok(query) = data.cast::<Query>() {
        return Ok(from_reader(Box::new(query.get().start()?)));
    }
    if data.hasattr("__arrow_c_stream__")? {
        return from_stream(data);
    }
    if data.hasattr("__arrow_c_array__")? {
        return Ok(Source::one(one_batch(data)?));
    }
    if let Ok(dict) = data.cast::<PyDict>() {
        return Ok(Source::one(owned(&columns::batch(dict, target)?)?));
    }
    if data.is_instance_of::<PyList>() || data.is_instance_of::<PyTuple>() {
        return from_items(&data.extract::<Vec<Bound<'_, PyAny>>>()?, target);
    }
    if data.hasattr("__next__")? {
        return iterator::read(data.try_iter()?, target);
    }
    if data.hasattr("collect")? && data.hasattr("lazy")? {
        return source(&data.call_method0("collect")?, target);
    }
    let kind = data.get_type().fully_qualified_name()?;
    Err(invalid(format!(
        "data of type {kind} holds no rows; pass Arrow data (pyarrow, polars, pandas, duckdb), \
         a list of dicts, a dict of columns, or an iterator of these"
    )))
}

fn from_stream(data: &Bound<'_, PyAny>) -> PyResult<Source> {
    let rows = match data.hasattr("num_rows")? {
        true => data.getattr("num_rows")?.extract().ok(),
        false => None,
    };
    let module: String = data.get_type().getattr("__module__")?.extract().unwrap_or_default();
    let reader = data.extract::<PyRecordBatchReader>().map_err(|why| not_rows(data, &why))?.into_reader()?;
    match module.starts_with("pandas") {
        true => from_pandas(reader),
        false => Ok(from_reader(reader)),
    }
    .map(|source| Source { rows, ..source })
}

/// A frame without the columns that pandas adds for an index that has no name, in memory of its own.
fn from_pandas(reader: Box<dyn RecordBatchReader + Send>) -> PyResult<Source> {
    let schema = reader.schema();
    let named = |place: &usize| !schema.field(*place).name().starts_with("__index_level_");
    let kept: Vec<usize> = (0..schema.fields().len()).filter(named).collect();
    let schema = Arc::new(schema.project(&kept).map_err(from_arrow)?);
    let batches =
        reader.map(move |batch| owned(&batch.and_then(|batch| batch.project(&kept)).map_err(from_arrow)?));
    Ok(Source { schema, batches: Box::new(batches), rows: None })
}

fn one_batch(data: &Bound<'_, PyAny>) -> PyResult<RecordBatch> {
    data.extract::<PyRecordBatch>().map(PyRecordBatch::into_inner).map_err(|why| not_rows(data, &why))
}

fn not_rows(data: &Bound<'_, PyAny>, why: &PyErr) -> PyErr {
    let kind = data.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string());
    let why = why.value(data.py()).to_string();
    invalid(format!(
        "a {kind} is not a table of rows ({why}); name the column with a dict: {{\"name\": data}}"
    ))
}

fn from_reader(reader: Box<dyn RecordBatchReader + Send>) -> Source {
    let schema = reader.schema();
    Source { schema, batches: Box::new(reader.map(|batch| batch.map_err(from_arrow))), rows: None }
}

/// A list: of dicts, or of tables one after the other.
pub(super) fn from_items(items: &[Bound<'_, PyAny>], target: Option<&SchemaRef>) -> PyResult<Source> {
    let Some(first) = items.first() else {
        let schema = target.ok_or_else(|| invalid("an empty list has no columns; pass a schema instead"))?;
        return Ok(Source::one(RecordBatch::new_empty(schema.clone())));
    };
    if first.is_instance_of::<PyDict>() || !speaks_arrow(first)? {
        return Ok(Source::one(records::batch(items, target)?));
    }
    let first = source(first, target)?;
    let schema = first.schema.clone();
    let rest = items[1..].iter().map(|item| source(item, Some(&schema))).collect::<PyResult<Vec<_>>>()?;
    let rows = rest.iter().fold(first.rows, |sum, part| Some(sum? + part.rows?));
    let wanted = schema.clone();
    let parts = std::iter::once(first).chain(rest).flat_map(|part| part.batches);
    let batches = parts.map(move |batch| conform(&batch?, &wanted));
    Ok(Source { schema, batches: Box::new(batches), rows })
}

/// True for tables, batches and arrays of any Arrow library.
pub(super) fn speaks_arrow(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(object.hasattr("__arrow_c_array__")? || object.hasattr("__arrow_c_stream__")?)
}
