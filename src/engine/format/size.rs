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
    match array.data_type() {
        DataType::Utf8View => array.len() * 16 + array.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => array.len() * 16 + array.as_binary_view().total_buffer_bytes_used(),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn a_slice_is_as_large_as_its_rows() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
        assert_eq!(array_bytes(&numbers.slice(10, 10)), 80);
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..10_000).map(|i| format!("{i:08}"))));
        assert_eq!(array_bytes(&texts.slice(5_000, 10)), 11 * 4 + 80);
    }
}
