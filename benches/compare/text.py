"""Searching by words against tantivy as its Python package ships it, and by words and vectors against LanceDB.

Texts are drawn from a Zipfian vocabulary, queries are two or three of its words, any of which may be there. No side
stems; each answers from files and on one thread, ours by SQL, as users ask. The scores of the best ten must agree
before any time is believed.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lancedb
import lancedb.index
import numpy as np
import pyarrow as pa
import tantivy
from measure import Pair, agree, folder, line, seconds, show, take_turns

import trilith

ROWS, WORDS, WIDTH, K = int(os.environ.get("ROWS", "100000")), 40, 128, 10
VOCABULARY, QUERIES = 50_000, 100
TEXT = f"SELECT id, _score FROM text_search('t', 'body', $q, {K}, 'none')"

Search = Callable[[str], list[float]]


def main() -> None:
    """Measure and print."""
    chance = np.random.default_rng(7)
    texts, queries = _texts(chance), _queries(chance)
    vectors = chance.standard_normal((ROWS, WIDTH), dtype=np.float32)
    data = pa.table({"id": np.arange(ROWS), "kind": np.arange(ROWS) % 10, "body": texts, "embedding": _lists(vectors)})
    with folder() as base, trilith.connect(base / "text.tri", threads=1) as db:

        def build() -> None:
            db.create_table("t", data, primary_key="id")
            db.flush()
            ours("w1")

        def ours(query: str, where: str | None = None) -> list[float]:
            found = db.table("t").text_search(query, "body", K, where, ["_score"], language="none")
            return [row[0] for row in found.fetchall()]

        def by_sql(query: str) -> list[float]:
            return [row[1] for row in db.sql(TEXT, {"q": query}).fetchall()]

        built = seconds(build)
        theirs, built_theirs = _tantivy(base / "tantivy", texts)
        agree(*([np.round(side(query), 3).tolist() for query in queries] for side in (ours, theirs)))
        words = take_turns(lambda: [ours(query) for query in queries], lambda: [theirs(query) for query in queries])
        sql = take_turns(lambda: [by_sql(query) for query in queries], lambda: [theirs(query) for query in queries])
        some = [seconds(lambda q=query: ours(q, "kind = 3")) for query in queries]
        both = _hybrid(db, base, data, [*zip(queries, vectors[:QUERIES], strict=True)])
    size = f"{ROWS // 1000} k texts of {WORDS} words"
    building = Pair([built], [built_theirs])
    show(
        line(f"{size}: insert to searchable", "group", f"{built:.2f} s", f"{built_theirs:.2f} s", building, "", True),
        _line(f"{size}: best {K}, any of 2 or 3 words", words, 1.0),
        _line(f"{size}: the same as a SQL statement", sql, 1.0),
        _line(f"{size} and vectors in one ranking; peer LanceDB", both, 0.2),
    )
    print(f"under a condition that every tenth row fulfils: {1000 * statistics.median(some):.2f} ms")


def _line(what: str, pair: Pair, goal: float) -> str:
    ours, theirs = (f"{1000 * statistics.median(side) / QUERIES:.2f} ms" for side in (pair.ours, pair.theirs))
    return line(what, "any (reads)", ours, theirs, pair, f"<= {goal}", pair.ratio <= goal)


def _tantivy(path: Path, texts: list[str]) -> tuple[Search, float]:
    """A search over one segment, and the seconds that it took to make."""
    path.mkdir()
    schema = tantivy.SchemaBuilder().add_text_field("body", stored=False, tokenizer_name="default").build()
    index = tantivy.Index(schema, str(path))

    def build() -> None:
        writer = index.writer(heap_size=500_000_000, num_threads=1)
        for text in texts:
            writer.add_document(tantivy.Document(body=text))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()

    built, searcher = seconds(build), index.searcher()

    def search(query: str) -> list[float]:
        return [score for score, _ in searcher.search(index.parse_query(query, ["body"]), K, count=False).hits]

    return search, built


def _hybrid(db: trilith.Database, base: Path, data: pa.Table, queries: list[tuple[str, np.ndarray]]) -> Pair:
    table = lancedb.connect(base / "lance").create_table("t", data)
    words = lancedb.index.FTS(stem=False, remove_stop_words=False, with_position=False)
    table.create_index("body", config=words)

    def theirs() -> list[Any]:
        search = table.search(query_type="hybrid", vector_column_name="embedding", fts_columns="body")
        return [search.vector(vector).text(words).limit(K).to_arrow() for words, vector in queries]

    options = {"k": K, "columns": ["id"], "metric": "l2", "language": "none"}
    mine = db.table("t")
    return take_turns(lambda: [mine.hybrid_search(q, v, "body", **options).fetchall() for q, v in queries], theirs)


def _lists(vectors: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), WIDTH)


def _texts(chance: np.random.Generator) -> list[str]:
    ranks = np.minimum(chance.zipf(1.15, size=(ROWS, WORDS)), VOCABULARY)
    return [" ".join(f"w{rank}" for rank in row) for row in ranks]


def _queries(chance: np.random.Generator) -> list[str]:
    """Words that are neither in nearly every text nor in nearly none."""
    lengths = chance.integers(2, 4, size=QUERIES)
    return [" ".join(f"w{rank}" for rank in chance.integers(5, 3000, size=length)) for length in lengths]


if __name__ == "__main__":
    main()
