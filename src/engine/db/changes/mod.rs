//! What commits did to the rows of a table: between two versions, or to one key.
//!
//! Commits are read from memtables, which hold every row in their order: those of the live tables, or of a kept manifest with
//! its log. A bulk write, a change of definitions, and versions between which others are gone are compared as tables.

mod adapt;
mod commits;
mod diff;
mod key;
mod merge;
mod stretch;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use self::adapt::Shape;
use self::commits::{Commit, commits};
use self::diff::Difference;
use self::stretch::Stretch;
use super::core::Core;
use super::view::TableView;
use crate::common::{Error, Result, SeqNo};
use crate::format::table::TableName;
use crate::lsm::{Published, TableState};

/// What happened to a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// It came.
    Insert,
    /// It took the place of another one of the same key.
    Update,
    /// It went.
    Delete,
}

impl ChangeKind {
    /// "insert", "update" or "delete".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Rows to which one version did the same.
#[derive(Clone, Debug)]
pub struct Change {
    /// The version.
    pub version: SeqNo,
    /// When it was committed, in milliseconds since 1970 UTC.
    pub millis: i64,
    /// What it did.
    pub kind: ChangeKind,
    /// The rows: of an update the new ones, of a delete the old ones.
    pub rows: RecordBatch,
}

/// Changes in the order of the versions; read as they are consumed. After an error it is over.
pub struct Changes {
    core: Arc<Core>,
    shape: Shape,
    /// The version up to which changes were given out.
    at: SeqNo,
    until: SeqNo,
    pending: Box<dyn Iterator<Item = Result<Change>> + Send>,
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Changes({} to {})", self.at, self.until)
    }
}

impl Core {
    /// The changes of the versions `from` to `to`, both included.
    pub fn changes(self: &Arc<Self>, name: &TableName, from: SeqNo, to: SeqNo) -> Result<Changes> {
        if from > to.next() {
            let why = format!("it lies after the last one, {to}; give the earlier version first");
            return Err(Error::invalid(format!("version {from}"), why));
        }
        let shape = Shape::of(self.at(to)?.table(name)?.def());
        let at = SeqNo(from.0.saturating_sub(1));
        if at < to {
            self.source_of(at).map_err(|error| no_base(from, error))?;
        }
        Ok(Changes { core: Arc::clone(self), shape, at, until: to, pending: Box::new(std::iter::empty()) })
    }
}

/// What a version changed is seen beside the version before it.
fn no_base(from: SeqNo, error: Error) -> Error {
    match error {
        Error::NotFound { entity, name } => Error::NotFound {
            entity,
            name: format!("{name}, which the changes of version {from} start from"),
        },
        other => other,
    }
}

impl Changes {
    /// The columns of the rows: those of the table as the last version has it.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        self.shape.schema()
    }

    /// Goes on with the versions that share a manifest, or from the last of them to the next one.
    fn advance(&mut self) -> Result<()> {
        let core = Arc::clone(&self.core);
        let Stretch { published, until } = core.looking(|| core.stretch(self.at, self.until))?;
        if until > self.at {
            self.pending = self.logged(&published, until);
            self.at = until;
            return Ok(());
        }
        let next = core.next_kept(self.at)?;
        let after = core.looking(|| core.read_at(next))?;
        self.pending = self.compared(&published, &after)?;
        self.at = next;
        Ok(())
    }

    fn logged(&self, now: &Published, until: SeqNo) -> Box<dyn Iterator<Item = Result<Change>> + Send> {
        let Some(table) = self.shape.table_in(&now.state) else { return Box::new(std::iter::empty()) };
        let (state, shape, time) = (Arc::clone(&now.state), self.shape.clone(), now.state.clock.now());
        let found = match commits(&table, self.at, until) {
            Ok(found) => found,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        Box::new(found.into_iter().flat_map(move |commit| {
            let millis = state.times.of(commit.seq).unwrap_or_default();
            let made = changes_of(&commit, &table, time, &shape, millis);
            made.map_or_else(|error| vec![Err(error)], |made| made.into_iter().map(Ok).collect())
        }))
    }

    fn compared(
        &self,
        before: &Published,
        after: &Published,
    ) -> Result<Box<dyn Iterator<Item = Result<Change>> + Send>> {
        let (version, shape) = (after.seq(), self.shape.clone());
        let millis = after.state.times.of(version).unwrap_or_default();
        let sides = [before, after].map(|side| Some((shape.table_in(&side.state)?, side.seq())));
        let time = after.state.clock.now();
        let difference = Difference::new(sides, time, shape)?;
        Ok(Box::new(
            difference.map(move |found| found.map(|(kind, rows)| Change { version, millis, kind, rows })),
        ))
    }
}

impl Iterator for Changes {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.pending.next() {
                Some(Err(error)) => {
                    self.at = self.until;
                    self.pending = Box::new(std::iter::empty());
                    return Some(Err(error));
                }
                Some(change) => return Some(change),
                None if self.at >= self.until => return None,
                None => {
                    if let Err(error) = self.advance() {
                        self.at = self.until;
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

impl std::iter::FusedIterator for Changes {}

fn changes_of(
    commit: &Commit,
    table: &Arc<TableState>,
    time: i64,
    shape: &Shape,
    millis: i64,
) -> Result<Vec<Change>> {
    let before = TableView::new(Arc::clone(table), SeqNo(commit.seq.0 - 1)).at(time);
    let mut changes = Vec::new();
    for (kind, rows) in commit.changes(&before)? {
        let rows = shape.adapt(&rows, before.def())?;
        changes.push(Change { version: commit.seq, millis, kind, rows });
    }
    Ok(changes)
}
