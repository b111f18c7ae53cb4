"""Documents in PyMongo's shape, over a table with a Variant column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

from trilith._native import Collection as NativeCollection

Document = dict[str, Any]
Filter = Mapping[str, Any]
Sort = str | Sequence[tuple[str, int]]

ASCENDING = 1
DESCENDING = -1


class InsertOneResult(NamedTuple):
    """What :meth:`Collection.insert_one` did."""

    inserted_id: Any


class InsertManyResult(NamedTuple):
    """What :meth:`Collection.insert_many` did."""

    inserted_ids: list[Any]


class UpdateResult(NamedTuple):
    """What an update or a replacement did: documents that matched, and those that became different."""

    matched_count: int
    modified_count: int


class DeleteResult(NamedTuple):
    """What a deletion did."""

    deleted_count: int


class Collection:
    """Documents of one kind. Its name is that of a table, so that SQL sees the same documents.

    A document is a dict of text keys. Its ``_id`` is given, or made when it has none. Dates, decimals, bytes
    and UUIDs keep their types; the fields of a document come back in order of name. Filters are MongoDB's:
    equality, ``$eq $ne $gt $gte $lt $lte $in $nin $exists``, joined by ``$and $or $not``; a key such as
    ``"meta.login"`` reaches inside.

    >>> import trilith
    >>> users = trilith.connect(":memory:").collection("users")
    >>> users.insert_many([{"_id": 1, "name": "Ada", "age": 36}, {"_id": 2, "name": "Bo", "age": 9}]).inserted_ids
    [1, 2]
    >>> users.find_one({"age": {"$gt": 10}}, {"name": 1})
    {'_id': 1, 'name': 'Ada'}
    """

    __slots__ = ("_native",)

    def __init__(self, native: NativeCollection) -> None:
        """Use :meth:`Database.collection` instead."""
        self._native = native

    @property
    def name(self) -> str:
        """The name of the collection and of its table."""
        return self._native.name

    def insert_one(self, document: Document) -> InsertOneResult:
        """Add a document; the result carries its ``_id``.

        Raises:
            AlreadyExists: a document with this ``_id`` is there.
            Invalid: a value has no place in a document.
        """
        return InsertOneResult(self._native.insert([document])[0])

    def insert_many(self, documents: Iterable[Document]) -> InsertManyResult:
        """Add documents in one commit, all or none; the result carries their ``_id`` values.

        Raises:
            AlreadyExists: a document with one of the ``_id`` values is there, or two have the same.
            Invalid: a value has no place in a document.
        """
        return InsertManyResult(self._native.insert(list(documents)))

    def find(self, filter: Filter | None = None, projection: Mapping[str, Any] | None = None) -> Find:
        """Return the documents that match; ``sort``, ``skip`` and ``limit`` may follow.

        Args:
            filter: what they must fulfil; all documents when None.
            projection: the fields to return, ``{"name": 1}``, or to leave out, ``{"name": 0}``.
        """
        return Find(self._native, dict(filter or {}), None if projection is None else dict(projection))

    def find_one(self, filter: Filter | None = None, projection: Mapping[str, Any] | None = None) -> Document | None:
        """Return one document that matches, or None."""
        return next(iter(self.find(filter, projection).limit(1)), None)

    def update_one(self, filter: Filter, update: Mapping[str, Any]) -> UpdateResult:
        """Apply ``{"$set": ...}``, ``{"$unset": ...}``, ``{"$inc": ...}`` and the like to one match."""
        return UpdateResult(*self._native.update(dict(filter), dict(update), False))

    def update_many(self, filter: Filter, update: Mapping[str, Any]) -> UpdateResult:
        """Apply an update to every match, in one commit."""
        return UpdateResult(*self._native.update(dict(filter), dict(update), True))

    def replace_one(self, filter: Filter, document: Document) -> UpdateResult:
        """Put ``document`` in the place of one match, under the same ``_id``."""
        return UpdateResult(*self._native.replace(dict(filter), document))

    def delete_one(self, filter: Filter) -> DeleteResult:
        """Delete one document that matches."""
        return DeleteResult(self._native.delete(dict(filter), False))

    def delete_many(self, filter: Filter) -> DeleteResult:
        """Delete every document that matches, in one commit."""
        return DeleteResult(self._native.delete(dict(filter), True))

    def count_documents(self, filter: Filter | None = None) -> int:
        """Return how many documents match."""
        return self._native.count(dict(filter or {}))

    def __len__(self) -> int:
        """Return the number of documents."""
        return self.count_documents()

    def __repr__(self) -> str:
        """Show the name."""
        return f"<trilith collection {self.name!r}>"


class Find:
    """The documents that match a filter; iterate to read them. Each iteration runs the search anew."""

    __slots__ = ("_filter", "_limit", "_native", "_projection", "_skip", "_sort")

    def __init__(self, native: NativeCollection, filter: Document, projection: Document | None) -> None:
        """Use :meth:`Collection.find` instead."""
        self._native = native
        self._filter = filter
        self._projection = projection
        self._sort: list[tuple[str, int]] = []
        self._skip = 0
        self._limit: int | None = None

    def sort(self, key: Sort, direction: int = ASCENDING) -> Self:
        """Order by a field, or by a list of (field, 1 or -1); a dotted field reaches inside."""
        self._sort = [(key, direction)] if isinstance(key, str) else list(key)
        return self

    def skip(self, count: int) -> Self:
        """Leave out the first ``count`` documents."""
        self._skip = count
        return self

    def limit(self, count: int) -> Self:
        """Return at most ``count`` documents; 0 means all, as in MongoDB."""
        self._limit = count or None
        return self

    def __iter__(self) -> Iterator[Document]:
        """Run the search and read the documents as they are found."""
        request = {
            "filter": self._filter,
            "projection": self._projection,
            "sort": self._sort,
            "skip": self._skip,
            "limit": self._limit,
        }
        cursor = self._native.find(request).cursor()
        try:
            for batch in cursor:
                for (document,) in batch.rows():
                    yield document
        finally:
            cursor.close()

    def to_list(self) -> list[Document]:
        """Return all matches as a list."""
        return list(self)
