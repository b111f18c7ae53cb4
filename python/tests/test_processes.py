"""More than one process, more than one thread, and Ctrl-C."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import trilith

LONG_QUERY = "SELECT count(*) FROM generate_series(1, 1000000000000) t(x) WHERE x % 7 = 8"


def test_second_writer_is_told_who_is_first(path: str, run) -> None:
    with trilith.connect(path) as db:
        db.create_table("t", {"id": [1]})
        script = f"""
            import trilith
            try:
                trilith.connect({path!r})
            except trilith.Busy as error:
                print(error)
            with trilith.connect({path!r}, read_only=True) as db:
                print(db.sql("SELECT count(*) FROM t").fetchall())
        """
        result = run(script)
        assert result.returncode == 0, result.stderr
        assert str(os.getpid()) in result.stdout
        assert "[(1,)]" in result.stdout


def test_one_process_shares_one_engine(path: str) -> None:
    with trilith.connect(path) as first:
        second = trilith.connect(path)
        table = first.create_table("t", {"id": [1]}, primary_key="id")
        assert second.tables() == ["t"]
    with pytest.raises(trilith.Closed):
        first.tables()
    assert table.get(1) == second.table("t").get(1) == {"id": 1}
    second.close()
    with pytest.raises(trilith.Closed):
        table.get(1)


def test_tables_outlive_the_handle_they_came_from(path: str) -> None:
    table = trilith.connect(path).create_table("t", {"id": [1]}, primary_key="id")
    gc.collect()
    assert table.get(1) == {"id": 1}
    trilith.connect(path).close()


def test_commits_survive_kill(path: str) -> None:
    script = f"""
import os, trilith
db = trilith.connect({path!r})
t = db.create_table("t", {{"id": "BIGINT"}}, primary_key="id")
for i in range(100):
    t.append([{{"id": i}}])
print("done", flush=True)
os.kill(os.getpid(), 9)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr
    with trilith.connect(path) as db:
        assert len(db.table("t")) == 100


def test_forked_child_is_refused_and_may_open_anew(path: str, run) -> None:
    script = f"""
        import os, trilith
        db = trilith.connect({path!r})
        table = db.create_table("t", {{"id": [1]}}, primary_key="id")
        query = db.sql("SELECT * FROM t")
        child = os.fork()
        if child == 0:
            refused = 0
            for call in (lambda: table.get(1), lambda: db.sql("SELECT 1").fetchall(), query.fetchall, db.tables):
                try:
                    call()
                except trilith.Closed as error:
                    refused += "fork" in str(error)
            with trilith.connect({path!r}, read_only=True) as mine:
                rows = mine.sql("SELECT * FROM t").fetchall()
            os._exit(0 if (refused, rows) == (4, [(1,)]) else 1)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), db.sql("SELECT * FROM t").fetchall())
    """
    result = run(script)
    assert result.stdout == "0 [(1,)]\n", result.stderr


@pytest.mark.parametrize(
    "call",
    ["query.fetchall()", "query.arrow()", "list(query)", "repr(query)", "pyarrow.table(query)"],
)
def test_ctrl_c_cancels(call: str) -> None:
    script = f"""
import time, pyarrow, trilith
db = trilith.connect(":memory:")
query = db.sql('''{LONG_QUERY}''')
print("ready", flush=True)
start = time.monotonic()
try:
    {call}
except BaseException as error:
    print(type(error).__name__, time.monotonic() - start < 20)
print(db.sql("SELECT 1").fetchall())
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    output, errors = child.communicate(timeout=60)
    # An Arrow C stream carries errors as text, so pyarrow raises its own class, unless Python saw it first.
    names = ["KeyboardInterrupt", "ArrowInvalid"] if "pyarrow" in call else ["KeyboardInterrupt"]
    assert output in [f"{name} True\n[(1,)]\n" for name in names], errors


def test_ctrl_c_cancels_a_write(path: str) -> None:
    script = f"""
import itertools, time, trilith
db = trilith.connect({path!r})
table = db.create_table("t", {{"id": "BIGINT"}})
print("ready", flush=True)
try:
    table.append({{"id": [i]}} for i in itertools.count())
except KeyboardInterrupt:
    print("stopped", len(table))
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    output, errors = child.communicate(timeout=60)
    assert output == "stopped 0\n", errors


def test_threads_share_a_database(db: trilith.Database) -> None:
    table = db.create_table("t", {"id": "BIGINT", "n": "BIGINT"}, primary_key="id")

    def work(worker: int) -> int:
        for i in range(50):
            table.append([{"id": worker * 1000 + i, "n": i}])
            assert table.get(worker * 1000 + i) == {"id": worker * 1000 + i, "n": i}
            db.sql("SELECT count(*) FROM t").fetchone()
        return table.count(f"id >= {worker * 1000} AND id < {worker * 1000 + 1000}")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [50] * 8
    assert len(table) == 400


def test_python_runs_while_a_query_does(db: trilith.Database) -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    db.sql("SELECT sum(sqrt(x)) FROM generate_series(1, 20000000) t(x)").fetchall()
    done.set()
    thread.join()
    assert ticks > 20


def test_streams_from_python_feed_a_query_without_deadlock(db: trilith.Database) -> None:
    import pyarrow as pa

    schema = pa.schema({"n": pa.int64()})
    batches = (pa.record_batch({"n": list(range(i, i + 100))}) for i in range(0, 10_000, 100))
    stream = pa.RecordBatchReader.from_batches(schema, batches)
    assert db.sql("SELECT sum(n) FROM stream").fetchone() == (49_995_000,)
    inner = db.sql("SELECT x FROM generate_series(1, 1000) t(x)")
    outer = db.sql("SELECT sum(x) FROM inner_query".replace("inner_query", '"inner"'))
    assert outer.fetchone() == (500_500,)
    assert pa.table(inner).num_rows == 1000


def test_databases_pickle_as_path_and_options(path: str) -> None:
    with trilith.connect(path, durability="buffered") as db:
        db.create_table("t", {"id": [1]})
        again = pickle.loads(pickle.dumps(db))
        assert again.sql("SELECT * FROM t").fetchall() == [(1,)]
