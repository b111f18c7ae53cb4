//! The distance functions: what the two arguments may be and how each pair is computed.
//!
//! A column against one vector is a single scan of the column's buffer; no value is cast or copied
//! for a `Float32`, `Float16`, `Float64`, `Int8` or `UInt8` column. Column against column goes row
//! by row. All metrics are symmetric, so a constant on the left is the same as one on the right.

use super::effort::Effort;
use super::rows::{VectorRows, with_components};
use super::shape;
use crate::kernels::{self, Element, Metric};
use arrow::array::{ArrayRef, Float64Array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, utils::take_function_args};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// How a function reports the distance of its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reading {
    /// As it is: lower is closer.
    Distance,
    /// Negated: higher is closer (the inner product).
    Negated,
    /// `1 - distance`: higher is closer (the cosine similarity).
    Complement,
}

impl Reading {
    /// What the function gives for a distance.
    pub fn of(self, distance: f64) -> f64 {
        match self {
            Reading::Distance => distance,
            // Subtracted, so that nothing times nothing is 0 and not -0.
            Reading::Negated => 0.0 - distance,
            Reading::Complement => 1.0 - distance,
        }
    }
}

/// A function of two vectors that reports the distance of a metric.
///
/// An optimizer finds it by downcasting a [`ScalarUDF`]'s implementation, and reads from it
/// which search an `ORDER BY` of it is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct DistanceFunction {
    name: &'static str,
    aliases: Vec<String>,
    metric: Metric,
    reading: Reading,
    /// Of a search ordered by this function.
    effort: Effort,
    signature: Signature,
}

impl DistanceFunction {
    pub(super) fn udf(name: &'static str, aliases: &[&str], metric: Metric, reading: Reading) -> ScalarUDF {
        let aliases = aliases.iter().map(ToString::to_string).collect();
        let signature = Signature::any(2, Volatility::Immutable);
        ScalarUDF::new_from_impl(Self {
            name,
            aliases,
            metric,
            reading,
            effort: Effort::default(),
            signature,
        })
    }

    /// The same function, telling a search ordered by it how much of the nearest rows is enough.
    pub fn with_effort(&self, effort: Effort) -> ScalarUDF {
        let Self { name, metric, reading, .. } = *self;
        let (aliases, signature) = (self.aliases.clone(), self.signature.clone());
        ScalarUDF::new_from_impl(Self { name, aliases, metric, reading, effort, signature })
    }

    /// What a search ordered by it has to find.
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// The metric whose distance this function reports.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How the distance is reported.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    fn rows_to_constant(&self, rows: &VectorRows, query: &[f64]) -> Result<Float64Array> {
        let distances = with_components!(rows, |values| self.scan(values, rows, query)?);
        match distances {
            Some(distances) => Ok(Float64Array::new(distances, rows.nulls().cloned())),
            // The query has components that the integers of the column cannot hold.
            None => self.rows_to_constant(&rows.cast(&DataType::Float64)?, query),
        }
    }

    /// The distances of all rows that are not null to `query`, in the kernels of `T`.
    fn scan<T: Element>(
        &self,
        values: &[T],
        rows: &VectorRows,
        query: &[f64],
    ) -> Result<Option<ScalarBuffer<f64>>> {
        if let Some(length) = rows.fixed_length() {
            self.check_lengths(length, query.len())?;
        }
        let Some(query) = query.iter().map(|number| T::query(*number)).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let mut distances = vec![0.0; rows.len()];
        let mut row = 0;
        while row < rows.len() {
            let run = self.run(rows, row, query.len())?;
            if run > 0 {
                let values = &values[rows.span(row).start..];
                let out = &mut distances[row..row + run];
                T::scan(self.metric, &query, values, query.len(), run, |index, distance| {
                    out[index] = self.reading.of(distance);
                });
            }
            row += run.max(1);
        }
        Ok(Some(distances.into()))
    }

    /// How many rows from `row` on lie one after the other in the buffer and can be scanned at once.
    fn run(&self, rows: &VectorRows, row: usize, length: usize) -> Result<usize> {
        if rows.fixed_length().is_some() {
            return Ok(rows.len() - row);
        }
        let mut run = 0;
        while row + run < rows.len() && !rows.is_null(row + run) {
            self.check_lengths(rows.span(row + run).len(), length)?;
            run += 1;
        }
        Ok(run)
    }

    fn rows_to_rows(&self, left: &VectorRows, right: &VectorRows) -> Result<Float64Array> {
        if let Some(common) = common_type(left.components().data_type(), right.components().data_type()) {
            return self.rows_to_rows(&left.cast(&common)?, &right.cast(&common)?);
        }
        let nulls = NullBuffer::union(left.nulls(), right.nulls());
        let mut distances = vec![0.0; left.len()];
        for (row, slot) in distances.iter_mut().enumerate() {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                let (a, b) = (left.span(row), right.span(row));
                self.check_lengths(a.len(), b.len())?;
                *slot = self.reading.of(pair(self.metric, left, right, a.start, b.start, a.len()));
            }
        }
        Ok(Float64Array::new(distances.into(), nulls))
    }

    fn check_lengths(&self, left: usize, right: usize) -> Result<()> {
        if left == right {
            return Ok(());
        }
        exec_err!("{}", shape::length_mismatch(self.name, left, right))
    }

    /// Compares the lengths that types and constants fix, so that a wrong query fails on no rows too.
    fn check_constants(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<()> {
        let length = |data_type: &DataType, constant: &Option<&ScalarValue>| match constant {
            Some(constant) if !constant.is_null() => {
                let rows = VectorRows::new(self.name, &constant.to_array()?)?;
                Ok((!rows.is_null(0)).then(|| rows.span(0).len()))
            }
            _ => Ok(shape::fixed_length(data_type)),
        };
        let lengths = types.iter().zip(constants).map(|(data_type, constant)| length(data_type, constant));
        match lengths.collect::<Result<Vec<_>>>()?[..] {
            [Some(left), Some(right)] => self.check_lengths(left, right),
            _ => Ok(()),
        }
    }

    fn column_to_constant(&self, column: &ArrayRef, constant: &ScalarValue) -> Result<ArrayRef> {
        let constant = VectorRows::new(self.name, &constant.to_array()?)?;
        if constant.is_null(0) {
            return Ok(Arc::new(Float64Array::new_null(column.len())));
        }
        let rows = VectorRows::new(self.name, column)?;
        Ok(Arc::new(self.rows_to_constant(&rows, &constant.numbers(0)?)?))
    }
}

/// The type both sides are cast to before they are compared, if they must be.
fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{Float16, Float32, Float64};
    match (left, right) {
        (Float16, _) | (_, Float16) if left != &Float64 && right != &Float64 => Some(Float32),
        (left, right) if left == right => None,
        (Float64, _) | (_, Float64) => Some(Float64),
        _ => Some(Float32),
    }
}

/// The distance of two rows whose components have the same type, which is not `Float16`.
fn pair(metric: Metric, left: &VectorRows, right: &VectorRows, a: usize, b: usize, length: usize) -> f64 {
    use arrow::array::AsArray as _;
    use arrow::datatypes::{Float32Type, Float64Type, Int8Type, UInt8Type};
    macro_rules! compare {
        ($arrow:ty, $element:ty) => {{
            let left = left.components().as_primitive::<$arrow>().values();
            let right = right.components().as_primitive::<$arrow>().values();
            kernels::distance::<$element>(metric, &left[a..a + length], &right[b..b + length])
        }};
    }
    match left.components().data_type() {
        DataType::Float32 => compare!(Float32Type, f32),
        DataType::Int8 => compare!(Int8Type, i8),
        DataType::UInt8 => compare!(UInt8Type, u8),
        _ => compare!(Float64Type, f64),
    }
}

impl ScalarUDFImpl for DistanceFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        shape::check(self.name, arg_types, 2)?;
        Ok(DataType::Float64)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let data_type = self.return_type(&types)?;
        self.check_constants(&types, args.scalar_arguments)?;
        Ok(Arc::new(Field::new(self.name, data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        use ColumnarValue::{Array, Scalar};
        let [left, right] = take_function_args(self.name, &args.args)?;
        match (left, right) {
            (Array(column), Scalar(constant)) | (Scalar(constant), Array(column)) => {
                Ok(Array(self.column_to_constant(column, constant)?))
            }
            (Array(left), Array(right)) => {
                let left = VectorRows::new(self.name, left)?;
                let right = VectorRows::new(self.name, right)?;
                Ok(Array(Arc::new(self.rows_to_rows(&left, &right)?)))
            }
            (Scalar(left), Scalar(right)) => {
                let distance = self.column_to_constant(&left.to_array()?, right)?;
                Ok(Scalar(ScalarValue::try_from_array(&distance, 0)?))
            }
        }
    }
}
