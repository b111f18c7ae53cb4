//! One record batch handed to Python: what iteration yields when pyarrow is not installed.

use arrow::array::RecordBatch;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList, PyTuple};
use pyo3_arrow::ffi::to_schema_pycapsule;

use crate::arrow_schema::ArrowSchema;
use crate::exported::{export_batch, exported_schema};
use crate::values::rows;

/// A batch of rows. Speaks `__arrow_c_array__`, so every Arrow library takes it without a copy.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct ArrowBatch(pub(crate) RecordBatch);

#[pymethods]
impl ArrowBatch {
    /// Number of rows.
    #[getter]
    fn num_rows(&self) -> usize {
        self.0.num_rows()
    }

    /// Names and types of the columns.
    #[getter]
    fn schema(&self) -> ArrowSchema {
        ArrowSchema(exported_schema(self.0.schema_ref()))
    }

    /// The rows as tuples of Python values.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        rows(py, std::slice::from_ref(&self.0))
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, exported_schema(self.0.schema_ref()).as_ref())?)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        export_batch(py, &self.0, requested_schema)
    }

    fn __repr__(&self) -> String {
        format!("<trilith record batch: {} rows, {} columns>", self.0.num_rows(), self.0.num_columns())
    }
}
