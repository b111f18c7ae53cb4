//! What a table is to be: the definitions of new and changed tables, checked before anything is written.
//!
//! Pure functions from what was asked for to a [`TableDef`]; `ddl` makes them durable.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};

use super::ddl::{AlterTable, TableSpec};
use super::indexing::{with_index, without_index};
use crate::common::{ColumnId, Error, Result, TableId};
use crate::format::key::KeyCodec;
use crate::format::table::{ColumnDef, TableDef, TableName, TableOptions, validate_name};

/// Columns a table may have.
const COLUMNS_MAX: usize = 10_000;

/// The definition of a new table.
pub(super) fn define(id: TableId, spec: &TableSpec) -> Result<TableDef> {
    spec.name.validate()?;
    let fields = spec.schema.fields();
    check_fields(&spec.name, fields)?;
    let mut columns = Vec::with_capacity(fields.len());
    for (i, field) in fields.iter().enumerate() {
        let is_key = spec.primary_key.contains(field.name());
        let field = Arc::new(storable(field)?.with_nullable(field.is_nullable() && !is_key));
        let default = spec.defaults.get(field.name()).cloned();
        columns.push(ColumnDef { id: ColumnId(i as u32), field, default, fill: None });
    }
    let primary_key = primary_key(&spec.name, &columns, &spec.primary_key)?;
    let options = TableOptions::default().changed(&spec.name, &columns, &spec.options)?;
    let mut def = TableDef::new(id, spec.name.clone(), columns, primary_key);
    def.options = options;
    spec.indexes.iter().try_for_each(|index| with_index(&mut def, index))?;
    Ok(def)
}

fn check_fields(table: &TableName, fields: &Fields) -> Result<()> {
    if fields.len() > COLUMNS_MAX {
        return Err(Error::Limit {
            what: format!("columns of table {table}"),
            got: fields.len() as u64,
            max: COLUMNS_MAX as u64,
        });
    }
    if fields.is_empty() {
        return Err(Error::invalid(format!("table {table}"), "give it at least one column"));
    }
    for (i, field) in fields.iter().enumerate() {
        check_name(table, field.name())?;
        if fields[..i].iter().any(|other| other.name() == field.name()) {
            return Err(Error::AlreadyExists {
                entity: format!("a column of table {table} named"),
                name: format!("{:?}", field.name()),
            });
        }
    }
    Ok(())
}

fn check_name(table: &TableName, name: &str) -> Result<()> {
    validate_name("column", name)?;
    if name == super::batch::ROW_ID {
        return Err(Error::invalid(
            format!("column {name:?} of table {table}"),
            "the name is kept for the hidden row id; choose another",
        ));
    }
    Ok(())
}

fn primary_key(table: &TableName, columns: &[ColumnDef], names: &[String]) -> Result<Vec<ColumnId>> {
    let mut ids = Vec::with_capacity(names.len());
    let mut types = Vec::with_capacity(names.len());
    for name in names {
        let column = columns.iter().find(|column| column.field.name() == name);
        let column = column.ok_or_else(|| Error::NotFound {
            entity: "key column",
            name: format!("{name} of table {table}"),
        })?;
        if ids.contains(&column.id) {
            return Err(Error::invalid(
                format!("primary key of table {table}"),
                format!("it names column {name:?} twice"),
            ));
        }
        ids.push(column.id);
        types.push(column.field.data_type().clone());
    }
    if !types.is_empty() {
        KeyCodec::new(&types)?;
    }
    Ok(ids)
}

/// A field with dictionaries and run ends spelled out: files hold plain values.
fn storable(field: &Field) -> Result<Field> {
    let data_type = plain_type(field.name(), field.data_type())?;
    Ok(field.clone().with_data_type(data_type))
}

fn plain_type(column: &str, data_type: &DataType) -> Result<DataType> {
    let plain_field = |field: &FieldRef| {
        plain_type(column, field.data_type())
            .map(|plain| Arc::new(field.as_ref().clone().with_data_type(plain)))
    };
    Ok(match data_type {
        DataType::Dictionary(_, values) => plain_type(column, values)?,
        DataType::RunEndEncoded(_, values) => plain_type(column, values.data_type())?,
        DataType::List(item) => DataType::List(plain_field(item)?),
        DataType::LargeList(item) => DataType::LargeList(plain_field(item)?),
        DataType::FixedSizeList(item, n) => DataType::FixedSizeList(plain_field(item)?, *n),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(plain_field).collect::<Result<Fields>>()?)
        }
        DataType::Union(..) | DataType::ListView(_) | DataType::LargeListView(_) => {
            return Err(Error::invalid(
                format!("column {column:?}"),
                format!("type {data_type} cannot be stored; cast it first"),
            ));
        }
        other => other.clone(),
    })
}

/// The definition after a change.
pub(super) fn altered(def: &TableDef, change: &AlterTable) -> Result<TableDef> {
    let mut def = def.clone();
    match change {
        AlterTable::AddColumn { field, default, fill } => {
            add_column(&mut def, field, default.clone(), fill.clone())?
        }
        AlterTable::DropColumn { name } => drop_column(&mut def, name)?,
        AlterTable::RenameColumn { from, to } => rename_column(&mut def, from, to)?,
        AlterTable::CreateIndex(spec) => {
            with_index(&mut def, spec)?;
            return Ok(def.derive());
        }
        AlterTable::DropIndex { name } => {
            without_index(&mut def, name)?;
            return Ok(def.derive());
        }
        AlterTable::SetOptions { options } => {
            def.options = def.options.changed(&def.name, &def.columns, options)?;
            return Ok(def.derive());
        }
        AlterTable::RenameTable { to } | AlterTable::ReplaceTable { other: to } => {
            to.validate()?;
            def.name = to.clone();
            return Ok(def.derive());
        }
    }
    def.version += 1;
    Ok(def.derive())
}

fn add_column(
    def: &mut TableDef,
    field: &FieldRef,
    default: Option<String>,
    fill: Option<ArrayRef>,
) -> Result<()> {
    check_name(&def.name, field.name())?;
    if def.column_index(field.name()).is_some() {
        return Err(column_taken(def, field.name()));
    }
    let has_value = fill.as_ref().is_some_and(|fill| fill.len() == 1 && fill.is_valid(0));
    if !field.is_nullable() && !has_value {
        return Err(Error::invalid(
            format!("column {:?} of table {}", field.name(), def.name),
            "rows that are there already need a value: give it a DEFAULT, or let it be null",
        ));
    }
    let field = Arc::new(storable(field)?);
    let fill =
        fill.filter(|_| has_value).map(|fill| arrow::compute::cast(&fill, field.data_type())).transpose()?;
    def.columns.push(ColumnDef { id: def.next_column, field, default, fill });
    def.next_column = def.next_column.next();
    Ok(())
}

fn drop_column(def: &mut TableDef, name: &str) -> Result<()> {
    let at = def.require_column(name)?;
    if def.primary_key.contains(&def.columns[at].id) {
        return Err(Error::invalid(
            format!("column {name:?} of table {}", def.name),
            "it is part of the primary key and cannot be dropped",
        ));
    }
    if def.options.ttl.is_some_and(|ttl| ttl.column == def.columns[at].id) {
        return Err(Error::invalid(
            format!("column {name:?} of table {}", def.name),
            "rows expire by it; set another ttl_column or ttl = 'none' first",
        ));
    }
    if def.columns.len() == 1 {
        return Err(Error::invalid(
            format!("column {name:?} of table {}", def.name),
            "it is the only column; drop the table instead",
        ));
    }
    let gone = def.columns.remove(at);
    def.indexes.retain(|index| index.column != gone.id);
    Ok(())
}

fn rename_column(def: &mut TableDef, from: &str, to: &str) -> Result<()> {
    let at = def.require_column(from)?;
    check_name(&def.name, to)?;
    if def.column_index(to).is_some_and(|other| other != at) {
        return Err(column_taken(def, to));
    }
    let column = &mut def.columns[at];
    column.field = Arc::new(column.field.as_ref().clone().with_name(to));
    Ok(())
}

fn column_taken(def: &TableDef, name: &str) -> Error {
    Error::AlreadyExists {
        entity: format!("a column of table {} named", def.name),
        name: format!("{name:?}"),
    }
}
