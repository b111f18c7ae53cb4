//! Zone maps: per Arrow batch and column the least value, the greatest value and the number of nulls.
//!
//! A bound may be wider than the data, never narrower: long strings are cut (an upper bound is rounded
//! up), zeros cover both signs, and a batch with a NaN has no bound at all. Nested columns have none.
//! On disk the zone maps are one Arrow IPC stream, with a row per batch.

mod bounds;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::buffer::Buffer;
use arrow::compute::concat;
use arrow::datatypes::{Field, Schema, UInt64Type};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;

use super::guard::guarded;
use crate::common::{Error, Result};
use bounds::{bounds, has_bounds};

/// Zone maps of one column, one entry per batch.
#[derive(Clone, Debug)]
pub struct ColumnStats {
    /// Least value or less; null where unknown or where all values are null.
    pub min: ArrayRef,
    /// Greatest value or more; null where unknown or where all values are null.
    pub max: ArrayRef,
    /// Number of nulls.
    pub null_count: UInt64Array,
}

/// Zone maps of one column while batches arrive.
#[derive(Debug)]
struct ColumnZones {
    column: usize,
    fields: [Field; 3],
    mins: Vec<ArrayRef>,
    maxs: Vec<ArrayRef>,
    nulls: Vec<u64>,
}

impl ColumnZones {
    fn new(column: usize, field: &Field) -> Self {
        let bound = |name| Field::new(format!("{column}.{name}"), field.data_type().clone(), true);
        let nulls = Field::new(format!("{column}.nulls"), arrow::datatypes::DataType::UInt64, false);
        Self {
            column,
            fields: [bound("min"), bound("max"), nulls],
            mins: vec![],
            maxs: vec![],
            nulls: vec![],
        }
    }

    fn push(&mut self, values: &ArrayRef) {
        let (min, max) = bounds(values);
        self.mins.push(min);
        self.maxs.push(max);
        self.nulls.push(values.logical_null_count() as u64);
    }

    fn finish(self) -> Result<[ArrayRef; 3]> {
        let join = |pieces: &[ArrayRef]| concat(&pieces.iter().map(|p| p.as_ref()).collect::<Vec<_>>());
        Ok([join(&self.mins)?, join(&self.maxs)?, Arc::new(UInt64Array::from(self.nulls))])
    }
}

/// Collects the zone maps of one file, batch by batch.
#[derive(Debug)]
pub struct ZoneBuilder {
    columns: Vec<ColumnZones>,
    batches: usize,
}

impl ZoneBuilder {
    /// Zone maps for files of this schema.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        let fields = schema.fields().iter().enumerate();
        let columns = fields.filter(|(_, f)| has_bounds(f.data_type())).map(|(i, f)| ColumnZones::new(i, f));
        Self { columns: columns.collect(), batches: 0 }
    }

    /// Adds the next batch.
    pub fn push(&mut self, batch: &RecordBatch) {
        for zones in &mut self.columns {
            zones.push(batch.column(zones.column));
        }
        self.batches += 1;
    }

    /// The zone maps as an Arrow IPC stream; empty when there is nothing to say.
    ///
    /// # Errors
    /// When Arrow cannot encode them.
    pub fn finish(self) -> Result<Vec<u8>> {
        if self.batches == 0 || self.columns.is_empty() {
            return Ok(Vec::new());
        }
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for zones in self.columns {
            fields.extend(zones.fields.clone());
            arrays.extend(zones.finish()?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.batches));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
        writer.write(&batch)?;
        Ok(writer.into_inner()?)
    }
}

/// The zone maps of one file.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    table: Option<RecordBatch>,
}

impl Zones {
    /// Reads what [`ZoneBuilder::finish`] wrote; the bytes were verified by the caller.
    ///
    /// # Errors
    /// When they are not one Arrow IPC stream.
    pub fn decode(mut stream: Buffer) -> Result<Self> {
        let mut decoder = StreamDecoder::new();
        let table = match stream.is_empty() {
            true => None,
            false => guarded(|| decoder.decode(&mut stream))
                .map_err(|what| Error::corrupt("zone maps", 0, what))??,
        };
        Ok(Self { table })
    }

    /// Number of batches described; `None` when no column has zone maps.
    #[must_use]
    pub fn batches(&self) -> Option<usize> {
        self.table.as_ref().map(RecordBatch::num_rows)
    }

    /// Zone maps of a column; `None` for types without an order.
    #[must_use]
    pub fn column(&self, column: usize) -> Option<ColumnStats> {
        let table = self.table.as_ref()?;
        let get = |name| table.column_by_name(&format!("{column}.{name}"));
        let null_count = get("nulls")?.as_primitive_opt::<UInt64Type>()?.clone();
        Some(ColumnStats { min: Arc::clone(get("min")?), max: Arc::clone(get("max")?), null_count })
    }
}
