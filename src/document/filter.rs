//! MongoDB's query language as a tree: `{"age": {"$gt": 18}, "$or": [...]}`.
//!
//! Reading is strict: an operator that is not known is refused by name, never passed over, because a
//! filter that is too wide deletes too much.

use trilith_engine::Error as EngineError;

use super::path::Path;
use super::test::{Comparison, Test};
use super::value::{IntoValue, Value};
use crate::error::{Error, Result};

/// Operators that join filters.
const JOINING: &str = "$and, $or, $nor";
/// Operators that test a field.
const TESTING: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $not";

/// Tests in one filter: a chain of more would be planned as deep as it is long.
const TESTS_MAX: usize = 1_000;

/// A condition on documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(pub(super) Node);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Field { path: Path, test: Test },
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// `Invalid` for an operator that does not exist or an operand it does not take.
    pub fn parse(filter: impl IntoValue) -> Result<Self> {
        let node = document(&filter.into_value()?)?;
        let tests = node.tests();
        if tests > TESTS_MAX {
            let what = "tests in one filter (use $in for many values of one field)".into();
            return Err(EngineError::Limit { what, got: tests as u64, max: TESTS_MAX as u64 }.into());
        }
        Ok(Self(node))
    }
}

impl Node {
    fn tests(&self) -> usize {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().map(Self::tests).sum(),
            Self::Not(node) => node.tests(),
            Self::Field { .. } => 1,
        }
    }
}

fn invalid(what: &str, why: impl Into<String>) -> Error {
    Error::invalid(format!("filter operator {what}"), why)
}

fn document(filter: &Value) -> Result<Node> {
    let Value::Object(fields) = filter else {
        return Err(Error::invalid(
            "filter",
            format!("it must be an object such as {{\"a\": 1}}, not {filter}"),
        ));
    };
    let conditions = fields.iter().map(|(name, value)| match name.strip_prefix('$') {
        Some(_) => joined(name, value),
        None => field(&Path::parse(name)?, value),
    });
    conditions.collect::<Result<_>>().map(Node::All)
}

fn joined(operator: &str, value: &Value) -> Result<Node> {
    let join: fn(Vec<Node>) -> Node = match operator {
        "$and" => Node::All,
        "$or" => Node::Any,
        "$nor" => |nodes| Node::Not(Box::new(Node::Any(nodes))),
        _ => return Err(invalid(operator, format!("it is not known here; filters are joined by {JOINING}"))),
    };
    match value {
        Value::List(filters) if !filters.is_empty() => {
            Ok(join(filters.iter().map(document).collect::<Result<_>>()?))
        }
        _ => Err(invalid(operator, "it takes a list of at least one filter")),
    }
}

fn field(path: &Path, value: &Value) -> Result<Node> {
    match value {
        Value::Object(fields) if fields.keys().any(|name| name.starts_with('$')) => {
            let tests = fields.iter().map(|(operator, operand)| tested(path, operator, operand));
            tests.collect::<Result<_>>().map(Node::All)
        }
        value => Ok(test(path, Test::Compare(Comparison::Eq, value.clone()))),
    }
}

fn test(path: &Path, test: Test) -> Node {
    Node::Field { path: path.clone(), test }
}

fn not(node: Node) -> Node {
    Node::Not(Box::new(node))
}

fn tested(path: &Path, operator: &str, operand: &Value) -> Result<Node> {
    let compared = |comparison| test(path, Test::Compare(comparison, operand.clone()));
    Ok(match operator {
        "$eq" => compared(Comparison::Eq),
        "$ne" => not(compared(Comparison::Eq)),
        "$gt" => compared(Comparison::Gt),
        "$gte" => compared(Comparison::Gte),
        "$lt" => compared(Comparison::Lt),
        "$lte" => compared(Comparison::Lte),
        "$in" => test(path, Test::In(list(operator, operand)?)),
        "$nin" => not(test(path, Test::In(list(operator, operand)?))),
        "$exists" if truth(operator, operand)? => test(path, Test::Exists),
        "$exists" => not(test(path, Test::Exists)),
        "$not" => not(negated(path, operand)?),
        other => {
            let why =
                format!("it is not known; a field is tested by {TESTING}, filters are joined by {JOINING}");
            return Err(invalid(other, why));
        }
    })
}

fn negated(path: &Path, operand: &Value) -> Result<Node> {
    match operand {
        Value::Object(fields) if fields.keys().any(|name| name.starts_with('$')) => field(path, operand),
        _ => {
            Err(invalid("$not", "it takes operators, such as {\"$not\": {\"$gt\": 5}}; use $ne for a value"))
        }
    }
}

fn list(operator: &str, operand: &Value) -> Result<Vec<Value>> {
    match operand {
        Value::List(values) => Ok(values.clone()),
        _ => Err(invalid(operator, format!("it takes a list of values, not {operand}"))),
    }
}

fn truth(operator: &str, operand: &Value) -> Result<bool> {
    match operand {
        Value::Bool(truth) => Ok(*truth),
        Value::Scalar(number) if super::number::Number::of(number).is_some() => {
            Ok(super::number::Number::of(number).is_some_and(|number| number.as_f64() != 0.0))
        }
        _ => Err(invalid(operator, format!("it takes true or false, not {operand}"))),
    }
}
