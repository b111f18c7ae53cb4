"""Five questions a user would have, each asked as a user would ask it."""

from __future__ import annotations

import time
from typing import Any

import trilith
from stdlib_index.build import embed

DEFAULT_QUESTION = "wait for several threads to finish"

WHAT_IS_IN_IT = """
SELECT kind, count(*) AS objects, sum(lines) AS lines,
       round(100.0 * sum(CASE WHEN documented THEN 1 ELSE 0 END) / count(*), 1) AS documented_percent
FROM metrics GROUP BY kind ORDER BY objects DESC
"""

MOST_TANGLED = """
SELECT m.id, m.branches, m.lines, o.doc->'source'->>'file' AS file
FROM metrics m JOIN objects o ON o._id = m.id
WHERE m.kind = 'function' ORDER BY m.branches DESC, m.id LIMIT 5
"""

NEAREST_BY_PACKAGE = """
SELECT m.package, count(*) AS found, round(min(near._distance), 3) AS nearest, sum(m.lines) AS lines,
       first_value(m.id ORDER BY near._distance) AS best,
       first_value(o.doc->>'summary' ORDER BY near._distance) AS summary
FROM vector_search('meaning', 'embedding', $question, 60) AS near
JOIN metrics m ON m.id = near.id
JOIN objects o ON o._id = near.id
WHERE m.kind = 'function'
GROUP BY m.package ORDER BY nearest LIMIT 6
"""


def ask_all(db: trilith.Database) -> None:
    """Ask the five questions and show statement, answer and time of each."""
    _ask(db, "1. Columns: what is in the standard library?", WHAT_IS_IN_IT)
    _ask(db, "2. Columns and documents: which functions branch most, and where are they?", MOST_TANGLED)
    _long_generators(db)
    ask_in_words(db, DEFAULT_QUESTION, "4. Vectors, documents and columns in one statement: ")
    _look_alikes(db)


def ask_in_words(db: trilith.Database, question: str, title: str = "") -> None:
    """Answer a question in plain words: nearest vectors, joined to documents, grouped over columns."""
    vector = embed(db, question)
    if not vector.any():
        print(f"\nNo word of {question!r} occurs in the standard library's docstrings; try other words.")
        return
    _ask(db, f'{title}"{question}"', NEAREST_BY_PACKAGE, {"question": vector})


def _long_generators(db: trilith.Database) -> None:
    print("\n3. Documents: which generators are longer than 70 lines?")
    wanted = {"behaviour.generator": True, "source.lines": {"$gt": 70}}
    print(f"   objects.find({wanted}).sort('source.lines', -1).limit(5)")
    begin = time.perf_counter()
    for document in db.collection("objects").find(wanted).sort("source.lines", -1).limit(5):
        place = f"{document['source']['file']}:{document['source']['line']}"
        print(f"   {document['source']['lines']:>4} lines  {document['_id']:<48} {place}")
    _took(begin)


def _look_alikes(db: trilith.Database) -> None:
    name = "queue.Queue.put"
    print(f"\n5. Vectors: what is like {name}, elsewhere?")
    print("   meaning.search(meaning.get(name)['embedding'], k=5, where=\"id NOT LIKE 'queue.%'\")")
    meaning = db.table("meaning")
    begin = time.perf_counter()
    known = meaning.get(name)
    if known is None:
        print(f"   {name} is not in this index")
        return
    near = meaning.search(known["embedding"], k=5, where="id NOT LIKE 'queue.%'")
    for row_id, distance in db.sql("SELECT id, _distance FROM near ORDER BY _distance").fetchall():
        print(f"   {distance:.3f}  {row_id}")
    del near
    _took(begin)


def _ask(db: trilith.Database, title: str, statement: str, params: dict[str, Any] | None = None) -> None:
    print(f"\n{title}")
    print("\n".join(f"   {line}" for line in statement.strip().splitlines()))
    begin = time.perf_counter()
    db.sql(statement, params).show()
    _took(begin)


def _took(begin: float) -> None:
    print(f"   ({1000 * (time.perf_counter() - begin):.0f} ms)")
