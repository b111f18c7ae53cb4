//! What a search function is called with: names, defaults, and the values of one call.
//!
//! Each argument is a constant or a parameter; a parameter's value is taken from the call, because a table
//! function is asked for its columns before DataFusion puts parameters into plans.

use std::fmt;
use std::str::FromStr;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ParamValues, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use trilith_udfs::kernels::Metric;
use trilith_udfs::vector::Effort;

/// A function and its arguments: those that must be given, then those with a default.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    pub(super) arguments: &'static [Argument],
    pub(super) example: &'static str,
}

/// One argument.
#[derive(Debug)]
pub(super) struct Argument {
    pub name: &'static str,
    pub default: Option<Default>,
}

/// The value of an argument that is not given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Default {
    Whole(u32),
    Real(f64),
    Text(&'static str),
    /// The only column of the table that can be searched so.
    OnlyColumn,
    Nothing,
}

/// Rows that are found when a call does not say how many.
pub(super) const K_DEFAULT: u32 = 10;

/// How many rows a search may find, for EXPLAIN.
pub(super) struct Most(pub usize);

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == usize::MAX { f.write_str("all") } else { self.0.fmt(f) }
    }
}

/// An argument that must be given.
pub(super) const fn required(name: &'static str) -> Argument {
    Argument { name, default: None }
}

/// An argument that may be left out.
pub(super) const fn optional(name: &'static str, default: Default) -> Argument {
    Argument { name, default: Some(default) }
}

impl Signature {
    /// Names of the arguments, in their order.
    pub(super) fn names(&self) -> String {
        self.arguments.iter().map(|argument| argument.name).collect::<Vec<_>>().join(", ")
    }

    /// Place of an argument.
    pub(super) fn place(&self, name: &str) -> Result<usize> {
        let known = self.arguments.iter().position(|argument| name.eq_ignore_ascii_case(argument.name));
        known.ok_or_else(|| {
            plan_datafusion_err!("{} has no argument {name:?}; there are {}", self.name, self.names())
        })
    }

    /// The name of the argument at a place, for a message.
    pub(super) fn name_at(&self, at: usize) -> &'static str {
        self.arguments.get(at).map_or("argument", |argument| argument.name)
    }
}

impl Default {
    fn value(self) -> ScalarValue {
        match self {
            Self::Whole(number) => ScalarValue::from(i64::from(number)),
            Self::Real(number) => ScalarValue::from(number),
            Self::Text(text) => ScalarValue::from(text),
            Self::OnlyColumn | Self::Nothing => ScalarValue::Null,
        }
    }
}

/// The values of one call.
pub(crate) struct Call {
    pub(super) signature: &'static Signature,
    values: Vec<ScalarValue>,
}

impl Call {
    /// Reads the arguments of a call.
    ///
    /// # Errors
    /// When there are too few or too many, or one is no constant; the message names it.
    pub(super) fn read(
        signature: &'static Signature,
        given: &[Expr],
        params: Option<&ParamValues>,
    ) -> Result<Self> {
        let last_needed = signature.arguments.iter().rposition(|argument| argument.default.is_none());
        let needed = last_needed.map_or(0, |last| last + 1);
        if !(needed..=signature.arguments.len()).contains(&given.len()) {
            let (function, names, example) = (signature.name, signature.names(), signature.example);
            return plan_err!(
                "{function} takes {names}, of which the first {needed} must be given: {example}; got {} argument(s)",
                given.len()
            );
        }
        let given = given.iter().enumerate().map(|(at, given)| constant(signature, at, given, params));
        Ok(Self::with_defaults(signature, given.map(|value| value.map(Some)).collect::<Result<_>>()?))
    }

    /// A call with arguments by name.
    ///
    /// # Errors
    /// When one is missing or unknown; the message names it.
    pub(super) fn named(signature: &'static Signature, given: &[(String, ScalarValue)]) -> Result<Self> {
        let mut values = vec![None; signature.arguments.len()];
        for (name, value) in given {
            values[signature.place(name)?] = Some(value.clone());
        }
        let missing =
            |(value, argument): (&Option<_>, &Argument)| value.is_none() && argument.default.is_none();
        match values.iter().zip(signature.arguments).position(missing) {
            Some(at) => plan_err!("{}: the {} is missing", signature.name, signature.name_at(at)),
            None => Ok(Self::with_defaults(signature, values)),
        }
    }

    fn with_defaults(signature: &'static Signature, mut given: Vec<Option<ScalarValue>>) -> Self {
        given.resize(signature.arguments.len(), None);
        let value = |(given, argument): (Option<_>, &Argument)| {
            given.unwrap_or_else(|| argument.default.map_or(ScalarValue::Null, Default::value))
        };
        Self { signature, values: given.into_iter().zip(signature.arguments).map(value).collect() }
    }

    /// The value of an argument.
    pub(super) fn value(&self, name: &str) -> Result<&ScalarValue> {
        Ok(&self.values[self.signature.place(name)?])
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        let value = self.value(name)?;
        value.try_as_str().flatten().map(str::to_owned).ok_or_else(|| {
            plan_datafusion_err!(
                "{}: the {name} must be a text such as 'items', not {value}",
                self.signature.name
            )
        })
    }

    /// What is looked for, which is not NULL.
    pub(super) fn query(&self, name: &str, such_as: &str) -> Result<ScalarValue> {
        let query = self.value(name)?;
        if query.is_null() {
            return plan_err!("{}: the {name} is NULL; give {such_as}", self.signature.name);
        }
        Ok(query.clone())
    }

    /// A number of rows.
    pub(super) fn count(&self, name: &str) -> Result<usize> {
        let value = self.value(name)?;
        let whole = value.data_type().is_integer().then(|| value.cast_to(&DataType::UInt64));
        match whole {
            Some(Ok(ScalarValue::UInt64(Some(k)))) if k > 0 => Ok(usize::try_from(k).unwrap_or(usize::MAX)),
            _ => plan_err!("{}: {name} must be a whole number above 0, not {value}", self.signature.name),
        }
    }

    /// A whole number that is not below 0.
    pub(super) fn whole(&self, name: &str) -> Result<u64> {
        let value = self.value(name)?;
        let whole = value.data_type().is_integer().then(|| value.cast_to(&DataType::UInt64));
        match whole {
            Some(Ok(ScalarValue::UInt64(Some(number)))) => Ok(number),
            _ => plan_err!("{}: {name} must be a whole number not below 0, not {value}", self.signature.name),
        }
    }

    /// As [`Call::count`], where NULL, or what no table has, stands for all: the greatest number.
    pub(super) fn count_or_all(&self, name: &str) -> Result<usize> {
        let count = if self.value(name)?.is_null() { usize::MAX } else { self.count(name)? };
        Ok(if count < i64::MAX as usize { count } else { usize::MAX })
    }

    /// A distance that none is to exceed, unless it is NULL.
    pub(super) fn distance(&self, name: &str) -> Result<Option<f64>> {
        let value = self.value(name)?;
        match value.cast_to(&DataType::Float64) {
            _ if value.is_null() => Ok(None),
            Ok(ScalarValue::Float64(Some(distance))) if distance.is_finite() => Ok(Some(distance)),
            _ => plan_err!("{}: {name} must be a distance such as 0.5, not {value}", self.signature.name),
        }
    }

    /// Names, given as one text or as a list; none when it is NULL.
    pub(super) fn names(&self, name: &str) -> Result<Vec<String>> {
        let value = self.value(name)?;
        let list = match value {
            ScalarValue::List(list) => ScalarValue::convert_array_to_scalar_vec(list.as_ref())?,
            _ if value.is_null() => vec![],
            _ => vec![Some(vec![value.clone()])],
        };
        let text = |value: ScalarValue| value.try_as_str().flatten().map(str::to_owned);
        let names: Option<Vec<String>> = list.into_iter().flatten().flatten().map(text).collect();
        names.ok_or_else(|| {
            plan_datafusion_err!(
                "{}: {name} must be the name of a column, or a list of names, not {value}",
                self.signature.name
            )
        })
    }

    /// A number that is not below 0.
    pub(super) fn weight(&self, name: &str) -> Result<f64> {
        let value = self.value(name)?;
        match value.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(Some(weight))) if weight.is_finite() && weight >= 0.0 => Ok(weight),
            _ => plan_err!("{}: {name} must be a number not below 0, not {value}", self.signature.name),
        }
    }

    /// A distance.
    pub(super) fn metric(&self, name: &str) -> Result<Metric> {
        let metric = Metric::from_str(&self.text(name)?);
        metric.map_err(|error| plan_datafusion_err!("{}: {error}", self.signature.name))
    }

    /// A number from 0 to 1.
    pub(super) fn share(&self, name: &str) -> Result<f64> {
        let share = self.weight(name)?;
        match share <= 1.0 {
            true => Ok(share),
            false => plan_err!("{}: {name} must be a number from 0 to 1, not {share}", self.signature.name),
        }
    }

    /// The share of the nearest rows to find.
    pub(super) fn effort(&self) -> Result<Effort> {
        let value = self.value("recall")?;
        match value.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(None)) => Ok(Effort::default()),
            Ok(ScalarValue::Float64(Some(recall))) if (0.5..=1.0).contains(&recall) => {
                Ok(Effort::of_recall(recall))
            }
            _ => plan_err!(
                "{}: recall must be a number from 0.5 to 1 (exact, the default without an index), not {value}",
                self.signature.name
            ),
        }
    }

    /// The share of the nearest rows to find, and bounds of the work.
    pub(super) fn tuned_effort(&self) -> Result<Effort> {
        let given = |name| if self.value(name)?.is_null() { Ok(None) } else { self.count(name).map(Some) };
        let epsilon = if self.value("epsilon")?.is_null() { None } else { Some(self.weight("epsilon")?) };
        let mut effort = self.effort()?.with_epsilon(epsilon);
        (effort.nprobe, effort.ef_search) = (given("nprobe")?, given("ef_search")?);
        effort.rescore = given("rescore")?;
        Ok(effort)
    }
}

fn constant(
    signature: &Signature,
    at: usize,
    argument: &Expr,
    params: Option<&ParamValues>,
) -> Result<ScalarValue> {
    match (argument, params) {
        (Expr::Literal(value, _), _) => Ok(value.clone()),
        (Expr::Placeholder(placeholder), Some(params)) => {
            Ok(params.get_placeholders_with_values(&placeholder.id)?.value)
        }
        _ => plan_err!(
            "{}: the {} must be a constant or a parameter, not {argument}",
            signature.name,
            signature.name_at(at)
        ),
    }
}
