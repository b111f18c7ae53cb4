"""Results in every form, with every type."""

from __future__ import annotations

import datetime as dt
import decimal
import zoneinfo

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import trilith

UTC = dt.UTC

VALUES = {
    "flag": (pa.bool_(), [True, None, False]),
    "tiny": (pa.int8(), [1, None, -3]),
    "small": (pa.uint16(), [1, None, 65535]),
    "whole": (pa.int64(), [2**62, None, -1]),
    "single": (pa.float32(), [0.5, None, -1.5]),
    "real": (pa.float64(), [0.1, None, float("inf")]),
    "text": (pa.string(), ["tea", None, "h\u00e9llo \U0001f375"]),
    "blob": (pa.binary(), [b"\x00\x01", None, b""]),
    "money": (pa.decimal128(10, 2), [decimal.Decimal("1.50"), None, decimal.Decimal("-0.01")]),
    "day": (pa.date32(), [dt.date(2026, 11, 21), None, dt.date(1, 1, 1)]),
    "clock": (pa.time64("us"), [dt.time(1, 2, 3, 4), None, dt.time(23, 59)]),
    "stamp": (pa.timestamp("us"), [dt.datetime(2026, 1, 2, 3, 4, 5, 6), None, dt.datetime(1969, 12, 31)]),
    "moment": (
        pa.timestamp("us", "UTC"),
        [dt.datetime(2026, 1, 2, tzinfo=UTC), None, dt.datetime(1960, 1, 1, tzinfo=UTC)],
    ),
    "length": (pa.duration("us"), [dt.timedelta(days=1, microseconds=2), None, dt.timedelta(0)]),
    "tags": (pa.list_(pa.string()), [["a", None], None, []]),
    "pair": (pa.struct([("x", pa.int64()), ("y", pa.string())]), [{"x": 1, "y": None}, None, {"x": None, "y": "b"}]),
}


@pytest.fixture
def every_type(db: trilith.Database) -> trilith.Table:
    columns = {name: pa.array(values, kind) for name, (kind, values) in VALUES.items()}
    return db.create_table("every", pa.table({"id": [1, 2, 3], **columns}), primary_key="id")


@pytest.mark.parametrize("name", VALUES)
def test_every_type_comes_back_as_it_went_in(db: trilith.Database, every_type: trilith.Table, name: str) -> None:
    expected = VALUES[name][1]
    got = db.sql(f"SELECT {name} FROM every ORDER BY id").fetchall()
    assert [row[0] for row in got] == expected
    assert every_type.get(1)[name] == expected[0]
    assert every_type.get(2)[name] is None


@pytest.mark.parametrize("name", VALUES)
def test_every_type_in_pyarrow(db: trilith.Database, every_type: trilith.Table, name: str) -> None:
    kind, values = VALUES[name]
    column = db.sql(f"SELECT {name} FROM every ORDER BY id").arrow().column(name)
    assert column.type == kind
    assert column.to_pylist() == values


def test_zoned_timestamps_keep_their_zone(db: trilith.Database) -> None:
    zone = zoneinfo.ZoneInfo("Europe/Vienna")
    summer = dt.datetime(2026, 7, 1, 12, tzinfo=zone)
    rows = pa.table({"at": pa.array([summer], pa.timestamp("us", "Europe/Vienna"))})
    (got,) = db.sql("SELECT at FROM rows").fetchone()
    assert got == summer
    assert got.utcoffset() == dt.timedelta(hours=2)
    offset = pa.table({"at": pa.array([summer], pa.timestamp("us", "+05:30"))})
    (got,) = db.sql("SELECT at FROM offset_rows".replace("offset_rows", "offset")).fetchone()
    assert got == summer
    assert got.utcoffset() == dt.timedelta(hours=5, minutes=30)
    assert rows.num_rows == offset.num_rows


@pytest.fixture
def numbers(db: trilith.Database) -> trilith.Query:
    db.create_table("numbers", {"n": list(range(10)), "half": [i / 2 for i in range(10)]})
    return db.sql("SELECT * FROM numbers ORDER BY n")


def test_forms(numbers: trilith.Query) -> None:
    assert isinstance(numbers.arrow(), pa.Table)
    assert isinstance(numbers.pandas(), pd.DataFrame)
    assert isinstance(numbers.polars(), pl.DataFrame)
    for form in (numbers.arrow().to_pydict(), numbers.polars().to_dict(as_series=False)):
        assert form == {"n": list(range(10)), "half": [i / 2 for i in range(10)]}
    assert numbers.pandas()["half"].sum() == 22.5
    assert numbers.columns == ["n", "half"]
    assert numbers.schema == pa.schema({"n": pa.int64(), "half": pa.float64()})
    assert numbers.count() == 10


def test_arrow_stream_is_taken_by_other_libraries(numbers: trilith.Query) -> None:
    assert pa.table(numbers).num_rows == 10
    assert pa.RecordBatchReader.from_stream(numbers).read_all().num_rows == 10
    assert pl.DataFrame(numbers).height == 10
    assert len(pd.DataFrame.from_arrow(numbers)) == 10
    assert duckdb.sql("SELECT sum(n) FROM numbers").fetchall() == [(45,)]
    assert pa.schema(numbers).names == ["n", "half"]


def test_cursor_fetches(numbers: trilith.Query) -> None:
    assert numbers.fetchone() == (0, 0.0)
    assert numbers.fetchmany(2) == [(1, 0.5), (2, 1.0)]
    assert len(numbers.fetchall()) == 7
    assert numbers.fetchone() is None
    assert numbers.fetchmany(5) == []


def test_iteration_yields_batches(numbers: trilith.Query) -> None:
    batches = list(numbers)
    assert all(isinstance(batch, pa.RecordBatch) for batch in batches)
    assert sum(batch.num_rows for batch in batches) == 10
    assert len(list(numbers)) == len(batches)


def test_numpy(db: trilith.Database) -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    days = np.array(["2026-01-01", "2026-01-02", "NaT", "2026-01-04"], dtype="datetime64[us]")
    db.create_table(
        "t",
        {"id": np.arange(4), "v": vectors, "at": days, "kind": ["a", "b", None, "d"], "ok": [True, None, False, True]},
    )
    arrays = db.sql("SELECT * FROM t ORDER BY id").numpy()
    assert arrays["id"].dtype == np.int64
    np.testing.assert_array_equal(arrays["v"], vectors)
    assert arrays["kind"].tolist() == ["a", "b", None, "d"]
    assert arrays["at"].dtype == np.dtype("datetime64[us]")
    assert arrays["at"].mask.tolist() == [False, False, True, False]
    assert arrays["ok"].tolist() == [True, None, False, True]
    assert db.sql("SELECT id FROM t WHERE false").numpy()["id"].shape == (0,)
    assert db.sql("SELECT v FROM t WHERE false").numpy()["v"].shape == (0, 3)


def test_numpy_vectors_with_nulls(db: trilith.Database) -> None:
    table = db.create_table("t", {"id": "BIGINT", "v": "VECTOR(2)"}, primary_key="id")
    table.append([{"id": 1, "v": [1.0, 2.0]}, {"id": 2, "v": None}])
    array = table.scan(order_by="id").numpy()["v"]
    assert array.shape == (2, 2)
    assert array.mask.tolist() == [[False, False], [True, True]]
    assert array[0].tolist() == [1.0, 2.0]


def test_parameters(db: trilith.Database) -> None:
    row = db.sql("SELECT $1 + 1, $2", [41, "tea"]).fetchone()
    assert row == (42, "tea")
    when = dt.datetime(2026, 1, 2, 3, 4, 5)
    assert db.sql(
        "SELECT $when, $price, $nothing", {"when": when, "price": decimal.Decimal("1.25"), "nothing": None}
    ).fetchone() == (
        when,
        decimal.Decimal("1.25"),
        None,
    )
    with pytest.raises(trilith.Invalid, match="list"):
        db.sql("SELECT $1", "text")
    with pytest.raises(trilith.Invalid, match=r"parameter \$1"):
        db.sql("SELECT $1", [object()])


def test_explain(numbers: trilith.Query) -> None:
    assert "numbers" in numbers.explain()
    assert "output_rows" in numbers.explain(analyze=True)
