//! What looks after whole databases: backup, export, restore, repair, vacuum.
//!
//! Copying happens in the calling thread without the GIL; between two pieces it looks at signals and reports.

use std::time::Instant;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use trilith::engine::{BackupProgress, Error, Loss, Result};
use trilith::{BackupReport, CopyMode, RepairReport};

use crate::error::{from_database, from_engine};
use crate::options::optional_key;

/// Calls `work` without the GIL; Ctrl-C and an error of `progress` end it.
fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&mut dyn FnMut(BackupProgress) -> Result<()>) -> Result<T> + Send,
) -> PyResult<T> {
    let started = Instant::now();
    let mut raised = None;
    let outcome = py.detach(|| {
        work(&mut |now| {
            let told = Python::attach(|py| {
                py.check_signals()?;
                let Some(progress) = &progress else { return Ok(()) };
                progress.call1(py, (now.done, now.total, started.elapsed().as_secs_f64())).map(drop)
            });
            told.map_err(|error| {
                raised = Some(error);
                Error::invalid("the work", "it was stopped")
            })
        })
    });
    match raised {
        Some(error) => Err(error),
        None => outcome.map_err(from_engine),
    }
}

fn mode(copy: bool) -> CopyMode {
    if copy { CopyMode::Copy } else { CopyMode::Link }
}

/// Backs a database up into the folder `path`.
pub(crate) fn backup<'py>(
    py: Python<'py>,
    database: &trilith::Database,
    path: &str,
    copy: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let engine = database.engine();
    let report = watched(py, progress, |report| engine.backup(path.as_ref(), mode(copy), report))?;
    backup_dict(py, &report)
}

/// Makes a branch in the folder `path`.
pub(crate) fn branch<'py>(
    py: Python<'py>,
    database: &trilith::Database,
    path: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let version = database.past_version();
    let engine = database.engine();
    let report = watched(py, progress, |report| engine.branch(path.as_ref(), version, report))?;
    backup_dict(py, &report)
}

/// Writes the database into the single file `path`.
pub(crate) fn export<'py>(
    py: Python<'py>,
    database: &trilith::Database,
    path: &str,
    replace: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let version = database.past_version();
    let engine = database.engine();
    let report = watched(py, progress, |report| engine.export(path.as_ref(), replace, version, report))?;
    let dict = PyDict::new(py);
    dict.set_item("commit", report.seq)?;
    dict.set_item("bytes", report.bytes)?;
    Ok(dict)
}

/// Makes a database at `path` of a backup.
#[pyfunction]
pub(crate) fn restore<'py>(
    py: Python<'py>,
    backup: &str,
    path: &str,
    encryption_key: Option<&Bound<'py, PyAny>>,
    copy: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let key = optional_key(encryption_key)?;
    let restored = |report: &mut dyn FnMut(BackupProgress) -> Result<()>| {
        trilith::restore(backup.as_ref(), path.as_ref(), key.as_ref(), mode(copy), report)
    };
    let report = watched(py, progress, restored)?;
    backup_dict(py, &report)
}

/// Makes a database at `path` of what is left of a damaged one.
#[pyfunction]
pub(crate) fn repair<'py>(
    py: Python<'py>,
    damaged: &str,
    path: &str,
    encryption_key: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let key = optional_key(encryption_key)?;
    let report = watched(py, None, |report| {
        let mut heard = |_: &str| report(BackupProgress::default());
        trilith::repair(damaged.as_ref(), path.as_ref(), key.as_ref(), &mut heard)
    })?;
    repair_dict(py, &report)
}

/// Gives back the space of deleted rows.
pub(crate) fn vacuum<'py>(py: Python<'py>, database: &trilith::Database) -> PyResult<Bound<'py, PyDict>> {
    let report = py.detach(|| database.vacuum_blocking()).map_err(from_database)?;
    let dict = PyDict::new(py);
    dict.set_item("freed_bytes", report.freed())?;
    dict.set_item("bytes", report.bytes_after)?;
    dict.set_item("rewritten_files", report.rewritten)?;
    dict.set_item("orphans", report.orphans)?;
    Ok(dict)
}

fn backup_dict<'py>(py: Python<'py>, report: &BackupReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("version", report.version)?;
    dict.set_item("commit", report.seq)?;
    dict.set_item("files", report.files)?;
    dict.set_item("bytes", report.bytes)?;
    dict.set_item("linked", report.linked)?;
    dict.set_item("copied", report.copied)?;
    dict.set_item("reused", report.reused)?;
    Ok(dict)
}

fn repair_dict<'py>(py: Python<'py>, report: &RepairReport) -> PyResult<Bound<'py, PyDict>> {
    let losses = report.losses.iter().map(|loss| loss_dict(py, loss)).collect::<PyResult<Vec<_>>>()?;
    let dict = PyDict::new(py);
    dict.set_item("version", report.version)?;
    dict.set_item("rows", report.rows)?;
    dict.set_item("commits", report.commits)?;
    dict.set_item("lost", losses)?;
    dict.set_item("notes", &report.notes)?;
    Ok(dict)
}

fn loss_dict<'py>(py: Python<'py>, loss: &Loss) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("file", &loss.file)?;
    dict.set_item("table", &loss.table)?;
    dict.set_item("rows", loss.rows)?;
    dict.set_item("keys", &loss.keys)?;
    dict.set_item("commits", loss.seqs)?;
    dict.set_item("certain", loss.certain)?;
    dict.set_item("why", loss.to_string())?;
    Ok(dict)
}
