//! The keys that a scan is about: what comparisons with literals confine the first key column to.
//!
//! Only a range; the filters themselves still decide about each row.

use std::ops::Bound;

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;
use trilith_engine::{KeyCodec, KeyRange, TableDef};

/// The range of encoded keys outside of which no row passes `filters`; every key when they say nothing of it.
#[must_use]
pub fn key_range(def: &TableDef, filters: &[Expr]) -> KeyRange {
    let Some(first) = FirstColumn::of(def) else { return KeyRange::ALL };
    let mut range = KeyRange::ALL;
    for conjunct in filters.iter().flat_map(split_conjunction) {
        for (operator, value) in comparisons(conjunct, first.name) {
            let Some(bytes) = first.encoded(value) else { continue };
            match operator {
                Operator::Gt if first.only => raise(&mut range.lower, Bound::Excluded(bytes)),
                Operator::Gt | Operator::GtEq => raise(&mut range.lower, Bound::Included(bytes)),
                Operator::Lt => lower(&mut range.upper, Bound::Excluded(bytes)),
                Operator::LtEq => lower(&mut range.upper, first.end(bytes)),
                Operator::Eq => {
                    raise(&mut range.lower, Bound::Included(bytes.clone()));
                    lower(&mut range.upper, first.end(bytes));
                }
                _ => {}
            }
        }
    }
    range
}

/// The first column of a key.
struct FirstColumn<'a> {
    name: &'a str,
    data_type: &'a DataType,
    codec: KeyCodec,
    /// The key has no other column.
    only: bool,
}

impl<'a> FirstColumn<'a> {
    /// `None` where the column's bytes alone do not begin the bytes of every key that has its value.
    fn of(def: &'a TableDef) -> Option<Self> {
        let (&first, others) = def.key_columns().split_first()?;
        let field = &def.columns[first].field;
        let codec = KeyCodec::new(std::slice::from_ref(field.data_type())).ok()?;
        let only = others.is_empty();
        (only || codec.fixed_len().is_some()).then_some(Self {
            name: field.name(),
            data_type: field.data_type(),
            codec,
            only,
        })
    }

    fn encoded(&self, value: &ScalarValue) -> Option<Vec<u8>> {
        if value.is_null() || value.data_type() != *self.data_type {
            return None;
        }
        self.codec.encode_row(&[value.to_array().ok()?], 0).ok()
    }

    /// The end of the keys that begin with `bytes`.
    fn end(&self, mut bytes: Vec<u8>) -> Bound<Vec<u8>> {
        if self.only {
            return Bound::Included(bytes);
        }
        while let Some(last) = bytes.pop() {
            if let Some(next) = last.checked_add(1) {
                bytes.push(next);
                return Bound::Excluded(bytes);
            }
        }
        Bound::Unbounded
    }
}

/// Comparisons of the column with literals that hold wherever `expr` does, the column on the left.
fn comparisons<'a>(expr: &'a Expr, name: &str) -> Vec<(Operator, &'a ScalarValue)> {
    let is_column = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == name);
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
            (column, Expr::Literal(value, _)) if is_column(column) => vec![(*op, value)],
            (Expr::Literal(value, _), column) if is_column(column) => {
                op.swap().map(|op| (op, value)).into_iter().collect()
            }
            _ => vec![],
        },
        Expr::Between(between) if !between.negated && is_column(&between.expr) => {
            let low = between.low.as_literal().map(|value| (Operator::GtEq, value));
            let high = between.high.as_literal().map(|value| (Operator::LtEq, value));
            low.into_iter().chain(high).collect()
        }
        _ => vec![],
    }
}

fn raise(bound: &mut Bound<Vec<u8>>, to: Bound<Vec<u8>>) {
    let higher = match (&*bound, &to) {
        (Bound::Unbounded, _) => true,
        (Bound::Included(old), Bound::Excluded(new)) => new >= old,
        (Bound::Included(old) | Bound::Excluded(old), Bound::Included(new) | Bound::Excluded(new)) => {
            new > old
        }
        (_, Bound::Unbounded) => false,
    };
    if higher {
        *bound = to;
    }
}

fn lower(bound: &mut Bound<Vec<u8>>, to: Bound<Vec<u8>>) {
    let lower = match (&*bound, &to) {
        (Bound::Unbounded, _) => true,
        (Bound::Included(old), Bound::Excluded(new)) => new <= old,
        (Bound::Included(old) | Bound::Excluded(old), Bound::Included(new) | Bound::Excluded(new)) => {
            new < old
        }
        (_, Bound::Unbounded) => false,
    };
    if lower {
        *bound = to;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::Database;
    use datafusion::prelude::{col, lit};

    fn within(sql: &str, filters: &[Expr], key: &[ScalarValue]) -> bool {
        let db = Database::in_memory().unwrap();
        db.sql_blocking(sql).unwrap();
        let view = db.table("t").unwrap().view().unwrap();
        let arrays: Vec<_> = key.iter().map(|value| value.to_array().unwrap()).collect();
        let encoded = view.codec().unwrap().encode_row(&arrays, 0).unwrap();
        key_range(view.def(), filters).contains(&encoded)
    }

    /// A filter, and what it says of a key.
    type Case = (Expr, fn(i64) -> bool);

    #[test]
    fn it_is_what_the_filters_say_of_a_key_of_one_column() {
        let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, v BIGINT)";
        let cases: [Case; 8] = [
            (col("id").gt(lit(3_i64)), |id| id > 3),
            (col("id").gt_eq(lit(3_i64)).and(col("id").lt(lit(5_i64))), |id| (3..5).contains(&id)),
            (lit(5_i64).gt_eq(col("id")), |id| id <= 5),
            (col("id").between(lit(-2_i64), lit(2_i64)), |id| (-2..=2).contains(&id)),
            (col("id").eq(lit(4_i64)), |id| id == 4),
            (col("id").gt(lit(3_i64)).and(col("id").gt_eq(lit(3_i64))), |id| id > 3),
            (col("id").gt(lit(3_i64)).or(col("v").eq(lit(1_i64))), |_| true),
            (col("v").gt(lit(3_i64)), |_| true),
        ];
        for (filter, expected) in cases {
            for id in -4..8_i64 {
                let found = within(table, std::slice::from_ref(&filter), &[id.into()]);
                assert_eq!(found, expected(id), "{filter} {id}");
            }
        }
    }

    #[test]
    fn the_first_of_several_columns_counts_with_all_that_follow() {
        let table = "CREATE TABLE t (a INT, b TEXT, PRIMARY KEY (a, b))";
        for (filter, expected) in [
            (col("a").gt(lit(3_i32)), [false, true, true]),
            (col("a").lt_eq(lit(3_i32)), [true, true, false]),
            (col("a").eq(lit(3_i32)), [false, true, false]),
        ] {
            let found =
                [2_i32, 3, 4].map(|a| within(table, std::slice::from_ref(&filter), &[a.into(), "x".into()]));
            // A range may hold more than it must: `a > 3` starts at the keys of 3.
            assert!(
                found.iter().zip(expected).all(|(found, wanted)| *found || !wanted),
                "{filter}: {found:?}"
            );
        }
        let found =
            [2_i32, 3, 4].map(|a| within(table, &[col("a").lt_eq(lit(3_i32))], &[a.into(), "x".into()]));
        assert_eq!(found, [true, true, false]);
    }
}
