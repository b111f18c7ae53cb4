//! The search functions by name, and how SQL and programs call them alike: with arguments by place, or by name.

use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::Result;

use super::call::{Call, Signature};
use super::tables::Tables;
use super::{arguments, clusters, function, graph, hybrid, multivector, sparse, text};

/// The rows that a call finds, as a table.
type Find = fn(&Tables, &Call) -> Result<Arc<dyn TableProvider>>;

/// A search function.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name and arguments.
    pub(crate) signature: &'static Signature,
    pub(super) found: Find,
    /// The clause of SQL that says what the rows of a call are sorted by.
    pub(super) order: fn(&Call) -> Result<String>,
}

/// All of them.
pub(crate) static FUNCTIONS: [Function; 9] = [
    Function { signature: &arguments::VECTOR_SEARCH, found: function::found, order: function::order },
    Function { signature: &text::TEXT_SEARCH, found: text::found, order: best_first },
    Function { signature: &hybrid::HYBRID_SEARCH, found: hybrid::found, order: best_first },
    Function { signature: &sparse::SPARSE_SEARCH, found: sparse::found, order: best_first },
    Function { signature: &multivector::MULTIVECTOR_SEARCH, found: multivector::found, order: best_first },
    Function { signature: &sparse::SPARSE_STATS, found: sparse::stats, order: as_given },
    Function { signature: &graph::KNN_GRAPH, found: graph::found, order: as_given },
    Function { signature: &clusters::KMEANS, found: clusters::assigned, order: as_given },
    Function { signature: &clusters::KMEANS_CENTROIDS, found: clusters::centroids, order: as_given },
];

fn best_first(_: &Call) -> Result<String> {
    Ok(" ORDER BY \"_score\" DESC".to_owned())
}

fn as_given(_: &Call) -> Result<String> {
    Ok(String::new())
}

/// The function of a name.
pub(crate) fn function_named(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| name.eq_ignore_ascii_case(function.signature.name))
}

/// The functions over the tables of one statement, by name.
pub(crate) fn table_functions(tables: &Tables) -> [(&'static str, Arc<dyn TableFunctionImpl>); 9] {
    FUNCTIONS.each_ref().map(|function| {
        let bound: Arc<dyn TableFunctionImpl> = Arc::new(Bound { function, tables: tables.clone() });
        (function.signature.name, bound)
    })
}

/// A function, over the tables of one statement.
#[derive(Debug)]
struct Bound {
    function: &'static Function,
    tables: Tables,
}

impl TableFunctionImpl for Bound {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let call = Call::read(self.function.signature, args.exprs(), self.tables.params.as_ref())?;
        (self.function.found)(&self.tables, &call)
    }
}
