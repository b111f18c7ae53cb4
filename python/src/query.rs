//! A lazy query: a DataFusion plan over one snapshot, which runs each time its result is asked for.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::ffi::to_schema_pycapsule;
use trilith::{Answer, Database};

use crate::arrow_batches::ArrowBatches;
use crate::arrow_schema::ArrowSchema;
use crate::cursor::Cursor;
use crate::error::{from_arrow, from_database, from_query};
use crate::exported::{export_stream, exported_schema};
use crate::preview::{Preview, preview};
use crate::progress::Progress;
use crate::running::{Running, labelled};
use crate::wait::{begin_and, wait, wait_and};

/// A query that has been planned and not yet run.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct Query {
    database: Database,
    answer: Answer,
}

impl Query {
    /// A query over `database`.
    pub(crate) fn new(database: Database, answer: impl Into<Answer>) -> Self {
        Self { database, answer: answer.into() }
    }

    /// The query as a table of another query.
    pub(crate) fn as_view(&self) -> PyResult<Arc<dyn TableProvider>> {
        self.answer.view().map_err(from_database)
    }

    /// Starts the query for a reader in Rust.
    pub(crate) fn start(&self) -> PyResult<Running> {
        Running::start(&self.database, self.answer.clone())
    }

    fn frame(&self) -> PyResult<DataFrame> {
        self.answer.frame().map_err(from_database)
    }
}

#[pymethods]
impl Query {
    /// Names and types of the result's columns. Runs nothing.
    #[getter]
    fn schema(&self) -> ArrowSchema {
        ArrowSchema(exported_schema(&self.answer.schema()))
    }

    /// Runs the query and keeps the whole result in memory.
    #[pyo3(signature = (progress=None))]
    fn collect(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<ArrowBatches> {
        let answer = self.answer.clone();
        let schema = answer.schema();
        let target = schema.clone();
        let mut progress = Progress::new(progress, None);
        let work = async move {
            let batches = answer.collect().await.map_err(from_database)?;
            batches.into_iter().map(|batch| labelled(batch, &target)).collect::<PyResult<Vec<_>>>()
        };
        let waited = |py: Python<'_>| progress.waited(py);
        let batches = match self.answer.is_found() {
            true => begin_and(py, &self.database, work, waited)?,
            false => wait_and(py, &self.database, work, waited)?,
        };
        let result = ArrowBatches { schema, batches };
        progress.advance(py, result.num_rows() as u64)?;
        progress.finish(py)?;
        Ok(result)
    }

    /// Starts the query and returns an iterator over its batches.
    fn cursor(&self) -> PyResult<Cursor> {
        Ok(Cursor::new(self.start()?))
    }

    /// The first `rows` rows as text cells.
    fn preview(&self, py: Python<'_>, rows: usize) -> PyResult<Preview> {
        let frame = self.frame()?.limit(0, Some(rows + 1)).map_err(from_query)?;
        let schema = frame.schema().as_arrow().clone();
        let batches = wait(py, &self.database, async move { frame.collect().await.map_err(from_query) })?;
        preview(&schema, &batches, rows).map_err(from_arrow)
    }

    /// Number of rows of the result.
    fn count(&self, py: Python<'_>) -> PyResult<usize> {
        let frame = self.frame()?;
        wait(py, &self.database, async move { frame.count().await.map_err(from_query) })
    }

    /// The plan as text; with `analyze` the query runs and the plan carries its measurements.
    fn explain(&self, py: Python<'_>, analyze: bool) -> PyResult<ArrowBatches> {
        let frame = self.frame()?.explain(false, analyze).map_err(from_query)?;
        Self::new(self.database.clone(), frame).collect(py, None)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, exported_schema(&self.answer.schema()).as_ref())?)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        export_stream(py, Box::new(self.start()?), requested_schema)
    }
}
