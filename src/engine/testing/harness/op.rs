//! What a workload does, and how the oracle and the engine each do it.

use std::sync::Arc;

use arrow::datatypes::Field;
use trilith_engine::{
    AlterTable, Durability, Engine, Error, ErrorKind, IfExists, Result, TableDef, TableName, TableView,
    ValuePart, WriteBatch, WriteMode,
};

use crate::arrow_rows;
use crate::model::{Change, Column, Expect, Row, State, Table, Value, apply_batch};

/// One step. Steps carry all their data, so that leaving some out leaves the others as they are.
#[derive(Clone, Debug)]
pub enum Op {
    /// One atomic commit.
    Batch(Vec<(String, Change)>, Durability),
    /// One bulk append, in batches of the given rows each.
    Bulk { table: String, mode: WriteMode, rows: Vec<Row>, piece: usize },
    /// Flush.
    Flush,
    /// Flush and merge all.
    Compact,
    /// What the background thread would do.
    Maintain,
    /// A table, in the place of the one there is when `replace`.
    Create { name: String, table: Table, replace: bool },
    /// No table.
    Drop(String),
    /// A new last column, its value in the rows there are.
    AddColumn { table: String, column: Column, fill: Value },
    /// One column less.
    DropColumn { table: String, column: String },
    /// Another name.
    RenameColumn { table: String, from: String, to: String },
    /// Close and open again.
    Reopen,
    /// Kill the process and open again.
    Kill,
    /// Take a snapshot and remember it.
    Snapshot,
    /// Look at every remembered snapshot; forget the oldest.
    CheckSnapshots,
    /// One atomic commit, computed from the newest remembered snapshot.
    Stale(Vec<(String, Change)>),
    /// Read keys.
    Get { table: String, keys: Vec<Row> },
}

impl Op {
    /// True when a success means: this and all before it is on disk, whatever happens next. A write of nothing is
    /// acknowledged without a look at the disk.
    pub fn is_durable(&self) -> bool {
        match self {
            Self::Batch(_, level) => self.writes() && matches!(level, Durability::Group | Durability::Strict),
            Self::Bulk { rows, .. } => !rows.is_empty(),
            Self::Flush | Self::Compact | Self::Reopen | Self::Create { .. } | Self::Drop(_) => true,
            Self::AddColumn { .. } | Self::DropColumn { .. } | Self::RenameColumn { .. } => true,
            _ => false,
        }
    }

    /// True when a success means: this and all before it is with the operating system.
    pub fn survives_kill(&self) -> bool {
        self.is_durable() || (self.writes() && matches!(self, Self::Batch(_, Durability::Buffered)))
    }

    fn writes(&self) -> bool {
        matches!(self, Self::Batch(changes, _) if changes.iter().any(|(_, change)| !change.rows().is_empty()))
    }

    /// The rows and keys in it.
    pub fn row_lists(&mut self) -> Vec<&mut Vec<Row>> {
        match self {
            Self::Batch(changes, _) | Self::Stale(changes) => {
                changes.iter_mut().map(|(_, change)| change.rows_mut()).collect()
            }
            Self::Bulk { rows, .. } | Self::Get { keys: rows, .. } => vec![rows],
            _ => Vec::new(),
        }
    }
}

/// Lets the oracle do `op`.
pub fn apply(state: &mut State, op: &Op) -> Expect {
    match op {
        Op::Batch(changes, _) => apply_batch(state, changes),
        Op::Bulk { table, mode, rows, .. } => {
            let change = if *mode == WriteMode::Insert {
                Change::Insert(rows.clone())
            } else {
                Change::Upsert(rows.clone())
            };
            apply_batch(state, &[(table.clone(), change)])
        }
        Op::Create { name, table, replace } => match state.get(name) {
            Some(_) if !replace => Expect::Duplicate,
            _ => {
                state.insert(name.clone(), Arc::new(table.clone()));
                Expect::Done
            }
        },
        Op::Drop(name) => state.remove(name).map_or(Expect::Skip, |_| Expect::Done),
        Op::AddColumn { table, column, fill } => alter(state, table, |table| {
            if table.columns.iter().any(|other| other.name == column.name) {
                return Expect::Skip;
            }
            table.columns.push(column.clone());
            table.rows.values_mut().for_each(|row| Arc::make_mut(row).push(fill.clone()));
            Expect::Done
        }),
        Op::DropColumn { table, column } => alter(state, table, |table| {
            let Some(at) = table.columns.iter().position(|other| other.name == *column) else {
                return Expect::Skip;
            };
            if at < table.identity() {
                return Expect::Skip;
            }
            table.columns.remove(at);
            table.rows.values_mut().for_each(|row| drop(Arc::make_mut(row).remove(at)));
            Expect::Done
        }),
        Op::RenameColumn { table, from, to } => alter(state, table, |table| {
            let Some(at) = table.columns.iter().position(|other| other.name == *from) else {
                return Expect::Skip;
            };
            if table.columns.iter().any(|other| other.name == *to) {
                return Expect::Skip;
            }
            table.columns[at].name.clone_from(to);
            Expect::Done
        }),
        // Whether it is accepted is not for the oracle alone to say.
        Op::Stale(changes) => match apply_batch(&mut state.clone(), changes) {
            Expect::Done => Expect::Done,
            _ => Expect::Skip,
        },
        Op::Get { table, keys } => match state.get(table) {
            Some(table) if table.key > 0 && keys.iter().all(|key| key.len() == table.key) => Expect::Done,
            _ => Expect::Skip,
        },
        Op::Flush
        | Op::Compact
        | Op::Maintain
        | Op::Reopen
        | Op::Kill
        | Op::Snapshot
        | Op::CheckSnapshots => Expect::Done,
    }
}

fn alter(state: &mut State, table: &str, change: impl FnOnce(&mut Table) -> Expect) -> Expect {
    state.get_mut(table).map_or(Expect::Skip, |table| change(Arc::make_mut(table)))
}

fn table_def(engine: &Engine, name: &str) -> Result<Arc<TableDef>> {
    Ok(Arc::clone(engine.snapshot()?.table(&TableName::public(name))?.def()))
}

/// Lets the engine do `op`, as far as one engine can: reopening and snapshots are the harness's. `before` is the
/// oracle's state.
pub fn run(engine: &Engine, op: &Op, before: &State) -> Result<()> {
    match op {
        Op::Batch(changes, level) => commit(engine, changes, *level, before),
        Op::Bulk { table, mode, rows, piece } => {
            let columns = &before[table].columns;
            let mut appender = engine.appender(&TableName::public(table), *mode)?;
            for rows in rows.chunks(*piece) {
                appender.write(&arrow_rows::batch(columns, rows))?;
            }
            appender.finish().map(|_| ())
        }
        Op::Flush => engine.flush(),
        Op::Compact => engine.compact(),
        Op::Maintain => {
            while engine.maintain()? {}
            Ok(())
        }
        Op::Create { name, table, replace } => {
            let exists = if *replace { IfExists::Replace } else { IfExists::Fail };
            engine.create_table(&arrow_rows::spec(name, table), exists).map(|_| ())
        }
        Op::Drop(name) => engine.drop_table(&TableName::public(name)),
        Op::AddColumn { table, column, fill } => {
            let field = Arc::new(Field::new(&column.name, arrow_rows::data_type(column.kind), true));
            let fill = (*fill != Value::Null).then(|| arrow_rows::array(column.kind, std::iter::once(fill)));
            engine
                .alter_table(&TableName::public(table), &AlterTable::AddColumn { field, default: None, fill })
                .map(|_| ())
        }
        Op::DropColumn { table, column } => engine
            .alter_table(&TableName::public(table), &AlterTable::DropColumn { name: column.clone() })
            .map(|_| ()),
        Op::RenameColumn { table, from, to } => {
            let change = AlterTable::RenameColumn { from: from.clone(), to: to.clone() };
            engine.alter_table(&TableName::public(table), &change).map(|_| ())
        }
        Op::Get { table, keys } => get(engine, &before[table], table, keys),
        Op::Reopen | Op::Kill | Op::Snapshot | Op::CheckSnapshots | Op::Stale(_) => Ok(()),
    }
}

fn commit(engine: &Engine, changes: &[(String, Change)], level: Durability, before: &State) -> Result<()> {
    let mut batch = WriteBatch::new();
    for (name, change) in changes {
        let (def, table) = (table_def(engine, name)?, &before[name]);
        match change {
            Change::Insert(rows) => batch.insert(&def, &arrow_rows::batch(&table.columns, rows))?,
            Change::Upsert(rows) => batch.upsert(&def, &arrow_rows::batch(&table.columns, rows))?,
            Change::Delete(keys) if table.key > 0 => {
                batch.delete_keys(&def, &arrow_rows::batch(&table.columns[..table.key], keys))?
            }
            Change::Delete(keys) => {
                let view = engine.snapshot()?.table(&TableName::public(name))?;
                batch.delete_row_ids(&def, &arrow_rows::row_ids(&view, keys)?)?;
            }
        }
    }
    batch.durability(level);
    engine.commit(batch).map(|_| ())
}

/// Reads keys one by one and all at once, and compares with the oracle.
fn get(engine: &Engine, table: &Table, name: &str, keys: &[Row]) -> Result<()> {
    let view = engine.snapshot()?.table(&TableName::public(name))?;
    let columns = &table.columns[..table.key];
    let (found, places) = view.get_many(&arrow_rows::arrays(columns, keys), None)?;
    let found = arrow_rows::rows(&found);
    for (key, place) in keys.iter().zip(places) {
        let one = view.get(&arrow_rows::arrays(columns, std::slice::from_ref(key)), None)?;
        let one = one.map(|batch| arrow_rows::rows(&batch).remove(0));
        let many = place.map(|place| &found[place]);
        let expected = table.rows.get(key).map(|row| &**row);
        if one.as_ref() != expected || many != expected {
            return Err(Error::Internal(format!(
                "key {key:?} of {name}: {one:?} and {many:?}, expected {expected:?}"
            )));
        }
        if let Some(row) = expected {
            ranges(&view, table, key, row)?;
        }
    }
    Ok(())
}

/// A part of each text of a row.
fn ranges(view: &TableView, table: &Table, key: &Row, row: &Row) -> Result<()> {
    for (at, cell) in row.iter().enumerate() {
        let Value::Text(text) = cell else { continue };
        let key = arrow_rows::arrays(&table.columns[..table.key], std::slice::from_ref(key));
        let (start, end) = (text.len() / 3, text.len() / 2);
        let part = view.get_range(&key, at, start as u64..end as u64)?;
        let as_expected =
            |part: &ValuePart| part.len == text.len() as u64 && part.bytes[..] == text.as_bytes()[start..end];
        if !part.as_ref().is_some_and(as_expected) {
            return Err(Error::Internal(format!("bytes {start}..{end} of {text:?} are {part:?}")));
        }
    }
    Ok(())
}

/// True when the engine did with `op` what it should.
pub fn agrees(expect: Expect, outcome: &Result<()>) -> bool {
    match (expect, outcome) {
        (Expect::Done, Ok(())) => true,
        (Expect::Duplicate, Err(error)) => error.kind() == ErrorKind::AlreadyExists,
        _ => false,
    }
}
