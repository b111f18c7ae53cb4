//! fjall 3: an LSM tree in Rust.

use std::path::Path;

use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Level, Outcome, Reader, Store, Visit};
use crate::data::{KEY, Rows};

pub struct Fjall {
    db: Database,
    rows: Keyspace,
    mode: PersistMode,
}

impl Fjall {
    pub fn open(path: &Path, level: Level, cache: usize) -> Outcome<Self> {
        let db = Database::builder(path).cache_size(cache as u64).open()?;
        let plain = || {
            KeyspaceCreateOptions::default()
                .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
        };
        let rows = db.keyspace("rows", plain)?;
        let mode = match level {
            Level::Buffered => PersistMode::Buffer,
            Level::Durable => PersistMode::SyncData,
        };
        Ok(Self { db, rows, mode })
    }
}

impl Store for Fjall {
    fn put(&self, rows: &Rows) -> Outcome {
        let mut batch = self.db.batch().durability(Some(self.mode));
        for (key, value) in rows.iter() {
            batch.insert(&self.rows, key.as_slice(), value);
        }
        Ok(batch.commit()?)
    }

    fn put_one(&self, key: &[u8; KEY], value: &[u8]) -> Outcome {
        self.rows.insert(key.as_slice(), value)?;
        Ok(self.db.persist(self.mode)?)
    }

    fn read(&self, work: &mut dyn FnMut(&dyn Reader) -> Outcome) -> Outcome {
        work(self)
    }

    fn settle(&self) -> Outcome {
        self.rows.rotate_memtable_and_wait()?;
        Ok(self.rows.major_compact()?)
    }
}

impl Reader for Fjall {
    fn get(&self, key: &[u8; KEY], visit: Visit) -> Outcome<bool> {
        let found = self.rows.get(key)?;
        if let Some(value) = &found {
            visit(key, value);
        }
        Ok(found.is_some())
    }

    fn scan(&self, from: &[u8], limit: usize, reverse: bool, visit: Visit) -> Outcome {
        let mut show = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner()?;
            visit(&key, &value);
            Ok(())
        };
        if reverse {
            return self.rows.range(..=from).rev().take(limit).try_for_each(&mut show);
        }
        self.rows.range(from..).take(limit).try_for_each(&mut show)
    }
}
