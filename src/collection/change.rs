//! Changes of documents that are there: read in one snapshot, committed against it.
//!
//! When another writer changed the same documents meanwhile, the change is computed again from what is
//! there now. What a change does to one document is decided in `crate::document`.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, StringArray};
use trilith_engine::{TableDef, WriteBatch};
use trilith_udfs::document::Documents;

use super::Collection;
use super::rows::batch;
use super::source::Reach;
use crate::document::{Filter, IntoValue, Update, Value, replacement};
use crate::error::Result;

/// What an update did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpdateResult {
    /// Documents that matched.
    pub matched: u64,
    /// Documents that became different.
    pub modified: u64,
}

impl Collection {
    /// Changes every document that matches, in one commit.
    ///
    /// # Errors
    /// `Invalid` when a change does not fit a document, and then none is changed; `Conflict` when other
    /// writers keep changing the same documents.
    pub async fn update_many(&self, filter: &Filter, update: &Update) -> Result<UpdateResult> {
        self.change(filter, Reach::All, |document| update.apply(document)).await
    }

    /// Changes one document that matches.
    ///
    /// # Errors
    /// As [`Collection::update_many`].
    pub async fn update_one(&self, filter: &Filter, update: &Update) -> Result<UpdateResult> {
        self.change(filter, Reach::One, |document| update.apply(document)).await
    }

    /// Puts `document` in the place of one that matches, whose `_id` it takes.
    ///
    /// # Errors
    /// `Invalid` when it is no object or has another `_id`; `Conflict` as in [`Collection::update_many`].
    pub async fn replace_one(&self, filter: &Filter, document: impl IntoValue) -> Result<UpdateResult> {
        let new = document.into_value()?;
        self.change(filter, Reach::One, |old| replacement(&new, old)).await
    }

    /// Deletes every document that matches, in one commit; returns their number.
    ///
    /// # Errors
    /// `Conflict` when other writers keep changing the same documents.
    pub async fn delete_many(&self, filter: &Filter) -> Result<u64> {
        self.delete(filter, Reach::All).await
    }

    /// Deletes one document that matches; returns the number deleted.
    ///
    /// # Errors
    /// As [`Collection::delete_many`].
    pub async fn delete_one(&self, filter: &Filter) -> Result<u64> {
        self.delete(filter, Reach::One).await
    }

    async fn change(
        &self,
        filter: &Filter,
        reach: Reach,
        change: impl Fn(&Value) -> Result<Value>,
    ) -> Result<UpdateResult> {
        let watch = self.database.watch();
        watch.settle(self.changed(filter, reach, change).await)
    }

    async fn changed(
        &self,
        filter: &Filter,
        reach: Reach,
        change: impl Fn(&Value) -> Result<Value>,
    ) -> Result<UpdateResult> {
        for attempt in 0.. {
            let Some(source) = self.source()? else { break };
            let (mut keys, mut documents, mut matched) = (vec![], vec![], 0);
            for batch in source.read(filter, reach).await? {
                let (ids, old) = (batch.column(0).as_string::<i32>(), Documents::new(batch.column(1))?);
                for row in 0..batch.num_rows() {
                    let old = old.get(row).map_or(Value::Null, |document| Value::from_variant(&document));
                    let new = change(&old)?;
                    matched += 1;
                    if new != old {
                        keys.push(ids.value(row).to_owned());
                        documents.push(new);
                    }
                }
            }
            let modified = keys.len() as u64;
            let rows = batch(StringArray::from(keys), Value::column(&documents)?)?;
            if source.commit(attempt, |write, def| write.upsert(def, &rows))? {
                return Ok(UpdateResult { matched, modified });
            }
        }
        Ok(UpdateResult::default())
    }

    async fn delete(&self, filter: &Filter, reach: Reach) -> Result<u64> {
        let watch = self.database.watch();
        watch.settle(self.deleted(filter, reach).await)
    }

    async fn deleted(&self, filter: &Filter, reach: Reach) -> Result<u64> {
        for attempt in 0.. {
            let Some(source) = self.source()? else { break };
            let batches = source.read(filter, reach).await?;
            let deleted: usize = batches.iter().map(RecordBatch::num_rows).sum();
            let write = |write: &mut WriteBatch, def: &Arc<TableDef>| {
                batches.iter().try_for_each(|batch| write.delete_keys(def, &batch.project(&[0])?))
            };
            if source.commit(attempt, write)? {
                return Ok(deleted as u64);
            }
        }
        Ok(0)
    }
}
