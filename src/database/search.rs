//! Searches by name and arguments, without SQL text.

use datafusion::arrow::array::RecordBatch;

use super::Database;
use crate::error::Result;
use crate::query::answer::Answer;
use crate::query::search::Search;
use crate::runtime;

impl Database {
    /// Plans a search; its rows are computed when they are asked for, and come in the order of the best.
    ///
    /// # Errors
    /// `NotFound` for a table or column, `Invalid` for an argument; those of its condition.
    pub async fn search(&self, search: &Search) -> Result<Answer> {
        self.check_open()?;
        let (database, search) = (self.clone(), search.clone());
        // Conditions may be deep, and the workers have the stacks for it.
        runtime::on_worker(async move { database.search_here(&search).await }).await
    }

    /// Runs a search, blocking.
    ///
    /// # Errors
    /// As [`Database::search`], and those of running it.
    pub fn search_blocking(&self, search: &Search) -> Result<Vec<RecordBatch>> {
        self.check_open()?;
        let (database, search) = (self.clone(), search.clone());
        runtime::block_on(async move { database.search_here(&search).await?.collect().await })
    }

    /// As [`Database::search`], at once; `None` when it has a condition.
    ///
    /// # Errors
    /// As [`Database::search`].
    pub fn search_at_once(&self, search: &Search) -> Result<Option<Answer>> {
        if search.condition().is_some() {
            return Ok(None);
        }
        self.answered(search)
    }

    fn answered(&self, search: &Search) -> Result<Option<Answer>> {
        let found = search.found(self.pin()?)?;
        let projection = search.projection(&found.schema())?;
        self.inner.sessions.answer(found, projection, search.condition())
    }

    async fn search_here(&self, search: &Search) -> Result<Answer> {
        if let Some(answer) = self.answered(search)? {
            return Ok(answer);
        }
        let (sql, params) = search.statement()?;
        Ok(self.query(sql).params(params).run().await?.into())
    }
}
