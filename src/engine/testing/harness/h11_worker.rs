//! One thread of an engine's schedule: a few steps, each told to the ledger.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use trilith_engine::common::sync;
use trilith_engine::testing::SimStorage;
use trilith_engine::{
    CopyMode, Durability, Engine, ErrorKind, Isolation, Options, Result, SeqNo, Snapshot, TableDef,
    TableName, WriteBatch, WriteMode,
};

use crate::arrow_rows::{arrays, batch, read_state, rows};
use crate::chance::pick;
use crate::h11_schedules::Planted;
use crate::h11_world::{Commit, World};
use crate::model::{Change, Column, Kind, Row, State, Value, difference};

/// The keyed table; the other one is `l`.
pub const COLUMNS_OF: &str = "k";
/// Keys that all threads fight for.
const KEYS: i64 = 3;

/// What a thread does next.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Upsert(i64, Durability),
    Insert(i64),
    Delete(i64),
    Transaction(i64, Isolation),
    Bulk,
    Look,
    Get(i64),
    Flush,
    Compact,
    Maintain,
    Vacuum,
    Backup,
}

/// Some steps. One thread alone may append in bulk, and once, as nobody is told the number of that commit.
pub fn script(dice: &mut SmallRng, bulk: bool) -> Vec<Step> {
    let mut steps: Vec<Step> = (0..dice.random_range(1..5)).map(|_| step(dice)).collect();
    if bulk && dice.random() {
        let at = dice.random_range(0..steps.len());
        steps[at] = Step::Bulk;
    }
    steps
}

fn step(dice: &mut SmallRng) -> Step {
    let key = dice.random_range(0..KEYS);
    match dice.random_range(0..24) {
        0..=5 => {
            let levels = [Durability::Buffered, Durability::Group, Durability::Group, Durability::Strict];
            Step::Upsert(key, *pick(dice, &levels))
        }
        6 | 7 => Step::Insert(key),
        8 | 9 => Step::Delete(key),
        10 | 11 => Step::Transaction(key, *pick(dice, &[Isolation::Snapshot, Isolation::Serializable])),
        12..=16 => Step::Look,
        17 => Step::Get(key),
        18 | 19 => Step::Flush,
        20 => Step::Compact,
        21 => Step::Maintain,
        22 => Step::Vacuum,
        _ => Step::Backup,
    }
}

fn columns() -> [Column; 2] {
    let column = |name: &str, kind| Column { name: name.into(), kind };
    [column("id", Kind::Int), column("text", Kind::Text)]
}

fn row(id: i64, n: i64) -> Row {
    vec![Value::Int(id), Value::Text(format!("by {n}").into())]
}

/// A thread and what it knows.
struct Worker<'a> {
    world: &'a World,
    engine: &'a Arc<Engine>,
    /// A number that no other step has.
    n: i64,
    /// Its newest commit.
    last: SeqNo,
}

/// Takes the steps of thread `number`. Once the database is closed under it, there are none to take.
pub fn work(world: &World, engine: &Arc<Engine>, number: i64, script: Vec<Step>) {
    let mut worker = Worker { world, engine, n: 0, last: SeqNo(0) };
    for (at, step) in script.into_iter().enumerate() {
        worker.n = 1000 * (number + 1) + at as i64;
        match worker.take(step) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) if matches!(step, Step::Insert(_)) && error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if matches!(step, Step::Transaction(..)) && error.kind() == ErrorKind::Conflict => {}
            Err(error) => return world.problem(format!("{step:?}: {error}")),
        }
    }
}

impl Worker<'_> {
    fn take(&mut self, step: Step) -> Result<()> {
        let (engine, n) = (self.engine, self.n);
        match step {
            Step::Upsert(key, level) => {
                let keyed = Change::Upsert(vec![row(key, n), row(n, n)]);
                self.commit(vec![("k", keyed), ("l", Change::Insert(vec![row(n, n)]))], level)
            }
            Step::Insert(key) => self.commit(
                vec![("k", Change::Insert(vec![row(key, n)])), ("l", Change::Insert(vec![row(n, n)]))],
                Durability::Group,
            ),
            Step::Delete(key) => {
                let gone = Change::Delete(vec![vec![Value::Int(key)]]);
                self.commit(vec![("k", gone), ("l", Change::Insert(vec![row(n, n)]))], Durability::Group)
            }
            Step::Transaction(key, isolation) => self.transaction(key, isolation),
            Step::Bulk => self.bulk(),
            Step::Look => self.look(),
            Step::Get(key) => self.get(key),
            Step::Flush => engine.flush(),
            Step::Compact => engine.compact(),
            Step::Maintain => engine.maintain().map(drop),
            Step::Vacuum => engine.vacuum().map(drop),
            Step::Backup => self.backup(),
        }
    }

    fn def(&self, table: &str) -> Result<Arc<TableDef>> {
        Ok(Arc::clone(self.engine.snapshot()?.table(&TableName::public(table))?.def()))
    }

    fn commit(&mut self, changes: Vec<(&str, Change)>, level: Durability) -> Result<()> {
        let mut writes = WriteBatch::new();
        writes.durability(level);
        for (table, change) in &changes {
            let def = self.def(table)?;
            match change {
                Change::Insert(rows) => writes.insert(&def, &batch(&columns(), rows))?,
                Change::Upsert(rows) => writes.upsert(&def, &batch(&columns(), rows))?,
                Change::Delete(keys) => writes.delete_keys(&def, &batch(&columns()[..1], keys))?,
            }
        }
        let seq = self.engine.commit(writes)?;
        self.told(seq, changes, level >= Durability::Group, None);
        Ok(())
    }

    fn told(
        &mut self,
        seq: SeqNo,
        changes: Vec<(&str, Change)>,
        durable: bool,
        read: Option<(Value, Option<Row>)>,
    ) {
        let changes = changes.into_iter().map(|(table, change)| (table.to_owned(), change)).collect();
        self.world.note(Commit { seq: Some(seq), changes, durable, read });
        self.last = seq;
    }

    /// Reads a row and replaces it.
    fn transaction(&mut self, key: i64, isolation: Isolation) -> Result<()> {
        let transaction = self.engine.begin(isolation)?;
        let there = read_row(&transaction.snapshot()?, key)?;
        let changed = Change::Upsert(vec![row(key, self.n)]);
        let mut writes = WriteBatch::new();
        writes.upsert(&self.def("k")?, &batch(&columns(), changed.rows()))?;
        transaction.write(writes)?;
        let seq = transaction.commit()?;
        self.told(seq, vec![("k", changed)], true, Some((Value::Int(key), there)));
        Ok(())
    }

    fn bulk(&mut self) -> Result<()> {
        let rows: Vec<Row> = (0..4).map(|id| row(id * 50, self.n)).collect();
        let mut appender = self.engine.appender(&TableName::public("k"), WriteMode::Upsert)?;
        appender.write(&batch(&columns(), &rows))?;
        appender.finish()?;
        let (seq, changes) = (None, vec![("k".to_owned(), Change::Upsert(rows))]);
        self.world.note(Commit { seq, changes, durable: true, read: None });
        Ok(())
    }

    /// A snapshot shows the newest commit of its own thread, and the same whenever it is read.
    fn look(&self) -> Result<()> {
        let snapshot = self.engine.snapshot()?;
        if snapshot.seq() < self.last {
            self.world.problem(format!("a snapshot at {} after commit {}", snapshot.seq(), self.last));
        }
        let mut first = read_state(&snapshot)?;
        if matches!(self.world.bug, Some(Planted::TornReads)) {
            let later = read_state(&self.engine.snapshot()?)?;
            first.extend(later.into_iter().filter(|(table, _)| table == "l"));
        }
        for _ in 0..3 {
            sync::yield_now();
        }
        if let Some(text) = difference(&first, &read_state(&snapshot)?) {
            self.world.problem(format!("a snapshot changed: {text}"));
        }
        self.world.ledger().sights.push((snapshot.seq(), first, "seen"));
        Ok(())
    }

    /// A row alone is what the whole table says.
    fn get(&self, key: i64) -> Result<()> {
        let snapshot = self.engine.snapshot()?;
        let alone = read_row(&snapshot, key)?;
        let all: State = read_state(&snapshot)?;
        let among = all[COLUMNS_OF].rows.get(&vec![Value::Int(key)]).map(|row| (**row).clone());
        if alone != among {
            self.world.problem(format!("key {key}: {alone:?} alone, {among:?} among all"));
        }
        Ok(())
    }

    fn backup(&self) -> Result<()> {
        let target = SimStorage::new();
        self.engine.backup_to(Arc::new(target.clone()), CopyMode::Link, &mut |_| Ok(()))?;
        let options = Options {
            read_only: true,
            create: false,
            encryption_key: crate::encrypted::key(),
            background: false,
            ..Options::default()
        };
        self.world.look(&*Engine::open(Arc::new(target), options)?, "seen");
        Ok(())
    }
}

fn read_row(snapshot: &Snapshot, key: i64) -> Result<Option<Row>> {
    let view = snapshot.table(&TableName::public(COLUMNS_OF))?;
    let found = view.get(&arrays(&columns()[..1], &[vec![Value::Int(key)]]), None)?;
    Ok(found.map(|row| rows(&row).remove(0)))
}
