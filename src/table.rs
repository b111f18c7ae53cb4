//! One table, without SQL text for the usual calls.
//!
//! Writes and key lookups go straight to the engine, reads become plans like any query's. A handle holds
//! the table's name, not its columns, so it stays good when the table is altered.

mod index;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::dataframe::DataFrame;
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::parser::Parser;
use trilith_engine::{TableName, TableView, ValuePart, WriteMode};

use crate::database::Database;
use crate::error::{Error, Result};
use crate::query::parse::{dialect, quoted};
use crate::runtime;

/// A table of an open database.
#[derive(Clone, Debug)]
pub struct Table {
    database: Database,
    name: TableName,
}

/// What [`Table::scan`] returns; everything by default.
#[derive(Clone, Debug, Default)]
pub struct ScanOptions {
    /// Columns or expressions to return, as SQL; all columns when empty.
    pub columns: Vec<String>,
    /// Condition on rows, as SQL.
    pub filter: Option<String>,
    /// Order, as SQL: `price DESC, id`.
    pub order_by: Option<String>,
    /// Rows that are enough.
    pub limit: Option<usize>,
}

impl Table {
    /// The table of this name, which means nothing but itself.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn named(database: &Database, name: TableName) -> Result<Self> {
        database.snapshot()?.table(&name)?;
        Ok(Self { database: database.clone(), name })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// Its columns.
    ///
    /// # Errors
    /// `NotFound` when it has been dropped.
    pub fn schema(&self) -> Result<SchemaRef> {
        Ok(self.view()?.schema())
    }

    /// It as of now; inside a transaction, as that sees it.
    ///
    /// # Errors
    /// `NotFound` when it has been dropped.
    pub fn view(&self) -> Result<TableView> {
        Ok(self.database.snapshot()?.table(&self.name)?)
    }

    /// Adds rows in one commit; a key that is there already is an error.
    ///
    /// # Errors
    /// `AlreadyExists` for a key twice, `Invalid` for rows the table cannot hold.
    pub fn append(&self, batches: impl IntoIterator<Item = RecordBatch>) -> Result<u64> {
        self.write(WriteMode::Insert, batches)
    }

    /// Adds rows in one commit; a key that is there already gets the new row.
    ///
    /// # Errors
    /// `Invalid` for rows the table cannot hold, or when it has no key.
    pub fn upsert(&self, batches: impl IntoIterator<Item = RecordBatch>) -> Result<u64> {
        self.write(WriteMode::Upsert, batches)
    }

    fn write(&self, mode: WriteMode, batches: impl IntoIterator<Item = RecordBatch>) -> Result<u64> {
        let mut appender = self.database.appender(&self.name, mode)?;
        for batch in batches {
            appender.write(&batch)?;
        }
        Ok(appender.finish()?)
    }

    /// The row of a key, with these columns (all when `None`); one value per key column.
    ///
    /// # Errors
    /// `Invalid` when the table has no key or the values are no key of it.
    pub fn get(&self, key: &[ScalarValue], columns: Option<&[&str]>) -> Result<Option<RecordBatch>> {
        let arrays = key.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>, _>>()?;
        let view = self.view()?;
        let projection = projection(&view, columns)?;
        Ok(view.get(&arrays, projection.as_deref())?)
    }

    /// Bytes `range` of the value that the row of a key has in a column of strings or bytes, cut at the value's end; `None`
    /// when there is no such row, or its value is null. Of a large value only what the range touches is read.
    ///
    /// # Errors
    /// As [`Table::get`]; `Invalid` for a column of another type, and for a range that ends before it starts.
    pub fn get_range(
        &self,
        key: &[ScalarValue],
        column: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Option<ValuePart>> {
        let arrays = key.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>, _>>()?;
        let view = self.view()?;
        let column = view.def().require_column(column)?;
        Ok(view.get_range(&arrays, column, range)?)
    }

    /// The rows of many keys, one array per key column: the rows found, and for each key its row among them.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn get_many(
        &self,
        keys: &[ArrayRef],
        columns: Option<&[&str]>,
    ) -> Result<(RecordBatch, Vec<Option<usize>>)> {
        let view = self.view()?;
        let projection = projection(&view, columns)?;
        Ok(view.get_many(keys, projection.as_deref())?)
    }

    /// Rows, as a query that is computed when it is asked for.
    ///
    /// # Errors
    /// When a column does not exist or an expression is not SQL.
    pub async fn scan(&self, options: ScanOptions) -> Result<DataFrame> {
        self.database.sql(&self.select(&options)).await
    }

    fn select(&self, options: &ScanOptions) -> String {
        let columns = if options.columns.is_empty() { "*".to_owned() } else { options.columns.join(", ") };
        let mut sql = format!("SELECT {columns} FROM {}", self.quoted());
        if let Some(filter) = &options.filter {
            sql.push_str(&format!(" WHERE {filter}"));
        }
        if let Some(order) = &options.order_by {
            sql.push_str(&format!(" ORDER BY {order}"));
        }
        if let Some(limit) = options.limit {
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        sql
    }

    /// Number of rows, of those that satisfy a condition given as SQL.
    ///
    /// # Errors
    /// When the condition is not SQL over the table's columns.
    pub async fn count(&self, filter: Option<&str>) -> Result<u64> {
        let Some(filter) = filter else { return Ok(self.view()?.row_count()?) };
        let sql = format!("SELECT * FROM {} WHERE {filter}", self.quoted());
        let frame = self.database.sql(&sql).await?;
        runtime::on_worker(async move { Ok(frame.count().await? as u64) }).await
    }

    /// Deletes the rows that satisfy a condition given as SQL; returns their number.
    ///
    /// # Errors
    /// When the condition is not SQL over the table's columns; `Conflict` when others keep changing them.
    pub async fn delete(&self, filter: &str) -> Result<u64> {
        let sql = format!("DELETE FROM {} WHERE {filter}", self.quoted());
        let batches = self.database.sql(&sql).await?.collect().await?;
        Ok(first_count(&batches))
    }

    /// A DataFusion context over the newest snapshot.
    ///
    /// # Errors
    /// When the database is closed.
    pub fn session(&self) -> Result<SessionContext> {
        self.database.session()
    }

    /// Its name as SQL writes it.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.name.schema), quoted(&self.name.table))
    }
}

fn projection(view: &TableView, columns: Option<&[&str]>) -> Result<Option<Vec<usize>>> {
    let Some(columns) = columns else { return Ok(None) };
    columns.iter().map(|name| Ok(view.def().require_column(name)?)).collect::<Result<_>>().map(Some)
}

/// The number in the `count` column of a statement's result.
#[must_use]
pub(crate) fn first_count(batches: &[RecordBatch]) -> u64 {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::UInt64Type;
    let column = batches.iter().find(|batch| batch.num_rows() > 0).and_then(|batch| batch.columns().first());
    column.and_then(|column| column.as_primitive_opt::<UInt64Type>()).map_or(0, |counts| counts.value(0))
}

/// `table` or `schema.table`, quoted as in SQL where a part holds dots or quotes; kept verbatim.
pub(crate) fn parse_name(name: &str) -> Result<TableName> {
    let invalid = || Error::invalid(format!("table name {name:?}"), "write table or schema.table");
    let is_plain = !name.contains('"');
    let parts: Vec<String> = if is_plain {
        name.splitn(2, '.').map(str::to_owned).collect()
    } else {
        let mut parser = Parser::new(dialect()).try_with_sql(name).map_err(|_| invalid())?;
        let parsed = parser.parse_object_name(false).map_err(|_| invalid())?;
        parsed.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.clone()).collect()
    };
    let found = match parts.as_slice() {
        [table] => TableName::public(table),
        [schema, table] => TableName::new(schema, table),
        _ => return Err(invalid()),
    };
    found.validate()?;
    Ok(found)
}
