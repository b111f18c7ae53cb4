"""The databases with vectors that ``filtered.py`` and ``churn.py`` compare, under one face.

Each holds rows of a number, a vector of length one and a few columns of small integers, and finds the rows nearest by
cosine under ``column < bound``. Its setting goes from fast to exact; one thread answers a query. Where columns and
vectors can be indexed, they are. What becomes of an acknowledged row was seen in the system calls that follow.
"""
# ruff: noqa: D102, D107 - what the methods do stands in the base class

from __future__ import annotations

import os

# Lance reads its number of threads when it is imported.
os.environ.setdefault("LANCE_CPU_THREADS", "1")

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import ClassVar

import lancedb
import numpy as np
import pyarrow as pa
import qdrant_edge as qdrant
import zvec

import trilith

EXPANSIONS = (16, 32, 64, 128, 256, 512)
LINKS, EXPANSION_BUILD = 16, 128
Columns = Mapping[str, np.ndarray]
Condition = tuple[str, int]


class Store(ABC):
    """One table, kept under a folder."""

    name: ClassVar[str]
    settings: ClassVar[tuple[float, ...]] = EXPANSIONS
    acknowledged: ClassVar[str]
    synced: ClassVar[str]

    def __init__(self, folder: Path, width: int, columns: tuple[str, ...] = ()) -> None:
        """Make an empty table of vectors of ``width`` and of the columns that are named."""
        self.folder, self.width, self.columns = folder, width, columns

    @abstractmethod
    def insert(self, first: int, vectors: np.ndarray, columns: Columns | None = None) -> None:
        """Add rows that are numbered from ``first`` on; ``acknowledged`` says what has become of them then."""

    @abstractmethod
    def sync(self) -> None:
        """Make what was acknowledged durable, in the way that ``synced`` says."""

    @abstractmethod
    def settle(self) -> None:
        """Index what is there."""

    @abstractmethod
    def search(self, query: np.ndarray, k: int, setting: float, condition: Condition | None = None) -> list[int]:
        """Return the numbers of the nearest rows, of those whose column is below the bound."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the files."""


class Trilith(Store):
    """A table with no index statement; the setting is the recall that is asked for."""

    name, settings = "Trilith", (0.98,)
    durability = "group"
    acknowledged, synced = "on disk", "nothing to do"

    def __init__(self, folder: Path, width: int, columns: tuple[str, ...] = ()) -> None:
        super().__init__(folder, width, columns)
        self.db = trilith.connect(folder / "t.tri", threads=1, durability=self.durability)
        types = {"id": "BIGINT", "v": f"VECTOR({width})"} | dict.fromkeys(columns, "INTEGER")
        self.table = self.db.create_table("t", types, primary_key="id")

    def insert(self, first: int, vectors: np.ndarray, columns: Columns | None = None) -> None:
        self.table.append({"id": np.arange(first, first + len(vectors)), "v": vectors} | dict(columns or {}))

    def sync(self) -> None:
        """Nothing to do: a commit that is acknowledged is durable."""

    def settle(self) -> None:
        self.db.flush()

    def search(self, query: np.ndarray, k: int, setting: float, condition: Condition | None = None) -> list[int]:
        where = None if condition is None else "{} < {}".format(*condition)
        found = self.table.search(query, k=k, where=where, recall=setting, columns=["id"])
        return [row[0] for row in found.fetchall()]

    def by_sql(self, query: np.ndarray, k: int, setting: float, condition: Condition) -> list[int]:
        """Return what ``search`` does, by a statement."""
        column, bound = condition
        statement = f"SELECT id FROM vector_search('t', 'v', $q, {k}, 'cosine', {setting}) WHERE {column} < {bound}"
        return [row[0] for row in self.db.sql(statement, {"q": query}).fetchall()]

    def close(self) -> None:
        self.db.close()


class TrilithBuffered(Trilith):
    """The same, where a commit is with the operating system when it is acknowledged."""

    durability = "buffered"
    acknowledged = "with the system"


class Zvec(Store):
    """zvec's HNSW beside an inverted index of each column; the setting is ``ef``."""

    name = "zvec"
    acknowledged, synced = "with the system", "flush()"

    def __init__(self, folder: Path, width: int, columns: tuple[str, ...] = ()) -> None:
        super().__init__(folder, width, columns)
        zvec_with_one_thread()
        index = zvec.InvertIndexParam(enable_range_optimization=True)
        schema = zvec.CollectionSchema(
            "t",
            [zvec.FieldSchema(column, zvec.DataType.INT32, index_param=index) for column in columns],
            zvec.VectorSchema("v", zvec.DataType.VECTOR_FP32, width, zvec_graph()),
        )
        self.rows = zvec.create_and_open(str(folder / "zvec"), schema)

    def insert(self, first: int, vectors: np.ndarray, columns: Columns | None = None) -> None:
        values = _by_row(columns, len(vectors))
        docs = [
            zvec.Doc(str(first + row), vectors={"v": vector}, fields=values[row]) for row, vector in enumerate(vectors)
        ]
        for start in range(0, len(docs), 1000):
            self.rows.insert(docs[start : start + 1000])

    def sync(self) -> None:
        self.rows.flush()

    def settle(self) -> None:
        self.rows.flush()
        self.rows.optimize()

    def search(self, query: np.ndarray, k: int, setting: float, condition: Condition | None = None) -> list[int]:
        asked = zvec.Query("v", vector=query, param=zvec.HnswQueryParam(ef=int(setting)))
        where = None if condition is None else "{} < {}".format(*condition)
        return [int(doc.id) for doc in self.rows.query(asked, topk=k, filter=where, output_fields=[])]

    def close(self) -> None:
        self.rows.close()


class QdrantEdge(Store):
    """Qdrant Edge's HNSW, whose links know the indexed columns; the setting is ``hnsw_ef``."""

    name = "Qdrant Edge"
    acknowledged, synced = "with the system", "flush()"

    def __init__(self, folder: Path, width: int, columns: tuple[str, ...] = ()) -> None:
        super().__init__(folder, width, columns)
        graph = qdrant.HnswIndexConfig(m=LINKS, ef_construct=EXPANSION_BUILD, full_scan_threshold=10)
        config = qdrant.EdgeConfig(
            vectors=qdrant.EdgeVectorParams(width, qdrant.Distance.Cosine, hnsw_config=graph),
            optimizers=qdrant.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1000),
            max_search_threads=1,
        )
        self.shard = qdrant.EdgeShard.create(str(folder / "qdrant"), config)
        for column in columns:
            of_integers = qdrant.PayloadSchemaType.Integer
            self.shard.update(qdrant.UpdateOperation.create_field_index(column, of_integers))

    def insert(self, first: int, vectors: np.ndarray, columns: Columns | None = None) -> None:
        values = _by_row(columns, len(vectors))
        points = [qdrant.Point(first + row, vector.tolist(), values[row]) for row, vector in enumerate(vectors)]
        for start in range(0, len(points), 1000):
            self.shard.update(qdrant.UpdateOperation.upsert_points(points[start : start + 1000]))

    def sync(self) -> None:
        self.shard.flush()

    def settle(self) -> None:
        self.shard.optimize()
        self.shard.flush()

    def search(self, query: np.ndarray, k: int, setting: float, condition: Condition | None = None) -> list[int]:
        below = None if condition is None else _below(*condition)
        request = qdrant.SearchRequest(
            query=qdrant.Query.Nearest(query.tolist()),
            limit=k,
            filter=below,
            params=qdrant.SearchParams(hnsw_ef=int(setting)),
        )
        return [point.id for point in self.shard.search(request)]

    def close(self) -> None:
        self.shard.close()


class LanceDb(Store):
    """LanceDB's lists of whole vectors beside a B-tree of each column; the setting is ``nprobes``."""

    name, settings = "LanceDB", (1, 4, 16, 64, 256)
    acknowledged, synced = "with the system", "no call for it"

    def __init__(self, folder: Path, width: int, columns: tuple[str, ...] = ()) -> None:
        super().__init__(folder, width, columns)
        fields = [pa.field(column, pa.int32()) for column in columns]
        schema = pa.schema([pa.field("id", pa.int64()), pa.field("v", pa.list_(pa.float32(), width)), *fields])
        self.table = lancedb.connect(folder / "lance").create_table("t", schema=schema)

    def insert(self, first: int, vectors: np.ndarray, columns: Columns | None = None) -> None:
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), self.width)
        values = {column: pa.array(value, pa.int32()) for column, value in (columns or {}).items()}
        self.table.add(pa.table({"id": np.arange(first, first + len(vectors)), "v": lists} | values))

    def sync(self) -> None:
        """Nothing to call: what it does at the end of ``add`` is all."""

    def settle(self) -> None:
        self.table.create_index("v", config=lancedb.index.IvfFlat(distance_type="cosine", num_partitions=256))
        for column in self.columns:
            self.table.create_index(column, config=lancedb.index.BTree())

    def search(self, query: np.ndarray, k: int, setting: float, condition: Condition | None = None) -> list[int]:
        asked = (
            self.table.search(query).distance_type("cosine").nprobes(int(setting)).select(["id", "_distance"]).limit(k)
        )
        if condition is not None:
            asked = asked.where("{} < {}".format(*condition), prefilter=True)
        return asked.to_arrow()["id"].to_pylist()

    def close(self) -> None:
        self.table = None


def zvec_graph() -> zvec.HnswIndexParam:
    """Return zvec's HNSW with the numbers of the other graphs here."""
    return zvec.HnswIndexParam(zvec.MetricType.COSINE, m=LINKS, ef_construction=EXPANSION_BUILD)


@cache
def zvec_with_one_thread() -> None:
    """Let each query of zvec have one thread; it takes this once in a process."""
    zvec.init(query_threads=1)


def _below(column: str, bound: int) -> qdrant.Filter:
    return qdrant.Filter(must=[qdrant.FieldCondition(column, range=qdrant.RangeFloat(lt=bound))])


def _by_row(columns: Columns | None, rows: int) -> list[dict[str, int]]:
    names = list(columns or {})
    if not names:
        return [{}] * rows
    return [dict(zip(names, row, strict=True)) for row in zip(*(columns[name].tolist() for name in names), strict=True)]
