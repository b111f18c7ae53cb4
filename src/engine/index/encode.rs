//! Vectors to codes: each scaled to length one, taken relative to the centre of all, rotated, and rounded to 8 bits.
//!
//! A second code keeps the signs alone, one bit for each component, after the same paper: its error is known as a spread,
//! not as a bound. One code serves every distance that is made of norms and an inner product: cosine, Euclidean, inner product. The
//! rotation, the centre and the signs come from RaBitQ (Gao and Long, SIGMOD 2024); rounding each to 8 bits in place of one is
//! scalar quantisation, whose error is known for each vector and stored with it.

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Float32Type, ToByteSlice};
use trilith_udfs::kernels::{Rotation, SIGN_BLOCK, dot, quantize, set_signs, sign_block_bytes};

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
/// # Errors
/// `Limit` when memory does not suffice.
pub fn encode(source: CodeSource, batches: &[ArrayRef]) -> Result<Buffer> {
    let rotation = Rotation::new(source.dims);
    let centre = centre(&rotation, batches);
    let rows: usize = batches.iter().map(|batch| batch.len()).sum();
    let layout = Layout::of(&source).filter(|_| rows as u64 == source.rows);
    let layout =
        layout.ok_or_else(|| Error::Internal("codes of another number of rows than the file has".into()))?;
    let short =
        |_| Error::Limit { what: "memory for the codes of a file".into(), got: layout.len() as u64, max: 0 };
    let mut bytes = AlignedBytes::zeroed(layout.len()).map_err(short)?;
    let mut encoder = Encoder { rotated: vec![0.0; source.padded], rotation, centre, row: 0, layout };
    let all = bytes.as_mut_slice();
    batches.iter().for_each(|batch| encoder.add(batch.as_fixed_size_list(), all));
    put(all, 0, &header(&source));
    put(all, encoder.layout.centre, encoder.centre.to_byte_slice());
    seal(all, &encoder.layout);
    Ok(bytes.into_buffer())
}

fn put(all: &mut [u8], at: usize, part: &[u8]) {
    all[at..at + part.len()].copy_from_slice(part);
}

struct Encoder {
    rotation: Rotation,
    /// Rotated.
    centre: Vec<f32>,
    rotated: Vec<f32>,
    /// The next row.
    row: usize,
    layout: Layout,
}

/// The factors of a row's codes.
struct Factors {
    norm: f32,
    step: f32,
    error: f32,
    sign_step: f32,
    sign_error: f32,
}

/// Of a row without codes: nothing is known of its distance.
const UNKNOWN: Factors =
    Factors { norm: 0.0, step: 0.0, error: f32::INFINITY, sign_step: 0.0, sign_error: f32::INFINITY };

impl Encoder {
    fn add(&mut self, batch: &FixedSizeListArray, all: &mut [u8]) {
        let vectors = Vectors::of(batch);
        for row in 0..batch.len() {
            let factors = match vectors.norm(row) {
                Some(norm) => self.code(vectors.row(row), norm, all),
                None => UNKNOWN,
            };
            let Layout { norms, steps, errors, sign_steps, sign_errors, .. } = self.layout;
            let Factors { norm, step, error, sign_step, sign_error } = factors;
            let parts = [
                (norms, norm),
                (steps, step),
                (errors, error),
                (sign_steps, sign_step),
                (sign_errors, sign_error),
            ];
            for (start, factor) in parts {
                put(all, start + 4 * self.row, &factor.to_le_bytes());
            }
            self.row += 1;
        }
    }

    fn code(&mut self, vector: &[f32], norm: f32, all: &mut [u8]) -> Factors {
        let padded = self.rotated.len();
        self.rotation.rotate(vector, norm.recip(), &mut self.rotated);
        self.rotated.iter_mut().zip(&self.centre).for_each(|(value, centre)| *value -= centre);
        let codes = self.layout.codes + self.row * padded;
        let (step, error) = quantize(&self.rotated, &mut all[codes..codes + padded]);
        let block = self.layout.signs + self.row / SIGN_BLOCK * sign_block_bytes(padded);
        set_signs(&mut all[block..block + sign_block_bytes(padded)], self.row % SIGN_BLOCK, &self.rotated);
        let (sign_step, sign_error) = sign_factors(&self.rotated);
        Factors { norm, step, error, sign_step, sign_error }
    }
}

/// What the signs of a vector are to be multiplied with, and the standard deviation of an inner product taken with them.
fn sign_factors(vector: &[f32]) -> (f32, f32) {
    let dims = vector.len() as f32;
    let squared = dot(vector, vector);
    let absolute = vector.iter().map(|value| value.abs()).sum::<f32>();
    if absolute < f32::MIN_POSITIVE {
        return (0.0, 0.0);
    }
    // The cosine of the angle between the vector and its signs, squared.
    let agreement = (absolute * absolute / (dims * squared)).min(1.0);
    (squared / absolute, (squared * (1.0 - agreement) / (agreement * (dims - 1.0))).sqrt())
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
