//! Dates, times, timestamps and durations to Python's `datetime`, in microseconds: Python has no finer.
//!
//! A timestamp with a zone becomes an aware `datetime` in that zone (`zoneinfo`, or a fixed offset).
//! Values outside the years 1 to 9999 have no `datetime` and raise `Invalid`.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::*;
use arrow::temporal_conversions::{as_date, as_datetime, as_duration, as_time};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use super::read::{Values, each};
use crate::error::{from_arrow, invalid};

/// The values of a temporal column.
pub(super) fn values<'py>(py: Python<'py>, array: &ArrayRef) -> PyResult<Values<'py>> {
    match array.data_type() {
        DataType::Date32 | DataType::Date64 => {
            let days = cast(array, &DataType::Date32).map_err(from_arrow)?;
            let days = days.as_primitive::<Date32Type>();
            known(py, array, |row| as_date::<Date32Type>(days.value(row).into()))
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let micros = micros(array, DataType::Time64(TimeUnit::Microsecond))?;
            known(py, array, |row| as_time::<Time64MicrosecondType>(micros[row]))
        }
        DataType::Duration(_) => {
            let micros = micros(array, DataType::Duration(TimeUnit::Microsecond))?;
            known(py, array, |row| as_duration::<DurationMicrosecondType>(micros[row]))
        }
        DataType::Timestamp(_, None) => {
            let micros = micros(array, DataType::Timestamp(TimeUnit::Microsecond, None))?;
            known(py, array, |row| as_datetime::<TimestampMicrosecondType>(micros[row]))
        }
        DataType::Timestamp(_, Some(zone)) => zoned(py, array, zone),
        _ => {
            let texts = cast(array, &DataType::Utf8).map_err(from_arrow)?;
            each(py, array, |row| texts.as_string::<i32>().value(row).to_owned())
        }
    }
}

/// Aware datetimes: made in UTC, then moved to the zone by Python, which knows every rule of it.
fn zoned<'py>(py: Python<'py>, array: &ArrayRef, zone: &str) -> PyResult<Values<'py>> {
    let micros = micros(array, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
    let utc = py.import("datetime")?.getattr("timezone")?.getattr("utc")?;
    let zone = tzinfo(py, zone)?;
    let naive = known(py, array, |row| as_datetime::<TimestampMicrosecondType>(micros[row]))?;
    let aware = |value: Bound<'py, PyAny>| {
        let keywords = pyo3::types::PyDict::new(py);
        keywords.set_item("tzinfo", &utc)?;
        value.call_method("replace", (), Some(&keywords))?.call_method1("astimezone", (&zone,))
    };
    naive.into_iter().map(|value| if value.is_none() { Ok(value) } else { aware(value) }).collect()
}

fn tzinfo<'py>(py: Python<'py>, zone: &str) -> PyResult<Bound<'py, PyAny>> {
    let datetime = py.import("datetime")?;
    if zone == "UTC" || zone == "Z" {
        return datetime.getattr("timezone")?.getattr("utc");
    }
    if zone.starts_with(['+', '-']) {
        let probe = format!("2000-01-01T00:00:00{zone}");
        return datetime.getattr("datetime")?.call_method1("fromisoformat", (probe,))?.getattr("tzinfo");
    }
    py.import("zoneinfo")?.getattr("ZoneInfo")?.call1((zone,))
}

fn micros(array: &ArrayRef, kind: DataType) -> PyResult<Vec<i64>> {
    let in_micros =
        cast(array, &kind).and_then(|array| cast(&array, &DataType::Int64)).map_err(from_arrow)?;
    Ok(in_micros.as_primitive::<Int64Type>().values().to_vec())
}

fn known<'py, T: IntoPyObjectExt<'py>>(
    py: Python<'py>,
    array: &ArrayRef,
    value: impl Fn(usize) -> Option<T>,
) -> PyResult<Values<'py>> {
    let object = |row| match array.is_null(row) {
        true => Ok(py.None().into_bound(py)),
        false => value(row)
            .ok_or_else(|| {
                invalid(format!("row {row}: {} is outside what Python can hold", array.data_type()))
            })?
            .into_bound_py_any(py),
    };
    (0..array.len()).map(object).collect()
}
