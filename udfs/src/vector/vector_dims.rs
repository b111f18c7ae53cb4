//! `vector_dims(v)`: how many components a vector has.

use super::rows::VectorRows;
use super::shape;
use crate::columnar::shaped_like;
use arrow::array::Int32Array;
use arrow::datatypes::DataType;
use datafusion::common::{Result, utils::take_function_args};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// `vector_dims(v)`: how many components a vector has.
pub fn vector_dims_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(VectorDims { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct VectorDims {
    signature: Signature,
}

impl ScalarUDFImpl for VectorDims {
    fn name(&self) -> &str {
        "vector_dims"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        shape::check(self.name(), arg_types, 1)?;
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [vectors] = take_function_args(self.name(), ColumnarValue::values_to_arrays(&args.args)?)?;
        let rows = VectorRows::new(self.name(), &vectors)?;
        let length = |row: usize| i32::try_from(rows.span(row).len()).unwrap_or(i32::MAX);
        let lengths: Vec<i32> = (0..rows.len()).map(length).collect();
        let lengths = Int32Array::new(lengths.into(), vectors.logical_nulls());
        shaped_like(&args.args, Arc::new(lengths))
    }
}
