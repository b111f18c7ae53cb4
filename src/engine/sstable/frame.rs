//! The metadata of one Arrow batch, checked before Arrow's decoder acts on it.
//!
//! arrow-ipc slices buffers and builds bitmaps at whatever places the metadata states and panics when
//! they are not there; so every node and buffer is bounded here first. The walk also tells which bytes
//! of the body each column occupies, so that a narrow read verifies and touches only those.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, SchemaRef, UnionMode};
use arrow::error::ArrowError;
use arrow::ipc::reader::RecordBatchDecoder;
use arrow::ipc::{MessageHeader, MetadataVersion, root_as_message};

use crate::format::sum::BatchBlock;

/// No array of a batch can be longer: keeps every product of lengths and widths within 64 bits.
const LEN_MAX: i64 = 1 << 40;
/// Every buffer of a body begins at a multiple of this, as our writer asks of Arrow's.
const ALIGN: i64 = 64;

/// What is wrong with a batch's metadata.
pub(super) type Fault = String;

/// A batch's metadata, and where its columns lie in its body.
#[derive(Debug)]
pub(super) struct Frame {
    meta: Buffer,
    /// Body range of each column.
    pub(super) columns: Vec<Range<usize>>,
}

fn message(meta: &[u8]) -> Result<arrow::ipc::Message<'_>, Fault> {
    let prefix = meta.first_chunk::<8>().ok_or("its metadata is too short")?;
    let len = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]);
    if prefix[..4] != [0xff; 4] || len as usize != meta.len() - 8 {
        return Err("its metadata does not begin as a message".into());
    }
    root_as_message(&meta[8..]).map_err(|error| format!("its metadata is not a message: {error}"))
}

fn record_batch<'a>(message: &arrow::ipc::Message<'a>) -> Result<arrow::ipc::RecordBatch<'a>, Fault> {
    if message.version() != MetadataVersion::V5 || message.header_type() != MessageHeader::RecordBatch {
        return Err("its message is not a record batch of version 5".into());
    }
    let batch = message.header_as_record_batch().ok_or("its message has no record batch")?;
    if batch.compression().is_some() {
        return Err("its body is compressed".into());
    }
    Ok(batch)
}

impl Frame {
    /// Checks verified metadata against the schema and the block it came from.
    pub(super) fn parse(
        meta: Buffer,
        block: &BatchBlock,
        rows: u64,
        schema: &SchemaRef,
    ) -> Result<Self, Fault> {
        let columns = {
            let message = message(&meta)?;
            let batch = record_batch(&message)?;
            if u64::try_from(message.bodyLength()) != Ok(block.body_len)
                || u64::try_from(batch.length()) != Ok(rows)
            {
                return Err("its message states another length".into());
            }
            let mut walk = Walk::new(&batch, block.body_len)?;
            let columns = schema.fields().iter().map(|field| walk.column(field, rows));
            let columns = columns.collect::<Result<_, _>>()?;
            walk.finish()?;
            columns
        };
        Ok(Self { meta, columns })
    }

    /// Decodes columns, given ascending, from a body that is verified where they lie. Arrow validates
    /// them in full: offsets within bounds, UTF-8, null counts.
    pub(super) fn decode(
        &self,
        body: &Buffer,
        schema: &SchemaRef,
        columns: &[usize],
    ) -> Result<Vec<ArrayRef>, Fault> {
        let message = message(&self.meta)?;
        let batch = record_batch(&message)?;
        let undecodable = |error: ArrowError| format!("a batch cannot be decoded: {error}");
        let dictionaries = HashMap::new();
        RecordBatchDecoder::try_new(
            body,
            batch,
            SchemaRef::clone(schema),
            &dictionaries,
            &MetadataVersion::V5,
        )
        .map_err(undecodable)?
        .with_projection(Some(columns))
        .read_record_batch()
        .map(|batch| batch.columns().to_vec())
        .map_err(undecodable)
    }
}

/// Steps through nodes and buffers in the order in which Arrow will.
struct Walk {
    nodes: std::vec::IntoIter<(i64, i64)>,
    buffers: std::vec::IntoIter<(i64, i64)>,
    variadic: std::vec::IntoIter<i64>,
    body_len: u64,
    /// What the buffers of the current column span.
    span: Option<Range<usize>>,
}

impl Walk {
    fn new(batch: &arrow::ipc::RecordBatch<'_>, body_len: u64) -> Result<Self, Fault> {
        let nodes = batch.nodes().ok_or("its message has no nodes")?;
        let buffers = batch.buffers().ok_or("its message has no buffers")?;
        let nodes: Vec<_> = nodes.iter().map(|node| (node.length(), node.null_count())).collect();
        let buffers: Vec<_> = buffers.iter().map(|buffer| (buffer.offset(), buffer.length())).collect();
        let variadic: Vec<_> = batch.variadicBufferCounts().into_iter().flatten().collect();
        Ok(Self {
            nodes: nodes.into_iter(),
            buffers: buffers.into_iter(),
            variadic: variadic.into_iter(),
            body_len,
            span: None,
        })
    }

    fn column(&mut self, field: &Field, rows: u64) -> Result<Range<usize>, Fault> {
        self.span = None;
        if u64::try_from(self.field(field)?) != Ok(rows) {
            return Err(format!("column {:?} has another length than its batch", field.name()));
        }
        Ok(self.span.take().unwrap_or(0..0))
    }

    fn finish(mut self) -> Result<(), Fault> {
        let rest = (self.nodes.next(), self.buffers.next(), self.variadic.next());
        if rest == (None, None, None) {
            Ok(())
        } else {
            Err("its message has nodes or buffers to spare".into())
        }
    }

    /// The next buffer, which must hold at least `count` values of `width` bytes and only whole ones.
    fn buffer(&mut self, count: i64, width: i64) -> Result<(), Fault> {
        let (offset, len) = self.buffers.next().ok_or("its message has too few buffers")?;
        let end = offset.checked_add(len).and_then(|end| u64::try_from(end).ok());
        if offset < 0
            || offset % ALIGN != 0
            || len % width.max(1) != 0
            || count.checked_mul(width).is_none_or(|min| len < min)
        {
            return Err("a buffer is misaligned or too short".into());
        }
        if end.is_none_or(|end| end > self.body_len) {
            return Err("a buffer lies outside its body".into());
        }
        let (start, end) = (offset as usize, (offset + len) as usize);
        let span = self.span.get_or_insert(start..end);
        *span = span.start.min(start)..span.end.max(end);
        Ok(())
    }

    /// The next node; returns its length and the bytes its bitmap must have.
    fn node(&mut self) -> Result<(i64, i64), Fault> {
        let (len, nulls) = self.nodes.next().ok_or("its message has too few nodes")?;
        if !(0..=LEN_MAX).contains(&len) || !(0..=len).contains(&nulls) {
            return Err("a node states an impossible length".into());
        }
        Ok((len, if nulls == 0 { 0 } else { bits(len) }))
    }

    /// Walks one field; returns the length of its array.
    fn field(&mut self, field: &Field) -> Result<i64, Fault> {
        let (len, bitmap) = self.node()?;
        match field.data_type() {
            DataType::Null => {}
            DataType::Union(children, mode) => {
                self.buffer(len, 1)?;
                if *mode == UnionMode::Dense {
                    self.buffer(len, 4)?;
                }
                for (_, child) in children.iter() {
                    self.field(child)?;
                }
            }
            DataType::RunEndEncoded(ends, values) => {
                self.field(ends)?;
                self.field(values)?;
            }
            other => {
                self.buffer(bitmap, 1)?;
                self.values(other, len)?;
            }
        }
        Ok(len)
    }

    /// Buffers and children after the bitmap.
    fn values(&mut self, data_type: &DataType, len: i64) -> Result<(), Fault> {
        match data_type {
            DataType::Boolean => self.buffer(bits(len), 1),
            DataType::FixedSizeBinary(width) => self.buffer(len, i64::from(*width)),
            DataType::Utf8 | DataType::Binary => self.offsets_and_data(len, 4),
            DataType::LargeUtf8 | DataType::LargeBinary => self.offsets_and_data(len, 8),
            DataType::Utf8View | DataType::BinaryView => {
                self.buffer(len, 16)?;
                let count = self.variadic.next().filter(|count| *count >= 0);
                (0..count.ok_or("its message lacks a buffer count")?).try_for_each(|_| self.buffer(0, 1))
            }
            DataType::List(item) | DataType::Map(item, _) => self.offsets_and_child(len, 4, item),
            DataType::LargeList(item) => self.offsets_and_child(len, 8, item),
            DataType::ListView(item) => self.views_and_child(len, 4, item),
            DataType::LargeListView(item) => self.views_and_child(len, 8, item),
            DataType::FixedSizeList(item, size) => {
                let needed = len.checked_mul(i64::from(*size));
                if needed.is_some_and(|needed| needed <= LEN_MAX)
                    && self.field(item)? >= len * i64::from(*size)
                {
                    return Ok(());
                }
                Err("a fixed-size list has too few values".into())
            }
            DataType::Struct(fields) => fields.iter().try_for_each(|field| {
                let child = self.field(field)?;
                if child == len { Ok(()) } else { Err("a struct has fields of different lengths".into()) }
            }),
            other => match other.primitive_width() {
                Some(width) => self.buffer(len, width as i64),
                None => Err(format!("type {other} is not stored")),
            },
        }
    }

    fn offsets_and_data(&mut self, len: i64, width: i64) -> Result<(), Fault> {
        self.buffer(offsets(len), width)?;
        self.buffer(0, 1)
    }

    fn offsets_and_child(&mut self, len: i64, width: i64, item: &Field) -> Result<(), Fault> {
        self.buffer(offsets(len), width)?;
        self.field(item).map(|_| ())
    }

    fn views_and_child(&mut self, len: i64, width: i64, item: &Field) -> Result<(), Fault> {
        self.buffer(len, width)?;
        self.buffer(len, width)?;
        self.field(item).map(|_| ())
    }
}

/// Bytes of a bitmap.
fn bits(len: i64) -> i64 {
    len / 8 + i64::from(len % 8 != 0)
}

/// Number of offsets; an empty array may have none.
fn offsets(len: i64) -> i64 {
    if len == 0 { 0 } else { len + 1 }
}
