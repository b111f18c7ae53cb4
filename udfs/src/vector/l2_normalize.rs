//! `l2_normalize(v)`: the vector scaled to Euclidean length one; a zero vector stays zero.
//!
//! The result has the shape of the argument and keeps its float type; integers become `Float64`.

use super::rows::{VectorRows, with_components};
use super::shape;
use crate::columnar::shaped_like;
use crate::kernels::normalize;
use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float64Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, utils::take_function_args};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// `l2_normalize(v)`: the vector scaled to Euclidean length one.
pub fn l2_normalize_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(L2Normalize { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct L2Normalize {
    signature: Signature,
}

impl ScalarUDFImpl for L2Normalize {
    fn name(&self) -> &str {
        "l2_normalize"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        shape::check(self.name(), arg_types, 1)?;
        Ok(normalized_type(&arg_types[0]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [vectors] = take_function_args(self.name(), ColumnarValue::values_to_arrays(&args.args)?)?;
        let rows = VectorRows::new(self.name(), &vectors)?;
        let unit = with_components!(rows, |values| {
            (0..rows.len()).flat_map(|row| normalize(&values[rows.span(row)])).collect::<Vec<f64>>()
        });
        let lengths = (0..rows.len()).map(|row| rows.span(row).len());
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
        let unit = Arc::new(Float64Array::from(unit));
        let vectors = assemble(args.return_type(), unit, offsets, rows.nulls().cloned())?;
        shaped_like(&args.args, vectors)
    }
}

fn normalized_type(vector: &DataType) -> DataType {
    match vector {
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(float_item(item), *length),
        DataType::List(item) | DataType::LargeList(item) => DataType::List(float_item(item)),
        _ => DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true))),
    }
}

fn float_item(item: &FieldRef) -> FieldRef {
    match item.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Arc::clone(item),
        _ => Arc::new(item.as_ref().clone().with_data_type(DataType::Float64)),
    }
}

fn assemble(
    data_type: &DataType,
    unit: ArrayRef,
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::FixedSizeList(item, length) => {
            let unit = cast(&unit, item.data_type())?;
            let rows = offsets.len() - 1;
            Arc::new(FixedSizeListArray::try_new_with_length(Arc::clone(item), *length, unit, nulls, rows)?)
        }
        DataType::List(item) => {
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, cast(&unit, item.data_type())?, nulls)?)
        }
        other => cast(&unit.as_primitive::<arrow::datatypes::Float64Type>().slice(0, 0), other)?,
    })
}
