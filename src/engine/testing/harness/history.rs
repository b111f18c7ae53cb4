//! What was done, what was acknowledged, and so what a database may hold after a crash.
//!
//! At every level the recovered commits must be a prefix of those made: every acknowledged one that its level
//! protects, and beyond them at most the one in flight, whole.

use crate::model::{Expect, State, difference};
use crate::op::Op;
use crate::report::Verdict;

/// How the writer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// The power went: what was not synced may be gone.
    Power,
    /// The process was killed: what was handed to the system is there.
    Kill,
}

/// One operation and when it ran, in storage calls.
#[derive(Clone, Debug)]
struct Event {
    start: u64,
    /// `None`: not acknowledged.
    end: Option<u64>,
    power_safe: bool,
    kill_safe: bool,
}

/// A sequence of states and the operations that lead from one to the next.
#[derive(Clone, Debug)]
pub struct History {
    states: Vec<State>,
    events: Vec<Event>,
}

impl History {
    /// Begins with a database that holds `state`, durably.
    pub fn new(state: State) -> Self {
        Self { states: vec![state], events: Vec::new() }
    }

    /// The newest state.
    pub fn state(&self) -> &State {
        &self.states[self.states.len() - 1]
    }

    /// The oracle does `op`; what it expects, and the state after.
    pub fn plan(&self, op: &Op) -> (Expect, State) {
        let mut after = self.state().clone();
        let expect = crate::op::apply(&mut after, op);
        (expect, after)
    }

    /// `op` ran between two calls and was acknowledged, or (`end` is `None`) may have been cut short.
    pub fn record(&mut self, op: &Op, after: State, start: u64, end: Option<u64>) {
        // What turned out to change nothing, such as a deletion of rows that are gone, may not have reached the log.
        let wrote = !matches!(op, Op::Batch(..)) || after != *self.state();
        let (power_safe, kill_safe) = (wrote && op.is_durable(), wrote && op.survives_kill());
        self.events.push(Event { start, end, power_safe, kill_safe });
        self.states.push(after);
    }

    /// Judges what was found after a cut right behind call `call`; the state found becomes the newest and is from now
    /// on protected, since it was shown to a reader.
    pub fn judge(&mut self, found: &State, call: u64, cut: Cut) -> Verdict {
        let safe = |event: &Event| if cut == Cut::Power { event.power_safe } else { event.kill_safe };
        let acknowledged = |event: &Event| event.end.is_some_and(|end| end <= call) && safe(event);
        let least = self.events.iter().rposition(acknowledged).map_or(0, |at| at + 1);
        let most = self.events.iter().take_while(|event| event.start <= call).count();
        if let Some(at) = (least..=most).rev().find(|&at| self.states[at] == *found) {
            *self = Self::new(self.states[at].clone());
            return Verdict::Survived;
        }
        if let Some(at) = (0..least).rev().find(|&at| self.states[at] == *found) {
            return Verdict::Lost(format!(
                "{cut:?} after call {call}: commit {at} is the last, {least} is acknowledged"
            ));
        }
        let text = difference(&self.states[most], found).unwrap_or_default();
        Verdict::Wrong(format!("{cut:?} after call {call}: no prefix of {least} to {most} commits; {text}"))
    }
}
