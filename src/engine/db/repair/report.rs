//! What a repair carried over, and what it did not.

use std::collections::HashSet;
use std::fmt;

use crate::common::FileId;

/// The outcome of a repair.
#[derive(Clone, Debug, Default)]
pub struct RepairReport {
    /// Number of the manifest that was repaired.
    pub version: u64,
    /// Files carried over as they were.
    pub whole_files: u64,
    /// Files of which some rows were carried over.
    pub salvaged_files: u64,
    /// Live rows of all files carried over.
    pub rows: u64,
    /// Commits of the log carried over.
    pub commits: u64,
    /// Everything that was not.
    pub losses: Vec<Loss>,
    /// What was seen and is no loss.
    pub notes: Vec<String>,
    /// Files that the version names.
    pub(super) seen: HashSet<FileId>,
}

/// What kind of thing is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LossKind {
    /// Rows of a file.
    Rows,
    /// Commits of the log, each of them whole.
    Commits,
    /// Changes of tables and files that newer manifests recorded.
    Versions,
}

/// One thing that is lost, as narrow as it can be told.
#[derive(Clone, Debug)]
pub struct Loss {
    /// What kind of thing.
    pub kind: LossKind,
    /// The damaged or missing file.
    pub file: String,
    /// The table, where it is of one.
    pub table: Option<String>,
    /// For rows: how many live ones.
    pub rows: Option<u64>,
    /// For rows: they have keys from the first of these to the second, as people write them.
    pub keys: Option<(String, String)>,
    /// The same as encoded keys, or row ids of eight bytes.
    pub encoded_keys: Option<(Vec<u8>, Vec<u8>)>,
    /// First and last sequence number; `None` for the last when nothing tells how many there were.
    pub seqs: Option<(u64, Option<u64>)>,
    /// False when nothing tells whether there was anything to lose.
    pub certain: bool,
    /// What was found.
    pub why: String,
}

impl Loss {
    pub(super) fn new(kind: LossKind, file: impl Into<String>, why: impl Into<String>) -> Self {
        let (file, why) = (file.into(), why.into());
        Self {
            kind,
            file,
            table: None,
            rows: None,
            keys: None,
            encoded_keys: None,
            seqs: None,
            certain: true,
            why,
        }
    }

    pub(super) fn commits(
        file: impl Into<String>,
        first: u64,
        last: Option<u64>,
        why: impl Into<String>,
    ) -> Self {
        Self { seqs: Some((first, last)), ..Self::new(LossKind::Commits, file, why) }
    }
}

impl Loss {
    /// The same as a possibility.
    pub(super) fn perhaps(self) -> Self {
        Self { certain: false, ..self }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        match self.kind {
            LossKind::Rows => write!(f, "{} rows", self.rows.unwrap_or_default())?,
            LossKind::Commits => f.write_str("commits")?,
            LossKind::Versions => f.write_str("changes of tables and files")?,
        }
        if let Some(table) = &self.table {
            write!(f, " of table {table}")?;
        }
        if let Some((first, last)) = &self.keys {
            write!(f, ", keys {first} to {last}")?;
        }
        match self.seqs {
            Some((first, Some(last))) if first == last => write!(f, " {first}")?,
            Some((first, Some(last))) => write!(f, " {first} to {last}")?,
            Some((first, None)) => write!(f, " from {first} on")?,
            None => {}
        }
        write!(f, ": {}", self.why)
    }
}

impl fmt::Display for RepairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for loss in &self.losses {
            writeln!(f, "{}: {loss}", if loss.certain { "lost" } else { "perhaps lost" })?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        let Self { version, whole_files, salvaged_files, rows, commits, .. } = self;
        write!(
            f,
            "version {version}: {whole_files} files whole, {salvaged_files} in part, with {rows} rows, \
             and {commits} commits of the log carried over; {} losses",
            self.losses.len()
        )
    }
}
