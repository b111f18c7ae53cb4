//! How a database is opened: the engine's settings and those of the query engine above it.
//!
//! Plain data. Every field has a default that suits a laptop and a server alike.

use std::path::PathBuf;

pub use trilith_engine::Options as EngineOptions;

/// Settings of a [`crate::Database`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Settings of the durable half.
    pub engine: EngineOptions,
    /// Partitions a query runs in; the number of cores when `None`.
    pub threads: Option<usize>,
    /// Bytes that sorts, joins and aggregates may hold before they spill or fail;
    /// three quarters of the machine's memory when `None`.
    pub memory_limit: Option<usize>,
    /// Where sorts, joins and aggregates spill; the system's folder for temporary files when `None`.
    pub temp_dir: Option<PathBuf>,
}

impl Options {
    /// Partitions to use, at least one.
    #[must_use]
    pub fn partitions(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.threads.unwrap_or_else(cores).max(1)
    }

    /// Bytes of memory that queries may hold together.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory_limit.unwrap_or_else(|| physical_memory_bytes() / 4 * 3)
    }
}

impl From<EngineOptions> for Options {
    fn from(engine: EngineOptions) -> Self {
        Self { engine, ..Self::default() }
    }
}

/// What `/proc/meminfo` calls `MemTotal`; 4 GiB where there is no such file.
fn physical_memory_bytes() -> usize {
    const UNKNOWN: usize = 4 << 30;
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return UNKNOWN };
    text.lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok())
        .map_or(UNKNOWN, |kib| kib << 10)
}
