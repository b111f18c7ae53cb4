//! Which rows of a table have expired: those whose time lies at least the table's `ttl` back. A row without a time
//! never expires.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use roaring::RoaringBitmap;

use super::columns::read_columns;
use super::file::TableFile;
use crate::common::{ColumnId, Result};
use crate::format::table::TableDef;
use crate::memtable::MemTable;

const DAY_MILLIS: i64 = 86_400_000;

/// The border between live and expired rows at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expiry {
    /// Position of the column of times.
    pub column: usize,
    id: ColumnId,
    /// The newest time that has expired, in the column's own unit.
    limit: i64,
}

impl Expiry {
    /// The border at `now`, in milliseconds since 1970; `None` for a table whose rows do not expire.
    #[must_use]
    pub fn of(table: &TableDef, now: i64) -> Option<Self> {
        let ttl = table.options.ttl?;
        let column = table.columns.iter().position(|column| column.id == ttl.column)?;
        let millis = now.saturating_sub_unsigned(ttl.millis);
        let limit = match table.columns[column].field.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => millis.div_euclid(1000),
            DataType::Timestamp(TimeUnit::Microsecond, _) => millis.saturating_mul(1000),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => millis.saturating_mul(1_000_000),
            DataType::Date32 => millis.div_euclid(DAY_MILLIS),
            _ => millis,
        };
        Some(Self { column, id: ttl.column, limit })
    }

    /// True for a row whose time `values` holds at `row`.
    ///
    /// # Errors
    /// When the values are no times.
    pub fn has_expired(&self, values: &ArrayRef, row: usize) -> Result<bool> {
        let numbers = numbers(values)?;
        Ok(numbers.is_valid(row) && numbers.value(row) <= self.limit)
    }

    /// Which of these times have not expired.
    ///
    /// # Errors
    /// When the values are no times.
    pub fn live(&self, values: &ArrayRef) -> Result<BooleanArray> {
        let times = numbers(values)?;
        let is_live = |i: usize| Some(times.is_null(i) || times.value(i) > self.limit);
        Ok((0..times.len()).map(is_live).collect())
    }

    /// Expired rows of a file. Zone maps decide over most batches; the others' times are read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn in_file(&self, table: &TableDef, file: &TableFile) -> Result<RoaringBitmap> {
        let reader = file.reader()?;
        let mut expired = RoaringBitmap::new();
        for (i, verdict) in self.by_zones(file)?.into_iter().enumerate() {
            let rows = reader.batch_rows(i);
            match verdict {
                Some(Ordering::Less) => {
                    expired.insert_range(rows.start as u32..rows.end as u32);
                }
                Some(_) => {}
                None => {
                    let times = read_columns(table, reader, i, &[self.column])?;
                    self.collect(times.column(0), rows.start as u32, &mut expired)?;
                }
            }
        }
        Ok(expired)
    }

    /// About how many rows of a file have expired: those of batches that have as a whole.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn count_in_file(&self, file: &TableFile) -> Result<u64> {
        let reader = file.reader()?;
        let gone = self.by_zones(file)?.into_iter().enumerate().filter(|(_, it)| *it == Some(Ordering::Less));
        Ok(gone.map(|(i, _)| reader.batch_rows(i)).map(|rows| rows.end - rows.start).sum())
    }

    /// Per batch: `Less` when all of it has expired, `Greater` when nothing has, `None` when its times must be read.
    fn by_zones(&self, file: &TableFile) -> Result<Vec<Option<Ordering>>> {
        let reader = file.reader()?;
        let stats = reader.column_index(self.id).and_then(|column| reader.stats(column));
        let Some(stats) = stats else { return Ok(vec![None; reader.num_batches()]) };
        let (min, max) = (numbers(&stats.min)?, numbers(&stats.max)?);
        let verdict = |i: usize| {
            if min.is_null(i) || max.is_null(i) {
                return None;
            }
            let has_null = stats.null_count.value(i) > 0;
            match (max.value(i) <= self.limit, min.value(i) > self.limit) {
                (true, _) if !has_null => Some(Ordering::Less),
                (_, true) => Some(Ordering::Greater),
                _ => None,
            }
        };
        Ok((0..reader.num_batches()).map(verdict).collect())
    }

    /// Expired entries of a memtable below `limit`.
    ///
    /// # Errors
    /// When the values are no times.
    pub fn in_memtable(&self, memtable: &MemTable, limit: u32) -> Result<RoaringBitmap> {
        let mut expired = RoaringBitmap::new();
        for chunk in memtable.chunks(limit)? {
            if let Some(rows) = &chunk.rows {
                self.collect(rows.column(self.column), chunk.start, &mut expired)?;
            }
        }
        Ok(expired)
    }

    fn collect(&self, values: &ArrayRef, start: u32, expired: &mut RoaringBitmap) -> Result<()> {
        let times = numbers(values)?;
        let is_expired = |i: &u32| times.is_valid(*i as usize) && times.value(*i as usize) <= self.limit;
        expired.extend((0..times.len() as u32).filter(is_expired).map(|i| start + i));
        Ok(())
    }
}

/// Times as plain numbers in their own unit.
fn numbers(values: &ArrayRef) -> Result<Int64Array> {
    let values = match values.data_type() {
        DataType::Date32 => &cast(values, &DataType::Int32)?,
        _ => values,
    };
    Ok(cast(values, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}
