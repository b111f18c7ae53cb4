//! Work on all processors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What `work` gives for each of `0..count`, in that order.
pub(super) fn on_all_cores<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = vec![];
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return done;
            }
            done.push((number, work(number)));
        }
    };
    let others = thread::available_parallelism().map_or(0, |cores| cores.get() - 1).min(count);
    let mut done = thread::scope(|scope| {
        let started: Vec<_> = (0..others).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for thread in started {
            // A panic of another thread is one of this one.
            done.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, done)| done).collect()
}
