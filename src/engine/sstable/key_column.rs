//! The key columns of one batch, ready to be searched by encoded key.
//!
//! A single integer-like or string-like column is compared in place; any other key is encoded row by row
//! while searching, a dozen rows per search.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType};

use crate::common::Result;
use crate::format::key::{FixedKey, KeyCodec, value_bytes};
use crate::format::primitive::with_primitive;

/// Key columns of one batch, sorted by key.
#[derive(Debug)]
pub(super) struct KeyColumn {
    columns: Vec<ArrayRef>,
    codec: Arc<KeyCodec>,
    search: Box<dyn Search>,
}

/// Compares a row's key with an encoded key.
trait Search: Debug + Send + Sync {
    fn compare(&self, row: usize, key: &[u8]) -> Ordering;

    /// First row of `rows` whose key is not less than `key`; `rows.end` when there is none.
    fn lower_bound(&self, rows: Range<usize>, key: &[u8]) -> usize {
        partition(rows, |row| self.compare(row, key).is_lt())
    }
}

impl KeyColumn {
    /// Search over the key columns of one batch.
    pub(super) fn new(columns: Vec<ArrayRef>, codec: Arc<KeyCodec>) -> Self {
        let search = search_of(&columns, &codec);
        Self { columns, codec, search }
    }

    /// Rows of the batch.
    pub(super) fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.len())
    }

    /// First row, from `from` on, whose key is not less than `key`.
    pub(super) fn lower_bound(&self, from: usize, key: &[u8]) -> usize {
        self.search.lower_bound(from.min(self.rows())..self.rows(), key)
    }

    /// Like [`KeyColumn::lower_bound`], in fewer steps when the answer is near `from`.
    pub(super) fn gallop(&self, from: usize, key: &[u8]) -> usize {
        let (mut low, mut step) = (from.min(self.rows()), 1);
        while low + step < self.rows() && self.search.compare(low + step, key).is_lt() {
            low += step;
            step *= 2;
        }
        self.search.lower_bound(low..(low + step + 1).min(self.rows()), key)
    }

    /// True when `row` has this key.
    pub(super) fn is_at(&self, row: usize, key: &[u8]) -> bool {
        row < self.rows() && self.search.compare(row, key).is_eq()
    }

    /// Appends the encoded key of a row.
    pub(super) fn copy_key(&self, row: usize, key: &mut Vec<u8>) {
        self.codec.encode_row_into(&self.columns, row, key);
    }

    /// The encoded keys of all rows.
    pub(super) fn encode(&self) -> Result<BinaryArray> {
        self.codec.encode(&self.columns)
    }
}

fn search_of(columns: &[ArrayRef], codec: &Arc<KeyCodec>) -> Box<dyn Search> {
    if let [column] = columns {
        let data_type = column.data_type();
        let in_place = !data_type.is_floating();
        return with_primitive!(data_type, T => if in_place {
            Box::new(Values(column.as_primitive::<T>().values().clone()))
        } else {
            rows(columns, codec)
        }, _ => match data_type {
            DataType::Boolean => rows(columns, codec),
            DataType::FixedSizeBinary(width) if *width > 0 => Box::new(Fixed {
                values: column.as_fixed_size_binary().values().clone(),
                width: *width as usize,
            }),
            _ => Box::new(Bytes(Arc::clone(column))),
        });
    }
    rows(columns, codec)
}

fn rows(columns: &[ArrayRef], codec: &Arc<KeyCodec>) -> Box<dyn Search> {
    Box::new(Rows { columns: columns.to_vec(), codec: Arc::clone(codec) })
}

/// One fixed-width column whose values sort like their keys.
#[derive(Debug)]
struct Values<V: ArrowNativeType>(ScalarBuffer<V>);

impl<V: ArrowNativeType + FixedKey + PartialOrd> Search for Values<V> {
    fn compare(&self, row: usize, key: &[u8]) -> Ordering {
        let Some(wanted) = whole::<V>(key) else { return compare_encoded(self.0[row], key) };
        self.0[row].partial_cmp(&wanted).unwrap_or(Ordering::Equal)
    }

    fn lower_bound(&self, rows: Range<usize>, key: &[u8]) -> usize {
        let values = &self.0[rows.clone()];
        rows.start
            + match whole::<V>(key) {
                Some(wanted) => values.partition_point(|value| *value < wanted),
                None => values.partition_point(|value| compare_encoded(*value, key).is_lt()),
            }
    }
}

/// The value a key of exactly this width stands for.
fn whole<V: FixedKey>(key: &[u8]) -> Option<V> {
    if key.len() == V::WIDTH { V::take(key) } else { None }
}

/// For bounds that are a prefix of a key or longer than one.
fn compare_encoded<V: FixedKey>(value: V, key: &[u8]) -> Ordering {
    let mut encoded = [0; 32];
    value.put(&mut encoded);
    encoded[..V::WIDTH].cmp(key)
}

/// One column of fixed-size binary, whose values are their own keys.
#[derive(Debug)]
struct Fixed {
    values: Buffer,
    width: usize,
}

impl Fixed {
    fn value(&self, row: usize) -> &[u8] {
        &self.values[row * self.width..(row + 1) * self.width]
    }
}

impl Search for Fixed {
    fn compare(&self, row: usize, key: &[u8]) -> Ordering {
        self.value(row).cmp(key)
    }

    fn lower_bound(&self, rows: Range<usize>, key: &[u8]) -> usize {
        let Some(wanted) = first_word(key).filter(|_| self.width >= WORD) else {
            return partition(rows, |row| self.value(row) < key);
        };
        // Words decide nearly always, without a call for each comparison.
        partition(rows, |row| {
            let value = self.value(row);
            match first_word(value) {
                Some(word) if word != wanted => word < wanted,
                _ => value < key,
            }
        })
    }
}

const WORD: usize = size_of::<u64>();

/// The first bytes of a key as a number that sorts like them; `None` for fewer bytes than that.
fn first_word(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// First row of `rows` that is not `before`; its end when there is none.
fn partition(rows: Range<usize>, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (rows.start, rows.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// One string or binary column, whose values are their own keys.
#[derive(Debug)]
struct Bytes(ArrayRef);

impl Search for Bytes {
    fn compare(&self, row: usize, key: &[u8]) -> Ordering {
        value_bytes(&self.0, row).cmp(key)
    }
}

/// Any other key.
#[derive(Debug)]
struct Rows {
    columns: Vec<ArrayRef>,
    codec: Arc<KeyCodec>,
}

impl Search for Rows {
    fn compare(&self, row: usize, key: &[u8]) -> Ordering {
        let mut encoded = Vec::with_capacity(key.len());
        self.codec.encode_row_into(&self.columns, row, &mut encoded);
        encoded.as_slice().cmp(key)
    }
}
