"""Backup, export, restore, repair and vacuum on real folders."""

import pathlib
import threading

import numpy as np
import pytest

import trilith


@pytest.fixture
def shop(tmp_path):
    with trilith.connect(tmp_path / "shop.tri") as db:
        db.create_table("items", {"id": np.arange(10_000), "price": np.arange(10_000) * 0.5}, primary_key="id")
        yield db


def total(path):
    with trilith.connect(path, create=False) as db:
        return db.sql("SELECT count(*), sum(price) FROM items").fetchone()


def test_a_backup_is_a_database_and_comes_back(shop, tmp_path):
    first = shop.backup(tmp_path / "copy")
    assert first["linked"] > 0
    assert first["copied"] == 0
    shop.table("items").delete("id >= 9000")
    seen = []
    second = shop.backup(str(tmp_path / "copy"), copy=True, progress=lambda *now: seen.append(now))
    assert second["reused"] > 0
    assert seen[-1][0] == seen[-1][1]
    assert total(tmp_path / "copy") == (9000, sum(range(9000)) * 0.5)
    trilith.restore(tmp_path / "copy", tmp_path / "back", progress=False)
    assert total(tmp_path / "back") == total(tmp_path / "copy")
    with pytest.raises(trilith.Invalid, match="not empty"):
        trilith.restore(tmp_path / "copy", tmp_path / "back")
    with pytest.raises(trilith.NotFound):
        trilith.restore(tmp_path / "nothing", tmp_path / "elsewhere")


def test_an_error_of_progress_leaves_no_half_backup(shop, tmp_path):
    def stop(done, _total, _seconds):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.backup(tmp_path / "copy", copy=True, progress=stop)
    assert [path for path in (tmp_path / "copy").rglob("*") if path.is_file() and path.name != "LOCK"] == []
    shop.backup(tmp_path / "copy")


def test_a_backup_is_one_commit_while_a_writer_runs(shop, tmp_path):
    done = threading.Event()

    def write():
        for n in range(10_000, 100_000, 2):
            if done.is_set():
                return
            shop.table("items").upsert([{"id": n, "price": 1.0}, {"id": n + 1, "price": -1.0}])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(3):
            shop.backup(tmp_path / f"copy{turn}")
    finally:
        done.set()
        writer.join()
    for turn in range(3):
        rows, price = total(tmp_path / f"copy{turn}")
        assert rows % 2 == 0
        assert price == sum(range(10_000)) * 0.5


def test_repair_declares_what_is_lost(shop, tmp_path):
    shop.flush()
    shop.close()
    data = max(pathlib.Path(shop.path).glob("sst/*.arrow"), key=lambda path: path.stat().st_size)
    with data.open("r+b") as file:
        file.seek(data.stat().st_size // 2)
        file.write(b"damage")
    report = trilith.repair(shop.path, tmp_path / "mended")
    (lost,) = report["lost"]
    assert lost["table"] == "items"
    assert lost["rows"] + report["rows"] == 10_000
    assert total(tmp_path / "mended")[0] == report["rows"] > 0
    assert "checksum" in lost["why"]


def test_a_database_in_one_file_is_the_same_and_only_read(shop, tmp_path):
    path = tmp_path / "my shop.trilith"
    vectors = np.random.default_rng(1).normal(size=(2000, 64)).astype(np.float32)
    shop.create_table("v", {"id": np.arange(2000), "e": list(vectors)}, primary_key="id")
    shop.collection("docs").insert_one({"_id": 1, "a": {"b": 2}})
    shop.table("items").delete("id < 10")
    seen = []
    report = shop.export(path, progress=lambda *now: seen.append(now))
    assert report["bytes"] == path.stat().st_size
    assert seen[-1][0] == seen[-1][1] > 0
    with pytest.raises(trilith.Invalid, match="there already"):
        shop.export(path)
    near = "SELECT id FROM v ORDER BY cosine_distance(e, $1) LIMIT 5"
    query = "SELECT count(*), sum(id), sum(price) FROM items"
    with trilith.connect(path) as file, trilith.connect(path, read_only=True) as twin:
        for db in (file, twin):
            assert db.sql(query).fetchone() == shop.sql(query).fetchone()
            assert db.table("items").get(10) == {"id": 10, "price": 5.0}
            assert db.table("items").get(9) is None
            assert db.collection("docs").find_one({"a.b": 2}) == {"_id": 1, "a": {"b": 2}}
            assert db.sql(near, [vectors[7]]).fetchall() == shop.sql(near, [vectors[7]]).fetchall()
        for write in (
            lambda: file.sql("INSERT INTO items VALUES (1, 2.0)"),
            lambda: file.table("items").delete("id = 10"),
            lambda: file.create_table("new", {"id": [1]}),
            lambda: file.collection("docs").insert_one({"a": 1}),
            file.vacuum,
        ):
            with pytest.raises(trilith.Closed, match="single file"):
                write()
        # Whoever has it open goes on reading what it was.
        shop.table("items").delete("id < 100")
        shop.export(path, replace=True)
        assert len(file.table("items")) == 9990
    assert total(path) == total(tmp_path / "shop.tri")
    trilith.restore(path, tmp_path / "back")
    with trilith.connect(tmp_path / "back") as back:
        back.table("items").upsert({"id": [1], "price": [1.0]})
        assert len(back.table("items")) == 9901
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["back", "my shop.trilith", "shop.tri"]


def test_vacuum_gives_the_space_of_deleted_rows_back(shop):
    shop.flush()
    shop.table("items").delete("id % 10 < 2")
    freed = shop.vacuum()
    assert freed["rewritten_files"] >= 1
    assert freed["orphans"] == 0
    again = shop.sql("VACUUM")
    assert (again.columns, again.fetchone()[2:]) == (list(freed), (0, 0))
    shop.sql("BEGIN")
    for vacuum in (shop.vacuum, lambda: shop.sql("VACUUM")):
        with pytest.raises(trilith.Unsupported, match="transaction"):
            vacuum()
    shop.sql("ROLLBACK")
    assert len(shop.table("items")) == 8000
