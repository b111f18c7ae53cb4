//! A collection of documents: the native half of `trilith.Collection`.
//!
//! Documents, filters and updates come as dicts and go to Rust as Variant values, so that a date stays
//! a date; what they mean is decided in `trilith::document`.

use arrow::array::{ArrayRef, AsArray};
use pyo3::prelude::*;
use pyo3::types::PyList;
use trilith::document::{Direction, Filter, Projection, Sort, Update, Value};
use trilith::{FindOptions, UpdateResult};

use crate::error::{from_database, invalid};
use crate::query::Query;
use crate::values::{document_object, documents, to_value};
use crate::wait::wait;

/// Documents of one name.
#[pyclass(frozen, module = "trilith._native")]
pub(crate) struct Collection {
    database: trilith::Database,
    documents: trilith::Collection,
}

/// What `find` is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Find<'py> {
    filter: Bound<'py, PyAny>,
    projection: Option<Bound<'py, PyAny>>,
    sort: Vec<(String, i64)>,
    skip: usize,
    limit: Option<usize>,
}

impl Find<'_> {
    fn options(&self) -> PyResult<FindOptions> {
        let keys = self.sort.iter().map(|(path, sign)| Ok((path.as_str(), direction(*sign)?)));
        let projection = self
            .projection
            .as_ref()
            .map(|projection| Projection::parse(to_value(projection)?).map_err(from_database));
        Ok(FindOptions {
            sort: Sort::parse(keys.collect::<PyResult<Vec<_>>>()?).map_err(from_database)?,
            skip: self.skip,
            limit: self.limit,
            projection: projection.transpose()?,
        })
    }
}

fn direction(sign: i64) -> PyResult<Direction> {
    match sign {
        1 => Ok(Direction::Ascending),
        -1 => Ok(Direction::Descending),
        other => Err(invalid(format!("a sort direction is 1 or -1, not {other}"))),
    }
}

fn filter(filter: &Bound<'_, PyAny>) -> PyResult<Filter> {
    Filter::parse(to_value(filter)?).map_err(from_database)
}

fn counts(result: UpdateResult) -> (u64, u64) {
    (result.matched, result.modified)
}

impl Collection {
    /// The collection of this name.
    pub(crate) fn new(database: trilith::Database, name: &str) -> Self {
        let documents = database.collection(name);
        Self { database, documents }
    }
}

#[pymethods]
impl Collection {
    /// The name of the collection and of its table.
    #[getter]
    fn name(&self) -> String {
        self.documents.name().to_string()
    }

    /// Adds documents in one commit and returns their ids.
    fn insert<'py>(&self, py: Python<'py>, new: Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyList>> {
        let rows: ArrayRef = documents(&new)?;
        let inserted = py.detach(|| self.documents.insert_rows(rows.as_struct())).map_err(from_database)?;
        let ids = inserted.iter().map(|id| document_object(py, id)).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, ids)
    }

    /// The documents that match, as a query of one column.
    fn find<'py>(&self, py: Python<'py>, request: Find<'py>) -> PyResult<Query> {
        let (filter, options) = (filter(&request.filter)?, request.options()?);
        let documents = self.documents.clone();
        let work = async move { documents.find(&filter, &options).await.map_err(from_database) };
        Ok(Query::new(self.database.clone(), wait(py, &self.database, work)?))
    }

    /// Changes matching documents; returns how many matched and how many changed.
    fn update(
        &self,
        py: Python<'_>,
        wanted: &Bound<'_, PyAny>,
        update: &Bound<'_, PyAny>,
        many: bool,
    ) -> PyResult<(u64, u64)> {
        let wanted = filter(wanted)?;
        let update = Update::parse(to_value(update)?).map_err(from_database)?;
        let documents = self.documents.clone();
        let work = async move {
            let done = match many {
                true => documents.update_many(&wanted, &update).await,
                false => documents.update_one(&wanted, &update).await,
            };
            done.map_err(from_database)
        };
        wait(py, &self.database, work).map(counts)
    }

    /// Replaces one matching document; returns how many matched and how many changed.
    fn replace(
        &self,
        py: Python<'_>,
        wanted: &Bound<'_, PyAny>,
        new: &Bound<'_, PyAny>,
    ) -> PyResult<(u64, u64)> {
        let (wanted, new): (Filter, Value) = (filter(wanted)?, to_value(new)?);
        let documents = self.documents.clone();
        let work = async move { documents.replace_one(&wanted, new).await.map_err(from_database) };
        wait(py, &self.database, work).map(counts)
    }

    /// Deletes matching documents and returns how many.
    fn delete(&self, py: Python<'_>, wanted: &Bound<'_, PyAny>, many: bool) -> PyResult<u64> {
        let wanted = filter(wanted)?;
        let documents = self.documents.clone();
        let work = async move {
            let done = match many {
                true => documents.delete_many(&wanted).await,
                false => documents.delete_one(&wanted).await,
            };
            done.map_err(from_database)
        };
        wait(py, &self.database, work)
    }

    /// How many documents match.
    fn count(&self, py: Python<'_>, wanted: &Bound<'_, PyAny>) -> PyResult<u64> {
        let wanted = filter(wanted)?;
        let documents = self.documents.clone();
        wait(py, &self.database, async move { documents.count(&wanted).await.map_err(from_database) })
    }
}
