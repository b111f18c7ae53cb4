//! The footer of the data file: its schema, and a second opinion on where its batches lie.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::{Endianness, Footer, MetadataVersion, root_as_footer, root_as_message};

use super::file::VerifiedFile;
use crate::common::Result;
use crate::format::guard::guarded;
use crate::format::sum::BatchBlock;

const MAGIC: &[u8] = b"ARROW1";
/// Length of the footer, then the magic.
const TAIL_LEN: u64 = 10;
/// The magic and its padding, the marker of a message, and its length.
const LEADING_LEN: usize = 64 + 8;

/// Columns of the file, once the footer agrees with the companion.
pub(super) fn read_schema(file: &VerifiedFile, batches: &[BatchBlock]) -> Result<SchemaRef> {
    let damaged = |what: &str| file.corrupt(file.len().saturating_sub(TAIL_LEN), what);
    let tail_start =
        file.len().checked_sub(TAIL_LEN).ok_or_else(|| damaged("it is too short for an Arrow file"))?;
    let tail = file.read(tail_start..file.len())?;
    let Some((len, MAGIC)) = tail.split_first_chunk::<4>() else {
        return Err(damaged("it does not end as an Arrow file"));
    };
    let len = u64::try_from(i32::from_le_bytes(*len)).ok().and_then(|len| tail_start.checked_sub(len));
    let start = len.ok_or_else(|| damaged("its footer is longer than the file"))?;
    let bytes = file.read(start..tail_start)?;
    let footer =
        root_as_footer(&bytes).map_err(|error| damaged(&format!("its footer is not one: {error}")))?;
    schema_of(&footer, batches).ok_or_else(|| damaged("its footer and its companion disagree"))
}

/// Columns of the file by the message it begins with, where its footer is damaged.
pub(super) fn read_leading_schema(file: &VerifiedFile, batches: &[BatchBlock]) -> Result<SchemaRef> {
    let damaged = |what: &str| file.corrupt(0, what);
    let end = batches.first().map_or(0, |batch| batch.offset);
    let head = file.read(0..end)?;
    let message =
        head.get(LEADING_LEN..).ok_or_else(|| damaged("it has no schema before its first batch"))?;
    let message =
        root_as_message(message).map_err(|error| damaged(&format!("its schema is not one: {error}")))?;
    let schema = message.header_as_schema().filter(|schema| schema.fields().is_some());
    let schema = schema.ok_or_else(|| damaged("it does not begin with a schema"))?;
    columns_of(schema).ok_or_else(|| damaged("its schema has types that Arrow does not know"))
}

fn schema_of(footer: &Footer<'_>, batches: &[BatchBlock]) -> Option<SchemaRef> {
    let blocks = footer.recordBatches()?;
    let alike = blocks.len() == batches.len()
        && blocks.iter().zip(batches).all(|(stated, batch)| {
            u64::try_from(stated.offset()) == Ok(batch.offset)
                && u32::try_from(stated.metaDataLength()) == Ok(batch.meta_len)
                && u64::try_from(stated.bodyLength()) == Ok(batch.body_len)
        });
    let schema = footer.schema()?;
    let readable = footer.version() == MetadataVersion::V5
        && schema.endianness() == Endianness::Little
        && schema.fields().is_some()
        && footer.dictionaries().is_none_or(|dictionaries| dictionaries.is_empty());
    if alike && readable { columns_of(schema) } else { None }
}

/// The columns alone: labels of one file must not make batches of two files look different.
fn columns_of(schema: arrow::ipc::Schema<'_>) -> Option<SchemaRef> {
    guarded(|| fb_to_schema(schema)).ok().map(|schema| Arc::new(Schema::new(schema.fields)))
}
