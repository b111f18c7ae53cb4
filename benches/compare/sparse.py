"""The greatest inner products with a sparse vector, against a product with the whole matrix by scipy.

Vectors have the shape that SPLADE gives: a vocabulary of 30,522, about 120 indices in a document and 40 in a query,
drawn by frequency, weights that fall off. Both answers are exact and must agree. One thread on both sides; ours
answers by SQL.
"""

from __future__ import annotations

import os
import statistics

import numpy as np
import pyarrow as pa
import scipy.sparse
from measure import agree, folder, line, seconds, show, take_turns

import trilith

ROWS, VOCABULARY, K, QUERIES = int(os.environ.get("ROWS", "200000")), 30_522, 10, 20


def main() -> None:
    """Measure and print."""
    chance = np.random.default_rng(7)
    documents, queries = _vectors(chance, ROWS, 120), _vectors(chance, QUERIES, 40)
    with folder() as base, trilith.connect(base / "sparse.tri", threads=1) as db:
        db.sql("CREATE TABLE t (id BIGINT PRIMARY KEY, terms SPARSEVEC)").fetchall()
        table, rows = db.table("t"), _table(documents)
        texts = [_text(queries[row]) for row in range(QUERIES)]

        def build() -> None:
            table.append(rows)
            db.flush()
            ours(texts[0])

        def ours(text: str) -> list[float]:
            return [row[0] for row in table.sparse_search(text, "terms", K, columns=["_score"]).fetchall()]

        def theirs(row: int) -> list[float]:
            scores = documents @ queries[row].toarray().ravel()
            best = np.argpartition(-scores, K)[:K]
            return sorted(scores[best], reverse=True)

        built = seconds(build)
        mine, other = [ours(text) for text in texts], [theirs(row) for row in range(QUERIES)]
        if not np.allclose(mine, other, rtol=1e-4):
            agree(mine, other)
        pair = take_turns(lambda: [ours(text) for text in texts], lambda: [theirs(row) for row in range(QUERIES)])
    ms = [1000 * statistics.median(side) / QUERIES for side in (pair.ours, pair.theirs)]
    what = f"{ROWS // 1000} k sparse vectors of {documents.nnz / ROWS:.0f}: best {K}"
    show(line(what, "any (reads)", f"{ms[0]:.2f} ms", f"{ms[1]:.2f} ms", pair, "<= 0.05", pair.ratio <= 0.05))
    print(f"insert to searchable: {built:.2f} s")


def _vectors(chance: np.random.Generator, count: int, length: int) -> scipy.sparse.csr_matrix:
    """Rows of about ``length`` indices, frequent ones more often, with weights as a log of a count."""
    frequency = 1 / (np.arange(VOCABULARY) + 20.0)
    drawn = chance.choice(VOCABULARY, size=(count, length), p=frequency / frequency.sum())
    weights = np.log1p(chance.exponential(1.0, size=drawn.shape)).astype(np.float32)
    rows = np.repeat(np.arange(count), length)
    matrix = scipy.sparse.csr_matrix((weights.ravel(), (rows, drawn.ravel())), shape=(count, VOCABULARY))
    matrix.sum_duplicates()
    return matrix


def _table(matrix: scipy.sparse.csr_matrix) -> pa.Table:
    offsets = pa.array(matrix.indptr.astype(np.int32))
    indices = pa.ListArray.from_arrays(offsets, pa.array(matrix.indices.astype(np.uint32)))
    values = pa.ListArray.from_arrays(offsets, pa.array(matrix.data))
    terms = pa.StructArray.from_arrays([indices, values], ["indices", "values"])
    return pa.table({"id": np.arange(matrix.shape[0]), "terms": terms})


def _text(row: scipy.sparse.csr_matrix) -> str:
    pairs = zip(row.indices.tolist(), row.data.tolist(), strict=True)
    return "{" + ",".join(f"{index}:{value!r}" for index, value in pairs) + "}"


if __name__ == "__main__":
    main()
