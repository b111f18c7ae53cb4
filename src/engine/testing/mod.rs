//! Storages that fail: for tests of the engine and of programs that embed it.
//!
//! Always compiled, used by no other part of the engine. Everything here is deterministic: the same calls and
//! seeds give the same disks, so that a failure found at random can be run again.

mod bucket;
mod crash;
mod disk;
mod faulty;
mod machine;
#[cfg(debug_assertions)]
mod schedule;
mod sim;
mod sim_file;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod contract;

pub use bucket::{Bucket, BucketBug, BucketClient, BucketFaults};
pub use crash::{CrashPolicy, Fate};
pub use faulty::{CallKind, Fault, FaultError};
#[cfg(debug_assertions)]
pub use schedule::{ScheduleBug, Trace, run as run_schedule};
pub use sim::SimStorage;
