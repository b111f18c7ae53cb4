//! The file of codes: how its bytes lie, and that they are what was written.
//!
//! ```text
//! magic 8 | format version u32 | column u32 | database u128 | sst u64 | rows u64 | length of the sst u64 | dims u32 |
//! padded dims u32 | lists u32 |
//! degree u32 | candidates u32 | metric of the graph u32 | zeros up to 128 |
//! centre f32 * padded | norms f32 * rows | steps f32 * rows | errors f32 * rows | codes i8 * padded * rows |
//! starts u32 * (lists + 2) | order u32 * rows |
//! by list: norms f32 * rows | sign steps f32 * rows | sign errors f32 * rows | blocks of signs of 32 rows |
//! centroids: squares f32 * lists | steps f32 * lists | codes i8 * padded * lists | reach f32 * 144 |
//! graph: edges u32 * degree * rows | entries u32 * 8 * lists | beams u32 * 144 | xxh3-128
//! ```
//! Each part starts at a multiple of 64 bytes; those of a graph are there if the degree is not 0. The hash covers everything before it.

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;
use trilith_udfs::kernels::{SIGN_BLOCK, sign_block_bytes};
use xxhash_rust::xxh3::xxh3_128;

use super::graph::{ENTRIES, Graph};
use super::lists::{Lists, REACHES};
use super::plan::CodePlan;
use crate::common::{ColumnId, DatabaseId, Error, FileId, Result};

const MAGIC: [u8; 8] = *b"TRICODE\0";
/// Codes of any other version are made again.
const VERSION: u32 = 4;
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
    /// Which codes.
    pub plan: CodePlan,
}

impl CodeSource {
    /// Lists, not counting the rows without a code.
    pub(super) fn lists(&self) -> usize {
        self.plan.lists_of(self.rows as usize)
    }

    /// Edges of a row.
    pub(super) fn degree(&self) -> usize {
        self.plan.graph.map_or(0, |graph| graph.degree as usize)
    }
}

/// Where each part lies.
pub(super) struct Layout {
    pub centre: usize,
    pub norms: usize,
    pub steps: usize,
    pub errors: usize,
    pub codes: usize,
    pub starts: usize,
    pub order: usize,
    pub sign_norms: usize,
    pub sign_steps: usize,
    pub sign_errors: usize,
    pub signs: usize,
    pub squares: usize,
    pub list_steps: usize,
    pub list_codes: usize,
    pub reach: usize,
    pub edges: usize,
    pub entries: usize,
    pub beams: usize,
    pub hash: usize,
}

impl Layout {
    /// `None` when it would not fit in memory.
    pub(super) fn of(source: &CodeSource) -> Option<Self> {
        // A row is kept in 32 bits.
        let rows = u32::try_from(source.rows).ok()? as usize;
        let (padded, lists) = (source.padded, source.lists());
        let (degree, graphs) = (source.degree(), usize::from(source.plan.graph.is_some()));
        let mut end = HEADER_BYTES;
        let mut part = |count: usize, size: usize| {
            let start = end;
            end = start.checked_add(count.checked_mul(size)?)?.checked_next_multiple_of(ALIGNMENT)?;
            Some(start)
        };
        let layout = Self {
            centre: part(padded, 4)?,
            norms: part(rows, 4)?,
            steps: part(rows, 4)?,
            errors: part(rows, 4)?,
            codes: part(rows, padded)?,
            starts: part(lists + 2, 4)?,
            order: part(rows, 4)?,
            sign_norms: part(rows, 4)?,
            sign_steps: part(rows, 4)?,
            sign_errors: part(rows, 4)?,
            signs: part(rows.div_ceil(SIGN_BLOCK), sign_block_bytes(padded))?,
            squares: part(lists, 4)?,
            list_steps: part(lists, 4)?,
            list_codes: part(lists, padded)?,
            reach: part(REACHES, 4)?,
            edges: part(rows.checked_mul(degree)?, 4)?,
            entries: part(lists * graphs * ENTRIES, 4)?,
            beams: part(REACHES * graphs, 4)?,
            hash: part(0, 1)?,
        };
        layout.hash.checked_add(HASH_BYTES)?;
        Some(layout)
    }

    pub(super) fn len(&self) -> usize {
        self.hash + HASH_BYTES
    }
}

/// Codes of one kind: how large one unit of each is, and how far off its vector may be.
#[derive(Debug)]
pub(super) struct Rounded<T: ArrowNativeType> {
    pub norms: ScalarBuffer<f32>,
    pub steps: ScalarBuffer<f32>,
    pub errors: ScalarBuffer<f32>,
    pub codes: ScalarBuffer<T>,
}

/// The vectors of one column of one file, in few bits each: eight for each component, row by row, and one, list by list.
#[derive(Debug)]
pub struct VectorCodes {
    pub(super) source: CodeSource,
    pub(super) centre: ScalarBuffer<f32>,
    pub(super) bytes: Rounded<i8>,
    pub(super) signs: Rounded<u8>,
    pub(super) lists: Lists,
    pub(super) graph: Option<Graph>,
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
        let codes = Self::view(bytes, source, &layout);
        let rows = source.rows as usize;
        match codes.lists.is_sound(rows) && codes.graph.as_ref().is_none_or(|graph| graph.is_sound(rows)) {
            true => Ok(codes),
            false => Err(damaged("it names rows that are not there")),
        }
    }

    /// What lies in `bytes`, believed.
    pub(super) fn view(bytes: &Buffer, source: CodeSource, layout: &Layout) -> Self {
        let floats = |start: usize, count: usize| ScalarBuffer::new(bytes.clone(), start / 4, count);
        let numbers = |start: usize, count: usize| ScalarBuffer::new(bytes.clone(), start / 4, count);
        let (rows, padded) = (source.rows as usize, source.padded);
        let lists = source.lists();
        Self {
            source,
            centre: floats(layout.centre, padded),
            bytes: Rounded {
                norms: floats(layout.norms, rows),
                steps: floats(layout.steps, rows),
                errors: floats(layout.errors, rows),
                codes: ScalarBuffer::new(bytes.clone(), layout.codes, rows * padded),
            },
            signs: Rounded {
                norms: floats(layout.sign_norms, rows),
                steps: floats(layout.sign_steps, rows),
                errors: floats(layout.sign_errors, rows),
                codes: bytes.slice_with_length(layout.signs, layout.squares - layout.signs).into(),
            },
            lists: Lists {
                starts: numbers(layout.starts, lists + 2),
                order: numbers(layout.order, rows),
                squares: floats(layout.squares, lists),
                steps: floats(layout.list_steps, lists),
                codes: ScalarBuffer::new(bytes.clone(), layout.list_codes, lists * padded),
                reach: floats(layout.reach, REACHES),
            },
            graph: source.plan.graph.map(|_| Graph {
                degree: source.degree(),
                edges: numbers(layout.edges, rows * source.degree()),
                entries: numbers(layout.entries, lists * ENTRIES),
                beams: numbers(layout.beams, REACHES),
            }),
        }
    }

    /// What they were made of.
    #[must_use]
    pub fn source(&self) -> &CodeSource {
        &self.source
    }
}

/// The first bytes of codes of `source`.
pub(super) fn header(source: &CodeSource) -> [u8; HEADER_BYTES] {
    let graph =
        source.plan.graph.map_or([0; 3], |graph| [graph.degree, graph.candidates, graph.metric as u32]);
    let fields: [&[u8]; 11] = [
        &MAGIC,
        &VERSION.to_le_bytes(),
        &source.column.0.to_le_bytes(),
        &source.database.0.to_le_bytes(),
        &source.file.0.to_le_bytes(),
        &source.rows.to_le_bytes(),
        &source.data_len.to_le_bytes(),
        &(source.dims as u32).to_le_bytes(),
        &(source.padded as u32).to_le_bytes(),
        &(source.lists() as u32).to_le_bytes(),
        &graph.map(u32::to_le_bytes).concat(),
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
