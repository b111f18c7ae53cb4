//! One condition on the values at one path: `$eq`, `$gt`, `$in`, `$exists` and their kin.
//!
//! A list satisfies a condition if it does as a whole or one of its items does. Orders exist only
//! between values of one kind. A missing field counts as null.

use std::cmp::Ordering;
use std::fmt;
use std::ops::ControlFlow;

use parquet_variant::Variant;

use super::number::Number;
use super::order::{Kind, compare, kind};
use super::path::Path;
use super::value::Value;
use crate::error::Result;

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Gt,
    Gte,
    Lt,
    Lte,
}

/// A condition on the values at a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Compare(Comparison, Value),
    In(Vec<Value>),
    Exists,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Gt => order.is_gt(),
            Self::Gte => order.is_ge(),
            Self::Lt => order.is_lt(),
            Self::Lte => order.is_le(),
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Gt => ">",
            Self::Gte => ">=",
            Self::Lt => "<",
            Self::Lte => "<=",
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(comparison, value) => write!(f, "{} {value}", comparison.sign()),
            Self::In(values) => write!(f, "IN {}", Value::List(values.clone())),
            Self::Exists => f.write_str("EXISTS"),
        }
    }
}

/// A test with its operands encoded, ready for many documents.
#[derive(Debug)]
pub(super) struct EncodedTest {
    comparison: Option<Comparison>,
    operands: Vec<(Vec<u8>, Vec<u8>)>,
}

impl EncodedTest {
    pub(super) fn new(test: &Test) -> Result<Self> {
        let (comparison, operands) = match test {
            Test::Compare(comparison, value) => (Some(*comparison), vec![value.encode()?]),
            Test::In(values) => {
                (Some(Comparison::Eq), values.iter().map(Value::encode).collect::<Result<_>>()?)
            }
            Test::Exists => (None, vec![]),
        };
        Ok(Self { comparison, operands })
    }

    /// The operands, decoded for a run of documents.
    pub(super) fn operands(&self) -> Vec<Variant<'_, '_>> {
        self.operands.iter().map(|(metadata, value)| Variant::new(metadata, value)).collect()
    }

    /// Whether some value at `path` satisfies the test; `operands` are those of [`Self::operands`].
    pub(super) fn matches(
        &self,
        document: &Variant<'_, '_>,
        path: &Path,
        operands: &[Variant<'_, '_>],
    ) -> bool {
        let mut visit = |found: Option<&Variant<'_, '_>>| match self.holds(found, operands) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        path.visit(document, &mut visit).is_break()
    }

    fn holds(&self, found: Option<&Variant<'_, '_>>, operands: &[Variant<'_, '_>]) -> bool {
        let Some(comparison) = self.comparison else { return found.is_some() };
        let found = found.unwrap_or(&Variant::Null);
        let any =
            |value: &Variant<'_, '_>| operands.iter().any(|operand| satisfies(comparison, value, operand));
        any(found) || matches!(found, Variant::List(items) if items.iter().any(|item| any(&item)))
    }
}

fn satisfies(comparison: Comparison, value: &Variant<'_, '_>, operand: &Variant<'_, '_>) -> bool {
    let same = kind(operand);
    if kind(value) != same {
        return false;
    }
    let order = compare(value, operand);
    let is_nan = |value| matches!(Number::of(value), Some(Number::Float(float)) if float.is_nan());
    if same == Kind::Number && !order.is_eq() && (is_nan(value) || is_nan(operand)) {
        return false;
    }
    comparison.holds(order)
}
