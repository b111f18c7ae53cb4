"""Tables with vectors that are written while they are read, against zvec, Qdrant Edge and LanceDB.

First the time from the call that inserts one row until a search finds that row: at ``buffered`` to what each calls
acknowledged, at ``group`` with the peer's own call that brings it to disk. Then, for ``SECONDS``, one thread inserts
batches of 100 as fast as it can while two others query without a pause: Python threads of one process for every side,
which share its lock wherever a package does not let go of it. Compared are the time of a row and, with a new table of
Trilith that is written no faster than the peer wrote, the median and 99th percentile of the queries; all by fifths of
that time, with nothing synced on any side. The last table has each as fast as it can, Trilith at ``group`` too.

Each side asks with the smallest setting whose recall was 0.98 before, one thread a query; its recall at the end is held
against brute force over all rows that it then has. Nobody calls ``optimize`` or the like after a table is built.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import Pair, folder, line, show, take_turns
from sets import Set, draw_embeddings
from stores import LanceDb, QdrantEdge, Store, Trilith, TrilithBuffered, Zvec

ROWS, WIDTH, K = int(os.environ.get("ROWS", "50000")), int(os.environ.get("WIDTH", "128")), 10
SECONDS, PARTS = float(os.environ.get("SECONDS", "5")), 5
QUERIES, RECALL, READERS, BATCH, SINGLES = 100, 0.98, 2, 100, 5
# Rows a second that nobody writes more than, as they were drawn before; and rows that are inserted one by one.
FASTEST, SPARE = 200_000, 10_000


@dataclass
class Live:
    """A store that grows by rows of one pool, and the setting that its searches have."""

    store: Store
    pool: np.ndarray
    rows: int
    setting: float

    @property
    def name(self) -> str:
        """Whose table it is."""
        return self.store.name

    def insert(self, count: int) -> None:
        """Add the next rows of the pool."""
        self.store.insert(self.rows, self.pool[self.rows : self.rows + count])
        self.rows += count

    def find_new(self, synced: bool) -> None:
        """Insert rows one by one, and wait after each until a search finds it."""
        for _ in range(SINGLES):
            self.insert(1)
            if synced:
                self.store.sync()
            while self.store.search(self.pool[self.rows - 1], 1, self.setting) != [self.rows - 1]:
                pass

    def recall(self, queries: np.ndarray) -> float:
        """Return the share of the true nearest that searches find."""
        truth = Set(self.name, self.pool[: self.rows], queries).nearest(K)
        found = [self.store.search(query, K, self.setting) for query in queries]
        return sum(np.isin(rows, true).sum() for rows, true in zip(found, truth, strict=True)) / truth.size


@dataclass(frozen=True)
class Churn:
    """What one store did while it was written and read; times are in seconds, one for each part."""

    name: str
    durability: str
    per_row: list[float]
    median: list[float]
    p99: list[float]
    rows: int
    recall: float


def main() -> None:
    """Measure and print."""
    pool, queries = draw_embeddings(np.random.default_rng(7), ROWS + SPARE + int(FASTEST * SECONDS), QUERIES, WIDTH)
    with folder() as base, ExitStack() as opened:
        made = [
            opened.enter_context(closing(_filled(store, base / store.__name__, pool)))
            for store in (Zvec, QdrantEdge, LanceDb, Trilith, TrilithBuffered)
        ]
        live = [_tuned(store, pool, queries) for store in made]
        *peers, group, buffered = live
        rows = [_findable(group, peer, True) for peer in peers if not isinstance(peer.store, LanceDb)]
        rows += [_findable(buffered, peer, False) for peer in peers]
        churns = [_churned(side, queries) for side in live]
        *others, _, ours = churns
        for peer in others:
            store = _filled(TrilithBuffered, base / f"beside {peer.name}", pool)
            paced = _churned(Live(store, pool, ROWS, buffered.setting), queries, statistics.median(peer.per_row))
            rows += _lines(ours, paced, peer)
    show(*rows)
    print(_table(churns))


def _filled(store: type[Store], path: Path, pool: np.ndarray) -> Store:
    path.mkdir()
    made = store(path, WIDTH)
    made.insert(0, pool[:ROWS])
    made.settle()
    return made


def _tuned(store: Store, pool: np.ndarray, queries: np.ndarray) -> Live:
    """Return the store with its smallest setting that reaches the recall."""
    for setting in store.settings:
        live = Live(store, pool, ROWS, setting)
        if live.recall(queries) >= RECALL:
            return live
    raise SystemExit(f"{store.name} does not reach a recall of {RECALL}")


def _findable(ours: Live, theirs: Live, synced: bool) -> str:
    pair = take_turns(lambda: ours.find_new(synced), lambda: theirs.find_new(synced))
    mine, other = (f"{1000 * statistics.median(side) / SINGLES:.2f} ms" for side in (pair.ours, pair.theirs))
    level = f"{_level(ours)}; peer {theirs.store.synced if synced else theirs.store.acknowledged}"
    what = f"{ROWS // 1000} k x {WIDTH}: one row, from insert to found"
    return line(what, level, mine, f"{theirs.name}: {other}", pair, "<= 1", pair.ratio <= 1)


def _level(live: Live) -> str:
    return live.store.durability if isinstance(live.store, Trilith) else live.store.acknowledged


def _churned(live: Live, queries: np.ndarray, per_row: float = 1 / FASTEST) -> Churn:
    """Write, a row in no less time than ``per_row``, and read at once; look at the answers; let go of the store."""
    begin = time.perf_counter()
    end = begin + SECONDS
    asked: list[tuple[float, float]] = []
    readers = [
        threading.Thread(target=_read, args=(live, np.roll(queries, reader * 7, axis=0), end, asked))
        for reader in range(READERS)
    ]
    for reader in readers:
        reader.start()
    written = _write(live, end, per_row)
    for reader in readers:
        reader.join()
    recall = live.recall(queries)
    live.store.close()
    # A part in which no query ended has one that took at least as long.
    times = [[taken for at, taken in asked if _part(at - begin) == part] or [SECONDS / PARTS] for part in range(PARTS)]
    batches = [sum(_part(at - begin) == part for at in written) for part in range(PARTS)]
    return Churn(
        live.name,
        _level(live),
        [SECONDS / PARTS / max(count * BATCH, 1) for count in batches],
        [statistics.median(part) for part in times],
        [float(np.quantile(part, 0.99)) for part in times],
        live.rows,
        recall,
    )


def _part(after: float) -> int:
    return min(int(after / SECONDS * PARTS), PARTS - 1)


def _write(live: Live, end: float, per_row: float) -> list[float]:
    """Insert batches until the end; return when each was acknowledged."""
    written, due = [], time.perf_counter()
    while time.perf_counter() < end:
        live.insert(BATCH)
        written.append(time.perf_counter())
        due += BATCH * per_row
        if (wait := min(due, end) - time.perf_counter()) > 0:
            time.sleep(wait)
    return written


def _read(live: Live, queries: np.ndarray, end: float, asked: list[tuple[float, float]]) -> None:
    """Query until the end; note when each query was answered and how long that took."""
    while True:
        for query in queries:
            begin = time.perf_counter()
            if begin >= end:
                return
            live.store.search(query, K, live.setting)
            done = time.perf_counter()
            asked.append((done, done - begin))


def _lines(free: Churn, paced: Churn, theirs: Churn) -> list[str]:
    """Compare rows as fast as each can, and queries beside equally many rows."""
    median = ("a query at the peer's pace, median", "ms", paced, paced.median, theirs.median)
    p99 = ("a query at the peer's pace, 99th percentile", "ms", paced, paced.p99, theirs.p99)
    figures = (("a row inserted", "us", free, free.per_row, theirs.per_row), median, p99)
    return [_line(what, unit, ours, theirs, Pair(*sides)) for what, unit, ours, *sides in figures]


def _line(what: str, unit: str, ours: Churn, theirs: Churn, pair: Pair) -> str:
    scale = {"ms": 1e3, "us": 1e6}[unit]
    mine, other = (f"{scale * statistics.median(side):.2f} {unit}" for side in (pair.ours, pair.theirs))
    recall = f"recall at the end {ours.recall:.3f} (peer {theirs.recall:.3f})"
    size = f"{ROWS // 1000} k x {WIDTH}, batches of {BATCH} beside {READERS} readers"
    level = f"{ours.durability}; peer {theirs.durability}"
    met = pair.ratio <= 1 and ours.recall >= RECALL
    return line(f"{size}: {what}; {recall}", level, mine, f"{theirs.name}: {other}", pair, "<= 1", met)


def _table(churns: list[Churn]) -> str:
    """Every side in a few figures."""
    head = "\n| | durability | rows/s | query, median | 99th percentile | rows at the end | recall |"
    head += f"\n{'|---' * 7}|"
    rows = [
        f"| {side.name} | {side.durability} | {1 / statistics.median(side.per_row):,.0f} | "
        f"{1000 * statistics.median(side.median):.2f} ms | {1000 * statistics.median(side.p99):.2f} ms | "
        f"{side.rows:,} | {side.recall:.3f} |"
        for side in churns
    ]
    return "\n".join([head, *rows])


if __name__ == "__main__":
    main()
