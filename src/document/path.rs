//! Dotted paths: `a.b.0.c`, and the values that a path leads to.
//!
//! As in MongoDB a step into a list goes into each of its objects, and a step that is a number also
//! to the item at that position. So a path may lead to many values, to none, or to a place where a
//! field is missing.

use std::fmt;
use std::ops::ControlFlow;

use parquet_variant::Variant;

use crate::error::{Error, Result};

/// A path into documents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    steps: Vec<String>,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// `Invalid` for an empty step or one that begins with `$`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let steps: Vec<String> = text.split('.').map(str::to_owned).collect();
        if steps.iter().any(String::is_empty) {
            return Err(Error::invalid(format!("path {text:?}"), "it has an empty step; write a.b.c"));
        }
        if let Some(step) = steps.iter().find(|step| step.starts_with('$')) {
            return Err(Error::invalid(
                format!("path {text:?}"),
                format!("{step} is an operator, not a field"),
            ));
        }
        Ok(Self { steps })
    }

    /// The steps.
    pub(super) fn steps(&self) -> &[String] {
        &self.steps
    }

    /// True when this path is `other` or leads to something inside it.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.steps.starts_with(&other.steps)
    }

    /// Calls `visit` for each value that the path leads to, with `None` where a field is missing.
    pub(super) fn visit<'m, 'v>(
        &self,
        document: &Variant<'m, 'v>,
        visit: &mut impl FnMut(Option<&Variant<'m, 'v>>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        walk(document, &self.steps, visit)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.steps.join("."))
    }
}

/// The position that a step into a list means.
pub(super) fn position(step: &str) -> Option<usize> {
    let canonical = step == "0" || !step.starts_with('0');
    (canonical && step.bytes().all(|byte| byte.is_ascii_digit())).then(|| step.parse().ok()).flatten()
}

fn walk<'m, 'v>(
    value: &Variant<'m, 'v>,
    steps: &[String],
    visit: &mut impl FnMut(Option<&Variant<'m, 'v>>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some((step, rest)) = steps.split_first() else { return visit(Some(value)) };
    match value {
        Variant::Object(fields) => match fields.get(step) {
            Some(field) => walk(&field, rest, visit),
            None => visit(None),
        },
        Variant::List(items) => {
            for item in items.iter().filter(|item| matches!(item, Variant::Object(_))) {
                walk(&item, steps, visit)?;
            }
            let nested = |item: &Variant<'_, '_>| matches!(item, Variant::Object(_) | Variant::List(_));
            match position(step).and_then(|at| items.get(at)) {
                Some(item) if rest.is_empty() || nested(&item) => walk(&item, rest, visit),
                _ => ControlFlow::Continue(()),
            }
        }
        _ => visit(None),
    }
}
