//! Rows as a table takes them: columns by name, in the table's types, with nothing in them that the table forbids.
//!
//! Every door passes here, so what is refused is refused the same way from SQL, Python and Rust.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, ListArray, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Float16Type, Float32Type, Float64Type, Schema, SchemaRef};
use arrow::util::display::FormatOptions;

use super::conform_sparse::check_sparse;
use crate::common::{Error, Result};
use crate::format::table::{SPARSE_KEY, TableDef, VECTOR_KEY, record_batch};

/// `rows` with the table's schema.
///
/// # Errors
/// `NotFound` for a column the table lacks; `Invalid` for a missing or null required column, a value that does not
/// fit the column's type, or a vector with a null, NaN or infinite element.
pub fn conform(table: &TableDef, rows: &RecordBatch) -> Result<RecordBatch> {
    let schema = table.schema();
    if rows.schema_ref().fields() == schema.fields() {
        check_columns(table, rows.columns())?;
        return record_batch(&schema, rows.columns().to_vec(), rows.num_rows());
    }
    for field in rows.schema_ref().fields() {
        table.require_column(field.name())?;
    }
    let columns =
        schema.fields().iter().map(|field| column(table, field, rows)).collect::<Result<Vec<_>>>()?;
    check_columns(table, &columns)?;
    record_batch(&schema, columns, rows.num_rows())
}

/// `keys` as the table's key columns, in key order.
///
/// # Errors
/// As [`conform`].
pub fn conform_keys(table: &TableDef, keys: &RecordBatch) -> Result<RecordBatch> {
    let schema = key_schema(table);
    if keys.num_columns() != schema.fields().len() {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(Error::invalid(
            format!("key of table {}", table.name),
            format!("give exactly its columns: {}", names.join(", ")),
        ));
    }
    let columns =
        schema.fields().iter().map(|field| column(table, field, keys)).collect::<Result<Vec<_>>>()?;
    check_nulls(table, &schema, &columns)?;
    record_batch(&schema, columns, keys.num_rows())
}

/// Key values given as one array per key column, in the columns' types.
///
/// # Errors
/// `Invalid` when the number of arrays is wrong or a value does not fit.
pub fn conform_key_arrays(table: &TableDef, keys: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let schema = key_schema(table);
    if keys.len() != schema.fields().len() {
        let why = format!("it has {} columns, {} values were given", schema.fields().len(), keys.len());
        return Err(Error::invalid(format!("key of table {}", table.name), why));
    }
    schema.fields().iter().zip(keys).map(|(field, key)| converted(table, field, key)).collect()
}

/// The key columns of a table.
#[must_use]
pub fn key_schema(table: &TableDef) -> SchemaRef {
    let fields: Vec<FieldRef> =
        table.key_columns().iter().map(|&i| Arc::clone(&table.columns[i].field)).collect();
    Arc::new(Schema::new(fields))
}

fn column(table: &TableDef, field: &Field, rows: &RecordBatch) -> Result<ArrayRef> {
    let named = rows.schema_ref().fields().iter().filter(|given| given.name() == field.name()).count();
    if named > 1 {
        return Err(invalid(table, field, "it is given twice"));
    }
    match rows.column_by_name(field.name()) {
        Some(values) => converted(table, field, values),
        None if field.is_nullable() => Ok(new_null_array(field.data_type(), rows.num_rows())),
        None => Err(invalid(table, field, "it is missing and may not be null")),
    }
}

/// Casts only between types of one family, and only values that survive it.
fn converted(table: &TableDef, field: &Field, values: &ArrayRef) -> Result<ArrayRef> {
    let (from, to) = (values.data_type(), field.data_type());
    if from == to {
        return Ok(Arc::clone(values));
    }
    if !(is_kin(from, to) && can_cast_types(from, to)) {
        return Err(invalid(table, field, &format!("it holds {to}, not {from}")));
    }
    if let (DataType::FixedSizeList(_, want), DataType::FixedSizeList(_, got)) = (to, from)
        && want != got
    {
        return Err(invalid(table, field, &format!("it holds vectors of length {want}, got length {got}")));
    }
    if let DataType::FixedSizeList(_, want) = to {
        check_list_lengths(table, field, values, *want)?;
    }
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    let cast = cast_with_options(values, to, &options).map_err(|e| invalid(table, field, &e.to_string()))?;
    if is_narrowing(from, to) {
        check_lossless(table, field, values, &cast)?;
    }
    Ok(cast)
}

/// Types between which a value keeps its meaning.
fn is_kin(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Dictionary, FixedSizeBinary, FixedSizeList, LargeBinary, LargeList, LargeUtf8,
        List, Null, Struct, Utf8, Utf8View,
    };
    let text = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View);
    let bytes = |t: &DataType| matches!(t, Binary | LargeBinary | BinaryView | FixedSizeBinary(_));
    let list = |t: &DataType| match t {
        List(item) | LargeList(item) | FixedSizeList(item, _) => Some(item.data_type().clone()),
        _ => None,
    };
    match (from, to) {
        (Null, _) => true,
        (Dictionary(_, values), _) => is_kin(values, to),
        (Struct(from), Struct(to)) => {
            from.len() == to.len()
                && from
                    .iter()
                    .zip(to)
                    .all(|(a, b)| a.name() == b.name() && is_kin(a.data_type(), b.data_type()))
        }
        _ if from == to => true,
        _ if text(from) && text(to) || bytes(from) && bytes(to) => true,
        _ if from.is_temporal() && to.is_temporal() => {
            std::mem::discriminant(from) == std::mem::discriminant(to)
                || matches!(
                    (from, to),
                    (DataType::Date32, DataType::Timestamp(..))
                        | (DataType::Date32, DataType::Date64)
                        | (DataType::Date64, DataType::Date32)
                )
        }
        _ => match (list(from), list(to)) {
            (Some(from), Some(to)) => is_kin(&from, &to),
            _ => from.is_numeric() && to.is_numeric(),
        },
    }
}

/// True when a cast can change a value without an error.
fn is_narrowing(from: &DataType, to: &DataType) -> bool {
    (from.is_floating() || matches!(from, DataType::Decimal128(..) | DataType::Decimal256(..)))
        && !to.is_floating()
        || from.is_integer() && to.is_floating()
        || matches!((from, to), (DataType::Timestamp(..), DataType::Timestamp(..)))
}

fn check_lossless(table: &TableDef, field: &Field, given: &ArrayRef, cast: &ArrayRef) -> Result<()> {
    let options = CastOptions { safe: true, format_options: FormatOptions::default() };
    let back = cast_with_options(cast, given.data_type(), &options)?;
    if back.to_data() == given.to_data() || same_values(&back, given) {
        return Ok(());
    }
    Err(invalid(
        table,
        field,
        &format!(
            "a value of type {} does not fit {} exactly; round or cast it first",
            given.data_type(),
            field.data_type()
        ),
    ))
}

fn same_values(a: &ArrayRef, b: &ArrayRef) -> bool {
    arrow::compute::kernels::cmp::not_distinct(a, b).is_ok_and(|same| same.true_count() == same.len())
}

fn check_list_lengths(table: &TableDef, field: &Field, values: &ArrayRef, want: i32) -> Result<()> {
    let wrong = match values.data_type() {
        DataType::List(_) => wrong_length(values.as_list::<i32>().iter(), want),
        DataType::LargeList(_) => wrong_length(values.as_list::<i64>().iter(), want),
        _ => None,
    };
    match wrong {
        Some((row, got)) => Err(invalid(
            table,
            field,
            &format!("it holds vectors of length {want}, row {row} has length {got}"),
        )),
        None => Ok(()),
    }
}

fn wrong_length(lists: impl Iterator<Item = Option<ArrayRef>>, want: i32) -> Option<(usize, usize)> {
    lists
        .enumerate()
        .find_map(|(row, list)| list.filter(|list| list.len() != want as usize).map(|list| (row, list.len())))
}

fn check_columns(table: &TableDef, columns: &[ArrayRef]) -> Result<()> {
    let schema = table.schema();
    check_nulls(table, &schema, columns)?;
    for (field, values) in schema.fields().iter().zip(columns) {
        if field.metadata().contains_key(VECTOR_KEY) {
            match field.data_type() {
                DataType::List(_) => check_vector_lists(table, field, values.as_list())?,
                _ => check_vectors(table, field, values)?,
            }
        }
        if field.metadata().contains_key(SPARSE_KEY) {
            check_sparse(table, field, values)?;
        }
    }
    Ok(())
}

fn check_nulls(table: &TableDef, schema: &Schema, columns: &[ArrayRef]) -> Result<()> {
    for (field, values) in schema.fields().iter().zip(columns) {
        if !field.is_nullable() && values.logical_null_count() > 0 {
            return Err(invalid(table, field, "it may not be null"));
        }
    }
    Ok(())
}

fn check_vectors(table: &TableDef, field: &Field, values: &ArrayRef) -> Result<()> {
    let Some(vectors) = values.as_fixed_size_list_opt() else { return Ok(()) };
    match bad_element(vectors) {
        Some((row, what)) => Err(invalid(
            table,
            field,
            &format!("the vector in row {row} holds {what}; every element must be a finite number"),
        )),
        None => Ok(()),
    }
}

fn check_vector_lists(table: &TableDef, field: &Field, lists: &ListArray) -> Result<()> {
    let Some(vectors) = lists.values().as_fixed_size_list_opt() else { return Ok(()) };
    let offsets = lists.value_offsets();
    let rows = lists.nulls().map_or_else(|| vec![(0, lists.len())], |nulls| nulls.valid_slices().collect());
    for (start, end) in rows {
        let (first, end) = (offsets[start] as usize, offsets[end] as usize);
        if let Some((vector, what)) = bad_element(&vectors.slice(first, end - first)) {
            let row = offsets.partition_point(|offset| *offset as usize <= first + vector) - 1;
            let vector = first + vector - offsets[row] as usize;
            let why =
                format!("vector {vector} of row {row} holds {what}; every element must be a finite number");
            return Err(invalid(table, field, &why));
        }
    }
    Ok(())
}

/// First row with an element that is null, NaN or infinite.
fn bad_element(vectors: &FixedSizeListArray) -> Option<(usize, &'static str)> {
    let width = vectors.value_length() as usize;
    let start = vectors.value_offset(0) as usize;
    let elements = vectors.values().slice(start, vectors.len() * width);
    let live = |at: usize| vectors.is_valid(at / width);
    let null = (elements.null_count() > 0)
        .then(|| (0..elements.len()).find(|&i| elements.is_null(i) && live(i)))
        .flatten();
    if let Some(at) = null {
        return Some((at / width, "a null"));
    }
    let unfit = match elements.data_type() {
        DataType::Float16 => {
            first_unfit(elements.as_primitive::<Float16Type>().values(), |v| v.is_finite(), live)
        }
        DataType::Float32 => {
            first_unfit(elements.as_primitive::<Float32Type>().values(), |v| v.is_finite(), live)
        }
        DataType::Float64 => {
            first_unfit(elements.as_primitive::<Float64Type>().values(), |v| v.is_finite(), live)
        }
        _ => None,
    };
    unfit.map(|at| (at / width, "NaN or an infinity"))
}

fn first_unfit<T: Copy>(
    values: &[T],
    finite: impl Fn(T) -> bool,
    live: impl Fn(usize) -> bool,
) -> Option<usize> {
    // The common case is all finite: one branch-free pass decides it.
    if values.iter().fold(true, |all, value| all & finite(*value)) {
        return None;
    }
    (0..values.len()).find(|&i| !finite(values[i]) && live(i))
}

pub(super) fn invalid(table: &TableDef, field: &Field, why: &str) -> Error {
    Error::invalid(format!("column {:?} of table {}", field.name(), table.name), why)
}
