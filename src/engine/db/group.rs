//! Leader and followers: which of the commits that wait does the work for all of them.
//!
//! Commits join a queue. The first leads: it takes everything that waits, and passes the lead on before it wakes those
//! it worked for, so that the next group is written while they return. Followers sleep each on a ticket of their own;
//! none has to wait for a lock that another holds (as in RocksDB's writer queue). Who finds nobody waiting leads without
//! a ticket, so a lone writer pays for no queue.
//!
//! A leader that finds fewer commits than lately took part waits for the others, a fraction of a sync long: one sync
//! for all costs less than two for half of them each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::WriteBatch;
use crate::common::sync::{self, Condvar, Mutex};
use crate::common::{Error, Result, SeqNo};

/// The longest that a leader waits for others, as a share of the time the last group took.
const GATHER_SHARE: u32 = 3;
const GATHER_MAX: Duration = Duration::from_millis(1);

/// Commits that wait.
#[derive(Debug, Default)]
pub(super) struct CommitQueue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    pending: Vec<Pending>,
    /// Somebody leads.
    led: bool,
    /// How many commits took part lately: the last group, and those that came while it was written.
    recent: usize,
    /// How long the last group took.
    took: Duration,
}

/// A commit that waits for a leader. It is answered once, at the latest when it is dropped.
#[derive(Debug)]
pub(super) struct Pending {
    pub batch: WriteBatch,
    /// `None` for the commit of a leader that never waited, and once it is answered.
    ticket: Option<Arc<Ticket>>,
}

/// Where the answer to a commit, or the call to lead, is left.
#[derive(Debug, Default)]
pub(super) struct Ticket(Mutex<Option<Turn>>, Condvar);

/// What a commit wakes up to.
#[derive(Debug)]
pub(super) enum Turn {
    /// It leads the next group, which it is part of.
    Lead,
    /// A leader has done its work.
    Done(Result<SeqNo>),
}

impl CommitQueue {
    /// Adds a commit, and returns the ticket to wait on; `None` when nobody leads: the caller must, and will find its
    /// commit, which has no ticket, in the group.
    pub fn join(&self, batch: WriteBatch) -> Option<Arc<Ticket>> {
        let mut waiting = self.0.lock();
        let ticket = std::mem::replace(&mut waiting.led, true).then(Arc::<Ticket>::default);
        waiting.pending.push(Pending { batch, ticket: ticket.clone() });
        ticket
    }

    /// Takes the lead: whoever was told to. A `patient` leader waits a little for more commits.
    pub fn lead(&self, patient: bool) -> Lead<'_> {
        Lead { queue: self, start: patient.then(sync::now), size: 0 }
    }
}

/// The lead over one group; passed on when dropped.
#[derive(Debug)]
pub(super) struct Lead<'a> {
    queue: &'a CommitQueue,
    /// Of a patient leader.
    start: Option<Instant>,
    size: usize,
}

impl Lead<'_> {
    /// Everything that waits.
    pub fn gather(&mut self) -> Vec<Pending> {
        loop {
            let mut waiting = self.queue.0.lock();
            let limit = (waiting.took / GATHER_SHARE).min(GATHER_MAX);
            let is_enough = waiting.pending.len() >= waiting.recent;
            if is_enough || self.start.is_none_or(|start| sync::now() - start >= limit) {
                self.start = self.start.map(|_| sync::now());
                self.size = waiting.pending.len();
                return std::mem::take(&mut waiting.pending);
            }
            drop(waiting);
            sync::yield_now();
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.0.lock();
        waiting.recent = self.size + waiting.pending.len();
        if let Some(start) = self.start {
            waiting.took = sync::now() - start;
        }
        match waiting.pending.first().and_then(|next| next.ticket.as_ref()) {
            Some(next) => next.leave(Turn::Lead),
            None => waiting.led = false,
        }
    }
}

impl Pending {
    /// Wakes the commit. The result comes back when nobody waits for it: it is the leader's own.
    pub fn answer(mut self, result: Result<SeqNo>) -> Option<Result<SeqNo>> {
        let Some(ticket) = self.ticket.take() else { return Some(result) };
        ticket.leave(Turn::Done(result));
        None
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            ticket.leave(Turn::Done(Err(Error::Internal("a commit was left without a result".into()))));
        }
    }
}

impl Ticket {
    fn leave(&self, turn: Turn) {
        *self.0.lock() = Some(turn);
        self.1.notify_one();
    }

    /// Sleeps until there is something to do or to tell.
    pub fn wait(&self) -> Turn {
        let mut turn = self.0.lock();
        loop {
            if let Some(turn) = turn.take() {
                return turn;
            }
            self.1.wait(&mut turn);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_first_leads_and_passes_the_lead_on() {
        let queue = CommitQueue::default();
        assert!(queue.join(WriteBatch::new()).is_none());
        let second = queue.join(WriteBatch::new()).unwrap();
        let mut lead = queue.lead(false);
        let group = lead.gather();
        assert_eq!(group.len(), 2);
        let third = queue.join(WriteBatch::new()).unwrap();
        drop(lead);
        assert!(matches!(third.wait(), Turn::Lead));
        let answers = group.into_iter().enumerate().map(|(n, pending)| pending.answer(Ok(SeqNo(n as u64))));
        let own: Vec<SeqNo> = answers.flatten().flatten().collect();
        assert_eq!(own, [SeqNo(0)], "the leader's own, and no other");
        assert!(matches!(second.wait(), Turn::Done(Ok(SeqNo(1)))));
        let mut lead = queue.lead(true);
        assert_eq!(lead.gather().len(), 1);
        drop(lead);
        assert!(queue.join(WriteBatch::new()).is_none(), "the lead is free again");
    }

    #[test]
    fn a_commit_that_nobody_answers_is_told_so() {
        let queue = CommitQueue::default();
        assert!(queue.join(WriteBatch::new()).is_none());
        let second = queue.join(WriteBatch::new()).unwrap();
        drop(queue.lead(true).gather());
        assert!(matches!(second.wait(), Turn::Done(Err(Error::Internal(_)))));
        assert!(queue.join(WriteBatch::new()).is_none(), "the lead is free again");
    }

    #[test]
    fn a_patient_leader_does_not_wait_for_ever() {
        let queue = CommitQueue::default();
        queue.0.lock().recent = 5;
        queue.0.lock().took = Duration::from_millis(2);
        queue.join(WriteBatch::new());
        assert_eq!(queue.lead(true).gather().len(), 1);
    }

    #[test]
    fn every_commit_of_many_threads_is_answered_once() {
        let queue = CommitQueue::default();
        let done = Mutex::new(0);
        let lead = || {
            let group = queue.lead(true).gather();
            group.into_iter().filter_map(|pending| pending.answer(Ok(SeqNo(1)))).count()
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        match queue.join(WriteBatch::new()) {
                            None => assert_eq!(lead(), 1),
                            Some(ticket) => {
                                let mut turn = ticket.wait();
                                if matches!(turn, Turn::Lead) {
                                    assert_eq!(lead(), 0);
                                    turn = ticket.wait();
                                }
                                assert!(matches!(turn, Turn::Done(Ok(SeqNo(1)))));
                            }
                        }
                        *done.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 1600);
    }
}
