//! How results are written: one format per name, text to any writer, binary files to files.
//!
//! Documents are shown as JSON everywhere but in Arrow and Parquet, which keep their type.

mod json;
mod readable;
mod table;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use clap::ValueEnum;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use trilith_engine::Error as EngineError;

use self::json::JsonSink;
use self::readable::readable;
use self::table::TableSink;
use super::session::output_error;
use crate::error::{Error, Result};

/// A format of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Aligned columns with a frame
    Table,
    /// Comma-separated values with a header
    Csv,
    /// Tab-separated values with a header
    Tsv,
    /// One JSON list of objects
    Json,
    /// One JSON object per line
    Ndjson,
    /// A Markdown table
    Markdown,
    /// An Arrow file (with --output)
    Arrow,
    /// A Parquet file (with --output)
    Parquet,
}

impl Format {
    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it is no text.
    pub(super) fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }
}

/// A result being written.
pub(super) enum Sink<'a> {
    Table(TableSink<'a>),
    Csv(Box<csv::Writer<Box<dyn Write + 'a>>>),
    Json(JsonSink<'a>),
    Arrow(Box<FileWriter<File>>),
    Parquet(Box<ArrowWriter<File>>),
}

impl<'a> Sink<'a> {
    /// Writes text to `out`; of a table only the first `shown` rows when that is set.
    pub(super) fn text(
        format: Format,
        schema: &SchemaRef,
        shown: Option<usize>,
        out: &'a mut dyn Write,
    ) -> Result<Self> {
        Self::to_writer(format, schema, shown, Box::new(out))
    }

    /// Writes to a file.
    pub(super) fn file(format: Format, schema: &SchemaRef, file: File) -> Result<Self> {
        match format {
            Format::Arrow => Ok(Self::Arrow(Box::new(FileWriter::try_new(file, schema)?))),
            Format::Parquet => {
                let writer = ArrowWriter::try_new(file, Arc::clone(schema), None).map_err(parquet_error)?;
                Ok(Self::Parquet(Box::new(writer)))
            }
            text => Self::to_writer(text, schema, None, Box::new(file)),
        }
    }

    fn to_writer(
        format: Format,
        schema: &SchemaRef,
        shown: Option<usize>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Self> {
        let separated =
            |delimiter, out| csv::WriterBuilder::new().with_header(true).with_delimiter(delimiter).build(out);
        Ok(match format {
            Format::Table => Self::Table(TableSink::new(schema, shown, false, out)),
            Format::Markdown => Self::Table(TableSink::new(schema, shown, true, out)),
            Format::Csv => Self::Csv(Box::new(separated(b',', out))),
            Format::Tsv => Self::Csv(Box::new(separated(b'\t', out))),
            Format::Json => Self::Json(JsonSink::list(out)),
            Format::Ndjson => Self::Json(JsonSink::lines(out)),
            binary => {
                let why = "it is not text: say where to write it with --output FILE";
                return Err(Error::invalid(format!("format {}", binary.name()), why));
            }
        })
    }

    /// Writes rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Table(sink) => sink.write(batch),
            Self::Csv(writer) => Ok(writer.write(&readable(batch)?)?),
            Self::Json(sink) => sink.write(batch),
            Self::Arrow(writer) => Ok(writer.write(batch)?),
            Self::Parquet(writer) => writer.write(batch).map_err(parquet_error),
        }
    }

    /// Ends the result.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Table(sink) => sink.finish(),
            Self::Csv(writer) => writer.into_inner().flush().map_err(output_error),
            Self::Json(sink) => sink.finish(),
            Self::Arrow(mut writer) => Ok(writer.finish()?),
            Self::Parquet(writer) => writer.close().map(|_| ()).map_err(parquet_error),
        }
    }
}

fn parquet_error(error: ParquetError) -> Error {
    EngineError::io("write", "the Parquet file", std::io::Error::other(error)).into()
}
