//! What a filter is good for: pruning batches by zone maps, or finding rows by key.
//!
//! Pure functions over expressions. Verdicts are never `Exact`: pruning keeps whole batches, so
//! DataFusion filters the rows that come back.

use std::collections::HashMap;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::scalar::ScalarValue;
use trilith_engine::TableDef;

/// Most keys that are looked up one by one instead of scanning.
const LOOKUP_KEYS_MAX: usize = 1_024;

/// Whether the scan wants to see `filter`.
#[must_use]
pub fn verdict(filter: &Expr) -> TableProviderFilterPushDown {
    if filter.is_volatile() || has_subquery(filter) {
        return TableProviderFilterPushDown::Unsupported;
    }
    TableProviderFilterPushDown::Inexact
}

fn has_subquery(filter: &Expr) -> bool {
    let mut found = false;
    let visited = filter.apply(|expr| {
        let subquery = matches!(expr, Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarSubquery(_));
        found |= subquery || matches!(expr, Expr::OuterReferenceColumn(..));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found || visited.is_err()
}

/// The keys that `filters` confine a keyed table to: for each key, one value per key column.
///
/// `None` when some key column is not pinned by `=` or `IN` with literals, or when there are too many.
#[must_use]
pub fn keys(def: &TableDef, filters: &[Expr]) -> Option<Vec<Vec<ScalarValue>>> {
    if !def.is_keyed() {
        return None;
    }
    let mut pinned: HashMap<&str, Vec<ScalarValue>> = HashMap::new();
    for conjunct in filters.iter().flat_map(split_conjunction) {
        let Some((column, values)) = literals_of(conjunct) else { continue };
        let shorter = pinned.get(column).is_none_or(|known| values.len() < known.len());
        if shorter {
            pinned.insert(column, values);
        }
    }
    let columns: Vec<Vec<ScalarValue>> = def
        .key_columns()
        .iter()
        .map(|&i| pinned.remove(def.columns[i].field.name().as_str()))
        .collect::<Option<_>>()?;
    product(&columns)
}

/// Every combination of one value per column.
fn product(columns: &[Vec<ScalarValue>]) -> Option<Vec<Vec<ScalarValue>>> {
    let total = columns.iter().try_fold(1_usize, |total, values| total.checked_mul(values.len()))?;
    if total > LOOKUP_KEYS_MAX {
        return None;
    }
    let mut keys = vec![vec![]];
    for values in columns {
        keys = keys
            .into_iter()
            .flat_map(|key| {
                values.iter().map(move |value| [key.as_slice(), std::slice::from_ref(value)].concat())
            })
            .collect();
    }
    Some(keys)
}

/// `column = literal`, `literal = column`, `column IN (literals)` and the same joined by `OR`.
fn literals_of(expr: &Expr) -> Option<(&str, Vec<ScalarValue>)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            match (left.as_ref(), right.as_ref()) {
                (Expr::Column(column), Expr::Literal(value, _))
                | (Expr::Literal(value, _), Expr::Column(column)) => {
                    Some((&column.name, vec![value.clone()]))
                }
                _ => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let (left_column, mut values) = literals_of(left)?;
            let (right_column, more) = literals_of(right)?;
            values.extend(more);
            (left_column == right_column).then_some((left_column, values))
        }
        Expr::InList(list) if !list.negated => {
            let Expr::Column(column) = list.expr.as_ref() else { return None };
            let values = list.list.iter().map(|item| item.as_literal().cloned()).collect::<Option<_>>()?;
            Some((&column.name, values))
        }
        _ => None,
    }
}
