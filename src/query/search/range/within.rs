//! How far a row may be: what is asked of one distance, and the greatest that can satisfy it.
//!
//! A distance is compared as SQL compares numbers: NaN is beyond all others, and the two zeros are one. A row without a distance
//! satisfies nothing.

use std::cmp::Ordering;
use std::fmt;

use datafusion::logical_expr::Operator;
use trilith_udfs::vector::Reading;

/// Comparisons of one distance with numbers, all of which must hold.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Within(Vec<Comparison>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Comparison {
    /// How the distance is reported to the comparison.
    reading: Reading,
    operator: Operator,
    number: f64,
}

impl Within {
    /// No farther than `distance`.
    pub(in super::super) fn at_most(distance: f64) -> Self {
        Self(vec![Comparison { reading: Reading::Distance, operator: Operator::LtEq, number: distance }])
    }

    /// A distance, read so, compared with a number; `None` when the operator puts none before another.
    pub(super) fn compared(reading: Reading, operator: Operator, number: f64) -> Option<Self> {
        let orders = matches!(operator, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
        orders.then(|| Self(vec![Comparison { reading, operator, number }]))
    }

    /// Asks for what `other` does as well.
    pub(super) fn and(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether a row may be so far away.
    pub(in super::super) fn holds(&self, distance: Option<f64>) -> bool {
        distance.is_some_and(|distance| self.0.iter().all(|comparison| comparison.holds(distance)))
    }

    /// A row farther than this does not satisfy it; `None` when one might at any distance.
    pub(in super::super) fn farthest(&self) -> Option<f64> {
        self.0.iter().filter_map(Comparison::farthest).reduce(f64::min)
    }
}

impl Comparison {
    fn holds(&self, distance: f64) -> bool {
        let order = one_zero(self.reading.of(distance)).total_cmp(&one_zero(self.number));
        match self.operator {
            Operator::Lt => order == Ordering::Less,
            Operator::LtEq => order != Ordering::Greater,
            Operator::Gt => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }
    }

    fn farthest(&self) -> Option<f64> {
        let upwards = matches!(self.operator, Operator::Gt | Operator::GtEq);
        let farthest = match self.reading {
            Reading::Distance if !upwards => self.number,
            Reading::Negated if upwards => -self.number,
            Reading::Complement if upwards => 1.0 - self.number,
            _ => return None,
        };
        farthest.is_finite().then_some(farthest)
    }
}

fn one_zero(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Comparison { reading, operator, number }) in self.0.iter().enumerate() {
            let read = match reading {
                Reading::Distance => "distance",
                Reading::Negated => "-distance",
                Reading::Complement => "1 - distance",
            };
            write!(f, "{}{read} {operator} {number}", if at > 0 { " AND " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn within(reading: Reading, operator: Operator, number: f64) -> Within {
        Within::compared(reading, operator, number).unwrap()
    }

    #[test]
    fn numbers_are_compared_as_sql_compares_them() {
        let near = within(Reading::Distance, Operator::Lt, 0.0);
        assert!(!near.holds(Some(-0.0)) && !near.holds(Some(f64::NAN)) && near.holds(Some(-1.0)));
        assert!(!near.holds(None));
        assert!(within(Reading::Distance, Operator::LtEq, 0.0).holds(Some(-0.0)));
        assert!(within(Reading::Complement, Operator::GtEq, 0.5).holds(Some(0.5)));
        assert!(within(Reading::Distance, Operator::Gt, 9.0).holds(Some(f64::NAN)));
        assert!(within(Reading::Distance, Operator::LtEq, f64::NAN).holds(Some(f64::NAN)));
        assert!(Within::compared(Reading::Distance, Operator::Eq, 1.0).is_none());
    }

    #[test]
    fn the_farthest_is_the_least_that_any_comparison_allows() {
        assert_eq!(within(Reading::Negated, Operator::Gt, 3.0).farthest(), Some(-3.0));
        assert_eq!(within(Reading::Complement, Operator::GtEq, 0.75).farthest(), Some(0.25));
        for far in [
            within(Reading::Distance, Operator::Gt, 3.0),
            within(Reading::Negated, Operator::Lt, 3.0),
            within(Reading::Distance, Operator::Lt, f64::INFINITY),
            within(Reading::Distance, Operator::Lt, f64::NAN),
        ] {
            assert_eq!(far.farthest(), None, "{far}");
        }
        let mut both = within(Reading::Distance, Operator::LtEq, 5.0);
        both.and(within(Reading::Complement, Operator::Gt, -1.0));
        both.and(within(Reading::Distance, Operator::Gt, 1.0));
        assert_eq!(both.farthest(), Some(2.0));
        assert!(both.holds(Some(1.5)) && !both.holds(Some(1.0)) && !both.holds(Some(2.0)));
        assert_eq!(both.to_string(), "distance <= 5 AND 1 - distance > -1 AND distance > 1");
    }
}
