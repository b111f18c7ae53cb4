//! How the engine is doing: figures per table, and of the whole.

use std::sync::Arc;

use super::core::Core;
use crate::common::{Figure, Metric};
use crate::format::table::TableName;
use crate::io::{Cache, CacheFigures};
use crate::lsm::{TableState, blob_shares};

/// A table's files and memtables in figures.
#[derive(Clone, Debug)]
pub struct TableStats {
    /// The table.
    pub table: TableName,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Of those, about how many belong to rows that are not deleted.
    pub live_bytes: u64,
    /// Rows in files that are deleted or replaced.
    pub dead_rows: u64,
    /// Bytes in memory.
    pub memtable_bytes: u64,
    /// The most files that hold one key: how many a point read may look into.
    pub read_amplification: u64,
    /// Bytes of the files that compaction would merge next.
    pub compaction_debt_bytes: u64,
}

impl TableStats {
    /// Bytes on disk per live byte; 1 for a table without files.
    #[must_use]
    pub fn space_amplification(&self) -> f64 {
        if self.live_bytes == 0 { 1.0 } else { self.file_bytes as f64 / self.live_bytes as f64 }
    }
}

impl Core {
    pub fn table_stats(&self) -> Vec<TableStats> {
        let state = Arc::clone(&self.published.load().state);
        state.tables.values().map(|table| self.stats_of(table)).collect()
    }

    fn stats_of(&self, table: &TableState) -> TableStats {
        let files = &table.files;
        let live =
            |bytes: u64, rows: u64, live: u64| (bytes as f64 * live as f64 / rows.max(1) as f64) as u64;
        let live_rows = files.iter().map(|file| live(file.bytes(), file.info().rows, file.live_rows()));
        let (blobs, row_bytes) = (blob_shares(files), files.iter().map(|file| file.bytes()).sum::<u64>());
        TableStats {
            table: table.def.name.clone(),
            files: (files.len() + blobs.len()) as u64,
            file_bytes: row_bytes + blobs.iter().map(|share| share.info.len).sum::<u64>(),
            live_bytes: live_rows.sum::<u64>() + blobs.iter().map(|share| share.live).sum::<u64>(),
            dead_rows: files.iter().map(|file| file.dead_rows()).sum(),
            memtable_bytes: table.memtables().map(|memtable| memtable.bytes() as u64).sum(),
            read_amplification: deepest(table),
            compaction_debt_bytes: self.compaction_debt(table),
        }
    }

    /// The figures counted since the database was opened, and what follows from them.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = self.figures.list();
        let get = |figure| self.figures.get(figure) as f64;
        let given = get(Figure::LoggedBytes) + get(Figure::AppendedBytes);
        let written = given + get(Figure::FlushedBytes) + get(Figure::CompactedBytesOut);
        let stats = self.table_stats();
        let sum = |pick: fn(&TableStats) -> u64| stats.iter().map(pick).sum::<u64>() as f64;
        let derived = [
            (
                "write_amplification",
                ratio(written, given),
                "ratio",
                "Bytes written per byte logged or appended",
            ),
            (
                "space_amplification",
                ratio(sum(|table| table.file_bytes), sum(|table| table.live_bytes)),
                "ratio",
                "Bytes of files per live byte",
            ),
            (
                "read_amplification",
                stats.iter().map(|table| table.read_amplification).max().unwrap_or(0) as f64,
                "files",
                "Most files of one table that hold one key",
            ),
            (
                "compaction_debt_bytes",
                sum(|table| table.compaction_debt_bytes),
                "bytes",
                "Bytes of files that compaction would merge next",
            ),
            (
                "memtable_bytes",
                sum(|table| table.memtable_bytes),
                "bytes",
                "Bytes of rows that no file holds yet",
            ),
        ];
        metrics.extend(derived.map(|(name, value, unit, description)| Metric {
            name,
            value,
            unit,
            description,
        }));
        metrics.extend(self.storage.cache().into_iter().flat_map(|cache| cache_metrics(cache)));
        metrics
    }
}

fn cache_metrics(cache: &Cache) -> [Metric; 3] {
    let CacheFigures { hits, misses, bytes } = cache.figures();
    [
        ("cache_hits", hits, "columns", "Columns of files that are not mapped that were found in memory"),
        ("cache_misses", misses, "columns", "Columns of such files that had to be read"),
        ("cache_bytes", bytes, "bytes", "Bytes of such columns in memory"),
    ]
    .map(|(name, value, unit, description)| Metric { name, value: value as f64, unit, description })
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 1.0 } else { part / whole }
}

/// A sweep over the files in key order.
fn deepest(table: &TableState) -> u64 {
    let mut order: Vec<_> =
        table.files.iter().map(|file| (&file.info().min_key, &file.info().max_key)).collect();
    order.sort();
    let (mut open, mut most): (Vec<&Vec<u8>>, usize) = (Vec::new(), 0);
    for (min, max) in order {
        open.retain(|other| *other >= min);
        open.push(max);
        most = most.max(open.len());
    }
    most as u64
}
