//! How many bytes the rows of a batch are, whatever buffers they lie in.
//!
//! Columns read from a mapped file are slices of the whole map, and Arrow's own sizes count the map
//! once for each of them: a statement that rewrites a file's rows would seem to hold it many times over.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// Bytes of the rows of a batch.
#[must_use]
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_bytes).sum()
}

fn array_bytes(array: &ArrayRef) -> usize {
    let nulls = array.nulls().map_or(0, |_| array.len().div_ceil(8));
    match array.data_type() {
        // The common types without a look at all that Arrow knows of them: single rows are weighed too.
        DataType::Utf8 => nulls + spanned(array.as_string::<i32>().value_offsets()),
        DataType::Binary => nulls + spanned(array.as_binary::<i32>().value_offsets()),
        DataType::FixedSizeBinary(width) => nulls + array.len() * *width as usize,
        fixed if fixed.is_primitive() => nulls + array.len() * fixed.primitive_width().unwrap_or_default(),
        DataType::Utf8View => array.len() * 16 + array.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => array.len() * 16 + array.as_binary_view().total_buffer_bytes_used(),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

/// Bytes of offsets and of the values between the first and the last of them.
fn spanned(offsets: &[i32]) -> usize {
    let values = offsets.last().zip(offsets.first()).map_or(0, |(end, start)| (end - start) as usize);
    size_of_val(offsets) + values
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use arrow::array::{BinaryArray, FixedSizeBinaryArray, Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn common_types_weigh_what_arrow_says() {
        let texts = || (0..100).map(|i| (i % 3 > 0).then(|| "x".repeat(i)));
        let columns: [ArrayRef; 4] = [
            Arc::new(StringArray::from_iter(texts())),
            Arc::new(BinaryArray::from_iter(texts())),
            Arc::new(FixedSizeBinaryArray::try_from_iter(std::iter::repeat_n([1u8, 2, 3], 100)).unwrap()),
            Arc::new(Int64Array::from_iter((0..100).map(|i| (i % 5 > 0).then_some(i)))),
        ];
        for column in columns {
            for column in [column.slice(0, 100), column.slice(13, 70), column.slice(5, 0)] {
                assert_eq!(Some(array_bytes(&column)), column.to_data().get_slice_memory_size().ok());
            }
        }
    }

    #[test]
    fn a_slice_is_as_large_as_its_rows() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
        assert_eq!(array_bytes(&numbers.slice(10, 10)), 80);
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..10_000).map(|i| format!("{i:08}"))));
        assert_eq!(array_bytes(&texts.slice(5_000, 10)), 11 * 4 + 80);
    }
}
