//! Tables and schemas come, change and go: each change is one manifest.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{FieldRef, SchemaRef};

use super::core::{Core, Live, Writer};
use super::definition::{altered, define};
use super::indexing::{IndexSpec, check_index_names};
use super::manifest::{Manifest, TableRecord};
use crate::common::{Error, Result};
use crate::format::table::{OptionTexts, PUBLIC_SCHEMA, TableDef, TableName, validate_name};
use crate::lsm::{State, TableState};

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
    /// Options by name: `compaction`, `ttl`, `ttl_column`.
    pub options: OptionTexts,
    /// Indexes of its columns.
    pub indexes: Vec<IndexSpec>,
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
    /// Names an index of a column; the codes follow.
    CreateIndex(IndexSpec),
    /// Forgets an index.
    DropIndex {
        /// The index.
        name: String,
    },
    /// Changes options; those not named stay.
    SetOptions {
        /// The new values, as text.
        options: OptionTexts,
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
        let record = TableRecord { def: (*def).clone(), next_row_id: 0, files: Vec::new() };
        let edit = |manifest: &mut Manifest| {
            manifest.next_table = manifest.next_table.next();
            manifest.tables.retain(|table| Some(table.def.id) != old.map(|old| old.def.id));
            manifest.tables.push(record);
            Ok(())
        };
        self.redefine(&mut live, &mut self.writer.lock(), edit, |state| {
            state.put(Arc::new(TableState::new(Arc::clone(&def), Vec::new(), 0)));
        })?;
        if let Some(old) = old {
            self.retire_missing(&old.files, &[]);
        }
        Ok(def)
    }

    pub fn drop_table(&self, name: &TableName) -> Result<()> {
        self.check_writable()?;
        let mut live = self.maintenance.lock();
        let table = Arc::clone(self.published.load().state.table(name)?);
        keep_readable(&table);
        let edit = |manifest: &mut Manifest| {
            manifest.tables.retain(|record| record.def.id != table.def.id);
            Ok(())
        };
        self.redefine(&mut live, &mut self.writer.lock(), edit, |state| {
            state.tables.remove(name);
        })?;
        self.retire_missing(&table.files, &[]);
        Ok(())
    }

    /// Changes what tables there are, as a version of its own: one manifest, and then what readers see.
    fn redefine(
        &self,
        live: &mut Live,
        writer: &mut Writer,
        edit: impl FnOnce(&mut Manifest) -> Result<()>,
        change: impl FnOnce(&mut State),
    ) -> Result<()> {
        // It is durable as soon as the manifest is; the commits before it must not be missing then.
        self.sync_log(writer)?;
        let seq = writer.seq.next();
        let now = self.published.load_full();
        let millis = now.state.clock.now();
        self.edit_manifest(live, |manifest| {
            (manifest.as_of, manifest.as_of_ms) = (seq, millis);
            edit(manifest)
        })?;
        writer.seq = seq;
        now.state.times.note(seq, millis);
        let mut state = State::clone(&now.state);
        change(&mut state);
        self.publish_state(state, seq);
        Ok(())
    }

    /// Commits wait while the table's memtable is flushed, so that a log record always has the columns its table has.
    pub fn alter_table(&self, name: &TableName, change: &AlterTable) -> Result<Arc<TableDef>> {
        self.check_writable()?;
        let mut live = self.maintenance.lock();
        let mut writer = self.writer.lock();
        let state = Arc::clone(&self.published.load().state);
        let def = Arc::new(altered(&state.table(name)?.def, change)?);
        check_index_names(&state, &def)?;
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
        let edit = |manifest: &mut Manifest| {
            let gone = replaced.as_ref().map(|table| table.def.id);
            manifest.tables.retain(|record| Some(record.def.id) != gone);
            manifest.table_mut(def.id)?.def = (*def).clone();
            Ok(())
        };
        self.redefine(&mut live, &mut writer, edit, |state| {
            if let Some(table) = state.tables.remove(name) {
                state.put(Arc::new(table.redefine(Arc::clone(&def))));
            }
        })?;
        if let Some(replaced) = replaced {
            self.retire_missing(&replaced.files, &[]);
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
        let edit = |manifest: &mut Manifest| {
            manifest.schemas.push(name.to_owned());
            Ok(())
        };
        self.redefine(&mut live, &mut self.writer.lock(), edit, |state| {
            state.schemas.insert(name.to_owned());
        })
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
        let edit = |manifest: &mut Manifest| {
            manifest.schemas.retain(|schema| schema != name);
            Ok(())
        };
        self.redefine(&mut live, &mut self.writer.lock(), edit, |state| {
            state.schemas.remove(name);
        })
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
