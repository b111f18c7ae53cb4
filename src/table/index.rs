//! Indexes of a table's columns of vectors.

use trilith_engine::IndexSpec;

use super::Table;
use crate::error::Result;
use crate::query::create_index;
use crate::runtime;

impl Table {
    /// Defines an index of a column of vectors, and makes it for the rows that are in files; those of later files get theirs
    /// as they are written. Dropping the future stops the wait and not the work.
    ///
    /// # Errors
    /// `NotFound` for the table or the column; `AlreadyExists` for the name; `Invalid` for another kind of column, one that
    /// has an index already, a kind, class or option that there is not, and inside a transaction.
    pub async fn create_index(&self, spec: IndexSpec) -> Result<()> {
        self.database.check_definable("CREATE INDEX")?;
        create_index(self.database.engine(), self.name.clone(), spec).await
    }

    /// [`Table::create_index`] for callers without an async runtime.
    ///
    /// # Errors
    /// As [`Table::create_index`].
    pub fn create_index_blocking(&self, spec: IndexSpec) -> Result<()> {
        let table = self.clone();
        runtime::block_on(async move { table.create_index(spec).await })
    }

    /// Drops an index of the table's schema.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` inside a transaction.
    pub fn drop_index(&self, name: &str) -> Result<()> {
        self.database.check_definable("DROP INDEX")?;
        Ok(self.database.engine().drop_index(&self.name.schema, name)?)
    }
}
