"""The caller's variables as tables."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

import trilith

GLOBAL_ROWS = pa.table({"n": [1, 2, 3]})


def test_locals_globals_and_letters(db: trilith.Database) -> None:
    Mixed = pa.table({"n": [10]})  # noqa: N806
    assert db.sql("SELECT sum(n) FROM global_rows").fetchone() == (6,)
    assert db.sql("SELECT sum(n) FROM Mixed").fetchone() == (10,)
    assert db.sql('SELECT sum(n) FROM "Mixed"').fetchone() == (10,)
    assert db.sql("SELECT sum(a.n) FROM Mixed a JOIN global_rows b ON a.n > b.n").fetchone() == (30,)


def test_tables_of_the_database_win(db: trilith.Database) -> None:
    items = pa.table({"n": [1]})
    db.create_table("items", {"n": [2]})
    assert db.sql("SELECT n FROM items").fetchone() == (2,)


def test_other_variables_are_not_tables(db: trilith.Database) -> None:
    number = 5
    with pytest.raises(trilith.NotFound, match="number"):
        db.sql("SELECT * FROM number")
    column = pl.Series([1, 2])
    with pytest.raises((trilith.NotFound, trilith.Invalid), match=r"column|table"):
        db.sql('SELECT * FROM "column"')


def test_it_can_be_turned_off() -> None:
    rows = pa.table({"n": [1]})
    with trilith.connect(":memory:", local_objects=False) as db, pytest.raises(trilith.NotFound):
        db.sql("SELECT * FROM rows")


def test_queries_build_on_queries(db: trilith.Database) -> None:
    db.create_table("items", {"id": list(range(100))})
    even = db.sql("SELECT id FROM items WHERE id % 2 = 0")
    few = db.sql("SELECT id FROM even WHERE id < 10")
    assert db.sql("SELECT sum(id) FROM few").fetchone() == (20,)
    assert db.create_table("copy", few).count() == 5


def test_writes_may_read_local_objects(db: trilith.Database) -> None:
    rows = pa.table({"id": [1, 2], "kind": ["a", "b"]})
    db.sql("CREATE TABLE t AS SELECT * FROM rows")
    db.sql("INSERT INTO t SELECT id + 10, kind FROM rows")
    assert db.sql("SELECT sum(id) FROM t").fetchone() == (26,)


def test_a_reader_is_read_once(db: trilith.Database) -> None:
    reader = GLOBAL_ROWS.to_reader()
    query = db.sql("SELECT sum(n) FROM reader")
    assert query.fetchall() == [(6,)]
    assert query.fetchall() == [(None,)]
