"""Building what a search needs, and searching at a recall of at least 0.98, against usearch's HNSW.

Vectors lie in clusters of a lower dimension with noise around them, as embeddings do; queries are drawn like
them. usearch searches with the smallest ``expansion_search`` that reaches the recall. One thread on both sides;
ours answers as ``Table.search`` does, and once more by SQL.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable

import numpy as np
import usearch.index
from measure import Pair, folder, line, seconds, show, take_turns
from sets import draw_embeddings

import trilith

ROWS, WIDTH, K = int(os.environ.get("ROWS", "50000")), int(os.environ.get("WIDTH", "768")), 10
QUERIES, RECALL = 100, 0.98
STATEMENT = f"SELECT id FROM vector_search('t', 'embedding', $q, {K}, 'cosine', {RECALL})"


def main() -> None:
    """Measure and print."""
    vectors, queries = draw_embeddings(np.random.default_rng(7), ROWS, QUERIES, WIDTH)
    truth = np.argsort(-(queries @ vectors.T), axis=1)[:, :K]
    with folder() as base, trilith.connect(base / "search.tri", threads=1) as db:
        data = {"id": np.arange(ROWS), "embedding": vectors}
        build = seconds(lambda: (db.create_table("t", data, primary_key="id"), db.flush()))
        index = usearch.index.Index(ndim=WIDTH, metric="cos", dtype="f32")
        build_peer = seconds(lambda: index.add(np.arange(ROWS), vectors, threads=1))

        table = db.table("t")

        def ours(query: np.ndarray) -> list[int]:
            return [row[0] for row in table.search(query, k=K, recall=RECALL, columns=["id"]).fetchall()]

        def by_sql(query: np.ndarray) -> list[int]:
            return [row[0] for row in db.sql(STATEMENT, {"q": query}).fetchall()]

        def theirs(query: np.ndarray) -> list[int]:
            return index.search(query, K, threads=1).keys.tolist()

        mine = _recall(ours, queries, truth)
        for expansion in (16, 32, 64, 128, 256, 512):
            index.expansion_search = expansion
            if (other := _recall(theirs, queries, truth)) >= RECALL:
                break
        pair = take_turns(lambda: [ours(query) for query in queries], lambda: [theirs(query) for query in queries])
        sql = take_turns(lambda: [by_sql(query) for query in queries], lambda: [theirs(query) for query in queries])
        many = take_turns(
            lambda: table.search(queries, k=K, recall=RECALL, columns=["id", "_distance"]).arrow(),
            lambda: index.search(queries, K, threads=1),
        )
    ms = [1000 * statistics.median(side) / QUERIES for side in (pair.ours, pair.theirs)]
    by_text = [1000 * statistics.median(side) / QUERIES for side in (sql.ours, sql.theirs)]
    each = [1000 * statistics.median(side) / QUERIES for side in (many.ours, many.theirs)]
    size = f"{ROWS // 1000} k x {WIDTH}"
    built = Pair([build], [build_peer])
    show(
        line(
            f"{size}: insert to searchable",
            "group",
            f"{build:.2f} s",
            f"{build_peer:.2f} s",
            built,
            "<= 0.02",
            built.ratio <= 0.02,
        ),
        line(
            f"{size}: search, recall {mine:.4f} (peer {other:.4f}, expansion {expansion})",
            "any (reads)",
            f"{ms[0]:.2f} ms",
            f"{ms[1]:.2f} ms",
            pair,
            "<= 0.33",
            pair.ratio <= 1 / 3 and mine >= RECALL,
        ),
        line(
            f"{size}: the same search as a SQL statement",
            "any (reads)",
            f"{by_text[0]:.2f} ms",
            f"{by_text[1]:.2f} ms",
            sql,
            "<= 0.33",
            sql.ratio <= 1 / 3 and mine >= RECALL,
        ),
        line(
            f"{size}: {QUERIES} queries at once, each",
            "any (reads)",
            f"{each[0]:.2f} ms",
            f"{each[1]:.2f} ms",
            many,
            "<= 0.33",
            many.ratio <= 1 / 3,
        ),
    )


def _recall(search: Callable[[np.ndarray], list[int]], queries: np.ndarray, truth: np.ndarray) -> float:
    hits = sum(np.isin(search(query), true).sum() for query, true in zip(queries, truth, strict=True))
    return hits / truth.size


if __name__ == "__main__":
    main()
