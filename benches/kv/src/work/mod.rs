//! The workloads.

use std::path::{Path, PathBuf};

use crate::data::Rows;
use crate::stores::{self, Level, Outcome, Store};

pub mod commits;
pub mod index;
pub mod reads;
pub mod space;
pub mod writes;
pub mod ycsb;

/// Sizes of a run.
#[derive(Clone, clap::Args)]
pub struct Sizes {
    /// Rows in the store.
    #[arg(long, default_value_t = 1_000_000)]
    pub rows: u64,
    /// Operations of one turn.
    #[arg(long, default_value_t = 200_000)]
    pub ops: u64,
    /// Rows of one batch.
    #[arg(long, default_value_t = 1000)]
    pub batch: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 100)]
    pub value: usize,
    /// Rounds.
    #[arg(long, default_value_t = 7)]
    pub rounds: usize,
    /// Memory for caches of stores that have such a setting.
    #[arg(long, default_value_t = 1 << 30)]
    pub cache: usize,
    /// Folder for the stores; removed afterwards.
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// Stores to run, ours first.
    #[arg(long, value_delimiter = ',')]
    pub stores: Vec<String>,
}

impl Sizes {
    /// The stores asked for, all of this build when none is named.
    pub fn names(&self) -> Vec<&'static str> {
        let asked = |name: &&'static str| self.stores.is_empty() || self.stores.iter().any(|s| s == name);
        stores::names().into_iter().filter(asked).collect()
    }

    pub fn scratch(&self) -> Outcome<tempfile::TempDir> {
        let folder = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        Ok(tempfile::Builder::new().prefix("kv-").tempdir_in(folder)?)
    }

    /// Opens `name` in a folder of its own below `folder`.
    pub fn open(&self, name: &str, folder: &Path, level: Level) -> Outcome<Box<dyn Store>> {
        stores::open(name, &folder.join(name), level, self.cache)
    }

    /// Writes rows `0..rows` as version 0, in an order that is not that of the keys.
    pub fn load(&self, store: &dyn Store) -> Outcome {
        for start in (0..self.rows).step_by(10_000) {
            store.put(&Rows::new(start..(start + 10_000).min(self.rows), 0, self.value))?;
        }
        store.settle()
    }
}
