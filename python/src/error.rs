//! Errors on their way to Python.
//!
//! The classes are defined in `trilith/errors.py`; each is a `TrilithError` and the builtin a Python
//! programmer would catch anyway. `trilith::Error::python_name` decides which one a failure becomes, and
//! the crates below word the message.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use pyo3::prelude::*;

fn raise(class: &str, message: &str) -> PyErr {
    Python::attach(|py| {
        let made = py.import("trilith.errors").and_then(|errors| errors.getattr(class)?.call1((message,)));
        made.map_or_else(|failure| failure, PyErr::from_value)
    })
}

/// The exception for an error of the database. A Python exception that passed through comes out unchanged.
pub(crate) fn from_database(error: trilith::Error) -> PyErr {
    match error {
        trilith::Error::Query(query) => from_query(*query),
        other => raise(other.python_name(), &other.to_string()),
    }
}

/// The exception for an error of the engine.
pub(crate) fn from_engine(error: trilith::engine::Error) -> PyErr {
    from_database(error.into())
}

/// The exception for an error met while a query runs.
pub(crate) fn from_query(error: DataFusionError) -> PyErr {
    if let Some(original) = python_cause(&error) {
        return original;
    }
    let error = trilith::Error::from(error);
    raise(error.python_name(), &error.to_string())
}

/// The exception for data that Arrow refuses.
pub(crate) fn from_arrow(error: ArrowError) -> PyErr {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<PyErr>() {
            Ok(original) => *original,
            Err(inner) => invalid(format!("data: {inner}")),
        },
        other => invalid(format!("data: {other}")),
    }
}

/// `trilith.Invalid` with this message.
pub(crate) fn invalid(message: impl AsRef<str>) -> PyErr {
    raise("Invalid", message.as_ref())
}

/// `error` with `to` where its message says `from`: a table that is made under a passing name.
pub(crate) fn renamed(error: PyErr, from: &str, to: &str) -> PyErr {
    Python::attach(|py| {
        let message = error.value(py).to_string();
        match message.contains(from) {
            true => error
                .get_type(py)
                .call1((message.replace(from, to),))
                .map_or_else(|failure| failure, PyErr::from_value),
            false => error,
        }
    })
}

/// A Python exception anywhere down the chain of causes: a generator that raised while it was read, say.
fn python_cause(error: &DataFusionError) -> Option<PyErr> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(original) = current.downcast_ref::<PyErr>() {
            return Some(Python::attach(|py| original.clone_ref(py)));
        }
        cause = current.source();
    }
    None
}
