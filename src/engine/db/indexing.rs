//! Indexes that statements name: defined in one manifest, then made for each file that is there.
//!
//! What an index is made of lies beside the files and is derived, so a crash between the two steps loses nothing: the
//! next search, or the next writer of a file, makes what is missing.

use std::sync::Arc;

use super::core::Core;
use super::ddl::AlterTable;
use crate::common::{ColumnId, Error, Result};
use crate::format::table::{IndexDef, OptionTexts, TableDef, TableName, validate_name};
use crate::index::CodePlan;
use crate::lsm::State;

/// An index to create.
#[derive(Clone, Debug, Default)]
pub struct IndexSpec {
    /// Its name; made of those of table and column when `None`.
    pub name: Option<String>,
    /// The column.
    pub column: String,
    /// What is kept: `flat`, `rabitq`, `ivf`, `graph` or `hnsw`.
    pub kind: String,
    /// The distance it serves, as `vector_cosine_ops`, `vector_l2_ops` or `vector_ip_ops`; all of them when `None`.
    pub class: Option<String>,
    /// Options by name: `recall`, `lists`, `m`, `ef_construction`.
    pub options: OptionTexts,
}

impl IndexSpec {
    /// What made an index of a table.
    #[must_use]
    pub fn of(table: &TableDef, index: &IndexDef) -> Self {
        let column = table.columns.iter().find(|column| column.id == index.column);
        Self {
            name: Some(index.name.clone()),
            column: column.map_or_else(String::new, |column| column.field.name().clone()),
            kind: index.kind.name().to_owned(),
            class: index.metric.map(|metric| metric.class().to_owned()),
            options: index.texts(),
        }
    }
}

impl Core {
    /// As [`super::Engine::create_index`].
    pub fn create_index(&self, table: &TableName, spec: &IndexSpec) -> Result<Arc<TableDef>> {
        let def = self.alter_table(table, &AlterTable::CreateIndex(spec.clone()))?;
        let column = def.indexes.last().map(|index| index.column);
        self.index_files(&def, column.unwrap_or_default())?;
        Ok(def)
    }

    /// As [`super::Engine::drop_index`].
    pub fn drop_index(&self, schema: &str, name: &str) -> Result<()> {
        let state = Arc::clone(&self.published.load().state);
        let (table, column) = find(&state, schema, name)
            .ok_or_else(|| Error::NotFound { entity: "index", name: name.to_owned() })?;
        let def = self.alter_table(&table, &AlterTable::DropIndex { name: name.to_owned() })?;
        self.index_files(&def, column)
    }

    /// Makes the codes of a column for all files of a table, as its index says by now.
    fn index_files(&self, def: &TableDef, column: ColumnId) -> Result<()> {
        let files = self.published.load().state.table(&def.name).map(|table| table.files.clone())?;
        for file in files.iter() {
            if CodePlan::of(def, column).is_none() {
                file.remove_codes(column)?;
            }
            file.store_codes(def)?;
        }
        Ok(())
    }
}

/// The index of a name in a schema.
fn find(state: &State, schema: &str, name: &str) -> Option<(TableName, ColumnId)> {
    let tables = state.tables.iter().filter(|(table, _)| table.schema == schema);
    let mut indexes =
        tables.flat_map(|(table, state)| state.def.indexes.iter().map(move |index| (table, index)));
    let (table, index) = indexes.find(|(_, index)| index.name == name)?;
    Some((table.clone(), index.column))
}

/// Refuses a definition one of whose indexes has the name of one of another table in its schema.
pub(super) fn check_index_names(state: &State, def: &TableDef) -> Result<()> {
    let others =
        state.tables.iter().filter(|(name, table)| name.schema == def.name.schema && table.def.id != def.id);
    for (_, table) in others {
        let taken = |index: &&IndexDef| table.def.indexes.iter().any(|other| other.name == index.name);
        if let Some(index) = def.indexes.iter().find(taken) {
            return Err(index_taken(&index.name));
        }
    }
    Ok(())
}

/// The definition with an index more.
pub(super) fn with_index(def: &mut TableDef, spec: &IndexSpec) -> Result<()> {
    let column = &def.columns[def.require_column(&spec.column)?];
    let name = spec.name.clone().unwrap_or_else(|| format!("{}_{}_idx", def.name.table, spec.column));
    validate_name("index", &name)?;
    let metric = spec.class.as_deref().map(str::parse).transpose()?;
    let index = IndexDef::new(name, column.id, spec.kind.parse()?, metric, &spec.options)?;
    if !crate::index::is_vector(column.field.data_type()) {
        let (column, kind) = (&spec.column, column.field.data_type());
        return Err(Error::invalid(
            format!("index {:?} of column {column:?}", index.name),
            format!("the column is of type {kind}; such indexes are for vectors (VECTOR(n))"),
        ));
    }
    if def.indexes.iter().any(|other| other.name == index.name) {
        return Err(index_taken(&index.name));
    }
    if let Some(other) = def.index_of(index.column) {
        return Err(Error::invalid(
            format!("index {:?} of column {:?}", index.name, spec.column),
            format!("the column has index {:?} already; DROP INDEX it first", other.name),
        ));
    }
    def.indexes.push(index);
    Ok(())
}

/// The definition without an index.
pub(super) fn without_index(def: &mut TableDef, name: &str) -> Result<()> {
    let at = def.indexes.iter().position(|index| index.name == name);
    let at = at.ok_or_else(|| Error::NotFound { entity: "index", name: name.to_owned() })?;
    def.indexes.remove(at);
    Ok(())
}

fn index_taken(name: &str) -> Error {
    Error::AlreadyExists { entity: "index".into(), name: format!("{name:?}") }
}
