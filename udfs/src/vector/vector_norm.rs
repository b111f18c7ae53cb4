//! `vector_norm(v)`: the Euclidean length of a vector.

use super::rows::{VectorRows, with_components};
use super::shape;
use crate::columnar::shaped_like;
use crate::kernels::squared_norm;
use arrow::array::Float64Array;
use arrow::datatypes::DataType;
use datafusion::common::{Result, utils::take_function_args};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// `vector_norm(v)`: the Euclidean length of a vector.
pub fn vector_norm_udf() -> ScalarUDF {
    let aliases = vec!["l2_norm".to_string()];
    ScalarUDF::new_from_impl(VectorNorm { aliases, signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct VectorNorm {
    aliases: Vec<String>,
    signature: Signature,
}

impl ScalarUDFImpl for VectorNorm {
    fn name(&self) -> &str {
        "vector_norm"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        shape::check(self.name(), arg_types, 1)?;
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [vectors] = take_function_args(self.name(), ColumnarValue::values_to_arrays(&args.args)?)?;
        let rows = VectorRows::new(self.name(), &vectors)?;
        let norms: Vec<f64> = with_components!(rows, |values| {
            (0..rows.len()).map(|row| squared_norm(&values[rows.span(row)]).sqrt()).collect()
        });
        let norms = Float64Array::new(norms.into(), rows.nulls().cloned());
        shaped_like(&args.args, Arc::new(norms))
    }
}
