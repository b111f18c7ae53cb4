//! Which codes a column of vectors gets: what its index says, or what serves most when no statement named one.

use arrow::datatypes::DataType;

use crate::common::ColumnId;
use crate::format::table::{IndexDef, IndexKind, IndexMetric, TableDef};

/// Vectors of fewer components are compared as they are: their codes would save little.
pub const CODED_DIMS_MIN: usize = 64;
/// Files of fewer rows have no codes.
pub const CODED_ROWS_MIN: u64 = 1024;
/// A file of fewer rows has one list unless its index says how many.
const LISTED_ROWS_MIN: usize = 16_384;
/// Rows of a list, at the least.
const LIST_ROWS_MIN: usize = 16;
/// Rows of a list of a large file, until the centroids would be more than so many times the root of the rows: all are compared
/// with each query.
const LIST_ROWS: usize = 256;
const LISTS_PER_ROOT: usize = 4;

/// True for a column of vectors, which may have an index.
#[must_use]
pub fn is_vector(data_type: &DataType) -> bool {
    matches!(data_type, DataType::FixedSizeList(item, _) if item.data_type().is_numeric())
}

/// The number of components of a column that gets codes; `None` for a column that does not.
#[must_use]
pub fn is_coded(data_type: &DataType) -> Option<usize> {
    let DataType::FixedSizeList(item, length) = data_type else { return None };
    let dims = usize::try_from(*length).ok()?;
    let coded = matches!(
        item.data_type(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Int8 | DataType::UInt8
    );
    (coded && dims >= CODED_DIMS_MIN).then_some(dims)
}

/// Which codes a column gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct CodePlan {
    /// Lists of a file; a number that suits the file when `None`.
    pub lists: Option<u32>,
    /// The graph, where there is to be one.
    pub graph: Option<GraphPlan>,
}

/// What graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GraphPlan {
    /// Neighbours of a row.
    pub degree: u32,
    /// Rows that they are chosen from.
    pub candidates: u32,
    /// The distance that they are near by: cosine or Euclidean.
    pub metric: IndexMetric,
}

impl CodePlan {
    /// `None` for a column that gets no codes.
    #[must_use]
    pub fn of(table: &TableDef, column: ColumnId) -> Option<Self> {
        let known = table.columns.iter().find(|known| known.id == column)?;
        is_coded(known.field.data_type())?;
        match table.index_of(column) {
            None => Some(Self::default()),
            Some(index) => Self::asked(index),
        }
    }

    fn asked(index: &IndexDef) -> Option<Self> {
        let lists = match index.kind {
            IndexKind::Flat => return None,
            IndexKind::Rabitq => Some(1),
            IndexKind::Ivf | IndexKind::Graph | IndexKind::Hnsw => index.lists,
        };
        let metric = match index.metric {
            Some(IndexMetric::L2) => IndexMetric::L2,
            // Inner products order rows of one length as cosines do; others are found through the lists.
            _ => IndexMetric::Cosine,
        };
        let graph = GraphPlan { degree: index.degree, candidates: index.candidates, metric };
        Some(Self { lists, graph: index.has_graph().then_some(graph) })
    }

    /// Lists of a file of so many rows, not counting the rows without a code.
    #[must_use]
    pub fn lists_of(&self, rows: usize) -> usize {
        match self.lists {
            Some(lists) => (lists as usize).min(rows / LIST_ROWS_MIN).max(1),
            None if rows < LISTED_ROWS_MIN && self.graph.is_none() => 1,
            None => (rows / LIST_ROWS).clamp(rows.isqrt(), LISTS_PER_ROOT * rows.isqrt()).max(1),
        }
    }
}
