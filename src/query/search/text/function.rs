//! `text_search('table', 'column', 'words', k, language, operator)`: a table function with all columns of the `k` rows
//! that fit the words best and their `_score`, best first.
//!
//! Conditions of the query around it hold before the `k` rows are chosen, unless they hold a subquery; rows without text are
//! never found.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::analyzer::{Analyzer, LANGUAGE_DEFAULT};
use super::corpus::TextSource;
use super::exec::{TextSearchExec, Wording};
use super::query::TextQuery;
use super::syntax::Operator;
use super::texts::Texts;
use crate::query::search::call::{Call, Default, K_DEFAULT, Signature, optional, required};
use crate::query::search::tables::{
    Tables, check_free, needed_columns, projected, pushed_down, searched_rows,
};

/// The function.
pub(crate) static TEXT_SEARCH: Signature = Signature {
    name: "text_search",
    arguments: &[
        required("table"),
        required("column"),
        required("query"),
        optional("k", Default::Whole(K_DEFAULT)),
        optional("language", Default::Text(LANGUAGE_DEFAULT)),
        optional("operator", Default::Text("or")),
    ],
    example: "text_search('pages', 'body', 'green tea', 10)",
};
/// Name of the column with the score.
pub(crate) const SCORE: &str = "_score";

/// The function, over the tables of one call.
#[derive(Debug)]
pub(crate) struct TextSearch(pub Tables);

impl TableFunctionImpl for TextSearch {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let call = Call::read(&TEXT_SEARCH, args.exprs(), self.0.params.as_ref())?;
        let name = call.text("table")?;
        let table = self.0.own_table(TEXT_SEARCH.name, &name)?;
        check_free(TEXT_SEARCH.name, &name, &table.schema(), &[SCORE])?;
        let asked = Asked::read(&call, "column", "query", &name, &table.schema())?;
        let mut fields = table.schema().fields().to_vec();
        fields.push(Arc::new(Field::new(SCORE, DataType::Float64, false)));
        Ok(Arc::new(Found { table, asked, k: call.count("k")?, schema: Arc::new(Schema::new(fields)) }))
    }
}

/// What a call asks for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The column, by name.
    pub column: String,
    source: TextSource,
    text: String,
    operator: Operator,
}

impl Asked {
    /// Reads the column, the query, the language and the operator of a call.
    ///
    /// # Errors
    /// When one is not what it should be.
    pub(crate) fn read(call: &Call, column: &str, query: &str, table: &str, schema: &Schema) -> Result<Self> {
        let (at, texts) = Texts::named(table, schema, &call.text(column)?)?;
        let operator = match call.text("operator")?.to_ascii_lowercase().as_str() {
            "or" => Operator::Or,
            "and" => Operator::And,
            other => return plan_err!("operator {other:?} is unknown; use 'or' or 'and'"),
        };
        let source = TextSource { analyzer: Analyzer::of(&call.text("language")?)?, texts };
        let asked =
            Self { column: schema.field(at).name().clone(), source, text: call.text(query)?, operator };
        // What is wrong with a query is said when it is planned.
        asked.query()?;
        Ok(asked)
    }

    fn query(&self) -> Result<TextQuery> {
        TextQuery::new(&self.text, self.source.analyzer, self.operator)
    }

    /// What is looked for among the columns of a scan.
    ///
    /// # Errors
    /// When the column is not among them.
    pub(in crate::query::search) fn within(&self, scan: &Schema) -> Result<Wording> {
        Ok(Wording {
            column: scan.index_of(&self.column)?,
            source: self.source.clone(),
            text: self.text.clone(),
            query: self.query()?,
        })
    }
}

/// The rows that one call finds.
struct Found {
    table: Arc<dyn TableProvider>,
    asked: Asked,
    k: usize,
    schema: SchemaRef,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text_search({}, {:?}, k={})", self.asked.column, self.asked.text, self.k)
    }
}

#[async_trait]
impl TableProvider for Found {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(pushed_down(filters, &[SCORE]))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = needed_columns(&self.table.schema(), projection, filters, &[&self.asked.column])?;
        let rows = searched_rows(state, &*self.table, &columns, filters).await?;
        let scanned = rows.scan.schema();
        let mut fields = scanned.fields().to_vec();
        fields.extend(self.schema.fields().last().cloned());
        let wording = self.asked.within(&scanned)?;
        let k = limit.map_or(self.k, |limit| limit.min(self.k));
        let search = TextSearchExec::new(rows, wording, k, Arc::new(Schema::new(fields)))?;
        projected(Arc::new(search), &self.schema, projection)
    }
}
