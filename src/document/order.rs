//! MongoDB's order of values: first by kind, then by value.
//!
//! null < numbers < text < objects < lists < bytes < UUIDs < booleans < points in time < times of day.
//! Text compares by code point. Objects compare by their fields in order of name, since VARIANT does
//! not keep another.

use std::cmp::Ordering;

use parquet_variant::Variant;

use super::number::Number;

/// The kinds, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Null,
    Number,
    Text,
    Object,
    List,
    Bytes,
    Uuid,
    Bool,
    Instant,
    Time,
}

/// The kind of a value.
pub(super) fn kind(value: &Variant<'_, '_>) -> Kind {
    match value {
        Variant::Null => Kind::Null,
        Variant::String(_) | Variant::ShortString(_) => Kind::Text,
        Variant::Object(_) => Kind::Object,
        Variant::List(_) => Kind::List,
        Variant::Binary(_) => Kind::Bytes,
        Variant::Uuid(_) => Kind::Uuid,
        Variant::BooleanTrue | Variant::BooleanFalse => Kind::Bool,
        Variant::Time(_) => Kind::Time,
        Variant::Date(_)
        | Variant::TimestampMicros(_)
        | Variant::TimestampNtzMicros(_)
        | Variant::TimestampNanos(_)
        | Variant::TimestampNtzNanos(_) => Kind::Instant,
        _ => Kind::Number,
    }
}

/// The order of two values.
pub(super) fn compare(a: &Variant<'_, '_>, b: &Variant<'_, '_>) -> Ordering {
    let (first, second) = (kind(a), kind(b));
    if first != second {
        return first.cmp(&second);
    }
    match (a, b) {
        (Variant::Object(a), Variant::Object(b)) => {
            let fields = a.iter().zip(b.iter()).map(|((name, value), (other, against))| {
                kind(&value)
                    .cmp(&kind(&against))
                    .then_with(|| name.cmp(other))
                    .then_with(|| compare(&value, &against))
            });
            first_difference(fields).then_with(|| a.len().cmp(&b.len()))
        }
        (Variant::List(a), Variant::List(b)) => {
            let items = a.iter().zip(b.iter()).map(|(a, b)| compare(&a, &b));
            first_difference(items).then_with(|| a.len().cmp(&b.len()))
        }
        (Variant::Binary(a), Variant::Binary(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (Variant::Uuid(a), Variant::Uuid(b)) => a.cmp(b),
        (Variant::Time(a), Variant::Time(b)) => a.cmp(b),
        _ => scalars(first, a, b),
    }
}

fn scalars(kind: Kind, a: &Variant<'_, '_>, b: &Variant<'_, '_>) -> Ordering {
    match kind {
        Kind::Number => match (Number::of(a), Number::of(b)) {
            (Some(a), Some(b)) => a.compare(b),
            _ => Ordering::Equal,
        },
        Kind::Text => text(a).cmp(text(b)),
        Kind::Bool => (a == &Variant::BooleanTrue).cmp(&(b == &Variant::BooleanTrue)),
        Kind::Instant => instant(a).cmp(&instant(b)),
        _ => Ordering::Equal,
    }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// The text of a text value.
pub(super) fn text<'v>(value: &Variant<'_, 'v>) -> &'v str {
    match value {
        Variant::String(text) => text,
        Variant::ShortString(text) => text.as_str(),
        _ => "",
    }
}

/// Nanoseconds since 1970 of a date or timestamp; one without a zone counts as UTC.
pub(super) fn instant(value: &Variant<'_, '_>) -> i128 {
    let nanos = |time: chrono::DateTime<chrono::Utc>| {
        i128::from(time.timestamp()) * 1_000_000_000 + i128::from(time.timestamp_subsec_nanos())
    };
    match value {
        Variant::Date(date) => nanos(date.and_time(chrono::NaiveTime::MIN).and_utc()),
        Variant::TimestampMicros(time) | Variant::TimestampNanos(time) => nanos(*time),
        Variant::TimestampNtzMicros(time) | Variant::TimestampNtzNanos(time) => nanos(time.and_utc()),
        _ => 0,
    }
}
