//! Fixed-width values as bytes that sort like the values.

use arrow::datatypes::i256;

/// A value whose key is [`FixedKey::WIDTH`] bytes.
pub(crate) trait FixedKey: Copy {
    /// Bytes of every key.
    const WIDTH: usize;
    /// Writes the key to the first `WIDTH` bytes of `out`.
    fn put(self, out: &mut [u8]);
    /// Reads a key back; `None` when `bytes` is too short.
    fn take(bytes: &[u8]) -> Option<Self>;
    /// Reads a value, which is no key, little-endian; `None` when `bytes` is too short.
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! unsigned {
    ($($int:ty),+) => {$(
        impl FixedKey for $int {
            const WIDTH: usize = size_of::<$int>();

            #[inline]
            fn put(self, out: &mut [u8]) {
                out[..Self::WIDTH].copy_from_slice(&self.to_be_bytes());
            }

            #[inline]
            fn take(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|chunk| Self::from_be_bytes(*chunk))
            }

            #[inline]
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|chunk| Self::from_le_bytes(*chunk))
            }
        }
    )+};
}

macro_rules! signed {
    ($($int:ty => $bits:ty),+) => {$(
        impl FixedKey for $int {
            const WIDTH: usize = size_of::<$int>();

            #[inline]
            fn put(self, out: &mut [u8]) {
                (self ^ <$int>::MIN).cast_unsigned().put(out);
            }

            #[inline]
            fn take(bytes: &[u8]) -> Option<Self> {
                <$bits>::take(bytes).map(|bits| bits.cast_signed() ^ <$int>::MIN)
            }

            #[inline]
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|chunk| Self::from_le_bytes(*chunk))
            }
        }
    )+};
}

macro_rules! float {
    ($($float:ty => $bits:ty),+) => {$(
        impl FixedKey for $float {
            const WIDTH: usize = size_of::<$float>();

            #[inline]
            fn put(self, out: &mut [u8]) {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                let bits = if self == 0.0 { 0 } else { self.to_bits() };
                // Negative numbers sort backwards by their bits, so all of them are flipped.
                (if bits & SIGN == 0 { bits | SIGN } else { !bits }).put(out);
            }

            #[inline]
            fn take(bytes: &[u8]) -> Option<Self> {
                const SIGN: $bits = 1 << (<$bits>::BITS - 1);
                let bits = <$bits>::take(bytes)?;
                Some(Self::from_bits(if bits & SIGN == 0 { !bits } else { bits ^ SIGN }))
            }

            #[inline]
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|chunk| Self::from_le_bytes(*chunk))
            }
        }
    )+};
}

unsigned!(u8, u16, u32, u64, u128);
signed!(i8 => u8, i16 => u16, i32 => u32, i64 => u64, i128 => u128);
float!(f32 => u32, f64 => u64);

impl FixedKey for i256 {
    const WIDTH: usize = 32;

    fn put(self, out: &mut [u8]) {
        let mut bytes = self.to_be_bytes();
        bytes[0] ^= 0x80;
        out[..Self::WIDTH].copy_from_slice(&bytes);
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        let mut bytes: [u8; 32] = *bytes.first_chunk()?;
        bytes[0] ^= 0x80;
        Some(Self::from_be_bytes(bytes))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(|chunk| Self::from_le_bytes(*chunk))
    }
}
