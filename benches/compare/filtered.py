"""The best ten by cosine under a condition that 50, 10, 1 or 0.1 % of the rows fulfil, one thread.

Vectors lie in clusters. All queries come from one side of the space, and each row has three columns of 0 to 999: one
by chance, one by how far the row lies on the other side (``far``: a walk from the query to its neighbours meets no row
that counts) and one by how near (``near``). A condition is ``column < bound``. Each peer has the smallest setting whose
recall under that condition reaches 0.98, or the one that finds the most; the quickest peer that reaches it takes turns
with Trilith. No time is taken where an answer breaks the condition. faiss knows no columns: numpy evaluates the
condition and faiss is given the bits, both within its time. usearch takes no condition in Python.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from measure import folder, line, seconds, show, take_turns
from sets import draw_embeddings
from stores import (
    EXPANSION_BUILD,
    EXPANSIONS,
    LINKS,
    Condition,
    LanceDb,
    QdrantEdge,
    Trilith,
    Zvec,
)

ROWS, WIDTH, K = int(os.environ.get("ROWS", "50000")), int(os.environ.get("WIDTH", "128")), 10
QUERIES, RECALL, GOAL = int(os.environ.get("QUERIES", "50")), 0.98, 0.5
BOUNDS = (500, 100, 10, 1)
KINDS = {"chance": "independent of the query", "far": "far from the query", "near": "near the query"}

Search = Callable[[np.ndarray], list[int]]


class FaissHnsw:
    """faiss's HNSW with f32 vectors, which skips rows that a selector leaves out; the setting is ``efSearch``."""

    name, settings = "faiss HNSW", EXPANSIONS

    def __init__(self, data: Data) -> None:
        """Build the graph."""
        self.columns = data.columns
        self.index = faiss.IndexHNSWFlat(WIDTH, LINKS, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = EXPANSION_BUILD
        self.index.add(data.vectors)
        faiss.omp_set_num_threads(1)

    def search(self, query: np.ndarray, k: int, setting: float, condition: Condition) -> list[int]:
        """Return the numbers of the nearest rows, of those whose column is below the bound."""
        column, bound = condition
        kept = faiss.IDSelectorBitmap(np.packbits(self.columns[column] < bound, bitorder="little"))
        asked = faiss.SearchParametersHNSW(sel=kept, efSearch=int(setting))
        return self.index.search(query[None], k, params=asked)[1][0].tolist()


@dataclass(frozen=True)
class Data:
    """Rows, and queries that are not among them."""

    vectors: np.ndarray
    columns: dict[str, np.ndarray]
    queries: np.ndarray

    def nearest(self, condition: Condition) -> np.ndarray:
        """Return the true answers under a condition."""
        column, bound = condition
        kept = np.flatnonzero(self.columns[column] < bound)
        return kept[np.argsort(-(self.queries @ self.vectors[kept].T), axis=1)[:, :K]]


@dataclass(frozen=True)
class Figure:
    """What one side finds under a condition, and the milliseconds of a query."""

    name: str
    search: Search
    recall: float
    ms: float


def main() -> None:
    """Measure and print."""
    data = draw()
    with folder() as base, ExitStack() as opened:
        ours = opened.enter_context(closing(filled(Trilith, base, data)))
        stores = [filled(store, base / str(at), data) for at, store in enumerate((Zvec, QdrantEdge, LanceDb))]
        peers = [FaissHnsw(data), *(opened.enter_context(closing(store)) for store in stores)]
        results = [_compare(data, ours, peers, (kind, bound)) for kind in KINDS for bound in BOUNDS]
    show(*(row for rows, _ in results for row in rows))
    print(_table([figures for _, figures in results]))


def draw() -> Data:
    """Rows and queries, all of them on one side; the columns say how far rows lie on the other."""
    chance = np.random.default_rng(7)
    vectors, queries = draw_embeddings(chance, ROWS, 20 * QUERIES, WIDTH)
    side = chance.standard_normal(WIDTH, dtype=np.float32)
    place = np.empty(ROWS, dtype=np.int64)
    place[np.argsort(vectors @ side)] = np.arange(ROWS)
    thousandths = {"chance": chance.permutation(ROWS), "far": place, "near": ROWS - 1 - place}
    columns = {name: (1000 * values // ROWS).astype(np.int32) for name, values in thousandths.items()}
    return Data(vectors, columns, queries[np.argsort(-(queries @ side))[:QUERIES]])


def filled(store: Any, path: Path, data: Data) -> Any:
    """A store with all rows, indexed."""
    path.mkdir(exist_ok=True)
    made = store(path, WIDTH, tuple(data.columns))
    made.insert(0, data.vectors, data.columns)
    made.settle()
    return made


def _compare(data: Data, ours: Trilith, peers: list[Any], condition: Condition) -> tuple[list[str], list[Figure]]:
    truth = data.nearest(condition)
    theirs = [figure(data, peer.name, _settings(peer, condition), truth, condition) for peer in peers]
    best = min(theirs, key=lambda peer: (-min(peer.recall, RECALL), peer.ms))
    mine = figure(data, ours.name, _settings(ours, condition), truth, condition)
    text = partial(ours.by_sql, k=K, setting=RECALL, condition=condition)
    by_sql = figure(data, "Trilith, SQL", iter([text]), truth, condition)
    return [_line(data, side, best, condition) for side in (mine, by_sql)], [mine, by_sql, *theirs]


def _settings(side: Any, condition: Condition) -> Iterator[Search]:
    return (partial(side.search, k=K, setting=setting, condition=condition) for setting in side.settings)


def figure(data: Data, name: str, searches: Iterator[Search], truth: np.ndarray, condition: Condition) -> Figure:
    """Measure the first search that reaches the recall, or else the one that finds the most."""
    column, bound = condition
    best, recall = None, -1.0
    for search in searches:
        found = [[row for row in search(query) if row >= 0] for query in data.queries]
        if any((data.columns[column][rows] >= bound).any() for rows in found):
            raise SystemExit(f"{name} returns rows that do not fulfil {column} < {bound}")
        share = sum(np.isin(rows, true).sum() for rows, true in zip(found, truth, strict=True)) / truth.size
        if share > recall:
            best, recall = search, share
        if recall >= RECALL:
            break
    taken = [seconds(lambda: [best(query) for query in data.queries]) for _ in range(3)]
    return Figure(name, best, recall, 1000 * statistics.median(taken) / QUERIES)


def _line(data: Data, ours: Figure, theirs: Figure, condition: Condition) -> str:
    pair = take_turns(*(lambda side=side: [side.search(query) for query in data.queries] for side in (ours, theirs)))
    what = f"{ROWS // 1000} k x {WIDTH}, {_condition(condition)}: {ours.name}, recall {ours.recall:.3f}"
    mine, other = (f"{1000 * statistics.median(times) / QUERIES:.2f} ms" for times in (pair.ours, pair.theirs))
    peer = f"{theirs.name}, recall {theirs.recall:.3f}: {other}"
    return line(what, "any (reads)", mine, peer, pair, f"<= {GOAL}", pair.ratio <= GOAL and ours.recall >= RECALL)


def _condition(condition: Condition) -> str:
    return f"{condition[1] / 10:g} % {KINDS[condition[0]]}"


def _table(figures: list[list[Figure]]) -> str:
    """Recall and milliseconds of every side under every condition."""
    conditions = [(kind, bound) for kind in KINDS for bound in BOUNDS]
    names = [side.name for side in figures[0]]
    rows = [
        " | ".join([_condition(condition), *(f"{side.recall:.3f}, {side.ms:.2f} ms" for side in sides)])
        for condition, sides in zip(conditions, figures, strict=True)
    ]
    head = f"\n| rows that count | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}\n"
    return head + "\n".join(f"| {row} |" for row in rows)


if __name__ == "__main__":
    main()
