//! Random workloads, weighted towards what has gone wrong in other engines: few keys, many versions of each,
//! deletions followed by insertions, definitions that change under data, restarts between everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use trilith_engine::{Durability, WriteMode};

use crate::model::{Change, Column, Kind, Row, State, Table, Value};
use crate::op::Op;

/// Which steps a harness can use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Menu {
    /// All, but no commit that a kill may lose.
    Model,
    /// Writes, maintenance and definitions only.
    Writes,
}

/// Makes operations.
#[derive(Debug)]
pub struct Generator {
    /// The dice.
    pub dice: SmallRng,
    menu: Menu,
    /// Keys are drawn from this many.
    keys: i64,
    /// Never repeated: first cells of keyless rows, names of columns.
    next: i64,
    /// Rows a write may have.
    rows_max: usize,
}

impl Generator {
    /// With sizes of its own, so that some runs pile versions on few keys and others fill many files.
    pub fn new(mut dice: SmallRng, menu: Menu) -> Self {
        let keys = *[3, 20, 80].choose(&mut dice).unwrap_or(&20);
        let rows_max = *[3, 12, 80].choose(&mut dice).unwrap_or(&12);
        let rows_max = if menu == Menu::Writes { rows_max.min(8) } else { rows_max };
        Self { dice, menu, keys, next: 1, rows_max }
    }

    /// The next operation for a database that holds `state`.
    pub fn op(&mut self, state: &State) -> Op {
        let Some(name) = state.keys().collect::<Vec<_>>().choose(&mut self.dice).map(|name| (*name).clone())
        else {
            return self.create(state);
        };
        match self.dice.random_range(0..100) {
            0..=39 => self.batch(state),
            40..=47 => self.bulk(state, name),
            48..=55 => Op::Flush,
            56..=58 => Op::Compact,
            59..=62 => Op::Maintain,
            63..=65 => self.create(state),
            66 => Op::Drop(name),
            67..=68 => self.add_column(name),
            69 => self.drop_column(state, name),
            70 => self.rename_column(state, name),
            _ if self.menu == Menu::Writes => self.batch(state),
            71..=73 => Op::Reopen,
            74..=76 => Op::Kill,
            77..=80 => Op::Snapshot,
            81..=83 => Op::CheckSnapshots,
            84..=88 => self.stale(state),
            _ => self.get(state, name),
        }
    }

    fn count(&mut self) -> usize {
        let max = self.rows_max;
        if self.dice.random_ratio(1, 25) {
            self.dice.random_range(0..=max * 4)
        } else {
            self.dice.random_range(0..=max)
        }
    }

    fn value(&mut self, kind: Kind) -> Value {
        if self.dice.random_ratio(1, 8) {
            return Value::Null;
        }
        match kind {
            Kind::Int => {
                Value::Int(*[i64::MIN, -1, 0, 1, self.next, i64::MAX].choose(&mut self.dice).unwrap_or(&0))
            }
            Kind::Real => Value::Real(
                [0.0, -0.0, 1.5, f64::NAN, f64::NEG_INFINITY, self.next as f64]
                    .choose(&mut self.dice)
                    .map_or(0, |real| real.to_bits()),
            ),
            Kind::Text => {
                let length = *[0, 1, 3, 30, 300].choose(&mut self.dice).unwrap_or(&3);
                Value::Text(format!("{}{}", self.next, "é".repeat(length)).into())
            }
        }
    }

    fn key_cell(&mut self, kind: Kind) -> Value {
        let number = self.dice.random_range(0..self.keys);
        match kind {
            Kind::Text => Value::Text(format!("key {}", number % 17).into()),
            _ => Value::Int(number),
        }
    }

    fn key(&mut self, table: &Table) -> Row {
        table.columns[..table.key].iter().map(|column| self.key_cell(column.kind)).collect()
    }

    fn row(&mut self, table: &Table) -> Row {
        self.next += 1;
        let mut row = if table.key == 0 { vec![Value::Int(self.next)] } else { self.key(table) };
        let rest: Vec<Kind> = table.columns[row.len()..].iter().map(|column| column.kind).collect();
        row.extend(rest.into_iter().map(|kind| self.value(kind)));
        row
    }

    fn rows(&mut self, table: &Table, count: usize) -> Vec<Row> {
        (0..count).map(|_| self.row(table)).collect()
    }

    /// Rows of distinct keys, mostly ones the table lacks: inserts that should mostly succeed.
    fn new_rows(&mut self, table: &Table, count: usize) -> Vec<Row> {
        let careless = self.dice.random_ratio(1, 6);
        let mut chosen: BTreeMap<Row, Row> = BTreeMap::new();
        for row in self.rows(table, count) {
            let key = row[..table.identity()].to_vec();
            if careless || !table.rows.contains_key(&key) {
                chosen.insert(key, row);
            }
        }
        chosen.into_values().collect()
    }

    fn batch(&mut self, state: &State) -> Op {
        let names: Vec<&String> = state.keys().collect();
        let tables = if self.dice.random_ratio(1, 3) { 3 } else { 1 };
        let mut after = state.clone();
        let mut changes: Vec<(String, Change)> = Vec::new();
        for _ in 0..tables {
            let Some(name) = names.choose(&mut self.dice).map(|name| (*name).clone()) else { continue };
            if after[&name].key == 0 && changes.iter().any(|(other, _)| *other == name) {
                continue;
            }
            let change = self.change(&after[&name]);
            if let Some(table) = after.get_mut(&name) {
                Arc::make_mut(table).apply(&change);
            }
            changes.push((name, change));
        }
        let levels = [
            Durability::None,
            Durability::Buffered,
            Durability::Group,
            Durability::Group,
            Durability::Strict,
        ];
        let safe = usize::from(self.menu == Menu::Model);
        Op::Batch(changes, *levels[safe..].choose(&mut self.dice).unwrap_or(&Durability::Group))
    }

    /// Replaces and deletes rows of one table or two, most of them known ones.
    fn stale(&mut self, state: &State) -> Op {
        let Op::Batch(changes, _) = self.batch(state) else { return Op::Snapshot };
        let no_insert = |(_, change): &(String, Change)| !matches!(change, Change::Insert(_));
        Op::Stale(changes.into_iter().filter(no_insert).collect())
    }

    fn change(&mut self, table: &Table) -> Change {
        let count = self.count();
        match self.dice.random_range(0..8) {
            0 | 1 => self.deletion(table, count),
            2..=4 if table.key > 0 => Change::Upsert(self.rows(table, count)),
            _ => Change::Insert(self.new_rows(table, count)),
        }
    }

    fn deletion(&mut self, table: &Table, count: usize) -> Change {
        let known: Vec<&Row> = table.rows.keys().collect();
        let mut keys: Vec<Row> =
            (0..count).filter_map(|_| known.choose(&mut self.dice).map(|key| (*key).clone())).collect();
        if table.key > 0 && self.dice.random_ratio(1, 3) {
            keys.push(self.key(table));
        }
        Change::Delete(keys)
    }

    fn bulk(&mut self, state: &State, name: String) -> Op {
        let table = &state[&name];
        let count = self.count() * *[1, 2, 6].choose(&mut self.dice).unwrap_or(&1);
        let (mode, rows) = if table.key > 0 && self.dice.random() {
            (WriteMode::Upsert, self.rows(table, count))
        } else {
            (WriteMode::Insert, self.new_rows(table, count))
        };
        Op::Bulk { table: name, mode, rows, piece: self.dice.random_range(6..=60) }
    }

    fn create(&mut self, state: &State) -> Op {
        let name = format!("t{}", self.dice.random_range(0..4));
        let column = |name: &str, kind| Column { name: name.to_owned(), kind };
        let (key, mut columns) = match self.dice.random_range(0..3) {
            0 => (0, vec![column("id", Kind::Int)]),
            1 => (1, vec![column("id", Kind::Int)]),
            _ => (2, vec![column("name", Kind::Text), column("id", Kind::Int)]),
        };
        columns.extend([column("a", Kind::Text), column("b", Kind::Real)]);
        let replace = !state.contains_key(&name) || self.dice.random();
        Op::Create { name, table: Table { key, columns, rows: BTreeMap::new() }, replace }
    }

    fn add_column(&mut self, table: String) -> Op {
        self.next += 1;
        let kind = *[Kind::Int, Kind::Real, Kind::Text].choose(&mut self.dice).unwrap_or(&Kind::Int);
        let column = Column { name: format!("c{}", self.next), kind };
        Op::AddColumn { table, column, fill: self.value(kind) }
    }

    fn drop_column(&mut self, state: &State, table: String) -> Op {
        let columns = &state[&table].columns[state[&table].identity()..];
        match columns.choose(&mut self.dice) {
            Some(column) => Op::DropColumn { column: column.name.clone(), table },
            None => self.add_column(table),
        }
    }

    fn rename_column(&mut self, state: &State, table: String) -> Op {
        self.next += 1;
        let from = state[&table]
            .columns
            .choose(&mut self.dice)
            .map(|column| column.name.clone())
            .unwrap_or_default();
        Op::RenameColumn { table, from, to: format!("c{}", self.next) }
    }

    fn get(&mut self, state: &State, name: String) -> Op {
        let table = &state[&name];
        let keys = (0..self.count().min(12)).map(|_| self.key(table)).collect();
        Op::Get { table: name, keys }
    }
}
