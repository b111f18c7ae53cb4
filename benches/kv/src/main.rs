//! Trilith's engine beside RocksDB, fjall, redb and LMDB: the same work, turn by turn, on the same data.
//!
//! `cargo run --release [--features rocksdb] -- WORK [--rows N] [--ops N] [--rounds N] [--stores a,b]`

use clap::{Parser, ValueEnum};

mod data;
mod measure;
mod stores;
mod work;

#[derive(Clone, Copy, ValueEnum)]
enum Work {
    /// The memtable's index alone.
    Index,
    /// Batches into an empty store.
    Batches,
    /// Rows one by one into an empty store.
    Singles,
    /// Bulk ingest.
    Ingest,
    /// Upserts of rows that are there.
    Upserts,
    /// Durable commits of one row.
    Commits,
    /// Gets, multi-gets and scans in memory.
    Reads,
    /// Gets from files that are not in memory.
    Cold,
    /// YCSB A to F.
    Ycsb,
    /// Bytes on disk after three overwrites.
    Space,
}

#[derive(Parser)]
struct Arguments {
    work: Work,
    #[command(flatten)]
    sizes: work::Sizes,
}

fn main() -> stores::Outcome {
    let Arguments { work, sizes } = Arguments::parse();
    let before = measure::load();
    println!("{} rows of 16 + {} B, {} rounds", sizes.rows, sizes.value, sizes.rounds);
    match work {
        Work::Index => work::index::index(&sizes),
        Work::Batches => work::writes::batches(&sizes),
        Work::Singles => work::writes::singles(&sizes),
        Work::Ingest => work::writes::ingest(&sizes),
        Work::Upserts => work::writes::upserts(&sizes),
        Work::Commits => work::commits::commits(&sizes),
        Work::Reads => work::reads::reads(&sizes),
        Work::Cold => work::reads::cold(&sizes),
        Work::Ycsb => work::ycsb::ycsb(&sizes),
        Work::Space => work::space::space(&sizes),
    }?;
    measure::print_load(before);
    Ok(())
}
