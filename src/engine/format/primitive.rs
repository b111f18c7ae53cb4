//! Which Arrow types are fixed-width and ordered, and how to act on each of them.
//!
//! [`with_primitive`] turns a `DataType` known at run time into a type parameter. Half floats and
//! intervals are left out: neither has a total order that keys and zone maps could use.

/// Runs `$body` with `$T` bound to the Arrow primitive type of `$data_type`, or `$other`.
macro_rules! with_primitive {
    ($data_type:expr, $T:ident => $body:expr, _ => $other:expr) => {{
        use arrow::datatypes as at;
        use arrow::datatypes::{DataType as D, TimeUnit as U};
        $crate::format::primitive::with_primitive!(@match $data_type, $T, $body, $other,
            D::Int8 => at::Int8Type, D::Int16 => at::Int16Type,
            D::Int32 => at::Int32Type, D::Int64 => at::Int64Type,
            D::UInt8 => at::UInt8Type, D::UInt16 => at::UInt16Type,
            D::UInt32 => at::UInt32Type, D::UInt64 => at::UInt64Type,
            D::Float32 => at::Float32Type, D::Float64 => at::Float64Type,
            D::Date32 => at::Date32Type, D::Date64 => at::Date64Type,
            D::Time32(U::Second) => at::Time32SecondType,
            D::Time32(U::Millisecond) => at::Time32MillisecondType,
            D::Time64(U::Microsecond) => at::Time64MicrosecondType,
            D::Time64(U::Nanosecond) => at::Time64NanosecondType,
            D::Timestamp(U::Second, _) => at::TimestampSecondType,
            D::Timestamp(U::Millisecond, _) => at::TimestampMillisecondType,
            D::Timestamp(U::Microsecond, _) => at::TimestampMicrosecondType,
            D::Timestamp(U::Nanosecond, _) => at::TimestampNanosecondType,
            D::Duration(U::Second) => at::DurationSecondType,
            D::Duration(U::Millisecond) => at::DurationMillisecondType,
            D::Duration(U::Microsecond) => at::DurationMicrosecondType,
            D::Duration(U::Nanosecond) => at::DurationNanosecondType,
            D::Decimal32(_, _) => at::Decimal32Type,
            D::Decimal64(_, _) => at::Decimal64Type,
            D::Decimal128(_, _) => at::Decimal128Type,
            D::Decimal256(_, _) => at::Decimal256Type
        )
    }};
    (@match $data_type:expr, $T:ident, $body:expr, $other:expr, $($pattern:pat => $arrow:ty),+) => {
        match $data_type {
            $($pattern => {
                type $T = $arrow;
                $body
            })+
            _ => $other,
        }
    };
}

pub(crate) use with_primitive;
