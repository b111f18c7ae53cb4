//! Options of `connect`, from Python keywords to the database's own.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict};
use trilith::engine::StoreOptions;
use trilith::{EncryptionKey, Options};

use crate::error::{from_engine, invalid};

/// Reads the options that `trilith.connect` collected.
pub(crate) fn options(given: &Bound<'_, PyDict>) -> PyResult<Options> {
    let mut options = Options::default();
    for (name, value) in given {
        let name: String = name.extract()?;
        if value.is_none() {
            continue;
        }
        set(&mut options, &name, &value)?;
    }
    Ok(options)
}

fn set(options: &mut Options, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "read_only" => options.engine.read_only = value.extract()?,
        "create" => options.engine.create = value.extract()?,
        "encryption_key" => options.engine.encryption_key = Some(key(value)?),
        "mmap" => options.engine.mmap = value.extract()?,
        "durability" => {
            options.engine.durability = value.extract::<String>()?.parse().map_err(from_engine)?;
        }
        "memory_limit" => options.memory_limit = Some(bytes(name, value)?),
        "transaction_limit" => options.engine.transaction_bytes = bytes(name, value)?,
        "storage_options" => options.engine.storage_options = storage_options(value)?,
        "cache_limit" => options.engine.cache_bytes = bytes(name, value)?,
        "cache_dir" => options.engine.cache_dir = Some(value.extract()?),
        "cache_dir_limit" => options.engine.cache_dir_bytes = bytes(name, value)? as u64,
        "keep_removed" => {
            let seconds: f64 = value.extract()?;
            let time = Duration::try_from_secs_f64(seconds);
            options.engine.keep_removed =
                time.map_err(|_| invalid(format!("keep_removed {seconds} is no number of seconds")))?;
        }
        "threads" => options.threads = Some(value.extract()?),
        other => return Err(invalid(format!("option {other:?} is unknown"))),
    }
    Ok(())
}

/// Names and texts; numbers and booleans are taken as they are written.
fn storage_options(value: &Bound<'_, PyAny>) -> PyResult<StoreOptions> {
    let given =
        value.cast::<PyDict>().map_err(|_| invalid("storage_options is no dict of names and texts"))?;
    given
        .iter()
        .map(|(name, value)| {
            let text = if value.is_instance_of::<PyBool>() {
                value.extract::<bool>()?.to_string()
            } else {
                value.str()?.to_string()
            };
            Ok((name.extract::<String>()?, text))
        })
        .collect()
}

/// An encryption key: 32 bytes, or 64 hexadecimal digits. No message repeats it.
pub(crate) fn key(value: &Bound<'_, PyAny>) -> PyResult<EncryptionKey> {
    if let Ok(bytes) = value.extract::<Vec<u8>>() {
        return EncryptionKey::from_bytes(&bytes).map_err(from_engine);
    }
    let text: String = value.extract().map_err(|_| {
        invalid("the encryption key is neither bytes nor text; give 32 bytes or 64 hexadecimal digits")
    })?;
    EncryptionKey::from_text(&text).map_err(from_engine)
}

/// [`key`], where one is given.
pub(crate) fn optional_key(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<EncryptionKey>> {
    value.map(key).transpose()
}

/// A number of bytes: an int, or text such as "512MB" or "4 GiB".
fn bytes(name: &str, value: &Bound<'_, PyAny>) -> PyResult<usize> {
    if let Ok(number) = value.extract::<usize>() {
        return Ok(number);
    }
    let text: String = value.extract()?;
    parse_bytes(&text).ok_or_else(|| {
        invalid(format!("{name} {text:?} is no number of bytes; write 4GB, 512MB or a plain number"))
    })
}

fn parse_bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KIB" => 1 << 10,
        "MIB" => 1 << 20,
        "GIB" => 1 << 30,
        "TIB" => 1 << 40,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}
