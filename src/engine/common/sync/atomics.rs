//! Atomics at which another thread may go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::turn::point;

macro_rules! atomic {
    ($name:ident, $value:ty, $($method:ident),*) => {
        #[doc = concat!("[`std::sync::atomic::", stringify!($name), "`].")]
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct $name(std::sync::atomic::$name);

        impl $name {
            /// One that holds `value`.
            #[must_use]
            pub const fn new(value: $value) -> Self {
                Self(std::sync::atomic::$name::new(value))
            }

            /// What it holds.
            #[inline]
            pub fn load(&self, ordering: Ordering) -> $value {
                point();
                self.0.load(ordering)
            }

            /// Puts another value there.
            #[inline]
            pub fn store(&self, value: $value, ordering: Ordering) {
                point();
                self.0.store(value, ordering);
            }

            $(
                /// As the method of std's type of that name.
                #[inline]
                pub fn $method(&self, value: $value, ordering: Ordering) -> $value {
                    point();
                    self.0.$method(value, ordering)
                }
            )*
        }
    };
}

atomic!(AtomicBool, bool, swap);
atomic!(AtomicU32, u32, swap);
atomic!(AtomicU64, u64, fetch_add, fetch_max);
atomic!(AtomicI64, i64, fetch_max);
atomic!(AtomicUsize, usize, fetch_add, fetch_sub);

/// [`arc_swap::ArcSwap`].
#[derive(Debug)]
pub struct ArcSwap<T>(arc_swap::ArcSwap<T>);

impl<T> ArcSwap<T> {
    /// One that holds `value`.
    pub fn from_pointee(value: T) -> Self {
        Self(arc_swap::ArcSwap::from_pointee(value))
    }

    /// What it holds, for a short while.
    pub fn load(&self) -> arc_swap::Guard<Arc<T>> {
        point();
        self.0.load()
    }

    /// What it holds.
    pub fn load_full(&self) -> Arc<T> {
        point();
        self.0.load_full()
    }

    /// Puts another value there.
    pub fn store(&self, value: Arc<T>) {
        point();
        self.0.store(value);
    }
}
