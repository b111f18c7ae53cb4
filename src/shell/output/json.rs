//! Results as JSON: one list, or one object per line. Documents are nested, not quoted.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::FieldRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::WriterBuilder;
use datafusion::arrow::json::writer::{
    Encoder, EncoderFactory, EncoderOptions, JsonArray, LineDelimited, NullableEncoder, Writer,
};
use trilith_udfs::document::{is_variant, variant_to_json};

use super::output_error;
use crate::error::Result;

type Out<'a> = Box<dyn Write + 'a>;

/// JSON being written.
pub(in crate::shell) enum JsonSink<'a> {
    List(Box<Writer<Out<'a>, JsonArray>>),
    Lines(Box<Writer<Out<'a>, LineDelimited>>),
}

impl<'a> JsonSink<'a> {
    pub(super) fn list(out: Out<'a>) -> Self {
        Self::List(Box::new(builder().build(out)))
    }

    pub(super) fn lines(out: Out<'a>) -> Self {
        Self::Lines(Box::new(builder().build(out)))
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::List(writer) => Ok(writer.write(batch)?),
            Self::Lines(writer) => Ok(writer.write(batch)?),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::List(mut writer) => {
                writer.finish()?;
                writeln!(writer.into_inner()).map_err(output_error)
            }
            Self::Lines(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush().map_err(output_error)
            }
        }
    }
}

fn builder() -> WriterBuilder {
    WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(Documents))
}

/// Writes VARIANT columns as what they mean.
#[derive(Debug)]
struct Documents;

impl EncoderFactory for Documents {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> std::result::Result<Option<NullableEncoder<'a>>, ArrowError> {
        if !is_variant(array.data_type()) {
            return Ok(None);
        }
        let texts =
            variant_to_json(array.as_struct()).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        let texts: StringArray = texts.as_string::<i32>().clone();
        let nulls = texts.nulls().cloned();
        Ok(Some(NullableEncoder::new(Box::new(Texts(texts)), nulls)))
    }
}

/// Texts that are JSON already.
struct Texts(StringArray);

impl Encoder for Texts {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.value(row).as_bytes());
    }
}
