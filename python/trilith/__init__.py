"""Trilith: documents, columns and vectors in one durable Arrow store, under one SQL.

>>> import trilith
>>> db = trilith.connect(":memory:")
>>> items = db.create_table("items", [{"id": 1, "kind": "tea"}, {"id": 2, "kind": "ink"}], primary_key="id")
>>> db.sql("SELECT kind FROM items WHERE id = $1", [2]).fetchone()
('ink',)
>>> items.get(1)
{'id': 1, 'kind': 'tea'}
"""

from trilith._native import ArrowBatch, ArrowBatches, ArrowSchema
from trilith.database import Database, connect
from trilith.documents import Collection, DeleteResult, Find, InsertManyResult, InsertOneResult, UpdateResult
from trilith.errors import (
    AlreadyExists,
    Busy,
    Closed,
    Conflict,
    Corrupt,
    InternalError,
    Invalid,
    IoError,
    LimitExceeded,
    NotFound,
    TrilithError,
    Unsupported,
)
from trilith.operations import repair, restore
from trilith.query import Query
from trilith.table import Table
from trilith.transaction import Savepoint, Transaction

__version__ = "0.1.0"

__all__ = [
    "AlreadyExists",
    "ArrowBatch",
    "ArrowBatches",
    "ArrowSchema",
    "Busy",
    "Closed",
    "Collection",
    "Conflict",
    "Corrupt",
    "Database",
    "DeleteResult",
    "Find",
    "InsertManyResult",
    "InsertOneResult",
    "InternalError",
    "Invalid",
    "IoError",
    "LimitExceeded",
    "NotFound",
    "Query",
    "Savepoint",
    "Table",
    "Transaction",
    "TrilithError",
    "Unsupported",
    "UpdateResult",
    "__version__",
    "connect",
    "repair",
    "restore",
]
