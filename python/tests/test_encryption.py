"""Encrypted databases: which key opens them, and that nothing readable lies on the disk."""

import pathlib
import pickle
import secrets
import subprocess
import sys

import numpy as np
import pytest

import trilith

MARKER = "plaintext-marker-4711"


@pytest.fixture
def key():
    return secrets.token_bytes(32)


@pytest.fixture
def vault(tmp_path, key):
    path = tmp_path / "vault.tri"
    with trilith.connect(path, encryption_key=key) as db:
        fill(db)
    return path


def fill(db):
    rows = {"id": np.arange(3000), "text": [f"{MARKER} {i}" for i in range(3000)]}
    db.create_table("notes", rows, primary_key="id")
    db.sql("DELETE FROM notes WHERE id % 7 = 3")
    db.sql("SELECT * FROM text_search('notes', 'text', 'plaintext', k => 3)").fetchall()
    db.collection("people").insert_one({"name": MARKER})
    db.flush()
    db.table("notes").upsert({"id": [1], "text": [f"{MARKER} again"]})


def readable(folder: pathlib.Path, *wanted: bytes) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if any(text in path.read_bytes() for text in wanted)]


def count(path, **options):
    with trilith.connect(path, create=False, **options) as db:
        return db.sql("SELECT count(*) FROM notes").fetchone()[0]


def test_only_the_key_opens_it(vault, key):
    assert count(vault, encryption_key=key) == count(vault, encryption_key=key.hex()) == 2571
    assert count(vault, encryption_key=bytearray(key), read_only=True) == 2571
    with pytest.raises(trilith.Invalid, match="is encrypted; open it with its key"):
        trilith.connect(vault)
    with pytest.raises(trilith.Invalid, match="another key") as refused:
        trilith.connect(vault, encryption_key=bytes(32))
    assert key.hex() not in str(refused.value)


def test_what_is_no_key_is_refused_and_not_repeated(tmp_path):
    for wrong in [b"short", "a passphrase", "zz" * 32, bytes(31), 7]:
        with pytest.raises(trilith.Invalid, match="key") as refused:
            trilith.connect(tmp_path / "new", encryption_key=wrong)
        assert "zzzz" not in str(refused.value)
    assert not (tmp_path / "new").exists()


def test_a_plain_database_takes_no_key(tmp_path, key):
    trilith.connect(tmp_path / "plain").close()
    with pytest.raises(trilith.Invalid, match="not encrypted"):
        trilith.connect(tmp_path / "plain", encryption_key=key)
    with pytest.raises(trilith.Invalid, match="in memory"):
        trilith.connect(encryption_key=key)


def test_nothing_readable_lies_on_the_disk(vault, key, tmp_path):
    with trilith.connect(vault, encryption_key=key) as db:
        db.backup(tmp_path / "backup")
        db.export(tmp_path / "single.trilith")
        db.branch(tmp_path / "branch")
        assert dict(db.sql("SELECT name, value FROM trilith.settings").fetchall())["encrypted"] == "true"
        shown = f"{db!r} {db.sql('SELECT * FROM trilith.settings').fetchall()}"
        assert key.hex() not in shown
        assert db.encrypted
    assert readable(tmp_path, MARKER.encode(), b"notes", b"ARROW1", key, key.hex().encode()) == []
    for copy in ["backup", "single.trilith", "branch"]:
        assert count(tmp_path / copy, encryption_key=key) == 2571
        with pytest.raises(trilith.Invalid):
            trilith.connect(tmp_path / copy, read_only=True)
    trilith.restore(tmp_path / "single.trilith", tmp_path / "back", encryption_key=key)
    trilith.repair(vault, tmp_path / "repaired", encryption_key=key)
    assert count(tmp_path / "back", encryption_key=key) == count(tmp_path / "repaired", encryption_key=key) == 2571


def test_a_rotated_key_is_the_only_one(vault, key):
    new = secrets.token_bytes(32)
    with trilith.connect(vault, encryption_key=key) as db:
        db.rotate_key(new)
        with pytest.raises(trilith.Invalid, match="another key"):
            trilith.connect(vault, encryption_key=key)
        trilith.connect(vault, encryption_key=new).close()
    with pytest.raises(trilith.Invalid, match="another key"):
        trilith.connect(vault, encryption_key=key)
    assert count(vault, encryption_key=new) == 2571
    with pytest.raises(trilith.Invalid, match="not encrypted"):
        trilith.connect().rotate_key(key)


def test_a_reader_in_another_process_follows(vault, key):
    read = (
        "import sys, trilith\n"
        "db = trilith.connect(sys.argv[1], read_only=True, encryption_key=sys.argv[2])\n"
        "for line in sys.stdin: print(db.table('notes').get(int(line)), flush=True)\n"
    )
    command = [sys.executable, "-c", read, str(vault), key.hex()]
    with (
        trilith.connect(vault, encryption_key=key) as db,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader,
    ):
        assert reader.stdin
        assert reader.stdout
        for i in range(5000, 5020):
            db.table("notes").upsert({"id": [i], "text": ["new"]})
            if i == 5010:
                db.flush()
            reader.stdin.write(f"{i}\n")
            reader.stdin.flush()
            assert reader.stdout.readline().strip() == str({"id": i, "text": "new"})
        reader.stdin.close()


def test_a_key_is_never_pickled(vault, key):
    with trilith.connect(vault, encryption_key=key) as db, pytest.raises(trilith.Unsupported, match="key"):
        pickle.dumps(db)


def test_a_damaged_file_is_named(vault, key):
    table = next(iter((vault / "sst").glob("*.arrow")))
    sealed = bytearray(table.read_bytes())
    sealed[len(sealed) // 2] ^= 1
    table.write_bytes(sealed)
    with trilith.connect(vault, encryption_key=key, read_only=True) as db:

        def read_all():
            return [db.sql(f"SELECT * FROM {name}").fetchall() for name in db.tables()]

        with pytest.raises(trilith.Corrupt, match=table.name):
            read_all()
