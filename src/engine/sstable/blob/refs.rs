//! References to values in blob files, as a column of an SSTable.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, UInt64Type};
use xxhash_rust::xxh3::xxh3_64;

use crate::common::{ColumnId, Error, FileId, Result};

/// Metadata of a column of references: the id of the column whose values they are.
const OWNER_KEY: &str = "trilith:blobs_of";
/// Names of the four numbers of a reference, in order.
const PARTS: [&str; 4] = ["file", "offset", "len", "hash"];

/// Where a value lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlobRef {
    /// Its blob file.
    pub file: FileId,
    /// Its first byte there.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// xxh3-64 of its bytes.
    pub hash: u64,
}

impl BlobRef {
    /// True when these are the bytes it refers to.
    #[must_use]
    pub fn is(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.len && hash_value(bytes) == self.hash
    }
}

/// Hash of a value.
pub(super) fn hash_value(value: &[u8]) -> u64 {
    xxh3_64(value)
}

/// The column that holds the references of the column `owner`, which is called `name`.
#[must_use]
pub fn blob_field(name: &str, owner: ColumnId) -> FieldRef {
    let metadata = HashMap::from([(OWNER_KEY.to_owned(), owner.to_string())]);
    Arc::new(Field::new(format!("{name}:blob"), ref_type(), true).with_metadata(metadata))
}

/// The column that a column of references belongs to; `None` for any other column.
#[must_use]
pub fn blob_owner(field: &Field) -> Option<ColumnId> {
    let owner = field.metadata().get(OWNER_KEY)?.parse().ok().map(ColumnId)?;
    (*field.data_type() == ref_type()).then_some(owner)
}

fn parts() -> Fields {
    PARTS.iter().map(|name| Field::new(*name, DataType::UInt64, false)).collect()
}

fn ref_type() -> DataType {
    DataType::Struct(parts())
}

/// References, read.
#[derive(Clone, Debug)]
pub struct BlobRefs {
    parts: [UInt64Array; 4],
    nulls: Option<NullBuffer>,
}

impl BlobRefs {
    /// Of an array of a column of references.
    ///
    /// # Errors
    /// `Internal` when it is another one.
    pub fn new(array: &ArrayRef) -> Result<Self> {
        if *array.data_type() != ref_type() {
            return Err(Error::Internal(format!("{} for a column of references", array.data_type())));
        }
        let array = array.as_struct();
        let parts = std::array::from_fn(|i| array.column(i).as_primitive::<UInt64Type>().clone());
        Ok(Self { parts, nulls: array.nulls().cloned() })
    }

    /// The reference of a row; `None` where the value stands in its column.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<BlobRef> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let [file, offset, len, hash] = std::array::from_fn(|i| self.parts[i].value(row));
        Some(BlobRef { file: FileId(file), offset, len, hash })
    }

    /// Rows, and their references, that have one.
    pub fn iter(&self) -> impl Iterator<Item = (usize, BlobRef)> + '_ {
        (0..self.parts[0].len()).filter_map(|row| Some((row, self.get(row)?)))
    }

    /// True when every value stands in its column.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.null_count() == nulls.len())
    }
}

/// References of rows, one after another.
#[derive(Debug, Default)]
pub struct RefBuilder {
    refs: Vec<Option<BlobRef>>,
}

impl RefBuilder {
    /// References of rows whose values all stand in their column.
    ///
    /// # Errors
    /// As [`RefBuilder::finish`].
    pub fn none(rows: usize) -> Result<ArrayRef> {
        Self { refs: vec![None; rows] }.finish()
    }

    /// The next row.
    pub fn push(&mut self, value: Option<BlobRef>) {
        self.refs.push(value);
    }

    /// The column.
    ///
    /// # Errors
    /// When Arrow refuses it, which it does not.
    pub fn finish(self) -> Result<ArrayRef> {
        let part = |pick: fn(&BlobRef) -> u64| -> ArrayRef {
            let numbers = self.refs.iter().map(|value| value.as_ref().map_or(0, pick));
            Arc::new(UInt64Array::from_iter_values(numbers))
        };
        let columns = vec![
            part(|value| value.file.0),
            part(|value| value.offset),
            part(|value| value.len),
            part(|value| value.hash),
        ];
        let nulls = NullBuffer::from_iter(self.refs.iter().map(Option::is_some));
        Ok(Arc::new(StructArray::try_new_with_length(parts(), columns, Some(nulls), self.refs.len())?))
    }
}
