//! The edges of a graph: each row's neighbours, of those that its nearest lists hold.
//!
//! A row is compared with the rows of a few lists instead of being searched for in the graph so far: products of codes in
//! blocks, which any number of threads make side by side, as PiPNN does (arXiv 2602.21247). A neighbour that another
//! is a way to is left out (the rule of RNG, in the form of DiskANN: Subramanya et al., NeurIPS 2019); then each edge is offered
//! to the row that it leads to.

use trilith_udfs::kernels::dot_codes_at;
use xxhash_rust::xxh3::xxh3_64;

use super::super::codes::VectorCodes;
use super::super::graph::{ENTRIES, NOTHING};
use super::super::plan::GraphPlan;
use super::near::Points;
use super::threads::on_all_cores;

/// How many lists a row's candidates come from: those nearest to it, of all. (Of a million vectors in clusters, the lists nearest to
/// that of a row hold half of its neighbours, those nearest to the row itself four fifths.)
const LISTS_OF_ROW: usize = 8;
/// Lists around that of a row from which its far edges are drawn.
const LISTS_AROUND: usize = 24;
/// A neighbour is left out if another is nearer to it, by this factor of squared distances, than the row itself.
const SPREAD: f32 = 1.1;
/// One edge in so many leads to a row that was drawn.
const FAR_SHARE: u32 = 8;
/// Rows of a list of which its entries are chosen.
const SAMPLE: usize = 256;
/// Rows whose edges are offered to others at once.
const ROWS_AT_ONCE: usize = 4096;

/// A candidate: its squared distance, and the row.
pub(super) type Candidate = (f32, u32);

/// Edges of each row, `degree` in number or [`NOTHING`], and of each list [`ENTRIES`] rows where walks enter it.
pub(super) fn linked(codes: &VectorCodes, plan: GraphPlan) -> (Vec<u32>, Vec<u32>) {
    let linker = Linker { codes, points: Points::of(codes, plan.metric), plan };
    let (degree, lists) = (plan.degree as usize, codes.lists.squares.len());
    let mut edges = vec![NOTHING; codes.source().rows as usize * degree];
    let mut entries = Vec::with_capacity(lists * ENTRIES);
    for (list, (of_list, of_entry)) in on_all_cores(lists, |list| linker.list(list)).into_iter().enumerate() {
        for (position, near) in codes.list(list).zip(of_list.chunks_exact(degree)) {
            let first = codes.row(position) * degree;
            edges[first..first + degree].copy_from_slice(near);
        }
        entries.extend(of_entry);
    }
    (linker.both_ways(&edges), entries)
}

struct Linker<'a> {
    codes: &'a VectorCodes,
    points: Points<'a>,
    plan: GraphPlan,
}

impl Linker<'_> {
    /// Edges of the rows of a list, in its order, and the rows where walks enter it.
    fn list(&self, list: usize) -> (Vec<u32>, [u32; ENTRIES]) {
        let rows: Vec<u32> = self.rows(list);
        let mut near: Vec<Nearby> = rows.iter().map(|_| Nearby::new(self.plan.candidates as usize)).collect();
        for askers in self.askers(&rows).chunk_by(|a, b| a.0 == b.0) {
            self.compare(&rows, askers, &mut near);
        }
        let degree = self.plan.degree as usize;
        let mut edges = vec![NOTHING; rows.len() * degree];
        let around = self.points.lists_near_list(list, LISTS_AROUND);
        let others = around.iter().map(|list| self.rows(*list));
        let others: Vec<Vec<u32>> = others.filter(|rows| !rows.is_empty()).collect();
        for ((row, near), edges) in rows.iter().zip(near).zip(edges.chunks_exact_mut(degree)) {
            let (near_edges, far_edges) = edges.split_at_mut(self.near_len());
            self.choose(*row, near.into_candidates(), near_edges);
            self.draw(*row, (&rows, &others), far_edges);
        }
        (edges, self.entries(list, &rows))
    }

    /// The lists near to rows, and the place of the row: in order of lists.
    fn askers(&self, rows: &[u32]) -> Vec<(usize, usize)> {
        let lists = |(at, row): (usize, &u32)| {
            self.points.lists_near_row(*row, LISTS_OF_ROW).into_iter().map(move |list| (list, at))
        };
        let mut askers: Vec<(usize, usize)> = rows.iter().enumerate().flat_map(lists).collect();
        askers.sort_unstable();
        askers
    }

    /// The row at the middle of a list, then each time the one farthest from those before, of a sample: one of each cluster
    /// (Gonzalez, Theoretical Computer Science 1985).
    fn entries(&self, list: usize, rows: &[u32]) -> [u32; ENTRIES] {
        let mut entries = [NOTHING; ENTRIES];
        let sample: Vec<u32> = rows.iter().copied().step_by(rows.len().div_ceil(SAMPLE).max(1)).collect();
        let mut apart = vec![f32::INFINITY; sample.len()];
        let mut latest = self.points.middle(list, rows);
        for entry in &mut entries {
            let Some(row) = latest else { break };
            *entry = row;
            for (apart, (distance, _)) in apart.iter_mut().zip(self.candidates(row, &sample)) {
                *apart = apart.min(distance);
            }
            let farthest = apart.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            latest = farthest.map(|(at, _)| sample[at]);
        }
        entries
    }

    /// Edges to near rows, of all that a row has.
    fn near_len(&self) -> usize {
        (self.plan.degree - self.plan.degree / FAR_SHARE) as usize
    }

    /// Draws edges to rows of the own list and of those around it, in turn: ways out of a cluster.
    fn draw(&self, row: u32, (own, others): (&[u32], &[Vec<u32>]), edges: &mut [u32]) {
        for (at, edge) in edges.iter_mut().enumerate() {
            let drawn = xxh3_64(&[row.to_le_bytes(), (at as u32).to_le_bytes()].concat()) as usize;
            let list = if at % 2 == 0 || others.is_empty() { own } else { &others[drawn % others.len()] };
            *edge = list[drawn / LISTS_AROUND % list.len()];
        }
    }

    /// Rows with their distances from one.
    fn candidates(&self, row: u32, others: &[u32]) -> Vec<Candidate> {
        let mut dots = vec![0; others.len()];
        dot_codes_at(&self.points.widened(row), self.points.codes(), others, &mut dots);
        others.iter().zip(dots).map(|(other, dot)| (self.points.apart(row, *other, dot), *other)).collect()
    }

    fn rows(&self, list: usize) -> Vec<u32> {
        self.codes.list(list).map(|position| self.codes.row(position) as u32).collect()
    }

    /// Compares some rows of a list with all of another.
    fn compare(&self, rows: &[u32], askers: &[(usize, usize)], near: &mut [Nearby]) {
        let Some((other, _)) = askers.first() else { return };
        let mut block = self.points.block(self.rows(*other));
        for (_, asker) in askers {
            let (row, near) = (rows[*asker], &mut near[*asker]);
            for (distance, other) in self.points.all_apart(row, &mut block) {
                if distance < near.most && other != row {
                    near.offer((distance, other));
                }
            }
        }
    }

    /// Puts the neighbours of a row in their places: the nearest, but none that leads where another does.
    fn choose(&self, row: u32, mut candidates: Vec<Candidate>, edges: &mut [u32]) {
        candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        candidates.dedup_by_key(|candidate| candidate.1);
        candidates.retain(|candidate| candidate.1 != row);
        let mut kept: Vec<u32> = Vec::with_capacity(edges.len());
        let mut passed = vec![];
        let mut dots = vec![0; edges.len()];
        for (distance, candidate) in candidates {
            if kept.len() == edges.len() {
                break;
            }
            let dots = &mut dots[..kept.len()];
            dot_codes_at(&self.points.widened(candidate), self.points.codes(), &kept, dots);
            let leads_there =
                |(other, dot): (&u32, &i32)| SPREAD * self.points.apart(candidate, *other, *dot) < distance;
            match kept.iter().zip(dots.iter()).any(leads_there) {
                true => passed.push(candidate),
                false => kept.push(candidate),
            }
        }
        // A row with few neighbours is hard to come by.
        let few = (edges.len() / 2).saturating_sub(kept.len());
        kept.extend(passed.into_iter().take(few));
        edges.fill(NOTHING);
        edges[..kept.len()].copy_from_slice(&kept);
    }

    /// The edges when each was offered to the row that it leads to.
    fn both_ways(&self, edges: &[u32]) -> Vec<u32> {
        let degree = self.plan.degree as usize;
        let rows = edges.len() / degree;
        let back = Reversed::of(edges, degree, self.near_len());
        let chunk = |number: usize| {
            let chunk = number * ROWS_AT_ONCE..rows.min((number + 1) * ROWS_AT_ONCE);
            let mut all = edges[chunk.start * degree..chunk.end * degree].to_vec();
            for (row, edges) in chunk.zip(all.chunks_exact_mut(degree)) {
                self.join(row as u32, back.of_row(row), &mut edges[..self.near_len()]);
            }
            all
        };
        on_all_cores(rows.div_ceil(ROWS_AT_ONCE), chunk).concat()
    }

    /// Adds rows that have an edge to a row to those that it has an edge to.
    fn join(&self, row: u32, back: &[u32], edges: &mut [u32]) {
        let own = edges.iter().position(|edge| *edge == NOTHING).unwrap_or(edges.len());
        let fresh: Vec<u32> = back.iter().copied().filter(|other| !edges[..own].contains(other)).collect();
        if own + fresh.len() <= edges.len() {
            return edges[own..own + fresh.len()].copy_from_slice(&fresh);
        }
        let mut candidates = self.candidates(row, &fresh);
        candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        candidates.truncate(self.plan.candidates as usize);
        candidates.extend(self.candidates(row, &edges[..own]));
        self.choose(row, candidates, edges);
    }
}

/// The nearest of the rows offered, kept in no order.
struct Nearby {
    wanted: usize,
    rows: Vec<Candidate>,
    most: f32,
}

impl Nearby {
    fn new(wanted: usize) -> Self {
        Self { wanted, rows: Vec::with_capacity(2 * wanted), most: f32::INFINITY }
    }

    /// Takes a row that is nearer than `most`.
    fn offer(&mut self, candidate: Candidate) {
        self.rows.push(candidate);
        if self.rows.len() == 2 * self.wanted {
            let (_, last, _) = self.rows.select_nth_unstable_by(self.wanted - 1, |a, b| a.0.total_cmp(&b.0));
            self.most = last.0;
            self.rows.truncate(self.wanted);
        }
    }

    fn into_candidates(mut self) -> Vec<Candidate> {
        if self.rows.len() > self.wanted {
            self.rows.select_nth_unstable_by(self.wanted - 1, |a, b| a.0.total_cmp(&b.0));
            self.rows.truncate(self.wanted);
        }
        self.rows
    }
}

/// Of each row, those that have an edge to it.
struct Reversed {
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Reversed {
    fn of(edges: &[u32], degree: usize, near: usize) -> Self {
        let count = edges.len() / degree;
        let mut starts = vec![0; count + 1];
        let targets = || edges.iter().enumerate().filter(|(at, to)| at % degree < near && **to != NOTHING);
        targets().for_each(|(_, to)| starts[*to as usize + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut rows = vec![0; starts[count] as usize];
        for (at, to) in targets() {
            let place = &mut next[*to as usize];
            rows[*place as usize] = (at / degree) as u32;
            *place += 1;
        }
        Self { starts, rows }
    }

    fn of_row(&self, row: usize) -> &[u32] {
        &self.rows[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}
