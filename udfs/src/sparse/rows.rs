//! A column of sparse vectors, row by row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, ListArray, StructArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float32Type, UInt32Type};
use datafusion::common::{Result, exec_err};

use super::{is_sparse, literal, sparse_data_type};
use crate::kernels::{ascends, sort_pairs};

/// The rows of a column: indices ascend in each.
#[derive(Clone, Debug)]
pub struct SparseRows {
    indices: ListArray,
    values: ListArray,
    nulls: Option<NullBuffer>,
}

impl SparseRows {
    /// The vectors of a column, or those that a column of texts says.
    ///
    /// # Errors
    /// When the column holds anything else, or a row has an index twice or not one value for each.
    pub fn new(function: &str, column: &ArrayRef) -> Result<Self> {
        let column = match column.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => literal::parse(function, column)?,
            DataType::Null => arrow::array::new_null_array(&sparse_data_type(), column.len()),
            other if is_sparse(other) => Arc::clone(column),
            other => {
                return exec_err!(
                    "{function}: {other} is no sparse vector; give a SPARSEVEC column, a text such as '{{1:0.5, 7:1.2}}', \
                     or a struct of two lists, indices and values"
                );
            }
        };
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let column = cast_with_options(&column, &sparse_data_type(), &options)?;
        let rows = Self::of(column.as_struct());
        match (0..rows.len()).all(|row| rows.get(row).is_none_or(is_sound)) {
            true => Ok(rows),
            false => rows.sorted(function),
        }
    }

    /// The vectors of a column of the type of sparse vectors, whose rows are in order.
    #[must_use]
    pub fn of(column: &StructArray) -> Self {
        let list = |at: usize| column.column(at).as_list::<i32>().clone();
        Self { indices: list(0), values: list(1), nulls: column.nulls().cloned() }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Indices and values of a row; `None` when it is null.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<(&[u32], &[f32])> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let span = |list: &ListArray| {
            let offsets = list.value_offsets();
            offsets[row] as usize..offsets[row + 1] as usize
        };
        let indices = self.indices.values().as_primitive::<UInt32Type>().values();
        let values = self.values.values().as_primitive::<Float32Type>().values();
        Some((&indices[span(&self.indices)], &values[span(&self.values)]))
    }

    /// As a column again.
    #[must_use]
    pub fn into_array(self) -> ArrayRef {
        let DataType::Struct(fields) = sparse_data_type() else {
            return arrow::array::new_empty_array(&DataType::Null);
        };
        Arc::new(StructArray::new(fields, vec![Arc::new(self.indices), Arc::new(self.values)], self.nulls))
    }

    /// The same with each row's indices in order.
    fn sorted(&self, function: &str) -> Result<Self> {
        let (mut indices, mut values, mut lengths) = (vec![], vec![], vec![]);
        for row in 0..self.len() {
            let (row_indices, row_values) = self.get(row).unwrap_or_default();
            if row_indices.len() != row_values.len() {
                let (left, right) = (row_indices.len(), row_values.len());
                return exec_err!("{function}: a sparse vector has {left} indices and {right} values");
            }
            let mut pairs: Vec<(u32, f32)> =
                row_indices.iter().copied().zip(row_values.iter().copied()).collect();
            if let Err(index) = sort_pairs(&mut pairs) {
                return exec_err!("{function}: index {index} is twice in a sparse vector; add up its values");
            }
            lengths.push(pairs.len());
            indices.extend(pairs.iter().map(|(index, _)| *index));
            values.extend(pairs.iter().map(|(_, value)| *value));
        }
        Ok(Self::assemble(indices, values, lengths, self.nulls.clone()))
    }

    /// Rows of these lengths, one after the other.
    pub(super) fn assemble(
        indices: Vec<u32>,
        values: Vec<f32>,
        lengths: Vec<usize>,
        nulls: Option<NullBuffer>,
    ) -> Self {
        let item = |of| Arc::new(arrow::datatypes::Field::new_list_field(of, false));
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
        let list = |of, values: ArrayRef| ListArray::new(item(of), offsets.clone(), values, None);
        Self {
            indices: list(DataType::UInt32, Arc::new(UInt32Array::from(indices))),
            values: list(DataType::Float32, Arc::new(Float32Array::from(values))),
            nulls,
        }
    }
}

fn is_sound((indices, values): (&[u32], &[f32])) -> bool {
    indices.len() == values.len() && ascends(indices)
}
