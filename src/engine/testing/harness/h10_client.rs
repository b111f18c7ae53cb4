//! One client of H10: random transactions over lists, registers and accounts, and what it saw of them.
//!
//! A list holds the versions appended to it, so a read shows the whole order; a register holds its last version; the
//! accounts' balances have a constant sum. Every write reads the version that it replaces.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use rand::Rng;
use rand::rngs::SmallRng;
use trilith_engine::{
    Engine, Error, ErrorKind, IfExists, Isolation, Snapshot, TableDef, TableName, TableSpec, TableView,
    Transaction, WriteBatch,
};

use crate::h10_checker::{Fate, Key, Txn, Version};

/// Keys of lists; those of registers follow.
pub const LISTS: Key = 6;
/// Lists and registers.
pub const KEYS: Key = 10;
/// Accounts, and what each holds in the beginning.
const ACCOUNTS: i64 = 6;
const BALANCE: i64 = 100;

/// What all clients of a trial share.
pub struct World {
    pub clock: AtomicU64,
    pub versions: AtomicU64,
    pub isolation: Isolation,
    /// Every read comes from a snapshot of its own: a planted bug.
    pub torn: bool,
}

/// A transaction and what else its client knows.
pub struct Seen {
    pub txn: Txn,
    /// It was told of neither commit nor abort.
    pub unknown: bool,
    /// Lists it read: key, length, last version.
    pub lists: Vec<(Key, usize, Version)>,
}

/// The three tables.
pub struct Tables {
    lists: Arc<TableDef>,
    registers: Arc<TableDef>,
    accounts: Arc<TableDef>,
}

impl Tables {
    /// Creates them, or finds them, with the accounts filled.
    pub fn open(engine: &Engine) -> Result<Self, Error> {
        let tables = Self {
            lists: table(engine, "lists", DataType::Binary)?,
            registers: table(engine, "registers", DataType::Int64)?,
            accounts: table(engine, "accounts", DataType::Int64)?,
        };
        let accounts = engine.snapshot()?.table(&tables.accounts.name)?;
        if accounts.row_count()? == 0 {
            let mut batch = WriteBatch::new();
            let keys: Vec<i64> = (0..ACCOUNTS).collect();
            batch.insert(&tables.accounts, &numbers(&keys, &vec![BALANCE; keys.len()])?)?;
            engine.commit(batch)?;
        }
        Ok(tables)
    }

    /// Versions of a list or register, oldest first; of a register the last alone.
    pub fn read(&self, snapshot: &Snapshot, key: Key) -> Result<Vec<Version>, Error> {
        let table = if key < LISTS { &self.lists } else { &self.registers };
        let view = snapshot.table(&table.name)?;
        let Some(row) = row(&view, i64::from(key))? else { return Ok(Vec::new()) };
        Ok(if key < LISTS {
            let bytes = row.column(1).as_binary::<i32>().value(0);
            bytes
                .chunks_exact(8)
                .map(|word| Version::from_le_bytes(std::array::from_fn(|i| word[i])))
                .collect()
        } else {
            vec![row.column(1).as_primitive::<Int64Type>().value(0) as Version]
        })
    }

    fn written(&self, key: Key, mut versions: Vec<Version>, new: Version) -> Result<WriteBatch, Error> {
        let mut batch = WriteBatch::new();
        if key < LISTS {
            versions.push(new);
            let bytes: Vec<u8> = versions.iter().flat_map(|version| version.to_le_bytes()).collect();
            let keys: ArrayRef = Arc::new(Int64Array::from(vec![i64::from(key)]));
            let lists: ArrayRef = Arc::new(BinaryArray::from_iter_values([bytes]));
            batch.upsert(&self.lists, &RecordBatch::try_from_iter([("k", keys), ("v", lists)])?)?;
        } else {
            batch.upsert(&self.registers, &numbers(&[i64::from(key)], &[new as i64])?)?;
        }
        Ok(batch)
    }
}

fn table(engine: &Engine, name: &str, values: DataType) -> Result<Arc<TableDef>, Error> {
    let schema = Schema::new(vec![Field::new("k", DataType::Int64, false), Field::new("v", values, false)]);
    let spec = TableSpec {
        name: TableName::public(name),
        schema: Arc::new(schema),
        primary_key: vec!["k".into()],
        defaults: HashMap::new(),
        options: Default::default(),
        indexes: vec![],
    };
    engine.create_table(&spec, IfExists::Keep)
}

fn numbers(keys: &[i64], values: &[i64]) -> Result<RecordBatch, Error> {
    let columns: [ArrayRef; 2] =
        [keys, values].map(|column| Arc::new(Int64Array::from(column.to_vec())) as _);
    let [keys, values] = columns;
    Ok(RecordBatch::try_from_iter([("k", keys), ("v", values)])?)
}

fn row(view: &TableView, key: i64) -> Result<Option<RecordBatch>, Error> {
    view.get(&[Arc::new(Int64Array::from(vec![key])) as ArrayRef], None)
}

/// How a client's transaction ended badly.
pub enum Trouble {
    /// The machine is off.
    Stopped,
    /// The engine answered what it must not.
    Wrong(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Io | ErrorKind::Closed => Self::Stopped,
            _ => Self::Wrong(error.to_string()),
        }
    }
}

/// Runs one transaction and adds what was seen of it.
pub fn transaction(
    engine: &Engine,
    tables: &Tables,
    world: &World,
    dice: &mut SmallRng,
    seen: &mut Vec<Seen>,
) -> Result<(), Trouble> {
    let start = world.clock.fetch_add(1, Ordering::SeqCst);
    let only_reads = dice.random_ratio(1, 12);
    let tx = if only_reads { engine.begin_read_only()? } else { engine.begin(world.isolation)? };
    let mut client =
        Client { engine, tables, world, tx: &tx, txn: new(start), lists: Vec::new(), undone: Vec::new() };
    let done = match dice.random_range(0..10) {
        _ if only_reads => client.audit(),
        0..3 => client.transfer(dice),
        3 => client.divided(dice),
        _ => client.work(dice),
    };
    done?;
    let outcome = if dice.random_ratio(1, 15) {
        tx.rollback();
        None
    } else {
        Some(tx.commit())
    };
    let Client { mut txn, lists, undone, .. } = client;
    txn.span.1 = world.clock.fetch_add(1, Ordering::SeqCst);
    txn.fate = if matches!(outcome, Some(Ok(_))) { Fate::Committed } else { Fate::Aborted };
    if !undone.is_empty() {
        let txn = Txn { reads: Vec::new(), writes: undone, fate: Fate::Aborted, ..txn.clone() };
        seen.push(Seen { txn, unknown: false, lists: Vec::new() });
    }
    let unknown = matches!(&outcome, Some(Err(error)) if error.kind() != ErrorKind::Conflict);
    seen.push(Seen { txn, unknown, lists });
    match outcome {
        Some(Err(error)) if error.kind() != ErrorKind::Conflict => Err(error.into()),
        _ => Ok(()),
    }
}

fn new(start: u64) -> Txn {
    Txn { fate: Fate::Aborted, span: (start, u64::MAX), reads: Vec::new(), writes: Vec::new() }
}

struct Client<'a> {
    engine: &'a Engine,
    tables: &'a Tables,
    world: &'a World,
    tx: &'a Transaction,
    txn: Txn,
    lists: Vec<(Key, usize, Version)>,
    /// Writes that a savepoint took back.
    undone: Vec<(Key, Version, Version)>,
}

impl Client<'_> {
    fn snapshot(&self) -> Result<Snapshot, Error> {
        if self.world.torn && self.txn.writes.is_empty() {
            self.engine.snapshot()
        } else {
            self.tx.snapshot()
        }
    }

    fn read(&mut self, key: Key) -> Result<Vec<Version>, Trouble> {
        let versions = self.tables.read(&self.snapshot()?, key)?;
        let last = versions.last().copied().unwrap_or(0);
        let own = self.txn.writes.iter().rev().find(|(written, _, _)| *written == key);
        match own {
            Some((_, version, _)) if *version != last => {
                return Err(Trouble::Wrong(format!("key {key}: wrote {version}, read {last}")));
            }
            Some(_) => {}
            None => {
                self.txn.reads.push((key, last));
                if key < LISTS {
                    self.lists.push((key, versions.len(), last));
                }
            }
        }
        Ok(versions)
    }

    fn write(&mut self, key: Key) -> Result<(), Trouble> {
        let before = self.read(key)?;
        let over = before.last().copied().unwrap_or(0);
        let version = self.world.versions.fetch_add(1, Ordering::Relaxed) + 1;
        self.tx.write(self.tables.written(key, before, version)?)?;
        self.txn.writes.push((key, version, over));
        Ok(())
    }

    fn work(&mut self, dice: &mut SmallRng) -> Result<(), Trouble> {
        for _ in 0..dice.random_range(1..5) {
            let key = dice.random_range(0..KEYS);
            if dice.random() {
                self.write(key)?
            } else {
                self.read(key).map(drop)?
            }
            if dice.random_ratio(1, 4) {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    /// Work, of which the middle is taken back.
    fn divided(&mut self, dice: &mut SmallRng) -> Result<(), Trouble> {
        self.work(dice)?;
        self.tx.savepoint("here")?;
        let kept = self.txn.writes.len();
        self.work(dice)?;
        self.tx.rollback_to("here")?;
        self.undone = self.txn.writes.split_off(kept);
        self.work(dice)
    }

    fn transfer(&mut self, dice: &mut SmallRng) -> Result<(), Trouble> {
        let (from, to) = (dice.random_range(0..ACCOUNTS), dice.random_range(0..ACCOUNTS));
        if from == to {
            return Ok(());
        }
        let view = self.snapshot()?.table(&self.tables.accounts.name)?;
        let (a, b) = (balance(&view, from)?, balance(&view, to)?);
        let amount = dice.random_range(0..20);
        let mut batch = WriteBatch::new();
        batch.upsert(&self.tables.accounts, &numbers(&[from, to], &[a - amount, b + amount])?)?;
        Ok(self.tx.write(batch)?)
    }

    /// Reads everything, waits, and reads it again: a long snapshot.
    fn audit(&mut self) -> Result<(), Trouble> {
        for _ in 0..3 {
            let view = self.snapshot()?.table(&self.tables.accounts.name)?;
            check_sum(&view)?;
            std::thread::yield_now();
        }
        let mut first = Vec::new();
        for key in 0..KEYS {
            first.push(self.read(key)?);
        }
        std::thread::sleep(std::time::Duration::from_micros(300));
        let reads = self.txn.reads.len();
        for key in 0..KEYS {
            if self.read(key)? != first[key as usize] {
                return Err(Trouble::Wrong(format!("key {key} changed within a snapshot")));
            }
        }
        self.txn.reads.truncate(reads);
        Ok(())
    }
}

fn balance(view: &TableView, account: i64) -> Result<i64, Trouble> {
    let found = row(view, account)?;
    let found = found.ok_or_else(|| Trouble::Wrong(format!("account {account} is gone")))?;
    Ok(found.column(1).as_primitive::<Int64Type>().value(0))
}

fn check_sum(view: &TableView) -> Result<(), Trouble> {
    let mut sum = 0;
    for part in view.parts()? {
        for i in 0..part.num_batches() {
            let batch = part.read(i, &[1], false)?;
            sum += batch.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>();
        }
    }
    if sum == ACCOUNTS * BALANCE { Ok(()) } else { Err(Trouble::Wrong(format!("the accounts hold {sum}"))) }
}

/// Fails unless the accounts hold what they held in the beginning.
///
/// # Errors
/// What they hold.
pub fn balanced(tables: &Tables, snapshot: &Snapshot) -> Result<(), String> {
    let checked =
        snapshot.table(&tables.accounts.name).map_err(Trouble::from).and_then(|view| check_sum(&view));
    checked.map_err(|trouble| match trouble {
        Trouble::Stopped => "the accounts cannot be read".to_owned(),
        Trouble::Wrong(text) => text,
    })
}
