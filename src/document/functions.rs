//! Filters, orders and projections as DataFusion expressions over the column of documents.
//!
//! Each is a function of one argument that carries its path and operands with it: read once, not per
//! row. A test is true or false, never NULL, so `AND`, `OR` and `NOT` join tests as MongoDB does. A test
//! of `_id` by value also says which keys it can be, so that the row is found and not searched for.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryArray, BooleanArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result as DataFusionResult, utils::take_function_args};
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, SortExpr,
    Volatility, lit, not,
};
use parquet_variant::Variant;
use trilith_udfs::document::{Documents, guarded, variant_field};

use super::filter::{Filter, Node};
use super::id::{ID, key_of};
use super::path::Path;
use super::projection::Projection;
use super::sort::{self, Direction, Sort};
use super::test::{Comparison, EncodedTest, Test};
use super::value::Value;
use crate::error::Result;

type Body = dyn Fn(&Documents) -> DataFusionResult<ArrayRef> + Send + Sync;

/// A function of a document with everything else it needs inside.
struct DocumentExpr {
    name: &'static str,
    /// What it carries, for people.
    carried: String,
    /// What it carries, with types: functions are the same when this is.
    identity: String,
    returns: FieldRef,
    body: Box<Body>,
    signature: Signature,
}

impl DocumentExpr {
    fn call(
        name: &'static str,
        (carried, identity): (String, String),
        returns: Field,
        document: Expr,
        body: impl Fn(&Documents) -> DataFusionResult<ArrayRef> + Send + Sync + 'static,
    ) -> Expr {
        let signature = Signature::any(1, Volatility::Immutable);
        let udf =
            Self { name, carried, identity, returns: Arc::new(returns), body: Box::new(body), signature };
        ScalarUDF::new_from_impl(udf).call(vec![document])
    }
}

impl fmt::Debug for DocumentExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.carried)
    }
}

impl PartialEq for DocumentExpr {
    fn eq(&self, other: &Self) -> bool {
        (self.name, &self.identity) == (other.name, &other.identity)
    }
}

impl Eq for DocumentExpr {}

impl Hash for DocumentExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, &self.identity).hash(state);
    }
}

impl ScalarUDFImpl for DocumentExpr {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> DataFusionResult<String> {
        let shown: Vec<String> = args.iter().map(ToString::to_string).collect();
        Ok(format!("{}({} {})", self.name, shown.join(", "), self.carried))
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.returns.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> DataFusionResult<FieldRef> {
        Ok(Arc::clone(&self.returns))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let [documents] = take_function_args(self.name, ColumnarValue::values_to_arrays(&args.args)?)?;
        let documents = Documents::new(&documents)?;
        guarded(self.name, || (self.body)(&documents)).map(ColumnarValue::Array)
    }
}

impl Filter {
    /// The condition on rows with the key `id` and the document `document`.
    ///
    /// # Errors
    /// When an operand cannot be encoded.
    pub(crate) fn condition(&self, id: &Expr, document: &Expr) -> Result<Expr> {
        condition(&self.0, id, document)
    }
}

fn condition(node: &Node, id: &Expr, document: &Expr) -> Result<Expr> {
    let all =
        |nodes: &[Node]| nodes.iter().map(|node| condition(node, id, document)).collect::<Result<Vec<_>>>();
    match node {
        Node::All(nodes) => Ok(conjunction(all(nodes)?).unwrap_or_else(|| lit(true))),
        Node::Any(nodes) => Ok(disjunction(all(nodes)?).unwrap_or_else(|| lit(false))),
        Node::Not(node) => Ok(not(condition(node, id, document)?)),
        Node::Field { path, test } => {
            let tested = matches(path, test, document)?;
            Ok(match keys(path, test) {
                Some(keys) => id.clone().in_list(keys.into_iter().map(lit).collect(), false).and(tested),
                None => tested,
            })
        }
    }
}

/// The keys that rows can have which pass a test of `_id`; `None` when it says nothing of keys.
fn keys(path: &Path, test: &Test) -> Option<Vec<String>> {
    let values: &[Value] = match test {
        Test::Compare(Comparison::Eq, value) => std::slice::from_ref(value),
        Test::In(values) => values,
        _ => return None,
    };
    let is_id = path.steps() == [ID];
    let key = |value: &Value| {
        let (metadata, value) = value.encode().ok()?;
        key_of(&Variant::new(&metadata, &value)).ok()
    };
    values.iter().map(key).collect::<Option<_>>().filter(|_| is_id)
}

fn matches(path: &Path, test: &Test, document: &Expr) -> Result<Expr> {
    let encoded = EncodedTest::new(test)?;
    let carried = (format!("{path} {test}"), format!("{path:?} {test:?}"));
    let path = path.clone();
    let returns = Field::new("matches", DataType::Boolean, false);
    Ok(DocumentExpr::call("matches", carried, returns, document.clone(), move |documents| {
        let operands = encoded.operands();
        let matched = |row| {
            let document = documents.get(row).unwrap_or(Variant::Null);
            encoded.matches(&document, &path, &operands)
        };
        Ok(Arc::new(BooleanArray::from_iter((0..documents.len()).map(|row| Some(matched(row))))))
    }))
}

impl Sort {
    /// The order of rows with the document `document`.
    pub(crate) fn expressions(&self, document: &Expr) -> Vec<SortExpr> {
        let by = |(path, direction): &(Path, Direction)| {
            sort_key(path, *direction, document).sort(*direction == Direction::Ascending, false)
        };
        self.0.iter().map(by).collect()
    }
}

/// The bytes that order documents by `path`.
fn sort_key(path: &Path, direction: Direction, document: &Expr) -> Expr {
    let carried = (format!("{path} {direction:?}"), format!("{path:?} {direction:?}"));
    let path = path.clone();
    let returns = Field::new("sort_key", DataType::Binary, false);
    DocumentExpr::call("sort_key", carried, returns, document.clone(), move |documents| {
        let key = |row| sort::key(documents.get(row).as_ref(), &path, direction);
        Ok(Arc::new(BinaryArray::from_iter_values((0..documents.len()).map(key))))
    })
}

impl Projection {
    /// The documents cut down.
    pub(crate) fn expression(&self, document: &Expr) -> Expr {
        project(self.clone(), document)
    }
}

fn project(projection: Projection, document: &Expr) -> Expr {
    let carried = (format!("{projection:?}"), format!("{projection:?}"));
    DocumentExpr::call("project", carried, variant_field("doc", true), document.clone(), move |documents| {
        let cut = |row| {
            let document = documents.get(row).map_or(Value::Null, |document| Value::from_variant(&document));
            projection.apply(document)
        };
        let cut: Vec<Value> = (0..documents.len()).map(cut).collect();
        Ok(Arc::new(Value::column(&cut)?))
    })
}
