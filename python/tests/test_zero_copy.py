"""Memory that crosses the border is the same memory on the other side."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

import trilith


def test_arrow_in_and_out(db: trilith.Database) -> None:
    batch = pa.record_batch({"n": pa.array(range(1000)), "x": pa.array(np.random.default_rng(1).random(1000))})
    result = db.sql("SELECT * FROM batch").arrow()
    for name in ("n", "x"):
        assert _address(result.column(name).chunk(0)) == _address(batch.column(name))


def test_polars_in(db: trilith.Database) -> None:
    frame = pl.DataFrame({"n": np.arange(1000)})
    result = db.sql("SELECT n FROM frame").arrow()
    assert _address(result.column("n").chunk(0)) == _address(frame.to_arrow().column("n").chunk(0))


def test_result_to_every_library_is_one_memory(db: trilith.Database) -> None:
    batch = pa.record_batch({"x": np.random.default_rng(1).random(1000)})
    query = db.sql("SELECT x FROM batch")
    source = _address(batch.column("x"))
    assert query.numpy()["x"].ctypes.data == source
    assert query.polars()["x"].to_numpy(allow_copy=False).ctypes.data == source
    assert query.arrow().column("x").chunk(0).to_numpy(zero_copy_only=True).ctypes.data == source


def test_vectors_to_numpy(db: trilith.Database) -> None:
    values = np.arange(300, dtype=np.float32)
    batch = pa.record_batch({"v": pa.FixedSizeListArray.from_arrays(pa.array(values), 3)})
    array = db.sql("SELECT v FROM batch").numpy()["v"]
    assert array.shape == (100, 3)
    assert array.ctypes.data == batch.column("v").values.buffers()[1].address
    assert not array.flags.writeable


def test_slices_keep_their_place(db: trilith.Database) -> None:
    batch = pa.record_batch({"n": pa.array(range(1000))}).slice(100, 50)
    array = db.sql("SELECT n FROM batch").numpy()["n"]
    assert array.tolist() == list(range(100, 150))


def test_result_outlives_its_database() -> None:
    db = trilith.connect(":memory:")
    db.create_table("t", {"n": np.arange(10_000)})
    array = db.sql("SELECT n FROM t ORDER BY n").numpy()["n"]
    table = db.sql("SELECT n FROM t ORDER BY n").arrow()
    db.close()
    del db
    assert array.sum() == table.column("n").to_numpy().sum() == 49_995_000


def _address(array: pa.Array) -> int:
    return array.buffers()[1].address + array.offset * 8
