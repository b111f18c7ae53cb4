//! Python objects as tables of one query: the variables that `sql()` finds by name.
//!
//! Data that is in memory already becomes a MemTable over the same memory. Anything that may be longer
//! than memory, a reader or a duckdb relation, is streamed when the plan runs; our own queries join the
//! plan itself.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::error::{from_query, invalid};
use crate::ingest::{Source, source};
use crate::query::Query;

/// Batches that may wait between a Python stream and the plan.
const READ_AHEAD: usize = 2;
/// Rows of one slice of data in memory.
const SLICE_ROWS: usize = 65_536;
/// Attributes of objects that hold all their rows in memory.
const IN_MEMORY: [&str; 3] = ["nbytes", "estimated_size", "memory_usage"];

/// `object` as a table.
pub(crate) fn provider(object: &Bound<'_, PyAny>) -> PyResult<Arc<dyn TableProvider>> {
    if let Ok(query) = object.cast::<Query>() {
        return query.get().as_view();
    }
    for attribute in IN_MEMORY {
        if object.hasattr(attribute)? {
            return in_memory(source(object, None)?);
        }
    }
    streamed(object)
}

fn in_memory(data: Source) -> PyResult<Arc<dyn TableProvider>> {
    let batches = data.batches.collect::<PyResult<Vec<_>>>()?;
    let table = MemTable::try_new(data.schema, partitions(batches)).map_err(from_query)?;
    Ok(Arc::new(table))
}

/// Deals the rows out in slices, so that several cores scan them.
fn partitions(batches: Vec<RecordBatch>) -> Vec<Vec<RecordBatch>> {
    let batches: Vec<RecordBatch> = batches.iter().flat_map(slices).collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut parts = vec![Vec::new(); cores.min(batches.len()).max(1)];
    let count = parts.len();
    for (place, batch) in batches.into_iter().enumerate() {
        parts[place % count].push(batch);
    }
    parts
}

fn slices(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    (0..rows).step_by(SLICE_ROWS).map(move |start| batch.slice(start, SLICE_ROWS.min(rows - start)))
}

fn streamed(object: &Bound<'_, PyAny>) -> PyResult<Arc<dyn TableProvider>> {
    let first = source(object, None)?;
    let schema = first.schema.clone();
    table(PythonStream { object: Some(object.clone().unbind()), schema, first: Mutex::new(Some(first)) })
}

/// Rows that are on their way in, as a table that one plan may read once.
pub(crate) fn once(rows: Source) -> PyResult<Arc<dyn TableProvider>> {
    table(PythonStream { object: None, schema: rows.schema.clone(), first: Mutex::new(Some(rows)) })
}

fn table(stream: PythonStream) -> PyResult<Arc<dyn TableProvider>> {
    let table = StreamingTable::try_new(stream.schema.clone(), vec![Arc::new(stream)]).map_err(from_query)?;
    Ok(Arc::new(table))
}

/// A Python object that is asked for its rows each time the plan runs.
struct PythonStream {
    object: Option<Py<PyAny>>,
    schema: SchemaRef,
    /// The stream that was opened to learn the schema; the first run reads it.
    first: Mutex<Option<Source>>,
}

impl std::fmt::Debug for PythonStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PythonStream")
    }
}

impl PythonStream {
    fn open(&self) -> PyResult<Source> {
        if let Some(first) = self.first.lock().take() {
            return Ok(first);
        }
        match &self.object {
            Some(object) => Python::attach(|py| source(object.bind(py), None)),
            None => Err(invalid("these rows were read already and are gone")),
        }
    }
}

impl PartitionStream for PythonStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(self.schema.clone(), READ_AHEAD);
        let sender = stream.tx();
        let opened = self.open();
        stream.spawn_blocking(move || {
            for batch in opened.map_err(external)?.batches {
                if sender.blocking_send(batch.map_err(external)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        stream.build()
    }
}

fn external(error: PyErr) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
