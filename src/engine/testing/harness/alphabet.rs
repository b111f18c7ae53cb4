//! Every short sequence over a few letters: most crash bugs known need no more than three operations.

use std::collections::BTreeMap;

use trilith_engine::{Durability, WriteMode};

use crate::model::{Change, Column, Kind, Row, Table, Value};
use crate::op::Op;

const LETTERS: u64 = 10;

/// Sequence number `n` of those up to three letters, after the creation of two tables and a first commit.
pub fn sequence(n: u64) -> Vec<Op> {
    let n = n % (LETTERS + LETTERS.pow(2) + LETTERS.pow(3));
    let (length, rest) = match n {
        n if n < LETTERS => (1, n),
        n if n < LETTERS + LETTERS.pow(2) => (2, n - LETTERS),
        n => (3, n - LETTERS - LETTERS.pow(2)),
    };
    let mut ops = vec![create("k", 1), create("l", 0), commit(0, Durability::Group)];
    ops.extend((0..length).map(|at| letter(rest / LETTERS.pow(at) % LETTERS, i64::from(at) + 1)));
    ops
}

/// A table of a number and a text.
pub fn create(name: &str, key: usize) -> Op {
    let columns =
        vec![Column { name: "id".into(), kind: Kind::Int }, Column { name: "text".into(), kind: Kind::Text }];
    Op::Create { name: name.into(), table: Table { key, columns, rows: BTreeMap::new() }, replace: false }
}

fn row(id: i64, n: i64) -> Row {
    vec![Value::Int(id), Value::Text(format!("{n}: {}", "x".repeat(40 * n as usize)).into())]
}

/// Overwrites a key and adds one, and adds a row to the keyless table.
pub fn commit(n: i64, level: Durability) -> Op {
    let keyed = Change::Upsert(vec![row(0, n), row(n, n)]);
    Op::Batch(vec![("k".into(), keyed), ("l".into(), Change::Insert(vec![row(n, n)]))], level)
}

fn letter(letter: u64, n: i64) -> Op {
    match letter {
        0 => commit(n, Durability::None),
        1 => commit(n, Durability::Buffered),
        2 => commit(n, Durability::Group),
        3 => Op::Flush,
        4 => Op::Compact,
        5 => {
            let rows = (0..6).map(|id| row(id, n)).collect();
            Op::Bulk { table: "k".into(), mode: WriteMode::Upsert, rows, piece: 3 }
        }
        6 => {
            let rows = (0..6).map(|id| row(100 * n + id, n)).collect();
            Op::Bulk { table: "l".into(), mode: WriteMode::Insert, rows, piece: 6 }
        }
        7 => Op::Batch(vec![("k".into(), Change::Delete(vec![vec![Value::Int(0)]]))], Durability::Strict),
        8 => {
            let column = Column { name: format!("c{n}"), kind: Kind::Int };
            Op::AddColumn { table: "k".into(), column, fill: Value::Int(n) }
        }
        _ => Op::Reopen,
    }
}
