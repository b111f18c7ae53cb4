//! Numbers of documents: whole, decimal or floating, compared and added by value.
//!
//! Integers and decimals are exact up to 38 digits; a double among them makes the result a double.

use std::cmp::Ordering;

use parquet_variant::{Variant, VariantDecimal16};

/// A number, whatever it is stored as.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// Unscaled value and number of decimals.
    Exact(i128, u8),
    /// A double.
    Float(f64),
}

impl Number {
    /// The number that a value is; `None` when it is none.
    pub(super) fn of(value: &Variant<'_, '_>) -> Option<Self> {
        match value {
            Variant::Int8(number) => Some(Self::Exact(i128::from(*number), 0)),
            Variant::Int16(number) => Some(Self::Exact(i128::from(*number), 0)),
            Variant::Int32(number) => Some(Self::Exact(i128::from(*number), 0)),
            Variant::Int64(number) => Some(Self::Exact(i128::from(*number), 0)),
            Variant::Decimal4(number) => Some(Self::Exact(i128::from(number.integer()), number.scale())),
            Variant::Decimal8(number) => Some(Self::Exact(i128::from(number.integer()), number.scale())),
            Variant::Decimal16(number) => Some(Self::Exact(number.integer(), number.scale())),
            Variant::Float(number) => Some(Self::Float(f64::from(*number))),
            Variant::Double(number) => Some(Self::Float(*number)),
            _ => None,
        }
    }

    /// The nearest double.
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Exact(unscaled, scale) => unscaled as f64 / 10f64.powi(i32::from(scale)),
            Self::Float(number) => number,
        }
    }

    /// By value; NaN equals itself and comes before all others.
    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Exact(a, x), Self::Exact(b, y)) => match (scaled(a, x, y), scaled(b, y, x)) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => floats(self.as_f64(), other.as_f64()),
            },
            (Self::Exact(whole, 0), Self::Float(float)) => whole_to_float(whole, float),
            (Self::Float(float), Self::Exact(whole, 0)) => whole_to_float(whole, float).reverse(),
            _ => floats(self.as_f64(), other.as_f64()),
        }
    }

    /// The sum; `None` when it is beyond 38 digits.
    pub(super) fn plus(self, other: Self) -> Option<Variant<'static, 'static>> {
        let (Self::Exact(a, x), Self::Exact(b, y)) = (self, other) else {
            return Some(Variant::Double(self.as_f64() + other.as_f64()));
        };
        let sum = scaled(a, x, y)?.checked_add(scaled(b, y, x)?)?;
        exact(sum, x.max(y))
    }
}

/// `value` of `scale` decimals with as many as the larger of both.
fn scaled(value: i128, scale: u8, other: u8) -> Option<i128> {
    value.checked_mul(10i128.checked_pow(u32::from(other.saturating_sub(scale)))?)
}

/// The narrowest encoding.
fn exact(unscaled: i128, scale: u8) -> Option<Variant<'static, 'static>> {
    if scale > 0 {
        return VariantDecimal16::try_new(unscaled, scale).ok().map(Variant::from);
    }
    i8::try_from(unscaled)
        .map(Variant::from)
        .or_else(|_| i16::try_from(unscaled).map(Variant::from))
        .or_else(|_| i32::try_from(unscaled).map(Variant::from))
        .or_else(|_| i64::try_from(unscaled).map(Variant::from))
        .or_else(|_| VariantDecimal16::try_new(unscaled, 0).map(Variant::from))
        .ok()
}

fn floats(a: f64, b: f64) -> Ordering {
    match a.partial_cmp(&b) {
        Some(order) => order,
        None => b.is_nan().cmp(&a.is_nan()),
    }
}

/// Exact: a double between 2^53 and 2^127 is a whole number, which `i128` holds.
fn whole_to_float(whole: i128, float: f64) -> Ordering {
    if float.is_nan() || float.abs() >= 1e38 {
        return floats(whole as f64, float);
    }
    whole.cmp(&(float.trunc() as i128)).then_with(|| floats(0.0, float.fract()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn large_integers_and_doubles_compare_exactly() {
        let big = 9_007_199_254_740_993; // 2^53 + 1, which no double is
        assert_eq!(Number::Exact(big, 0).compare(Number::Float(9_007_199_254_740_992.0)), Ordering::Greater);
        assert_eq!(Number::Float(1.5).compare(Number::Exact(1, 0)), Ordering::Greater);
        assert_eq!(Number::Float(-1.5).compare(Number::Exact(-1, 0)), Ordering::Less);
        assert_eq!(Number::Exact(10, 1).compare(Number::Exact(1, 0)), Ordering::Equal);
        assert_eq!(Number::Exact(1, 0).compare(Number::Float(f64::INFINITY)), Ordering::Less);
        assert_eq!(Number::Float(f64::NAN).compare(Number::Exact(i128::MIN, 0)), Ordering::Less);
        assert_eq!(Number::Float(f64::NAN).compare(Number::Float(f64::NAN)), Ordering::Equal);
    }

    #[test]
    fn sums_stay_exact() {
        let sum = |a: Number, b: Number| a.plus(b);
        assert_eq!(sum(Number::Exact(100, 0), Number::Exact(100, 0)), Some(Variant::Int16(200)));
        assert_eq!(sum(Number::Exact(1, 0), Number::Float(0.5)), Some(Variant::Double(1.5)));
        let price = sum(Number::Exact(1099, 2), Number::Exact(1, 0)).unwrap();
        assert_eq!(price, Variant::from(VariantDecimal16::try_new(1199, 2).unwrap()));
        assert_eq!(sum(Number::Exact(i128::MAX, 0), Number::Exact(1, 0)), None);
    }
}
