"""Past versions, tags, changes and branches on real folders, by one process and by two."""

from __future__ import annotations

import datetime
import itertools
import pickle
import subprocess
import sys
import textwrap

import pytest

import trilith


@pytest.fixture
def shop(path):
    with trilith.connect(path) as db:
        db.set_retention("1 day")
        db.create_table("items", {"id": "BIGINT", "kind": "TEXT"}, primary_key="id")
        yield db


def rows(db):
    return dict(db.sql("SELECT id, kind FROM items").fetchall())


def test_a_version_is_read_by_number_time_and_tag(shop):
    items = shop.table("items")
    seen = {}
    for n in range(6):
        items.upsert([{"id": n % 3, "kind": f"kind {n}"}])
        seen[shop.version] = rows(shop)
        if n % 2:
            shop.flush()
    for version, expected in seen.items():
        past = shop.at(version)
        assert (past.version, rows(past), len(past.table("items"))) == (version, expected, len(expected))
        assert past.table("items").get(0) == {"id": 0, "kind": expected[0]}
    kept = dict(shop.versions().fetchall())
    assert list(kept) == list(range(shop.version + 1))
    for version in seen:
        moment = kept[version]
        last = max(other for other, time in kept.items() if time <= moment)
        assert rows(shop.at(timestamp=moment)) == seen[last]
    with pytest.raises(trilith.Invalid, match="future"):
        shop.at(timestamp=datetime.datetime(2999, 1, 1))
    with pytest.raises(trilith.Invalid, match="one of"):
        shop.at(3, tag="x")
    with pytest.raises(trilith.NotFound, match="newest"):
        shop.at(10_000)


def test_a_past_version_takes_no_writes_and_outlives_the_retention(shop):
    items = shop.table("items")
    items.append([{"id": 1, "kind": "tea"}])
    assert shop.tag("first") == shop.version
    past = shop.at(tag="first")
    items.upsert([{"id": 1, "kind": "cup"}])
    for write in (
        lambda: past.table("items").append([{"id": 2, "kind": "pot"}]),
        lambda: past.table("items").delete("id = 1"),
        lambda: past.sql("INSERT INTO items VALUES (2, 'pot')").fetchall(),
        lambda: past.sql("DROP TABLE items"),
        lambda: past.sql("BEGIN"),
        lambda: past.create_table("other", {"id": "BIGINT"}),
        lambda: past.drop_table("items"),
        lambda: past.tag("second"),
        lambda: past.collection("docs").insert_one({"a": 1}),
    ):
        with pytest.raises(trilith.Invalid, match="past version"):
            write()
    assert pickle.loads(pickle.dumps(past)).table("items").get(1) == {"id": 1, "kind": "tea"}
    shop.set_retention("none", 0)
    shop.drop_tag("first")
    items.upsert([{"id": 1, "kind": "jar"}])
    shop.flush()
    shop.vacuum()
    assert rows(past) == {1: "tea"}
    with pytest.raises(trilith.NotFound, match="kept are"):
        shop.at(2)
    assert shop.tags() == {}
    past.close()
    assert rows(shop) == {1: "jar"}


def test_changes_lead_from_one_version_to_another(shop):
    items = shop.table("items")
    start = shop.version
    items.append([{"id": n, "kind": "new"} for n in range(5)])
    items.upsert([{"id": 1, "kind": "changed"}])
    shop.flush()
    items.delete("id = 2")
    told = items.changes(start + 1)
    assert told.columns == ["id", "kind", "_change_type", "_commit_version", "_commit_timestamp"]
    found = [row[:4] for row in told.fetchall()]
    assert found[5:] == [(1, "changed", "update", start + 2), (2, "new", "delete", start + 3)]
    assert [row[2:] for row in found[:5]] == [("insert", start + 1)] * 5
    assert [row[1:3] for row in items.history(1).fetchall()] == [("new", "insert"), ("changed", "update")]
    assert items.changes(start + 2, start + 2).fetchone()[1] == "changed"


WRITER = """
    import sys, trilith
    with trilith.connect(sys.argv[1]) as db:
        t = db.table("items")
        for n in range(300):
            t.upsert([{"id": n % 40, "kind": f"kind {n}"}])
            if n % 11 == 0:
                t.delete(f"id = {n % 17}")
            if n % 60 == 59:
                db.flush()
            if n == 150:
                t.append([{"id": i, "kind": "bulk"} for i in range(1000, 3000)])
        t.upsert([{"id": -1, "kind": "end"}])
"""


def test_another_process_follows_the_changes_from_a_position(path):
    with trilith.connect(path) as db:
        db.set_retention("1 hour")
        db.create_table("items", {"id": "BIGINT", "kind": "TEXT"}, primary_key="id")
        start = db.version
    writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(WRITER), path])
    held: dict[int, str] = {}
    position = start
    # Each look is by a reader of its own, which knows nothing but the position.
    while -1 not in held:
        with trilith.connect(path, read_only=True) as reader:
            for seen, changes in itertools.islice(reader.table("items").follow(position), 3):
                position = seen
                for key, kind, change, *_ in changes.fetchall():
                    if change == "insert":
                        assert key not in held
                    else:
                        assert key in held
                    if change == "delete":
                        assert held.pop(key) == kind
                    else:
                        held[key] = kind
                assert held == rows(reader.at(position))
                if -1 in held:
                    break
    assert writer.wait(timeout=60) == 0
    with trilith.connect(path, read_only=True) as reader:
        assert held == rows(reader)


def test_a_branch_goes_its_own_way(shop, tmp_path):
    items = shop.table("items")
    items.append([{"id": n, "kind": "old"} for n in range(1000)])
    version = shop.version
    items.upsert([{"id": 1, "kind": "newer"}])
    report = shop.branch(tmp_path / "now")
    assert report["linked"] > 0
    shop.at(version).branch(tmp_path / "then")
    with pytest.raises(trilith.Invalid, match="not empty"):
        shop.branch(tmp_path / "now")
    with trilith.connect(tmp_path / "now") as now, trilith.connect(tmp_path / "then") as then:
        assert now.table("items").get(1) == {"id": 1, "kind": "newer"}
        assert (then.version, then.table("items").get(1)) == (version, {"id": 1, "kind": "old"})
        then.table("items").delete("id < 500")
        then.vacuum()
        assert (len(then.table("items")), len(now.table("items")), len(items)) == (500, 1000, 1000)
    shop.drop_table("items")
    shop.vacuum()
    with trilith.connect(tmp_path / "now") as now:
        assert len(now.table("items")) == 1000
