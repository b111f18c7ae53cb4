//! A write batch: changes to any number of tables that become visible, and durable, together or not at all.
//!
//! Everything that can be checked or encoded without the commit lock happens here, in the caller's thread.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};

use super::conform::{conform, conform_keys};
use super::snapshot::Snapshot;
use super::transaction::Claim;
use crate::common::{Durability, Error, Result, RowId, SeqNo};
use crate::format::commit::{EncodedOp, OpKind};
use crate::format::table::TableDef;
use crate::lsm::TableState;
use crate::memtable::{ChunkKeys, Keys, PackedRows};

/// Name of the hidden key column of keyless tables.
pub const ROW_ID: &str = "_rowid";

/// One table's change, checked and encoded.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub table: Arc<TableDef>,
    pub kind: OpKind,
    /// The rows, when `encoded` does not hold them packed; `None` for a deletion.
    rows: Option<RecordBatch>,
    /// Keys of keyed tables, row ids to delete; fresh rows of keyless tables get theirs at commit.
    pub keys: Option<Keys>,
    pub encoded: EncodedOp,
}

impl Op {
    /// True when it leaves rows under its keys.
    pub fn adds_rows(&self) -> bool {
        matches!(self.kind, OpKind::Insert | OpKind::Upsert)
    }

    /// Pushes it into the active memtable of `table`; fresh rows have ids from `first` on.
    pub fn push(&self, table: &TableState, first: RowId, seq: SeqNo, fresh: bool) -> Result<()> {
        let ids = || Keys::Fresh(first, self.encoded.rows);
        let Some(bytes) = self.encoded.packed() else {
            let keys = self.keys.clone().unwrap_or_else(ids).into_arrays();
            return table.active.push(seq, keys, self.rows.clone(), fresh);
        };
        let schema = table.def.schema();
        let rows = self.adds_rows().then_some(PackedRows { schema: &schema, bytes });
        match &self.keys {
            Some(keys) => table.active.push_few(seq, keys, rows, fresh),
            None => table.active.push_few(seq, &ids(), rows, fresh),
        }
    }
}

/// Changes that are committed together.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    pub(super) ops: Vec<Op>,
    pub(super) based_on: Option<Snapshot>,
    /// What the commit of a transaction depends on.
    pub(super) claim: Option<Claim>,
    pub(super) durability: Option<Durability>,
}

impl WriteBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds rows; in a keyed table their keys must be new.
    ///
    /// # Errors
    /// `Invalid` for rows the table cannot hold, `AlreadyExists` for a key that stands in `rows` twice. Keys that are
    /// in the table already are found at commit.
    pub fn insert(&mut self, table: &Arc<TableDef>, rows: &RecordBatch) -> Result<()> {
        let rows = conform(table, rows)?;
        let keys = encode_keys(table, &rows)?;
        if let Some(ChunkKeys::Encoded(keys)) = &keys {
            check_distinct(table, keys)?;
        }
        self.push(table, OpKind::Insert, rows, keys.map(Keys::Many))
    }

    /// Adds rows, replacing those of the same key; of two rows with one key the later counts.
    ///
    /// # Errors
    /// As [`WriteBatch::insert`], and `Invalid` for a table without a primary key.
    pub fn upsert(&mut self, table: &Arc<TableDef>, rows: &RecordBatch) -> Result<()> {
        require_key(table, "upsert")?;
        let rows = conform(table, rows)?;
        // A key that comes twice needs no care: the memtable lets the later entry supersede the earlier.
        let keys = encode_keys(table, &rows)?;
        self.push(table, OpKind::Upsert, rows, keys.map(Keys::Many))
    }

    /// Deletes the rows of these keys; a key that is not there is passed over. `keys` holds the key columns.
    ///
    /// # Errors
    /// `Invalid` for a table without a primary key or values that are no keys of it.
    pub fn delete_keys(&mut self, table: &Arc<TableDef>, keys: &RecordBatch) -> Result<()> {
        require_key(table, "delete by key")?;
        let rows = conform_keys(table, keys)?;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let keys = Keys::Many(ChunkKeys::Encoded(table.key_codec()?.encode(rows.columns())?));
        let encoded = EncodedOp::new(table.id, table.version, OpKind::DeleteKeys, &rows)?;
        self.ops.push(Op {
            table: Arc::clone(table),
            kind: OpKind::DeleteKeys,
            rows: None,
            keys: Some(keys),
            encoded,
        });
        Ok(())
    }

    /// Deletes rows of a keyless table by the hidden column [`ROW_ID`].
    ///
    /// # Errors
    /// `Invalid` for a keyed table.
    pub fn delete_row_ids(&mut self, table: &Arc<TableDef>, ids: &UInt64Array) -> Result<()> {
        if table.is_keyed() {
            return Err(Error::invalid(
                format!("table {}", table.name),
                "its rows are deleted by primary key, not by row id",
            ));
        }
        if ids.is_empty() {
            return Ok(());
        }
        let encoded = EncodedOp::new(table.id, table.version, OpKind::DeleteRowIds, &row_id_batch(ids)?)?;
        let keys = Some(Keys::Many(ChunkKeys::RowIds(ids.clone())));
        self.ops.push(Op { table: Arc::clone(table), kind: OpKind::DeleteRowIds, rows: None, keys, encoded });
        Ok(())
    }

    /// States that the batch was computed from `snapshot`: the commit fails with `Conflict` when a row that it
    /// replaces or deletes was changed after it.
    pub fn based_on(&mut self, snapshot: &Snapshot) {
        self.based_on = Some(snapshot.clone());
    }

    /// Sets when the commit is acknowledged, instead of the engine's default.
    pub fn durability(&mut self, durability: Durability) {
        self.durability = Some(durability);
    }

    /// Rows written and keys deleted.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.ops.iter().map(|op| op.encoded.rows as usize).sum()
    }

    /// Bytes it takes in the log.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ops.iter().map(|op| op.encoded.bytes()).sum()
    }

    /// Adds an operation whose rows and keys are known to fit; of no rows, none.
    pub(super) fn push(
        &mut self,
        table: &Arc<TableDef>,
        kind: OpKind,
        rows: RecordBatch,
        keys: Option<Keys>,
    ) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let encoded = EncodedOp::new(table.id, table.version, kind, &rows)?;
        let rows = encoded.packed().is_none().then_some(rows);
        self.ops.push(Op { table: Arc::clone(table), kind, rows, keys, encoded });
        Ok(())
    }

    /// Adds an operation on packed rows, which are known to fit.
    pub(super) fn push_encoded(&mut self, table: &Arc<TableDef>, keys: Option<Keys>, encoded: EncodedOp) {
        let (table, kind) = (Arc::clone(table), encoded.kind);
        self.ops.push(Op { table, kind, rows: None, keys, encoded });
    }
}

/// Encoded keys of rows that have the table's schema; `None` for a keyless table.
pub(crate) fn encode_keys(table: &TableDef, rows: &RecordBatch) -> Result<Option<ChunkKeys>> {
    if !table.is_keyed() {
        return Ok(None);
    }
    Ok(Some(ChunkKeys::Encoded(table.key_codec()?.encode(&table.key_arrays(rows))?)))
}

/// Row ids as the log holds them.
pub(super) fn row_id_batch(ids: &UInt64Array) -> Result<RecordBatch> {
    let schema = Schema::new(vec![Field::new(ROW_ID, DataType::UInt64, false)]);
    Ok(RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids.clone())])?)
}

pub(super) fn require_key(table: &TableDef, what: &str) -> Result<()> {
    if table.is_keyed() {
        return Ok(());
    }
    Err(Error::invalid(
        format!("table {}", table.name),
        format!("{what} needs a primary key, and it has none"),
    ))
}

/// The error for a key that is there already.
pub(super) fn duplicate(table: &TableDef, key: &[u8]) -> Error {
    let shown = table.key_codec().map_or_else(|_| format!("{key:02x?}"), |codec| codec.display(key));
    Error::AlreadyExists {
        entity: format!("a row of table {} with key", table.name),
        name: format!("{shown} (use upsert, or ON CONFLICT, to replace it)"),
    }
}

fn is_ascending(keys: &BinaryArray) -> bool {
    (1..keys.len()).all(|i| keys.value(i - 1) < keys.value(i))
}

fn check_distinct(table: &TableDef, keys: &BinaryArray) -> Result<()> {
    if is_ascending(keys) {
        return Ok(());
    }
    let mut sorted: Vec<&[u8]> = (0..keys.len()).map(|i| keys.value(i)).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(duplicate(table, pair[0])),
        None => Ok(()),
    }
}
