"""The methods of a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trilith


@pytest.fixture
def items(db: trilith.Database) -> trilith.Table:
    rows = [{"id": i, "kind": "tea" if i % 2 else "cup", "price": i / 4} for i in range(100)]
    return db.create_table("items", rows, primary_key="id")


def test_get(items: trilith.Table) -> None:
    assert items.get(7) == {"id": 7, "kind": "tea", "price": 1.75}
    assert items.get(np.int32(7)) == items.get(7)
    assert items.get(1000) is None
    assert 7 in items
    assert 1000 not in items
    assert items.get_many([3, 1000, 1]) == [items.get(3), None, items.get(1)]
    assert items.get_many(np.array([5, 5])) == [items.get(5)] * 2
    assert items.get_many(iter([1])) == [items.get(1)]
    assert items.get_many([]) == []


def test_get_after_flush_and_overwrite(db: trilith.Database, items: trilith.Table) -> None:
    db.flush()
    items.upsert([{"id": 7, "kind": "ink", "price": 0.0}])
    assert items.get(7)["kind"] == "ink"
    db.flush()
    assert items.get(7)["kind"] == "ink"
    items.delete("id = 7")
    assert items.get(7) is None
    assert len(items) == 99


def test_composite_keys(db: trilith.Database) -> None:
    table = db.create_table("t", {"a": "TEXT", "b": "BIGINT", "v": "DOUBLE"}, primary_key=["a", "b"])
    table.append([{"a": "x", "b": 1, "v": 0.5}, {"a": "x", "b": 2, "v": 1.5}])
    assert table.primary_key == ["a", "b"]
    assert table.get(("x", 2)) == {"a": "x", "b": 2, "v": 1.5}
    assert table.get_many([("x", 1), ("y", 1)]) == [{"a": "x", "b": 1, "v": 0.5}, None]
    with pytest.raises(trilith.Invalid, match=r"tuple \(a, b\)"):
        table.get("x")


def test_upsert_replaces_and_append_refuses(items: trilith.Table) -> None:
    assert items.upsert([{"id": 1, "kind": "new", "price": None}, {"id": 200, "kind": "new", "price": None}]) == 2
    assert items.count("kind = 'new'") == 2
    with pytest.raises(trilith.AlreadyExists):
        items.append([{"id": 300, "kind": "x", "price": 1.0}, {"id": 1, "kind": "x", "price": 1.0}])
    assert items.get(300) is None


def test_delete_and_count(items: trilith.Table) -> None:
    assert items.count() == len(items) == 100
    assert items.count("price >= $1", [20]) == 20
    assert items.delete("kind = $kind AND id < $id", {"kind": "tea", "id": 10}) == 5
    assert items.delete("false") == 0
    assert len(items) == 95


def test_scan(items: trilith.Table) -> None:
    query = items.scan(columns=["price", "id"], where="kind = 'tea'", order_by="id DESC", limit=2)
    assert query.fetchall() == [(24.75, 99), (24.25, 97)]
    assert items.scan(order_by=["kind", "id DESC"], limit=1).fetchone() == (98, "cup", 24.5)
    assert items.scan(where="id = $1 -- a comment", params=[3]).fetchone() == (3, "tea", 0.75)
    with pytest.raises(trilith.NotFound, match="nothing"):
        items.scan(columns=["nothing"])


@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product", "l1"])
def test_search(db: trilith.Database, metric: str) -> None:
    vectors = np.random.default_rng(3).normal(size=(200, 16)).astype(np.float32)
    table = db.create_table("t", {"id": np.arange(200), "v": vectors}, primary_key="id")
    query = vectors[17]
    distances = {
        "cosine": 1 - vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query),
        "l2": np.linalg.norm(vectors - query, axis=1),
        "inner_product": -(vectors @ query),
        "l1": np.abs(vectors - query).sum(axis=1),
    }[metric]
    found = table.search(query, k=5, metric=metric).numpy()
    np.testing.assert_array_equal(found["id"], np.argsort(distances)[:5])
    np.testing.assert_allclose(found["_distance"], np.sort(distances)[:5], rtol=1e-4, atol=1e-4)
    other = table.search(query.tolist(), k=1, where="id <> 17", metric=metric).numpy()
    assert other["id"][0] == next(i for i in np.argsort(distances) if i != 17)


def test_search_with_a_recall(db: trilith.Database) -> None:
    chance = np.random.default_rng(4)
    centres = chance.normal(size=(20, 96))
    vectors = (centres[chance.integers(20, size=3000)] + chance.normal(scale=0.7, size=(3000, 96))).astype(np.float32)
    data = {"id": np.arange(3000), "kind": np.arange(3000) % 3, "v": vectors}
    table = db.create_table('odd\'s "name"', data, primary_key="id")
    db.flush()
    hits = 0
    for query in vectors[:50]:
        exact = table.search(query, where="kind = 1").numpy()["id"]
        some = table.search(query, where="kind = 1", recall=0.95).numpy()
        assert some["_distance"].tolist() == sorted(some["_distance"])
        hits += np.isin(some["id"], exact).sum()
    assert hits >= 0.95 * 500
    with pytest.raises(trilith.TrilithError, match=r"recall must be a number from 0\.5 to 1"):
        table.search(vectors[0], recall=2.0).fetchall()


def test_search_for_many_vectors(db: trilith.Database) -> None:
    vectors = np.random.default_rng(5).normal(size=(2000, 64)).astype(np.float32)
    data = {"id": np.arange(2000), "kind": np.arange(2000) % 3, "v": vectors}
    table = db.create_table("t", data, primary_key="id")
    db.flush()
    found = table.search(vectors[:300] + 0.01, k=3, where="kind = 1", metric="l2").numpy()
    assert found["_query"].tolist() == [query for query in range(300) for _ in range(3)]
    for query in (0, 7, 255, 256, 299):
        one = table.search(vectors[query] + 0.01, k=3, where="kind = 1", metric="l2").numpy()
        np.testing.assert_array_equal(found["id"][3 * query : 3 * query + 3], one["id"])
        np.testing.assert_array_equal(found["_distance"][3 * query : 3 * query + 3], one["_distance"])
    as_lists = table.search(vectors[:2].tolist(), k=1).fetchall()
    assert [row[0] for row in as_lists] == [0, 1]
    again = table.search(vectors[:2], k=1, recall=0.9).polars()
    assert again.columns == ["id", "kind", "v", "_query", "_distance"]


def test_search_needs_a_vector_column(items: trilith.Table) -> None:
    with pytest.raises(trilith.NotFound, match="column to search in table"):
        items.search([1.0])
    with pytest.raises(trilith.Invalid, match="metric"):
        items.search([1.0], metric="wasserstein")


def test_tables_are_arrow_streams(items: trilith.Table) -> None:
    import polars as pl
    import pyarrow as pa

    assert pa.table(items).num_rows == 100
    assert pl.DataFrame(items).height == 100
    assert items.schema.names == items.columns == ["id", "kind", "price"]


def test_a_handle_follows_its_table(db: trilith.Database, items: trilith.Table) -> None:
    db.sql("ALTER TABLE items ADD COLUMN stock BIGINT DEFAULT 3")
    assert items.columns == ["id", "kind", "price", "stock"]
    items.append([{"id": 500}])
    assert items.get(500)["stock"] == 3
    db.drop_table("items")
    with pytest.raises(trilith.NotFound):
        items.get(1)
    db.drop_table("items", if_exists=True)
    with pytest.raises(trilith.NotFound):
        db.drop_table("items")


def test_part_of_a_large_value_is_read_wherever_it_lies(tmp_path: Path) -> None:
    image = bytes(range(256)) * 1000
    with trilith.connect(tmp_path / "db") as db:
        table = db.create_table("t", {"id": "BIGINT", "image": "BYTEA", "note": "TEXT"}, primary_key="id")
        table.append([{"id": 1, "image": image, "note": "é" * 5000}, {"id": 2, "image": b"small", "note": None}])
        for _ in range(2):
            assert table.get_range(1, "image") == image
            assert table.get_range(1, "image", 70_000, 500) == image[70_000:70_500]
            assert table.get_range(1, "image", 255_990, 500) == image[255_990:]
            assert table.get_range(1, "note", 2, 4) == "éé".encode()
            assert table.get_range(2, "image", 1) == b"mall"
            assert table.get_range(2, "note") is None
            assert table.get_range(3, "image") is None
            assert table.get(1) == {"id": 1, "image": image, "note": "é" * 5000}
            with pytest.raises(trilith.Invalid, match="strings and bytes"):
                table.get_range(1, "id")
            with pytest.raises(trilith.NotFound, match="immage"):
                table.get_range(1, "immage")
            db.flush()
    assert list((tmp_path / "db" / "blob").iterdir())
