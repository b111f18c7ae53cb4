//! Leader and followers: which of the commits that wait does the work for all of them.
//!
//! Commits join a queue. The first of a group leads it: it takes everything that waits, and passes the lead on before it
//! wakes those it worked for, so that the next group is written while they return. The others sleep at one gate, which costs
//! one call to the system for all of them; none has to wait for a lock that another holds for long (after RocksDB's writer
//! queue). Who finds nobody waiting leads at once, so a lone writer waits for nothing.
//!
//! A leader that finds fewer commits than lately took part sleeps until they are there, a fraction of a sync long: one
//! sync for all costs less than two for half of them each.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::batch::WriteBatch;
use crate::common::sync::{self, Condvar, Gate, Mutex};
use crate::common::{Error, Result, SeqNo};

/// The longest that a leader waits for others, as a share of the time the last group took.
const GATHER_SHARE: u32 = 2;
const GATHER_MAX: Duration = Duration::from_millis(5);

/// Commits that wait.
#[derive(Debug, Default)]
pub(super) struct CommitQueue {
    waiting: Mutex<Waiting>,
    /// As many wait as the leader wanted.
    enough: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    pending: Vec<WriteBatch>,
    /// That of the pending commits.
    group: Arc<Group>,
    /// Its first was told to lead.
    called: bool,
    /// Somebody leads.
    led: bool,
    /// Commits that a leader sleeps for; 0 when none does.
    wanted: usize,
    /// How many commits took part lately: the last group, and those that came while it was written.
    recent: usize,
    /// How long the last group took.
    took: Duration,
}

/// What became of a commit, until somebody fetched it.
type Answer = Mutex<Option<Result<SeqNo>>>;

/// Where the members of a group wait: the first for the lead, the others for what became of their commits.
#[derive(Debug, Default)]
pub(super) struct Group {
    lead: Gate,
    done: Gate,
    /// Of each member but the first.
    answers: OnceLock<Vec<Answer>>,
}

/// What somebody who joined is to do.
#[derive(Debug)]
pub(super) enum Seat {
    /// Lead, now.
    Lead,
    /// Lead, once it is told to.
    First(Arc<Group>),
    /// Wait for an answer.
    Member(Arc<Group>, usize),
}

impl CommitQueue {
    /// Adds a commit. Who leads, now or later, is the first of the group.
    pub fn join(&self, batch: WriteBatch) -> Seat {
        let mut waiting = self.waiting.lock();
        let at = waiting.pending.len();
        waiting.pending.push(batch);
        if !std::mem::replace(&mut waiting.led, true) {
            return Seat::Lead;
        }
        if waiting.pending.len() == waiting.wanted {
            self.enough.notify_one();
        }
        match (at, Arc::clone(&waiting.group)) {
            (0, group) => Seat::First(group),
            (at, group) => Seat::Member(group, at),
        }
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
    pub fn gather(&mut self) -> Members {
        let mut waiting = self.queue.waiting.lock();
        let limit = (waiting.took / GATHER_SHARE).min(GATHER_MAX);
        waiting.wanted = waiting.recent;
        while let Some(start) = self.start.filter(|_| waiting.pending.len() < waiting.wanted) {
            let left = limit.saturating_sub(sync::now() - start);
            if left.is_zero() {
                break;
            }
            self.queue.enough.wait_for(&mut waiting, left);
        }
        waiting.wanted = 0;
        self.start = self.start.map(|_| sync::now());
        self.size = waiting.pending.len();
        // A group of nobody but a leader who was not called is as it was.
        let is_used = std::mem::take(&mut waiting.called) | (self.size > 1);
        let group = is_used.then(|| std::mem::take(&mut waiting.group)).filter(|_| self.size > 1);
        Members { batches: std::mem::take(&mut waiting.pending), group }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.lock();
        waiting.recent = self.size + waiting.pending.len();
        if let Some(start) = self.start {
            waiting.took = sync::now() - start;
        }
        waiting.led = !waiting.pending.is_empty();
        waiting.called = waiting.led;
        let next = waiting.led.then(|| Arc::clone(&waiting.group));
        drop(waiting);
        if let Some(next) = next {
            next.lead.open();
        }
    }
}

/// The commits of a group. Each is answered once, at the latest when they are dropped.
#[derive(Debug)]
pub(super) struct Members {
    pub batches: Vec<WriteBatch>,
    /// `None` for a leader alone.
    group: Option<Arc<Group>>,
}

impl Members {
    /// Wakes all but the first, whose answer comes back: it is the leader's own.
    pub fn answer(self, answers: Vec<Result<SeqNo>>) -> Option<Result<SeqNo>> {
        let mut answers = answers.into_iter();
        let own = answers.next();
        if let Some(group) = &self.group {
            group.answer(answers.collect());
        }
        own
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            group.answer(vec![]);
        }
    }
}

impl Group {
    /// Waits to be told to lead.
    pub fn wait_for_lead(&self) {
        self.lead.wait();
    }

    /// What became of the commit of a member.
    pub fn wait(&self, at: usize) -> Result<SeqNo> {
        self.done.wait();
        let answer = self.answers.get().and_then(|answers| answers.get(at - 1));
        answer.and_then(|answer| answer.lock().take()).unwrap_or_else(|| Err(unanswered()))
    }

    /// Gives the members but the first their answers, once; later ones are not heard.
    fn answer(&self, answers: Vec<Result<SeqNo>>) {
        if self.answers.set(answers.into_iter().map(|answer| Mutex::new(Some(answer))).collect()).is_ok() {
            self.done.open();
        }
    }
}

/// What a commit is told when its leader came to grief.
pub(super) fn unanswered() -> Error {
    Error::Internal("a commit was left without a result".into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn member(seat: Seat) -> (Arc<Group>, usize) {
        match seat {
            Seat::Member(group, at) => (group, at),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_leads_and_passes_the_lead_on() {
        let queue = CommitQueue::default();
        assert!(matches!(queue.join(WriteBatch::new()), Seat::Lead));
        let (group, at) = member(queue.join(WriteBatch::new()));
        let mut lead = queue.lead(false);
        let members = lead.gather();
        assert_eq!(members.batches.len(), 2);
        let Seat::First(next) = queue.join(WriteBatch::new()) else { panic!("it comes first") };
        let (last, last_at) = member(queue.join(WriteBatch::new()));
        drop(lead);
        next.wait_for_lead();
        let own = members.answer(vec![Ok(SeqNo(7)), Ok(SeqNo(8))]);
        assert_eq!(own.unwrap().unwrap(), SeqNo(7));
        assert_eq!(group.wait(at).unwrap(), SeqNo(8));
        let mut lead = queue.lead(true);
        let members = lead.gather();
        assert_eq!(members.batches.len(), 2);
        drop(lead);
        assert_eq!(members.answer(vec![Ok(SeqNo(9)), Err(unanswered())]).unwrap().unwrap(), SeqNo(9));
        assert!(last.wait(last_at).is_err());
        assert!(matches!(queue.join(WriteBatch::new()), Seat::Lead), "the lead is free again");
    }

    #[test]
    fn a_commit_that_nobody_answers_is_told_so() {
        let queue = CommitQueue::default();
        assert!(matches!(queue.join(WriteBatch::new()), Seat::Lead));
        let (group, at) = member(queue.join(WriteBatch::new()));
        drop(queue.lead(true).gather());
        assert!(matches!(group.wait(at), Err(Error::Internal(_))));
        assert!(matches!(queue.join(WriteBatch::new()), Seat::Lead), "the lead is free again");
    }

    #[test]
    fn a_patient_leader_does_not_wait_for_ever() {
        let queue = CommitQueue::default();
        queue.waiting.lock().recent = 5;
        queue.waiting.lock().took = Duration::from_millis(2);
        queue.join(WriteBatch::new());
        assert_eq!(queue.lead(true).gather().batches.len(), 1);
    }

    #[test]
    fn a_patient_leader_is_woken_when_all_are_there() {
        let queue = CommitQueue::default();
        queue.waiting.lock().recent = 4;
        queue.waiting.lock().took = Duration::from_secs(1000);
        queue.join(WriteBatch::new());
        std::thread::scope(|scope| {
            let gathered = scope.spawn(|| queue.lead(true).gather().batches.len());
            (0..3).for_each(|_| drop(queue.join(WriteBatch::new())));
            assert_eq!(gathered.join().unwrap(), 4);
        });
    }

    #[test]
    fn every_commit_of_many_threads_is_answered_once() {
        let queue = CommitQueue::default();
        let done = Mutex::new(0);
        let lead = || {
            let mut lead = queue.lead(true);
            let members = lead.gather();
            drop(lead);
            let answers = (0..members.batches.len()).map(|n| Ok(SeqNo(n as u64))).collect();
            members.answer(answers).unwrap().unwrap()
        };
        let client = || {
            for _ in 0..200 {
                let (at, told) = match queue.join(WriteBatch::new()) {
                    Seat::Lead => (0, lead()),
                    Seat::First(group) => {
                        group.wait_for_lead();
                        (0, lead())
                    }
                    Seat::Member(group, at) => (at, group.wait(at).unwrap()),
                };
                assert_eq!(told, SeqNo(at as u64));
                *done.lock() += 1;
            }
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(client))));
        assert_eq!(done.into_inner(), 1600);
    }
}
