//! A finished result in memory: what `collect` returns, and what `arrow()` is when pyarrow is not installed.

use arrow::array::{RecordBatch, RecordBatchIterator};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};
use pyo3_arrow::ffi::to_schema_pycapsule;

use crate::arrow_batch::ArrowBatch;
use crate::arrow_schema::ArrowSchema;
use crate::error::from_arrow;
use crate::exported::{export_stream, exported_schema};
use crate::numpy_column::{NumpyColumn, numpy_column};
use crate::values::rows;

/// A result of any number of batches. Speaks `__arrow_c_stream__`, as often as asked, without a copy.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct ArrowBatches {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

#[pymethods]
impl ArrowBatches {
    /// Number of rows over all batches.
    #[getter]
    pub(crate) fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Names and types of the columns.
    #[getter]
    fn schema(&self) -> ArrowSchema {
        ArrowSchema(exported_schema(&self.schema))
    }

    /// The batches, in order.
    fn batches(&self) -> Vec<ArrowBatch> {
        self.batches.iter().cloned().map(ArrowBatch).collect()
    }

    /// The rows as tuples of Python values.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        rows(py, &self.batches)
    }

    /// One description per column from which numpy builds an array; see `trilith/_numpy.py`.
    fn numpy_columns(&self, py: Python<'_>) -> PyResult<Vec<NumpyColumn>> {
        let joined = match self.batches.as_slice() {
            [only] => only.clone(),
            many => py.detach(|| concat_batches(&self.schema, many)).map_err(from_arrow)?,
        };
        let columns = self.schema.fields().iter().zip(joined.columns());
        columns.map(|(field, array)| numpy_column(py, field, array)).collect()
    }

    fn __len__(&self) -> usize {
        self.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, exported_schema(&self.schema).as_ref())?)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let batches = self.batches.clone().into_iter().map(Ok);
        let reader = RecordBatchIterator::new(batches, self.schema.clone());
        export_stream(py, Box::new(reader), requested_schema)
    }

    fn __repr__(&self) -> String {
        format!("<trilith result: {} rows, {} columns>", self.num_rows(), self.schema.fields().len())
    }
}
