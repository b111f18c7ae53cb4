//! Interactive transactions: many reads and writes over many tables, one commit.
//!
//! A transaction holds the snapshot it began with and, for each table it writes to, a memtable of its own laid over
//! that snapshot. So scans, masks, point reads and searches see its writes without knowing of transactions. `life`
//! begins and ends it, `work` applies writes, `savepoint` takes them back, `net` makes one write batch of what is left,
//! `reads` remembers what a serializable one looked at, and `claim` is what its commit depends on. It is committed as
//! every batch is: one record of the log, in a group with others.
//!
//! Invariants:
//! 1. Nothing of it is in the log or in a shared memtable before its commit, so dropping it leaves nothing.
//! 2. After a write that failed or panicked it takes no call but a rollback, whole or to a savepoint.
//! 3. It pins its snapshot and blocks nobody.

mod claim;
mod life;
mod net;
mod pledge;
mod reads;
mod savepoint;
mod work;

use std::str::FromStr;

use crate::common::{Error, Result};

pub(in crate::db) use claim::{Claim, Meeting};
use life::Registered;
pub use life::Transaction;
pub(in crate::db) use pledge::Pledge;
pub(in crate::db) use reads::Reads;

/// What a transaction is protected from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Isolation {
    /// It reads one snapshot, and commits only if nobody changed a row that it writes.
    #[default]
    Snapshot,
    /// As if serializable transactions ran one after the other: it commits only if, besides, nobody changed, added or
    /// removed a row that it read or would have read.
    Serializable,
}

impl Isolation {
    /// The name accepted by [`Isolation::from_str`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Serializable => "serializable",
        }
    }
}

impl FromStr for Isolation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = [Self::Snapshot, Self::Serializable].into_iter().find(|level| level.name() == text);
        found.ok_or_else(|| Error::invalid(format!("isolation {text:?}"), "use snapshot or serializable"))
    }
}
