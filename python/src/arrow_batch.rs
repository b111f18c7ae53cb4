//! One record batch handed to Python: what iteration yields when pyarrow is not installed.

use arrow::array::{ArrayRef, RecordBatch, StructArray};
use arrow::datatypes::Field;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList, PyTuple};
use pyo3_arrow::ffi::{to_array_pycapsules, to_schema_pycapsule};

use std::sync::Arc;

use crate::arrow_schema::ArrowSchema;
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
        ArrowSchema(self.0.schema())
    }

    /// The rows as tuples of Python values.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        rows(py, std::slice::from_ref(&self.0))
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.0.schema_ref().as_ref())?)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let schema = self.0.schema_ref();
        let field =
            Field::new_struct("", schema.fields().clone(), false).with_metadata(schema.metadata().clone());
        let array: ArrayRef = Arc::new(StructArray::from(self.0.clone()));
        Ok(to_array_pycapsules(py, field.into(), &array, requested_schema)?)
    }

    fn __repr__(&self) -> String {
        format!("<trilith record batch: {} rows, {} columns>", self.0.num_rows(), self.0.num_columns())
    }
}
