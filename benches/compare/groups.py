"""The nearest of each group, rows within a distance, and k-means, against windows, filters and scikit-learn.

Vectors as in ``search.py``. Windows and filters are our own, over a distance that is not recognised as one (a sum with
nothing); scikit-learn's ``KMeans`` is fitted to all rows, from one start by k-means++, and stops where it likes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
os.environ.setdefault("WIDTH", "128")

import statistics

import numpy as np
from measure import Pair, agree, folder, line, show, take_turns
from search import ROWS, WIDTH
from sets import draw_embeddings
from sklearn.cluster import KMeans

import trilith

NEAR, K, CLUSTERS = 200, 3, 100
WINDOW = f"""
    SELECT kind, id FROM (
        SELECT kind, id, row_number() OVER (PARTITION BY kind ORDER BY l2_distance(embedding, $q){{zero}}) AS r FROM t)
    WHERE r <= {K} ORDER BY kind, r
"""
FILTER = "SELECT id FROM t WHERE l2_distance(embedding, $q){zero} < $radius ORDER BY id"


def main() -> None:
    """Measure and print."""
    vectors, asked = draw_embeddings(np.random.default_rng(7), ROWS, 1, WIDTH)
    query = asked[0]
    radius = float(np.sort(np.linalg.norm(vectors - query, axis=1))[NEAR])
    rows: list[str] = []
    with folder() as base, trilith.connect(base / "groups.tri", threads=2) as db:
        ids = np.arange(ROWS)
        for groups in (10, 1_000, ROWS // 5):
            data = {"id": ids, "kind": ids * 7919 % groups, "embedding": vectors}
            db.create_table("t", data, primary_key="id")
            db.flush()

            def window(zero: str) -> list[tuple[int, int]]:
                return db.sql(WINDOW.format(zero=zero), {"q": query}).fetchall()

            agree(window(""), window(" + 0"))
            pair = take_turns(lambda: window(""), lambda: window(" + 0"))
            rows.append(_line(f"nearest {K} of each of {groups:,} groups; peer the window", pair, 0.5))
            if groups < ROWS // 5:
                db.sql("DROP TABLE t")

        def near(zero: str) -> list[tuple[int, ...]]:
            return db.sql(FILTER.format(zero=zero), {"q": query, "radius": radius}).fetchall()

        agree(near(""), near(" + 0"))
        pair = take_turns(lambda: near(""), lambda: near(" + 0"))
        rows.append(_line(f"{NEAR} rows within a distance; peer the plain filter", pair, 0.7))
        spread: dict[str, float] = {}

        def ours() -> None:
            found = db.sql(f"SELECT sum(_distance * _distance) FROM kmeans('t', 'embedding', {CLUSTERS})").fetchone()
            spread["ours"] = found[0] if found else 0.0

        def theirs() -> None:
            spread["theirs"] = KMeans(CLUSTERS, n_init=1, random_state=0).fit(vectors).inertia_

        pair = take_turns(ours, theirs)
    rows.append(_line(f"{CLUSTERS} clusters of all rows; peer scikit-learn", pair, 1.0))
    show(*rows)
    print(f"squares within clusters, ours to scikit-learn's: {spread['ours'] / spread['theirs']:.4f}")


def _line(what: str, pair: Pair, goal: float) -> str:
    ours, theirs = (f"{1000 * statistics.median(side):.1f} ms" for side in (pair.ours, pair.theirs))
    size = f"{ROWS // 1000} k x {WIDTH}: {what}"
    return line(size, "any (reads)", ours, theirs, pair, f"<= {goal}", pair.ratio <= goal)


if __name__ == "__main__":
    main()
