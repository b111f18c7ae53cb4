//! Least and greatest value of one array, each as an array of one row: null when there is no bound.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNumericType, ArrowPrimitiveType, AsArray, BooleanArray, GenericByteArray,
    GenericByteViewArray, PrimitiveArray, new_null_array,
};
use arrow::compute;
use arrow::datatypes::{
    BinaryType, BinaryViewType, ByteArrayType, DataType, LargeBinaryType, LargeUtf8Type, StringViewType,
    Utf8Type, i256,
};

use crate::format::primitive::with_primitive;

/// Longest string or binary bound.
pub(super) const BOUND_LEN: usize = 32;

/// True for the types that have zone maps.
pub(super) fn has_bounds(data_type: &DataType) -> bool {
    with_primitive!(data_type, _T => true, _ => matches!(
        data_type,
        DataType::Boolean
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    ))
}

/// Bounds of the values, nulls apart.
pub(super) fn bounds(values: &ArrayRef) -> (ArrayRef, ArrayRef) {
    let data_type = values.data_type();
    with_primitive!(data_type, T => primitive(values.as_primitive::<T>()), _ => match data_type {
        DataType::Boolean => {
            let values = values.as_boolean();
            let one = |value| -> ArrayRef { Arc::new(BooleanArray::from(vec![value])) };
            (one(compute::min_boolean(values)), one(compute::max_boolean(values)))
        }
        DataType::Utf8 => text::<Utf8Type>(range(values.as_string::<i32>().iter())),
        DataType::LargeUtf8 => text::<LargeUtf8Type>(range(values.as_string::<i64>().iter())),
        DataType::Utf8View => text_view(range(values.as_string_view().iter())),
        DataType::Binary => binary::<BinaryType>(range(values.as_binary::<i32>().iter())),
        DataType::LargeBinary => binary::<LargeBinaryType>(range(values.as_binary::<i64>().iter())),
        DataType::BinaryView => binary_view(range(values.as_binary_view().iter())),
        other => (new_null_array(other, 1), new_null_array(other, 1)),
    })
}

/// What floats need beyond their order: no bound next to NaN, one zero.
trait Bound: Copy {
    fn is_unordered(self) -> bool {
        false
    }
    fn widen_down(self) -> Self {
        self
    }
    fn widen_up(self) -> Self {
        self
    }
}

macro_rules! plain { ($($int:ty),+) => { $(impl Bound for $int {})+ }; }
macro_rules! float {
    ($($float:ty),+) => {$(
        impl Bound for $float {
            fn is_unordered(self) -> bool {
                self.is_nan()
            }
            fn widen_down(self) -> Self {
                if self == 0.0 { -0.0 } else { self }
            }
            fn widen_up(self) -> Self {
                if self == 0.0 { 0.0 } else { self }
            }
        }
    )+};
}
plain!(i8, i16, i32, i64, i128, i256, u8, u16, u32, u64);
float!(f32, f64);

fn primitive<T: ArrowNumericType>(values: &PrimitiveArray<T>) -> (ArrayRef, ArrayRef)
where
    T::Native: Bound,
{
    let data_type = values.data_type();
    let unordered = T::DATA_TYPE.is_floating() && values.iter().flatten().any(Bound::is_unordered);
    match (compute::min(values), compute::max(values)) {
        (Some(min), Some(max)) if !unordered => {
            (one::<T>(min.widen_down(), data_type), one::<T>(max.widen_up(), data_type))
        }
        _ => (new_null_array(data_type, 1), new_null_array(data_type, 1)),
    }
}

fn one<T: ArrowPrimitiveType>(value: T::Native, data_type: &DataType) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_value(value, 1).with_data_type(data_type.clone()))
}

/// Least and greatest of some values, in one pass.
fn range<V: Ord + Copy>(values: impl Iterator<Item = Option<V>>) -> Option<(V, V)> {
    values.flatten().fold(None, |range, value| {
        Some(range.map_or((value, value), |(min, max): (V, V)| (min.min(value), max.max(value))))
    })
}

fn cut(range: Option<(&str, &str)>) -> (Option<String>, Option<String>) {
    (range.map(|(min, _)| cut_text(min).to_owned()), range.and_then(|(_, max)| text_above(max)))
}

fn text<T: ByteArrayType<Native = str>>(range: Option<(&str, &str)>) -> (ArrayRef, ArrayRef) {
    let (min, max) = cut(range);
    let one = |value: Option<String>| Arc::new(GenericByteArray::<T>::from_iter([value])) as ArrayRef;
    (one(min), one(max))
}

fn text_view(range: Option<(&str, &str)>) -> (ArrayRef, ArrayRef) {
    let (min, max) = cut(range);
    let one = |value| Arc::new(GenericByteViewArray::<StringViewType>::from_iter([value])) as ArrayRef;
    (one(min), one(max))
}

fn cut_binary(range: Option<(&[u8], &[u8])>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let min = range.map(|(min, _)| min[..min.len().min(BOUND_LEN)].to_vec());
    (min, range.and_then(|(_, max)| bytes_above(max)))
}

fn binary<T: ByteArrayType<Native = [u8]>>(range: Option<(&[u8], &[u8])>) -> (ArrayRef, ArrayRef) {
    let (min, max) = cut_binary(range);
    let one = |value: Option<Vec<u8>>| Arc::new(GenericByteArray::<T>::from_iter([value])) as ArrayRef;
    (one(min), one(max))
}

fn binary_view(range: Option<(&[u8], &[u8])>) -> (ArrayRef, ArrayRef) {
    let (min, max) = cut_binary(range);
    let one = |value| Arc::new(GenericByteViewArray::<BinaryViewType>::from_iter([value])) as ArrayRef;
    (one(min), one(max))
}

/// The longest prefix of whole characters within [`BOUND_LEN`] bytes.
fn cut_text(text: &str) -> &str {
    &text[..text.floor_char_boundary(BOUND_LEN)]
}

/// A short string not less than `max`; none when every character of the prefix is the last one.
fn text_above(max: &str) -> Option<String> {
    let prefix = cut_text(max);
    if prefix.len() == max.len() {
        return Some(max.to_owned());
    }
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The character range steps over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// Short bytes not less than `max`; none when the whole prefix is `FF`.
fn bytes_above(max: &[u8]) -> Option<Vec<u8>> {
    if max.len() <= BOUND_LEN {
        return Some(max.to_vec());
    }
    let mut prefix = max[..BOUND_LEN].to_vec();
    while let Some(last) = prefix.pop() {
        if last < 0xff {
            prefix.push(last + 1);
            return Some(prefix);
        }
    }
    None
}
