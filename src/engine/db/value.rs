//! Part of one value of one row: what a caller wants of a long string or of long bytes.

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;

use super::get::Place;
use super::view::TableView;
use crate::common::{Error, Result};
use crate::lsm::columns::read_stored;
use crate::sstable::{StoredColumn, is_separable};

/// Bytes of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValuePart {
    /// Length of the whole value, in bytes.
    pub len: u64,
    /// The bytes asked for, as far as the value has them; of a string perhaps parts of characters.
    pub bytes: Buffer,
}

impl TableView {
    /// Bytes `range` of the value that the row of `key` has in column `column`, cut at the value's end; `None` when there is
    /// no such row, or its value is null. `key` holds one array of length 1 per key column. Of a value beside the rows
    /// (see `Options::blob_bytes`) only the blocks of 4 KiB are read that the range touches, and each is verified.
    ///
    /// # Errors
    /// `Invalid` for a column that holds neither strings nor bytes, for a range that ends before it starts, and as
    /// [`TableView::get`]; `Corrupt` or `Io` when what is asked for cannot be read.
    pub fn get_range(&self, key: &[ArrayRef], column: usize, range: Range<u64>) -> Result<Option<ValuePart>> {
        self.check_ranged(column, &range)?;
        let key = self.encoded_key(key)?;
        self.note_key(&key);
        match self.find(&key)? {
            None => Ok(None),
            Some(Place::Entry(found)) => {
                let Some(rows) = &found.chunk.rows else { return Ok(None) };
                part(&StoredColumn::plain(rows.column(column).slice(found.offset, 1)), &[], range)
            }
            Some(Place::File(file, row)) => {
                let reader = file.reader()?;
                reader.check_len()?;
                let batch = reader.batch_of_row(row);
                let stored = read_stored(self.def(), reader, batch, &[column])?;
                let index = (row - reader.batch_rows(batch).start) as usize;
                let Some(stored) = stored.first() else { return Ok(None) };
                part(&stored.slice(index, 1), reader.blobs(), range)
            }
        }
    }

    fn check_ranged(&self, column: usize, range: &Range<u64>) -> Result<()> {
        let def = self.def();
        let Some(found) = def.columns.get(column) else {
            let why = format!("the table has {}", def.columns.len());
            return Err(Error::invalid(format!("column number {column} of table {}", def.name), why));
        };
        let data_type = found.field.data_type();
        if !is_separable(data_type) {
            let why = format!("it holds {data_type}; ranges are read of strings and bytes");
            return Err(Error::invalid(
                format!("column {:?} of table {}", found.field.name(), def.name),
                why,
            ));
        }
        if range.start > range.end {
            return Err(Error::invalid(
                format!("bytes {}..{}", range.start, range.end),
                "they end before they start",
            ));
        }
        Ok(())
    }
}

fn part(
    cell: &StoredColumn,
    blobs: &[std::sync::Arc<crate::sstable::BlobFile>],
    range: Range<u64>,
) -> Result<Option<ValuePart>> {
    Ok(cell.part(0, range, blobs)?.map(|(len, bytes)| ValuePart { len, bytes }))
}
