//! Single rows in a write batch, given as plain values: no array is made of them on their way.

use std::ops::Range;
use std::sync::Arc;

use super::batch::WriteBatch;
use super::conform::invalid;
use crate::common::{Error, Result};
use crate::format::commit::{EncodedOp, OpKind};
use crate::format::packed::{Value, is_packable, pack_value};
use crate::format::table::TableDef;
use crate::memtable::Keys;

impl WriteBatch {
    /// Adds one row of the values of all columns in their order; in a keyed table its key must be new. Cheaper than
    /// [`WriteBatch::insert`] for a single row, and dearer for many.
    ///
    /// # Errors
    /// `Invalid` for a row the table cannot hold, or a column of a type that is given as an Arrow batch only: lists,
    /// structs, decimals, dictionaries and views, other than null. A key that is in the table already is found at commit.
    pub fn insert_row(&mut self, table: &Arc<TableDef>, values: &[Value<'_>]) -> Result<()> {
        self.push_row(table, OpKind::Insert, values)
    }

    /// As [`WriteBatch::insert_row`], replacing the row of the same key.
    ///
    /// # Errors
    /// As [`WriteBatch::insert_row`], and `Invalid` for a table without a primary key.
    pub fn upsert_row(&mut self, table: &Arc<TableDef>, values: &[Value<'_>]) -> Result<()> {
        super::batch::require_key(table, "upsert")?;
        self.push_row(table, OpKind::Upsert, values)
    }

    fn push_row(&mut self, table: &Arc<TableDef>, kind: OpKind, values: &[Value<'_>]) -> Result<()> {
        let row = pack_row(table, values)?;
        let keys = match table.is_keyed() {
            true => Some(Keys::One(key_of(table, values, &row)?)),
            false => None,
        };
        self.push_encoded(table, keys, EncodedOp::of_packed(table.id, table.version, kind, 1, row.body));
        Ok(())
    }
}

/// A row in its packed form, and where in it each value lies.
struct PackedRow {
    body: Vec<u8>,
    places: Vec<Range<usize>>,
}

fn pack_row(table: &TableDef, values: &[Value<'_>]) -> Result<PackedRow> {
    if values.len() != table.columns.len() {
        let why = format!("it has {} columns, {} values were given", table.columns.len(), values.len());
        return Err(Error::invalid(format!("a row of table {}", table.name), why));
    }
    let bytes = values.iter().map(|value| if let Value::Bytes(bytes) = value { bytes.len() } else { 16 });
    let mut body = Vec::with_capacity(bytes.sum::<usize>() + 5 * values.len());
    let mut places = Vec::with_capacity(values.len());
    for (column, value) in table.columns.iter().zip(values) {
        let field = &column.field;
        if *value == Value::Null && !field.is_nullable() {
            return Err(invalid(table, field, "it may not be null"));
        }
        let place = Some(field).filter(|field| is_packable(field.data_type()));
        let place = place.and_then(|field| pack_value(*value, field, &mut body));
        let misfit = || invalid(table, field, &misfit(*value, field.data_type()));
        places.push(place.ok_or_else(misfit)?);
    }
    Ok(PackedRow { body, places })
}

fn misfit(value: Value<'_>, data_type: &arrow::datatypes::DataType) -> String {
    format!(
        "it holds {data_type}, which {value:?} is not; give rows of lists, structs and decimals as an Arrow batch"
    )
}

fn key_of(table: &TableDef, values: &[Value<'_>], row: &PackedRow) -> Result<Arc<[u8]>> {
    if table.key_columns().iter().any(|&column| values[column] == Value::Null) {
        return Err(Error::invalid("primary key", "a key column must not be null"));
    }
    // A lone column of bytes is its own key.
    if let [column] = table.key_columns()
        && let Value::Bytes(key) = values[*column]
    {
        return Ok(key.into());
    }
    let column = |&column: &usize| &row.body[row.places[column].clone()];
    Ok(table.key_codec()?.encode_packed(table.key_columns().iter().map(column))?.into())
}
