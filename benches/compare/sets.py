"""Sets of vectors to search in: embeddings from files, and generated ones that are easy or hard to tell apart.

All vectors have length one, so the cosine, the inner product and the Euclidean distance agree on who is nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Set:
    """Vectors, and queries that are not among them."""

    name: str
    vectors: np.ndarray
    queries: np.ndarray

    def nearest(self, k: int, kept: np.ndarray | None = None) -> np.ndarray:
        """Return the rows of the ``k`` nearest vectors of each query, of those that ``kept`` marks."""
        found = []
        for query in self.queries:
            scores = self.vectors @ query
            if kept is not None:
                scores[~kept] = -np.inf
            best = np.argpartition(-scores, k)[:k]
            found.append(best[np.argsort(-scores[best])])
        return np.array(found)


def clustered(rows: int, width: int, queries: int) -> Set:
    """Vectors as embeddings lie: in clusters of a lower dimension, with noise around them."""
    vectors, asked = draw_embeddings(np.random.default_rng(7), rows, queries, width)
    return Set(f"clustered-{width}", vectors, asked)


def hard(rows: int, width: int, queries: int) -> Set:
    """Vectors in all directions alike: there is nothing that an index could learn."""
    chance = np.random.default_rng(11)
    drawn = [chance.standard_normal((count, width), dtype=np.float32) for count in (rows, queries)]
    return Set(f"hard-{width}", *map(_units, drawn))


def from_files(folder: Path, rows: int, queries: int) -> list[Set]:
    """Return the sets of a folder: every ``.npy`` file with one vector in each row.

    ``x_queries.npy`` holds the queries of ``x.npy`` or of ``x_base.npy``; without it, the last rows are asked for.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.npy"))}
    asked = {stem.replace("_queries", ""): path for stem, path in files.items() if "_queries" in stem}
    found = []
    for stem, path in files.items():
        vectors = np.load(path, mmap_mode="r")
        floats = vectors.ndim == 2 and vectors.dtype.kind in "fu" and len(vectors) > 2 * queries
        if "_queries" in stem or not floats:
            continue
        near = asked.get(stem.replace("_base", ""))
        held = vectors[-queries:] if near is None else np.load(near)[:queries]
        kept = vectors[:-queries] if near is None else vectors
        found.append(Set(stem, _units(kept[:rows]), _units(held)))
    return found


def draw_embeddings(chance: np.random.Generator, rows: int, queries: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and queries of length one: clusters, each spread along directions of its own."""
    clusters, spread = max(rows // 250, 1), width // 12
    centres = chance.standard_normal((clusters, width), dtype=np.float32)
    directions = chance.standard_normal((64, spread, width), dtype=np.float32) / np.sqrt(spread)

    def draw(count: int) -> np.ndarray:
        cluster = chance.integers(clusters, size=count)
        found = centres[cluster]
        for group in range(len(directions)):
            rows = np.flatnonzero(cluster % len(directions) == group)
            found[rows] += chance.standard_normal((rows.size, spread), dtype=np.float32) @ directions[group]
        found += 0.3 * chance.standard_normal(found.shape, dtype=np.float32)
        return _units(found)

    return draw(rows), draw(queries)


def _units(vectors: np.ndarray) -> np.ndarray:
    found = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.where(lengths > 0, lengths, 1)
