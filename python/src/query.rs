//! A lazy query: a DataFusion plan over one snapshot, which runs each time its result is asked for.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::ffi::to_schema_pycapsule;
use trilith::Database;

use crate::arrow_batches::ArrowBatches;
use crate::arrow_schema::ArrowSchema;
use crate::cursor::Cursor;
use crate::error::{from_arrow, from_query};
use crate::exported::{export_stream, exported_schema};
use crate::preview::{Preview, preview};
use crate::progress::Progress;
use crate::running::{Running, labelled};
use crate::wait::{wait, wait_and};

/// A query that has been planned and not yet run.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct Query {
    database: Database,
    frame: DataFrame,
}

impl Query {
    /// A query over `database`.
    pub(crate) fn new(database: Database, frame: DataFrame) -> Self {
        Self { database, frame }
    }

    /// The query as a table of another query.
    pub(crate) fn as_view(&self) -> Arc<dyn TableProvider> {
        self.frame.clone().into_view()
    }

    /// Starts the query for a reader in Rust.
    pub(crate) fn start(&self) -> PyResult<Running> {
        Running::start(&self.database, self.frame.clone())
    }
}

#[pymethods]
impl Query {
    /// Names and types of the result's columns. Runs nothing.
    #[getter]
    fn schema(&self) -> ArrowSchema {
        ArrowSchema(exported_schema(self.frame.schema().as_arrow()))
    }

    /// Runs the query and keeps the whole result in memory.
    #[pyo3(signature = (progress=None))]
    fn collect(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<ArrowBatches> {
        let frame = self.frame.clone();
        let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
        let target = schema.clone();
        let mut progress = Progress::new(progress, None);
        let work = async move {
            let batches = frame.collect().await.map_err(from_query)?;
            batches.into_iter().map(|batch| labelled(batch, &target)).collect::<PyResult<Vec<_>>>()
        };
        let batches = wait_and(py, &self.database, work, |py| progress.waited(py))?;
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
        let frame = self.frame.clone().limit(0, Some(rows + 1)).map_err(from_query)?;
        let schema = frame.schema().as_arrow().clone();
        let batches = wait(py, &self.database, async move { frame.collect().await.map_err(from_query) })?;
        preview(&schema, &batches, rows).map_err(from_arrow)
    }

    /// Number of rows of the result.
    fn count(&self, py: Python<'_>) -> PyResult<usize> {
        let frame = self.frame.clone();
        wait(py, &self.database, async move { frame.count().await.map_err(from_query) })
    }

    /// The plan as text; with `analyze` the query runs and the plan carries its measurements.
    fn explain(&self, py: Python<'_>, analyze: bool) -> PyResult<ArrowBatches> {
        let frame = self.frame.clone().explain(false, analyze).map_err(from_query)?;
        Self::new(self.database.clone(), frame).collect(py, None)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, exported_schema(self.frame.schema().as_arrow()).as_ref())?)
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
