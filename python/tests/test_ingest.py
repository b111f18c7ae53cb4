"""Every kind of data that goes in."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from array import array
from collections.abc import Iterator

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import trilith

ROWS = [(1, "a", 0.5), (2, "b", None), (3, None, 2.5)]
COLUMNS = {"id": [1, 2, 3], "kind": ["a", "b", None], "x": [0.5, None, 2.5]}
TABLE = pa.table(COLUMNS)


def _records() -> list[dict[str, object]]:
    return TABLE.to_pylist()


def _batches() -> Iterator[pa.RecordBatch]:
    yield from TABLE.to_batches(max_chunksize=1)


SOURCES = {
    "pyarrow.Table": lambda: TABLE,
    "pyarrow.RecordBatch": lambda: TABLE.to_batches()[0],
    "pyarrow.RecordBatchReader": lambda: TABLE.to_reader(max_chunksize=2),
    "polars.DataFrame": lambda: pl.DataFrame(COLUMNS),
    "polars.LazyFrame": lambda: pl.LazyFrame(COLUMNS),
    "pandas.DataFrame": lambda: pd.DataFrame(
        {"id": [1, 2, 3], "kind": pd.array(["a", "b", None], "string"), "x": COLUMNS["x"]}
    ),
    "duckdb relation": lambda: duckdb.sql(
        "SELECT * FROM (VALUES (1, 'a', 0.5::DOUBLE), (2, 'b', NULL), (3, NULL, 2.5)) t(id, kind, x)"
    ),
    "list of dicts": _records,
    "tuple of dicts": lambda: tuple(_records()),
    "generator of dicts": lambda: (record for record in _records()),
    "dict of lists": lambda: COLUMNS,
    "dict of arrays": lambda: {
        "id": np.array([1, 2, 3]),
        "kind": pa.array(COLUMNS["kind"]),
        "x": pl.Series(COLUMNS["x"]),
    },
    "list of batches": lambda: list(_batches()),
    "generator of batches": _batches,
    "generator of dicts of columns": lambda: (
        {name: values[i : i + 1] for name, values in COLUMNS.items()} for i in range(3)
    ),
    "trilith query": lambda: trilith.connect(":memory:").create_table("s", TABLE).scan(order_by="id"),
    "trilith table": lambda: trilith.connect(":memory:").create_table("s", TABLE),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_create_from_every_source(db: trilith.Database, kind: str) -> None:
    table = db.create_table("t", SOURCES[kind](), primary_key="id")
    assert db.sql("SELECT id, kind, x FROM t ORDER BY id").fetchall() == ROWS
    assert table.primary_key == ["id"]
    assert len(table) == 3


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("method", ["append", "upsert"])
def test_write_every_source(db: trilith.Database, kind: str, method: str) -> None:
    table = db.create_table("t", {"id": "BIGINT", "kind": "TEXT", "x": "DOUBLE"}, primary_key="id")
    assert getattr(table, method)(SOURCES[kind]()) == 3
    assert db.sql("SELECT id, kind, x FROM t ORDER BY id").fetchall() == ROWS


@pytest.mark.parametrize("kind", SOURCES)
def test_local_objects_are_tables(db: trilith.Database, kind: str) -> None:
    source = SOURCES[kind]()
    if not (hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__")):
        with pytest.raises(trilith.NotFound):
            db.sql("SELECT * FROM source")
        return
    assert db.sql("SELECT id, kind, x FROM source ORDER BY id").fetchall() == ROWS


def test_missing_columns_become_null_and_order_does_not_matter(db: trilith.Database) -> None:
    table = db.create_table("t", {"id": "BIGINT", "kind": "TEXT", "x": "DOUBLE"}, primary_key="id")
    table.append([{"x": 1.0, "id": 1}, {"id": 2, "kind": "b"}])
    assert table.get_many([1, 2]) == [{"id": 1, "kind": None, "x": 1.0}, {"id": 2, "kind": "b", "x": None}]


def test_schema_only(db: trilith.Database) -> None:
    empty = db.create_table("t", pa.schema({"id": pa.int32(), "name": pa.string()}), primary_key="id")
    assert len(empty) == 0
    assert empty.columns == ["id", "name"]
    typed = db.create_table("u", {"id": "BIGINT NOT NULL", "v": "VECTOR(3)", "n": "DECIMAL(10, 2)"}, primary_key=["id"])
    typed.append([{"id": 1, "v": [1, 2, 3], "n": decimal.Decimal("1.5")}])
    assert typed.get(1) == {"id": 1, "v": [1.0, 2.0, 3.0], "n": decimal.Decimal("1.50")}


def test_vectors(db: trilith.Database) -> None:
    vectors = np.random.default_rng(7).random((100, 8), dtype=np.float32)
    table = db.create_table("t", {"id": np.arange(100), "v": vectors}, primary_key="id")
    np.testing.assert_array_equal(table.scan(order_by="id").numpy()["v"], vectors)
    table.append(
        [{"id": 100, "v": vectors[0]}, {"id": 101, "v": vectors[1].tolist()}, {"id": 102, "v": array("f", vectors[2])}]
    )
    np.testing.assert_array_equal(table.scan(where="id >= 100", order_by="id").numpy()["v"], vectors[:3])
    records = db.create_table("r", [{"id": i, "v": vector} for i, vector in enumerate(vectors)])
    assert records.schema.field("v").type == pa.list_(pa.float32(), 8)


def test_strided_and_foreign_numpy(db: trilith.Database) -> None:
    grid = np.arange(20, dtype=np.float32).reshape(10, 2)
    data = {
        "strided": np.arange(20)[::2],
        "big": np.arange(10, dtype=">i4"),
        "half": np.arange(10, dtype=np.float16),
        "fortran": np.asfortranarray(grid),
        "flag": np.arange(10) % 2 == 0,
        "text": np.array([f"t{i}" for i in range(10)]),
        "object": np.array([None, *range(9)], dtype=object),
        "day": np.arange("2026-01-01", "2026-01-11", dtype="datetime64[D]"),
        "span": np.arange(10).astype("timedelta64[ms]"),
    }
    db.create_table("t", data)
    arrays = db.sql("SELECT * FROM t").numpy()
    for name in ("strided", "big", "half", "fortran", "flag"):
        np.testing.assert_array_equal(arrays[name], data[name])
    assert arrays["text"].tolist() == data["text"].tolist()
    assert arrays["day"][0] == np.datetime64("2026-01-01")
    assert arrays["span"][3] == np.timedelta64(3, "ms")


def test_what_a_commit_holds_does_not_change_with_its_source(db: trilith.Database) -> None:
    numbers = np.arange(1000)
    frame = pd.DataFrame({"n": np.arange(1000)})
    table = db.create_table("t", {"n": numbers})
    framed = db.create_table("f", frame)
    numbers[:] = -1
    frame.loc[:, "n"] = -1
    frame["n"].to_numpy().flags.writeable and frame["n"].to_numpy().fill(-1)
    assert db.sql("SELECT min(n) FROM t").fetchone() == (0,)
    assert db.sql("SELECT min(n) FROM f").fetchone() == (0,)
    assert len(table) == len(framed) == 1000


def test_python_values(db: trilith.Database) -> None:
    row = {
        "flag": True,
        "whole": -(2**63),
        "real": 1.5,
        "text": "\u8336",
        "blob": b"\x00",
        "money": decimal.Decimal("-12.345"),
        "day": dt.date(2026, 1, 2),
        "clock": dt.time(1, 2, 3),
        "stamp": dt.datetime(2026, 1, 2, 3, 4, 5, 678),
        "moment": dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        "length": dt.timedelta(seconds=-5),
        "tags": ["a", "b"],
        "pair": {"x": 1, "y": None},
        "scalar": np.float32(0.5),
    }
    db.create_table("t", [row, dict.fromkeys(row)])
    first, second = db.sql("SELECT * FROM t").fetchall()
    assert dict(zip(row, first, strict=True)) == row
    assert set(second) == {None}


def test_mixed_numbers_have_a_common_type(db: trilith.Database) -> None:
    table = db.create_table("t", [{"n": 1, "m": decimal.Decimal("1.25")}, {"n": 2.5, "m": 3}])
    assert table.schema.field("n").type == pa.float64()
    assert db.sql("SELECT n, m FROM t ORDER BY n").fetchall() == [
        (1.0, decimal.Decimal("1.25")),
        (2.5, decimal.Decimal("3.00")),
    ]


def test_uuid_keys(db: trilith.Database) -> None:
    key = uuid.uuid4()
    table = db.create_table("t", [{"id": key, "n": 1}], primary_key="id")
    assert table.get(key) == {"id": str(key), "n": 1}


def test_dictionaries_and_views_are_stored_plainly(db: trilith.Database) -> None:
    data = pa.table(
        {"kind": pa.array(["a", "b", "a"]).dictionary_encode(), "v": pa.array(["x", None, "z"], pa.string_view())}
    )
    table = db.create_table("t", data)
    assert table.schema.field("kind").type == pa.string()
    assert table.schema.field("v").type == pa.string()
    assert db.sql("SELECT count(*) FROM t WHERE kind = 'a'").fetchone() == (2,)


def test_long_streams_are_one_commit(db: trilith.Database) -> None:
    def batches() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, 200_000, 10_000):
            yield {"id": np.arange(start, start + 10_000)}

    seen: list[tuple[int, int | None, float]] = []
    table = db.create_table("t", {"id": "BIGINT"}, primary_key="id")
    assert table.append(batches(), progress=lambda *report: seen.append(report)) == 200_000
    assert len(table) == 200_000
    assert seen[-1][:2] == (200_000, 200_000)

    def failing() -> Iterator[dict[str, np.ndarray]]:
        yield {"id": np.arange(300_000, 310_000)}
        raise LookupError("the source broke")

    with pytest.raises(LookupError, match="the source broke"):
        table.append(failing())
    assert len(table) == 200_000


def test_failed_create_leaves_nothing(db: trilith.Database) -> None:
    with pytest.raises(trilith.AlreadyExists):
        db.create_table("t", [{"id": 1}, {"id": 1}], primary_key="id")
    assert db.tables() == []
    db.create_table("t", [{"id": 1}], primary_key="id")
    with pytest.raises(trilith.AlreadyExists):
        db.create_table("t", [{"id": 2}, {"id": 2}], primary_key="id", replace=True)
    assert db.table("t").get(1) == {"id": 1}
    assert db.tables() == ["t"]
    db.create_table("t", [{"other": "x"}], replace=True)
    assert db.table("t").columns == ["other"]
    assert db.create_table("t", [{"ignored": 1}], if_not_exists=True).columns == ["other"]


def test_pandas_index_without_a_name_is_left_out(db: trilith.Database) -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=["p", "q"])
    assert db.create_table("t", frame).columns == ["a"]
    named = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["p", "q"], name="key"))
    assert db.create_table("u", named, primary_key="key").get("q") == {"a": 2, "key": "q"}


def test_columns_of_nulls_become_text(db: trilith.Database) -> None:
    table = db.create_table("t", [{"id": 1, "note": None}, {"id": 2, "note": None}])
    table.append([{"id": 3, "note": "x"}])
    assert table.count("note IS NULL") == 2


def test_large_local_objects_are_scanned_in_slices(db: trilith.Database) -> None:
    rows = pa.table({"n": np.arange(1_000_000)})
    assert db.sql("SELECT sum(n), count(*) FROM rows").fetchone() == (499_999_500_000, 1_000_000)
