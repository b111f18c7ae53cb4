//! Reading a table: from a request of DataFusion to streams of batches.
//!
//! `pushdown` decides what a filter is good for, `plan` picks the batches to read (or the keys to
//! look up), `exec` and `lookup` read them, `statistics` tells the optimizer what is known without
//! reading. A filter only ever skips batches here; DataFusion filters the rows.

mod exec;
mod key_range;
mod lookup;
mod outputs;
mod plan;
mod prune;
pub(crate) mod pushdown;
mod statistics;
mod stream;

pub(crate) use exec::ScanExec;
pub(crate) use plan::{Request, ScanPlan, Unit, plan};
