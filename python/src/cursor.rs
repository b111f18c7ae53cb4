//! A running query, read batch by batch.
//!
//! The query runs as a task on the runtime, a few batches ahead of its reader; dropping the cursor stops
//! it. The same object serves Python iteration and, as a `RecordBatchReader`, the Arrow C stream, through
//! which an error, Ctrl-C too, can only travel as text.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchReader, StructArray};
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;
use datafusion::dataframe::DataFrame;
use futures::StreamExt;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::ffi::{ArrayIterator, to_stream_pycapsule};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::AbortHandle;
use trilith::Database;

use crate::arrow_batch::ArrowBatch;
use crate::error::{from_database, from_query};
use crate::values::exported;
use crate::wait::wait;

/// Batches that may wait between the query and its reader.
const READ_AHEAD: usize = 2;

/// A query that has been started.
pub(crate) struct Running {
    database: Database,
    schema: SchemaRef,
    receiver: Arc<tokio::sync::Mutex<Receiver<PyResult<RecordBatch>>>>,
    task: AbortHandle,
}

impl Running {
    /// Starts `frame` on the database's runtime.
    pub(crate) fn start(database: &Database, frame: DataFrame) -> PyResult<Self> {
        let schema = exported::schema(frame.schema().as_arrow());
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let runtime = database.runtime().map_err(from_database)?;
        let task = runtime.spawn(produce(frame, schema.clone(), sender)).abort_handle();
        Ok(Self { database: database.clone(), schema, receiver: Arc::new(tokio::sync::Mutex::new(receiver)), task })
    }

    /// The next batch, or `None` at the end.
    pub(crate) fn next_batch(&self, py: Python<'_>) -> PyResult<Option<RecordBatch>> {
        let receiver = self.receiver.clone();
        wait(py, &self.database, async move { receiver.lock().await.recv().await.transpose() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn produce(frame: DataFrame, schema: SchemaRef, sender: Sender<PyResult<RecordBatch>>) {
    let mut stream = match frame.execute_stream().await {
        Ok(stream) => stream,
        Err(error) => return drop(sender.send(Err(from_query(error))).await),
    };
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(from_query).and_then(|batch| exported::batch(&batch, &schema));
        let failed = batch.is_err();
        if sender.send(batch).await.is_err() || failed {
            return;
        }
    }
}

impl Iterator for Running {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        Python::attach(|py| match self.next_batch(py) {
            Ok(batch) => batch.map(Ok),
            Err(error) => Some(Err(ArrowError::ExternalError(Box::new(error)))),
        })
    }
}

impl RecordBatchReader for Running {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// The Arrow C stream of `reader`.
pub(crate) fn export_stream<'py>(
    py: Python<'py>,
    reader: Box<dyn RecordBatchReader + Send>,
    requested_schema: Option<Bound<'py, PyCapsule>>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = reader.schema();
    let field =
        Field::new_struct("", schema.fields().clone(), false).with_metadata(schema.metadata().clone());
    let arrays = reader.map(|batch| Ok(Arc::new(StructArray::from(batch?)) as ArrayRef));
    let arrays = Box::new(ArrayIterator::new(arrays, field.into()));
    Ok(to_stream_pycapsule(py, arrays, requested_schema)?)
}

/// Iterates over the batches of a query that runs meanwhile.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct Cursor(Mutex<Option<Arc<Running>>>);

impl Cursor {
    pub(crate) fn new(running: Running) -> Self {
        Self(Mutex::new(Some(Arc::new(running))))
    }
}

#[pymethods]
impl Cursor {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<ArrowBatch>> {
        let running = self.0.lock().clone();
        let Some(running) = running else { return Ok(None) };
        Ok(running.next_batch(py)?.map(ArrowBatch))
    }

    /// Stops the query; iteration ends.
    fn close(&self) {
        self.0.lock().take();
    }
}
