"""What the database counts of itself, and options of tables."""

import datetime
from pathlib import Path

import pytest

import trilith


def test_stats_of_a_table_and_of_the_database(tmp_path: Path) -> None:
    with trilith.connect(tmp_path / "db") as db:
        table = db.create_table("items", {"id": "BIGINT", "text": "TEXT"}, primary_key="id")
        before = db.stats()["trilith_commits_total"]
        for n in range(5):
            table.upsert([{"id": i, "text": "x" * n} for i in range(10)])
        assert db.stats()["trilith_commits_total"] == before + 5
        assert table.stats()["files"] == 0
        assert table.stats()["memtable_bytes"] > 0
        db.flush()
        stats = table.stats()
        assert stats["table_name"] == "items"
        assert stats["files"] == 1
        assert stats["space_amplification"] == 1.0
        db.drop_table("items")
        with pytest.raises(trilith.NotFound):
            table.stats()


@pytest.mark.parametrize("as_types", [True, False])
def test_options_of_a_table(tmp_path: Path, as_types: bool) -> None:
    now = datetime.datetime.now()
    rows = [{"id": 1, "at": now - datetime.timedelta(hours=2)}, {"id": 2, "at": now + datetime.timedelta(days=2)}]
    data = {"id": "BIGINT", "at": "TIMESTAMP"} if as_types else rows
    options = {"ttl": "1 hour", "ttl_column": "at", "compaction": "fifo"}
    with trilith.connect(tmp_path / "db") as db:
        table = db.create_table("events", data, primary_key="id", options=options)
        if as_types:
            table.append(rows)
        assert [row[0] for row in table.scan(["id"]).fetchall()] == [2]
        assert table.get(1) is None
        assert len(table) == 1
        listed = db.sql("SELECT options FROM trilith.tables").fetchone()
        assert listed == ("compaction = 'fifo', ttl = '3600000 ms', ttl_column = 'at'",)


def test_an_unknown_option_is_refused() -> None:
    with trilith.connect(":memory:") as db, pytest.raises(trilith.Invalid, match="compaction, ttl and ttl_column"):
        db.create_table("t", {"a": "INT"}, options={"colour": "red"})
