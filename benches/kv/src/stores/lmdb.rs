//! LMDB through heed: a copy-on-write B-tree in a memory map. `buffered` is MDB_NOSYNC.

use std::ops::Bound;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn};

use super::{Level, Outcome, Reader, Store, Visit};
use crate::data::{KEY, Rows};

const MAP_BYTES: usize = 64 << 30;

pub struct Lmdb {
    env: Env,
    rows: Database<'static, Bytes, Bytes>,
}

impl Lmdb {
    pub fn open(path: &Path, level: Level) -> Outcome<Self> {
        std::fs::create_dir_all(path)?;
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES).max_readers(64);
        let flags = match level {
            Level::Buffered => EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC,
            Level::Durable => EnvFlags::empty(),
        };
        // SAFETY: nobody else has this file open, and a lost benchmark file harms nobody.
        let env = unsafe { options.flags(flags | EnvFlags::NO_READ_AHEAD).open(path)? };
        let made = env.create_databases_and_commit(env.write_txn()?, |opener, write| {
            opener.create_database(write, None).map(CommitOrAbort::<_, ()>::Commit)
        })?;
        let rows = made.commit().ok_or("the table of LMDB was not made")?;
        Ok(Self { env, rows })
    }
}

impl Store for Lmdb {
    fn put(&self, rows: &Rows) -> Outcome {
        let mut write = self.env.write_txn()?;
        for (key, value) in rows.iter() {
            self.rows.put(&mut write, key, value)?;
        }
        Ok(write.commit()?)
    }

    fn put_one(&self, key: &[u8; KEY], value: &[u8]) -> Outcome {
        let mut write = self.env.write_txn()?;
        self.rows.put(&mut write, key, value)?;
        Ok(write.commit()?)
    }

    fn read(&self, work: &mut dyn FnMut(&dyn Reader) -> Outcome) -> Outcome {
        let txn = self.env.read_txn()?;
        work(&Moment { rows: self.rows, txn: &txn })
    }

    fn settle(&self) -> Outcome {
        Ok(self.env.force_sync()?)
    }
}

struct Moment<'a> {
    rows: Database<'static, Bytes, Bytes>,
    txn: &'a RoTxn<'a>,
}

impl Reader for Moment<'_> {
    fn get(&self, key: &[u8; KEY], visit: Visit) -> Outcome<bool> {
        let found = self.rows.get(self.txn, key)?;
        if let Some(value) = found {
            visit(key, value);
        }
        Ok(found.is_some())
    }

    fn scan(&self, from: &[u8], limit: usize, reverse: bool, visit: Visit) -> Outcome {
        let mut show = |row: heed::Result<(&[u8], &[u8])>| {
            let (key, value) = row?;
            visit(key, value);
            Ok(())
        };
        if reverse {
            let range = (Bound::Unbounded, Bound::Included(from));
            return self.rows.rev_range(self.txn, &range)?.take(limit).try_for_each(&mut show);
        }
        let range = (Bound::Included(from), Bound::Unbounded);
        self.rows.range(self.txn, &range)?.take(limit).try_for_each(&mut show)
    }
}
