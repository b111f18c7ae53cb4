//! The head of a result as text cells, for the terminal and the notebook. Layout is Python's business.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use pyo3::prelude::*;
use trilith::types::sql_name;

use crate::values::variant;

/// Longest cell that is formatted; the rest of it is cut.
const CELL_CHARS_MAX: usize = 200;

/// Names and types of the columns, the cells of the first rows (`None` is null), and whether more follow.
#[derive(IntoPyObject)]
pub(crate) struct Preview {
    columns: Vec<(String, String)>,
    rows: Vec<Vec<Option<String>>>,
    more: bool,
}

/// Formats at most `limit` rows of `batches`.
pub(crate) fn preview(schema: &Schema, batches: &[RecordBatch], limit: usize) -> Result<Preview, ArrowError> {
    let columns = schema.fields().iter().map(|field| (field.name().clone(), sql_name(field)));
    let mut rows = Vec::new();
    for batch in batches {
        let wanted = batch.num_rows().min(limit - rows.len());
        rows.extend(cells(&batch.slice(0, wanted))?);
    }
    let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
    Ok(Preview { columns: columns.collect(), rows, more: total > limit })
}

fn cells(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
    let options = FormatOptions::default().with_display_error(true);
    let readable = variant::to_json_columns(batch)?;
    let formatters = readable
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    let cell = |row: usize, column: usize| {
        let text = || formatters[column].value(row).to_string().chars().take(CELL_CHARS_MAX).collect();
        readable[column].is_valid(row).then(text)
    };
    Ok((0..batch.num_rows())
        .map(|row| (0..readable.len()).map(|column| cell(row, column)).collect())
        .collect())
}
