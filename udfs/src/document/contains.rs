//! `json_contains(document, part)`: whether the part occurs in the document, what `@>` is.
//!
//! PostgreSQL's rule: an object contains another if each of its fields does, a list contains
//! another if each item of it is contained in some item, a list contains a bare scalar that is
//! an item of it, numbers compare by value.

use super::documents::Documents;
use super::function::{guarded, is_document};
use super::scalar::{float, integer};
use crate::columnar::shaped_like;
use arrow::array::BooleanArray;
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err, utils::take_function_args};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use parquet_variant::{Variant, VariantList};
use std::sync::Arc;

/// `json_contains(document, part)`: whether the part occurs in the document.
pub fn json_contains_udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(JsonContains { signature: Signature::any(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonContains {
    signature: Signature,
}

impl ScalarUDFImpl for JsonContains {
    fn name(&self) -> &str {
        "json_contains"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.iter().find(|data_type| !is_document(data_type)) {
            Some(other) => {
                plan_err!("json_contains: expected VARIANT or JSON text, got a value of type {other}")
            }
            None => Ok(DataType::Boolean),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [documents, parts] =
            take_function_args(self.name(), ColumnarValue::values_to_arrays(&args.args)?)?;
        let answers = guarded(self.name(), || {
            let (documents, parts) = (Documents::new(&documents)?, Documents::new(&parts)?);
            let answer = |row| Some(contains(&documents.get(row)?, &parts.get(row)?));
            Ok((0..documents.len()).map(answer).collect::<BooleanArray>())
        })?;
        shaped_like(&args.args, Arc::new(answers))
    }
}

fn contains(whole: &Variant<'_, '_>, part: &Variant<'_, '_>) -> bool {
    match (whole, part) {
        (Variant::Object(whole), Variant::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| contains(&whole, &part)))
        }
        (Variant::List(whole), Variant::List(part)) => part.iter().all(|part| has_item(whole, &part)),
        (Variant::List(_), Variant::Object(_)) => false,
        (Variant::List(whole), part) => whole.iter().any(|item| same_scalar(&item, part)),
        (whole, part) => same_scalar(whole, part),
    }
}

fn has_item(list: &VariantList<'_, '_>, part: &Variant<'_, '_>) -> bool {
    list.iter().any(|item| contains(&item, part))
}

fn same_scalar(a: &Variant<'_, '_>, b: &Variant<'_, '_>) -> bool {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a == b,
        _ => match (float(a), float(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}
