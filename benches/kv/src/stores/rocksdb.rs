//! RocksDB with its defaults and a Bloom filter, without compression.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, IteratorMode, Options, WriteBatch,
    WriteOptions,
};

use super::{Level, Outcome, Reader, Store, Visit};
use crate::data::{KEY, Rows};

pub struct Rocks {
    db: DB,
    level: Level,
}

impl Rocks {
    pub fn open(path: &Path, level: Level, cache: usize) -> Outcome<Self> {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_bloom_filter(10.0, false);
        blocks.set_block_cache(&Cache::new_lru_cache(cache));
        let mut options = Options::default();
        options.create_if_missing(true);
        options.increase_parallelism(2);
        options.set_compression_type(DBCompressionType::None);
        options.set_block_based_table_factory(&blocks);
        Ok(Self { db: DB::open(&options, path)?, level })
    }

    fn write_options(&self) -> WriteOptions {
        let mut options = WriteOptions::default();
        options.set_sync(self.level == Level::Durable);
        options
    }
}

impl Store for Rocks {
    fn put(&self, rows: &Rows) -> Outcome {
        let mut batch = WriteBatch::default();
        for (key, value) in rows.iter() {
            batch.put(key, value);
        }
        Ok(self.db.write_opt(batch, &self.write_options())?)
    }

    fn put_one(&self, key: &[u8; KEY], value: &[u8]) -> Outcome {
        Ok(self.db.put_opt(key, value, &self.write_options())?)
    }

    fn read(&self, work: &mut dyn FnMut(&dyn Reader) -> Outcome) -> Outcome {
        work(self)
    }

    fn settle(&self) -> Outcome {
        self.db.flush()?;
        self.db.compact_range::<&[u8], &[u8]>(None, None);
        Ok(())
    }
}

impl Reader for Rocks {
    fn get(&self, key: &[u8; KEY], visit: Visit) -> Outcome<bool> {
        let found = self.db.get_pinned(key)?;
        if let Some(value) = &found {
            visit(key, value);
        }
        Ok(found.is_some())
    }

    fn get_many(&self, keys: &[[u8; KEY]], visit: Visit) -> Outcome {
        for (key, found) in keys.iter().zip(self.db.multi_get(keys)) {
            if let Some(value) = found? {
                visit(key, &value);
            }
        }
        Ok(())
    }

    fn scan(&self, from: &[u8], limit: usize, reverse: bool, visit: Visit) -> Outcome {
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        for row in self.db.iterator(IteratorMode::From(from, direction)).take(limit) {
            let (key, value) = row?;
            visit(&key, &value);
        }
        Ok(())
    }
}
