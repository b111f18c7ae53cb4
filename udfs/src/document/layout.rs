//! What a VARIANT column looks like in Arrow.
//!
//! `Struct { metadata: Binary NOT NULL, value: Binary NOT NULL }` with the extension name
//! `arrow.parquet.variant` on the field. `VariantArray` reads `Binary`, `LargeBinary` and
//! `BinaryView` alike; we write `Binary`, because slices, gathers and files of it stay compact,
//! where views drag their whole buffers along. A null document is a null of the struct; a JSON
//! null is a value.

use arrow::datatypes::{DataType, Field, Fields};
use parquet_variant_compute::VariantType;

/// Name of the child with the dictionary of field names.
pub const METADATA: &str = "metadata";
/// Name of the child with the encoded value.
pub const VALUE: &str = "value";
/// Name of the child that a shredded column of other writers has besides.
pub const TYPED_VALUE: &str = "typed_value";

/// The type of a VARIANT column.
pub fn variant_data_type() -> DataType {
    DataType::Struct(variant_children())
}

/// The field of a VARIANT column, with its extension name.
pub fn variant_field(name: impl Into<String>, nullable: bool) -> Field {
    Field::new(name, variant_data_type(), nullable).with_extension_type(VariantType)
}

/// The children of a VARIANT column.
pub(super) fn variant_children() -> Fields {
    [METADATA, VALUE].map(|name| Field::new(name, DataType::Binary, false)).into_iter().collect()
}

/// Whether a column is a VARIANT: by its shape, with or without the extension name.
pub fn is_variant_field(field: &Field) -> bool {
    is_variant(field.data_type())
}

/// Whether a column of this type holds variants, in our layout or any other that the format allows.
///
/// Decided by the shape, since expressions lose the extension name of their field.
pub fn is_variant(data_type: &DataType) -> bool {
    let DataType::Struct(children) = data_type else { return false };
    let binary = |name: &str| {
        children.iter().any(|child| {
            use DataType::{Binary, BinaryView, LargeBinary};
            child.name() == name && matches!(child.data_type(), Binary | LargeBinary | BinaryView)
        })
    };
    let known = |child: &str| [METADATA, VALUE, TYPED_VALUE].contains(&child);
    binary(METADATA)
        && (binary(VALUE) || children.iter().any(|child| child.name() == TYPED_VALUE))
        && children.iter().all(|child| known(child.name()))
}
