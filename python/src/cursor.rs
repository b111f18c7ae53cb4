//! The Python iterator over a running query.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::arrow_batch::ArrowBatch;
use crate::running::Running;

/// Iterates over the batches of a query that runs meanwhile.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct Cursor(Mutex<Option<Arc<Running>>>);

impl Cursor {
    /// An iterator over a query that was started.
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
