//! `sparsevec(v)`: a text or two lists as a sparse vector.

use arrow::datatypes::DataType;
use datafusion::common::{Result, utils::take_function_args};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{SparseRows, sparse_data_type};
use crate::columnar::shaped_like;

/// `sparsevec(v)`: a text such as `'{1:0.5, 7:1.2}'`, or a struct of `indices` and `values`, as a sparse vector.
pub fn sparsevec_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(SparseVec { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SparseVec {
    signature: Signature,
}

impl ScalarUDFImpl for SparseVec {
    fn name(&self) -> &str {
        "sparsevec"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(sparse_data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [vectors] = take_function_args(self.name(), ColumnarValue::values_to_arrays(&args.args)?)?;
        shaped_like(&args.args, SparseRows::new(self.name(), &vectors)?.into_array())
    }
}
