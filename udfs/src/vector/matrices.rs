//! A column whose rows are lists of vectors, such as one vector for each word of a text.

use super::rows::VectorRows;
use super::shape;
use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use std::ops::Range;

/// The rows of a column. The components are 32-bit or 64-bit floats.
#[derive(Debug, Clone)]
pub struct Matrices {
    pub(super) vectors: VectorRows,
    /// Where the vectors of each row begin, and where those of the last one end.
    offsets: Vec<usize>,
    nulls: Option<NullBuffer>,
}

impl Matrices {
    /// Views `column` as lists of vectors.
    ///
    /// # Errors
    /// If it holds anything else.
    pub fn new(function: &str, column: &ArrayRef) -> Result<Self> {
        match column.data_type() {
            other if !shape::is_multivector(other) => exec_err!("{function}: {other} is no list of vectors"),
            DataType::FixedSizeList(_, length) => {
                let (list, length) = (column.as_fixed_size_list(), usize::try_from(*length).unwrap_or(0));
                let offsets = (0..=list.len()).map(|row| row * length).collect();
                Self::from_parts(function, list.values(), offsets, list.nulls())
            }
            DataType::LargeList(_) => Self::from_list(function, column.as_list::<i64>()),
            _ => Self::from_list(function, column.as_list::<i32>()),
        }
    }

    fn from_list<O: OffsetSizeTrait>(function: &str, list: &GenericListArray<O>) -> Result<Self> {
        let offsets = list.value_offsets().iter().map(|offset| offset.as_usize()).collect();
        Self::from_parts(function, list.values(), offsets, list.nulls())
    }

    fn from_parts(
        function: &str,
        vectors: &ArrayRef,
        offsets: Vec<usize>,
        nulls: Option<&NullBuffer>,
    ) -> Result<Self> {
        let vectors = VectorRows::new(function, vectors)?;
        let vectors = match vectors.components().data_type() {
            DataType::Float32 | DataType::Float64 => vectors,
            // Narrower numbers are all 32-bit floats as well.
            _ => vectors.cast(&DataType::Float32)?,
        };
        Ok(Self { vectors, offsets, nulls: nulls.cloned() })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The vectors of a row that are not null, as runs of neighbours; none for a row that is null.
    pub(super) fn runs(&self, row: usize) -> Vec<Range<usize>> {
        let span = self.offsets[row]..self.offsets[row + 1];
        if span.is_empty() || self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return vec![];
        }
        match self.vectors.nulls() {
            None => vec![span],
            Some(nulls) => {
                let slices = nulls.slice(span.start, span.len());
                slices.valid_slices().map(|(start, end)| span.start + start..span.start + end).collect()
            }
        }
    }
}
