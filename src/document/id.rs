//! `_id`: what names a document, in it and as the key of its row.
//!
//! Text, a whole number or a UUID; a number's key is its digits. A document without one gets a UUID of
//! version 7, whose text sorts by time, and within one process by order of making.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parquet_variant::Variant;
use trilith_engine::Error as EngineError;

use super::number::Number;
use super::value::Value;
use crate::error::{Error, Result};

/// The field.
pub(crate) const ID: &str = "_id";

/// Bits that count ids made within one millisecond.
const COUNTER_BITS: u32 = 12;

/// Milliseconds since 1970 and counter of the id made last.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The key of the row of a document with this `_id`.
///
/// # Errors
/// `Invalid` for a value that cannot be an `_id`.
pub(crate) fn key_of(id: &Variant<'_, '_>) -> Result<String> {
    match (id, Number::of(id)) {
        (Variant::String(_) | Variant::ShortString(_), _) => Ok(super::order::text(id).to_owned()),
        (Variant::Uuid(uuid), _) => Ok(uuid.to_string()),
        (_, Some(Number::Exact(whole, 0))) => Ok(whole.to_string()),
        _ => {
            let given = Value::from_variant(id);
            Err(Error::invalid("_id", format!("it must be text, a whole number or a UUID, not {given}")))
        }
    }
}

/// The document with an `_id`: its own, or a new one.
///
/// # Errors
/// `Invalid` when it is no object; `Io` when the system gives no random bytes.
pub(crate) fn with_id(document: Value) -> Result<Value> {
    match document {
        Value::Object(mut fields) => {
            if !fields.contains_key(ID) {
                fields.insert(ID.to_owned(), Value::Text(new_id()?));
            }
            Ok(Value::Object(fields))
        }
        other => {
            Err(Error::invalid("document", format!("it must be an object such as {{\"a\": 1}}, not {other}")))
        }
    }
}

/// A new UUID of version 7 as text.
fn new_id() -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let now = now << COUNTER_BITS;
    let next = |last: u64| now.max(last + 1);
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    let stamp = last.map_or(now, next);
    let random = getrandom::u64()
        .map_err(|error| EngineError::io("read random bytes of", "the system", error.into()))?;
    let (millis, counter) = (stamp >> COUNTER_BITS, stamp & ((1 << COUNTER_BITS) - 1));
    let tail = random & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    Ok(format!(
        "{:08x}-{:04x}-7{counter:03x}-{:04x}-{:012x}",
        millis >> 16 & 0xffff_ffff,
        millis & 0xffff,
        tail >> 48,
        tail & 0xffff_ffff_ffff
    ))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_version_7_and_sort_in_order_of_making() {
        let ids: Vec<String> = (0..10_000).map(|_| new_id().unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        for id in &ids {
            let parts: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(&id[14..15], "7", "{id}");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }

    #[test]
    fn keys_of_ids() {
        assert_eq!(key_of(&Variant::from("a")).unwrap(), "a");
        assert_eq!(key_of(&Variant::from(-7_i64)).unwrap(), "-7");
        assert!(key_of(&Variant::from(1.5)).unwrap_err().to_string().contains("1.5"));
        assert!(with_id(Value::Null).unwrap_err().to_string().contains("must be an object"));
    }
}
