//! The oracle: what a database should hold, as plain ordered maps.
//!
//! No part of the engine is used here, so that a mistake in it cannot hide itself. Rows are kept by key; rows of a
//! keyless table by their first column, which the generator never repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// One cell. Numbers are compared by their bits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// `Int64`.
    Int(i64),
    /// `Float64`, as bits.
    Real(u64),
    /// `Utf8`.
    Text(Arc<str>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(int) => write!(f, "{int}"),
            Self::Real(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Self::Text(text) if text.len() < 16 => write!(f, "{text:?}"),
            Self::Text(text) => write!(f, "{:?}+{}", text.chars().take(8).collect::<String>(), text.len()),
        }
    }
}

impl Value {
    fn is_of(&self, kind: Kind) -> bool {
        match self {
            Self::Null => true,
            Self::Int(_) => kind == Kind::Int,
            Self::Real(_) => kind == Kind::Real,
            Self::Text(_) => kind == Kind::Text,
        }
    }
}

/// Type of a column.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// `Int64`.
    Int,
    /// `Float64`.
    Real,
    /// `Utf8`.
    Text,
}

/// A column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

/// The cells of a row, in column order.
pub type Row = Vec<Value>;

/// A table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Number of leading columns that are the primary key; 0 for a keyless table.
    pub key: usize,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows by identity.
    pub rows: BTreeMap<Row, Arc<Row>>,
}

/// Every table by name. Cheap to clone: harnesses keep one for every commit.
pub type State = BTreeMap<String, Arc<Table>>;

/// What an operation should do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// It succeeds.
    Done,
    /// It fails with `AlreadyExists` and changes nothing.
    Duplicate,
    /// It names something that is not there (after shrinking): leave it out.
    Skip,
}

/// One table's part of a commit.
#[derive(Clone, Debug)]
pub enum Change {
    /// Rows whose keys must be new.
    Insert(Vec<Row>),
    /// Rows that replace.
    Upsert(Vec<Row>),
    /// Keys, or first columns of a keyless table.
    Delete(Vec<Row>),
}

impl Change {
    /// The rows or keys.
    pub fn rows(&self) -> &[Row] {
        match self {
            Self::Insert(rows) | Self::Upsert(rows) | Self::Delete(rows) => rows,
        }
    }

    /// The rows or keys, to change.
    pub fn rows_mut(&mut self) -> &mut Vec<Row> {
        match self {
            Self::Insert(rows) | Self::Upsert(rows) | Self::Delete(rows) => rows,
        }
    }
}

impl Table {
    /// Columns that identify a row.
    #[must_use]
    pub fn identity(&self) -> usize {
        self.key.max(1)
    }

    /// Applies a change.
    pub fn apply(&mut self, change: &Change) -> Expect {
        let columns = &self.columns;
        let fits = |row: &Row, width: usize| {
            row.len() == width && row.iter().zip(columns).all(|(cell, column)| cell.is_of(column.kind))
        };
        match change {
            Change::Insert(rows) => {
                if rows.iter().any(|row| !fits(row, self.columns.len())) {
                    return Expect::Skip;
                }
                let mut new = BTreeSet::new();
                for row in rows {
                    let id = row[..self.identity()].to_vec();
                    if self.rows.contains_key(&id) || !new.insert(id) {
                        return if self.key == 0 { Expect::Skip } else { Expect::Duplicate };
                    }
                }
                self.put(rows);
            }
            Change::Upsert(rows) => {
                if self.key == 0 || rows.iter().any(|row| !fits(row, self.columns.len())) {
                    return Expect::Skip;
                }
                self.put(rows);
            }
            Change::Delete(keys) => {
                if keys.iter().any(|key| !fits(key, self.identity())) {
                    return Expect::Skip;
                }
                for key in keys {
                    self.rows.remove(key);
                }
            }
        }
        Expect::Done
    }

    fn put(&mut self, rows: &[Row]) {
        for row in rows {
            self.rows.insert(row[..self.identity()].to_vec(), Arc::new(row.clone()));
        }
    }
}

/// Applies changes to several tables, all or none.
pub fn apply_batch(state: &mut State, changes: &[(String, Change)]) -> Expect {
    let mut after = state.clone();
    for (table, change) in changes {
        let expect = after.get_mut(table).map_or(Expect::Skip, |table| Arc::make_mut(table).apply(change));
        if expect != Expect::Done {
            return expect;
        }
    }
    *state = after;
    Expect::Done
}

/// Says in one line how two states differ; `None` when they do not.
#[must_use]
pub fn difference(expected: &State, found: &State) -> Option<String> {
    if expected == found {
        return None;
    }
    for (name, table) in expected {
        let Some(other) = found.get(name) else { return Some(format!("table {name} is missing")) };
        if table == other {
            continue;
        }
        if table.columns != other.columns || table.key != other.key {
            return Some(format!("table {name}: columns {:?}, expected {:?}", other.columns, table.columns));
        }
        for (key, row) in &table.rows {
            match other.rows.get(key) {
                None => return Some(format!("table {name}: row {row:?} is missing")),
                Some(found) if found != row => {
                    return Some(format!("table {name}: {found:?}, expected {row:?}"));
                }
                Some(_) => {}
            }
        }
        if let Some(extra) = other.rows.keys().find(|key| !table.rows.contains_key(*key)) {
            return Some(format!("table {name}: row {:?} should not be there", other.rows[extra]));
        }
    }
    found
        .keys()
        .find(|name| !expected.contains_key(*name))
        .map(|name| format!("table {name} should not be there"))
}
