//! `text_search('table', 'column', 'words', k, language, operator)`: a table function with all columns of the `k` rows
//! that fit the words best and their `_score`, best first.
//!
//! Rows without text are never found.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::plan_err;
use datafusion::error::Result;

use super::analyzer::{Analyzer, LANGUAGE_DEFAULT};
use super::corpus::TextSource;
use super::query::TextQuery;
use super::ranking::Wording;
use super::syntax::Operator;
use super::texts::Texts;
use crate::query::search::call::{Call, Default, K_DEFAULT, Signature, optional, required};
use crate::query::search::columns::TEXTS;
use crate::query::search::ranked::{Ask, RankedTable, Ranking, SCORE};
use crate::query::search::tables::Tables;

/// The function.
pub(crate) static TEXT_SEARCH: Signature = Signature {
    name: "text_search",
    arguments: &[
        required("table"),
        optional("column", Default::OnlyColumn),
        required("query"),
        optional("k", Default::Whole(K_DEFAULT)),
        optional("language", Default::Text(LANGUAGE_DEFAULT)),
        optional("operator", Default::Text("or")),
    ],
    example: "text_search('pages', 'body', 'green tea', 10)",
};

/// The rows that a call finds.
///
/// # Errors
/// When the table has no such column, or an argument is of the wrong kind.
pub(crate) fn found(tables: &Tables, call: &Call) -> Result<Arc<dyn TableProvider>> {
    let name = call.text("table")?;
    let table = tables.own_table(TEXT_SEARCH.name, &name)?;
    let asked = Asked::read(call, ("column", "query"), (&name, &*table))?;
    Ok(Arc::new(RankedTable::new(TEXT_SEARCH.name, (&name, table), Box::new(asked), call.count("k")?)?))
}

impl Ask for Asked {
    fn searched(&self) -> Vec<&str> {
        vec![&self.column]
    }

    fn added(&self) -> Vec<Field> {
        vec![Field::new(SCORE, DataType::Float64, false)]
    }

    fn within(&self, scan: &Schema, _: usize) -> Result<Arc<dyn Ranking>> {
        Ok(Arc::new(self.wording(scan)?))
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
    /// Reads the column, the query, the language and the operator of a call; the first two are arguments of these names.
    ///
    /// # Errors
    /// When one is not what it should be.
    pub(crate) fn read(
        call: &Call,
        (column, query): (&str, &str),
        (table, provider): (&str, &dyn TableProvider),
    ) -> Result<Self> {
        let (schema, column) = (provider.schema(), TEXTS.named_or_only(call, column, (table, provider))?);
        let (at, texts) = Texts::named(table, &schema, &column)?;
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
    pub(in crate::query::search) fn wording(&self, scan: &Schema) -> Result<Wording> {
        Ok(Wording {
            column: scan.index_of(&self.column)?,
            source: self.source.clone(),
            text: self.text.clone(),
            query: self.query()?,
        })
    }
}
