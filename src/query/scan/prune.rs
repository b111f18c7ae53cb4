//! Skipping batches whose zone maps show that no row of them can satisfy a predicate.
//!
//! Masks of deleted rows are resolved before batches are offered, so dropping a batch can never bring
//! an older version of a row back. When a predicate cannot be used, every batch is kept.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use trilith_engine::{ScanPart, TableDef};

/// Longest `IN` list that is tried value by value.
const IN_LIST_MAX: usize = 256;

/// A predicate in a form that zone maps can answer; `None` when they cannot help.
#[must_use]
pub fn predicate(expr: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Option<Arc<PruningPredicate>> {
    PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(schema))
        .with_max_in_list_size(IN_LIST_MAX)
        .build(Arc::clone(expr))
}

/// For each batch of the part, whether it must be read.
#[must_use]
pub fn keep(predicate: &PruningPredicate, def: &TableDef, part: &ScanPart) -> Vec<bool> {
    let all = || vec![true; part.num_batches()];
    if part.num_batches() == 0 {
        return vec![];
    }
    predicate.prune(&ZoneMaps { def, part }).unwrap_or_else(|_| all())
}

/// Zone maps of one part, as DataFusion asks for them.
struct ZoneMaps<'a> {
    def: &'a TableDef,
    part: &'a ScanPart,
}

impl ZoneMaps<'_> {
    fn column(&self, column: &Column) -> Option<trilith_engine::ColumnStats> {
        self.part.stats(self.def.column_index(&column.name)?)
    }
}

impl PruningStatistics for ZoneMaps<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column).map(|stats| stats.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column).map(|stats| stats.max)
    }

    fn num_containers(&self) -> usize {
        self.part.num_batches()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.column(column).map(|stats| Arc::new(stats.null_count) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = (0..self.part.num_batches()).map(|i| self.part.batch_rows(i) as u64);
        Some(Arc::new(UInt64Array::from_iter_values(rows)))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
