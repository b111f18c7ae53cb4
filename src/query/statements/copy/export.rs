//! `COPY ... TO 'file'`: DataFusion's writers over a table or a query.
//!
//! Documents go out as JSON text where the format has no such type (CSV and JSON lines).

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::dataframe::DataFrame;
use datafusion::datasource::file_format::format_as_file_type;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::Statement as Ast;
use trilith_udfs::document;

use super::parse::{CopyStatement, Format, Subject};
use crate::error::{Error, Result};
use crate::query::parse::rebuilt;
use crate::query::statements::context::Context;
use crate::query::types;

/// Writes the rows to the file and counts them.
pub(super) async fn run(context: &Context<'_>, copy: CopyStatement) -> Result<DataFrame> {
    let format = copy.format()?;
    let input = input(context, &copy).await?;
    let input = match format {
        Format::Csv | Format::Json => documents_as_text(input)?,
        Format::Parquet | Format::Arrow => input,
    };
    let factory = context.state.get_file_format_factory(name(format)).ok_or_else(|| {
        Error::unsupported(format!("COPY TO as {}", name(format)), "use parquet, csv, json or arrow")
    })?;
    let options = options(&copy, format)?;
    let plan =
        LogicalPlanBuilder::copy_to(input, copy.file.clone(), format_as_file_type(factory), options, vec![])?
            .build()?;
    context.execute(plan).await
}

async fn input(context: &Context<'_>, copy: &CopyStatement) -> Result<LogicalPlan> {
    let statement = match &copy.subject {
        Subject::Query(query) => SqlStatement::Statement(Box::new(Ast::Query(query.clone()))),
        Subject::Table(table, columns) if columns.is_empty() => rebuilt(&format!("SELECT * FROM {table}"))?,
        Subject::Table(table, columns) => {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            rebuilt(&format!("SELECT {} FROM {table}", columns.join(", ")))?
        }
    };
    context.plan(statement).await
}

fn documents_as_text(input: LogicalPlan) -> Result<LogicalPlan> {
    let schema = Arc::clone(input.schema());
    if !schema.fields().iter().any(|field| types::is_variant(field)) {
        return Ok(input);
    }
    let columns = schema.iter().map(|(qualifier, field)| {
        let column = Expr::Column((qualifier, field).into());
        match types::is_variant(field) {
            true => document::to_json_udf().call(vec![column]).alias(field.name()),
            false => column,
        }
    });
    Ok(LogicalPlanBuilder::from(input).project(columns.collect::<Vec<_>>())?.build()?)
}

fn name(format: Format) -> &'static str {
    match format {
        Format::Parquet => "parquet",
        Format::Csv => "csv",
        Format::Json => "json",
        Format::Arrow => "arrow",
    }
}

/// The statement's options under DataFusion's names.
fn options(copy: &CopyStatement, format: Format) -> Result<HashMap<String, String>> {
    let mut options = HashMap::new();
    if format == Format::Csv {
        options.insert("format.has_header".to_owned(), copy.header().to_string());
        options.insert("format.delimiter".to_owned(), char::from(copy.delimiter()?).to_string());
    }
    for (key, value) in &copy.options {
        if !matches!(key.as_str(), "format" | "header" | "delimiter") {
            options.insert(format!("format.{key}"), value.clone());
        }
    }
    Ok(options)
}
