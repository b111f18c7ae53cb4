//! `CREATE TABLE`, with columns, from a query, or both.
//!
//! A table made from a query is filled before it gets its name, so it is there wholly or not at all.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::dataframe::DataFrame;
use datafusion::logical_expr::{DdlStatement, Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, Expr as SqlExpr, Query, Statement as Ast, TableConstraint,
};
use trilith_engine::{
    AlterTable, Error as EngineError, IfExists, OptionTexts, TableDef, TableName, TableSpec,
};

use super::context::Context;
use super::table_options;
use super::target::{folded, table_name};
use crate::error::{Error, Result};
use crate::query::parse;
use crate::query::passing::passing_name;
use crate::query::types;
use crate::query::write::{Change, WriteNode};

/// Runs a `CREATE TABLE`.
pub(super) async fn run(context: &Context<'_>, create: CreateTable) -> Result<DataFrame> {
    refuse_clauses(&create)?;
    let exists = match (create.or_replace, create.if_not_exists) {
        (true, true) => {
            return Err(Error::invalid("CREATE TABLE", "OR REPLACE and IF NOT EXISTS exclude each other"));
        }
        (true, false) => IfExists::Replace,
        (false, true) => IfExists::Keep,
        (false, false) => IfExists::Fail,
    };
    let name = table_name(&create.name)?;
    let query = create.query.clone();
    let columns = Columns::of(context, &create).await?;
    match query {
        None if columns.fields.is_empty() => {
            Err(Error::invalid(format!("CREATE TABLE {name}"), "give it at least one column"))
        }
        None => {
            context.engine().create_table(&columns.spec(name), exists)?;
            context.done()
        }
        Some(query) => from_query(context, name, exists, columns, query).await,
    }
}

fn refuse_clauses(create: &CreateTable) -> Result<()> {
    let refused = [
        (create.temporary, "CREATE TEMPORARY TABLE"),
        (create.external, "CREATE EXTERNAL TABLE"),
        (create.like.is_some(), "CREATE TABLE LIKE"),
        (create.clone.is_some(), "CREATE TABLE CLONE"),
        (create.partition_by.is_some(), "PARTITION BY"),
        (create.inherits.is_some(), "INHERITS"),
        (create.location.is_some(), "LOCATION"),
    ];
    match refused.into_iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(Error::unsupported(clause, "use CREATE TABLE name (columns) or AS SELECT")),
        None => Ok(()),
    }
}

/// Columns, key and defaults as the statement lists them.
pub(super) struct Columns {
    pub fields: Vec<FieldRef>,
    pub primary_key: Vec<String>,
    pub defaults: HashMap<String, String>,
    pub options: OptionTexts,
}

impl Columns {
    async fn of(context: &Context<'_>, create: &CreateTable) -> Result<Self> {
        let mut columns = Self::planned(context, &create.columns).await?;
        columns.options = table_options::created(&create.table_options)?;
        for constraint in &create.constraints {
            columns.constrain(constraint)?;
        }
        columns.forbid_null_keys();
        Ok(columns)
    }

    /// Columns with their types planned and their defaults checked.
    pub(super) async fn planned(context: &Context<'_>, columns: &[ColumnDef]) -> Result<Self> {
        let (defaults, options) = (HashMap::new(), OptionTexts::new());
        let mut found = Self { fields: vec![], primary_key: vec![], defaults, options };
        for column in columns {
            found.note_options(column)?;
        }
        found.fields = planned_fields(context, columns).await?;
        for (name, sql) in &found.defaults {
            let field = found.fields.iter().find(|field| field.name() == name);
            let expr = context.expression(sql, &DFSchema::empty())?;
            if let Some(field) = field {
                types::coerce(expr, field, &DFSchema::empty())?;
            }
        }
        Ok(found)
    }

    fn note_options(&mut self, column: &ColumnDef) -> Result<()> {
        let name = folded(&column.name);
        for option in &column.options {
            match &option.option {
                ColumnOption::Null | ColumnOption::NotNull | ColumnOption::Comment(_) => {}
                ColumnOption::Default(value) => {
                    self.defaults.insert(name.clone(), value.to_string());
                }
                ColumnOption::PrimaryKey(_) => self.set_key(vec![name.clone()])?,
                other => return Err(unsupported_constraint(&other.to_string())),
            }
        }
        Ok(())
    }

    fn constrain(&mut self, constraint: &TableConstraint) -> Result<()> {
        let TableConstraint::PrimaryKey(key) = constraint else {
            return Err(unsupported_constraint(&constraint.to_string()));
        };
        let names = key.columns.iter().map(|column| match &column.column.expr {
            SqlExpr::Identifier(ident) => Ok(folded(ident)),
            other => Err(Error::invalid(format!("PRIMARY KEY ({other})"), "name columns of the table")),
        });
        self.set_key(names.collect::<Result<_>>()?)
    }

    fn set_key(&mut self, key: Vec<String>) -> Result<()> {
        if !self.primary_key.is_empty() {
            return Err(Error::invalid(
                "PRIMARY KEY",
                "a table has one; write PRIMARY KEY (a, b) for several columns",
            ));
        }
        self.primary_key = key;
        Ok(())
    }

    fn forbid_null_keys(&mut self) {
        for field in &mut self.fields {
            if self.primary_key.contains(field.name()) && field.is_nullable() {
                *field = Arc::new(field.as_ref().clone().with_nullable(false));
            }
        }
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields.clone()))
    }

    fn spec(&self, name: TableName) -> TableSpec {
        let (primary_key, defaults) = (self.primary_key.clone(), self.defaults.clone());
        let (options, indexes) = (self.options.clone(), vec![]);
        TableSpec { name, schema: self.schema(), primary_key, defaults, options, indexes }
    }
}

fn unsupported_constraint(text: &str) -> Error {
    Error::unsupported(format!("the constraint {text}"), "use PRIMARY KEY, NOT NULL and DEFAULT")
}

/// The columns as fields: types come from DataFusion's planner and ours.
async fn planned_fields(context: &Context<'_>, columns: &[ColumnDef]) -> Result<Vec<FieldRef>> {
    if columns.is_empty() {
        return Ok(vec![]);
    }
    let list: Vec<String> = columns
        .iter()
        .map(|column| {
            let required = column.options.iter().any(|option| option.option == ColumnOption::NotNull);
            format!("{} {}{}", column.name, column.data_type, if required { " NOT NULL" } else { "" })
        })
        .collect();
    let statement = parse::rebuilt(&format!("CREATE TABLE columns ({})", list.join(", ")))?;
    match context.state.statement_to_plan(statement).await? {
        LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(planned)) => {
            Ok(planned.input.schema().fields().iter().cloned().collect())
        }
        _ => Err(EngineError::Internal("a list of columns was not planned as a table".into()).into()),
    }
}

/// Creates the table under a passing name, fills it, and gives it its own.
async fn from_query(
    context: &Context<'_>,
    name: TableName,
    exists: IfExists,
    mut columns: Columns,
    query: Box<Query>,
) -> Result<DataFrame> {
    let old = context.pinned.snapshot.table(&name).ok();
    match (&old, exists) {
        (Some(_), IfExists::Keep) => return context.done(),
        (Some(_), IfExists::Fail) => {
            return Err(EngineError::AlreadyExists {
                entity: "table".into(),
                name: format!("{:?}", name.to_string()),
            }
            .into());
        }
        _ => {}
    }
    let rows = context.plan(SqlStatement::Statement(Box::new(Ast::Query(query)))).await?;
    let rows = columns.adopt(rows)?;
    let passing = passing_name(&name);
    let def = context.engine().create_table(&columns.spec(passing.clone()), IfExists::Fail)?;
    let filled = fill(context, &def, rows).await;
    let named = filled.and_then(|count| {
        let naming = match exists {
            IfExists::Replace => AlterTable::ReplaceTable { other: name },
            _ => AlterTable::RenameTable { to: name },
        };
        context.engine().alter_table(&passing, &naming)?;
        Ok(count)
    });
    if named.is_err() {
        context.engine().drop_table(&passing)?;
    }
    named
}

async fn fill(context: &Context<'_>, def: &Arc<TableDef>, rows: LogicalPlan) -> Result<DataFrame> {
    let plan = WriteNode::plan(context.pinned.clone(), Arc::clone(def), Change::Insert, rows)?;
    context.execute(plan).await
}

impl Columns {
    /// Takes over the query's columns where the statement lists none; the rows in the table's types.
    fn adopt(&mut self, rows: LogicalPlan) -> Result<LogicalPlan> {
        let schema = Arc::clone(rows.schema());
        if self.fields.is_empty() {
            self.fields = schema.fields().iter().map(stored).collect();
            self.forbid_null_keys();
        }
        if self.fields.len() != schema.fields().len() {
            let why =
                format!("it lists {} columns, its query gives {}", self.fields.len(), schema.fields().len());
            return Err(Error::invalid("CREATE TABLE AS", why));
        }
        let columns = self.fields.iter().enumerate().map(|(at, field)| {
            let column = Expr::Column(schema.qualified_field(at).into());
            Ok(types::coerce(column, field, schema.as_ref())?.alias(field.name()))
        });
        Ok(LogicalPlanBuilder::from(rows).project(columns.collect::<Result<Vec<_>>>()?)?.build()?)
    }
}

/// A column of a query as a table keeps it: values of one type, nullable, views made plain.
fn stored(field: &FieldRef) -> FieldRef {
    use datafusion::arrow::datatypes::DataType;
    let data_type = match field.data_type() {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Null => DataType::Utf8,
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, true).with_metadata(field.metadata().clone()))
}
