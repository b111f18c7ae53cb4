//! A document value as a tree that can be taken apart and changed.
//!
//! Lossless: a date stays a date, a decimal a decimal. Rows that are only read or tested never become
//! trees; they stay encoded. The fields of an object are in order of name, as VARIANT keeps them.

use std::collections::BTreeMap;
use std::fmt;

use datafusion::arrow::array::{Array, StructArray};
use datafusion::arrow::error::ArrowError;
use parquet_variant::{ObjectFieldBuilder, Variant, VariantBuilder, VariantBuilderExt};
use parquet_variant_compute::VariantArrayBuilder;
use parquet_variant_json::VariantToJson;
use trilith_udfs::document::append_json;

use crate::error::{Error, Result};

/// A value in a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// JSON's null.
    Null,
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A number, a date, a time, a UUID.
    Scalar(Variant<'static, 'static>),
    /// A list.
    List(Vec<Value>),
    /// Named fields.
    Object(BTreeMap<String, Value>),
}

/// What can be given as a document, a filter or an update: a [`Value`], or JSON text.
pub trait IntoValue {
    /// The value.
    ///
    /// # Errors
    /// `Invalid` when a text is not JSON.
    fn into_value(self) -> Result<Value>;
}

impl IntoValue for Value {
    fn into_value(self) -> Result<Value> {
        Ok(self)
    }
}

impl IntoValue for &Value {
    fn into_value(self) -> Result<Value> {
        Ok(self.clone())
    }
}

impl IntoValue for &str {
    fn into_value(self) -> Result<Value> {
        Value::from_json(self)
    }
}

impl IntoValue for &String {
    fn into_value(self) -> Result<Value> {
        Value::from_json(self)
    }
}

impl IntoValue for serde_json::Value {
    fn into_value(self) -> Result<Value> {
        Value::from_json(&self.to_string())
    }
}

impl Value {
    /// The value of a JSON text.
    ///
    /// # Errors
    /// `Invalid` when the text is not JSON; the message shows where.
    pub fn from_json(json: &str) -> Result<Self> {
        let mut builder = VariantBuilder::new();
        append_json(json, &mut builder).map_err(|error| {
            let text = error.strip_backtrace();
            Error::invalid("document", text.strip_prefix("Execution error: ").unwrap_or(&text))
        })?;
        let (metadata, value) = builder.try_finish()?;
        Ok(Self::from_variant(&Variant::new(&metadata, &value)))
    }

    /// The value as JSON text; what JSON lacks becomes text.
    ///
    /// # Errors
    /// When a part cannot be written.
    pub fn to_json(&self) -> Result<String> {
        let (metadata, value) = self.encode()?;
        Ok(Variant::new(&metadata, &value).to_json_string()?)
    }

    /// The tree of an encoded value.
    #[must_use]
    pub fn from_variant(value: &Variant<'_, '_>) -> Self {
        macro_rules! scalar_or {
            ($($kind:ident)*; $($other:tt)*) => {
                match value { $(Variant::$kind(inner) => Self::Scalar(Variant::$kind(*inner)),)* $($other)* }
            };
        }
        scalar_or! {
            Int8 Int16 Int32 Int64 Float Double Decimal4 Decimal8 Decimal16 Date Time Uuid
            TimestampMicros TimestampNtzMicros TimestampNanos TimestampNtzNanos;
            Variant::Null => Self::Null,
            Variant::BooleanTrue => Self::Bool(true),
            Variant::BooleanFalse => Self::Bool(false),
            Variant::Binary(bytes) => Self::Bytes(bytes.to_vec()),
            Variant::String(text) => Self::Text((*text).to_owned()),
            Variant::ShortString(text) => Self::Text(text.as_str().to_owned()),
            Variant::List(items) => Self::List(items.iter().map(|item| Self::from_variant(&item)).collect()),
            Variant::Object(fields) => Self::Object(
                fields.iter().map(|(name, field)| (name.to_owned(), Self::from_variant(&field))).collect(),
            ),
        }
    }

    /// The dictionary of names and the encoded value.
    ///
    /// # Errors
    /// When the value outgrows what one VARIANT can hold.
    pub(crate) fn encode(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        let mut builder = VariantBuilder::new();
        self.append_to(&mut builder)?;
        Ok(builder.try_finish()?)
    }

    /// Appends the value to any variant builder.
    fn append_to(&self, builder: &mut impl VariantBuilderExt) -> Result<(), ArrowError> {
        match self {
            Self::Null => builder.append_value(Variant::Null),
            Self::Bool(boolean) => builder.append_value(*boolean),
            Self::Text(text) => builder.append_value(text.as_str()),
            Self::Bytes(bytes) => builder.append_value(bytes.as_slice()),
            Self::Scalar(scalar) => builder.append_value(scalar.clone()),
            Self::List(items) => {
                let mut list = builder.try_new_list()?;
                for item in items {
                    item.append_to(&mut list)?;
                }
                list.finish();
            }
            Self::Object(fields) => {
                let mut object = builder.try_new_object()?;
                for (name, value) in fields {
                    value.append_to(&mut ObjectFieldBuilder::new(name, &mut object))?;
                }
                object.finish();
            }
        }
        Ok(())
    }

    /// A VARIANT column of these values.
    pub(crate) fn column<'a>(values: impl IntoIterator<Item = &'a Self>) -> Result<StructArray> {
        let mut builder = VariantArrayBuilder::new(0);
        for value in values {
            value.append_to(&mut builder)?;
        }
        let array: StructArray = builder.build().into_inner();
        let ours = trilith_udfs::document::variant_data_type();
        let cast = datafusion::arrow::compute::cast(&array, &ours)?;
        Ok(StructArray::from(cast.to_data()))
    }

    /// What it is called in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Scalar(scalar) => {
                super::number::Number::of(scalar).map_or("a date or an id", |_| "a number")
            }
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json().map_err(|_| fmt::Error)?)
    }
}
