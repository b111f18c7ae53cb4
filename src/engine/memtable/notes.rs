//! What readers made of a memtable's entries and want to find again: kept beside it, and gone with it.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::common::sync::Mutex;

/// Values by name; each name has one type.
#[derive(Default)]
pub struct Notes(Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>);

impl Notes {
    /// The value of a name, an empty one when nobody asked before.
    pub fn get<T: Any + Send + Sync + Default>(&self, name: &str) -> Arc<T> {
        let mut notes = self.0.lock();
        if let Some(known) = notes.get(name).and_then(|known| Arc::clone(known).downcast().ok()) {
            return known;
        }
        let fresh = Arc::new(T::default());
        notes.insert(name.to_owned(), Arc::clone(&fresh) as _);
        fresh
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notes({})", self.0.lock().len())
    }
}
