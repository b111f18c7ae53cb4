//! Settings of an object store: credentials, endpoints and the like, by the names that the store's own clients use.

use std::collections::BTreeMap;
use std::fmt;

/// Names and values, which are shown to nobody.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct StoreOptions(BTreeMap<String, String>);

impl StoreOptions {
    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// True when nothing was set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for StoreOptions {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(given: T) -> Self {
        Self(given.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        write!(f, "StoreOptions({})", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_shown() {
        let options: StoreOptions = [("secret_access_key", "hush"), ("region", "x-1")].into_iter().collect();
        assert_eq!(format!("{options:?}"), "StoreOptions(region, secret_access_key)");
    }
}
