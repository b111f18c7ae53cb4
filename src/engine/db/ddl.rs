//! Tables and schemas come, change and go: each change is one manifest.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, SchemaRef};

use super::core::Core;
use super::maintenance::retire_missing;
use super::manifest::{Manifest, TableRecord};
use crate::common::{ColumnId, Error, Result, TableId};
use crate::format::key::KeyCodec;
use crate::format::table::{ColumnDef, PUBLIC_SCHEMA, TableDef, TableName, validate_name};
use crate::lsm::TableState;

/// Columns a table may have.
const COLUMNS_MAX: usize = 10_000;

/// A table to create.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Its name.
    pub name: TableName,
    /// Its columns.
    pub schema: SchemaRef,
    /// Names of the key columns, in key order; empty for a keyless table.
    pub primary_key: Vec<String>,
    /// `DEFAULT` expressions by column name, as SQL text.
    pub defaults: HashMap<String, String>,
}

/// What creating a table does when the name is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IfExists {
    /// Fails.
    Fail,
    /// Keeps the table there is (`IF NOT EXISTS`).
    Keep,
    /// Puts the new table in its place, atomically (`OR REPLACE`).
    Replace,
}

/// A change of a table's definition.
#[derive(Clone, Debug)]
pub enum AlterTable {
    /// Adds a column at the end.
    AddColumn {
        /// Its name, type and nullability.
        field: FieldRef,
        /// Its `DEFAULT` expression as SQL text.
        default: Option<String>,
        /// The value of rows that are there already, as an array of length 1; null when absent.
        fill: Option<ArrayRef>,
    },
    /// Removes a column that is not part of the key.
    DropColumn {
        /// The column.
        name: String,
    },
    /// Renames a column.
    RenameColumn {
        /// The column.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Renames the table, or moves it to another schema.
    RenameTable {
        /// Its new name.
        to: TableName,
    },
    /// Gives the table the name of another, which is dropped in the same step; one that is not there is no error.
    ReplaceTable {
        /// The other table.
        other: TableName,
    },
}

impl Core {
    pub fn create_table(&self, spec: &TableSpec, exists: IfExists) -> Result<Arc<TableDef>> {
        self.check_writable()?;
        let mut live = self.maintenance.lock();
        let state = Arc::clone(&self.published.load().state);
        require_schema(&state.schemas, &spec.name.schema)?;
        let old = state.tables.get(&spec.name);
        match (old, exists) {
            (Some(old), IfExists::Keep) => return Ok(Arc::clone(&old.def)),
            (Some(_), IfExists::Fail) => return Err(taken("table", &spec.name.to_string())),
            _ => {}
        }
        let def = Arc::new(define(live.manifest.next_table, spec)?);
        old.inspect(|old| keep_readable(old));
        self.sync_log(&mut self.writer.lock())?;
        self.edit_manifest(&mut live, |manifest| {
            manifest.next_table = manifest.next_table.next();
            manifest.tables.retain(|table| Some(table.def.id) != old.map(|old| old.def.id));
            manifest.tables.push(TableRecord { def: (*def).clone(), next_row_id: 0, files: Vec::new() });
            Ok(())
        })?;
        let _writer = self.writer.lock();
        self.edit_state(|state| state.put(Arc::new(TableState::new(Arc::clone(&def), Vec::new(), 0))));
        if let Some(old) = old {
            retire_missing(&old.files, &[]);
        }
        Ok(def)
    }

    pub fn drop_table(&self, name: &TableName) -> Result<()> {
        self.check_writable()?;
        let mut live = self.maintenance.lock();
        let table = Arc::clone(self.published.load().state.table(name)?);
        keep_readable(&table);
        self.sync_log(&mut self.writer.lock())?;
        self.edit_manifest(&mut live, |manifest| {
            manifest.tables.retain(|record| record.def.id != table.def.id);
            Ok(())
        })?;
        let _writer = self.writer.lock();
        self.edit_state(|state| {
            state.tables.remove(name);
        });
        retire_missing(&table.files, &[]);
        Ok(())
    }

    /// Commits wait while the table's memtable is flushed, so that a log record always has the columns its table has.
    pub fn alter_table(&self, name: &TableName, change: &AlterTable) -> Result<Arc<TableDef>> {
        self.check_writable()?;
        let mut live = self.maintenance.lock();
        let mut writer = self.writer.lock();
        let state = Arc::clone(&self.published.load().state);
        let def = Arc::new(altered(&state.table(name)?.def, change)?);
        if def.name != *name {
            require_schema(&state.schemas, &def.name.schema)?;
            if state.tables.contains_key(&def.name) && !matches!(change, AlterTable::ReplaceTable { .. }) {
                return Err(taken("table", &def.name.to_string()));
            }
        }
        self.flush_all(&mut live, &mut writer)?;
        let replaced =
            self.published.load().state.tables.get(&def.name).filter(|table| table.def.id != def.id).cloned();
        replaced.as_deref().inspect(|table| keep_readable(table));
        self.edit_manifest(&mut live, |manifest| {
            manifest
                .tables
                .retain(|record| Some(record.def.id) != replaced.as_ref().map(|table| table.def.id));
            manifest.table_mut(def.id)?.def = (*def).clone();
            Ok(())
        })?;
        self.edit_state(|state| {
            if let Some(table) = state.tables.remove(name) {
                state.put(Arc::new(table.redefine(Arc::clone(&def))));
            }
        });
        if let Some(replaced) = replaced {
            retire_missing(&replaced.files, &[]);
        }
        Ok(def)
    }

    pub fn create_schema(&self, name: &str, if_not_exists: bool) -> Result<()> {
        self.check_writable()?;
        validate_name("schema", name)?;
        let mut live = self.maintenance.lock();
        if self.published.load().state.schemas.contains(name) {
            return if if_not_exists { Ok(()) } else { Err(taken("schema", name)) };
        }
        self.edit_manifest(&mut live, |manifest| {
            manifest.schemas.push(name.to_owned());
            Ok(())
        })?;
        let _writer = self.writer.lock();
        self.edit_state(|state| {
            state.schemas.insert(name.to_owned());
        });
        Ok(())
    }

    pub fn drop_schema(&self, name: &str) -> Result<()> {
        self.check_writable()?;
        let mut live = self.maintenance.lock();
        let state = Arc::clone(&self.published.load().state);
        require_schema(&state.schemas, name)?;
        if name == PUBLIC_SCHEMA {
            return Err(Error::invalid("schema \"public\"", "it is always there and cannot be dropped"));
        }
        if let Some(table) = state.tables.keys().find(|table| table.schema == name) {
            return Err(Error::invalid(
                format!("schema {name:?}"),
                format!("it still holds table {table}; drop its tables first"),
            ));
        }
        self.edit_manifest(&mut live, |manifest: &mut Manifest| {
            manifest.schemas.retain(|schema| schema != name);
            Ok(())
        })?;
        let _writer = self.writer.lock();
        self.edit_state(|state| {
            state.schemas.remove(name);
        });
        Ok(())
    }
}

/// Bitmap files go as soon as no manifest names them, and a snapshot may still need these. A damaged one is for the
/// snapshot to report.
fn keep_readable(table: &TableState) {
    for file in table.files.iter() {
        let _ = file.deletes();
    }
}

fn require_schema(schemas: &std::collections::BTreeSet<String>, name: &str) -> Result<()> {
    if schemas.contains(name) {
        Ok(())
    } else {
        Err(Error::NotFound { entity: "schema", name: name.to_owned() })
    }
}

fn taken(entity: &str, name: &str) -> Error {
    Error::AlreadyExists { entity: entity.to_owned(), name: format!("{name:?}") }
}

/// The definition of a new table.
fn define(id: TableId, spec: &TableSpec) -> Result<TableDef> {
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
    Ok(TableDef::new(id, spec.name.clone(), columns, primary_key))
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
fn altered(def: &TableDef, change: &AlterTable) -> Result<TableDef> {
    let mut def = def.clone();
    match change {
        AlterTable::AddColumn { field, default, fill } => {
            add_column(&mut def, field, default.clone(), fill.clone())?
        }
        AlterTable::DropColumn { name } => drop_column(&mut def, name)?,
        AlterTable::RenameColumn { from, to } => rename_column(&mut def, from, to)?,
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
    if def.columns.len() == 1 {
        return Err(Error::invalid(
            format!("column {name:?} of table {}", def.name),
            "it is the only column; drop the table instead",
        ));
    }
    def.columns.remove(at);
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
