//! Changes of documents: `{"$set": {...}, "$inc": {...}}`, or a whole new document.
//!
//! Pure: a document goes in and comes out. `_id` never changes. Two changes of one place, or of a
//! place and something inside it, are refused, because their order would decide.

use super::id::ID;
use super::number::Number;
use super::path::{Path, position};
use super::value::{IntoValue, Value};
use crate::error::{Error, Result};

/// The operators.
const OPERATORS: &str = "$set, $unset, $inc, $push, $rename";
/// Items that a step beyond the end of a list may add.
const PADDING_MAX: usize = 10_000;

/// A change of documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Update(Vec<Change>);

#[derive(Clone, Debug, PartialEq)]
struct Change {
    operator: Operator,
    path: Path,
}

#[derive(Clone, Debug, PartialEq)]
enum Operator {
    Set(Value),
    Unset,
    Inc(Value),
    Push(Vec<Value>),
    Rename(Path),
}

impl Update {
    /// Reads an update.
    ///
    /// # Errors
    /// `Invalid` for an operator that does not exist, an operand it does not take, a change of `_id`, or
    /// two changes of one place.
    pub fn parse(update: impl IntoValue) -> Result<Self> {
        let value = update.into_value()?;
        let Value::Object(operators) = &value else {
            return Err(Error::invalid(
                "update",
                format!("it must be an object such as {{\"$set\": {{...}}}}, not {value}"),
            ));
        };
        if operators.is_empty() {
            return Err(Error::invalid("update", format!("it is empty; use one of {OPERATORS}")));
        }
        let mut changes = vec![];
        for (operator, operand) in operators {
            changes.extend(read(operator, operand)?);
        }
        check_distinct(&changes)?;
        Ok(Self(changes))
    }

    /// The document after the change.
    ///
    /// # Errors
    /// `Invalid` when a change does not fit the document: a number added to text, a field of a number.
    pub fn apply(&self, document: &Value) -> Result<Value> {
        let mut changed = document.clone();
        for change in &self.0 {
            change.apply(&mut changed)?;
        }
        Ok(changed)
    }
}

/// A whole new document in the place of one with the `_id` of `old`.
///
/// # Errors
/// `Invalid` when it is no object, holds operators, or another `_id`.
pub(crate) fn replacement(new: &Value, old: &Value) -> Result<Value> {
    let (Value::Object(fields), Value::Object(old)) = (new, old) else {
        return Err(Error::invalid("replacement", format!("it must be an object, not {new}")));
    };
    if let Some(operator) = fields.keys().find(|name| name.starts_with('$')) {
        return Err(Error::invalid(
            "replacement",
            format!("{operator} is an operator; use an update for it"),
        ));
    }
    let id = old.get(ID).cloned().unwrap_or(Value::Null);
    match fields.get(ID) {
        Some(other) if *other != id => Err(Error::invalid(
            "replacement",
            format!("its _id is {other}, the document's is {id}; an _id never changes"),
        )),
        _ => {
            let mut fields = fields.clone();
            fields.insert(ID.to_owned(), id);
            Ok(Value::Object(fields))
        }
    }
}

fn invalid(operator: &str, path: &Path, why: impl Into<String>) -> Error {
    Error::invalid(format!("update operator {operator} of {:?}", path.to_string()), why)
}

fn read(operator: &str, operand: &Value) -> Result<Vec<Change>> {
    if !OPERATORS.split(", ").any(|known| known == operator) {
        let why = match operator.starts_with('$') {
            true => format!("it is not known; there are {OPERATORS}"),
            false => format!("it is a field; write {{\"$set\": {{{operator:?}: ...}}}}, or use replace_one"),
        };
        return Err(Error::invalid(format!("update operator {operator}"), why));
    }
    let Value::Object(fields) = operand else {
        let why = format!("it takes an object of fields, not {operand}");
        return Err(Error::invalid(format!("update operator {operator}"), why));
    };
    fields.iter().map(|(path, operand)| change(operator, Path::parse(path)?, operand)).collect()
}

fn change(operator: &str, path: Path, operand: &Value) -> Result<Change> {
    let read = match (operator, operand) {
        ("$set", value) => Operator::Set(value.clone()),
        ("$unset", _) => Operator::Unset,
        ("$inc", Value::Scalar(by)) if Number::of(by).is_some() => Operator::Inc(operand.clone()),
        ("$inc", other) => return Err(invalid(operator, &path, format!("it adds a number, not {other}"))),
        ("$push", value) => Operator::Push(pushed(&path, value)?),
        (_, Value::Text(to)) => Operator::Rename(Path::parse(to)?),
        (_, other) => return Err(invalid(operator, &path, format!("it takes the new name, not {other}"))),
    };
    let id = Path::parse(ID)?;
    let renamed_to_id = matches!(&read, Operator::Rename(to) if to.is_within(&id));
    if path.is_within(&id) || renamed_to_id {
        return Err(invalid(
            operator,
            &path,
            "an _id never changes; insert a new document and delete this one",
        ));
    }
    Ok(Change { operator: read, path })
}

/// The items that `$push` adds: one value, or those of `$each`.
fn pushed(path: &Path, value: &Value) -> Result<Vec<Value>> {
    let Value::Object(fields) = value else { return Ok(vec![value.clone()]) };
    let Some(modifier) = fields.keys().find(|name| name.starts_with('$')) else {
        return Ok(vec![value.clone()]);
    };
    match (fields.get("$each"), fields.len()) {
        (Some(Value::List(items)), 1) => Ok(items.clone()),
        _ => Err(invalid(
            "$push",
            path,
            format!("{modifier} is not known; there is {{\"$each\": [...]}} alone"),
        )),
    }
}

fn check_distinct(changes: &[Change]) -> Result<()> {
    let targets = |change: &Change| match &change.operator {
        Operator::Rename(to) => vec![change.path.clone(), to.clone()],
        _ => vec![change.path.clone()],
    };
    let paths: Vec<Path> = changes.iter().flat_map(targets).collect();
    for (at, path) in paths.iter().enumerate() {
        if let Some(other) = paths[..at].iter().find(|other| path.is_within(other) || other.is_within(path)) {
            let what = format!("update of {:?}", path.to_string());
            return Err(Error::invalid(
                what,
                format!("it conflicts with that of {:?}; change a place once", other.to_string()),
            ));
        }
    }
    Ok(())
}

impl Change {
    fn apply(&self, document: &mut Value) -> Result<()> {
        let path = &self.path;
        match &self.operator {
            Operator::Set(value) => *place(document, path)? = value.clone(),
            Operator::Unset => {
                let _removed = remove(document, path.steps());
            }
            Operator::Inc(by) => increment(place(document, path)?, by, path)?,
            Operator::Push(items) => match place(document, path)? {
                Value::List(list) => list.extend(items.iter().cloned()),
                absent @ Value::Null => *absent = Value::List(items.clone()),
                other => {
                    return Err(invalid("$push", path, format!("it holds {}, not a list", other.kind())));
                }
            },
            Operator::Rename(to) => {
                if let Some(value) = remove(document, path.steps()) {
                    *place(document, to)? = value;
                }
            }
        }
        Ok(())
    }
}

fn increment(place: &mut Value, by: &Value, path: &Path) -> Result<()> {
    let sum = match (&*place, by) {
        (Value::Null, by) => Some(by.clone()),
        (Value::Scalar(old), Value::Scalar(by)) => match (Number::of(old), Number::of(by)) {
            (Some(old), Some(by)) => old.plus(by).map(Value::Scalar),
            _ => return Err(invalid("$inc", path, format!("it holds {place}, not a number"))),
        },
        _ => return Err(invalid("$inc", path, format!("it holds {}, not a number", place.kind()))),
    };
    *place = sum.ok_or_else(|| invalid("$inc", path, "the sum has more than 38 digits"))?;
    Ok(())
}

/// The place that a path leads to, made where it is missing.
fn place<'a>(document: &'a mut Value, path: &Path) -> Result<&'a mut Value> {
    let mut value = document;
    for step in path.steps() {
        if *value == Value::Null {
            *value = Value::Object(std::collections::BTreeMap::new());
        }
        value = match value {
            Value::Object(fields) => fields.entry(step.clone()).or_insert(Value::Null),
            Value::List(items) => item(items, step, path)?,
            other => {
                let what = format!("path {:?}", path.to_string());
                return Err(Error::invalid(what, format!("{step:?} cannot be a field of {}", other.kind())));
            }
        };
    }
    Ok(value)
}

fn item<'a>(items: &'a mut Vec<Value>, step: &str, path: &Path) -> Result<&'a mut Value> {
    let what = || format!("path {:?}", path.to_string());
    let at =
        position(step).ok_or_else(|| Error::invalid(what(), format!("{step:?} is no position in a list")))?;
    if at > items.len() + PADDING_MAX {
        return Err(Error::invalid(
            what(),
            format!("position {at} is far beyond the end of a list of {}", items.len()),
        ));
    }
    if at >= items.len() {
        items.resize(at + 1, Value::Null);
    }
    Ok(&mut items[at])
}

/// Takes out what a path leads to; in a list a null stays in its place.
fn remove(value: &mut Value, steps: &[String]) -> Option<Value> {
    let (step, rest) = steps.split_first()?;
    match value {
        Value::Object(fields) if rest.is_empty() => fields.remove(step),
        Value::Object(fields) => remove(fields.get_mut(step)?, rest),
        Value::List(items) => {
            let item = items.get_mut(position(step)?)?;
            if rest.is_empty() { Some(std::mem::replace(item, Value::Null)) } else { remove(item, rest) }
        }
        _ => None,
    }
}
