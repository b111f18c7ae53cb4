//! Arrow fields and single values inside the manifest's JSON: base64 of an Arrow IPC stream, the one stable
//! encoding of an Arrow type.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{FieldRef, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::guard::guarded;

fn to_text(schema: &Schema, batch: Option<&RecordBatch>) -> Result<String, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    if let Some(batch) = batch {
        writer.write(batch)?;
    }
    writer.finish()?;
    Ok(STANDARD.encode(writer.into_inner()?))
}

/// The decoder takes only what is there: a reader of a stream would ask for as much memory as a message says.
fn from_text(text: &str) -> Result<(Arc<Schema>, Option<RecordBatch>), String> {
    let mut bytes = Buffer::from_vec(STANDARD.decode(text).map_err(|e| e.to_string())?);
    let mut decoder = StreamDecoder::new();
    let batch = guarded(|| decoder.decode(&mut bytes))?.map_err(|e| e.to_string())?;
    let schema = decoder.schema().ok_or("an Arrow stream without a schema")?;
    Ok((schema, batch))
}

/// Serde of a field.
pub mod field {
    use super::{Arc, FieldRef, Schema, from_text, to_text};
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub fn serialize<S: Serializer>(field: &FieldRef, out: S) -> Result<S::Ok, S::Error> {
        let schema = Schema::new(vec![Arc::clone(field)]);
        out.serialize_str(&to_text(&schema, None).map_err(ser::Error::custom)?)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<FieldRef, D::Error> {
        let text = String::deserialize(input)?;
        let (schema, _) = from_text(&text).map_err(de::Error::custom)?;
        schema.fields().first().cloned().ok_or_else(|| de::Error::custom("a column without a field"))
    }
}

/// Serde of one optional value.
pub mod value {
    use super::{Arc, ArrayRef, RecordBatch, from_text, to_text};
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub fn serialize<S: Serializer>(value: &Option<ArrayRef>, out: S) -> Result<S::Ok, S::Error> {
        let Some(value) = value else { return out.serialize_none() };
        let batch = RecordBatch::try_from_iter_with_nullable([("value", Arc::clone(value), true)])
            .map_err(ser::Error::custom)?;
        out.serialize_some(&to_text(&batch.schema(), Some(&batch)).map_err(ser::Error::custom)?)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<ArrayRef>, D::Error> {
        let Some(text) = Option::<String>::deserialize(input)? else { return Ok(None) };
        let (_, batch) = from_text(&text).map_err(de::Error::custom)?;
        let value = batch.filter(|batch| batch.num_columns() == 1 && batch.num_rows() == 1);
        value.map(|batch| Some(Arc::clone(batch.column(0)))).ok_or_else(|| de::Error::custom("not one value"))
    }
}
