//! Random transactions against a reference model: a history of whole states, with every read and write listed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use proptest::prelude::*;

use super::support::{contents, key, keyed, keys, rows, small};
use crate::{Engine, ErrorKind, Isolation, KeyRange, Options, TableName, Transaction, WriteBatch};

type Rows = BTreeMap<i64, String>;

/// Keys of the one table.
const KEYS: i64 = 8;
/// Transactions that are open at a time.
const CLIENTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Upsert(usize, Vec<i64>),
    Insert(usize, i64),
    Delete(usize, Vec<i64>),
    Get(usize, i64),
    Range(usize, i64, i64),
    Scan(usize),
    Savepoint(usize),
    RollbackTo(usize),
    Commit(usize),
    Rollback(usize),
    /// A commit of its own, beside the transactions.
    Direct(Vec<i64>),
    DirectDelete(i64),
    Flush,
    Compact,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let client = || 0..CLIENTS;
    let some = || prop::collection::vec(0..KEYS, 1..3);
    let step = prop_oneof![
        4 => (client(), some()).prop_map(|(c, keys)| Step::Upsert(c, keys)),
        2 => (client(), 0..KEYS).prop_map(|(c, key)| Step::Insert(c, key)),
        2 => (client(), some()).prop_map(|(c, keys)| Step::Delete(c, keys)),
        3 => (client(), 0..KEYS).prop_map(|(c, key)| Step::Get(c, key)),
        2 => (client(), 0..KEYS, 0..KEYS).prop_map(|(c, a, b)| Step::Range(c, a, b)),
        1 => client().prop_map(Step::Scan),
        2 => client().prop_map(Step::Savepoint),
        2 => client().prop_map(Step::RollbackTo),
        4 => client().prop_map(Step::Commit),
        1 => client().prop_map(Step::Rollback),
        1 => some().prop_map(Step::Direct),
        1 => (0..KEYS).prop_map(Step::DirectDelete),
        1 => Just(Step::Flush),
        1 => Just(Step::Compact),
    ];
    prop::collection::vec(step, 1..80)
}

/// One open transaction and what it ought to be.
struct Client {
    tx: Arc<Transaction>,
    /// The number of commits when it began.
    base: usize,
    rows: Rows,
    /// Keys it read, or would have read.
    read: BTreeSet<i64>,
    savepoint: Option<Rows>,
}

struct World {
    engine: Arc<Engine>,
    isolation: Isolation,
    /// The state after each commit.
    history: Vec<Rows>,
    /// Keys that each commit wrote.
    written: Vec<BTreeSet<i64>>,
    clients: Vec<Option<Client>>,
    number: usize,
}

impl World {
    fn new(isolation: Isolation) -> Self {
        let options = Options { transaction_bytes: 1 << 20, ..small() };
        let engine = Engine::in_memory(options).unwrap();
        keyed(&engine, "t");
        let clients = (0..CLIENTS).map(|_| None).collect();
        let (history, written) = (vec![Rows::new()], vec![BTreeSet::new()]);
        Self { engine, isolation, history, written, clients, number: 0 }
    }

    fn client(&mut self, i: usize) -> &mut Client {
        let base = self.history.len();
        self.clients[i].get_or_insert_with(|| Client {
            tx: self.engine.begin(self.isolation).unwrap(),
            base,
            rows: self.history[base - 1].clone(),
            read: BTreeSet::new(),
            savepoint: None,
        })
    }

    fn batch(&self, fill: impl FnOnce(&mut WriteBatch, &Arc<crate::TableDef>)) -> WriteBatch {
        let mut batch = WriteBatch::new();
        fill(&mut batch, &keyed(&self.engine, "t"));
        batch
    }

    fn upsert(&mut self, ids: &[i64]) -> (WriteBatch, String) {
        self.number += 1;
        let text = format!("v{}", self.number);
        let pairs: Vec<(i64, &str)> = ids.iter().map(|id| (*id, text.as_str())).collect();
        (self.batch(|batch, table| batch.upsert(table, &rows(&pairs)).unwrap()), text)
    }

    fn record(&mut self, rows: Rows, written: BTreeSet<i64>) {
        self.history.push(rows);
        self.written.push(written);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Upsert(c, ids) => {
                let (batch, text) = self.upsert(ids);
                let client = self.client(*c);
                client.tx.write(batch).unwrap();
                client.rows.extend(ids.iter().map(|id| (*id, text.clone())));
            }
            Step::Insert(c, id) => self.insert(*c, *id),
            Step::Delete(c, ids) => {
                let batch = self.batch(|batch, table| batch.delete_keys(table, &keys(ids)).unwrap());
                let client = self.client(*c);
                client.tx.write(batch).unwrap();
                client.rows.retain(|id, _| !ids.contains(id));
            }
            Step::Commit(c) => self.commit(*c),
            Step::Rollback(c) => {
                if let Some(client) = self.clients[*c].take() {
                    client.tx.rollback();
                }
            }
            Step::Direct(ids) => {
                let (batch, text) = self.upsert(ids);
                self.engine.commit(batch).unwrap();
                let mut rows = self.history.last().unwrap().clone();
                rows.extend(ids.iter().map(|id| (*id, text.clone())));
                self.record(rows, ids.iter().copied().collect());
            }
            Step::DirectDelete(id) => {
                let batch = self.batch(|batch, table| batch.delete_keys(table, &keys(&[*id])).unwrap());
                self.engine.commit(batch).unwrap();
                let mut rows = self.history.last().unwrap().clone();
                rows.remove(id);
                self.record(rows, BTreeSet::from([*id]));
            }
            Step::Flush => self.engine.flush().unwrap(),
            Step::Compact => self.engine.compact().unwrap(),
            reading => self.read(reading),
        }
    }

    fn read(&mut self, step: &Step) {
        match step {
            Step::Get(c, id) => {
                let client = self.client(*c);
                let view = client.tx.snapshot().unwrap().table(&TableName::public("t")).unwrap();
                assert_eq!(view.get(&key(*id), None).unwrap().is_some(), client.rows.contains_key(id));
                client.read.insert(*id);
            }
            Step::Range(c, from, to) => {
                let client = self.client(*c);
                let view = client.tx.snapshot().unwrap().table(&TableName::public("t")).unwrap();
                let bound = |id: i64| view.codec().unwrap().encode(&key(id)).unwrap().value(0).to_vec();
                let range =
                    KeyRange { lower: Bound::Included(bound(*from)), upper: Bound::Excluded(bound(*to)) };
                view.within(range).parts().unwrap();
                client.read.extend(*from..*to);
            }
            Step::Scan(c) => {
                let client = self.client(*c);
                assert_eq!(contents(&client.tx.snapshot().unwrap(), "t"), client.rows);
                client.read.extend(0..KEYS);
            }
            Step::Savepoint(c) => {
                let client = self.client(*c);
                client.tx.savepoint("s").unwrap();
                client.savepoint = Some(client.rows.clone());
            }
            Step::RollbackTo(c) => {
                let client = self.client(*c);
                match &client.savepoint {
                    Some(rows) => {
                        client.tx.rollback_to("s").unwrap();
                        client.rows.clone_from(rows);
                    }
                    None => assert_eq!(client.tx.rollback_to("s").unwrap_err().kind(), ErrorKind::NotFound),
                }
            }
            _ => {}
        }
    }

    fn insert(&mut self, c: usize, id: i64) {
        self.number += 1;
        let text = format!("v{}", self.number);
        let batch = self.batch(|batch, table| batch.insert(table, &rows(&[(id, &text)])).unwrap());
        let client = self.client(c);
        let outcome = client.tx.write(batch);
        if let Entry::Vacant(place) = client.rows.entry(id) {
            outcome.unwrap();
            place.insert(text);
            return;
        }
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::AlreadyExists);
        client.read.insert(id);
        if let Some(rows) = &client.savepoint {
            client.tx.rollback_to("s").unwrap();
            client.rows.clone_from(rows);
        } else {
            assert_eq!(client.tx.commit().unwrap_err().kind(), ErrorKind::Invalid);
            self.clients[c] = None;
        }
    }

    fn commit(&mut self, c: usize) {
        let Some(client) = self.clients[c].take() else { return };
        let before = &self.history[client.base - 1];
        let changed = |id: &i64| before.get(id) != client.rows.get(id);
        let wrote: BTreeSet<i64> = (0..KEYS).filter(changed).collect();
        let others: BTreeSet<i64> = self.written[client.base..].iter().flatten().copied().collect();
        let reads = if self.isolation == Isolation::Serializable { client.read } else { BTreeSet::new() };
        let conflicts = !wrote.is_disjoint(&others) || !wrote.is_empty() && !reads.is_disjoint(&others);
        match client.tx.commit() {
            Ok(_) => assert!(!conflicts, "wrote {wrote:?}, read {reads:?}, over {others:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                assert!(conflicts, "wrote {wrote:?}, read {reads:?}: nobody did but {others:?}");
                return;
            }
        }
        let mut now = self.history.last().unwrap().clone();
        for id in &wrote {
            match client.rows.get(id) {
                Some(text) => now.insert(*id, text.clone()),
                None => now.remove(id),
            };
        }
        self.record(now, wrote);
    }

    fn check(&self) {
        assert_eq!(contents(&self.engine.snapshot().unwrap(), "t"), *self.history.last().unwrap());
        for client in self.clients.iter().flatten().filter(|_| self.isolation == Isolation::Snapshot) {
            assert_eq!(contents(&client.tx.snapshot().unwrap(), "t"), client.rows);
        }
    }
}

fn run(isolation: Isolation, steps: &[Step]) {
    let mut world = World::new(isolation);
    for step in steps {
        world.step(step);
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn snapshot_transactions_are_as_the_model_says(steps in steps()) {
        run(Isolation::Snapshot, &steps);
    }

    #[test]
    fn serializable_transactions_are_as_the_model_says(steps in steps()) {
        run(Isolation::Serializable, &steps);
    }
}
