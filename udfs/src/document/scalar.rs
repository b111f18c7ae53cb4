//! `json_get_int`, `json_get_float`, `json_get_bool`, `json_get_str`: a value of one kind or NULL.
//!
//! A value of another kind is NULL, not an error and not a guess: text is never read as a number.
//! `json_get_int` takes a whole number in whatever way it is stored.

use super::function::{DocumentFunction, Returns};
use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use parquet_variant::Variant;
use std::sync::Arc;

const ANY: std::ops::RangeInclusive<usize> = 1..=usize::MAX;

/// `json_get_int(document, key, ...)`: a whole number.
pub fn json_get_int_udf() -> ScalarUDF {
    DocumentFunction::udf("json_get_int", &[], Returns::Type(DataType::Int64), ANY, |call| {
        let integers = call.values().map(|value| integer(&value?));
        Ok(Arc::new(integers.collect::<Int64Array>()))
    })
}

/// `json_get_float(document, key, ...)`: any number.
pub fn json_get_float_udf() -> ScalarUDF {
    DocumentFunction::udf("json_get_float", &[], Returns::Type(DataType::Float64), ANY, |call| {
        let floats = call.values().map(|value| float(&value?));
        Ok(Arc::new(floats.collect::<Float64Array>()))
    })
}

/// `json_get_bool(document, key, ...)`: true or false.
pub fn json_get_bool_udf() -> ScalarUDF {
    DocumentFunction::udf("json_get_bool", &[], Returns::Type(DataType::Boolean), ANY, |call| {
        let booleans = call.values().map(|value| boolean(&value?));
        Ok(Arc::new(booleans.collect::<BooleanArray>()))
    })
}

/// `json_get_str(document, key, ...)`: a string.
pub fn json_get_str_udf() -> ScalarUDF {
    DocumentFunction::udf("json_get_str", &[], Returns::Type(DataType::Utf8), ANY, |call| {
        let strings = call.values().map(|value| string(&value?));
        Ok(Arc::new(strings.collect::<StringArray>()))
    })
}

/// A number without a fraction.
pub(super) fn integer(value: &Variant<'_, '_>) -> Option<i64> {
    match value {
        Variant::Int8(integer) => Some(i64::from(*integer)),
        Variant::Int16(integer) => Some(i64::from(*integer)),
        Variant::Int32(integer) => Some(i64::from(*integer)),
        Variant::Int64(integer) => Some(*integer),
        Variant::Decimal4(_) | Variant::Decimal8(_) | Variant::Decimal16(_) => {
            let (mantissa, scale) = decimal(value)?;
            let unit = 10i128.checked_pow(u32::from(scale))?;
            (mantissa % unit == 0).then(|| i64::try_from(mantissa / unit).ok()).flatten()
        }
        _ => {
            let float = float(value)?;
            // Both bounds are doubles; the upper one is the first that does not fit.
            let fits = (i64::MIN as f64..-(i64::MIN as f64)).contains(&float);
            (fits && float.fract() == 0.0).then_some(float as i64)
        }
    }
}

/// Any number.
pub(super) fn float(value: &Variant<'_, '_>) -> Option<f64> {
    match value {
        Variant::Int8(_) | Variant::Int16(_) | Variant::Int32(_) => {
            integer(value).map(|integer| integer as f64)
        }
        Variant::Int64(integer) => Some(*integer as f64),
        Variant::Float(float) => Some(f64::from(*float)),
        Variant::Double(double) => Some(*double),
        _ => {
            let (mantissa, scale) = decimal(value)?;
            Some(mantissa as f64 / 10f64.powi(i32::from(scale)))
        }
    }
}

/// Unscaled value and scale of a decimal.
fn decimal(value: &Variant<'_, '_>) -> Option<(i128, u8)> {
    match value {
        Variant::Decimal4(decimal) => Some((i128::from(decimal.integer()), decimal.scale())),
        Variant::Decimal8(decimal) => Some((i128::from(decimal.integer()), decimal.scale())),
        Variant::Decimal16(decimal) => Some((decimal.integer(), decimal.scale())),
        _ => None,
    }
}

fn boolean(value: &Variant<'_, '_>) -> Option<bool> {
    match value {
        Variant::BooleanTrue => Some(true),
        Variant::BooleanFalse => Some(false),
        _ => None,
    }
}

fn string(value: &Variant<'_, '_>) -> Option<String> {
    match value {
        Variant::String(string) => Some((*string).to_string()),
        Variant::ShortString(string) => Some(string.as_str().to_string()),
        _ => None,
    }
}
