//! Builds a VARIANT column row by row from values of other columns, without re-encoding them.
//!
//! An object or a list keeps its encoded bytes and takes the whole dictionary of its document
//! along; a primitive needs none.

use super::layout::variant_children;
use arrow::array::NullBufferBuilder;
use arrow::array::{BinaryArray, BinaryBuilder, StructArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::error::ArrowError;
use parquet_variant::{
    EMPTY_VARIANT_METADATA_BYTES, ParentState, ValueBuilder, Variant, WritableMetadataBuilder,
};
use std::sync::Arc;

/// A VARIANT column under construction.
#[derive(Debug)]
pub struct VariantColumnBuilder {
    metadata: BinaryBuilder,
    values: ValueBuilder,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl VariantColumnBuilder {
    /// An empty column with room for `rows`.
    pub fn new(rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self {
            metadata: BinaryBuilder::with_capacity(rows, 0),
            values: ValueBuilder::new(),
            ends,
            nulls: NullBufferBuilder::new(rows),
        }
    }

    /// Appends a value; `metadata` is the dictionary of the document it comes from.
    ///
    /// # Errors
    /// If the column outgrows the 2 GiB that one batch may hold.
    pub fn append(&mut self, metadata: &[u8], value: Variant<'_, '_>) -> Result<(), ArrowError> {
        let nested = matches!(value, Variant::Object(_) | Variant::List(_));
        self.metadata.append_value(if nested { metadata } else { EMPTY_VARIANT_METADATA_BYTES });
        let mut unused = WritableMetadataBuilder::default();
        ValueBuilder::append_variant_bytes(ParentState::variant(&mut self.values, &mut unused), value);
        self.nulls.append_non_null();
        self.close_row()
    }

    /// Appends a null document.
    pub fn append_null(&mut self) {
        self.metadata.append_value(EMPTY_VARIANT_METADATA_BYTES);
        self.nulls.append_null();
        self.ends.push(self.ends.last().copied().unwrap_or(0));
    }

    fn close_row(&mut self) -> Result<(), ArrowError> {
        let end = i32::try_from(self.values.offset())
            .map_err(|_| ArrowError::OffsetOverflowError(self.values.offset()))?;
        self.ends.push(end);
        Ok(())
    }

    /// The finished column, in the layout of [`super::variant_data_type`].
    ///
    /// # Errors
    /// None in practice: the parts agree by construction.
    pub fn finish(mut self) -> Result<StructArray, ArrowError> {
        let ends = OffsetBuffer::new(self.ends.into());
        let values = BinaryArray::try_new(ends, Buffer::from(self.values.into_inner()), None)?;
        let columns = vec![Arc::new(self.metadata.finish()) as _, Arc::new(values) as _];
        StructArray::try_new(variant_children(), columns, self.nulls.finish())
    }
}
