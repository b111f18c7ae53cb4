//! Reports of long work to a Python callable: `(rows_done, rows_total or None, seconds)`.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// Least time between two reports.
const INTERVAL: Duration = Duration::from_millis(100);

/// Calls a Python callable now and then. Without one, does nothing.
pub(crate) struct Progress {
    callback: Option<Py<PyAny>>,
    total: Option<u64>,
    rows: u64,
    started: Instant,
    reported: Instant,
}

impl Progress {
    /// Reports of work on `total` rows, when that is known.
    pub(crate) fn new(callback: Option<Py<PyAny>>, total: Option<u64>) -> Self {
        let now = Instant::now();
        Self { callback, total, rows: 0, started: now, reported: now }
    }

    /// Counts `rows` as done and reports when it is time.
    pub(crate) fn advance(&mut self, py: Python<'_>, rows: u64) -> PyResult<()> {
        self.rows += rows;
        self.waited(py)
    }

    /// Reports when it is time.
    pub(crate) fn waited(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.callback.is_none() || self.reported.elapsed() < INTERVAL {
            return Ok(());
        }
        self.reported = Instant::now();
        self.report(py)
    }

    /// Reports the end, whenever it was.
    pub(crate) fn finish(mut self, py: Python<'_>) -> PyResult<()> {
        self.total = Some(self.rows);
        self.report(py)
    }

    fn report(&self, py: Python<'_>) -> PyResult<()> {
        let Some(callback) = &self.callback else { return Ok(()) };
        let seconds = self.started.elapsed().as_secs_f64();
        callback.call1(py, (self.rows, self.total, seconds)).map(drop)
    }
}
