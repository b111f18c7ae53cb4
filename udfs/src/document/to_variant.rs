//! `to_variant(value)`: any Arrow value as VARIANT; structs become objects, lists lists.

use super::json::in_our_layout;
use super::layout::{variant_data_type, variant_field};
use crate::columnar::shaped_like;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, utils::take_function_args};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use parquet_variant_compute::cast_to_variant;
use std::sync::Arc;

/// `to_variant(value)`: any value as VARIANT.
pub fn to_variant_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(ToVariant { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToVariant {
    signature: Signature,
}

impl ScalarUDFImpl for ToVariant {
    fn name(&self) -> &str {
        "to_variant"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(variant_data_type())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(variant_field(self.name(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [values] = take_function_args(self.name(), ColumnarValue::values_to_arrays(&args.args)?)?;
        shaped_like(&args.args, Arc::new(in_our_layout(&cast_to_variant(&values)?)?))
    }
}
