//! Says whether a history of transactions could have happened at a level of isolation.
//!
//! Every version of every key is written once and names the version it replaces, so the order of versions is read off
//! the history itself. From it follow the dependencies of Adya ("Weak Consistency", MIT 1999): ww (replaced a version),
//! wr (read a version), rw (read a version that another replaced), and real time: who began after another was told of
//! its commit comes after it. Serializable forbids every cycle; snapshot isolation those without two rw in a row
//! (Cerone and Gotsman, "Analysing Snapshot Isolation", PODC 2016). Knows nothing of the engine.

use std::collections::HashMap;

/// A key, of whatever table.
pub type Key = u32;
/// A version of a key, unique in the whole history; 0 is what was there in the beginning.
pub type Version = u64;

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It was told of its commit.
    Committed,
    /// It was told that nothing of it stays.
    Aborted,
}

/// One transaction as its client saw it.
#[derive(Clone, Debug)]
pub struct Txn {
    /// Whether it counts.
    pub fate: Fate,
    /// When it began, and when its client was told the outcome: ticks of one clock.
    pub span: (u64, u64),
    /// Versions it found that it had not written itself.
    pub reads: Vec<(Key, Version)>,
    /// Versions it wrote, in order, each with the one it replaced.
    pub writes: Vec<(Key, Version, Version)>,
}

/// Which cycles are forbidden.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Those without two rw dependencies in a row.
    Snapshot,
    /// All.
    Serializable,
}

/// The first anomaly found.
///
/// # Errors
/// Its name and the transactions in it.
pub fn check(history: &[Txn], level: Level) -> Result<(), String> {
    let versions = Versions::of(history)?;
    versions.check_reads(history)?;
    let graph = Graph::of(history, &versions);
    let cycles: [(&str, &[Kind]); 2] = [("G0", &[Kind::Ww]), ("G1c", &[Kind::Ww, Kind::Wr])];
    for (name, kinds) in cycles {
        graph.acyclic(name, |kind, _| kinds.contains(&kind).then_some(0), 1)?;
    }
    // After a rw only something else may follow: a cycle in this doubled graph has no two rw in a row.
    let lone_rw = |kind, after_rw| match (kind, after_rw) {
        (Kind::Rw, 1) => None,
        (Kind::Rw, _) => Some(1),
        _ => Some(0),
    };
    graph.acyclic("G-SI", lone_rw, 2)?;
    match level {
        Level::Snapshot => Ok(()),
        Level::Serializable => graph.acyclic("G2", |_, _| Some(0), 1),
    }
}

/// Who wrote each version, and what came after it.
struct Versions {
    writer: HashMap<(Key, Version), usize>,
    /// The version that replaced one, and its writer: of each transaction its last version of a key.
    next: HashMap<(Key, Version), (Version, usize)>,
    /// Versions that their own transaction replaced.
    passing: HashMap<(Key, Version), ()>,
}

impl Versions {
    fn of(history: &[Txn]) -> Result<Self, String> {
        let mut versions = Self { writer: HashMap::new(), next: HashMap::new(), passing: HashMap::new() };
        for (id, txn) in history.iter().enumerate() {
            let mut first: HashMap<Key, Version> = HashMap::new();
            let mut last: HashMap<Key, Version> = HashMap::new();
            for &(key, version, over) in &txn.writes {
                if versions.writer.insert((key, version), id).is_some() {
                    return Err(format!("version {version} of key {key} was written twice"));
                }
                if let Some(passed) = last.insert(key, version) {
                    versions.passing.insert((key, passed), ());
                }
                first.entry(key).or_insert(over);
            }
            if txn.fate == Fate::Aborted {
                continue;
            }
            for (key, over) in first {
                if let Some((_, other)) = versions.next.insert((key, over), (last[&key], id)) {
                    return Err(format!(
                        "lost update: {other} and {id} both replace version {over} of key {key}"
                    ));
                }
            }
        }
        Ok(versions)
    }

    fn check_reads(&self, history: &[Txn]) -> Result<(), String> {
        for (id, txn) in history.iter().enumerate().filter(|(_, txn)| txn.fate == Fate::Committed) {
            for &(key, version) in &txn.reads {
                let Some(&writer) = self.writer.get(&(key, version)) else {
                    if version == 0 {
                        continue;
                    }
                    return Err(format!("{id} read version {version} of key {key}, which nobody wrote"));
                };
                if history[writer].fate == Fate::Aborted {
                    return Err(format!("G1a: {id} read key {key} from {writer}, which was aborted"));
                }
                if self.passing.contains_key(&(key, version)) && writer != id {
                    return Err(format!("G1b: {id} read key {key} from the middle of {writer}"));
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Ww,
    Wr,
    Rw,
    /// Real time.
    Time,
}

/// Dependencies; the nodes after the transactions are moments.
struct Graph {
    edges: Vec<Vec<(usize, Kind)>>,
}

impl Graph {
    fn of(history: &[Txn], versions: &Versions) -> Self {
        let mut graph = Self { edges: vec![Vec::new(); history.len()] };
        for (&(key, version), &writer) in &versions.writer {
            if let Some(&(_, next)) = versions.next.get(&(key, version)) {
                graph.add(writer, next, Kind::Ww);
            }
        }
        for (id, txn) in history.iter().enumerate().filter(|(_, txn)| txn.fate == Fate::Committed) {
            for &(key, version) in &txn.reads {
                if let Some(&writer) = versions.writer.get(&(key, version)) {
                    graph.add(writer, id, Kind::Wr);
                }
                if let Some(&(_, next)) = versions.next.get(&(key, version)) {
                    graph.add(id, next, Kind::Rw);
                }
            }
        }
        graph.add_time(history);
        graph
    }

    fn add(&mut self, from: usize, to: usize, kind: Kind) {
        if from != to {
            self.edges[from].push((to, kind));
        }
    }

    /// A chain of moments, so that all pairs in real time take as many edges as there are transactions.
    fn add_time(&mut self, history: &[Txn]) {
        let mut events: Vec<(u64, bool, usize)> = Vec::new();
        for (id, txn) in history.iter().enumerate().filter(|(_, txn)| txn.fate == Fate::Committed) {
            events.push((txn.span.0, false, id));
            events.push((txn.span.1, true, id));
        }
        events.sort_unstable();
        let mut moment = None;
        for (_, ended, id) in events {
            match (ended, moment) {
                (false, Some(moment)) => self.add(moment, id, Kind::Time),
                (false, None) => {}
                (true, before) => {
                    let now = self.edges.len();
                    self.edges.push(Vec::new());
                    self.add(id, now, Kind::Time);
                    if let Some(before) = before {
                        self.add(before, now, Kind::Time);
                    }
                    moment = Some(now);
                }
            }
        }
    }

    /// Fails on a cycle through edges that `step` allows: from a node in a state to its target in the state that it
    /// gives, of `states`. Kahn's algorithm: what cannot be peeled off is in, or behind, a cycle.
    fn acyclic(
        &self,
        name: &str,
        step: impl Fn(Kind, usize) -> Option<usize>,
        states: usize,
    ) -> Result<(), String> {
        let nodes = self.edges.len() * states;
        let targets = |node: usize| {
            let (id, state) = (node / states, node % states);
            let step = &step;
            self.edges[id]
                .iter()
                .filter_map(move |(to, kind)| step(*kind, state).map(|state| to * states + state))
        };
        let mut waiting = vec![0_u32; nodes];
        (0..nodes).flat_map(targets).for_each(|to| waiting[to] += 1);
        let mut free: Vec<usize> = (0..nodes).filter(|node| waiting[*node] == 0).collect();
        let mut peeled = 0;
        while let Some(node) = free.pop() {
            peeled += 1;
            for to in targets(node) {
                waiting[to] -= 1;
                if waiting[to] == 0 {
                    free.push(to);
                }
            }
        }
        if peeled == nodes {
            return Ok(());
        }
        let stuck: Vec<usize> =
            (0..nodes).filter(|node| waiting[*node] > 0).map(|node| node / states).take(8).collect();
        Err(format!("{name}: a cycle among {stuck:?}"))
    }
}

/// A history and the weakest level that forbids it.
type Known = (&'static str, Vec<Txn>, Option<Level>);

/// Histories that must not pass, each with the weakest level that forbids it: the test of the checker.
///
/// # Errors
/// The first that is judged wrongly.
pub fn judges_known_histories() -> Result<usize, String> {
    let txn = |span, reads: &[(Key, Version)], writes: &[(Key, Version, Version)]| Txn {
        fate: Fate::Committed,
        span,
        reads: reads.to_vec(),
        writes: writes.to_vec(),
    };
    let aborted = |txn: Txn| Txn { fate: Fate::Aborted, ..txn };
    let (a, b) = ((1, 10), (2, 11));
    let skew = vec![txn(a, &[(1, 0), (2, 0)], &[(1, 11, 0)]), txn(b, &[(1, 0), (2, 0)], &[(2, 12, 0)])];
    let known: [Known; 11] = [
        ("nothing", vec![], None),
        (
            "one after the other",
            vec![txn((1, 2), &[], &[(1, 5, 0)]), txn((3, 4), &[(1, 5)], &[(1, 6, 5)])],
            None,
        ),
        (
            "G0",
            vec![txn(a, &[], &[(1, 5, 0), (2, 7, 6)]), txn(b, &[], &[(1, 8, 5), (2, 6, 0)])],
            Some(Level::Snapshot),
        ),
        ("G1a", vec![aborted(txn(a, &[], &[(1, 5, 0)])), txn(b, &[(1, 5)], &[])], Some(Level::Snapshot)),
        ("G1b", vec![txn(a, &[], &[(1, 5, 0), (1, 6, 5)]), txn(b, &[(1, 5)], &[])], Some(Level::Snapshot)),
        (
            "G1c",
            vec![txn(a, &[(2, 6)], &[(1, 5, 0)]), txn(b, &[(1, 5)], &[(2, 6, 0)])],
            Some(Level::Snapshot),
        ),
        (
            "lost update",
            vec![txn(a, &[(1, 0)], &[(1, 5, 0)]), txn(b, &[(1, 0)], &[(1, 6, 0)])],
            Some(Level::Snapshot),
        ),
        (
            "read skew",
            vec![txn(a, &[], &[(1, 5, 0), (2, 6, 0)]), txn(b, &[(1, 0), (2, 6)], &[])],
            Some(Level::Snapshot),
        ),
        (
            "a stale read",
            vec![txn((1, 2), &[], &[(1, 5, 0)]), txn((3, 4), &[(1, 0)], &[])],
            Some(Level::Snapshot),
        ),
        ("write skew", skew, Some(Level::Serializable)),
        (
            "a long fork",
            vec![
                txn(a, &[], &[(1, 5, 0)]),
                txn(b, &[], &[(2, 6, 0)]),
                txn(a, &[(1, 5), (2, 0)], &[]),
                txn(b, &[(1, 0), (2, 6)], &[]),
            ],
            Some(Level::Snapshot),
        ),
    ];
    for (name, history, forbidden_at) in &known {
        for level in [Level::Snapshot, Level::Serializable] {
            let forbidden = forbidden_at.is_some_and(|at| at == level || at == Level::Snapshot);
            if check(history, level).is_err() != forbidden {
                return Err(format!("{name} is judged wrongly at {level:?}: {:?}", check(history, level)));
            }
        }
    }
    Ok(known.len())
}
