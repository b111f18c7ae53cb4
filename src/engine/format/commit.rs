//! The payload of a log record: one atomic commit over any number of tables.
//!
//! ```text
//! operations u32 | flags u32 | time i64, when bit 0 of the flags is set | operation ...
//! operation: table id u64 | first row id u64 | table version u32 | kind u8, reserved 3 |
//!            rows u32 | metadata length u32 | body length u64 | metadata | pad to 8 | body | pad to 8
//! ```
//! `metadata` and `body` are an Arrow IPC record batch message as the Arrow format describes it: a bulk write is
//! logged as the bytes it will be read from. Without metadata the body is a few rows in the form of
//! [`super::packed`]. The time is that of the commit, in milliseconds since 1970 UTC. The schema is the table's at `table version`, which the manifest holds.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::read_record_batch;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::ipc::{MetadataVersion, root_as_message};

use super::guard::guarded;
use super::packed::{pack, unpack};
use crate::common::{Error, Result, RowId, TableId};

const START_BYTES: usize = 16;
const HEADER_BYTES: usize = 40;
const ALIGNMENT: usize = 8;
/// Flag of a commit with its time.
const TIMED: u32 = 1;

/// What an operation does with its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpKind {
    /// Adds rows whose keys are new.
    Insert = 1,
    /// Adds rows, replacing those of the same key.
    Upsert = 2,
    /// Deletes by primary key; the rows hold the key columns.
    DeleteKeys = 3,
    /// Deletes by row id; the rows hold one UInt64 column.
    DeleteRowIds = 4,
}

impl OpKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Insert, Self::Upsert, Self::DeleteKeys, Self::DeleteRowIds]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// One operation, encoded ahead of the commit lock.
#[derive(Clone, Debug)]
pub struct EncodedOp {
    /// The table it changes.
    pub table: TableId,
    /// The table's version that `metadata` and `body` were made for.
    pub version: u32,
    /// What it does.
    pub kind: OpKind,
    /// Rows in the body.
    pub rows: u32,
    metadata: Vec<u8>,
    body: Vec<u8>,
}

impl EncodedOp {
    /// Encodes `batch`: packed when that is shorter, otherwise as an Arrow IPC message.
    ///
    /// # Errors
    /// When the batch holds a type that cannot be logged.
    pub fn new(table: TableId, version: u32, kind: OpKind, batch: &RecordBatch) -> Result<Self> {
        let rows = batch.num_rows() as u32;
        if let Some(body) = pack(batch) {
            return Ok(Self::of_packed(table, version, kind, rows, body));
        }
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
        let (_, message) = IpcDataGenerator::default().encode(
            batch,
            &mut DictionaryTracker::new(false),
            &options,
            &mut IpcWriteContext::default(),
        )?;
        let (metadata, body) = (message.ipc_message, message.arrow_data);
        Ok(Self { table, version, kind, rows, metadata, body })
    }

    /// An operation on rows in their [packed form](super::packed).
    #[must_use]
    pub fn of_packed(table: TableId, version: u32, kind: OpKind, rows: u32, body: Vec<u8>) -> Self {
        Self { table, version, kind, rows, metadata: Vec::new(), body }
    }

    /// The packed form of its rows; `None` when they are an Arrow message.
    #[must_use]
    pub fn packed(&self) -> Option<&[u8]> {
        self.metadata.is_empty().then_some(&self.body)
    }

    /// Bytes it takes in the log.
    #[must_use]
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + padded(self.metadata.len()) + padded(self.body.len())
    }

    fn header(&self, first_row_id: RowId) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&self.table.0.to_le_bytes());
        header[8..16].copy_from_slice(&first_row_id.0.to_le_bytes());
        header[16..20].copy_from_slice(&self.version.to_le_bytes());
        header[20] = self.kind as u8;
        header[24..28].copy_from_slice(&self.rows.to_le_bytes());
        header[28..32].copy_from_slice(&(self.metadata.len() as u32).to_le_bytes());
        header[32..40].copy_from_slice(&(self.body.len() as u64).to_le_bytes());
        header
    }
}

/// Bytes of a commit of these operations.
#[must_use]
pub fn payload_bytes<'a>(ops: impl Iterator<Item = &'a EncodedOp>) -> usize {
    START_BYTES + ops.map(EncodedOp::bytes).sum::<usize>()
}

/// Appends a whole commit to `out`; `ops` come with the row id of their first row, `millis` is the time of the commit.
pub fn write_payload<'a>(
    ops: impl ExactSizeIterator<Item = (&'a EncodedOp, RowId)>,
    millis: i64,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&(ops.len() as u32).to_le_bytes());
    out.extend_from_slice(&TIMED.to_le_bytes());
    out.extend_from_slice(&millis.to_le_bytes());
    for (op, first_row_id) in ops {
        out.extend_from_slice(&op.header(first_row_id));
        for part in [&op.metadata, &op.body] {
            out.extend_from_slice(part);
            out.extend_from_slice(padding(part.len()));
        }
    }
}

fn padded(len: usize) -> usize {
    len.next_multiple_of(ALIGNMENT)
}

fn padding(len: usize) -> &'static [u8] {
    &[0; ALIGNMENT][..padded(len) - len]
}

/// One operation as the log holds it.
#[derive(Clone, Debug)]
pub struct LoggedOp {
    /// The table it changed.
    pub table: TableId,
    /// The table's version at the time.
    pub version: u32,
    /// Row id of its first row, in a keyless table.
    pub first_row_id: RowId,
    /// What it did.
    pub kind: OpKind,
    /// Rows in it.
    pub rows: u32,
    metadata: Buffer,
    body: Buffer,
}

impl LoggedOp {
    /// The packed form of its rows; `None` when they are an Arrow message.
    #[must_use]
    pub fn packed(&self) -> Option<&[u8]> {
        self.metadata.is_empty().then_some(&self.body)
    }

    /// The rows, which have `schema`. The bytes were verified; Arrow checks their structure once more.
    ///
    /// # Errors
    /// `Corrupt` when the message does not fit the schema.
    pub fn batch(&self, schema: SchemaRef) -> Result<RecordBatch> {
        if self.metadata.is_empty() {
            return unpack(&self.body, self.rows as usize, &schema);
        }
        let damaged = |what: String| Error::corrupt("log record", 0, what);
        let message = root_as_message(&self.metadata).map_err(|e| damaged(e.to_string()))?;
        let header =
            message.header_as_record_batch().ok_or_else(|| damaged("no record batch in it".into()))?;
        let read =
            || read_record_batch(&self.body, header, schema, &HashMap::new(), None, &message.version());
        guarded(read).map_err(damaged)?.map_err(|e| damaged(e.to_string()))
    }
}

/// When a commit was made, in milliseconds since 1970 UTC; `None` where its record does not say.
///
/// # Errors
/// `Corrupt` when it is cut.
pub fn time_of(payload: &Buffer) -> Result<Option<i64>> {
    Ok(Reader { payload, at: 0 }.start()?.1)
}

/// Takes a commit's payload apart.
///
/// # Errors
/// `Corrupt` when a stated length does not fit.
pub fn decode(payload: &Buffer) -> Result<Vec<LoggedOp>> {
    let mut reader = Reader { payload, at: 0 };
    let (count, _) = reader.start()?;
    let mut ops = Vec::new();
    for _ in 0..count {
        ops.push(reader.op()?);
    }
    Ok(ops)
}

struct Reader<'a> {
    payload: &'a Buffer,
    at: usize,
}

impl Reader<'_> {
    /// How many operations there are, and the time of the commit.
    fn start(&mut self) -> Result<(u32, Option<i64>)> {
        let count = u32::from_le_bytes(self.array()?);
        let flags = u32::from_le_bytes(self.array()?);
        let time = if flags & TIMED == 0 { None } else { Some(i64::from_le_bytes(self.array()?)) };
        Ok((count, time))
    }

    fn take(&mut self, len: usize) -> Result<Buffer> {
        if len > self.payload.len() - self.at {
            return Err(Error::corrupt(
                "log record",
                self.at as u64,
                "an operation reaches beyond its record",
            ));
        }
        let bytes = self.payload.slice_with_length(self.at, len);
        self.at = padded(self.at + len).min(self.payload.len());
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        if N > self.payload.len() - self.at {
            return Err(Error::corrupt(
                "log record",
                self.at as u64,
                "an operation reaches beyond its record",
            ));
        }
        let bytes = std::array::from_fn(|i| self.payload[self.at + i]);
        self.at += N;
        Ok(bytes)
    }

    fn op(&mut self) -> Result<LoggedOp> {
        let table = TableId(u64::from_le_bytes(self.array()?));
        let first_row_id = RowId(u64::from_le_bytes(self.array()?));
        let version = u32::from_le_bytes(self.array()?);
        let [kind, ..] = self.array::<4>()?;
        let rows = u32::from_le_bytes(self.array()?);
        let metadata_len = u32::from_le_bytes(self.array()?) as usize;
        let body_len = u64::from_le_bytes(self.array()?) as usize;
        let kind = OpKind::from_byte(kind)
            .ok_or_else(|| Error::corrupt("log record", self.at as u64, format!("operation kind {kind}")))?;
        Ok(LoggedOp {
            table,
            version,
            first_row_id,
            kind,
            rows,
            metadata: self.take(metadata_len)?,
            body: self.take(body_len)?,
        })
    }
}
