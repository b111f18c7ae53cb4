//! Vectors to codes: each scaled to length one, taken relative to the centre of all, rotated, and rounded to 8 bits.
//!
//! A second code keeps the signs alone, one bit for each component, after the same paper: its error is known as a spread,
//! not as a bound. One code serves every distance that is made of norms and an inner product: cosine, Euclidean, inner product. The
//! rotation, the centre and the signs come from RaBitQ (Gao and Long, SIGMOD 2024); rounding each to 8 bits in place of one is
//! scalar quantisation, whose error is known for each vector and stored with it.

mod beams;
mod factors;
mod gather;
mod link;
mod near;
mod reach;
mod threads;
mod vectors;

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;
use arrow::datatypes::ToByteSlice;
use trilith_udfs::kernels::{
    Rotation, SIGN_BLOCK, quantize, set_signs, sign_block_bytes, sign_patterns, sign_patterns_bytes,
};

use self::factors::{Factors, UNKNOWN, sign_factors};
use self::gather::{Gatherer, projected, sample_len};
use self::vectors::Vectors;
use super::codes::{CodeSource, Layout, VectorCodes, header, seal};
use crate::common::{Error, Result};
use crate::io::aligned::AlignedBytes;

/// Rows that are gathered at once.
const CHUNK: usize = 256;

/// Codes of the vectors of `batches`, which are the column `source` names, batch by batch.
///
/// # Errors
/// `Limit` when memory does not suffice.
pub fn encode(source: CodeSource, batches: &[ArrayRef]) -> Result<Buffer> {
    let vectors = Vectors::of(batches);
    let layout = Layout::of(&source).filter(|_| vectors.len() as u64 == source.rows);
    let layout =
        layout.ok_or_else(|| Error::Internal("codes of another number of rows than the file has".into()))?;
    let short =
        |_| Error::Limit { what: "memory for the codes of a file".into(), got: layout.len() as u64, max: 0 };
    let mut bytes = AlignedBytes::zeroed(layout.len()).map_err(short)?;
    put(bytes.as_mut_slice(), 0, &header(&source));
    Encoder::new(source, &vectors, &layout).write(bytes.as_mut_slice());
    let view = |buffer: &Buffer| VectorCodes::view(buffer, source, &layout);
    let (mut bytes, reach) = bytes.lent(|buffer| reach::measured(&view(buffer), &vectors));
    put(bytes.as_mut_slice(), layout.reach, reach.to_byte_slice());
    if let Some(graph) = source.plan.graph {
        let (mut linked, (edges, entries)) = bytes.lent(|buffer| link::linked(&view(buffer), graph));
        put(linked.as_mut_slice(), layout.edges, edges.to_byte_slice());
        put(linked.as_mut_slice(), layout.entries, entries.to_byte_slice());
        let beams;
        (bytes, beams) = linked.lent(|buffer| beams::measured(&view(buffer), &vectors, graph.metric));
        put(bytes.as_mut_slice(), layout.beams, beams.to_byte_slice());
    }
    seal(bytes.as_mut_slice(), &layout);
    Ok(bytes.into_buffer())
}

fn put(all: &mut [u8], at: usize, part: &[u8]) {
    all[at..at + part.len()].copy_from_slice(part);
}

/// What is known of all rows while they are encoded.
struct Encoder<'a> {
    lists: usize,
    vectors: &'a Vectors<'a>,
    layout: &'a Layout,
    rotation: Rotation,
    /// Rotated.
    centre: Vec<f32>,
    /// Row by row.
    factors: Vec<Factors>,
    patterns: Vec<u8>,
}

impl<'a> Encoder<'a> {
    fn new(source: CodeSource, vectors: &'a Vectors<'a>, layout: &'a Layout) -> Self {
        let rotation = Rotation::new(source.dims);
        let centre = vectors.centre(&rotation);
        let patterns = vec![0; vectors.len() * sign_patterns_bytes(source.padded)];
        Self {
            lists: source.lists(),
            vectors,
            layout,
            rotation,
            centre,
            factors: Vec::with_capacity(vectors.len()),
            patterns,
        }
    }

    fn write(mut self, all: &mut [u8]) {
        let (rows, padded) = (self.vectors.len(), self.centre.len());
        let mut vector = vec![0.0; padded];
        let mut sample = Vec::new();
        for row in self.vectors.sample(sample_len(self.lists)) {
            self.residual(row, &mut vector);
            sample.extend_from_slice(projected(&vector));
        }
        let mut gatherer = Gatherer::new((rows, self.lists), padded, &sample);
        let mut chunk = vec![0.0; CHUNK * padded];
        for first in (0..rows).step_by(CHUNK) {
            let count = CHUNK.min(rows - first);
            let chunk = &mut chunk[..count * padded];
            let mut coded = [false; CHUNK];
            for ((row, vector), coded) in (first..).zip(chunk.chunks_exact_mut(padded)).zip(&mut coded) {
                *coded = self.code(row, vector, all);
            }
            gatherer.add(chunk, &coded[..count]);
        }
        self.put_rows(all);
        self.put_lists(&mut gatherer, all);
    }

    /// Writes the rotated vector of a row, relative to the centre, and returns its norm; `None` for a row without a code.
    fn residual(&self, row: usize, out: &mut [f32]) -> Option<f32> {
        let (vector, norm) = self.vectors.get(row)?;
        self.rotation.rotate(&vector, norm.recip(), out);
        out.iter_mut().zip(&self.centre).for_each(|(value, centre)| *value -= centre);
        Some(norm)
    }

    /// Encodes the next row, whose vector relative to the centre it leaves in `vector`; false for a row without a code.
    fn code(&mut self, row: usize, vector: &mut [f32], all: &mut [u8]) -> bool {
        let padded = vector.len();
        let Some(norm) = self.residual(row, vector) else {
            self.factors.push(UNKNOWN);
            return false;
        };
        let at = self.layout.codes + row * padded;
        let (step, error) = quantize(vector, &mut all[at..at + padded]);
        let bytes = sign_patterns_bytes(padded);
        sign_patterns(vector, &mut self.patterns[row * bytes..(row + 1) * bytes]);
        let (sign_step, sign_error) = sign_factors(vector);
        self.factors.push(Factors { norm, step, error, sign_step, sign_error });
        true
    }

    /// What lies in the order of rows.
    fn put_rows(&self, all: &mut [u8]) {
        put(all, self.layout.centre, self.centre.to_byte_slice());
        put_floats(all, self.layout.norms, self.factors.iter().map(|row| row.norm));
        put_floats(all, self.layout.steps, self.factors.iter().map(|row| row.step));
        put_floats(all, self.layout.errors, self.factors.iter().map(|row| row.error));
    }

    /// What lies in the order of lists.
    fn put_lists(&self, gatherer: &mut Gatherer, all: &mut [u8]) {
        let (starts, order) = gatherer.order();
        let ordered = || order.iter().map(|row| self.factors[*row as usize]);
        put(all, self.layout.starts, starts.to_byte_slice());
        put(all, self.layout.order, order.to_byte_slice());
        put_floats(all, self.layout.sign_norms, ordered().map(|row| row.norm));
        put_floats(all, self.layout.sign_steps, ordered().map(|row| row.sign_step));
        put_floats(all, self.layout.sign_errors, ordered().map(|row| row.sign_error));
        let padded = self.centre.len();
        let (block, patterns) = (sign_block_bytes(padded), sign_patterns_bytes(padded));
        for (position, row) in order.iter().map(|row| *row as usize).enumerate() {
            let start = self.layout.signs + position / SIGN_BLOCK * block;
            let signs = &self.patterns[row * patterns..(row + 1) * patterns];
            set_signs(&mut all[start..start + block], position % SIGN_BLOCK, signs);
        }
        for (list, mean) in gatherer.means().enumerate() {
            let square: f32 =
                mean.iter().zip(&self.centre).map(|(mean, centre)| (mean + centre).powi(2)).sum();
            let at = self.layout.list_codes + list * padded;
            let (step, _) = quantize(mean, &mut all[at..at + padded]);
            put(all, self.layout.squares + 4 * list, &square.to_le_bytes());
            put(all, self.layout.list_steps + 4 * list, &step.to_le_bytes());
        }
    }
}

fn put_floats(all: &mut [u8], at: usize, values: impl Iterator<Item = f32>) {
    let (slots, _) = all[at..].as_chunks_mut::<4>();
    for (slot, value) in slots.iter_mut().zip(values) {
        *slot = value.to_le_bytes();
    }
}
