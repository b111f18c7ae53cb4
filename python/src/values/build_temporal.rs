//! Python's dates, times and durations to Arrow, through microseconds.
//!
//! A naive `datetime` in a column with a zone counts as UTC; an aware one in a column without a zone is
//! refused, because dropping its zone would change what it means. Text in ISO form is parsed.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, DurationMicrosecondArray, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field};
use arrow::temporal_conversions::SECONDS_IN_DAY;
use chrono::{DateTime, Datelike, Duration, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDate, PyDateTime, PyString};

use super::build::{into_type, present};
use crate::error::invalid;

/// An array of the field's temporal type.
pub(super) fn build(field: &Field, objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    if objects.iter().any(|object| object.is_instance_of::<PyString>()) {
        let texts = present(field, objects, |object| object.str()?.extract::<String>())?;
        return into_type(Arc::new(StringArray::from_iter(texts)), field);
    }
    match field.data_type() {
        DataType::Date32 | DataType::Date64 => {
            let days = present(field, objects, days)?;
            into_type(Arc::new(Date32Array::from_iter(days)), field)
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let micros = present(field, objects, time_micros)?;
            into_type(Arc::new(Time64MicrosecondArray::from_iter(micros)), field)
        }
        DataType::Duration(_) => {
            let micros = present(field, objects, duration_micros)?;
            into_type(Arc::new(DurationMicrosecondArray::from_iter(micros)), field)
        }
        DataType::Timestamp(_, zone) => timestamps(field, zone.as_ref(), objects),
        other => Err(invalid(format!("column {:?}: Python has no value of type {other}", field.name()))),
    }
}

fn timestamps(field: &Field, zone: Option<&Arc<str>>, objects: &[Bound<'_, PyAny>]) -> PyResult<ArrayRef> {
    let micros = match zone {
        Some(_) => present(field, objects, |object| instant(object).or_else(|_| local(object)))?,
        None => present(field, objects, local)?,
    };
    let array = TimestampMicrosecondArray::from_iter(micros).with_timezone_opt(zone.cloned());
    into_type(Arc::new(array), field)
}

/// Microseconds since 1970 of an aware datetime.
pub(super) fn instant(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    if let Ok(time) = object.extract::<DateTime<FixedOffset>>() {
        return Ok(time.timestamp_micros());
    }
    let utc = object.py().import("datetime")?.getattr("timezone")?.getattr("utc")?;
    let moved = object.call_method1("astimezone", (utc,))?;
    match object.getattr("tzinfo")?.is_none() {
        true => Err(PyTypeError::new_err("the datetime has no time zone")),
        false => Ok(moved.extract::<DateTime<Utc>>()?.timestamp_micros()),
    }
}

/// Microseconds since 1970 of a naive datetime, or of midnight of a date.
pub(super) fn local(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    if object.is_instance_of::<PyDate>() && !object.is_instance_of::<PyDateTime>() {
        return Ok(i64::from(days(object)?) * SECONDS_IN_DAY * 1_000_000);
    }
    Ok(object.extract::<NaiveDateTime>()?.and_utc().timestamp_micros())
}

/// Days since 1970.
fn days(object: &Bound<'_, PyAny>) -> PyResult<i32> {
    if object.is_instance_of::<PyDateTime>() {
        return Err(PyTypeError::new_err("a datetime is not a date; call .date()"));
    }
    Ok(object.extract::<NaiveDate>()?.num_days_from_ce() - UNIX_EPOCH_DAYS_FROM_CE)
}

/// `NaiveDate::num_days_from_ce` of 1970-01-01.
const UNIX_EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// Microseconds since midnight.
fn time_micros(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    let time = object.extract::<NaiveTime>()?;
    Ok(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000))
}

fn duration_micros(object: &Bound<'_, PyAny>) -> PyResult<i64> {
    let length = object.extract::<Duration>()?;
    length.num_microseconds().ok_or_else(|| PyTypeError::new_err("the duration is too long"))
}
