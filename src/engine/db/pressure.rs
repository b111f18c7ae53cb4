//! Back-pressure: writers slow down while flushes lag behind, and stop before memory runs away.

use std::time::Duration;

use super::core::Core;
use crate::common::Result;

/// Frozen memtables of a table that may wait for their flush before writers slow down, and before they stop.
const FROZEN: (usize, usize) = (1, 2);
/// How long a slowed writer waits.
const SLOW: Duration = Duration::from_millis(1);
/// How long a stopped writer waits for the background thread before it looks again, and how often it does so before
/// it flushes itself.
const WAIT_TURN: Duration = Duration::from_millis(10);
const PATIENCE_TURNS: u32 = 100;

/// What a writer does about memtables that wait for their flush.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pressure {
    None,
    Slow,
    Stop,
}

impl Pressure {
    fn of(frozen: usize) -> Self {
        match frozen {
            _ if frozen > FROZEN.1 => Self::Stop,
            _ if frozen > FROZEN.0 => Self::Slow,
            _ => Self::None,
        }
    }
}

impl Core {
    fn pressure(&self) -> Pressure {
        let published = self.published.load();
        let frozen = published.state.tables.values().map(|table| table.frozen.len());
        Pressure::of(frozen.max().unwrap_or(0))
    }

    /// Holds a writer up while flushes lag behind. One that has waited long flushes itself, so that a disk that refuses
    /// is its error and not a wait without end.
    pub fn wait_for_room(&self) -> Result<()> {
        if self.options.background && self.pressure() == Pressure::Slow {
            self.work.1.wait_for(&mut self.work.0.lock(), SLOW);
        }
        let mut turns = if self.options.background { PATIENCE_TURNS } else { 0 };
        while self.pressure() == Pressure::Stop {
            self.check_writable()?;
            if turns == 0 {
                self.flush_frozen()?;
            } else {
                turns -= 1;
                self.work.1.wait_for(&mut self.work.0.lock(), WAIT_TURN);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_slow_down_before_they_stop() {
        let told: Vec<Pressure> = (0..5).map(Pressure::of).collect();
        let expected = [Pressure::None, Pressure::None, Pressure::Slow, Pressure::Stop, Pressure::Stop];
        assert_eq!(told, expected);
    }
}
