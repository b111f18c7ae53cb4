//! Identifiers: newtypes over integers, so that a file number is never taken for a sequence number.
//!
//! All of them are counters handed out by the engine and never reused.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl $name {
            /// The identifier that follows this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id!(
    /// Position of a commit in the database's one total order.
    SeqNo, u64
);
id!(
    /// Number of a file; `wal/7.wal` and `sst/7.arrow` never share one.
    FileId, u64
);
id!(
    /// A table, for as long as the database lives: a table created again gets a new one.
    TableId, u64
);
id!(
    /// A column within its table; survives renames, so files never need rewriting.
    ColumnId, u32
);
id!(
    /// Hidden key of a row in a keyless table.
    RowId, u64
);
id!(
    /// Which opening for writing this is; a later writer fences every earlier one.
    Epoch, u64
);

/// Random 128-bit name of a database, written into each of its files.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DatabaseId(pub u128);

impl fmt::Debug for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
