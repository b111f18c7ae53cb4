//! The sink: takes a stream of rows and makes one commit of them.
//!
//! Plain inserts stream through the engine's appender in bounded memory. Changes computed from a
//! snapshot are gathered first, against the session's memory limit, and committed on condition that
//! nobody changed those rows since.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use datafusion::arrow::datatypes::{SchemaRef, UInt64Type};
use datafusion::common::internal_datafusion_err;
use datafusion::datasource::sink::DataSink;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType};
use futures::TryStreamExt;
use trilith_engine::format::size::batch_bytes;
use trilith_engine::{Appender, Error as EngineError, TableDef, WriteBatch, WriteMode, key_schema};

use super::Change;
use super::keys::{self, KeySet};
use crate::error::external;
use crate::query::connection::Pinned;

/// Writes rows to one table.
pub(crate) struct TableSink {
    pinned: Pinned,
    table: Arc<TableDef>,
    change: Change,
    schema: SchemaRef,
    metrics: ExecutionPlanMetricsSet,
}

impl TableSink {
    /// A sink for rows of `schema`, which the caller made fit the table.
    pub(crate) fn new(pinned: Pinned, table: Arc<TableDef>, change: Change, schema: SchemaRef) -> Self {
        Self { pinned, table, change, schema, metrics: ExecutionPlanMetricsSet::new() }
    }

    async fn append(&self, mode: WriteMode, mut rows: SendableRecordBatchStream) -> Result<u64> {
        let mut appender = self.pinned.appender(&self.table.name, mode).map_err(external)?;
        while let Some(batch) = rows.try_next().await? {
            appender.write(&batch).map_err(external)?;
        }
        finish(appender).await
    }

    /// Inserts rows whose keys are new; a key that someone else adds meanwhile is a conflict.
    async fn append_missing(&self, mut rows: SendableRecordBatchStream) -> Result<u64> {
        let view = self.pinned.snapshot.table(&self.table.name).map_err(external)?;
        let mut seen = KeySet::new(&self.table)?;
        let mut appender = self.pinned.appender(&self.table.name, WriteMode::Insert).map_err(external)?;
        while let Some(batch) = rows.try_next().await? {
            let keys = self.table.key_arrays(&batch);
            let fresh = seen.insert(&keys)?;
            let keep = fresh.iter().zip(keys::present(&view, &keys)?).map(|(fresh, there)| *fresh && !there);
            let missing = keys::filter(&batch, keep.collect())?;
            appender.write(&missing).map_err(|error| external(self.raced(error)))?;
        }
        finish(appender).await.map_err(|error| match crate::error::Error::from(error) {
            crate::error::Error::Engine(error) => external(self.raced(error)),
            other => other.into(),
        })
    }

    fn raced(&self, error: EngineError) -> EngineError {
        match error {
            EngineError::AlreadyExists { .. } => EngineError::Conflict { table: self.table.name.to_string() },
            other => other,
        }
    }

    /// Gathers the stream, charging the session's memory, and commits what `apply` makes of it.
    async fn gather(
        &self,
        mut rows: SendableRecordBatchStream,
        context: &TaskContext,
        apply: impl Fn(&Self, &[RecordBatch], &mut WriteBatch) -> Result<u64>,
    ) -> Result<u64> {
        let memory = MemoryConsumer::new(format!("{} of {}", self.change.verb(), self.table.name))
            .register(context.memory_pool());
        let mut batches = vec![];
        while let Some(batch) = rows.try_next().await? {
            memory.try_grow(batch_bytes(&batch))?;
            if batch.num_rows() > 0 {
                batches.push(batch);
            }
        }
        let mut commit = WriteBatch::new();
        commit.based_on(&self.pinned.snapshot);
        let count = apply(self, &batches, &mut commit)?;
        if count > 0 {
            self.pinned.write(commit).map_err(external)?;
        }
        Ok(count)
    }

    fn upsert(&self, batches: &[RecordBatch], commit: &mut WriteBatch) -> Result<u64> {
        let mut keys = KeySet::new(&self.table)?;
        for batch in batches {
            self.require_once(&keys.insert(&self.table.key_arrays(batch))?)?;
            commit.upsert(&self.table, batch).map_err(external)?;
        }
        Ok(rows_of(batches))
    }

    fn delete(&self, batches: &[RecordBatch], commit: &mut WriteBatch) -> Result<u64> {
        for batch in batches {
            self.delete_identities(batch, commit)?;
        }
        Ok(rows_of(batches))
    }

    fn delete_identities(&self, identities: &RecordBatch, commit: &mut WriteBatch) -> Result<()> {
        if self.table.is_keyed() {
            let keys = RecordBatch::try_new(key_schema(&self.table), identities.columns().to_vec())?;
            return commit.delete_keys(&self.table, &keys).map_err(external);
        }
        commit.delete_row_ids(&self.table, self.row_ids(identities)?).map_err(external)
    }

    fn row_ids<'a>(&self, identities: &'a RecordBatch) -> Result<&'a UInt64Array> {
        let column = identities.columns().first();
        column
            .and_then(|column| column.as_primitive_opt::<UInt64Type>())
            .ok_or_else(|| internal_datafusion_err!("the hidden key of {} is missing", self.table.name))
    }

    /// Refuses a statement that gives one row two futures.
    fn require_once(&self, first_time: &[bool]) -> Result<()> {
        if first_time.iter().all(|first| *first) {
            return Ok(());
        }
        let what = format!("{} of table {}", self.change.verb(), self.table.name);
        let why = "it changes one row twice; make what it reads name each row once";
        Err(external(EngineError::invalid(what, why)))
    }

    fn update(&self, batches: &[RecordBatch], commit: &mut WriteBatch) -> Result<u64> {
        let width = if self.table.is_keyed() { self.table.key_columns().len() } else { 1 };
        let mut seen = HashSet::new();
        for batch in batches {
            let identity: Vec<usize> = (0..width).collect();
            let rows: Vec<usize> = (width..batch.num_columns()).collect();
            let (identity, rows) = (batch.project(&identity)?, batch.project(&rows)?);
            if !self.table.is_keyed() {
                let ids = self.row_ids(&identity)?;
                self.require_once(&ids.values().iter().map(|id| seen.insert(*id)).collect::<Vec<_>>())?;
                self.delete_identities(&identity, commit)?;
                commit.insert(&self.table, &rows).map_err(external)?;
            }
        }
        if self.table.is_keyed() {
            self.update_keyed(width, batches, commit)?;
        }
        Ok(rows_of(batches))
    }

    /// Upserts the new rows and deletes old keys that no new row has.
    fn update_keyed(&self, width: usize, batches: &[RecordBatch], commit: &mut WriteBatch) -> Result<()> {
        let view = self.pinned.snapshot.table(&self.table.name).map_err(external)?;
        let (mut old_keys, mut new_keys) = (KeySet::new(&self.table)?, KeySet::new(&self.table)?);
        for batch in batches {
            self.require_once(&old_keys.insert(&identity_of(batch, width))?)?;
        }
        for batch in batches {
            let columns: Vec<usize> = (width..batch.num_columns()).collect();
            let rows = batch.project(&columns)?;
            let keys = keys::key_batch(&self.table, &rows)?;
            let fresh = new_keys.insert(keys.columns())?;
            let own = old_keys.contains(keys.columns())?;
            let there = keys::present(&view, keys.columns())?;
            let clash = (0..rows.num_rows()).find(|&row| !fresh[row] || (there[row] && !own[row]));
            if let Some(row) = clash {
                return Err(external(keys::taken(&self.table, &keys, row)?));
            }
            commit.upsert(&self.table, &rows).map_err(external)?;
        }
        for batch in batches {
            let identity: Vec<usize> = (0..width).collect();
            let stays = new_keys.contains(&identity_of(batch, width))?;
            let gone = keys::filter(&batch.project(&identity)?, stays.iter().map(|stays| !stays).collect())?;
            if gone.num_rows() > 0 {
                self.delete_identities(&gone, commit)?;
            }
        }
        Ok(())
    }
}

fn identity_of(batch: &RecordBatch, width: usize) -> Vec<ArrayRef> {
    batch.columns()[..width].to_vec()
}

fn rows_of(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

/// Commits on a thread that may block: it waits for the disk.
async fn finish(appender: Appender) -> Result<u64> {
    tokio::task::spawn_blocking(move || appender.finish())
        .await
        .map_err(|error| internal_datafusion_err!("the commit was stopped: {error}"))?
        .map_err(external)
}

impl fmt::Debug for TableSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableSink({} {})", self.change.verb(), self.table.name)
    }
}

impl DisplayAs for TableSink {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(table={})", self.change.verb(), self.table.name)
    }
}

#[async_trait]
impl DataSink for TableSink {
    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    async fn write_all(&self, rows: SendableRecordBatchStream, context: &Arc<TaskContext>) -> Result<u64> {
        let count = match self.change {
            Change::Insert => self.append(WriteMode::Insert, rows).await,
            Change::Upsert => self.append(WriteMode::Upsert, rows).await,
            Change::InsertMissing => self.append_missing(rows).await,
            Change::UpsertComputed => self.gather(rows, context, Self::upsert).await,
            Change::Delete => self.gather(rows, context, Self::delete).await,
            Change::Update => self.gather(rows, context, Self::update).await,
        }?;
        MetricBuilder::new(&self.metrics).global_counter("rows_written").add(count as usize);
        Ok(count)
    }
}
