//! The one error of the crate, sorted by what the caller does next.
//!
//! An engine error that crossed DataFusion as `External` comes back as an engine error, so that
//! a `Conflict` stays a `Conflict`. One table gives each kind its SQLSTATE and its Python name;
//! nobody else decides. Messages say what, where and the next step.

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
pub use trilith_engine::{Error as EngineError, ErrorKind};

/// Result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: in the durable half, or on the way from SQL to it.
#[derive(thiserror::Error, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Parsing, planning or running a query failed.
    #[error("{}", .0.strip_backtrace())]
    Query(Box<DataFusionError>),
    /// The statement is understood, but not offered.
    #[error("{what} is not supported; {instead}")]
    Unsupported {
        /// The statement or clause.
        what: String,
        /// What to use in its place.
        instead: String,
    },
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Query(error) => query_kind(error),
            Self::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }

    /// Whether running the same call again may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Conflict | ErrorKind::Busy)
    }

    /// The five-letter code that SQL clients know this kind by.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        names(self.kind()).0
    }

    /// The class of the Python package that stands for this kind.
    #[must_use]
    pub fn python_name(&self) -> &'static str {
        names(self.kind()).1
    }

    /// Shorthand for a request that can never succeed as it is.
    pub fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Engine(EngineError::invalid(what, why))
    }

    /// Shorthand for [`Error::Unsupported`].
    pub fn unsupported(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), instead: instead.into() }
    }

    /// Shorthand for a name that does not exist.
    pub fn not_found(entity: &'static str, name: impl Into<String>) -> Self {
        Self::Engine(EngineError::NotFound { entity, name: name.into() })
    }
}

/// SQLSTATE and Python class of each kind.
fn names(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::NotFound => ("42704", "NotFound"),
        ErrorKind::AlreadyExists => ("23505", "AlreadyExists"),
        ErrorKind::Invalid => ("22023", "Invalid"),
        ErrorKind::Conflict => ("40001", "Conflict"),
        ErrorKind::Busy => ("55006", "Busy"),
        ErrorKind::Limit => ("54000", "LimitExceeded"),
        ErrorKind::Closed => ("08003", "Closed"),
        ErrorKind::Corrupt => ("XX001", "Corrupt"),
        ErrorKind::Unsupported => ("0A000", "Unsupported"),
        ErrorKind::Io => ("58030", "IoError"),
        _ => ("XX000", "InternalError"),
    }
}

fn query_kind(error: &DataFusionError) -> ErrorKind {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => query_kind(inner),
        DataFusionError::Shared(inner) => query_kind(inner),
        DataFusionError::Collection(all) => all.first().map_or(ErrorKind::Internal, query_kind),
        DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
        DataFusionError::ResourcesExhausted(_) => ErrorKind::Limit,
        DataFusionError::SQL(parser, _) => parser_kind(parser),
        DataFusionError::SchemaError(schema, _) => schema_kind(schema),
        DataFusionError::Plan(message) if message.starts_with("table '") => ErrorKind::NotFound,
        DataFusionError::IoError(_) => ErrorKind::Io,
        DataFusionError::ObjectStore(store) => store_kind(store),
        DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) => ErrorKind::Internal,
        _ => ErrorKind::Invalid,
    }
}

fn parser_kind(error: &ParserError) -> ErrorKind {
    match error {
        ParserError::RecursionLimitExceeded => ErrorKind::Limit,
        _ => ErrorKind::Invalid,
    }
}

fn schema_kind(error: &SchemaError) -> ErrorKind {
    match error {
        SchemaError::FieldNotFound { .. } => ErrorKind::NotFound,
        _ => ErrorKind::Invalid,
    }
}

fn store_kind(error: &object_store::Error) -> ErrorKind {
    match error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        _ => ErrorKind::Io,
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        match unwrap_engine(error) {
            Ok(engine) => engine,
            Err(query) => Self::Query(Box::new(query)),
        }
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::Query(query) => *query,
            Error::Engine(engine) => Self::External(Box::new(engine)),
            other => Self::External(Box::new(other)),
        }
    }
}

/// An engine error on its way through DataFusion.
pub(crate) fn external(error: EngineError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Takes one of our own errors out of DataFusion's wrappers, or gives the error back.
fn unwrap_engine(error: DataFusionError) -> std::result::Result<Error, DataFusionError> {
    match error {
        DataFusionError::External(inner) => inner
            .downcast::<EngineError>()
            .map(|e| Error::Engine(*e))
            .or_else(|inner| inner.downcast::<Error>().map(|e| *e))
            .or_else(|inner| match inner.downcast::<DataFusionError>() {
                Ok(nested) => unwrap_engine(*nested),
                Err(foreign) => Err(DataFusionError::External(foreign)),
            }),
        DataFusionError::ArrowError(inner, context) => match *inner {
            ArrowError::ExternalError(foreign) => unwrap_engine(DataFusionError::External(foreign)),
            other => Err(DataFusionError::ArrowError(Box::new(other), context)),
        },
        DataFusionError::Context(text, inner) => {
            unwrap_engine(*inner).map_err(|inner| DataFusionError::Context(text, Box::new(inner)))
        }
        DataFusionError::Diagnostic(note, inner) => {
            unwrap_engine(*inner).map_err(|inner| DataFusionError::Diagnostic(note, Box::new(inner)))
        }
        DataFusionError::Shared(shared) => match std::sync::Arc::try_unwrap(shared) {
            Ok(inner) => unwrap_engine(inner),
            Err(shared) => shared_engine(&shared).ok_or(DataFusionError::Shared(shared)),
        },
        other => Err(other),
    }
}

/// A copy of the engine error inside an error that several streams hold.
fn shared_engine(error: &DataFusionError) -> Option<Error> {
    let DataFusionError::External(inner) = error.find_root() else { return None };
    inner.downcast_ref::<EngineError>().map(|e| Error::Engine(copy(e)))
}

fn copy(error: &EngineError) -> EngineError {
    match error {
        EngineError::NotFound { entity, name } => EngineError::NotFound { entity, name: name.clone() },
        EngineError::AlreadyExists { entity, name } => {
            EngineError::AlreadyExists { entity: entity.clone(), name: name.clone() }
        }
        EngineError::Invalid { what, why } => EngineError::Invalid { what: what.clone(), why: why.clone() },
        EngineError::Conflict { table } => EngineError::Conflict { table: table.clone() },
        EngineError::Limit { what, got, max } => {
            EngineError::Limit { what: what.clone(), got: *got, max: *max }
        }
        EngineError::Closed(reason) => EngineError::Closed(*reason),
        EngineError::Key { database, fault } => EngineError::key(database.clone(), *fault),
        EngineError::Corrupt { file, offset, what } => {
            EngineError::Corrupt { file: file.clone(), offset: *offset, what: what.clone() }
        }
        EngineError::Io { op, path, source } => EngineError::Io {
            op,
            path: path.clone(),
            source: std::io::Error::new(source.kind(), source.to_string()),
        },
        other => EngineError::Internal(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn conflict() -> DataFusionError {
        external(EngineError::Conflict { table: "t".into() })
    }

    #[test]
    fn engine_error_survives_every_wrapper() {
        let wrapped = [
            conflict(),
            DataFusionError::Context("x".into(), Box::new(conflict())),
            DataFusionError::Shared(Arc::new(conflict())),
            DataFusionError::ArrowError(
                Box::new(ArrowError::ExternalError(Box::new(EngineError::Conflict { table: "t".into() }))),
                None,
            ),
        ];
        for error in wrapped {
            let error = Error::from(error);
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.is_retryable());
            assert_eq!(error.sqlstate(), "40001");
        }
    }

    #[test]
    fn shared_error_held_twice_is_copied() {
        let shared = Arc::new(DataFusionError::Context("x".into(), Box::new(conflict())));
        let error = Error::from(DataFusionError::Shared(shared.clone()));
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(Arc::try_unwrap(shared).is_ok());
    }

    #[test]
    fn deep_sql_is_a_limit() {
        let error = DataFusionError::SQL(Box::new(ParserError::RecursionLimitExceeded), None);
        assert_eq!(Error::from(error).kind(), ErrorKind::Limit);
    }
}
