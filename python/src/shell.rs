//! The `trilith` command, as the Python package installs it.

use pyo3::prelude::*;

/// Runs the command line `arguments`, the program's name first, and returns its exit status.
#[pyfunction]
pub(crate) fn shell(py: Python<'_>, arguments: Vec<String>) -> i32 {
    py.detach(|| trilith::shell::run(arguments))
}
