//! `variant_get(document, 'path' [, 'type'])`: a value by its path, as VARIANT or as a SQL type.
//!
//! Paths read `a.b[0]['c d']`, with or without a leading `$`. A value that does not fit the type
//! is NULL.

use super::documents::Documents;
use super::function::{guarded, is_document};
use super::json::{in_our_layout, variant_array_from_text};
use super::layout::{is_variant, variant_field};
use crate::columnar::shaped_like;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Result, internal_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use parquet_variant::VariantPath;
use parquet_variant_compute::{GetOptions, VariantArray};
use std::sync::Arc;

/// `variant_get(document, 'path' [, 'type'])`: a value by its path.
pub fn variant_get_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(VariantGet { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct VariantGet {
    signature: Signature,
}

impl ScalarUDFImpl for VariantGet {
    fn name(&self) -> &str {
        "variant_get"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        internal_err!("variant_get: the type depends on the arguments' values")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let (Some(document), 2..=3) = (args.arg_fields.first(), args.arg_fields.len()) else {
            return plan_err!("variant_get takes a document, a path and optionally a type");
        };
        if !is_document(document.data_type()) {
            return plan_err!(
                "variant_get: expected VARIANT or JSON text, got a value of type {}",
                document.data_type()
            );
        }
        let literal = |index: usize| {
            let value = args.scalar_arguments.get(index).copied().flatten();
            value.and_then(|value| value.try_as_str().flatten())
        };
        let Some(path) = literal(1) else {
            return plan_err!("variant_get: the path must be a text literal such as 'a.b[0]'");
        };
        parse_path(path)?;
        if args.arg_fields.len() == 2 {
            return Ok(Arc::new(variant_field(self.name(), true)));
        }
        let Some(name) = literal(2) else {
            return plan_err!("variant_get: the type must be a text literal such as 'bigint'");
        };
        result_field(self.name(), name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(ColumnarValue::Scalar(path)) = args.args.get(1) else {
            return internal_err!("variant_get: the path was checked to be a literal");
        };
        let path = path.try_as_str().flatten().unwrap_or_default();
        let wanted = (!is_variant(args.return_type())).then(|| Arc::clone(&args.return_field));
        let result = guarded(self.name(), || get(&arrays[0], path, wanted))?;
        shaped_like(&args.args, result)
    }
}

fn get(documents: &ArrayRef, path: &str, wanted: Option<FieldRef>) -> Result<ArrayRef> {
    let documents: ArrayRef = match is_variant(documents.data_type()) {
        true => Arc::clone(documents),
        false => Arc::new(variant_array_from_text(documents)?),
    };
    let is_typed = wanted.is_some();
    let options = GetOptions::new_with_path(parse_path(path)?).with_as_type(wanted);
    let result = parquet_variant_compute::variant_get(&documents, options)?;
    if is_typed {
        return Ok(result);
    }
    // A path that leads nowhere is NULL; the kernel gives rows of JSON null for some of them.
    Documents::new(&result)?;
    Ok(Arc::new(in_our_layout(&VariantArray::try_new(&result)?)?))
}

fn parse_path(path: &str) -> Result<VariantPath<'_>> {
    let steps = path.strip_prefix('$').map_or(path, |rest| rest.strip_prefix('.').unwrap_or(rest));
    VariantPath::try_from(steps)
        .map_err(|error| plan_datafusion_err!("variant_get: the path '{path}' cannot be read: {error}"))
}

fn result_field(function: &str, name: &str) -> Result<FieldRef> {
    if name.eq_ignore_ascii_case("variant") {
        return Ok(Arc::new(variant_field(function, true)));
    }
    Ok(Arc::new(Field::new(function, sql_type(name)?, true)))
}

/// The Arrow type of a SQL type name.
fn sql_type(name: &str) -> Result<DataType> {
    Ok(match name.trim().to_ascii_lowercase().as_str() {
        "boolean" | "bool" => DataType::Boolean,
        "tinyint" => DataType::Int8,
        "smallint" => DataType::Int16,
        "int" | "integer" => DataType::Int32,
        "bigint" | "long" => DataType::Int64,
        "real" | "float4" => DataType::Float32,
        "float" | "double" | "double precision" | "float8" => DataType::Float64,
        "text" | "string" | "varchar" => DataType::Utf8,
        "binary" | "bytea" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => {
            return name.parse::<DataType>().map_err(|_| {
                plan_datafusion_err!(
                    "variant_get: '{name}' is no type it can return; use for example 'bigint', 'double', 'text', \
                     'boolean', 'date', 'timestamp' or an Arrow type"
                )
            });
        }
    })
}
