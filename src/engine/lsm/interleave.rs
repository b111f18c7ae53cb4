//! Rows of many arrays in one: Arrow's kernel, and a copy of its own for values of a fixed number of bytes, which Arrow
//! copies one by one through a builder for any type.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch};
use arrow::buffer::MutableBuffer;
use arrow::datatypes::DataType;

use crate::common::Result;
use crate::format::table::record_batch;

/// The rows at `places`, each an array and a row of it, in that order.
///
/// # Errors
/// When they pass what one array can hold.
pub fn interleave(arrays: &[&dyn Array], places: &[(usize, usize)]) -> Result<ArrayRef> {
    let has_nulls = || arrays.iter().any(|array| array.null_count() > 0);
    match arrays.first().map(|first| first.data_type()) {
        Some(DataType::FixedSizeBinary(width)) if *width > 0 && !has_nulls() => {
            let arrays: Vec<&FixedSizeBinaryArray> =
                arrays.iter().map(|array| array.as_fixed_size_binary()).collect();
            let mut bytes = MutableBuffer::with_capacity(places.len() * *width as usize);
            places.iter().for_each(|(array, row)| bytes.extend_from_slice(arrays[*array].value(*row)));
            Ok(Arc::new(FixedSizeBinaryArray::try_new(*width, bytes.into(), None)?))
        }
        _ => Ok(arrow::compute::interleave(arrays, places)?),
    }
}

/// As [`interleave`], for batches of one schema.
///
/// # Errors
/// As [`interleave`].
pub fn interleave_batches(batches: &[&RecordBatch], places: &[(usize, usize)]) -> Result<RecordBatch> {
    let schema = batches[0].schema();
    let column = |i: usize| {
        let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(i).as_ref()).collect();
        interleave(&arrays, places)
    };
    record_batch(&schema, (0..schema.fields().len()).map(column).collect::<Result<_>>()?, places.len())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn fixed_binary_is_gathered_as_arrow_does() {
        let plain = FixedSizeBinaryArray::try_from_iter([*b"abc", *b"def", *b"ghi"].iter()).unwrap();
        let sparse = [Some(*b"123"), None, Some(*b"456")].into_iter();
        let sparse = FixedSizeBinaryArray::try_from_sparse_iter_with_size(sparse, 3).unwrap();
        let places = [(1, 1), (0, 1), (1, 0), (0, 0), (0, 1)];
        for other in [plain.slice(1, 2), sparse.slice(0, 2), plain.slice(0, 2)] {
            let arrays: [&dyn Array; 2] = [&plain, &other];
            let expected = arrow::compute::interleave(&arrays, &places).unwrap();
            assert_eq!(&interleave(&arrays, &places).unwrap(), &expected);
            assert_eq!(interleave(&arrays, &[]).unwrap().len(), 0);
        }
    }
}
