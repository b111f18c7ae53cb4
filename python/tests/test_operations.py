"""Backup, restore, repair and vacuum on real folders."""

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
