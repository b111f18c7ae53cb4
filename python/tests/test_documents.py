"""Documents in PyMongo's shape."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

import numpy as np
import pytest

import trilith

NOW = dt.datetime(2026, 11, 21, 3, 4, 5, 678901, tzinfo=dt.UTC)


@pytest.fixture
def users(db: trilith.Database) -> trilith.Collection:
    users = db.collection("users")
    users.insert_many(
        [
            {"_id": 1, "name": "Ada", "age": 36, "home": {"city": "London"}, "tags": ["a", "b"]},
            {"_id": 2, "name": "Bo", "age": 9, "home": {"city": "Riga"}},
            {"_id": 3, "name": "Cy", "age": None},
            {"_id": 4, "name": "Di", "age": 52.5, "home": {"city": "Riga"}, "tags": []},
        ]
    )
    return users


def test_documents_come_back_as_they_went_in(db: trilith.Database) -> None:
    document = {
        "_id": "x",
        "flag": True,
        "whole": 2**60,
        "huge": 2**100,
        "real": 0.1,
        "text": "\u8336" * 100,
        "none": None,
        "blob": b"\x00\xff",
        "money": decimal.Decimal("-1.50"),
        "id": uuid.uuid4(),
        "day": dt.date(2026, 1, 2),
        "clock": dt.time(1, 2, 3),
        "stamp": dt.datetime(2026, 1, 2, 3, 4, 5, 6),
        "moment": NOW,
        "list": [1, "two", [3.0, None], {"four": 4}],
        "empty": {"object": {}, "list": []},
        "array": np.arange(3),
        "scalar": np.float64(0.5),
    }
    db.collection("c").insert_one(document)
    found = db.collection("c").find_one({"_id": "x"})
    assert found == {**document, "array": [0, 1, 2], "huge": decimal.Decimal(2**100)}
    assert found["moment"].tzinfo is not None


def test_ids_are_made(db: trilith.Database) -> None:
    notes = db.collection("notes")
    first = notes.insert_one({"text": "one"}).inserted_id
    rest = notes.insert_many({"text": str(i)} for i in range(10)).inserted_ids
    assert len({first, *rest}) == 11
    assert notes.find_one({"_id": first}) == {"_id": first, "text": "one"}
    with pytest.raises(trilith.AlreadyExists):
        notes.insert_many([{"text": "new"}, {"_id": first}])
    assert len(notes) == 11


@pytest.mark.parametrize(
    ("filter", "ids"),
    [
        ({}, [1, 2, 3, 4]),
        ({"name": "Ada"}, [1]),
        ({"home.city": "Riga"}, [2, 4]),
        ({"age": {"$gt": 9}}, [1, 4]),
        ({"age": {"$gte": 9, "$lt": 50}}, [1, 2]),
        ({"age": {"$ne": 9}}, [1, 3, 4]),
        ({"age": None}, [3]),
        ({"_id": {"$in": [1, 4, 9]}}, [1, 4]),
        ({"name": {"$nin": ["Ada", "Bo"]}}, [3, 4]),
        ({"home": {"$exists": False}}, [3]),
        ({"$or": [{"name": "Ada"}, {"age": {"$lt": 10}}]}, [1, 2]),
        ({"$and": [{"home.city": "Riga"}, {"age": {"$gt": 10}}]}, [4]),
        ({"age": {"$not": {"$gt": 9}}}, [2, 3]),
        ({"tags": "b"}, [1]),
    ],
)
def test_filters(users: trilith.Collection, filter: dict[str, object], ids: list[int]) -> None:
    assert sorted(document["_id"] for document in users.find(filter)) == ids
    assert users.count_documents(filter) == len(ids)


def test_dates_compare_as_dates(db: trilith.Database) -> None:
    events = db.collection("events")
    events.insert_many([{"_id": i, "meta": {"at": NOW + dt.timedelta(hours=i)}} for i in range(10)])
    late = events.find({"meta.at": {"$gt": NOW + dt.timedelta(hours=7, minutes=30)}}).sort("meta.at", -1)
    assert [document["_id"] for document in late] == [9, 8]


def test_sort_skip_limit_and_projection(users: trilith.Collection) -> None:
    names = [document["name"] for document in users.find().sort("name", -1).skip(1).limit(2)]
    assert names == ["Cy", "Bo"]
    assert [d["_id"] for d in users.find().sort([("home.city", 1), ("_id", -1)])][-2:] == [4, 2]
    assert users.find({"_id": 1}, {"name": 1, "_id": 0}).to_list() == [{"name": "Ada"}]
    assert len(users.find().limit(0).to_list()) == 4
    with pytest.raises(trilith.Invalid, match="1 or -1"):
        users.find().sort("name", 2).to_list()


def test_updates(users: trilith.Collection) -> None:
    assert users.update_many({"home.city": "Riga"}, {"$set": {"vip": True}, "$inc": {"age": 1}}) == (2, 2)
    assert users.find_one({"_id": 2}) == {"_id": 2, "age": 10, "home": {"city": "Riga"}, "name": "Bo", "vip": True}
    assert users.update_one({"_id": 9}, {"$set": {"x": 1}}) == (0, 0)
    assert users.update_one({"_id": 1}, {"$set": {"name": "Ada"}}).modified_count == 0
    assert users.update_one({"_id": 1}, {"$unset": {"home": ""}}).modified_count == 1
    assert "home" not in users.find_one({"_id": 1})
    assert users.replace_one({"_id": 3}, {"name": "New"}).matched_count == 1
    assert users.find_one({"_id": 3}) == {"_id": 3, "name": "New"}


def test_deletes(users: trilith.Collection) -> None:
    assert users.delete_one({"home.city": "Riga"}).deleted_count == 1
    assert users.delete_many({"age": {"$gt": 1}}).deleted_count == 2
    assert users.delete_many({"age": "nothing"}).deleted_count == 0
    assert len(users) == 1


def test_sql_sees_the_same_documents(db: trilith.Database, users: trilith.Collection) -> None:
    query = "SELECT doc->>'name' AS name FROM users WHERE doc->'home'->>'city' = 'Riga' ORDER BY name"
    assert db.sql(query).fetchall() == [("Bo",), ("Di",)]
    (document,) = db.sql("SELECT doc FROM users WHERE doc->>'name' = 'Ada'").fetchone()
    assert document == users.find_one({"_id": 1})


def test_documents_leave_as_json_text(db: trilith.Database, users: trilith.Collection) -> None:
    table = db.sql("SELECT doc FROM users ORDER BY doc->>'name' LIMIT 1").arrow()
    assert '"name":"Ada"' in str(table.column("doc")[0].as_py())
    assert table.schema.field("doc").type.extension_name == "arrow.json"
    copy = db.create_table("copy", table)
    assert db.sql("SELECT doc FROM copy").fetchone()[0] == users.find_one({"_id": 1})
    assert copy.columns == ["doc"]


def test_documents_in_tables(db: trilith.Database) -> None:
    table = db.create_table("t", {"id": "BIGINT", "doc": "VARIANT"}, primary_key="id")
    table.append([{"id": 1, "doc": {"a": {"b": NOW}}}, {"id": 2, "doc": None}, {"id": 3, "doc": [1, "x"]}])
    assert table.get(1) == {"id": 1, "doc": {"a": {"b": NOW}}}
    assert table.get(2) == {"id": 2, "doc": None}
    assert table.get(3)["doc"] == [1, "x"]


BAD = {
    "no dict": (lambda c: c.insert_one([1]), "dict"),
    "number as name": (lambda c: c.insert_one({1: 2}), "text"),
    "object": (lambda c: c.insert_one({"a": object()}), "object"),
    "deep": (lambda c: c.insert_one({"a": __import__("functools").reduce(lambda x, _: [x], range(500), 1)}), "deep"),
    "unknown operator": (lambda c: c.find({"a": {"$near": 1}}).to_list(), "near"),
    "unknown update": (lambda c: c.update_one({"_id": 1}, {"$explode": {"a": 1}}), "explode"),
    "update without operator": (lambda c: c.update_one({"_id": 1}, {"a": 1}), "a"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_documents(users: trilith.Collection, case: str) -> None:
    call, message = BAD[case]
    with pytest.raises(trilith.TrilithError, match=message):
        call(users)
    assert len(users) == 4
