//! Which fields of a document are returned: `{"name": 1, "meta.login": 1}` or `{"secret": 0}`.
//!
//! Either fields are named to be kept or to be left out, not both; only `_id` may be left out of a
//! document cut to named fields. A path goes into the objects of a list.

use std::collections::BTreeMap;

use super::id::ID;
use super::number::Number;
use super::path::Path;
use super::value::{IntoValue, Value};
use crate::error::{Error, Result};

/// What to keep of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    keep: bool,
    /// The paths that are kept, or left out.
    paths: Vec<Path>,
}

impl Projection {
    /// Reads a projection.
    ///
    /// # Errors
    /// `Invalid` when it mixes both ways or holds anything but 0, 1, false and true.
    pub fn parse(projection: impl IntoValue) -> Result<Self> {
        let value = projection.into_value()?;
        let Value::Object(fields) = &value else {
            return Err(Error::invalid(
                "projection",
                format!("it must be an object such as {{\"a\": 1}}, not {value}"),
            ));
        };
        let mut paths = vec![];
        let (mut ways, mut id) = (vec![], None);
        for (name, value) in fields {
            let keep = flag(name, value)?;
            if name == ID {
                id = Some(keep);
                continue;
            }
            ways.push(keep);
            paths.push(Path::parse(name)?);
        }
        let keep = ways.first().copied().or(id).unwrap_or(false);
        if ways.iter().any(|way| *way != keep) {
            return Err(Error::invalid(
                "projection",
                "it both keeps fields (1) and leaves fields out (0); choose one",
            ));
        }
        if id.unwrap_or(true) == keep {
            paths.push(Path::parse(ID)?);
        }
        Ok(Self { keep, paths })
    }

    /// The document cut down.
    #[must_use]
    pub fn apply(&self, document: Value) -> Value {
        let steps: Vec<&[String]> = self.paths.iter().map(Path::steps).collect();
        if self.keep { kept(document, &steps) } else { without(document, &steps) }
    }
}

fn flag(name: &str, value: &Value) -> Result<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Scalar(number) if Number::of(number).is_some() => {
            Ok(Number::of(number).is_some_and(|number| number.as_f64() != 0.0))
        }
        other => Err(Error::invalid(
            format!("projection of {name:?}"),
            format!("it takes 1 (keep) or 0 (leave out), not {other}"),
        )),
    }
}

/// The paths that go through the field `name`, below it; `None` when one ends there.
fn below<'a>(name: &str, paths: &[&'a [String]]) -> Option<Vec<&'a [String]>> {
    let through = paths.iter().filter_map(|path| path.split_first()).filter(|(step, _)| *step == name);
    let rests: Vec<&[String]> = through.map(|(_, rest)| rest).collect();
    (!rests.iter().any(|rest| rest.is_empty())).then_some(rests)
}

fn kept(value: Value, paths: &[&[String]]) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| match below(&name, paths) {
                None => Some((name, value)),
                Some(rests) if rests.is_empty() => None,
                Some(rests) => match value {
                    Value::Object(_) | Value::List(_) => Some((name, kept(value, &rests))),
                    _ => None,
                },
            };
            Value::Object(fields.into_iter().filter_map(field).collect::<BTreeMap<_, _>>())
        }
        Value::List(items) => {
            let nested = items.into_iter().filter(|item| matches!(item, Value::Object(_) | Value::List(_)));
            Value::List(nested.map(|item| kept(item, paths)).collect())
        }
        other => other,
    }
}

fn without(value: Value, paths: &[&[String]]) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| {
                let rests = below(&name, paths)?;
                let value = if rests.is_empty() { value } else { without(value, &rests) };
                Some((name, value))
            };
            Value::Object(fields.into_iter().filter_map(field).collect::<BTreeMap<_, _>>())
        }
        Value::List(items) => Value::List(items.into_iter().map(|item| without(item, paths)).collect()),
        other => other,
    }
}
