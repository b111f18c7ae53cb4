//! `max_sim(document, query [, metric])`: late interaction between two lists of vectors (Khattab and Zaharia, ColBERT, SIGIR 2020).

use super::matrices::Matrices;
use super::max_sim_query::MaxSimQuery;
use super::shape;
use crate::columnar::shaped_like;
use crate::kernels::Metric;
use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use std::str::FromStr;
use std::sync::Arc;

const NAME: &str = "max_sim";

/// `max_sim(document, query [, metric])`: for each vector of the query its greatest similarity with a vector of the document, and
/// the sum of those; higher is closer.
///
/// The similarity is the cosine (0 with a zero vector), or with `'inner_product'` the inner product. Vectors that are null, or
/// have a null component, count for nothing; where a side has no other, the result is null.
pub fn max_sim_udf() -> ScalarUDF {
    let forms = vec![TypeSignature::Any(2), TypeSignature::Any(3)];
    ScalarUDF::new_from_impl(MaxSimFunction { signature: Signature::one_of(forms, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MaxSimFunction {
    signature: Signature,
}

impl MaxSimFunction {
    fn scores(&self, documents: &ArrayRef, query: &ColumnarValue, metric: Metric) -> Result<Float64Array> {
        let mut scales = vec![];
        match query {
            ColumnarValue::Scalar(query) => {
                let Some(query) = MaxSimQuery::new(NAME, metric, query)? else {
                    return Ok(Float64Array::new_null(documents.len()));
                };
                let documents = Matrices::new(NAME, documents)?;
                (0..documents.len()).map(|row| query.score(&documents, row, &mut scales)).collect()
            }
            ColumnarValue::Array(queries) => {
                let (documents, queries) = (Matrices::new(NAME, documents)?, Matrices::new(NAME, queries)?);
                let score = |row| match MaxSimQuery::of_row(NAME, metric, &queries, row)? {
                    Some(query) => query.score(&documents, row, &mut scales),
                    None => Ok(None),
                };
                (0..documents.len()).map(score).collect()
            }
        }
    }
}

/// The metric that a third argument names.
fn metric(argument: Option<&ScalarValue>) -> Result<Metric> {
    let Some(argument) = argument else { return Ok(Metric::Cosine) };
    let Some(Some(name)) = argument.try_as_str() else {
        return plan_err!("{NAME}: the metric must be 'cosine' or 'inner_product', not {argument}");
    };
    let metric = Metric::from_str(name).map_err(|error| plan_datafusion_err!("{NAME}: {error}"))?;
    match metric {
        Metric::Cosine | Metric::InnerProduct => Ok(metric),
        other => plan_err!("{NAME}: the metric must be 'cosine' or 'inner_product', not '{other}'"),
    }
}

impl ScalarUDFImpl for MaxSimFunction {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        for (at, data_type) in types.iter().take(2).enumerate() {
            if !shape::is_multivector(data_type) && !data_type.is_null() {
                return plan_err!(
                    "{NAME}: argument {} is of type {data_type}; give a list of vectors such as [[0.1, 0.2], [0.3, 0.4]], or \
                     a VECTOR(n)[] column",
                    at + 1
                );
            }
        }
        Ok(DataType::Float64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let data_type = self.return_type(&types)?;
        let constant = |at: usize| args.scalar_arguments.get(at).copied().flatten();
        let metric = match (types.len(), constant(2)) {
            (3, None) => return plan_err!("{NAME}: the metric must be a constant"),
            (_, named) => metric(named)?,
        };
        if let Some(query) = constant(1)
            && let Some(query) = MaxSimQuery::new(NAME, metric, query)?
        {
            query.check_fits(&types[0])?;
        }
        Ok(Arc::new(Field::new(NAME, data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let metric = match args.args.get(2) {
            Some(ColumnarValue::Scalar(named)) => metric(Some(named))?,
            Some(ColumnarValue::Array(_)) => return plan_err!("{NAME}: the metric must be a constant"),
            None => Metric::Cosine,
        };
        let [documents, query, ..] = args.args.as_slice() else {
            return plan_err!("{NAME} takes two lists of vectors and a metric, got {}", args.args.len());
        };
        let null = |value: &ColumnarValue| value.data_type().is_null();
        let scores = match documents {
            _ if null(documents) || null(query) => Float64Array::new_null(rows(&args)),
            ColumnarValue::Array(documents) => self.scores(documents, query, metric)?,
            ColumnarValue::Scalar(one) => self.scores(&one.to_array_of_size(rows(&args))?, query, metric)?,
        };
        shaped_like(&args.args, Arc::new(scores))
    }
}

/// Rows that are computed: one where all arguments are constants.
fn rows(args: &ScalarFunctionArgs) -> usize {
    let columns = args.args.iter().any(|arg| matches!(arg, ColumnarValue::Array(_)));
    if columns { args.number_rows } else { 1 }
}
