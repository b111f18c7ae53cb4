//! One error type for the engine, sorted by what the caller does next.
//!
//! Each message says what went wrong, where, and what to do about it.

use std::io;

/// Result of every engine call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an engine takes no more calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClosedReason {
    /// `close` was called.
    Clean,
    /// A write or sync failed: what the disk holds is unknown until the database is opened again.
    Poisoned,
    /// The process was forked; the handle belongs to the parent.
    Forked,
    /// The database was opened for reading only.
    ReadOnly,
    /// The database is a single file, which never changes.
    SingleFile,
    /// The writer lock went to somebody else: its file was removed or replaced.
    Fenced,
}

impl ClosedReason {
    fn advice(self) -> &'static str {
        match self {
            Self::Clean => "the database is closed; open it again",
            Self::Poisoned => {
                "an earlier write or sync failed, so writing has stopped; reads go on; \
                 open the database again to recover everything acknowledged"
            }
            Self::Forked => "the handle was opened before fork(); open the database in the child process",
            Self::Fenced => {
                "the file LOCK of the database was removed or replaced while it was open here, so another process \
                 may be writing to it now; writing has stopped; reads go on; open the database again"
            }
            Self::SingleFile => {
                "the database is a single file, which is only read; restore it into a folder (`trilith restore`, \
                 `trilith.restore`) to write to it"
            }
            Self::ReadOnly => "the database is open for reading only; open it without read_only to write",
        }
    }
}

/// Why a database does not open with the key that was given, or without one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyFault {
    /// It is encrypted, and no key was given.
    Missing,
    /// It was encrypted with another key, or its key was rotated since.
    Wrong,
    /// A key was given, and it is not encrypted.
    NotEncrypted,
    /// This process has it open with another key.
    Other,
}

impl KeyFault {
    fn advice(self) -> &'static str {
        match self {
            Self::Missing => {
                "it is encrypted; open it with its key (encryption_key in Python and Rust; --key-file or \
                 TRILITH_KEY for the command line)"
            }
            Self::Wrong => {
                "it is encrypted with another key; give the right one: the newest, when the key was rotated"
            }
            Self::NotEncrypted => {
                "it is not encrypted; open it without a key, or give a new or empty folder for an encrypted database"
            }
            Self::Other => {
                "this process has it open with another key, or without one; use the same, or close it first"
            }
        }
    }
}

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Name something that exists.
    NotFound,
    /// Choose another name or key, or ask for replacement.
    AlreadyExists,
    /// Change the request.
    Invalid,
    /// Run the transaction again.
    Conflict,
    /// Try later.
    Busy,
    /// Ask for less.
    Limit,
    /// Open the database again.
    Closed,
    /// Restore the file from a backup.
    Corrupt,
    /// Use another version of Trilith, or another feature.
    Unsupported,
    /// Mend the disk, the permissions or the path.
    Io,
    /// Report a bug.
    Internal,
}

/// What went wrong in the engine.
#[derive(thiserror::Error, Debug)]
#[non_exhaustive]
pub enum Error {
    /// No such table, column or database.
    #[error("{entity} {name:?} does not exist")]
    NotFound {
        /// "table", "column", "database" ...
        entity: &'static str,
        /// The name as the caller gave it.
        name: String,
    },
    /// A table, column or key that must be new is there already.
    #[error("{entity} {name} already exists")]
    AlreadyExists {
        /// "table", "column", "key in table \"t\"" ...
        entity: String,
        /// The name or key, quoted as the caller would write it.
        name: String,
    },
    /// The request can never succeed as it is.
    #[error("{what}: {why}")]
    Invalid {
        /// The offending thing: a column, a value, a name, a path.
        what: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// Another commit changed a row this one had read.
    #[error(
        "table {table:?} was changed by another writer since it was read; run the statement, or the transaction that \
         it belongs to, again"
    )]
    Conflict {
        /// The table both writers touched.
        table: String,
    },
    /// Another process holds the writer lock.
    #[error(
        "database {path:?} is open for writing by {holder}; close it there, or open it here with read_only"
    )]
    Busy {
        /// The database.
        path: String,
        /// Process id, host and start time of the holder, as it wrote them.
        holder: String,
    },
    /// Another process has opened the database for writing, on a storage where the newest writer takes over.
    #[error(
        "writing to {path:?} has ended here: {holder} has opened it for writing since; every commit that was \
         acknowledged is kept, this one is not; reads go on; open the database again to take over in turn"
    )]
    TakenOver {
        /// The database.
        path: String,
        /// Process id, host and start time of the new writer, as it wrote them.
        holder: String,
    },
    /// A stated limit was passed.
    #[error("{what}: {got} is over the limit of {max}")]
    Limit {
        /// What is limited.
        what: String,
        /// What was asked for.
        got: u64,
        /// The limit.
        max: u64,
    },
    /// The handle takes no more calls of this kind.
    #[error("{}", .0.advice())]
    Closed(ClosedReason),
    /// The key and the database do not go together.
    #[error("database {database:?} does not open: {}", .fault.advice())]
    Key {
        /// The database.
        database: String,
        /// Why.
        fault: KeyFault,
    },
    /// Bytes on disk are not what was written.
    #[error(
        "{file} is damaged at byte {offset}: {what}; nothing was returned from it; restore it from a backup"
    )]
    Corrupt {
        /// Path within the database.
        file: String,
        /// First byte known to be wrong.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// Written by a newer Trilith, or a feature this build lacks.
    #[error("{what}: found {found}, this build reads up to {max}; use a newer trilith")]
    Unsupported {
        /// The thing with the version.
        what: String,
        /// Version or feature found.
        found: String,
        /// Newest that is understood.
        max: String,
    },
    /// The operating system refused.
    #[error("cannot {op} {path:?}: {source}")]
    Io {
        /// "open", "append to", "sync" ...
        op: &'static str,
        /// The file or folder.
        path: String,
        /// Its answer.
        source: io::Error,
    },
    /// An invariant did not hold.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Self::Invalid { .. } | Self::Key { .. } => ErrorKind::Invalid,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Limit { .. } => ErrorKind::Limit,
            Self::Closed(_) | Self::TakenOver { .. } => ErrorKind::Closed,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Io { .. } => ErrorKind::Io,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// True when there was no space left, or the user's share of it was used up: the same may succeed later.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Shorthand for [`Error::Invalid`].
    pub fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), why: why.into() }
    }

    /// Shorthand for [`Error::Key`].
    pub fn key(database: impl Into<String>, fault: KeyFault) -> Self {
        Self::Key { database: database.into(), fault }
    }

    /// Shorthand for [`Error::Corrupt`].
    pub fn corrupt(file: impl Into<String>, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { file: file.into(), offset, what: what.into() }
    }

    /// Shorthand for [`Error::Io`].
    pub fn io(op: &'static str, path: impl Into<String>, source: io::Error) -> Self {
        Self::Io { op, path: path.into(), source }
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Invalid { what: "data".into(), why: error.to_string() }
    }
}
