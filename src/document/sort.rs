//! Orders of documents: paths with directions, as bytes that sort like the values.
//!
//! MongoDB's order over kinds. Of a list the smallest item counts when ascending, the largest when
//! descending; an empty list comes before null, a missing field is null.

use std::ops::ControlFlow;

use chrono::Timelike;
use parquet_variant::Variant;

use super::number::Number;
use super::order::{Kind, instant, kind, text};
use super::path::Path;
use crate::error::Result;

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// An order of documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sort(pub(super) Vec<(Path, Direction)>);

impl Sort {
    /// An order by dotted paths, the first one first.
    ///
    /// # Errors
    /// `Invalid` for a text that is no path.
    pub fn parse<'a>(keys: impl IntoIterator<Item = (&'a str, Direction)>) -> Result<Self> {
        let keys = keys.into_iter().map(|(path, direction)| Ok((Path::parse(path)?, direction)));
        keys.collect::<Result<_>>().map(Self)
    }

    /// Whether it orders nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Sorts before every value: the key of an empty list.
const EMPTY_LIST: u8 = 1;
/// First byte of a value's key, less its kind.
const FIRST: u8 = 2;

/// The bytes that stand for a document in an order.
pub(super) fn key(document: Option<&Variant<'_, '_>>, path: &Path, direction: Direction) -> Vec<u8> {
    let mut best: Option<Vec<u8>> = None;
    let mut offer = |key: Vec<u8>| {
        let better = match (&best, direction) {
            (None, _) => true,
            (Some(best), Direction::Ascending) => key < *best,
            (Some(best), Direction::Descending) => key > *best,
        };
        if better {
            best = Some(key);
        }
    };
    let mut visit = |found: Option<&Variant<'_, '_>>| {
        match found {
            Some(Variant::List(items)) if items.is_empty() => offer(vec![EMPTY_LIST]),
            Some(Variant::List(items)) => items.iter().for_each(|item| offer(encoded(&item))),
            found => offer(encoded(found.unwrap_or(&Variant::Null))),
        }
        ControlFlow::Continue(())
    };
    if let Some(document) = document {
        let _all = path.visit(document, &mut visit);
    }
    best.unwrap_or_else(|| encoded(&Variant::Null))
}

fn encoded(value: &Variant<'_, '_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes);
    bytes
}

fn encode(value: &Variant<'_, '_>, bytes: &mut Vec<u8>) {
    let kind = kind(value);
    bytes.push(FIRST + kind as u8);
    match (value, kind) {
        (Variant::Object(fields), _) => {
            for (name, field) in fields.iter() {
                bytes.push(FIRST + super::order::kind(&field) as u8);
                escape(name.as_bytes(), bytes);
                encode(&field, bytes);
            }
            bytes.push(0);
        }
        (Variant::List(items), _) => {
            items.iter().for_each(|item| encode(&item, bytes));
            bytes.push(0);
        }
        (Variant::Binary(binary), _) => {
            bytes.extend((binary.len() as u64).to_be_bytes());
            bytes.extend(*binary);
        }
        (Variant::Uuid(uuid), _) => bytes.extend(uuid.as_bytes()),
        (Variant::Time(time), _) => {
            bytes.extend(time.num_seconds_from_midnight().to_be_bytes());
            bytes.extend(time.nanosecond().to_be_bytes());
        }
        (_, Kind::Number) => Number::of(value).into_iter().for_each(|number| encode_number(number, bytes)),
        (_, Kind::Text) => escape(text(value).as_bytes(), bytes),
        (_, Kind::Bool) => bytes.push(u8::from(value == &Variant::BooleanTrue)),
        (_, Kind::Instant) => bytes.extend(ordered(instant(value))),
        _ => {}
    }
}

/// The nearest double, then what a whole number is beyond it.
fn encode_number(number: Number, bytes: &mut Vec<u8>) {
    let float = number.as_f64() + 0.0;
    let bits = float.to_bits();
    let sortable = if float.is_sign_negative() { !bits } else { bits | 1 << 63 };
    bytes.extend(if float.is_nan() { [0; 8] } else { sortable.to_be_bytes() });
    let rest = match number {
        Number::Exact(whole, 0) => whole.saturating_sub(float as i128),
        _ => 0,
    };
    bytes.extend(ordered(rest));
}

fn ordered(number: i128) -> [u8; 16] {
    (number ^ i128::MIN).to_be_bytes()
}

/// Bytes with an end that no continuation sorts before.
fn escape(text: &[u8], bytes: &mut Vec<u8>) {
    for byte in text {
        bytes.push(*byte);
        if *byte == 0 {
            bytes.push(0xff);
        }
    }
    bytes.extend([0, 0]);
}
