//! `json_length`, `json_keys`, `variant_typeof`: what a value is, not what it says.

use super::function::{DocumentFunction, Returns};
use arrow::array::{Int64Array, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ScalarUDF;
use parquet_variant::Variant;
use std::sync::Arc;

const ANY: std::ops::RangeInclusive<usize> = 1..=usize::MAX;

/// `json_length(document, key, ...)`: items of a list or fields of an object, else NULL.
pub(super) fn json_length_udf() -> ScalarUDF {
    let returns = Returns::Type(DataType::Int64);
    DocumentFunction::udf("json_length", &["json_array_length"], returns, ANY, |call| {
        let lengths = call.values().map(|value| match value? {
            Variant::List(list) => i64::try_from(list.len()).ok(),
            Variant::Object(object) => i64::try_from(object.len()).ok(),
            _ => None,
        });
        Ok(Arc::new(lengths.collect::<Int64Array>()))
    })
}

/// `json_keys(document, key, ...)`: the field names of an object in their order, else NULL.
pub(super) fn json_keys_udf() -> ScalarUDF {
    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let returns = Returns::Type(DataType::List(item));
    DocumentFunction::udf("json_keys", &["json_object_keys"], returns, ANY, |call| {
        let mut keys = ListBuilder::new(StringBuilder::new());
        for value in call.values() {
            let object = match value {
                Some(Variant::Object(object)) => Some(object),
                _ => None,
            };
            if let Some(object) = &object {
                object.iter().for_each(|(name, _)| keys.values().append_value(name));
            }
            keys.append(object.is_some());
        }
        Ok(Arc::new(keys.finish()))
    })
}

/// `variant_typeof(document, key, ...)`: the name of the value's type; NULL where there is none.
pub(super) fn variant_typeof_udf() -> ScalarUDF {
    let returns = Returns::Type(DataType::Utf8);
    DocumentFunction::udf("variant_typeof", &["json_typeof"], returns, ANY, |call| {
        let names = call.values().map(|value| value.as_ref().map(type_name));
        Ok(Arc::new(names.collect::<StringArray>()))
    })
}

fn type_name(value: &Variant<'_, '_>) -> &'static str {
    match value {
        Variant::Null => "null",
        Variant::BooleanTrue | Variant::BooleanFalse => "boolean",
        Variant::Int8(_) | Variant::Int16(_) | Variant::Int32(_) | Variant::Int64(_) => "integer",
        Variant::Float(_) | Variant::Double(_) => "double",
        Variant::Decimal4(_) | Variant::Decimal8(_) | Variant::Decimal16(_) => "decimal",
        Variant::String(_) | Variant::ShortString(_) => "string",
        Variant::Binary(_) => "binary",
        Variant::Date(_) => "date",
        Variant::Time(_) => "time",
        Variant::TimestampMicros(_) | Variant::TimestampNanos(_) => "timestamp with time zone",
        Variant::TimestampNtzMicros(_) | Variant::TimestampNtzNanos(_) => "timestamp",
        Variant::Uuid(_) => "uuid",
        Variant::Object(_) => "object",
        Variant::List(_) => "array",
    }
}
