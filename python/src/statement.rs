//! A statement on its way to the planner: the text, its parameters, and the local objects it may name.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use pyo3::prelude::*;
use trilith::engine::TableName;

use crate::error::{from_arrow, from_database, from_query, invalid};
use crate::params::params as to_params;
use crate::query::Query;
use crate::wait::wait;

/// A statement that has not been planned yet.
pub(crate) struct Statement {
    database: trilith::Database,
    query: trilith::Query,
}

impl Statement {
    /// `text` with `params`, which may be None.
    pub(crate) fn new(
        database: &trilith::Database,
        text: String,
        params: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let query = database.query(text);
        let query = if params.is_none() { query } else { query.params(to_params(params)?) };
        Ok(Self { database: database.clone(), query })
    }

    /// Makes `table` known to this statement alone.
    pub(crate) fn with_table(self, name: &str, table: Arc<dyn TableProvider>) -> Self {
        Self { query: self.query.table(name, table), ..self }
    }

    /// Plans it; a statement that writes runs at once.
    pub(crate) fn query(self, py: Python<'_>) -> PyResult<Query> {
        let query = self.query;
        let frame = wait(py, &self.database, async move { query.run().await.map_err(from_database) })?;
        Ok(Query::new(self.database, frame))
    }

    /// Runs it and returns the one number of its result: rows counted or changed.
    pub(crate) fn number(self, py: Python<'_>) -> PyResult<u64> {
        let query = self.query;
        wait(py, &self.database, async move { number(query.run().await.map_err(from_database)?).await })
    }
}

async fn number(frame: DataFrame) -> PyResult<u64> {
    let batches = frame.collect().await.map_err(from_query)?;
    let mut sum = 0;
    for batch in batches.iter().filter(|batch| batch.num_rows() > 0 && batch.num_columns() > 0) {
        let numbers = cast(batch.column(0), &DataType::UInt64).map_err(from_arrow)?;
        sum += numbers.as_primitive::<UInt64Type>().iter().flatten().sum::<u64>();
    }
    Ok(sum)
}

/// What may follow the table of a statement.
#[derive(Default)]
pub(crate) struct Clauses<'a> {
    /// SQL condition.
    pub(crate) condition: Option<&'a str>,
    /// SQL expressions.
    pub(crate) order_by: Vec<String>,
    /// Most rows.
    pub(crate) limit: Option<usize>,
}

impl Clauses<'_> {
    /// The select list of named columns, or of all.
    pub(crate) fn columns(names: Option<&[String]>) -> String {
        match names {
            None => "*".into(),
            Some(names) => names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", "),
        }
    }

    /// `SELECT shown FROM table ...`.
    pub(crate) fn select(&self, shown: &str, table: &TableName) -> PyResult<String> {
        self.select_from(shown, &quote_table(table))
    }

    /// `SELECT shown FROM source ...`, of anything that SQL takes for a table.
    pub(crate) fn select_from(&self, shown: &str, source: &str) -> PyResult<String> {
        Ok(format!("SELECT {shown} FROM {source}{}", self.text()?))
    }

    /// `DELETE FROM table ...`.
    pub(crate) fn delete(&self, table: &TableName) -> PyResult<String> {
        Ok(format!("DELETE FROM {}{}", quote_table(table), self.text()?))
    }

    fn text(&self) -> PyResult<String> {
        let mut text = String::new();
        if let Some(condition) = self.condition {
            check_fragment("condition", condition)?;
            // The line break ends a comment that the condition may close with.
            text.push_str(&format!(" WHERE ({condition}\n)"));
        }
        if !self.order_by.is_empty() {
            self.order_by.iter().try_for_each(|order| check_fragment("order", order))?;
            text.push_str(&format!(" ORDER BY {}", self.order_by.join(", ")));
        }
        if let Some(limit) = self.limit {
            text.push_str(&format!(" LIMIT {limit}"));
        }
        Ok(text)
    }
}

/// Refuses a piece of SQL that would not stay where it is put: one that ends the statement, or closes a
/// parenthesis that it did not open.
pub(crate) fn check_fragment(what: &str, sql: &str) -> PyResult<()> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize();
    let mut depth = 0_usize;
    for token in tokens.map_err(|why| invalid(format!("{what} {sql:?}: {why}")))? {
        match token {
            Token::SemiColon => return Err(invalid(format!("{what} {sql:?} holds more than one statement"))),
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => {
                return Err(invalid(format!("{what} {sql:?} closes what it did not open")));
            }
            Token::RParen => depth -= 1,
            _ => {}
        }
    }
    Ok(())
}

/// `name` as a SQL identifier that is taken as it is.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table's name in SQL.
pub(crate) fn quote_table(name: &TableName) -> String {
    format!("{}.{}", quote(&name.schema), quote(&name.table))
}
