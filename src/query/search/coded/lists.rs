//! A search through the lists or the graph of a file, for a share of the nearest.
//!
//! Lists are read the nearest first, as far as the file says a search of this recall must go. In each, codes of one bit rule out
//! most rows, whose bounds hold as often as the recall asks; those of eight bits, whose bounds always hold, most of the
//! rest. A condition makes neighbours rarer, so it counts as a search for as many more of them, and where it leaves few
//! rows, their codes are read at once. It may leave rows that are far from the query more than others: when many more rows turn out to be nearer than what
//! was found, it counts as a search for as many as those, and goes on.

use std::ops::Range;

use datafusion::arrow::array::BooleanBufferBuilder;
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::error::Result;
use trilith_engine::index::{CodedRows, Comparison, Side, VectorCodes};
use trilith_udfs::kernels::{TopK, within};

use super::super::rows::{SearchedRows, Work};
use super::Coded;

/// Of fewer rows than one in this many, lists are not worth their reading.
const LIST_SHARE: usize = 16;
/// By how many times more rows may be nearer than chance would have it.
const CHANCE: usize = 2;
/// Rows that tell how many are nearer.
const SAMPLE: usize = 256;

impl Coded {
    /// The rows that may be among the nearest, ascending, of the file whose units these are; `None` when it has no codes, or
    /// none may be missed.
    pub(in super::super) fn near_rows(
        &self,
        rows: &SearchedRows,
        (work, units): (&Work, Range<usize>),
        vector: usize,
        threshold: f64,
    ) -> Result<Option<Vec<usize>>> {
        let Some((_, first)) = work.units_in(units.clone()).next().filter(|_| self.effort.is_some()) else {
            return Ok(None);
        };
        let coded = rows.scan.codes(first, vector)?.filter(|coded| self.query.fits(&coded.codes));
        let Some(CodedRows { codes, .. }) = coded else { return Ok(None) };
        let selected = selected(rows, (work, units), codes.source().rows as usize)?;
        let mut near = Near {
            of: self,
            query: self.query.beside(&codes),
            codes: &codes,
            selected,
            least: TopK::new(self.k),
            most: self.known(threshold).unwrap_or(f32::INFINITY),
            rows: vec![],
            passed: vec![],
            read: 0,
        };
        near.search();
        Ok(Some(near.into_rows()))
    }
}

/// Which rows of a file of `count` its units let through; all when `None`.
fn selected(
    rows: &SearchedRows,
    (work, units): (&Work, Range<usize>),
    count: usize,
) -> Result<Option<BooleanBuffer>> {
    let mut bits = BooleanBufferBuilder::new(0);
    let (mut seen, mut all) = (0, true);
    for (number, unit) in work.units_in(units) {
        let (_, place) = rows.scan.place(unit);
        let (start, end) = (place.start as usize, place.end as usize);
        let of_unit = work.selected(rows, number)?;
        all &= of_unit.is_none();
        seen += end - start;
        bits.append_n(start - bits.len(), false);
        match of_unit {
            Some(of_unit) => bits.append_buffer(of_unit),
            None => bits.append_n(end - start, true),
        }
    }
    bits.append_n(count - bits.len(), false);
    Ok((!all || seen < count).then(|| bits.finish()))
}

/// What is near in one file.
struct Near<'a> {
    of: &'a Coded,
    query: Comparison<'a>,
    codes: &'a VectorCodes,
    selected: Option<BooleanBuffer>,
    /// The least upper bounds, and the greatest of them once there are `k`.
    least: TopK,
    most: f32,
    /// Rows not ruled out yet, with their lower bounds.
    rows: Vec<(f32, usize)>,
    /// Under a condition: rows of lists that were not ruled out by their signs, whether it lets them through or not, and how many
    /// rows were read before their list.
    passed: Vec<(usize, usize)>,
    /// Rows of the lists that were read.
    read: usize,
}

impl Near<'_> {
    fn search(&mut self) {
        let count = self.codes.source().rows as usize;
        let wanted = self.selected.as_ref().map_or(count, BooleanBuffer::count_set_bits);
        if wanted < count / LIST_SHARE
            && let Some(selected) = self.selected.take()
        {
            return selected.set_indices().for_each(|row| self.look(row));
        }
        let rank = self.of.k.saturating_mul(count) / wanted.max(1);
        match self.beam(rank, (count, wanted)) {
            Some(beam) => {
                self.of.rows_walked.add(beam);
                let walked = self.query.walk(beam);
                walked.iter().for_each(|row| self.look(*row));
                let nearer = walked.partition_point(|row| self.is_nearer(*row));
                // Conditions may have left too few of those that it came by, or far ones.
                if self.most == f32::INFINITY || self.is_short(rank, nearer) {
                    (self.rows, self.least) = (vec![], TopK::new(self.of.k));
                    self.read_lists(rank);
                }
            }
            None => self.read_lists(rank),
        }
        for position in self.codes.uncoded() {
            self.look(self.codes.row(position));
        }
    }

    /// How many rows a walk through the graph is to hold; `None` when lists are to be read.
    fn beam(&self, rank: usize, (count, wanted): (usize, usize)) -> Option<usize> {
        let effort = self.of.effort?;
        let measured = self.query.beam(rank);
        match (effort.ef_search, effort.nprobe) {
            // Of what it finds, conditions leave a share.
            (Some(asked), _) if self.query.can_walk() => {
                Some(asked.max(self.of.k).saturating_mul(count) / wanted.max(1))
            }
            (None, None) => measured,
            _ => None,
        }
    }

    fn read_lists(&mut self, mut rank: usize) {
        let probes = self.of.effort.and_then(|effort| effort.nprobe);
        let mut lists = self.query.lists().into_iter().enumerate().peekable();
        while lists.peek().is_some() {
            let reach = self.query.reach(rank);
            let is_enough = |number: usize, gap: f32| probes.map_or(gap > reach, |probes| number >= probes);
            while let Some((_, near)) =
                lists.next_if(|(number, near)| !is_enough(*number, near.gap) || self.most == f32::INFINITY)
            {
                self.read(self.codes.list(near.list));
            }
            let nearer = self.nearer();
            if !self.is_short(rank, nearer) {
                return;
            }
            rank = nearer;
        }
    }

    /// Whether a search for `rank` rows did not go far enough when so many are nearer than what was found.
    fn is_short(&self, rank: usize, nearer: usize) -> bool {
        let is_bounded = self.of.effort.is_some_and(|effort| effort.nprobe.or(effort.ef_search).is_some());
        let expected = self.query.covered(rank).max(rank.saturating_mul(CHANCE));
        self.selected.is_some() && !is_bounded && nearer > expected
    }

    /// About how many rows are nearer than what was found: those of the lists that were read, and of the others half the share that
    /// the farther half of the lists has, as shares fall with distance.
    fn nearer(&self) -> usize {
        let step = self.passed.len().div_ceil(SAMPLE).max(1);
        let nearer = || self.passed.iter().step_by(step).filter(|(_, row)| self.is_nearer(*row));
        let half = self.read / 2;
        // One or two happen to lie there.
        let of_half = step * nearer().filter(|(before, _)| *before >= half).count().saturating_sub(2);
        let unread = self.codes.source().rows as usize - self.read;
        step * nearer().count() + of_half * unread / (self.read - half).max(1) / 2
    }

    /// Whether a row is nearer than what was found, as far as its code tells.
    fn is_nearer(&self, row: usize) -> bool {
        let (lower, upper) = self.query.bounds_of_row(row);
        lower / 2.0 + upper / 2.0 <= self.most
    }

    /// Looks at the rows of a list that their signs do not rule out.
    fn read(&mut self, positions: Range<usize>) {
        self.of.lists_read.add(1);
        self.of.signs_compared.add(positions.len());
        let bounds = self.query.bounds_by_signs(positions.clone(), Side::Lower);
        let near = within(&bounds, self.most);
        if self.selected.is_some() {
            self.passed.extend(near.iter().map(|at| (self.read, self.codes.row(positions.start + at))));
        }
        self.read += positions.len();
        for at in near {
            // What was found in this list may rule it out by now.
            if !is_beyond(bounds[at], self.most) {
                self.look(self.codes.row(positions.start + at));
            }
        }
    }

    fn look(&mut self, row: usize) {
        if self.selected.as_ref().is_some_and(|selected| !selected.value(row)) {
            return;
        }
        self.of.codes_compared.add(1);
        let (lower, upper) = self.query.bounds_of_row(row);
        if is_beyond(lower, self.most) {
            return;
        }
        self.rows.push((lower, row));
        self.least.push(f64::from(upper), row as u64);
        self.most = self.most.min(self.least.threshold() as f32);
    }

    fn into_rows(self) -> Vec<usize> {
        let near = self.rows.into_iter().filter(|(lower, _)| !is_beyond(*lower, self.most));
        let mut near: Vec<(f32, usize)> = near.collect();
        if let Some(rescored) = self.of.effort.and_then(|effort| effort.rescore) {
            near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            near.truncate(rescored.max(self.of.k));
        }
        let mut rows: Vec<usize> = near.into_iter().map(|(_, row)| row).collect();
        rows.sort_unstable();
        rows
    }
}

/// A bound that is no number is beyond nothing.
fn is_beyond(bound: f32, most: f32) -> bool {
    bound > most
}
