//! `nearest_join(mode, k, order, expr)`: the condition that stands for a nearest join until a plan is made of it. It has no value.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use trilith_udfs::vector::{DistanceFunction, Reading};

/// Its name.
pub(super) const NEAREST_MARKER: &str = "nearest_join";

/// The share of the nearest that `APPROX` finds.
const RECALL: f64 = 0.98;

/// The function.
pub(crate) fn nearest_marker_udf() -> ScalarUDF {
    // Volatile, so that nobody moves it, and any types: they are looked at when it is read.
    ScalarUDF::new_from_impl(NearestMarker { signature: Signature::variadic_any(Volatility::Volatile) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NearestMarker {
    signature: Signature,
}

impl ScalarUDFImpl for NearestMarker {
    fn name(&self) -> &str {
        NEAREST_MARKER
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        plan_err!("NEAREST stands in a join: FROM a JOIN b EXACT NEAREST 3 BY DISTANCE l2_distance(a.v, b.v)")
    }
}

/// What a marker asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// The distance of two vectors.
    pub distance: Expr,
    pub k: usize,
    /// The share of the nearest to find; 1 is all.
    pub recall: f64,
}

impl Asked {
    /// Reads a condition; `None` when it is no marker.
    ///
    /// # Errors
    /// When what it asks for is no nearest join.
    pub(super) fn read(condition: &Expr) -> Result<Option<Self>> {
        let Expr::ScalarFunction(call) = condition else { return Ok(None) };
        if !call.func.inner().is::<NearestMarker>() {
            return Ok(None);
        }
        let [mode, k, order, distance] = call.args.as_slice() else {
            return plan_err!("{NEAREST_MARKER} takes 4 arguments; write NEAREST in a join");
        };
        check_order(order, distance)?;
        let recall = if is_text(mode, "APPROX") { RECALL } else { 1.0 };
        Ok(Some(Self { distance: distance.clone(), k: count(k)?, recall }))
    }
}

fn is_text(expr: &Expr, wanted: &str) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.try_as_str() == Some(Some(wanted)))
}

fn count(k: &Expr) -> Result<usize> {
    let count = match k {
        Expr::Literal(value, _) if value.data_type().is_integer() => value.cast_to(&DataType::UInt64).ok(),
        _ => None,
    };
    match count {
        Some(ScalarValue::UInt64(Some(count))) if count > 0 => {
            Ok(usize::try_from(count).unwrap_or(usize::MAX))
        }
        _ => plan_err!("NEAREST takes a whole number of rows above 0, not {k}"),
    }
}

/// The vector function that an expression is.
pub(super) fn distance_function(expr: &Expr) -> Result<&DistanceFunction> {
    let function = match expr {
        Expr::ScalarFunction(call) => call.func.inner().downcast_ref::<DistanceFunction>(),
        _ => None,
    };
    function.ok_or_else(|| {
        plan_datafusion_err!(
            "a nearest join is by a function of two vectors, such as l2_distance(a.v, b.v), not {expr}"
        )
    })
}

fn check_order(order: &Expr, distance: &Expr) -> Result<()> {
    use ScalarUDFImpl as _;
    let function = distance_function(distance)?;
    let grows_with_distance = function.reading() == Reading::Distance;
    match grows_with_distance == is_text(order, "DISTANCE") {
        true => Ok(()),
        false => plan_err!(
            "{} grows with the {}; write BY {1}",
            function.name(),
            if grows_with_distance { "DISTANCE" } else { "SIMILARITY" }
        ),
    }
}
