//! A column of vectors as one flat buffer of components and where each row lies in it.
//!
//! Fixed-size lists and lists are viewed, not copied; only element types without a kernel are cast.
//! Invariant: row `i` is `span(i)` of `components()`, and is null exactly where `nulls()` says so.

use super::{literal, shape};
use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, UInt8Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{ArrowNativeType, DataType};
use datafusion::common::{Result, ScalarValue, exec_err};
use std::ops::Range;
use std::sync::Arc;

/// Where the rows lie.
#[derive(Debug, Clone)]
enum Layout {
    /// One after the other, all of this length.
    Fixed(usize),
    /// From each offset to the next.
    Offsets(Vec<usize>),
}

/// A column of vectors.
#[derive(Debug, Clone)]
pub(super) struct VectorRows {
    components: ArrayRef,
    layout: Layout,
    nulls: Option<NullBuffer>,
    len: usize,
}

impl VectorRows {
    /// Views `array` as vectors.
    ///
    /// # Errors
    /// If its type holds no vectors, or a text is none.
    pub(super) fn new(function: &str, array: &ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::FixedSizeList(_, length) => {
                let list = array.as_fixed_size_list();
                let layout = Layout::Fixed(usize::try_from(*length).unwrap_or(0));
                Self::from_parts(list.values(), layout, list.nulls(), list.len())
            }
            DataType::List(_) => Self::from_list(array.as_list::<i32>()),
            DataType::LargeList(_) => Self::from_list(array.as_list::<i64>()),
            DataType::Null => Self::new(
                function,
                &cast(array, &ScalarValue::new_null_list(DataType::Float64, true, 1).data_type())?,
            ),
            other if shape::is_text(other) => Self::new(function, &literal::parse(function, array)?),
            other if shape::is_packed(other) => Self::from_bytes(array),
            other => exec_err!("{function}: a value of type {other} is no vector"),
        }
    }

    fn from_list<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> Result<Self> {
        let offsets = list.value_offsets().iter().map(|offset| offset.as_usize()).collect();
        Self::from_parts(list.values(), Layout::Offsets(offsets), list.nulls(), list.len())
    }

    /// Binary values are vectors of packed bits.
    fn from_bytes(array: &ArrayRef) -> Result<Self> {
        let bytes = cast(array, &DataType::LargeBinary)?;
        let bytes = bytes.as_binary::<i64>();
        let components = UInt8Array::new(bytes.values().clone().into(), None);
        let offsets = bytes.value_offsets().iter().map(|offset| offset.as_usize()).collect();
        Self::from_parts(
            &(Arc::new(components) as ArrayRef),
            Layout::Offsets(offsets),
            bytes.nulls(),
            bytes.len(),
        )
    }

    fn from_parts(
        components: &ArrayRef,
        layout: Layout,
        nulls: Option<&NullBuffer>,
        len: usize,
    ) -> Result<Self> {
        use DataType::{Float16, Float32, Float64, Int8, UInt8};
        let components = match components.data_type() {
            Float16 | Float32 | Float64 | Int8 | UInt8 => Arc::clone(components),
            _ => cast(components, &Float64)?,
        };
        let mut rows = Self { components, layout, nulls: nulls.cloned(), len };
        if let Some(components) = rows.components.nulls().filter(|nulls| nulls.null_count() > 0).cloned() {
            rows.hide_incomplete(&components);
        }
        Ok(rows)
    }

    /// A row with a null component is null.
    fn hide_incomplete(&mut self, components: &NullBuffer) {
        let complete = BooleanBuffer::collect_bool(self.len, |row| {
            let span = self.span(row);
            components.slice(span.start, span.len()).null_count() == 0
        });
        self.nulls = NullBuffer::union(self.nulls.as_ref(), Some(&NullBuffer::new(complete)));
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The flat components: `Float16`, `Float32`, `Float64`, `Int8` or `UInt8`.
    pub(super) fn components(&self) -> &ArrayRef {
        &self.components
    }

    /// Which rows are null.
    pub(super) fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// Whether row `row` is null.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Where row `row` lies in the components.
    pub(super) fn span(&self, row: usize) -> Range<usize> {
        match &self.layout {
            Layout::Fixed(length) => row * length..(row + 1) * length,
            Layout::Offsets(offsets) => offsets[row]..offsets[row + 1],
        }
    }

    /// The length of every row, where the type fixes it.
    pub(super) fn fixed_length(&self) -> Option<usize> {
        match self.layout {
            Layout::Fixed(length) => Some(length),
            Layout::Offsets(_) => None,
        }
    }

    /// The same rows with components of another type.
    pub(super) fn cast(&self, data_type: &DataType) -> Result<Self> {
        Ok(Self { components: cast(&self.components, data_type)?, ..self.clone() })
    }

    /// The components of row `row` as numbers.
    pub(super) fn numbers(&self, row: usize) -> Result<Vec<f64>> {
        let span = self.span(row);
        let numbers = cast(&self.components.slice(span.start, span.len()), &DataType::Float64)?;
        Ok(numbers.as_primitive::<arrow::datatypes::Float64Type>().values().to_vec())
    }
}

/// Runs `$body` with `$values` bound to the components of `$rows` as a slice of their type.
macro_rules! with_components {
    ($rows:expr, |$values:ident| $body:expr) => {{
        use arrow::array::AsArray as _;
        use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Int8Type, UInt8Type};
        let components = $rows.components();
        match components.data_type() {
            DataType::Float16 => {
                let $values: &[half::f16] = components.as_primitive::<Float16Type>().values();
                $body
            }
            DataType::Float32 => {
                let $values: &[f32] = components.as_primitive::<Float32Type>().values();
                $body
            }
            DataType::Int8 => {
                let $values: &[i8] = components.as_primitive::<Int8Type>().values();
                $body
            }
            DataType::UInt8 => {
                let $values: &[u8] = components.as_primitive::<UInt8Type>().values();
                $body
            }
            _ => {
                let $values: &[f64] = components.as_primitive::<Float64Type>().values();
                $body
            }
        }
    }};
}

pub(super) use with_components;
