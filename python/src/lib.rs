//! `trilith._native`: the waist between Python and Rust.
//!
//! Everything here is thin: it turns Python objects into Arrow and back, releases the GIL around the
//! engine, lets Ctrl-C through, and maps errors. What a method means is decided in the `trilith` crate;
//! what only touches Python objects (numpy, terminal, notebook) lives in `python/trilith/*.py`.

mod arrow_batch;
mod arrow_batches;
mod arrow_schema;
mod collection;
mod cursor;
mod database;
mod error;
mod exported;
mod handles;
mod ingest;
mod local_object;
mod numpy_column;
mod operations;
mod options;
mod params;
mod preview;
mod progress;
mod query;
mod running;
mod shell;
mod statement;
mod table;
mod table_create;
mod table_index;
mod table_key;
mod table_search;
mod table_write;
mod transaction;
mod values;
mod wait;

use mimalloc::MiMalloc;
use pyo3::prelude::*;

/// Planning a statement makes thousands of small allocations, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Native half of the `trilith` package; import `trilith` instead.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::arrow_batch::ArrowBatch;
    #[pymodule_export]
    use crate::arrow_batches::ArrowBatches;
    #[pymodule_export]
    use crate::arrow_schema::ArrowSchema;
    #[pymodule_export]
    use crate::collection::Collection;
    #[pymodule_export]
    use crate::cursor::Cursor;
    #[pymodule_export]
    use crate::database::Database;
    #[pymodule_export]
    use crate::operations::{repair, restore};
    #[pymodule_export]
    use crate::query::Query;
    #[pymodule_export]
    use crate::shell::shell;
    #[pymodule_export]
    use crate::table::Table;
    #[pymodule_export]
    use crate::transaction::Transaction;
    #[pymodule_export]
    use crate::transaction::retry_delay;
}
