"""Fills a database: a collection of documents, a table of metrics, and two tables of vectors.

``objects``     one document for each module, class and function, with nested facts
``metrics``     one row of plain columns for each of them
``meaning``     one embedding for each that has a docstring
``vocabulary``  the embedding model itself: one direction per term, read back to embed a question
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

import trilith
from stdlib_index import embedding, source
from stdlib_index.progress import track

DOCUMENTS_PER_COMMIT = 1000


def build(db: trilith.Database, quick: bool) -> None:
    """Index the standard library anew, in the place of an older index."""
    files = source.modules(quick)
    found = list(
        {facts["_id"]: facts for facts in source.objects(track(files, "reading modules", len(files)))}.values()
    )
    _store_documents(db, found)
    _store_metrics(db, found)
    _store_vectors(db, [facts for facts in found if facts["docstring"]])


def embed(db: trilith.Database, question: str) -> embedding.Matrix:
    """The vector of a question, by the vocabulary that the database holds."""
    counts = Counter(embedding.words(question))
    known = [row for row in db.table("vocabulary").get_many(list(counts)) if row]
    weights = {row["term"]: row["weight"] for row in known}
    directions = {row["term"]: np.asarray(row["direction"], np.float32) for row in known}
    return embedding.combine(counts, weights, directions)


def _store_documents(db: trilith.Database, found: list[source.Facts]) -> None:
    db.drop_table("objects", if_exists=True)
    objects = db.collection("objects")
    parts = list(_parts(found))
    for part in track(parts, "storing documents", len(parts)):
        objects.insert_many(part)


def _parts(found: list[source.Facts]) -> Iterator[list[source.Facts]]:
    for first in range(0, len(found), DOCUMENTS_PER_COMMIT):
        yield found[first : first + DOCUMENTS_PER_COMMIT]


def _store_metrics(db: trilith.Database, found: list[source.Facts]) -> None:
    columns = {name: [facts[name] for facts in found] for name in ("kind", "package", "module")}
    numbers = {name: np.array([facts["metrics"][name] for facts in found]) for name in found[0]["metrics"]}
    rows = {
        "id": [facts["_id"] for facts in found],
        **columns,
        "lines": np.array([facts["source"]["lines"] for facts in found]),
        "documented": np.array([bool(facts["docstring"]) for facts in found]),
        **numbers,
    }
    db.create_table("metrics", rows, primary_key="id", replace=True)


def _store_vectors(db: trilith.Database, documented: list[source.Facts]) -> None:
    texts = [
        f"{facts['name']} {facts['name']} {facts['package']} {facts['summary']} {facts['docstring'][:600]}"
        for facts in documented
    ]
    model, vectors = embedding.fit(texts, track)
    ids = [facts["_id"] for facts in documented]
    db.create_table("meaning", {"id": ids, "embedding": vectors}, primary_key="id", replace=True)
    terms = {"term": model.terms, "weight": model.weights, "direction": model.directions}
    db.create_table("vocabulary", terms, primary_key="term", replace=True)
