//! The file of codes: how its bytes lie, and that they are what was written.
//!
//! ```text
//! magic 8 | format version u32 | column u32 | database u128 | sst u64 | rows u64 | length of the sst u64 | dims u32 |
//! padded dims u32 | zeros up to 128 |
//! centre f32 * padded | norms f32 * rows | steps f32 * rows | errors f32 * rows | codes i8 * padded * rows |
//! sign steps f32 * rows | sign errors f32 * rows | blocks of signs of 32 rows | xxh3-128
//! ```
//! Each part starts at a multiple of 64 bytes. The hash covers everything before it.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;
use trilith_udfs::kernels::{SIGN_BLOCK, sign_block_bytes};
use xxhash_rust::xxh3::xxh3_128;

use crate::common::{ColumnId, DatabaseId, Error, FileId, Result};

const MAGIC: [u8; 8] = *b"TRICODE\0";
/// Codes of any other version are made again.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 128;
const HASH_BYTES: usize = 16;
const ALIGNMENT: usize = 64;

/// The column that codes were made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeSource {
    /// The database.
    pub database: DatabaseId,
    /// The SSTable.
    pub file: FileId,
    /// Length of its data file.
    pub data_len: u64,
    /// Its rows.
    pub rows: u64,
    /// The column.
    pub column: ColumnId,
    /// Components of its vectors.
    pub dims: usize,
    /// Components of a code.
    pub padded: usize,
}

/// Where each part lies.
pub(super) struct Layout {
    pub centre: usize,
    pub norms: usize,
    pub steps: usize,
    pub errors: usize,
    pub codes: usize,
    pub sign_steps: usize,
    pub sign_errors: usize,
    pub signs: usize,
    pub hash: usize,
}

impl Layout {
    /// `None` when it would not fit in memory.
    pub(super) fn of(source: &CodeSource) -> Option<Self> {
        let rows = usize::try_from(source.rows).ok()?;
        let floats = |count: usize| count.checked_mul(4)?.checked_next_multiple_of(ALIGNMENT);
        let per_row = floats(rows)?;
        let centre = HEADER_BYTES;
        let norms = centre.checked_add(floats(source.padded)?)?;
        let steps = norms.checked_add(per_row)?;
        let errors = steps.checked_add(per_row)?;
        let codes = errors.checked_add(per_row)?;
        let sign_steps = codes.checked_add(rows.checked_mul(source.padded)?)?;
        let sign_errors = sign_steps.checked_add(per_row)?;
        let signs = sign_errors.checked_add(per_row)?;
        let blocks = rows.div_ceil(SIGN_BLOCK).checked_mul(sign_block_bytes(source.padded))?;
        let hash = signs.checked_add(blocks)?;
        hash.checked_add(HASH_BYTES)?;
        Some(Self { centre, norms, steps, errors, codes, sign_steps, sign_errors, signs, hash })
    }

    pub(super) fn len(&self) -> usize {
        self.hash + HASH_BYTES
    }
}

/// Codes of one kind: how large one unit of each is, and how far off its vector may be.
#[derive(Debug)]
pub(super) struct Rounded<T: ArrowNativeType> {
    pub steps: ScalarBuffer<f32>,
    pub errors: ScalarBuffer<f32>,
    pub codes: ScalarBuffer<T>,
}

/// The vectors of one column of one file, in few bits each: eight for each component, and one.
#[derive(Debug)]
pub struct VectorCodes {
    pub(super) source: CodeSource,
    pub(super) centre: ScalarBuffer<f32>,
    pub(super) norms: ScalarBuffer<f32>,
    pub(super) bytes: Rounded<i8>,
    pub(super) signs: Rounded<u8>,
}

/// The codes of some of a file's rows.
#[derive(Clone, Debug)]
pub struct CodedRows {
    /// Of the whole file.
    pub codes: Arc<VectorCodes>,
    /// The rows.
    pub rows: Range<usize>,
}

impl VectorCodes {
    /// Reads codes from the bytes of their file.
    ///
    /// # Errors
    /// `Corrupt` when they are not codes of `source`, whole.
    pub fn decode(path: &str, bytes: &Buffer, source: CodeSource) -> Result<Self> {
        let damaged = |what: &str| Error::corrupt(path, 0, what);
        let layout = Layout::of(&source).filter(|layout| layout.len() == bytes.len());
        let layout = layout.ok_or_else(|| damaged("its length is not that of codes of this file"))?;
        let (body, hash) = bytes.split_at(layout.hash);
        if hash != xxh3_128(body).to_le_bytes() {
            return Err(damaged("its hash does not agree with its content"));
        }
        if body[..HEADER_BYTES] != header(&source) {
            return Err(damaged("it holds the codes of another file or column"));
        }
        let floats = |start: usize, count: usize| ScalarBuffer::new(bytes.clone(), start / 4, count);
        let rows = source.rows as usize;
        Ok(Self {
            source,
            centre: floats(layout.centre, source.padded),
            norms: floats(layout.norms, rows),
            bytes: Rounded {
                steps: floats(layout.steps, rows),
                errors: floats(layout.errors, rows),
                codes: ScalarBuffer::new(bytes.clone(), layout.codes, rows * source.padded),
            },
            signs: Rounded {
                steps: floats(layout.sign_steps, rows),
                errors: floats(layout.sign_errors, rows),
                codes: ScalarBuffer::new(bytes.clone(), layout.signs, layout.hash - layout.signs),
            },
        })
    }

    /// What they were made of.
    #[must_use]
    pub fn source(&self) -> &CodeSource {
        &self.source
    }
}

/// The first bytes of codes of `source`.
pub(super) fn header(source: &CodeSource) -> [u8; HEADER_BYTES] {
    let fields: [&[u8]; 9] = [
        &MAGIC,
        &VERSION.to_le_bytes(),
        &source.column.0.to_le_bytes(),
        &source.database.0.to_le_bytes(),
        &source.file.0.to_le_bytes(),
        &source.rows.to_le_bytes(),
        &source.data_len.to_le_bytes(),
        &(source.dims as u32).to_le_bytes(),
        &(source.padded as u32).to_le_bytes(),
    ];
    let mut header = [0; HEADER_BYTES];
    for (slot, byte) in header.iter_mut().zip(fields.concat()) {
        *slot = byte;
    }
    header
}

/// Puts the hash at the end of `bytes`.
pub(super) fn seal(bytes: &mut [u8], layout: &Layout) {
    let hash = xxh3_128(&bytes[..layout.hash]).to_le_bytes();
    bytes[layout.hash..].copy_from_slice(&hash);
}
