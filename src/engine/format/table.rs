//! What a table is: its name, columns and key, as the catalog keeps them and the manifest writes them.
//!
//! Columns are known by [`ColumnId`]: files carry the ids, so that adding, dropping or renaming a column
//! never rewrites one. A column added later brings the value that rows written before it have.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::ipc_text;
use super::key::KeyCodec;
pub use super::table_index::{IndexDef, IndexKind, IndexMetric};
pub use super::table_options::{CompactionStyle, OptionTexts, TableOptions, Ttl};
use crate::common::{ColumnId, Error, Result, TableId};

/// Field metadata that marks a FixedSizeList column as a vector, or a List of those as a list of vectors: finite numbers only.
pub const VECTOR_KEY: &str = "trilith:vector";
/// Field metadata that marks a struct of indices and values as a sparse vector.
pub const SPARSE_KEY: &str = "trilith:sparse";
/// Field metadata that carries a column's [`ColumnId`] in files.
pub const COLUMN_ID_KEY: &str = "trilith:column_id";
/// The schema that is always there.
pub const PUBLIC_SCHEMA: &str = "public";
/// Longest name of a schema, table or column, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;

/// A table's name. Both parts are kept verbatim: quotes, slashes and dots mean nothing here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TableName {
    /// The schema it stands in.
    pub schema: String,
    /// The name within the schema.
    pub table: String,
}

impl TableName {
    /// A name in a schema.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }

    /// A name in the schema `public`.
    pub fn public(table: impl Into<String>) -> Self {
        Self::new(PUBLIC_SCHEMA, table)
    }

    /// Refuses empty and overlong names and control characters.
    ///
    /// # Errors
    /// `Invalid`, naming the part.
    pub fn validate(&self) -> Result<()> {
        validate_name("schema", &self.schema)?;
        validate_name("table", &self.table)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema == PUBLIC_SCHEMA {
            f.write_str(&self.table)
        } else {
            write!(f, "{}.{}", self.schema, self.table)
        }
    }
}

/// Refuses a name that is empty, overlong or holds a control character.
///
/// # Errors
/// `Invalid`, naming the entity.
pub fn validate_name(entity: &str, name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid(
            format!("{entity} name {name:?}"),
            "give it at least one visible character",
        ));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Error::Limit {
            what: format!("length of a {entity} name in bytes"),
            got: name.len() as u64,
            max: NAME_BYTES_MAX as u64,
        });
    }
    match name.chars().find(|c| c.is_control()) {
        Some(c) => Err(Error::invalid(
            format!("{entity} name {name:?}"),
            format!("take out the control character {c:?}"),
        )),
        None => Ok(()),
    }
}

/// `columns` under `schema`, the row count stated for tables of no columns.
///
/// # Errors
/// When a column's type, length or nulls do not fit the schema.
pub fn record_batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnDef {
    /// Its identity in files.
    pub id: ColumnId,
    /// Name, type, nullability and metadata.
    #[serde(with = "ipc_text::field")]
    pub field: FieldRef,
    /// The `DEFAULT` expression as SQL text.
    pub default: Option<String>,
    /// One value: what rows written before the column was added hold. Null when absent.
    #[serde(with = "ipc_text::value")]
    pub fill: Option<ArrayRef>,
}

/// A table of the catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableDef {
    /// Its identity, never reused.
    pub id: TableId,
    /// Its name.
    pub name: TableName,
    /// Counts the changes to the columns.
    pub version: u32,
    /// Columns in the order the user sees.
    pub columns: Vec<ColumnDef>,
    /// Columns of the primary key, in key order; empty for a keyless table.
    pub primary_key: Vec<ColumnId>,
    /// The id the next new column gets.
    pub next_column: ColumnId,
    /// How its files are merged, and how long its rows live.
    #[serde(default)]
    pub options: TableOptions,
    /// Indexes that statements named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<IndexDef>,
    #[serde(skip)]
    derived: Derived,
}

/// What is computed from the columns once.
#[derive(Clone, Debug, Default, PartialEq)]
struct Derived {
    schema: Option<SchemaRef>,
    key_columns: Vec<usize>,
    codec: Option<KeyCodec>,
}

impl TableDef {
    /// A table of these columns and key.
    #[must_use]
    pub fn new(id: TableId, name: TableName, columns: Vec<ColumnDef>, primary_key: Vec<ColumnId>) -> Self {
        let next_column = columns.iter().map(|column| column.id.next()).max().unwrap_or_default();
        let (options, derived) = (TableOptions::default(), Derived::default());
        let indexes = vec![];
        Self { id, name, version: 0, columns, primary_key, next_column, options, indexes, derived }.derive()
    }

    /// Computes again what follows from the columns; call after changing them or reading them from a file.
    #[must_use]
    pub fn derive(mut self) -> Self {
        let fields: Vec<FieldRef> = self.columns.iter().map(|column| Arc::clone(&column.field)).collect();
        let position = |id: &ColumnId| self.columns.iter().position(|column| column.id == *id);
        let key_columns: Vec<usize> = self.primary_key.iter().filter_map(position).collect();
        let key_types: Vec<DataType> = key_columns.iter().map(|&i| fields[i].data_type().clone()).collect();
        let codec = KeyCodec::new(&key_types).ok();
        self.derived = Derived { schema: Some(Arc::new(Schema::new(fields))), key_columns, codec };
        self
    }

    /// The columns as an Arrow schema.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.derived.schema.clone().unwrap_or_else(|| Arc::new(Schema::empty()))
    }

    /// True when the table has a primary key.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        !self.primary_key.is_empty()
    }

    /// Positions of the key columns in the schema, in key order.
    #[must_use]
    pub fn key_columns(&self) -> &[usize] {
        &self.derived.key_columns
    }

    /// Encodes its keys.
    ///
    /// # Errors
    /// `Invalid` when it has no primary key, or one of a type that cannot be a key.
    pub fn key_codec(&self) -> Result<&KeyCodec> {
        let why = "it has no primary key to look a row up by";
        self.derived.codec.as_ref().ok_or_else(|| Error::invalid(format!("table {}", self.name), why))
    }

    /// The index of a column; one that no statement named is none.
    #[must_use]
    pub fn index_of(&self, column: ColumnId) -> Option<&IndexDef> {
        self.indexes.iter().find(|index| index.column == column)
    }

    /// Position of a column in the schema.
    #[must_use]
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.field.name() == name)
    }

    /// Position of a column in the schema.
    ///
    /// # Errors
    /// `NotFound`, with the columns there are.
    pub fn require_column(&self, name: &str) -> Result<usize> {
        self.column_index(name).ok_or_else(|| {
            let known: Vec<&str> = self.columns.iter().map(|column| column.field.name().as_str()).collect();
            Error::NotFound {
                entity: "column",
                name: format!("{name} (table {} has {})", self.name, known.join(", ")),
            }
        })
    }

    /// The schema that files of this table are written with: each field carries its column id.
    #[must_use]
    pub fn file_schema(&self) -> SchemaRef {
        let tagged = self.columns.iter().map(|column| {
            let mut metadata = column.field.metadata().clone();
            metadata.insert(COLUMN_ID_KEY.to_owned(), column.id.to_string());
            column.field.as_ref().clone().with_metadata(metadata)
        });
        Arc::new(Schema::new(tagged.collect::<Vec<_>>()))
    }

    /// The key columns of a batch that has the table's schema.
    #[must_use]
    pub fn key_arrays(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.key_columns().iter().map(|&column| Arc::clone(batch.column(column))).collect()
    }
}
