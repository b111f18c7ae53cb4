//! `COPY table FROM 'file'`: DataFusion's readers into one commit.
//!
//! Columns go by name, or by position when the file has no names. Text formats are read in the
//! table's own types, so that `007` stays text in a text column.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{CsvReadOptions, JsonReadOptions, ParquetReadOptions, SessionContext};
use trilith_engine::Error as EngineError;

use super::parse::{CopyStatement, Format, Subject, extension};
use crate::error::{Error, Result};
use crate::query::statements::context::Context;
use crate::query::statements::insert;
use crate::query::statements::target::{Target, folded};
use crate::query::types;
use crate::query::write::{Change, WriteNode};

/// Reads the file into the table and counts its rows.
pub(super) async fn run(context: &Context<'_>, copy: CopyStatement) -> Result<DataFrame> {
    let Subject::Table(name, columns) = &copy.subject else {
        return Err(Error::invalid("COPY (query) FROM", "name the table that takes the rows"));
    };
    let target = Target::find(context, name)?;
    require_file(&copy.file)?;
    let listed = columns.iter().map(|ident| target.column(&folded(ident))).collect::<Result<Vec<_>>>()?;
    let named = copy.format()? != Format::Csv || copy.header();
    let file = read(&context.session(), &copy, &target, &listed).await?;
    let columns = match (listed.is_empty(), named) {
        (false, _) => Some(listed),
        (true, true) => Some(by_name(&target, &file)?),
        (true, false) => None,
    };
    let rows = insert::fitted(context, &target, &columns, file)?;
    let change = if copy.option("upsert").is_some() { Change::Upsert } else { Change::Insert };
    let plan = WriteNode::plan(context.pinned.clone(), Arc::clone(&target.def), change, rows)?;
    context.execute(plan).await
}

fn require_file(file: &str) -> Result<()> {
    let is_local = !file.contains("://");
    let is_pattern = file.contains(['*', '?', '[']);
    if is_local && !is_pattern && !Path::new(file).exists() {
        return Err(EngineError::NotFound { entity: "file", name: file.to_owned() }.into());
    }
    Ok(())
}

/// For each column of the file, the column of the table with its name.
fn by_name(target: &Target, file: &LogicalPlan) -> Result<Vec<usize>> {
    file.schema().fields().iter().map(|field| target.column(field.name())).collect()
}

async fn read(
    session: &SessionContext,
    copy: &CopyStatement,
    target: &Target,
    listed: &[usize],
) -> Result<LogicalPlan> {
    let file = copy.file.as_str();
    let frame = match copy.format()? {
        Format::Parquet => {
            let ending = ending(file, "parquet");
            session.read_parquet(file, ParquetReadOptions::new().file_extension(&ending)).await?
        }
        Format::Arrow => {
            let mut options = datafusion::execution::options::ArrowReadOptions::default();
            let ending = ending(file, "arrow");
            options.file_extension = &ending;
            session.read_arrow(file, options).await?
        }
        Format::Json => json(session, file, target).await?,
        Format::Csv => csv(session, copy, target, listed).await?,
    };
    Ok(frame.into_unoptimized_plan())
}

/// The file's own ending, so that any name is accepted.
fn ending(file: &str, fallback: &str) -> String {
    match (extension(file), Path::new(file).is_dir()) {
        (Some(extension), false) => format!(".{extension}"),
        (None, false) if !file.contains('*') => String::new(),
        _ => format!(".{fallback}"),
    }
}

async fn json(session: &SessionContext, file: &str, target: &Target) -> Result<DataFrame> {
    let ending = ending(file, "json");
    let inferred = session.read_json(file, JsonReadOptions::default().file_extension(&ending)).await?;
    let schema = typed(target, inferred.schema().as_arrow());
    let options = JsonReadOptions::default().file_extension(&ending).schema(&schema);
    Ok(session.read_json(file, options).await?)
}

async fn csv(
    session: &SessionContext,
    copy: &CopyStatement,
    target: &Target,
    listed: &[usize],
) -> Result<DataFrame> {
    let ending = ending(&copy.file, "csv");
    let options = || -> Result<CsvReadOptions<'_>> {
        let options = CsvReadOptions::new().has_header(copy.header()).delimiter(copy.delimiter()?);
        Ok(options.file_extension(&ending).newlines_in_values(true))
    };
    let inferred = session.read_csv(copy.file.as_str(), options()?).await?;
    let inferred = inferred.schema().as_arrow().clone();
    let schema = match (copy.header(), listed.is_empty()) {
        (true, true) => typed(target, &inferred),
        (_, false) => positional(target, &inferred, listed),
        (false, true) => positional(target, &inferred, &(0..target.def.columns.len()).collect::<Vec<_>>()),
    };
    Ok(session.read_csv(copy.file.as_str(), options()?.schema(&schema)).await?)
}

/// The file's columns, in the table's types where names agree.
fn typed(target: &Target, file: &Schema) -> Schema {
    let fields = file.fields().iter().map(|field| match target.def.column_index(field.name()) {
        Some(column) => readable(&target.def.columns[column].field, field),
        None => Arc::clone(field),
    });
    Schema::new(fields.collect::<Vec<FieldRef>>())
}

/// The file's columns, in the types of the table's columns at these positions.
fn positional(target: &Target, file: &Schema, columns: &[usize]) -> Schema {
    let fields = file.fields().iter().enumerate().map(|(at, field)| match columns.get(at) {
        Some(&column) => readable(&target.def.columns[column].field, field),
        None => Arc::clone(field),
    });
    Schema::new(fields.collect::<Vec<FieldRef>>())
}

/// How a column of a text file is read: as the table's type when text can hold it, documents and
/// vectors as what the file has.
fn readable(column: &Field, found: &FieldRef) -> FieldRef {
    let is_nested = column.data_type().is_nested() || found.data_type().is_nested();
    let is_binary = matches!(column.data_type(), DataType::Binary | DataType::LargeBinary);
    if types::is_variant(column) && !found.data_type().is_nested() {
        return Arc::new(Field::new(found.name(), DataType::Utf8, true));
    }
    if is_nested || is_binary {
        return Arc::clone(found);
    }
    Arc::new(Field::new(found.name(), column.data_type().clone(), true))
}
