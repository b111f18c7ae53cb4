//! How many Python handles each engine of this process has.
//!
//! Handles on one path share one engine; closing one must not close it under the others, so the engine
//! is closed with the last.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pyo3::prelude::*;
use trilith::engine::{ClosedReason, Error};

use crate::error::{from_database, from_engine};

/// Handles that are open, by the address of their engine.
static OPEN: Mutex<Option<HashMap<usize, usize>>> = Mutex::new(None);

/// A database as one Python object holds it.
pub(crate) struct Handle {
    database: trilith::Database,
    closed: AtomicBool,
}

impl Handle {
    /// Counts a handle on `database`.
    pub(crate) fn new(database: trilith::Database) -> Self {
        *OPEN.lock().get_or_insert_default().entry(address(&database)).or_default() += 1;
        Self { database, closed: AtomicBool::new(false) }
    }

    /// The database, whether this handle is open or not.
    pub(crate) fn database(&self) -> &trilith::Database {
        &self.database
    }

    /// The database, while this handle is open.
    pub(crate) fn get(&self) -> PyResult<&trilith::Database> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(from_engine(Error::Closed(ClosedReason::Clean))),
            false => Ok(&self.database),
        }
    }

    /// Closes this handle, and the engine when it was the last one. A second call does nothing.
    pub(crate) fn close(&self) -> PyResult<()> {
        if self.closed.swap(true, Ordering::AcqRel) || !self.release() {
            return Ok(());
        }
        self.database.close().map_err(from_database)
    }

    /// Uncounts the handle; true when it was the last.
    fn release(&self) -> bool {
        let mut open = OPEN.lock();
        let handles = open.get_or_insert_default();
        let address = address(&self.database);
        let left = handles.get(&address).map_or(0, |count| count.saturating_sub(1));
        match left {
            0 => handles.remove(&address),
            _ => handles.insert(address, left),
        };
        left == 0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Tables and queries may outlive the handle they came from: the engine stays open for them.
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.release();
        }
    }
}

fn address(database: &trilith::Database) -> usize {
    Arc::as_ptr(database.engine()).addr()
}
