"""Bad input: each a clear error of the right class, and nothing half done."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import trilith

BUILTINS = {
    trilith.NotFound: KeyError,
    trilith.AlreadyExists: ValueError,
    trilith.Invalid: ValueError,
    trilith.Conflict: RuntimeError,
    trilith.Busy: TimeoutError,
    trilith.Corrupt: OSError,
    trilith.Closed: RuntimeError,
    trilith.LimitExceeded: MemoryError,
    trilith.Unsupported: NotImplementedError,
    trilith.IoError: OSError,
    trilith.InternalError: RuntimeError,
}


@pytest.mark.parametrize(("ours", "builtin"), BUILTINS.items())
def test_classes(ours: type[trilith.TrilithError], builtin: type[Exception]) -> None:
    assert issubclass(ours, trilith.TrilithError)
    assert issubclass(ours, builtin)
    error = ours("what, where, what to do")
    assert str(error) == "what, where, what to do"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.fixture
def items(db: trilith.Database) -> trilith.Table:
    table = db.create_table("items", {"id": "BIGINT", "n": "INT", "v": "VECTOR(3)"}, primary_key="id")
    table.append([{"id": 1, "n": 1, "v": [1, 2, 3]}])
    return table


BAD_ROWS = {
    "wrong type": ([{"id": 2, "n": "many"}], trilith.Invalid, "n"),
    "out of range": ([{"id": 2, "n": 2**40}], trilith.Invalid, "n"),
    "fraction": ([{"id": 2, "n": 1.5}], trilith.Invalid, "n"),
    "unknown column": ([{"id": 2, "colour": 1}], trilith.NotFound, "colour"),
    "missing key": ([{"n": 2}], trilith.Invalid, "id"),
    "null key": ([{"id": None, "n": 2}], trilith.Invalid, "id"),
    "key in table": ([{"id": 2}, {"id": 1}], trilith.AlreadyExists, "1"),
    "key twice": ([{"id": 2}, {"id": 2}], trilith.AlreadyExists, "2"),
    "NaN": ([{"id": 2, "v": [1.0, math.nan, 3.0]}], trilith.Invalid, "v"),
    "infinity": ({"id": [2], "v": np.array([[1, 2, np.inf]], dtype=np.float32)}, trilith.Invalid, "v"),
    "short vector": ([{"id": 2, "v": [1.0, 2.0]}], trilith.Invalid, "v"),
    "long vectors": ({"id": [2], "v": np.zeros((1, 4), dtype=np.float32)}, trilith.Invalid, "v"),
    "text vector": ([{"id": 2, "v": "abc"}], trilith.Invalid, "v"),
    "no rows": (42, trilith.Invalid, "int"),
    "text": ("id,n", trilith.Invalid, "str"),
    "a column": (pa.array([1, 2]), trilith.Invalid, "not a table"),
    "a number in rows": ([{"id": 2}, 3], trilith.Invalid, "row 1"),
    "unequal columns": ({"id": [2, 3], "n": [1]}, trilith.Invalid, "n"),
    "number as name": ([{1: 2}], trilith.Invalid, "names"),
    "object": ([{"id": 2, "n": object()}], trilith.Invalid, "n"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
@pytest.mark.parametrize("method", ["append", "upsert"])
def test_bad_rows_are_refused_whole(items: trilith.Table, case: str, method: str) -> None:
    rows, error, message = BAD_ROWS[case]
    if method == "upsert" and error is trilith.AlreadyExists:
        return
    with pytest.raises(error, match=message):
        getattr(items, method)(rows)
    assert len(items) == 1
    assert items.get(1) == {"id": 1, "n": 1, "v": [1.0, 2.0, 3.0]}


BAD_DATA = {
    "mixture": ([{"a": 1}, {"a": "x"}], "row 1"),
    "empty list": ([], "schema"),
    "empty dict": ({}, "column"),
    "deep": ([{"a": __import__("functools").reduce(lambda inner, _: [inner], range(100), 1)}], "deep"),
    "huge number": ([{"a": 2**70}], "a"),
    "decimal NaN": ([{"a": __import__("decimal").Decimal("NaN")}], "a"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_data_without_a_type_is_refused(db: trilith.Database, case: str) -> None:
    data, message = BAD_DATA[case]
    with pytest.raises(trilith.Invalid, match=message):
        db.create_table("t", data)
    assert db.tables() == []


@pytest.mark.parametrize(
    "name",
    ["a/b", "..", "../../etc/passwd", "it's", 'say "hi"', "a\\b", "semi;colon", "\u8336", " spaced ", "CON", "a b"],
)
def test_odd_table_names_are_plain_names(path: str, name: str) -> None:
    with trilith.connect(path) as db:
        table = db.create_table(name, {"id": [1]}, primary_key="id")
        table.append([{"id": 2}])
        db.flush()
    with trilith.connect(path) as db:
        assert db.tables() == [name]
        assert len(db.table(name)) == 2
        assert db.table(name).delete("id = 1") == 1
        quoted = name.replace('"', '""')
        assert db.sql(f'SELECT id FROM "{quoted}"').fetchall() == [(2,)]
    assert sorted(entry.name for entry in Path(path).parent.iterdir()) == ["test.tri"]


@pytest.mark.parametrize("name", ["", "  ", "nul\0", "line\nbreak", "x" * 10_000])
def test_impossible_names_are_refused(db: trilith.Database, name: str) -> None:
    with pytest.raises((trilith.Invalid, trilith.LimitExceeded)):
        db.create_table(name, {"id": [1]})
    assert db.tables() == []


def test_paths_that_are_no_database(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text("not a database")
    with pytest.raises(trilith.TrilithError, match=r"file\.txt"):
        trilith.connect(file)
    assert file.read_text() == "not a database"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(b"\xff")
    with pytest.raises(trilith.TrilithError, match="folder"):
        trilith.connect(folder)
    assert [entry.name for entry in folder.iterdir()] == ["photo.jpg"]
    with pytest.raises(trilith.NotFound, match="missing"):
        trilith.connect(tmp_path / "missing", create=False)
    assert not (tmp_path / "missing").exists()


def test_bad_options(path: str) -> None:
    with pytest.raises(trilith.Invalid, match="durability"):
        trilith.connect(path, durability="perhaps")
    with pytest.raises(trilith.Invalid, match="memory_limit"):
        trilith.connect(path, memory_limit="lots")
    with pytest.raises(TypeError, match="colour"):
        trilith.connect(path, colour="red")


def test_read_only(path: str) -> None:
    with trilith.connect(path) as db:
        db.create_table("t", {"id": [1]})
    with trilith.connect(path, read_only=True) as db:
        assert db.sql("SELECT * FROM t").fetchall() == [(1,)]
        with pytest.raises(trilith.Closed, match="read"):
            db.table("t").append([{"id": 2}])
        with pytest.raises(trilith.Closed, match="read"):
            db.sql("INSERT INTO t VALUES (2)")


def test_closed_handles(db: trilith.Database) -> None:
    table = db.create_table("t", {"id": [1]}, primary_key="id")
    query = db.sql("SELECT * FROM t")
    db.close()
    for call in (db.tables, lambda: table.get(1), lambda: table.append([{"id": 2}]), lambda: db.sql("SELECT 1 FROM t")):
        with pytest.raises(trilith.Closed):
            call()
    assert query is not None
    db.close()


BAD_SQL = {
    "SELEC 1": trilith.Invalid,
    "": trilith.Invalid,
    "SELECT * FROM nowhere": trilith.NotFound,
    "SELECT colour FROM items": trilith.NotFound,
    "SELECT 'a' + items.id FROM items": trilith.Invalid,
    "SELECT nothing(1)": trilith.Invalid,
    "SELECT $1": trilith.Invalid,
    "CREATE TABLE items (id BIGINT)": trilith.AlreadyExists,
    "INSERT INTO items VALUES (1, 1, '[1,2,3]')": trilith.AlreadyExists,
    "SELECT CAST('x' AS BIGINT)": trilith.Invalid,
}


@pytest.mark.parametrize("text", BAD_SQL)
def test_bad_sql(db: trilith.Database, items: trilith.Table, text: str) -> None:
    with pytest.raises(BAD_SQL[text]):
        db.sql(text).fetchall()
    assert len(items) == 1


@pytest.mark.parametrize("depth", [1_000, 20_000])
def test_deep_sql_is_refused(db: trilith.Database, depth: int) -> None:
    for text in (f"SELECT {'(' * depth}1{')' * depth}", f"SELECT {'1+' * depth}1", f"SELECT {'NOT ' * depth}true"):
        try:
            assert len(db.sql(text).fetchall()) == 1
        except trilith.TrilithError:
            continue


def test_errors_of_a_running_query_are_typed(db: trilith.Database) -> None:
    data = pa.table({"text": ["1", "2", "x"]})
    query = db.sql("SELECT CAST(text AS BIGINT) AS n FROM data")
    for call in (
        query.fetchall,
        query.arrow,
        query.polars,
        query.numpy,
        lambda: list(query),
        lambda: repr(query),
    ):
        with pytest.raises(trilith.Invalid, match="x"):
            call()
    with pytest.raises(pa.ArrowException, match="x"):
        pa.table(query)


FRAGMENTS = {
    "second statement": "true); DROP TABLE items; --",
    "semicolon": "id = 1; DELETE FROM items",
    "closing": "id = 2) OR (id = 1",
    "open text": "id = 'x",
}


@pytest.mark.parametrize("case", FRAGMENTS)
def test_conditions_stay_in_their_place(items: trilith.Table, case: str) -> None:
    for call in (items.scan, items.count, items.delete):
        with pytest.raises(trilith.Invalid):
            call(where=FRAGMENTS[case])
    with pytest.raises(trilith.Invalid):
        items.scan(order_by=FRAGMENTS[case])
    assert len(items) == 1
    assert items.count("n <> 5 AND (id = 1 OR 'a;b)' = '') -- fine") == 1


def test_types_stay_in_their_place(db: trilith.Database, items: trilith.Table) -> None:
    with pytest.raises(trilith.Invalid, match="type of column"):
        db.create_table("t", {"a": "BIGINT); DROP TABLE items; --"})
    assert db.tables() == ["items"]


BAD_CALLS = {
    "key of another type": lambda t: t.get("x"),
    "no key": lambda t: t.get(None),
    "huge key": lambda t: t.get(2**70),
    "keys of two types": lambda t: t.get_many([1, "x"]),
    "text for keys": lambda t: t.get_many("abc"),
    "negative limit": lambda t: t.scan(limit=-1),
    "no condition": lambda t: t.scan(where="'x'").fetchall(),
    "NaN": lambda t: t.search([math.nan, 0.0, 0.0]),
    "short vector": lambda t: t.search([1.0, 2.0]).fetchall(),
    "cube": lambda t: t.search(np.zeros((2, 3, 3), dtype=np.float32)),
    "matrix of another width": lambda t: t.search(np.zeros((2, 5), dtype=np.float32)).fetchall(),
    "text for a vector": lambda t: t.search("abc").fetchall(),
    "no vector column": lambda t: t.search([1.0, 2.0, 3.0], column="n").fetchall(),
    "negative k": lambda t: t.search([1.0, 2.0, 3.0], k=-1),
    "one parameter for a list": lambda t: t.count("n = $1", 5),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls(items: trilith.Table, case: str) -> None:
    with pytest.raises(trilith.Invalid):
        BAD_CALLS[case](items)


def test_names_in_messages_are_those_of_the_caller(db: trilith.Database) -> None:
    with pytest.raises(trilith.NotFound, match=r"of table t\b(?! \()"):
        db.create_table("t", [{"a": 1}], primary_key="id")
    with pytest.raises(trilith.AlreadyExists, match=r"table \"?t\b(?! \()"):
        db.create_table("t", [{"a": 1}, {"a": 1}], primary_key="a")
