"""Databases on an S3-compatible server that runs here: writers that are killed and taken over from, and readers."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import trilith

WRITER = """
    import sys, trilith
    db = trilith.connect(sys.argv[1], storage_options=dict(pair.split("=", 1) for pair in sys.argv[2:]))
    table = db.table("t") if "t" in db.tables() else db.create_table("t", {"id": [0], "n": [0]}, primary_key="id")
    for n in range(1, 100_000):
        table.upsert({"id": [n % 50], "n": [n]})
        print(n, flush=True)
        if n % 40 == 0:
            db.flush()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start the server and return its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(urllib.request.Request(f"{address}/shop", method="PUT"), timeout=5)
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, "the server has ended"
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def options(server: str) -> dict[str, str]:
    return {
        "endpoint": server,
        "allow_http": "true",
        "access_key_id": "key",
        "secret_access_key": "hush-hush",
        "region": "us-east-1",
    }


def start_writer(path: str, options: dict[str, str]) -> subprocess.Popen[str]:
    pairs = [f"{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-c", textwrap.dedent(WRITER), path, *pairs]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(writer: subprocess.Popen[str], n: int) -> int:
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= n:
            return int(line)
    assert writer.stderr is not None
    raise AssertionError(writer.stderr.read())


def newest(db: trilith.Database) -> int:
    return db.sql("SELECT max(n) FROM t").fetchone()[0]


def test_rows_documents_and_vectors_come_back(options: dict[str, str]) -> None:
    path = "s3://shop/round-trip"
    with trilith.connect(path, storage_options=options) as db:
        table = db.create_table("t", {"id": list(range(20_000)), "x": [i / 2 for i in range(20_000)]}, primary_key="id")
        table.upsert({"id": [7], "x": [0.25]})
        db.collection("people").insert_one({"name": "Ada"})
        assert db.path == path
    with trilith.connect(path, storage_options=options, read_only=True) as db:
        assert db.sql("SELECT count(*), sum(x) FROM t").fetchone() == (20_000, 99_995_000 - 3.5 + 0.25)
        assert db.table("t").get(7) == {"id": 7, "x": 0.25}
        assert db.collection("people").find_one({"name": "Ada"})["name"] == "Ada"
        with pytest.raises(trilith.Closed):
            db.table("t").upsert({"id": [1], "x": [1.0]})


def test_a_killed_writer_loses_nothing_and_another_goes_on(options: dict[str, str]) -> None:
    path, told = "s3://shop/killed", 0
    for _ in range(2):
        writer = start_writer(path, options)
        told = read_until(writer, 45)
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate(timeout=60)
        told = max([told, *map(int, rest.split())])
        with trilith.connect(path, storage_options=options) as db:
            assert newest(db) in (told, told + 1)
            assert db.sql("SELECT count(*) FROM t").fetchone()[0] <= 50


def test_the_newest_writer_takes_over_and_the_other_is_told(options: dict[str, str]) -> None:
    path = "s3://shop/taken"
    writer = start_writer(path, options)
    read_until(writer, 5)
    with trilith.connect(path, storage_options=options, read_only=True) as reader:
        before = newest(reader)
        assert before >= 5
        with trilith.connect(path, storage_options=options) as db:
            rest, error = writer.communicate(timeout=60)
            told = max([5, *map(int, rest.split())])
            assert "Closed" in error
            assert f"{path!r}".replace("'", '"') in error
            assert "has opened it for writing since" in error
            assert newest(db) == told
            db.table("t").upsert({"id": [0], "n": [1_000_000]})
            assert newest(reader) == 1_000_000


def test_what_is_wrong_is_said_without_secrets(options: dict[str, str], server: str) -> None:
    with pytest.raises(trilith.TrilithError, match="no such bucket") as missing:
        trilith.connect("s3://no-such-bucket/x", storage_options=options)
    with pytest.raises(trilith.Invalid, match="no_such_option") as unknown:
        trilith.connect("s3://shop/x", storage_options={**options, "no_such_option": "hush-hush"})
    with pytest.raises(trilith.Invalid, match="ftp:// is no kind of store"):
        trilith.connect("ftp://shop/x")
    with pytest.raises(trilith.NotFound):
        trilith.connect("s3://shop/nothing-here", storage_options=options, create=False)
    for error in (missing, unknown):
        assert "hush" not in str(error.value)
    with trilith.connect("s3://shop/secret", storage_options=options) as db:
        assert "hush" not in repr(db) + str(db.sql("SELECT * FROM trilith.settings").fetchall())


def test_backup_to_a_store_and_back(options: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for name, value in options.items():
        monkeypatch.setenv("AWS_" + name.upper(), value)
    with trilith.connect(tmp_path / "here.tri") as db:
        db.create_table("t", {"id": [1, 2, 3]}, primary_key="id")
        db.backup("s3://shop/backup")
    trilith.restore("s3://shop/backup", tmp_path / "back.tri")
    for path in [tmp_path / "back.tri", "s3://shop/backup"]:
        with trilith.connect(path, read_only=True) as db:
            assert db.table("t").get(3) == {"id": 3}


def test_what_was_read_stays_on_the_local_disk(tmp_path: Path) -> None:
    """Damage in the folder is never seen; another reader finds the pieces."""
    store, cache = tmp_path / "store", tmp_path / "cache"
    store.mkdir()
    path = f"file+object://{store}"
    with trilith.connect(path) as db:
        db.create_table("t", {"id": list(range(5000))}, primary_key="id")
        db.flush()
    total = sum(range(5000))
    for _ in range(3):
        with trilith.connect(path, read_only=True, cache_dir=cache, cache_dir_limit="1GB") as db:
            assert db.sql("SELECT sum(id) FROM t").fetchone() == (total,)
            assert db.sql("SELECT value FROM trilith.settings WHERE name = 'cache_dir'").fetchone() == (str(cache),)
        pieces = [file for file in cache.rglob("*") if file.is_file()]
        assert pieces
        for piece in pieces:
            damaged = bytearray(piece.read_bytes())
            damaged[len(damaged) // 2] ^= 1
            piece.write_bytes(damaged)
    with pytest.raises(trilith.TrilithError, match="cache folder"):
        trilith.connect(path, read_only=True, cache_dir=pieces[0])
