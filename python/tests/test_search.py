"""Searches by words, by sparse vectors, by lists of vectors, and by both words and distance, from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import trilith

PAGES = [
    {"id": 1, "kind": "tea", "body": "Green tea, brewed twice"},
    {"id": 2, "kind": "cup", "body": "A cup for coffee"},
    {"id": 3, "kind": "tea", "body": "Teas that taste of smoke"},
    {"id": 4, "kind": "ink", "body": None},
]


@pytest.fixture
def pages(tmp_path: Path) -> Any:
    with trilith.connect(tmp_path / "db") as db:
        yield db.create_table("pages", PAGES, primary_key="id")


def found(query: trilith.Query) -> list[int]:
    return [row[0] for row in query.fetchall()]


def test_words_are_found_after_every_commit_and_in_files(pages: trilith.Table) -> None:
    assert found(pages.text_search("tea", "body")) == [3, 1]
    pages.upsert([{"id": 2, "kind": "cup", "body": "tea tea tea"}])
    assert found(pages.text_search("tea", "body"))[0] == 2
    pages.delete("id = 1")
    assert found(pages.text_search("tea", "body")) == [2, 3]
    assert found(pages.text_search("tea", "body", k=1)) == [2]


def test_conditions_languages_and_operators(pages: trilith.Table) -> None:
    assert found(pages.text_search("tea coffee", "body", where="kind = 'cup'")) == [2]
    assert found(pages.text_search("teas", "body", language="none")) == [3]
    assert found(pages.text_search("tea smoke", "body", operator="and")) == [3]
    assert found(pages.text_search('"green tea" OR cof*', "body", k=1)) in ([1], [2])
    assert pages.text_search("smoke", "body").fetchall()[0][-1] > 0


def test_paths_of_documents_are_text(tmp_path: Path) -> None:
    with trilith.connect(tmp_path / "db") as db:
        db.collection("users").insert_many([{"_id": "a", "bio": "Drinks tea"}, {"_id": "b", "bio": ["no text"]}])
        assert found(db.table("users").text_search("drink", "doc.bio")) == ["a"]
        with pytest.raises(trilith.NotFound, match=r"doc\.title"):
            db.table("users").text_search("drink")


def test_wrong_calls_say_what_to_do(pages: trilith.Table) -> None:
    with pytest.raises(trilith.Invalid, match="several columns of text"):
        pages.text_search("tea")
    with pytest.raises(trilith.TrilithError, match="klingon"):
        pages.text_search("tea", "body", language="klingon").fetchall()
    with pytest.raises(trilith.TrilithError, match="only what must not be there"):
        pages.text_search("-tea", "body").fetchall()
    with pytest.raises(trilith.NotFound, match="SPARSEVEC column to search"):
        pages.sparse_search({1: 1.0})


@pytest.mark.parametrize("flushed", [False, True])
def test_sparse_vectors_come_in_every_form(tmp_path: Path, flushed: bool) -> None:
    with trilith.connect(tmp_path / "db") as db:
        table = db.create_table("pages", {"id": "BIGINT", "terms": "SPARSEVEC"}, primary_key="id")
        table.upsert([{"id": 1, "terms": {7: 1.5, 3: 0.5}}, {"id": 2, "terms": None}])
        table.upsert([{"id": 3, "terms": {"indices": np.array([9, 7]), "values": np.array([1.0, 2.0])}}])
        table.append(pa.table({"id": [4], "terms": [{"indices": [1], "values": [4.0]}]}))
        if flushed:
            db.flush()
        assert [(row[0], row[-1]) for row in table.sparse_search({7: 2.0}).fetchall()] == [(3, 4.0), (1, 3.0)]
        assert found(table.sparse_search({"indices": [1, 7], "values": [1.0, 0.1]}, k=1)) == [4]
        assert found(table.sparse_search("{3:1}", where="id > 1")) == []
        assert table.get(1)["terms"] == {"indices": [3, 7], "values": [0.5, 1.5]}
        with pytest.raises(trilith.Invalid, match="do not ascend"):
            table.append(pa.table({"id": [5], "terms": [{"indices": [2, 1], "values": [4.0, 1.0]}]}))
        with pytest.raises(trilith.Invalid, match="no sparse vector"):
            table.upsert([{"id": 5, "terms": [1, 2]}])
        with pytest.raises(trilith.Invalid, match="infinity"):
            table.upsert([{"id": 5, "terms": {1: float("inf")}}])


def test_a_function_chooses_among_what_was_found(pages: trilith.Table) -> None:
    searched = pages.text_search("tea", "body", k=50)
    by_length = searched.rerank(lambda rows: [len(text) for text in rows["body"].to_pylist()])
    assert by_length["id"].to_pylist() == [3, 1]
    assert by_length["_relevance"].to_pylist() == [24.0, 23.0]
    assert searched.rerank(lambda rows: np.zeros(len(rows)), k=1)["id"].to_pylist() == [3]
    assert searched.rerank(lambda rows: pa.array([None, 1.5]))["id"].to_pylist() == [1]
    assert searched.rerank(lambda rows: [float("nan")] * len(rows)).num_rows == 0
    nothing = pages.text_search("nowhere", "body").rerank(lambda rows: [])
    assert (nothing.num_rows, nothing.column_names[-1]) == (0, "_relevance")


def test_wrong_rerankers_say_what_to_do(pages: trilith.Table) -> None:
    searched = pages.text_search("tea", "body")
    for score, message in (
        (lambda rows: [1.0], "returned 1 numbers for 2 rows"),
        (lambda rows: 3, "one number for each row"),
        (lambda rows: [[1.0], [2.0]], "one number for each row"),
    ):
        with pytest.raises(trilith.Invalid, match=message):
            searched.rerank(score)
    with pytest.raises(trilith.Invalid, match="above 0"):
        searched.rerank(lambda rows: [1, 2], k=0)
    with pytest.raises(ZeroDivisionError):
        searched.rerank(lambda rows: 1 / 0)


def test_sparse_columns_are_counted(tmp_path: Path) -> None:
    with trilith.connect(tmp_path / "db") as db:
        table = db.create_table("pages", {"id": "BIGINT", "terms": "SPARSEVEC"}, primary_key="id")
        assert table.sparse_stats() == {"vectors": 0, "vocabulary": 0, "postings": 0, "mean_non_zeros": None}
        table.upsert([{"id": row, "terms": {row % 5: 1.0, 7: 0.5}} for row in range(20)] + [{"id": 20, "terms": None}])
        db.flush()
        table.delete("id % 5 = 4")
        assert table.sparse_stats("terms") == {"vectors": 16, "vocabulary": 5, "postings": 32, "mean_non_zeros": 2.0}
        with pytest.raises(trilith.TrilithError, match="name a SPARSEVEC column"):
            table.sparse_stats("id")


def test_each_row_has_its_nearest_others(tmp_path: Path) -> None:
    chance = np.random.default_rng(9)
    vectors = chance.standard_normal((400, 12), dtype=np.float32)
    with trilith.connect(tmp_path / "db") as db:
        table = db.create_table("items", {"id": np.arange(400), "v": vectors}, primary_key="id")
        db.flush()
        table.delete("id >= 390")
        distances = np.linalg.norm(vectors[:390, None] - vectors[None, :390], axis=2)
        np.fill_diagonal(distances, np.inf)
        graph = table.knn_graph(k=3, metric="l2").numpy()
        assert graph["neighbor_id"].reshape(-1, 3).tolist() == np.argsort(distances, axis=1)[:, :3].tolist()
        assert graph["id"].reshape(-1, 3)[:, 0].tolist() == list(range(390))
        assert np.allclose(graph["_distance"].reshape(-1, 3), np.sort(distances, axis=1)[:, :3], rtol=1e-5)


def _matrices(chance: np.random.Generator, count: int) -> list[Any]:
    return [chance.standard_normal((1 + row % 4, 8), dtype=np.float32) for row in range(count)]


@pytest.mark.parametrize("flushed", [False, True])
def test_lists_of_vectors_are_scored_as_the_formula_says(tmp_path: Path, flushed: bool) -> None:
    chance = np.random.default_rng(5)
    matrices, query = _matrices(chance, 300), chance.standard_normal((5, 8), dtype=np.float32)
    with trilith.connect(tmp_path / "db") as db:
        table = db.create_table("pages", {"id": np.arange(300), "tokens": matrices}, primary_key="id")
        if flushed:
            db.flush()
        for metric in ("inner_product", "cosine"):
            unit = (lambda m: m / np.linalg.norm(m, axis=1, keepdims=True)) if metric == "cosine" else (lambda m: m)
            scores = np.array([(unit(query) @ unit(matrix).T).max(axis=1).sum() for matrix in matrices])
            rows = table.multivector_search(query, k=7, metric=metric, columns=["id", "_score"]).fetchall()
            assert [row[0] for row in rows] == np.argsort(-scores)[:7].tolist()
            assert np.allclose([row[1] for row in rows], np.sort(scores)[::-1][:7], rtol=1e-5)
            some = found(table.multivector_search(query.tolist(), k=3, metric=metric, where="id % 2 = 1"))
            assert some == [row for row in np.argsort(-scores).tolist() if row % 2][:3]
        assert np.array_equal(table.get(3)["tokens"], matrices[3])


def test_lists_of_vectors_come_in_every_form(tmp_path: Path) -> None:
    with trilith.connect(tmp_path / "db") as db:
        table = db.create_table("pages", {"id": "BIGINT", "tokens": "VECTOR(2)[]"}, primary_key="id")
        table.append({"id": [1, 2], "tokens": np.array([[[1, 0], [0, 1]], [[1, 1], [0, 0]]], dtype=np.float32)})
        table.append([{"id": 3, "tokens": np.eye(2)}, {"id": 4, "tokens": None}, {"id": 5, "tokens": []}])
        table.append([{"id": 6, "tokens": [[3, 4]]}, {"id": 7, "tokens": [np.array([2.0, 0.0])]}])
        table.append({"id": [8], "tokens": [np.full((3, 2), 0.5, dtype=np.float32)]})
        lists = pa.array([[[0.0, 2.0]], None], pa.list_(pa.list_(pa.float32(), 2)))
        table.append(pa.table({"id": [9, 10], "tokens": lists}))
        rows = dict(table.scan(columns=["id", "tokens"]).fetchall())
        assert (rows[1], rows[3], rows[4], rows[5]) == ([[1, 0], [0, 1]], [[1, 0], [0, 1]], None, [])
        assert (rows[6], rows[7], rows[8], rows[9]) == ([[3, 4]], [[2, 0]], [[0.5, 0.5]] * 3, [[0, 2]])
        assert found(table.multivector_search([[0, 1]], metric="inner_product"))[:2] == [6, 9]
        made = db.create_table("made", {"tokens": np.ones((4, 3, 2), dtype=np.float32)})
        assert db.sql("SELECT data_type FROM trilith.columns WHERE table_name = 'made'").fetchone() == ("VECTOR(2)[]",)
        assert found(made.multivector_search(np.ones((1, 2)), columns=["_score"], k=1))[0] == pytest.approx(1.0)


def test_wrong_lists_of_vectors_are_named(tmp_path: Path) -> None:
    with trilith.connect(tmp_path / "db") as db:
        table = db.create_table("pages", {"id": "BIGINT", "tokens": "VECTOR(2)[]"}, primary_key="id")
        with pytest.raises(trilith.Invalid, match="row 0"):
            table.append({"id": [1], "tokens": [np.ones((2, 3), dtype=np.float32)]})
        with pytest.raises(trilith.Invalid, match="vector 1 of row 0 holds NaN"):
            table.append({"id": [1], "tokens": [np.array([[1, 0], [np.nan, 0]], dtype=np.float32)]})
        assert len(table) == 0
        with pytest.raises(trilith.Invalid, match="give a list of vectors"):
            table.multivector_search([1.0, 2.0])
        with pytest.raises(trilith.TrilithError, match="got 2 and 3"):
            table.multivector_search([[1.0, 2.0, 3.0]])
        with pytest.raises(trilith.Invalid, match="'cosine' or 'inner_product'"):
            table.multivector_search([[1.0, 2.0]], metric="l2")


def test_words_and_distance_make_one_ranking(tmp_path: Path) -> None:
    with trilith.connect(tmp_path / "db") as db:
        data = {"id": [1, 2, 3], "body": ["green tea", "black tea", "a cup"], "v": np.eye(3, dtype=np.float32)}
        table = db.create_table("pages", data, primary_key="id")
        assert found(table.hybrid_search("black", [0, 0.9, 0.1]))[0] == 2
        row = table.hybrid_search("cup", [1, 0, 0], k=3, where="id <> 2").fetchall()
        assert {r[0] for r in row} == {1, 3}
        weighted = table.hybrid_search("cup", [1, 0, 0], fusion="weighted", vector_weight=0)
        assert found(weighted)[0] == 3
        with pytest.raises(trilith.TrilithError, match="'rrf' or 'weighted'"):
            table.hybrid_search("cup", [1, 0, 0], fusion="sum").fetchall()


def test_columns_are_those_that_are_asked_for(pages: trilith.Table) -> None:
    found = pages.text_search("tea", "body", columns=["_score", "id"])
    assert found.columns == ["_score", "id"]
    assert len(found.fetchall()) == found.count() == 2
    assert pages.text_search("tea", "body", columns="id", where="kind = 'tea'").fetchall() == [(3,), (1,)]
    later = pages.text_search("tea", "body", columns=["id"], where="now() > TIMESTAMP '2020-01-01'")
    assert sorted(later.fetchall()) == [(1,), (3,)]
    with pytest.raises(trilith.NotFound, match="the result has id, kind, body, _score"):
        pages.text_search("tea", "body", columns=["colour"])


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("metric", ["l2", "cosine", "inner_product"])
def test_rows_within_a_distance_are_those_that_numpy_finds(tmp_path: Path, flushed: bool, metric: str) -> None:
    chance = np.random.default_rng(3)
    vectors = chance.standard_normal((3000, 64)).astype(np.float32)
    query = vectors[7] + 0.5 * vectors[8]
    exact, wanted = vectors.astype(np.float64), query.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(wanted)
    distances = {
        "l2": np.linalg.norm(exact - wanted, axis=1),
        "cosine": 1 - exact @ wanted / norms,
        "inner_product": -exact @ wanted,
    }[metric]
    with trilith.connect(tmp_path / "db") as db:
        t = db.create_table("t", {"id": np.arange(3000), "v": vectors}, primary_key="id")
        if flushed:
            db.flush()
        ranked = np.argsort(distances)
        for count in (1, 40, 2990):
            radius = float(distances[ranked[count - 1 : count + 1]].mean())
            near = t.search(query, k=None, metric=metric, within=radius, columns=["id", "_distance"])
            assert [row[0] for row in near.fetchall()] == ranked[:count].tolist()
            few = t.search(query, k=5, metric=metric, within=radius, where="id % 2 = 1")
            assert found(few) == [row for row in ranked[:count].tolist() if row % 2][:5]
            many = t.search(np.stack([query, query]), k=None, metric=metric, within=radius, columns=["_query"])
            assert len(many.fetchall()) == 2 * count
        assert len(t.search(query, k=None).fetchall()) == 3000
        with pytest.raises(trilith.TrilithError, match="within must be a distance"):
            t.search(query, within=float("nan"))


def test_the_nearest_of_each_group_are_found(tmp_path: Path) -> None:
    chance = np.random.default_rng(4)
    vectors = chance.standard_normal((3000, 64)).astype(np.float32)
    kinds = [None if row % 20 == 3 else f"k{row % 20}" for row in range(3000)]
    distances = np.linalg.norm(vectors.astype(np.float64) - vectors[5], axis=1)
    with trilith.connect(tmp_path / "db") as db:
        t = db.create_table("t", {"id": np.arange(3000), "kind": kinds, "v": vectors}, primary_key="id")
        db.flush()
        wanted = []
        for kind in [*sorted({kind for kind in kinds if kind}), None]:
            ranked = sorted((row for row in range(3000) if kinds[row] == kind), key=lambda row: distances[row])
            wanted += [(kind, row) for row in ranked[:3]]
        for per in ("kind", ["kind"]):
            near = t.search(vectors[5], k=3, metric="l2", per=per, columns=["kind", "id"])
            assert near.fetchall() == wanted
        near = t.search(vectors[5], k=3, metric="l2", per="kind", where="id IN (SELECT 7)", columns=["id"])
        assert near.fetchall() in ([(7,)], [])
        by_window = db.sql(
            """SELECT kind, id FROM (SELECT *, row_number() OVER (PARTITION BY kind ORDER BY v <-> $q) AS r FROM t)
            WHERE r <= 3 ORDER BY kind, r""",
            {"q": vectors[5]},
        )
        assert by_window.fetchall() == wanted
        with pytest.raises(trilith.TrilithError, match="colour"):
            t.search(vectors[5], per="colour")


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_clusters_are_those_that_the_rows_were_drawn_from(tmp_path: Path, metric: str) -> None:
    chance = np.random.default_rng(5)
    centres = 10 * chance.standard_normal((12, 32))
    labels = chance.integers(0, 12, 2000)
    vectors = (centres[labels] + 0.3 * chance.standard_normal((2000, 32))).astype(np.float32)
    with trilith.connect(tmp_path / "db") as db:
        t = db.create_table("t", {"id": np.arange(2000), "v": vectors}, primary_key="id")
        found = t.kmeans(k=12, seed=3, metric=metric).numpy()
        clusters = found["_cluster"][np.argsort(found["id"])]
        assert len({(label, cluster) for label, cluster in zip(labels, clusters, strict=True)}) == 12
        rows = t.kmeans_centroids(k=12, seed=3, metric=metric).numpy()
        assert rows["rows"].sum() == 2000
        assert rows["centroid"].shape == (12, 32)
        if metric == "l2":
            scipy = pytest.importorskip("scipy.cluster.vq")
            means, _ = scipy.kmeans2(vectors.astype(np.float64), centres, minit="matrix")
            ours = np.asarray(rows["centroid"])[clusters[[int(np.argmax(labels == label)) for label in range(12)]]]
            assert np.allclose(ours, means, atol=0.2)
            assert found["_distance"].max() < 4
        with pytest.raises(trilith.TrilithError, match="only 2000 rows have a vector"):
            t.kmeans(k=2001).fetchall()


def test_lists_of_vectors_are_matrices_for_numpy(tmp_path: Path) -> None:
    rows = [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        None,
        np.empty((0, 3), np.float32),
        np.ones((1, 3), np.float32),
    ]
    with trilith.connect(tmp_path / "db") as db:
        t = db.create_table("t", {"id": "BIGINT", "tokens": "VECTOR(3)[]"}, primary_key="id")
        t.upsert([{"id": at, "tokens": row} for at, row in enumerate(rows)])
        for found in (
            db.sql("SELECT tokens FROM t ORDER BY id").numpy()["tokens"],
            db.sql("SELECT tokens FROM t WHERE id > 0 ORDER BY id").numpy()["tokens"],
        ):
            assert found.dtype == object
            for got, wanted in zip(found, rows[-len(found) :], strict=True):
                assert (got is None) == (wanted is None)
                if wanted is not None:
                    assert got.shape == wanted.shape
                    assert got.dtype == np.float32
                    assert np.array_equal(got, wanted)
                    assert got.base is not None
        nested = db.sql("SELECT [[1, 2], [3]] AS lists").numpy()["lists"]
        assert nested[0] == [[1, 2], [3]]
