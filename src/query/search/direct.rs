//! A search that a program asks for by name and arguments. Unless its condition takes a statement, it needs no planner, which
//! costs more than a search of a small table does.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::common::ParamValues;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::scalar::ScalarValue;

use super::call::Call;
use super::functions::{FUNCTIONS, Function, function_named};
use super::tables::Tables;
use crate::error::{Error, Result};
use crate::query::connection::Pinned;
use crate::query::parse::quoted;
use crate::query::schema::LocalTables;

/// A search: one of the table functions `vector_search`, `text_search`, `sparse_search`, `multivector_search` and `hybrid_search` with its arguments.
///
/// ```
/// # fn main() -> trilith::Result<()> {
/// use trilith::{Database, Search};
///
/// let db = Database::in_memory()?;
/// db.sql_blocking("CREATE TABLE pages (id BIGINT PRIMARY KEY, body TEXT)")?;
/// db.sql_blocking("INSERT INTO pages VALUES (1, 'green tea'), (2, 'a cup')")?;
/// let search = Search::new("text_search")?.argument("table", "pages").argument("query", "tea");
/// let rows = db.search_blocking(&search.filter("id < 10"))?;
/// assert_eq!(rows[0].num_rows(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "pass it to Database::search"]
pub struct Search {
    function: &'static Function,
    arguments: Vec<(String, ScalarValue)>,
    condition: Option<String>,
    columns: Option<Vec<String>>,
}

impl Search {
    /// A search by the function of this name.
    ///
    /// # Errors
    /// `NotFound`, with the names that there are.
    pub fn new(function: &str) -> Result<Self> {
        let known = || FUNCTIONS.each_ref().map(|function| function.signature.name).join(", ");
        let function = function_named(function).ok_or_else(|| {
            Error::not_found("search function", format!("{function}; there are {}", known()))
        })?;
        Ok(Self { function, arguments: vec![], condition: None, columns: None })
    }

    /// Gives an argument by its name; what is not given has the default that SQL has.
    pub fn argument(mut self, name: &str, value: impl Into<ScalarValue>) -> Self {
        self.arguments.push((name.to_owned(), value.into()));
        self
    }

    /// A condition in SQL that holds before the best rows are chosen.
    pub fn filter(mut self, condition: impl Into<String>) -> Self {
        self.condition = Some(condition.into());
        self
    }

    /// The columns to return, by their names in the result; all when this is not called.
    pub fn columns(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.columns = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Places of the columns to return.
    pub(crate) fn projection(&self, schema: &Schema) -> Result<Option<Vec<usize>>> {
        let place = |name: &String| {
            let known =
                || schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
            let missing = || Error::not_found("column", format!("{name}; the result has {}", known()));
            schema.column_with_name(name).map(|(at, _)| at).ok_or_else(missing)
        };
        self.columns.as_ref().map(|names| names.iter().map(place).collect()).transpose()
    }

    /// The condition, if there is one.
    pub(crate) fn condition(&self) -> Option<&str> {
        self.condition.as_deref()
    }

    /// The rows without the condition, as a table.
    pub(crate) fn found(&self, pinned: Pinned) -> Result<Arc<dyn TableProvider>> {
        let tables = Tables::new(pinned, LocalTables::default(), None);
        Ok((self.function.found)(&tables, &self.call()?)?)
    }

    /// The statement that it is, and its parameters.
    pub(crate) fn statement(&self) -> Result<(String, ParamValues)> {
        let (function, order) = (self.function.signature.name, (self.function.order)(&self.call()?)?);
        let names: Vec<String> =
            self.arguments.iter().map(|(name, _)| format!("{name} => ${name}")).collect();
        // The condition ends with its line, so a comment in it hides no bracket.
        let condition = self.condition.as_ref().map_or_else(String::new, |text| format!(" WHERE ({text}\n)"));
        let columns = self.columns.as_ref().map_or_else(
            || "*".to_owned(),
            |names| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "),
        );
        let sql = format!("SELECT {columns} FROM {function}({}){condition}{order}", names.join(", "));
        let named =
            |(name, value): &(String, ScalarValue)| (name.clone(), ScalarAndMetadata::from(value.clone()));
        Ok((sql, ParamValues::Map(self.arguments.iter().map(named).collect::<HashMap<_, _>>())))
    }

    fn call(&self) -> Result<Call> {
        Ok(Call::named(self.function.signature, &self.arguments)?)
    }
}

#[cfg(test)]
mod tests;
