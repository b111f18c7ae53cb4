//! Collections: documents in MongoDB's manner over a table `(_id TEXT PRIMARY KEY, doc VARIANT)`.
//!
//! A collection is a name; its table is made by the first document, and until then it is empty. SQL sees
//! the same rows: `SELECT doc->>'name' FROM users`. Reading and inserting are here, `change` updates and
//! deletes, `source` is the table in one snapshot, `rows` makes rows of documents.

mod change;
mod rows;
mod source;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, StructArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::{col, ident};
use trilith_engine::{Error as EngineError, IfExists, TableName, TableSpec, WriteMode};
use trilith_udfs::document::{variant_field, variant_to_json};

use crate::database::Database;
use crate::document::{Filter, ID, IntoValue, Projection, Sort, Value};
use crate::error::Result;
use crate::runtime;
use rows::{DOC, rows_of};
use source::Source;

pub use change::UpdateResult;

/// Documents of one name in an open database.
#[derive(Clone, Debug)]
pub struct Collection {
    database: Database,
    name: TableName,
}

/// What [`Collection::find`] returns of the documents that match; all of them whole by default.
#[derive(Clone, Debug, Default)]
pub struct FindOptions {
    /// Order; by `_id` when empty, except that with a limit alone any documents that match will do.
    pub sort: Sort,
    /// Documents to pass over.
    pub skip: usize,
    /// Documents that are enough.
    pub limit: Option<usize>,
    /// Fields to return.
    pub projection: Option<Projection>,
}

impl Collection {
    pub(crate) fn new(database: Database, name: TableName) -> Self {
        Self { database, name }
    }

    /// The name of its table.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// Adds a document and returns its `_id`, which is made when it has none.
    ///
    /// # Errors
    /// `AlreadyExists` when a document has this `_id`; `Invalid` when it is no object.
    pub fn insert_one(&self, document: impl IntoValue) -> Result<Value> {
        let mut ids = self.insert_many([document])?;
        ids.pop().ok_or_else(|| EngineError::Internal("an inserted document has no _id".into()).into())
    }

    /// Adds documents in one commit, all or none, and returns their `_id`s.
    ///
    /// # Errors
    /// As [`Collection::insert_one`].
    pub fn insert_many(&self, documents: impl IntoIterator<Item = impl IntoValue>) -> Result<Vec<Value>> {
        let documents = documents.into_iter().map(IntoValue::into_value).collect::<Result<Vec<_>>>()?;
        self.insert_rows(&Value::column(&documents)?)
    }

    /// Adds the documents of a VARIANT column in one commit and returns their `_id`s.
    ///
    /// # Errors
    /// As [`Collection::insert_one`].
    pub fn insert_rows(&self, documents: &StructArray) -> Result<Vec<Value>> {
        let watch = self.database.watch();
        watch.settle(self.insert(documents))
    }

    fn insert(&self, documents: &StructArray) -> Result<Vec<Value>> {
        let (rows, ids) = rows_of(documents)?;
        self.database.check_open()?;
        self.create()?;
        let mut appender = self.database.appender(&self.name, WriteMode::Insert)?;
        appender.write(&rows)?;
        appender.finish()?;
        Ok(ids)
    }

    /// The documents that match, as a query with the one column `doc` that is computed when asked for.
    ///
    /// # Errors
    /// `Invalid` when the table is no collection.
    pub async fn find(&self, filter: &Filter, options: &FindOptions) -> Result<DataFrame> {
        let Some(source) = self.source()? else {
            let empty = RecordBatch::new_empty(Arc::new(Schema::new(vec![variant_field(DOC, true)])));
            return Ok(self.database.session()?.read_batch(empty)?);
        };
        let shown = match &options.projection {
            Some(projection) => projection.expression(&col(DOC)).alias(DOC),
            None => col(DOC),
        };
        let mut found = source.matching(filter)?;
        let any_will_do = options.sort.is_empty() && options.limit.is_some() && options.skip == 0;
        if !any_will_do {
            let mut order = options.sort.expressions(&col(DOC));
            order.push(ident(ID).sort(true, false));
            found = found.sort(order)?;
        }
        if options.skip > 0 || options.limit.is_some() {
            found = found.limit(options.skip, options.limit)?;
        }
        Ok(found.select([shown])?)
    }

    /// The documents that match, as JSON texts.
    ///
    /// # Errors
    /// As [`Collection::find`], and when a document cannot be read.
    pub async fn find_json(&self, filter: &Filter, options: &FindOptions) -> Result<Vec<String>> {
        let found = self.find(filter, options).await?;
        let batches = runtime::on_worker(async move { Ok(found.collect().await?) }).await?;
        let mut texts = vec![];
        for batch in &batches {
            let json = variant_to_json(batch.column(0).as_struct())?;
            texts.extend(json.as_string::<i32>().iter().flatten().map(str::to_owned));
        }
        Ok(texts)
    }

    /// How many documents match.
    ///
    /// # Errors
    /// As [`Collection::find`].
    pub async fn count(&self, filter: &Filter) -> Result<u64> {
        let Some(source) = self.source()? else { return Ok(0) };
        let found = source.matching(filter)?;
        runtime::on_worker(async move { Ok(found.count().await? as u64) }).await
    }

    /// Makes its table, so that SQL finds it before the first document is there; fine when there is one.
    ///
    /// # Errors
    /// `Invalid` when a table of this name is no collection, or the name cannot be one.
    pub fn create(&self) -> Result<()> {
        if self.source()?.is_some() {
            return Ok(());
        }
        let spec = TableSpec {
            name: self.name.clone(),
            schema: rows::schema(),
            primary_key: vec![ID.to_owned()],
            defaults: std::collections::HashMap::new(),
            options: trilith_engine::OptionTexts::new(),
            indexes: vec![],
        };
        self.database.engine().create_table(&spec, IfExists::Keep)?;
        // A collection without documents is as good as none, so its table need not wait for the commit.
        if let Some(transaction) = self.database.open_transaction() {
            transaction.adopt(&self.name)?;
        }
        Ok(())
    }

    fn source(&self) -> Result<Option<Source>> {
        Source::find(&self.database, &self.name)
    }
}
