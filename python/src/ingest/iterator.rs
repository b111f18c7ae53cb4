//! A Python iterator of rows or of tables, read as its rows are needed: it may be longer than memory.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList};

use super::source::{Batches, Source, from_items, source, speaks_arrow};
use super::{conform, records};

/// Dicts gathered into one batch.
const GROUP_ROWS: usize = 8192;

/// The rows of `items`: dicts of one row each, or tables. The first ones give the schema.
pub(super) fn read(mut items: Bound<'_, PyIterator>, target: Option<&SchemaRef>) -> PyResult<Source> {
    let Some(first) = items.next() else {
        return from_items(&[], target);
    };
    let first = first?;
    if first.is_instance_of::<PyDict>() && !is_columns(first.cast::<PyDict>()?)? {
        return rows(first, items, target);
    }
    let first = source(&first, target)?;
    let schema = first.schema.clone();
    let rest = Tables { items: items.unbind(), schema: schema.clone() };
    let wanted = schema.clone();
    let batches = first.batches.chain(rest.flat_map(flatten)).map(move |batch| conform(&batch?, &wanted));
    Ok(Source { schema, batches: Box::new(batches), rows: None })
}

/// A dict of whole columns, as opposed to one row: every value is an array or a list.
fn is_columns(dict: &Bound<'_, PyDict>) -> PyResult<bool> {
    for value in dict.values() {
        if !(value.is_instance_of::<PyList>() || value.hasattr("dtype")? || speaks_arrow(&value)?) {
            return Ok(false);
        }
    }
    Ok(!dict.is_empty())
}

fn rows<'py>(
    first: Bound<'py, PyAny>,
    items: Bound<'py, PyIterator>,
    target: Option<&SchemaRef>,
) -> PyResult<Source> {
    let head: Vec<_> =
        std::iter::once(Ok(first)).chain(items.clone()).take(GROUP_ROWS).collect::<PyResult<_>>()?;
    let head = records::batch(&head, target)?;
    let schema = head.schema();
    let wanted = schema.clone();
    let items = items.unbind();
    let rest = std::iter::from_fn(move || Python::attach(|py| group(items.bind(py), &wanted)));
    Ok(Source { schema, batches: Box::new(std::iter::once(Ok(head)).chain(rest)), rows: None })
}

fn group(items: &Bound<'_, PyIterator>, schema: &SchemaRef) -> Option<PyResult<RecordBatch>> {
    let rows: PyResult<Vec<_>> = items.clone().take(GROUP_ROWS).collect();
    match rows {
        Ok(rows) if rows.is_empty() => None,
        Ok(rows) => Some(records::batch(&rows, Some(schema)).and_then(|batch| conform(&batch, schema))),
        Err(error) => Some(Err(error)),
    }
}

/// The tables of a Python iterator.
struct Tables {
    items: Py<PyIterator>,
    schema: SchemaRef,
}

impl Iterator for Tables {
    type Item = PyResult<Source>;

    fn next(&mut self) -> Option<Self::Item> {
        Python::attach(|py| {
            let item = self.items.bind(py).clone().next()?;
            Some(item.and_then(|item| source(&item, Some(&self.schema))))
        })
    }
}

fn flatten(part: PyResult<Source>) -> Batches {
    match part {
        Ok(part) => part.batches,
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}
