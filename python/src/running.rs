//! A running query, read batch by batch.
//!
//! The query runs as a task on the runtime, a few batches ahead of its reader; dropping the reader stops
//! it. The end is said, never guessed: a task that ends without saying so is an error, not a short result.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use futures::StreamExt;
use pyo3::prelude::*;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::AbortHandle;
use trilith::{Answer, Database};

use crate::error::{from_arrow, from_database, from_engine, from_query};
use crate::wait::wait;

/// Batches that may wait between the query and its reader.
const READ_AHEAD: usize = 2;

/// A batch, an error, or the end.
type Message = Option<PyResult<RecordBatch>>;

/// A query that has been started.
pub(crate) struct Running {
    database: Database,
    schema: SchemaRef,
    inbox: Arc<Mutex<Inbox>>,
    task: AbortHandle,
}

struct Inbox {
    receiver: Receiver<Message>,
    ended: bool,
}

impl Running {
    /// Starts `answer` on the database's runtime.
    pub(crate) fn start(database: &Database, answer: Answer) -> PyResult<Self> {
        let schema = answer.schema();
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let runtime = database.runtime().map_err(from_database)?;
        let task = runtime.spawn(produce(answer, schema.clone(), sender)).abort_handle();
        let inbox = Arc::new(Mutex::new(Inbox { receiver, ended: false }));
        Ok(Self { database: database.clone(), schema, inbox, task })
    }

    /// The next batch, or `None` at the end.
    pub(crate) fn next_batch(&self, py: Python<'_>) -> PyResult<Option<RecordBatch>> {
        let inbox = self.inbox.clone();
        wait(py, &self.database, async move { inbox.lock().await.next().await })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inbox {
    async fn next(&mut self) -> PyResult<Option<RecordBatch>> {
        if self.ended {
            return Ok(None);
        }
        let message = self.receiver.recv().await;
        self.ended = !matches!(message, Some(Some(Ok(_))));
        match message {
            Some(message) => message.transpose(),
            None => Err(from_engine(trilith::engine::Error::Internal("a running query ended early".into()))),
        }
    }
}

async fn produce(answer: Answer, schema: SchemaRef, sender: Sender<Message>) {
    let mut stream = match answer.stream().await {
        Ok(stream) => stream,
        Err(error) => return drop(sender.send(Some(Err(from_database(error)))).await),
    };
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(from_query).and_then(|batch| labelled(batch, &schema));
        let failed = batch.is_err();
        if sender.send(Some(batch)).await.is_err() || failed {
            return;
        }
    }
    let _reader_gone = sender.send(None).await;
}

/// `batch` under the schema that the query announced; plans may differ from it in metadata.
pub(crate) fn labelled(batch: RecordBatch, schema: &SchemaRef) -> PyResult<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options).map_err(from_arrow)
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
