//! redb: a copy-on-write B-tree in Rust. Its nearest level to `buffered` keeps commits in the process.

use std::path::Path;

use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Level, Outcome, Reader, Store, Visit};
use crate::data::{KEY, Rows};

const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");

pub struct Redb {
    db: Database,
    level: Durability,
}

impl Redb {
    pub fn open(path: &Path, level: Level, cache: usize) -> Outcome<Self> {
        std::fs::create_dir_all(path)?;
        let db = Database::builder().set_cache_size(cache).create(path.join("rows.redb"))?;
        let create = db.begin_write()?;
        create.open_table(ROWS)?;
        create.commit()?;
        let level = match level {
            Level::Buffered => Durability::None,
            Level::Durable => Durability::Immediate,
        };
        Ok(Self { db, level })
    }

    fn write<'a>(&self, rows: impl Iterator<Item = (&'a [u8; KEY], &'a [u8])>) -> Outcome {
        let mut write = self.db.begin_write()?;
        write.set_durability(self.level)?;
        {
            let mut table = write.open_table(ROWS)?;
            for (key, value) in rows {
                table.insert(key.as_slice(), value)?;
            }
        }
        Ok(write.commit()?)
    }
}

impl Store for Redb {
    fn put(&self, rows: &Rows) -> Outcome {
        self.write(rows.iter())
    }

    fn put_one(&self, key: &[u8; KEY], value: &[u8]) -> Outcome {
        self.write(std::iter::once((key, value)))
    }

    fn read(&self, work: &mut dyn FnMut(&dyn Reader) -> Outcome) -> Outcome {
        work(&self.db.begin_read()?.open_table(ROWS)?)
    }

    fn settle(&self) -> Outcome {
        Ok(self.db.begin_write()?.commit()?)
    }
}

impl Reader for ReadOnlyTable<&'static [u8], &'static [u8]> {
    fn get(&self, key: &[u8; KEY], visit: Visit) -> Outcome<bool> {
        let found = ReadableTable::get(self, key.as_slice())?;
        if let Some(value) = &found {
            visit(key, value.value());
        }
        Ok(found.is_some())
    }

    fn scan(&self, from: &[u8], limit: usize, reverse: bool, visit: Visit) -> Outcome {
        let mut show = |row: Result<(redb::AccessGuard<'_, &[u8]>, redb::AccessGuard<'_, &[u8]>), _>| {
            let (key, value) = row?;
            visit(key.value(), value.value());
            Ok(())
        };
        if reverse {
            return self.range::<&[u8]>(..=from)?.rev().take(limit).try_for_each(&mut show);
        }
        self.range::<&[u8]>(from..)?.take(limit).try_for_each(&mut show)
    }
}
