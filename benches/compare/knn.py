"""Exact nearest neighbours, 100 k x 384 f32, k = 10, against numpy with two threads.

Also as a share of memory bandwidth: the vectors' bytes over our time, beside what two threads reach
when they only read an array of that size.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
# Its threads would otherwise spin through our turn.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import statistics
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from measure import agree, folder, line, seconds, show, take_turns

import trilith

ROWS, WIDTH, K = int(os.environ.get("ROWS", "100000")), 384, 10
STATEMENT = f"SELECT id FROM t ORDER BY cosine_distance(embedding, $q) LIMIT {K}"
QUERIES = 20


def main() -> None:
    """Measure and print."""
    chance = np.random.default_rng(5)
    vectors = _unit(chance.standard_normal((ROWS, WIDTH), dtype=np.float32))
    queries = _unit(chance.standard_normal((QUERIES, WIDTH), dtype=np.float32))
    with folder() as base, trilith.connect(base / "knn.tri") as db:
        db.create_table("t", {"id": np.arange(ROWS), "embedding": vectors}, primary_key="id")
        db.flush()

        def ours(query: np.ndarray) -> list[int]:
            return [row[0] for row in db.sql(STATEMENT, {"q": query}).fetchall()]

        def theirs(query: np.ndarray) -> list[int]:
            score = vectors @ query
            best = np.argpartition(-score, K)[:K]
            return best[np.argsort(-score[best])].tolist()

        for query in queries:
            agree(sorted(ours(query)), sorted(theirs(query)))
        pair = take_turns(lambda: [ours(query) for query in queries], lambda: [theirs(query) for query in queries])
    ms = [1000 * statistics.median(side) / QUERIES for side in (pair.ours, pair.theirs)]
    speed, bandwidth = vectors.nbytes / ms[0] / 1e6, _bandwidth(vectors)
    what = f"exact KNN {ROWS // 1000} k x {WIDTH}, k = {K}"
    share = speed / bandwidth
    show(
        line(
            f"{what} (peer: numpy, 2 threads)",
            "any (reads)",
            f"{ms[0]:.2f} ms",
            f"{ms[1]:.2f} ms",
            pair,
            "< 1.0",
            pair.ratio < 1,
        ),
        line(
            f"{what}, share of bandwidth",
            "any (reads)",
            f"{speed:.1f} GB/s",
            f"{bandwidth:.1f} GB/s",
            None,
            ">= 70 %",
            share >= 0.7,
        ),
    )
    print(f"share of memory bandwidth: {100 * share:.0f} %")


def _bandwidth(vectors: np.ndarray) -> float:
    """Bytes a second, in GB, that two threads reach when they only read."""
    halves = np.array_split(vectors.view(np.uint32).reshape(-1), 2)
    with ThreadPoolExecutor(2) as pool:
        best = min(seconds(lambda: list(pool.map(np.bitwise_or.reduce, halves))) for _ in range(15))
    return vectors.nbytes / best / 1e9


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
