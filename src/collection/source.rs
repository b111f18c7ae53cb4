//! The table of a collection in one snapshot: found, checked, read and written.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::{SessionContext, col, ident};
use trilith_engine::{Error as EngineError, ErrorKind, TableDef, TableName, WriteBatch};

use super::rows::DOC;
use crate::database::Database;
use crate::document::{Filter, ID};
use crate::error::{Error, Result};
use crate::query::connection::Pinned;
use crate::query::table::TrilithTable;
use crate::query::types;
use crate::runtime;

/// How often a change that lost a race is computed again.
const RETRIES_MAX: usize = 32;

/// How many of the documents that match are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    One,
    All,
}

/// The table of a collection in one snapshot.
pub(super) struct Source {
    pinned: Pinned,
    session: SessionContext,
    table: Arc<dyn TableProvider>,
    def: Arc<TableDef>,
}

impl Source {
    /// The table as of now; `None` when there is none yet.
    ///
    /// # Errors
    /// `Invalid` when it is no collection.
    pub(super) fn find(database: &Database, name: &TableName) -> Result<Option<Self>> {
        let (pinned, session) = database.pinned_session()?;
        let view = match pinned.snapshot.table(name) {
            Err(EngineError::NotFound { .. }) => return Ok(None),
            view => view?,
        };
        check_collection(view.def())?;
        let def = Arc::clone(view.def());
        let table = Arc::new(TrilithTable::new(pinned.clone(), view));
        Ok(Some(Self { pinned, session, table, def }))
    }

    /// Rows that match.
    pub(super) fn matching(&self, filter: &Filter) -> Result<DataFrame> {
        let rows = self.session.read_table(Arc::clone(&self.table))?;
        Ok(rows.filter(filter.condition(&ident(ID), &col(DOC))?)?)
    }

    /// Keys and documents that match.
    pub(super) async fn read(&self, filter: &Filter, reach: Reach) -> Result<Vec<RecordBatch>> {
        let mut found = self.matching(filter)?.select([ident(ID), col(DOC)])?;
        if reach == Reach::One {
            found = found.limit(0, Some(1))?;
        }
        runtime::on_worker(async move { Ok(found.collect().await?) }).await
    }

    /// Commits what `write` adds; false when a race was lost that may be run again.
    pub(super) fn commit(
        &self,
        attempt: usize,
        write: impl FnOnce(&mut WriteBatch, &Arc<TableDef>) -> trilith_engine::Result<()>,
    ) -> Result<bool> {
        let mut batch = WriteBatch::new();
        write(&mut batch, &self.def)?;
        if batch.rows() == 0 {
            return Ok(true);
        }
        batch.based_on(&self.pinned.snapshot);
        match self.pinned.write(batch) {
            Err(error) if error.kind() == ErrorKind::Conflict && attempt < RETRIES_MAX => Ok(false),
            outcome => Ok(outcome.map(|()| true)?),
        }
    }
}

fn check_collection(def: &TableDef) -> Result<()> {
    let column = |name| def.column_index(name);
    let keyed = column(ID).is_some_and(|id| def.key_columns() == [id]);
    let text = column(ID).is_some_and(|id| def.columns[id].field.data_type() == &DataType::Utf8);
    let documents = column(DOC).is_some_and(|doc| types::is_variant(&def.columns[doc].field));
    if keyed && text && documents {
        return Ok(());
    }
    let why = format!(
        "it is a table, not a collection: that has {ID} TEXT PRIMARY KEY and {DOC} VARIANT; use table()"
    );
    Err(Error::invalid(format!("collection {}", def.name), why))
}
