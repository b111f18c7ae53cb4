"""Late interaction (MaxSim, as in ColBERT) over lists of vectors, exact, against numpy and LanceDB.

Each row has 32 vectors of 96 dimensions and length one, and so has a query. numpy holds all vectors as one matrix and
takes its product with those of the query, the greatest of each row, and their sums; LanceDB searches without an index.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
# Its threads would otherwise spin through our turn.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import statistics

import lancedb
import numpy as np
import pyarrow as pa
from measure import agree, folder, line, seconds, show, take_turns

import trilith

ROWS, VECTORS, WIDTH, K, QUERIES = int(os.environ.get("ROWS", "20000")), 32, 96, 10, 10
TYPE = pa.list_(pa.list_(pa.float32(), WIDTH))


def main() -> None:
    """Measure and print."""
    chance = np.random.default_rng(7)
    rows, queries = _units(chance, ROWS), _units(chance, QUERIES)
    flat = rows.reshape(-1, WIDTH)
    with folder() as base, trilith.connect(base / "multivector.tri", threads=2) as db:
        data = {"id": np.arange(ROWS), "tokens": rows}
        built = seconds(lambda: (db.create_table("t", data, primary_key="id"), db.flush()))
        table = db.table("t")
        peer = lancedb.connect(base / "lance").create_table("t", _arrow(rows))

        def ours(query: np.ndarray) -> list[int]:
            return [row[0] for row in table.multivector_search(query, k=K, columns=["id"]).fetchall()]

        def by_numpy(query: np.ndarray) -> list[int]:
            products = (flat @ query.T).reshape(ROWS, VECTORS, VECTORS)
            scores = products.max(axis=1).sum(axis=1)
            best = np.argpartition(-scores, K)[:K]
            return best[np.argsort(-scores[best])].tolist()

        def by_lance(query: np.ndarray) -> list[int]:
            found = peer.search(query.tolist(), vector_column_name="tokens").distance_type("cosine")
            return found.select(["id", "_distance"]).limit(K).to_arrow()["id"].to_pylist()

        mine = [ours(query) for query in queries]
        agree(mine, [by_numpy(query) for query in queries])
        agree([sorted(found) for found in mine[:2]], [sorted(by_lance(query)) for query in queries[:2]])
        numpy = take_turns(lambda: [ours(query) for query in queries], lambda: [by_numpy(query) for query in queries])
        lance = take_turns(lambda: ours(queries[0]), lambda: by_lance(queries[0]))
    size = f"{ROWS // 1000} k rows x {VECTORS} vectors x {WIDTH}, {VECTORS} of the query: best {K}"
    ms = [1000 * statistics.median(side) for side in (numpy.ours, numpy.theirs, lance.ours, lance.theirs)]
    show(
        line(
            f"{size}, numpy",
            "any (reads)",
            f"{ms[0] / QUERIES:.1f} ms",
            f"{ms[1] / QUERIES:.1f} ms",
            numpy,
            "<= 1",
            numpy.ratio <= 1,
        ),
        line(
            f"{size}, LanceDB", "any (reads)", f"{ms[2]:.1f} ms", f"{ms[3]:.1f} ms", lance, "<= 0.2", lance.ratio <= 0.2
        ),
    )
    print(f"insert to searchable: {built:.2f} s")


def _units(chance: np.random.Generator, count: int) -> np.ndarray:
    """Matrices whose vectors lie around a direction of their own, as those of the words of one text do."""
    topic = chance.standard_normal((count, 1, WIDTH), dtype=np.float32)
    found = topic + 1.5 * chance.standard_normal((count, VECTORS, WIDTH), dtype=np.float32)
    return found / np.linalg.norm(found, axis=2, keepdims=True)


def _arrow(rows: np.ndarray) -> pa.Table:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), WIDTH)
    offsets = pa.array(np.arange(0, len(vectors) + 1, VECTORS, dtype=np.int32))
    tokens = pa.ListArray.from_arrays(offsets, vectors).cast(TYPE)
    return pa.table({"id": np.arange(len(rows)), "tokens": tokens})


if __name__ == "__main__":
    main()
