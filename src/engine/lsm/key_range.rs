//! A range of encoded keys.

use std::ops::Bound;

/// Keys between two bounds, as the table's codec writes them; bytes compare as the keys do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRange {
    /// Where it starts.
    pub lower: Bound<Vec<u8>>,
    /// Where it ends.
    pub upper: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub const ALL: Self = Self { lower: Bound::Unbounded, upper: Bound::Unbounded };

    /// Keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut next = prefix.to_vec();
        while next.pop_if(|last| *last == u8::MAX).is_some() {}
        let upper = match next.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(next)
            }
            None => Bound::Unbounded,
        };
        Self { lower: Bound::Included(prefix.to_vec()), upper }
    }

    /// True when `key` is in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        let above = match &self.lower {
            Bound::Included(lower) => key >= lower.as_slice(),
            Bound::Excluded(lower) => key > lower.as_slice(),
            Bound::Unbounded => true,
        };
        above
            && match &self.upper {
                Bound::Included(upper) => key <= upper.as_slice(),
                Bound::Excluded(upper) => key < upper.as_slice(),
                Bound::Unbounded => true,
            }
    }

    /// True when one of the keys from `min` to `max`, both included, may be in it.
    #[must_use]
    pub fn overlaps(&self, min: &[u8], max: &[u8]) -> bool {
        let starts_before = match &self.lower {
            Bound::Included(lower) => lower.as_slice() <= max,
            Bound::Excluded(lower) => lower.as_slice() < max,
            Bound::Unbounded => true,
        };
        starts_before
            && match &self.upper {
                Bound::Included(upper) => upper.as_slice() >= min,
                Bound::Excluded(upper) => upper.as_slice() > min,
                Bound::Unbounded => true,
            }
    }

    /// True when it holds every key.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next() {
        let range = KeyRange::prefix(&[1, 255, 255]);
        assert_eq!(range.upper, Bound::Excluded(vec![2]));
        assert!(range.contains(&[1, 255, 255, 9]) && !range.contains(&[2]) && !range.contains(&[1, 255]));
        assert_eq!(KeyRange::prefix(&[255]).upper, Bound::Unbounded);
    }
}
