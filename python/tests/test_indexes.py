"""Indexes that are named, from Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import trilith


def found(query: trilith.Query) -> list[int]:
    return [row[0] for row in query.fetchall()]


@pytest.mark.parametrize("kind", ["flat", "rabitq", "ivf", "graph", "hnsw"])
def test_an_index_of_each_kind_finds_rows_that_come_and_go(tmp_path: Path, kind: str) -> None:
    chance = np.random.default_rng(1)
    vectors = chance.standard_normal((3000, 64), dtype=np.float32)
    with trilith.connect(tmp_path / "db") as db:
        t = db.create_table("t", {"id": np.arange(3000), "v": vectors}, primary_key="id")
        t.create_index("v", kind, metric="cosine", **({"m": 8} if kind == "hnsw" else {}))
        assert [(index["index_name"], index["method"]) for index in t.indexes()] == [("t_v_idx", kind)]
        assert found(t.search(vectors[7], k=1)) == [7]
        t.delete("id = 7")
        t.upsert({"id": [5000], "v": vectors[7:8]})
        assert found(t.search(vectors[7], k=1)) == [5000]
    with trilith.connect(tmp_path / "db") as db:
        t = db.table("t")
        truth = set(np.argsort(-(vectors @ vectors[9]) / np.linalg.norm(vectors, axis=1))[:10])
        assert len(truth & set(found(t.search(vectors[9], k=10, recall=0.95)))) >= 8
        assert set(found(t.search(vectors[9], k=10, recall=1))) == truth
        t.drop_index("t_v_idx")
        assert t.indexes() == []


def test_work_can_be_bounded(tmp_path: Path) -> None:
    vectors = np.random.default_rng(2).standard_normal((3000, 64), dtype=np.float32)
    with trilith.connect(tmp_path / "db") as db:
        t = db.create_table("t", {"id": np.arange(3000), "v": vectors}, primary_key="id")
        t.create_index("v", "hnsw", recall=0.9, m=16, ef_construction=64)
        for bound in ({"ef_search": 40}, {"nprobe": 3}, {"epsilon": 2.0}, {"rescore": 15}):
            assert found(t.search(vectors[3], k=1, **bound)) == [3]
        with pytest.raises(trilith.Invalid, match="ef_search must be a whole number above 0"):
            t.search(vectors[3], ef_search=-1)


def test_what_is_wrong_is_said() -> None:
    with trilith.connect(":memory:") as db:
        t = db.create_table("t", {"id": "BIGINT", "v": "VECTOR(64)"}, primary_key="id")
        with pytest.raises(trilith.NotFound, match="w"):
            t.create_index("w")
        with pytest.raises(trilith.Invalid, match="hnsw"):
            t.create_index("v", "tree")
        with pytest.raises(trilith.Invalid, match="the options recall, lists, m"):
            t.create_index("v", "hnsw", ef=3)
        with pytest.raises(trilith.Invalid, match="such indexes are for vectors"):
            t.create_index("id")
        t.create_index("v", name="mine")
        with pytest.raises(trilith.Invalid, match='index "mine" already'):
            t.create_index("v")
        with pytest.raises(trilith.NotFound):
            t.drop_index("other")
        with db.transaction() as tx, pytest.raises(trilith.TrilithError, match="inside a transaction"):
            tx.table("t").drop_index("mine")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8"])
def test_vectors_of_each_type_are_searched_through_codes(dtype: str) -> None:
    chance = np.random.default_rng(3)
    drawn = chance.standard_normal((2000, 64)) * 30
    vectors = (np.abs(drawn) if dtype == "uint8" else drawn).clip(-127, 127).astype(dtype)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 64)
    with trilith.connect(":memory:") as db:
        t = db.create_table("t", pa.table({"id": np.arange(2000), "v": column}), primary_key="id")
        db.flush()
        assert db.sql("SELECT kind, rows FROM trilith.index_files").fetchall() == [("codes", 2000)]
        exact = vectors.astype(np.float64)
        for asked in (3, 77, 1999):
            query = exact[asked] + 0.25
            distances = np.linalg.norm(exact - query, axis=1)
            rows = t.search(query, "v", k=20, metric="l2").fetchall()
            assert [row[0] for row in rows] == list(np.argsort(distances, kind="stable")[:20])
            assert np.allclose([row[-1] for row in rows], np.sort(distances)[:20], rtol=1e-5)
            near = found(t.search(query, "v", k=20, metric="l2", recall=0.95))
            assert len(set(near) & {row[0] for row in rows}) >= 16
