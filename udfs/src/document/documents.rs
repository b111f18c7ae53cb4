//! One argument of a document function: VARIANT or JSON text, read row by row.

use super::json::variant_array_from_text;
use super::layout::is_variant;
use arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use parquet_variant::Variant;
use parquet_variant_compute::{VariantArray, unshred_variant};

/// A column of documents.
#[derive(Debug)]
pub struct Documents {
    metadata: BinaryArray,
    values: BinaryArray,
    nulls: Option<NullBuffer>,
}

impl Documents {
    /// Reads a VARIANT column of any layout, or a column of JSON text, which is parsed here.
    ///
    /// # Errors
    /// If a text is not JSON, or the type holds no documents.
    pub fn new(array: &ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
                Self::from_variant(&VariantArray::try_new(&variant_array_from_text(array)?)?)
            }
            variant if is_variant(variant) => {
                Self::from_variant(&unshred_variant(&VariantArray::try_new(array)?)?)
            }
            other => exec_err!("expected VARIANT or JSON text, got a value of type {other}"),
        }
    }

    fn from_variant(array: &VariantArray) -> Result<Self> {
        let binary = |column: &ArrayRef| -> Result<BinaryArray> {
            Ok(cast(column, &DataType::Binary)?.as_binary::<i32>().clone())
        };
        Ok(Self {
            metadata: binary(array.metadata_column())?,
            values: binary(array.value_column())?,
            nulls: array.nulls().cloned(),
        })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The document of a row; `None` where the row is null.
    pub fn get(&self, row: usize) -> Option<Variant<'_, '_>> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(Variant::new(self.metadata.value(row), self.values.value(row)))
    }

    /// The dictionary of field names of a row.
    pub fn metadata(&self, row: usize) -> &[u8] {
        self.metadata.value(row)
    }
}
