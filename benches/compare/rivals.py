"""The indexes that ``curves.py`` draws, under one face: build, search at a setting, delete, and open again from disk.

Each keeps what it has on disk under a folder. Settings go from fast to exact. hnswlib has no wheel and zvec none for
every system: they are drawn where they are installed.
"""
# ruff: noqa: D102 - what the methods do stands in the base class

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
import pyarrow as pa
import usearch.index

import trilith

EXPANSIONS = (16, 32, 64, 128, 256, 512)
LINKS, EXPANSION_BUILD = 16, 128


class Rival(ABC):
    """One index over vectors that are numbered from 0."""

    name: ClassVar[str]
    settings: ClassVar[tuple[float, ...]] = EXPANSIONS
    deletes: ClassVar[bool] = True

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Keep everything under ``folder``; search by so many threads."""
        self.folder, self.threads = folder, threads

    @abstractmethod
    def build(self, parts: list[np.ndarray]) -> None:
        """Take vectors part by part until all can be searched, with one thread, and store them."""

    @abstractmethod
    def open(self) -> None:
        """Make what is stored ready for searches."""

    @abstractmethod
    def search(self, queries: np.ndarray, k: int, setting: float) -> np.ndarray:
        """Return the numbers of the ``k`` nearest vectors of each query."""

    def one(self, query: np.ndarray, k: int, setting: float) -> np.ndarray:
        """Return those of one query, by the call that is quickest for one."""
        return self.search(query[None], k, setting)[0]

    def delete(self, rows: np.ndarray) -> None:
        """Delete vectors."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what is open."""
        self.index = None


class Trilith(Rival):
    """A table: the setting is the recall that is asked for."""

    name = "Trilith"
    settings = (0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.0)

    def build(self, parts: list[np.ndarray]) -> None:
        self.open()
        self.db.create_table("t", {"id": "BIGINT", "v": f"VECTOR({parts[0].shape[1]})"}, primary_key="id")
        first = 0
        for part in parts:
            self.db.table("t").append({"id": np.arange(first, first + len(part)), "v": part})
            self.db.flush()
            first += len(part)

    def open(self) -> None:
        self.close()
        self.db = trilith.connect(self.folder / "t.tri", threads=self.threads)

    def search(self, queries: np.ndarray, k: int, setting: float) -> np.ndarray:
        found = self.db.table("t").search(queries, k=k, recall=setting, columns=["id"])
        return found.numpy()["id"].reshape(len(queries), -1)

    def one(self, query: np.ndarray, k: int, setting: float) -> np.ndarray:
        found = self.db.table("t").search(query, k=k, recall=setting, columns=["id"])
        return np.array([row[0] for row in found.fetchall()])

    def delete(self, rows: np.ndarray) -> None:
        gone = pa.table({"id": rows})  # noqa: F841 - the statement reads it by its name
        self.db.sql("DELETE FROM t WHERE id IN (SELECT id FROM gone)").fetchall()

    def merge(self) -> None:
        """Rewrite all files as few."""
        self.db.vacuum()

    def close(self) -> None:
        if hasattr(self, "db"):
            self.db.close()


class TrilithGraph(Trilith):
    """A table with a graph of near rows."""

    name = "Trilith graph"

    def build(self, parts: list[np.ndarray]) -> None:
        super().build(parts)
        self.db.table("t").create_index("v", "graph", metric="cosine")


class Usearch(Rival):
    """usearch's HNSW with f32 vectors; the setting is ``expansion_search``."""

    name = "usearch"

    def build(self, parts: list[np.ndarray]) -> None:
        width, first = parts[0].shape[1], 0
        self.index = usearch.index.Index(
            ndim=width, metric="cos", dtype="f32", connectivity=LINKS, expansion_add=EXPANSION_BUILD
        )
        for part in parts:
            self.index.add(np.arange(first, first + len(part)), part, threads=1)
            first += len(part)
        self.index.save(str(self.folder / "index.usearch"))

    def open(self) -> None:
        self.index = usearch.index.Index.restore(str(self.folder / "index.usearch"), view=False)

    def search(self, queries: np.ndarray, k: int, setting: float) -> np.ndarray:
        self.index.expansion_search = int(setting)
        keys = self.index.search(queries, k, threads=self.threads).keys
        return keys.reshape(len(queries), -1)

    def delete(self, rows: np.ndarray) -> None:
        self.index.remove(rows, threads=1)


class FaissHnsw(Rival):
    """faiss's HNSW with f32 vectors; the setting is ``efSearch``. It cannot delete."""

    name = "faiss HNSW"
    deletes = False
    knob = "efSearch"

    def made(self, first: np.ndarray) -> Any:
        """Return an index without vectors, trained where that is needed."""
        index = faiss.IndexHNSWFlat(first.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EXPANSION_BUILD
        return index

    def build(self, parts: list[np.ndarray]) -> None:
        faiss.omp_set_num_threads(1)
        self.index = self.made(np.concatenate(parts))
        for part in parts:
            self.index.add(part)
        faiss.write_index(self.index, str(self.folder / "index.faiss"))

    def open(self) -> None:
        self.index = faiss.read_index(str(self.folder / "index.faiss"))

    def search(self, queries: np.ndarray, k: int, setting: float) -> np.ndarray:
        faiss.omp_set_num_threads(self.threads)
        faiss.ParameterSpace().set_index_parameter(self.index, self.knob, int(setting))
        return self.index.search(queries, k)[1]


class FaissIvf(FaissHnsw):
    """faiss's lists over f32 vectors; the setting is ``nprobe``."""

    name = "faiss IVF"
    settings = (1, 2, 4, 8, 16, 32, 64, 128)
    deletes = True
    knob = "nprobe"

    def made(self, first: np.ndarray) -> Any:
        lists = max(int(4 * len(first) ** 0.5), 1)
        index = faiss.index_factory(first.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
        index.train(first)
        return index

    def delete(self, rows: np.ndarray) -> None:
        self.index.remove_ids(rows)


class Hnswlib(Rival):
    """hnswlib; the setting is ``ef``."""

    name = "hnswlib"

    def build(self, parts: list[np.ndarray]) -> None:
        import hnswlib

        total, first = sum(map(len, parts)), 0
        self.index = hnswlib.Index(space="cosine", dim=parts[0].shape[1])
        self.index.init_index(max_elements=total, M=LINKS, ef_construction=EXPANSION_BUILD)
        for part in parts:
            self.index.add_items(part, np.arange(first, first + len(part)), num_threads=1)
            first += len(part)
        self.index.save_index(str(self.folder / "index.hnsw"))
        (self.folder / "width").write_text(str(parts[0].shape[1]))

    def open(self) -> None:
        import hnswlib

        self.index = hnswlib.Index(space="cosine", dim=int((self.folder / "width").read_text()))
        self.index.load_index(str(self.folder / "index.hnsw"))

    def search(self, queries: np.ndarray, k: int, setting: float) -> np.ndarray:
        self.index.set_ef(int(setting))
        return self.index.knn_query(queries, k, num_threads=self.threads)[0]

    def delete(self, rows: np.ndarray) -> None:
        for row in rows:
            self.index.mark_deleted(int(row))


class Zvec(Rival):
    """zvec's HNSW with f32 vectors, asked query by query as it takes no matrix; the setting is ``ef``."""

    name = "zvec"

    def build(self, parts: list[np.ndarray]) -> None:
        import zvec

        graph = zvec.HnswIndexParam(zvec.MetricType.COSINE, m=LINKS, ef_construction=EXPANSION_BUILD)
        vectors = zvec.VectorSchema("v", zvec.DataType.VECTOR_FP32, parts[0].shape[1], graph)
        self.index, first = zvec.create_and_open(self._path, zvec.CollectionSchema("t", vectors=vectors)), 0
        for part in parts:
            docs = [zvec.Doc(str(first + row), vectors={"v": vector}) for row, vector in enumerate(part)]
            for start in range(0, len(docs), 1000):
                self.index.insert(docs[start : start + 1000])
            self.index.optimize(zvec.OptimizeOption(concurrency=1))
            first += len(part)
        self.index.flush()

    def open(self) -> None:
        import zvec

        self.close()
        self.index = zvec.open(self._path)

    def search(self, queries: np.ndarray, k: int, setting: float) -> np.ndarray:
        if self.threads == 1:
            return np.array([self.one(query, k, setting) for query in queries])
        with ThreadPoolExecutor(self.threads) as threads:
            return np.array(list(threads.map(lambda query: self.one(query, k, setting), queries)))

    def one(self, query: np.ndarray, k: int, setting: float) -> np.ndarray:
        import zvec

        asked = zvec.Query("v", vector=query, param=zvec.HnswQueryParam(ef=int(setting)))
        return np.array([int(doc.id) for doc in self.index.query(asked, topk=k, output_fields=[])])

    def delete(self, rows: np.ndarray) -> None:
        for start in range(0, len(rows), 1000):
            self.index.delete([str(row) for row in rows[start : start + 1000]])

    def close(self) -> None:
        if getattr(self, "index", None) is not None:
            self.index.close()
        self.index = None

    @property
    def _path(self) -> str:
        return str(self.folder / "zvec")


ALL: tuple[type[Rival], ...] = (Trilith, TrilithGraph, Usearch, FaissHnsw, FaissIvf)
if importlib.util.find_spec("hnswlib") is not None:
    ALL += (Hnswlib,)
if importlib.util.find_spec("zvec") is not None:
    ALL += (Zvec,)
