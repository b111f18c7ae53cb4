"""Readers in other processes follow a writer that flushes, compacts, closes, opens again and is killed."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import trilith

WRITER = """
    import os, sys, trilith
    path, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    db = trilith.connect(path)
    t = db.create_table("t", {"id": "BIGINT", "n": "BIGINT"}, primary_key="id", if_not_exists=True)
    for n in range(first, last + 1):
        # One commit: the number so far twice, and a row of its own.
        t.upsert([{"id": -1, "n": n}, {"id": -2, "n": n}, {"id": n, "n": n}])
        print(n, flush=True)
        if n % 40 == 0:
            db.close()
            db = trilith.connect(path)
            t = db.table("t")
        if n % 50 == 25:
            t.append([{"id": 1_000_000 + n, "n": 0}])
    if len(sys.argv) > 4:
        os.kill(os.getpid(), 9)
"""

READER = """
    import sys, trilith
    path, last = sys.argv[1], int(sys.argv[2])
    with trilith.connect(path, read_only=True) as db:
        seen = 0
        while seen < last:
            mark, other, rows, total = db.sql('''
                SELECT max(n) FILTER (WHERE id = -1), max(n) FILTER (WHERE id = -2),
                       count(*) FILTER (WHERE id BETWEEN 1 AND 999999), sum(n) FILTER (WHERE id BETWEEN 1 AND 999999)
                FROM t''').fetchone()
            mark = mark or 0
            assert mark == (other or 0) == rows, (mark, other, rows)
            assert (total or 0) == rows * (rows + 1) // 2, (rows, total)
            assert mark >= seen, (seen, mark)
            seen = mark
            point = db.table("t").get(seen)
            assert seen == 0 or point == {"id": seen, "n": seen}, point
    print("read to", seen)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def empty_table(path: str) -> Iterator[None]:
    with trilith.connect(path) as db:
        db.create_table("t", {"id": "BIGINT", "n": "BIGINT"}, primary_key="id")
    yield


def test_readers_see_a_prefix_of_the_commits_and_never_go_back(path: str) -> None:
    with empty_table(path):
        readers = [start(READER, path, 240) for _ in range(3)]
        for first in range(1, 240, 60):
            # Every other writer ends without a word.
            writer = start(WRITER, path, first, first + 59, *(["kill"] if first % 120 == 1 else []))
            _, errors = writer.communicate(timeout=120)
            assert writer.returncode in (0, -signal.SIGKILL), errors
        for reader in readers:
            output, errors = reader.communicate(timeout=120)
            assert (output, reader.returncode) == ("read to 240\n", 0), errors


def test_an_acknowledged_commit_is_seen_at_once(path: str) -> None:
    with empty_table(path), trilith.connect(path, read_only=True) as reader:
        writer = start(WRITER, path, 1, 100)
        for line in writer.stdout:
            known = int(line)
            assert reader.sql("SELECT n FROM t WHERE id = -1").fetchone()[0] >= known
            assert reader.table("t").get(known) == {"id": known, "n": known}
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors


def test_a_stopped_writer_keeps_its_lock_and_its_readers(path: str, run) -> None:
    with empty_table(path):
        writer = start(WRITER, path, 1, 10_000)
        while int(writer.stdout.readline()) < 20:
            pass
        writer.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(trilith.Busy, match=str(writer.pid)):
                trilith.connect(path)
            with trilith.connect(path, read_only=True) as reader:
                assert reader.table("t").get(20) == {"id": 20, "n": 20}
        finally:
            writer.send_signal(signal.SIGCONT)
            writer.kill()
            writer.communicate()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                trilith.connect(path).close()
                break
            except trilith.Busy:
                time.sleep(0.05)
        else:
            pytest.fail("the lock of a killed writer is free")


def test_a_folder_that_cannot_be_written_to_can_be_read(path: str, run) -> None:
    with trilith.connect(path) as db:
        db.create_table("t", {"id": [1, 2]}, primary_key="id")
    folders = [pathlib.Path(path), *(entry for entry in pathlib.Path(path).iterdir() if entry.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        with trilith.connect(path, read_only=True) as db:
            assert len(db.table("t")) == 2
            with pytest.raises(trilith.Closed, match="reading only"):
                db.table("t").append([{"id": 3}])
    finally:
        for folder in folders:
            folder.chmod(0o700)


@pytest.mark.parametrize("limit", [16, 24, 32])
def test_out_of_descriptors_is_an_error_and_loses_nothing(path: str, run, limit: int) -> None:
    with trilith.connect(path) as db:
        db.create_table("t", {"id": list(range(100))}, primary_key="id")
    script = f"""
        import resource, trilith
        trilith.connect(":memory:").sql("SELECT 1").fetchall()
        resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
        try:
            with trilith.connect({path!r}) as db:
                db.table("t").append([{{"id": 100}}])
                print(len(db.table("t")))
        except trilith.TrilithError as error:
            print(type(error).__name__)
    """
    result = run(script)
    assert result.returncode == 0, result.stderr
    with trilith.connect(path) as db:
        assert len(db.table("t")) in (100, 101)


def test_a_limit_on_file_sizes_is_an_error_and_loses_nothing(path: str, run) -> None:
    with trilith.connect(path) as db:
        db.create_table("t", {"id": "BIGINT", "text": "TEXT"}, primary_key="id")
    script = f"""
        import resource, signal, trilith
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        db = trilith.connect({path!r})
        done = 0
        try:
            for i in range(1000):
                db.table("t").append([{{"id": i, "text": "x" * 1000}}])
                done += 1
        except trilith.TrilithError:
            print(done)
    """
    result = run(script)
    assert result.returncode == 0, result.stderr
    done = int(result.stdout)
    assert done > 0
    with trilith.connect(path) as db:
        assert len(db.table("t")) >= done


def test_a_lock_that_was_taken_away_stops_the_writer(path: str, run) -> None:
    with trilith.connect(path) as db:
        table = db.create_table("t", {"id": [1]}, primary_key="id")
        (pathlib.Path(path) / "LOCK").unlink()
        script = f"""
            import trilith
            with trilith.connect({path!r}) as db:
                db.table("t").append([{{"id": 2}}])
        """
        assert run(script).returncode == 0
        with pytest.raises(trilith.Closed, match="LOCK"):
            table.append([{"id": 3}])
        with pytest.raises(trilith.Closed, match="LOCK"):
            db.close()
    with trilith.connect(path) as db:
        assert db.sql("SELECT id FROM t ORDER BY id").fetchall() == [(1,), (2,)]


def test_a_second_handle_with_other_settings_is_refused(path: str) -> None:
    with trilith.connect(path):
        with pytest.raises(trilith.Invalid, match="durability"):
            trilith.connect(path, durability="strict")
        trilith.connect(path).sql("SELECT 1").fetchall()
