//! `sparse_inner_product(a, b)`: the sum of the products at the indices that both have.

use std::sync::Arc;

use arrow::array::Float64Array;
use arrow::datatypes::DataType;
use datafusion::common::{Result, utils::take_function_args};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::SparseRows;
use crate::columnar::shaped_like;
use crate::kernels::SparseQuery;

/// `sparse_inner_product(a, b)`: 0 when no index is in both, null when either vector is.
pub fn sparse_inner_product_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(InnerProduct { signature: Signature::any(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct InnerProduct {
    signature: Signature,
}

impl ScalarUDFImpl for InnerProduct {
    fn name(&self) -> &str {
        "sparse_inner_product"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = take_function_args(self.name(), ColumnarValue::values_to_arrays(&args.args)?)?;
        let (left, right) = (SparseRows::new(self.name(), &left)?, SparseRows::new(self.name(), &right)?);
        let product = |row| {
            let ((left, weights), (right, values)) = (left.get(row)?, right.get(row)?);
            Some(SparseQuery::new(left, weights).dot(right, values).unwrap_or(0.0))
        };
        let products: Float64Array = (0..left.len()).map(product).collect();
        shaped_like(&args.args, Arc::new(products))
    }
}
