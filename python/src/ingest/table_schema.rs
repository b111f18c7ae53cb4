//! The schema of a new table, from that of the data it is made of.
//!
//! Views, large offsets and dictionaries are ways to transport a type, not types of a table: they are
//! stored as the plain type. Text that Arrow marks as JSON is stored as documents; a column of nothing but
//! nulls becomes text.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use trilith::types::{is_variant, variant_field};

use crate::exported::{EXTENSION_NAME, JSON_EXTENSION};

/// The schema of a table for data of `schema`; the columns of `primary_key` may not be null.
pub(crate) fn table_schema(schema: &Schema, primary_key: &[String]) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let stored = stored_field(field);
        let required = primary_key.contains(field.name()) || !field.is_nullable();
        Arc::new(stored.with_nullable(!required))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn stored_field(field: &Field) -> Field {
    let is_json = field.metadata().get(EXTENSION_NAME).is_some_and(|name| name == JSON_EXTENSION);
    if is_json || is_variant(field) {
        return variant_field(field.name(), field.is_nullable());
    }
    field.clone().with_data_type(stored_type(field.data_type()))
}

fn stored_type(kind: &DataType) -> DataType {
    let item = |item: &FieldRef| Arc::new(stored_field(item));
    match kind {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => stored_type(values),
        DataType::List(inner) | DataType::LargeList(inner) => DataType::List(item(inner)),
        DataType::ListView(inner) | DataType::LargeListView(inner) => DataType::List(item(inner)),
        DataType::FixedSizeList(inner, width) => DataType::FixedSizeList(item(inner), *width),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(item).collect()),
        other => other.clone(),
    }
}
