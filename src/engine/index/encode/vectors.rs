//! The vectors of a column, batch after batch, by their row.

use std::borrow::Cow;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Int8Type, UInt8Type};
use trilith_udfs::kernels::{Rotation, dot};
use xxhash_rust::xxh3::xxh3_64;

/// Rows that the centre is taken of.
const CENTRE_ROWS: usize = 4096;
/// Norms outside of this range are not coded: their squares would not fit.
const NORMS: std::ops::Range<f32> = 1e-15..1e15;

/// The vectors of a column.
pub(super) struct Vectors<'a> {
    batches: Vec<Batch<'a>>,
    /// The first row of each batch, and the end.
    firsts: Vec<usize>,
}

impl<'a> Vectors<'a> {
    pub(super) fn of(batches: &'a [ArrayRef]) -> Self {
        let mut firsts = vec![0];
        for batch in batches {
            firsts.push(firsts[firsts.len() - 1] + batch.len());
        }
        Self { batches: batches.iter().map(|batch| Batch::of(batch.as_fixed_size_list())).collect(), firsts }
    }

    pub(super) fn len(&self) -> usize {
        self.firsts[self.firsts.len() - 1]
    }

    /// The vector of a row, and its length; `None` for a vector that gets no code.
    pub(super) fn get(&self, row: usize) -> Option<(Cow<'a, [f32]>, f32)> {
        let batch = self.firsts.partition_point(|first| *first <= row) - 1;
        self.batches[batch].get(row - self.firsts[batch])
    }

    /// About `count` rows of those that get a code: one drawn of each of as many stretches, as rows may repeat in some rhythm.
    pub(super) fn sample(&self, count: usize) -> impl Iterator<Item = usize> + '_ {
        let stride = self.len().div_ceil(count.max(1)).max(1);
        let drawn = move |first: usize| first + (xxh3_64(&first.to_le_bytes()) % stride as u64) as usize;
        let rows = (0..self.len()).step_by(stride).map(drawn);
        rows.filter(|row| *row < self.len() && self.get(*row).is_some())
    }

    /// The mean of vectors scaled to length one, rotated.
    pub(super) fn centre(&self, rotation: &Rotation) -> Vec<f32> {
        let mut sum = vec![0.0_f32; rotation.dims()];
        let mut counted = 0.0;
        for (vector, norm) in self.sample(CENTRE_ROWS).filter_map(|row| self.get(row)) {
            counted += 1.0;
            sum.iter_mut().zip(&*vector).for_each(|(sum, value)| *sum += value / norm);
        }
        let mut centre = vec![0.0; rotation.padded()];
        rotation.rotate(&sum, f32::max(counted, 1.0).recip(), &mut centre);
        centre
    }
}

/// The vectors of one batch.
struct Batch<'a> {
    list: &'a FixedSizeListArray,
    dims: usize,
}

impl<'a> Batch<'a> {
    fn of(list: &'a FixedSizeListArray) -> Self {
        Self { list, dims: list.value_length() as usize }
    }

    fn get(&self, row: usize) -> Option<(Cow<'a, [f32]>, f32)> {
        let items = self.list.values();
        let whole = self.list.is_valid(row)
            && (items.null_count() == 0 || items.slice(row * self.dims, self.dims).null_count() == 0);
        let vector = whole.then(|| floats(items, row * self.dims..(row + 1) * self.dims))??;
        let norm = dot(&vector, &vector).sqrt();
        NORMS.contains(&norm).then_some((vector, norm))
    }
}

/// Components as floats of 32 bits: what rounding takes from those of 64 is far below what bounds allow for.
fn floats(items: &ArrayRef, of: Range<usize>) -> Option<Cow<'_, [f32]>> {
    fn widened<T: ArrowPrimitiveType>(
        items: &ArrayRef,
        of: Range<usize>,
        float: impl Fn(T::Native) -> f32,
    ) -> Cow<'_, [f32]> {
        items.as_primitive::<T>().values()[of].iter().map(|value| float(*value)).collect()
    }
    Some(match items.data_type() {
        DataType::Float32 => Cow::Borrowed(&items.as_primitive::<Float32Type>().values()[of]),
        DataType::Float16 => widened::<Float16Type>(items, of, f32::from),
        DataType::Float64 => widened::<Float64Type>(items, of, |value| value as f32),
        DataType::Int8 => widened::<Int8Type>(items, of, f32::from),
        DataType::UInt8 => widened::<UInt8Type>(items, of, f32::from),
        _ => return None,
    })
}
