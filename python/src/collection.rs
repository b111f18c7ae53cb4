//! Documents: placeholder until the document layer lands.
use pyo3::prelude::*;

/// Documents of one name.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct Collection(trilith::Collection);

impl Collection {
    pub(crate) fn new(inner: trilith::Collection) -> Self {
        Self(inner)
    }
}
