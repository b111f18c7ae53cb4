//! The shape of a function's result: a single value where every argument is one.

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;

/// `result` as a scalar if all arguments are scalars, which DataFusion repeats as needed.
pub(crate) fn shaped_like(arguments: &[ColumnarValue], result: ArrayRef) -> Result<ColumnarValue> {
    let constant = arguments.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
    if constant && result.len() == 1 {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
    }
    Ok(ColumnarValue::Array(result))
}
