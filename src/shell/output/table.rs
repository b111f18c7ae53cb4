//! Tables for people: framed, or as Markdown.
//!
//! Column widths depend on all rows, so they are held until the end; the rows beyond those shown are
//! only counted.

use std::io::Write;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches;

use super::output_error;
use super::readable::readable;
use crate::error::Result;

/// A table being gathered.
pub(in crate::shell) struct TableSink<'a> {
    batches: Vec<RecordBatch>,
    shown: Option<usize>,
    rows: usize,
    markdown: bool,
    out: Box<dyn Write + 'a>,
}

impl<'a> TableSink<'a> {
    pub(super) fn new(
        schema: &SchemaRef,
        shown: Option<usize>,
        markdown: bool,
        out: Box<dyn Write + 'a>,
    ) -> Self {
        let batches = vec![RecordBatch::new_empty(SchemaRef::clone(schema))];
        Self { batches, shown, rows: 0, markdown, out }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let room = self.shown.map_or(batch.num_rows(), |shown| shown.saturating_sub(self.rows));
        if room > 0 {
            self.batches.push(batch.slice(0, room.min(batch.num_rows())));
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        let batches = self.batches.iter().map(readable).collect::<Result<Vec<_>>>()?;
        if self.markdown {
            self.write_markdown(&batches)?;
        } else {
            writeln!(self.out, "{}", pretty_format_batches(&batches)?).map_err(output_error)?;
        }
        if let Some(hidden) =
            self.shown.map(|shown| self.rows.saturating_sub(shown)).filter(|hidden| *hidden > 0)
        {
            writeln!(self.out, "... and {hidden} more rows").map_err(output_error)?;
        }
        self.out.flush().map_err(output_error)
    }

    fn write_markdown(&mut self, batches: &[RecordBatch]) -> Result<()> {
        let Some(first) = batches.first() else { return Ok(()) };
        let names: Vec<String> = first.schema_ref().fields().iter().map(|field| cell(field.name())).collect();
        self.row(&names)?;
        self.row(&vec!["---".to_owned(); names.len()])?;
        let options = FormatOptions::default();
        for batch in batches {
            let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            for row in 0..batch.num_rows() {
                let cells = columns.iter().map(|column| Ok(cell(&column.value(row).try_to_string()?)));
                self.row(&cells.collect::<Result<Vec<_>>>()?)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, cells: &[String]) -> Result<()> {
        writeln!(self.out, "| {} |", cells.join(" | ")).map_err(output_error)
    }
}

/// Text that cannot end a cell.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('\n', "<br>")
}
