"""Random data, seeded: whatever goes in comes out equal, by every way in and every way out."""

from __future__ import annotations

import datetime as dt
import decimal
import random
import string

import pyarrow as pa
import pytest

import trilith

TYPES = [
    pa.bool_(),
    pa.int8(),
    pa.uint64(),
    pa.float32(),
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.binary(4),
    pa.decimal128(20, 5),
    pa.date32(),
    pa.timestamp("ms"),
    pa.timestamp("ns", "UTC"),
    pa.duration("s"),
    pa.list_(pa.int32()),
    pa.list_(pa.float32(), 3),
    pa.struct([("x", pa.string()), ("y", pa.list_(pa.bool_()))]),
    pa.dictionary(pa.int8(), pa.string()),
]


def value(rng: random.Random, kind: pa.DataType) -> object:  # noqa: PLR0911
    if rng.random() < 0.2:
        return None
    if pa.types.is_dictionary(kind):
        return rng.choice("abc")
    if pa.types.is_struct(kind):
        return {field.name: value(rng, field.type) for field in kind}
    if pa.types.is_fixed_size_list(kind):
        return [rng.randrange(-100, 100) / 4 for _ in range(kind.list_size)]
    if pa.types.is_list(kind):
        return [value(rng, kind.value_type) for _ in range(rng.randrange(4))]
    if pa.types.is_fixed_size_binary(kind) and not pa.types.is_decimal(kind):
        return rng.randbytes(kind.byte_width)
    moment = dt.datetime(2000, 1, 1) + dt.timedelta(seconds=rng.randrange(-(10**9), 10**9))
    makers = {
        "bool": lambda: rng.random() < 0.5,
        "int8": lambda: rng.randrange(-128, 128),
        "int32": lambda: rng.randrange(-(2**31), 2**31),
        "uint64": lambda: rng.randrange(2**64),
        "float": lambda: rng.randrange(-1000, 1000) / 8,
        "binary": lambda: rng.randbytes(rng.randrange(20)),
        "decimal128(20, 5)": lambda: decimal.Decimal(rng.randrange(-(10**15), 10**15)).scaleb(-5),
        "date32[day]": moment.date,
        "timestamp[ms]": lambda: moment,
        "timestamp[ns, tz=UTC]": lambda: moment.replace(tzinfo=dt.UTC),
        "duration[s]": lambda: dt.timedelta(seconds=rng.randrange(10**6)),
    }
    text = lambda: "".join(rng.choices(string.ascii_letters + "\u8336\U0001f375", k=rng.randrange(20)))  # noqa: E731
    return makers.get(str(kind), text)()


@pytest.mark.parametrize("seed", range(25))
def test_tables(seed: int, path: str) -> None:
    rng = random.Random(seed)
    rows = rng.randrange(1, 300)
    kinds = rng.sample(TYPES, 6)
    columns = {f"c{i}": pa.array([value(rng, kind) for _ in range(rows)], kind) for i, kind in enumerate(kinds)}
    whole = pa.table({"id": pa.array(rng.sample(range(10**6), rows)), **columns})
    # Slices start in the middle of bytes, bits and offsets.
    start = rng.randrange(rows)
    part = whole.slice(start, rng.randrange(rows - start + 1))
    expected = sorted(part.to_pylist(), key=lambda row: row["id"])
    with trilith.connect(path, durability="buffered") as db:
        table = db.create_table("t", part, primary_key="id" if rng.random() < 0.5 else None)
        if rng.random() < 0.5:
            db.flush()
        check(db, table, expected)
    with trilith.connect(path) as db:
        check(db, db.table("t"), expected)


def check(db: trilith.Database, table: trilith.Table, expected: list[dict[str, object]]) -> None:
    query = table.scan(order_by="id")
    assert query.arrow().to_pylist() == expected
    assert [dict(zip(query.columns, row, strict=True)) for row in query.fetchall()] == expected
    copy = db.create_table("copy", query, replace=True)
    assert copy.scan(order_by="id").arrow().to_pylist() == expected
    if table.primary_key:
        keys = [row["id"] for row in expected]
        assert table.get_many(keys) == expected
        assert [table.get(key) for key in keys[:20]] == expected[:20]
    local = query.arrow()
    assert db.sql("SELECT * FROM local ORDER BY id").arrow().to_pylist() == expected


def document(rng: random.Random, depth: int = 0) -> object:
    kind = rng.randrange(11 if depth < 4 else 9)
    makers = [
        lambda: None,
        lambda: rng.random() < 0.5,
        lambda: rng.randrange(-(2**63), 2**63),
        lambda: rng.uniform(-1e9, 1e9),
        lambda: "".join(rng.choices('ab\u8336\U0001f375"\\\n', k=rng.randrange(100))),
        lambda: rng.randbytes(rng.randrange(10)),
        lambda: decimal.Decimal(rng.randrange(-(10**30), 10**30)).scaleb(-rng.randrange(10)),
        lambda: dt.datetime(1900, 1, 1) + dt.timedelta(microseconds=rng.randrange(2**52)),
        lambda: dt.datetime(1900, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=rng.randrange(2**52)),
        lambda: [document(rng, depth + 1) for _ in range(rng.randrange(4))],
        lambda: {"".join(rng.choices("abc \u8336", k=3)): document(rng, depth + 1) for _ in range(rng.randrange(4))},
    ]
    return makers[kind]()


@pytest.mark.parametrize("seed", range(25))
def test_documents(seed: int, path: str) -> None:
    rng = random.Random(seed)
    documents = [{"_id": i, "value": document(rng), "more": document(rng)} for i in range(rng.randrange(1, 80))]
    with trilith.connect(path, durability="buffered") as db:
        db.collection("c").insert_many(documents)
        assert db.collection("c").find().sort("_id").to_list() == documents
        db.flush()
    with trilith.connect(path) as db:
        assert db.collection("c").find().sort("_id").to_list() == documents
        assert db.create_table("t", [{"id": 1}]).count() == 1
        rows = [row[0] for row in db.sql("SELECT doc FROM c").fetchall()]
        assert sorted(rows, key=lambda row: row["_id"]) == documents
