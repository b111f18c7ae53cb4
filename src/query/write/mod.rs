//! Writing a table: a logical node, its planning, and the sink that turns rows into one commit.
//!
//! Every statement that writes ends here, so counts, conflicts and limits are the same for all.
//!
//! 1. One statement is one commit.
//! 2. What was read to compute it is as of one snapshot; a commit that would overwrite a newer row
//!    fails with `Conflict` and the statement runs again.

mod keys;
mod node;
mod planner;
mod sink;

pub(crate) use node::WriteNode;
pub(crate) use planner::TrilithPlanner;
pub(crate) use sink::TableSink;

/// What is done with the rows that arrive at a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Change {
    /// New rows; a key that is there already is an error.
    Insert,
    /// New rows; a key that is there already is replaced.
    Upsert,
    /// New rows; a key that is there already is left alone.
    InsertMissing,
    /// New rows computed from what the snapshot held; replaces keys, unless someone else did since.
    UpsertComputed,
    /// Identities of rows (key columns, or the hidden key) that go.
    Delete,
    /// Identities of rows, followed by the rows as they shall be.
    Update,
}

impl Change {
    /// The verb of plans and messages.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Insert => "Insert",
            Self::Upsert | Self::UpsertComputed => "Upsert",
            Self::InsertMissing => "InsertMissing",
            Self::Delete => "Delete",
            Self::Update => "Update",
        }
    }
}
