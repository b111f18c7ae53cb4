//! What a column of sparse vectors may hold: as many values as indices, ascending indices, finite values.

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::{Field, Float32Type, UInt32Type};
use trilith_udfs::kernels::ascends;

use super::conform::invalid;
use crate::common::Result;
use crate::format::table::TableDef;

/// Refuses what no search could read.
///
/// # Errors
/// `Invalid`, naming the row and what is wrong with it.
pub(super) fn check_sparse(table: &TableDef, field: &Field, values: &ArrayRef) -> Result<()> {
    let Some(vectors) = values.as_struct_opt() else { return Ok(()) };
    let lists = (vectors.column(0).as_list_opt::<i32>(), vectors.column(1).as_list_opt::<i32>());
    let (Some(indices), Some(values)) = lists else { return Ok(()) };
    for row in (0..vectors.len()).filter(|row| vectors.is_valid(*row)) {
        if let Some(what) = fault(indices, values, row) {
            return Err(invalid(table, field, &format!("the sparse vector in row {row} {what}")));
        }
    }
    Ok(())
}

fn fault(indices: &ListArray, values: &ListArray, row: usize) -> Option<&'static str> {
    let (indices, values) = (indices.value(row), values.value(row));
    if indices.len() != values.len() {
        return Some("has not one value for each index");
    }
    let (indices, values) =
        (indices.as_primitive_opt::<UInt32Type>()?, values.as_primitive_opt::<Float32Type>()?);
    if indices.null_count() + values.null_count() > 0 {
        return Some("holds a null");
    }
    if !ascends(indices.values()) {
        return Some(
            "has indices that do not ascend, or one twice; sort them and add up values of one index",
        );
    }
    (!values.values().iter().all(|value| value.is_finite())).then_some("holds NaN or an infinity")
}
