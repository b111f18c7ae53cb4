"""With each of many vectors the ten nearest of a table: a NEAREST join, against DuckDB's lateral join and numpy.

Vectors as in ``search.py``. Both sides with two threads. DuckDB computes every distance; numpy multiplies the
matrices in blocks and picks the best of each row, and has no table, no conditions and no names.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
os.environ.setdefault("WIDTH", "384")

import statistics

import duckdb
import numpy as np
import pyarrow as pa
from measure import Pair, agree, folder, line, seconds, show, take_turns
from search import ROWS, WIDTH
from sets import draw_embeddings

import trilith

ASKED, FEW, K = int(os.environ.get("ASKED", "1000")), 20, 10
JOIN = f"""
    SELECT a.id AS a, b.id AS b FROM asked a
    JOIN t b {{mode}} NEAREST {K} BY SIMILARITY inner_product(a.embedding, b.embedding) WHERE a.id < $most
"""
LATERAL = f"""
    SELECT a.id AS a, b.id AS b FROM (SELECT * FROM asked WHERE id < $most) a, LATERAL (
        SELECT id FROM t ORDER BY array_inner_product(a.embedding, t.embedding) DESC LIMIT {K}) b
"""


def main() -> None:
    """Measure and print."""
    vectors, asked = draw_embeddings(np.random.default_rng(7), ROWS, ASKED, WIDTH)
    with folder() as base, trilith.connect(base / "nearest.tri", threads=2) as db:
        peer = duckdb.connect(config={"threads": 2})
        for name, rows in (("t", vectors), ("asked", asked)):
            db.create_table(name, {"id": np.arange(len(rows)), "embedding": rows}, primary_key="id")
            lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), WIDTH)
            peer.register("lent", pa.table({"id": np.arange(len(rows)), "embedding": lists}))
            peer.sql(f"CREATE TABLE {name} AS SELECT id, embedding::FLOAT[{WIDTH}] AS embedding FROM lent")
        db.flush()

        def ours(mode: str, most: int = ASKED) -> list[set[int]]:
            return _sets(db.sql(JOIN.format(mode=mode), {"most": most}).arrow())

        def sql() -> list[set[int]]:
            return _sets(peer.execute(LATERAL, {"most": FEW}).to_arrow_table())

        def blocks() -> list[set[int]]:
            best = [_best(asked[first : first + 256] @ vectors.T) for first in range(0, ASKED, 256)]
            return [set(row) for row in np.concatenate(best).tolist()]

        truth = blocks()
        agree(ours("EXACT"), truth)
        agree(sql(), truth[:FEW])
        recall = np.mean([len(found & true) / K for found, true in zip(ours("APPROX"), truth, strict=True)])
        exact, near = (take_turns(lambda mode=mode: ours(mode), blocks) for mode in ("EXACT", "APPROX"))
        few = Pair([seconds(lambda: ours("EXACT", FEW)) for _ in exact.ours], [seconds(sql) for _ in exact.ours])
    size = f"{ROWS // 1000} k x {WIDTH}"
    show(
        _line(f"{size}: {FEW} joined exactly; peer DuckDB", few, 0.33),
        _line(f"{size}: {ASKED} joined exactly; peer numpy", exact, 1.0),
        _line(f"{size}: {ASKED} joined APPROX, recall {recall:.4f}; peer numpy", near, 1.0),
    )


def _line(what: str, pair: Pair, goal: float) -> str:
    ours, theirs = (f"{1000 * statistics.median(side):.0f} ms" for side in (pair.ours, pair.theirs))
    return line(what, "any (reads)", ours, theirs, pair, f"<= {goal}", pair.ratio <= goal)


def _best(scores: np.ndarray) -> np.ndarray:
    return np.argpartition(-scores, K, axis=1)[:, :K]


def _sets(rows: pa.Table) -> list[set[int]]:
    found: dict[int, set[int]] = {}
    for a, b in zip(rows["a"].to_pylist(), rows["b"].to_pylist(), strict=True):
        found.setdefault(a, set()).add(b)
    return [found[a] for a in sorted(found)]


if __name__ == "__main__":
    main()
