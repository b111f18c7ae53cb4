//! What the document functions have in common: `name(document, key, ...)`.
//!
//! A function states what it returns, how many arguments it takes and what it does with one batch;
//! this file checks types, parses text, and turns a damaged VARIANT value, on which the decoder
//! panics, into an error.

use super::column::VariantColumnBuilder;
use super::documents::Documents;
use super::keys::{self, KeyColumn};
use super::layout::{is_variant, variant_data_type, variant_field};
use crate::columnar::shaped_like;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use parquet_variant::Variant;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a document function returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Returns {
    /// A VARIANT.
    Variant,
    /// An ordinary type.
    Type(DataType),
}

/// The arguments of one call.
#[derive(Debug)]
pub(super) struct Call {
    documents: Documents,
    keys: Vec<KeyColumn>,
}

impl Call {
    /// The documents of the first argument.
    pub(super) fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The value that the keys lead to in a row.
    pub(super) fn value(&self, row: usize) -> Option<Variant<'_, '_>> {
        self.keys.iter().try_fold(self.documents.get(row)?, |value, key| key.get(row)?.step(&value))
    }

    /// The values of all rows.
    pub(super) fn values(&self) -> impl Iterator<Item = Option<Variant<'_, '_>>> {
        (0..self.documents.len()).map(|row| self.value(row))
    }

    /// A VARIANT column of what `pick` keeps of each value.
    pub(super) fn variants<'a>(
        &'a self,
        pick: impl Fn(Variant<'a, 'a>) -> Option<Variant<'a, 'a>>,
    ) -> Result<ArrayRef> {
        let mut column = VariantColumnBuilder::new(self.documents.len());
        for row in 0..self.documents.len() {
            match self.value(row).and_then(&pick) {
                Some(value) => column.append(self.documents.metadata(row), value)?,
                None => column.append_null(),
            }
        }
        Ok(Arc::new(column.finish()?))
    }
}

type Body = fn(&Call) -> Result<ArrayRef>;

/// A function whose first argument is a document and whose others are keys into it.
#[derive(Debug)]
pub struct DocumentFunction {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
    returns: Returns,
    arguments: RangeInclusive<usize>,
    body: Body,
}

impl PartialEq for DocumentFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for DocumentFunction {}

impl Hash for DocumentFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl DocumentFunction {
    pub(super) fn udf(
        name: &'static str,
        aliases: &[&str],
        returns: Returns,
        arguments: RangeInclusive<usize>,
        body: Body,
    ) -> ScalarUDF {
        let aliases = aliases.iter().map(ToString::to_string).collect();
        let signature = Signature::variadic_any(Volatility::Immutable);
        ScalarUDF::new_from_impl(Self { name, aliases, signature, returns, arguments, body })
    }

    fn check(&self, types: &[DataType]) -> Result<()> {
        let Some((document, keys)) = types.split_first().filter(|_| self.arguments.contains(&types.len()))
        else {
            return plan_err!("{} takes a document and its keys, got {} argument(s)", self.name, types.len());
        };
        if !is_document(document) {
            return plan_err!("{}: expected VARIANT or JSON text, got a value of type {document}", self.name);
        }
        keys.iter().try_for_each(|key| keys::check(self.name, key))
    }

    fn call(&self, arguments: &[ColumnarValue]) -> Result<ArrayRef> {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let (Some(documents), Some(keys)) = (arrays.first(), arguments.get(1..)) else {
            return exec_err!("{} needs a document", self.name);
        };
        let documents = Documents::new(documents)?;
        let keys = keys.iter().map(KeyColumn::new).collect::<Result<_>>()?;
        (self.body)(&Call { documents, keys })
    }
}

/// Whether an argument of this type is a document.
pub(super) fn is_document(data_type: &DataType) -> bool {
    use DataType::{LargeUtf8, Null, Utf8, Utf8View};
    is_variant(data_type) || matches!(data_type, Utf8 | LargeUtf8 | Utf8View | Null)
}

/// Runs a reader of VARIANT bytes, whose decoder panics on damaged ones.
///
/// # Errors
/// The reader's own, or one that says the value is damaged.
pub fn guarded<T>(function: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(exec_datafusion_err!("{function}: a VARIANT value is damaged")))
}

impl ScalarUDFImpl for DocumentFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.check(arg_types)?;
        Ok(match &self.returns {
            Returns::Variant => variant_data_type(),
            Returns::Type(data_type) => data_type.clone(),
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let data_type = self.return_type(&types)?;
        Ok(Arc::new(match self.returns {
            Returns::Variant => variant_field(self.name, true),
            Returns::Type(_) => Field::new(self.name, data_type, true),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let result = guarded(self.name, || self.call(&args.args))?;
        shaped_like(&args.args, result)
    }
}
