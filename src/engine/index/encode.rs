//! Vectors to codes: each scaled to length one, taken relative to the centre of all, rotated, and rounded to 8 bits.
//!
//! One code serves every distance that is made of norms and an inner product: cosine, Euclidean, inner product. The
//! rotation and the centre come from RaBitQ (Gao and Long, SIGMOD 2024); rounding each to 8 bits in place of one is
//! scalar quantisation, whose error is known for each vector and stored with it.

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Float32Type, ToByteSlice};
use trilith_udfs::kernels::{Rotation, dot, quantize};

use super::codes::{CodeSource, Layout, header, seal};
use crate::common::{Error, Result};
use crate::io::aligned::AlignedBytes;

/// Vectors of fewer components are compared as they are: their codes would save little.
pub const CODED_DIMS_MIN: usize = 64;
/// Files of fewer rows have no codes.
pub const CODED_ROWS_MIN: u64 = 1024;
/// Rows that the centre is taken of.
const CENTRE_ROWS: usize = 4096;
/// Norms outside of this range are not coded: their squares would not fit.
const NORMS: std::ops::Range<f32> = 1e-15..1e15;

/// The number of components of a column that gets codes; `None` for a column that does not.
#[must_use]
pub fn is_coded(data_type: &DataType) -> Option<usize> {
    let DataType::FixedSizeList(item, length) = data_type else { return None };
    let dims = usize::try_from(*length).ok()?;
    (*item.data_type() == DataType::Float32 && dims >= CODED_DIMS_MIN).then_some(dims)
}

/// Codes of the vectors of `batches`, which are the column `source` names, batch by batch.
///
/// Takes about 1.5 microseconds for each vector of 384 components.
///
/// # Errors
/// `Limit` when memory does not suffice.
pub fn encode(source: CodeSource, batches: &[ArrayRef]) -> Result<Buffer> {
    let rotation = Rotation::new(source.dims);
    let centre = centre(&rotation, batches);
    let (mut floats, mut codes) = ([Vec::new(), Vec::new(), Vec::new()], Vec::new());
    let rows = source.rows as usize;
    let short = |_| Error::Limit {
        what: "memory for the codes of a file".into(),
        got: (rows * source.padded) as u64,
        max: 0,
    };
    floats.iter_mut().try_for_each(|part| part.try_reserve_exact(rows)).map_err(short)?;
    codes.try_reserve_exact(rows * source.padded).map_err(short)?;
    let mut encoder = Encoder { rotated: vec![0.0; source.padded], rotation, centre, floats, codes };
    batches.iter().for_each(|batch| encoder.add(batch.as_fixed_size_list()));
    encoder.into_bytes(&source)
}

struct Encoder {
    rotation: Rotation,
    /// Rotated.
    centre: Vec<f32>,
    rotated: Vec<f32>,
    /// Steps, errors, norms.
    floats: [Vec<f32>; 3],
    codes: Vec<i8>,
}

impl Encoder {
    fn add(&mut self, batch: &FixedSizeListArray) {
        let vectors = Vectors::of(batch);
        for row in 0..batch.len() {
            let coded = vectors.norm(row);
            let start = self.codes.len();
            self.codes.resize(start + self.rotated.len(), 0);
            // A row without a code: nothing is known of its distance.
            let (step, error) = match coded {
                Some(norm) => self.code(vectors.row(row), norm, start),
                None => (0.0, f32::INFINITY),
            };
            let values = [step, error, coded.unwrap_or(0.0)];
            self.floats.iter_mut().zip(values).for_each(|(part, value)| part.push(value));
        }
    }

    fn code(&mut self, vector: &[f32], norm: f32, start: usize) -> (f32, f32) {
        self.rotation.rotate(vector, norm.recip(), &mut self.rotated);
        self.rotated.iter_mut().zip(&self.centre).for_each(|(value, centre)| *value -= centre);
        quantize(&self.rotated, &mut self.codes[start..])
    }

    fn into_bytes(self, source: &CodeSource) -> Result<Buffer> {
        let parts = Layout::of(source).filter(|_| self.floats[0].len() as u64 == source.rows);
        let layout = parts
            .ok_or_else(|| Error::Internal("codes of another number of rows than the file has".into()))?;
        let short = |_| Error::Limit {
            what: "memory for the codes of a file".into(),
            got: layout.len() as u64,
            max: 0,
        };
        let mut bytes = AlignedBytes::zeroed(layout.len()).map_err(short)?;
        let all = bytes.as_mut_slice();
        let mut put = |at: usize, part: &[u8]| all[at..at + part.len()].copy_from_slice(part);
        put(0, &header(source));
        put(layout.centre, self.centre.to_byte_slice());
        let [steps, errors, norms] = &self.floats;
        put(layout.steps, steps.to_byte_slice());
        put(layout.errors, errors.to_byte_slice());
        put(layout.norms, norms.to_byte_slice());
        put(layout.codes, self.codes.to_byte_slice());
        seal(all, &layout);
        Ok(bytes.into_buffer())
    }
}

/// The mean of vectors scaled to length one, rotated.
fn centre(rotation: &Rotation, batches: &[ArrayRef]) -> Vec<f32> {
    let rows: usize = batches.iter().map(|batch| batch.len()).sum();
    let stride = rows.div_ceil(CENTRE_ROWS).max(1);
    let mut sum = vec![0.0_f32; rotation.dims()];
    let mut counted = 0.0;
    for batch in batches {
        let vectors = Vectors::of(batch.as_fixed_size_list());
        for row in (0..batch.len()).step_by(stride) {
            let Some(norm) = vectors.norm(row) else { continue };
            counted += 1.0;
            sum.iter_mut().zip(vectors.row(row)).for_each(|(sum, value)| *sum += value / norm);
        }
    }
    let mut centre = vec![0.0; rotation.padded()];
    rotation.rotate(&sum, f32::max(counted, 1.0).recip(), &mut centre);
    centre
}

/// The vectors of a batch.
struct Vectors<'a> {
    list: &'a FixedSizeListArray,
    values: &'a [f32],
    dims: usize,
}

impl<'a> Vectors<'a> {
    fn of(list: &'a FixedSizeListArray) -> Self {
        Self {
            list,
            values: list.values().as_primitive::<Float32Type>().values(),
            dims: list.value_length() as usize,
        }
    }

    fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.dims..(row + 1) * self.dims]
    }

    /// Its length; `None` for a vector that gets no code.
    fn norm(&self, row: usize) -> Option<f32> {
        let values = self.list.values();
        let whole = self.list.is_valid(row)
            && (values.null_count() == 0 || values.slice(row * self.dims, self.dims).null_count() == 0);
        let norm = whole.then(|| dot(self.row(row), self.row(row)).sqrt())?;
        NORMS.contains(&norm).then_some(norm)
    }
}
