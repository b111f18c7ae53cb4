"""Transactions from Python: every door together, failures, conflicts, threads."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import trilith


@pytest.fixture
def accounts(db: trilith.Database) -> trilith.Table:
    rows = [{"id": 1, "balance": 50}, {"id": 2, "balance": 50}]
    return db.create_table("accounts", rows, primary_key="id")


def balances(where: trilith.Database | trilith.Transaction) -> list[int]:
    return [row[0] for row in where.sql("SELECT balance FROM accounts ORDER BY id").fetchall()]


def test_every_door_reads_and_writes_together(db: trilith.Database, accounts: trilith.Table) -> None:
    with db.transaction() as tx:
        tx.table("accounts").upsert([{"id": 1, "balance": 40}])
        tx.sql("UPDATE accounts SET balance = balance + 10 WHERE id = 2")
        tx.collection("log").insert_one({"_id": "a", "moved": 10})
        tx.collection("log").update_one({"_id": "a"}, {"$inc": {"moved": 1}})
        assert balances(tx) == [40, 60]
        assert tx.table("accounts").get(1) == {"id": 1, "balance": 40}
        assert tx.collection("log").find_one() == {"_id": "a", "moved": 11}
        assert "log" in tx.tables()
        assert balances(db) == [50, 50]
        assert accounts.get(1) == {"id": 1, "balance": 50}
        assert len(db.collection("log")) == 0
    assert balances(db) == [40, 60]
    assert db.collection("log").find_one() == {"_id": "a", "moved": 11}


def test_nearest_rows_include_its_own(db: trilith.Database) -> None:
    t = db.create_table("v", {"id": "BIGINT", "e": "VECTOR(2)"}, primary_key="id")
    t.append([{"id": 1, "e": [1.0, 0.0]}, {"id": 2, "e": [0.0, 1.0]}])
    with db.transaction() as tx:
        tx.table("v").append([{"id": 3, "e": [0.9, 0.1]}])
        tx.table("v").delete("id = 1")
        found = tx.table("v").search([1.0, 0.0], k=1, metric="l2").fetchall()
        assert [row[0] for row in found] == [3]
        assert t.search([1.0, 0.0], k=1, metric="l2").fetchone()[0] == 1
        tx.rollback()
    assert len(t) == 2


def test_an_exception_rolls_back_and_passes_through(db: trilith.Database, accounts: trilith.Table) -> None:
    tx = db.transaction()

    def block() -> None:
        with tx:
            tx.table("accounts").delete("id = 1")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        block()
    assert len(accounts) == 2
    assert not tx.is_open
    with pytest.raises(trilith.Invalid, match="committed or rolled back"):
        tx.sql("SELECT 1")


def test_ended_inside_its_block(db: trilith.Database, accounts: trilith.Table) -> None:
    with db.transaction() as tx:
        tx.table("accounts").delete("id = 1")
        tx.commit()
    with db.transaction() as tx:
        tx.table("accounts").delete("id = 2")
        tx.rollback()
        tx.rollback()
    assert [row[0] for row in db.sql("SELECT id FROM accounts").fetchall()] == [2]


def test_forgotten_it_leaves_nothing(db: trilith.Database, accounts: trilith.Table) -> None:
    tx = db.transaction()
    tx.table("accounts").delete("id = 1")
    del tx
    assert len(accounts) == 2


def test_a_failed_write_fails_it(db: trilith.Database, accounts: trilith.Table) -> None:
    tx = db.transaction()
    with pytest.raises(trilith.AlreadyExists):
        tx.table("accounts").append([{"id": 3, "balance": 1}, {"id": 1, "balance": 1}])
    assert tx.has_failed
    with pytest.raises(trilith.Invalid, match="a write in it failed"):
        tx.commit()
    assert len(accounts) == 2

    def broken() -> object:
        yield [{"id": 5, "balance": 1}]
        raise OSError("the source is gone")

    tx = db.transaction()
    with pytest.raises(OSError, match="the source is gone"):
        tx.table("accounts").append(broken())
    assert tx.has_failed
    with db.transaction() as tx:
        with pytest.raises(trilith.TrilithError):
            tx.sql("SELECT nothing FROM accounts")
        tx.table("accounts").delete("id = 2")
    assert len(accounts) == 1


def test_savepoints(db: trilith.Database, accounts: trilith.Table) -> None:
    with db.transaction() as tx:
        with tx.savepoint("one"):
            tx.table("accounts").append([{"id": 3, "balance": 3}])
        table = tx.table("accounts")
        with pytest.raises(trilith.AlreadyExists), tx.savepoint("two"):
            assert table.append([{"id": 4, "balance": 4}]) + table.append([{"id": 3, "balance": 3}]) == 0
        before = tx.savepoint("three")
        tx.table("accounts").delete("true")
        assert len(tx.table("accounts")) == 0
        before.rollback()
        before.release()
        with pytest.raises(trilith.NotFound):
            before.release()
    assert [row[0] for row in db.sql("SELECT id FROM accounts ORDER BY id").fetchall()] == [1, 2, 3]


def test_definitions_are_refused(db: trilith.Database, accounts: trilith.Table) -> None:
    with db.transaction() as tx, pytest.raises(trilith.Unsupported, match="inside a transaction"), tx.savepoint():
        tx.sql("DROP TABLE accounts")
    db.sql("BEGIN")
    with pytest.raises(trilith.Unsupported, match="inside a transaction"):
        db.create_table("other", [{"a": 1}])
    with pytest.raises(trilith.Unsupported, match="inside a transaction"):
        db.drop_table("accounts")
    db.sql("ROLLBACK")
    assert db.tables() == ["accounts"]


def test_write_skew(db: trilith.Database, accounts: trilith.Table) -> None:
    def skew(isolation: str) -> None:
        with db.transaction(isolation) as a, db.transaction(isolation) as b:
            assert sum(balances(a)) == sum(balances(b)) == 100
            a.sql("UPDATE accounts SET balance = balance - 0 WHERE id = 1")
            b.sql("UPDATE accounts SET balance = balance - 0 WHERE id = 2")

    skew("snapshot")
    with pytest.raises(trilith.Conflict):
        skew("serializable")
    with pytest.raises(trilith.Invalid, match="snapshot or serializable"):
        db.transaction("chaos")


def test_read_only(db: trilith.Database, accounts: trilith.Table) -> None:
    tx = db.transaction(read_only=True)
    accounts.delete("id = 1")
    assert balances(tx) == [50, 50]
    with pytest.raises(trilith.Invalid, match="read-only"):
        tx.table("accounts").delete("id = 2")


def test_transact_runs_again_and_gives_up(db: trilith.Database, accounts: trilith.Table) -> None:
    attempts: list[int] = []

    def work(tx: trilith.Transaction) -> int:
        attempts.append(1)
        tx.sql("UPDATE accounts SET balance = balance + 1 WHERE id = 1")
        if len(attempts) < 3:
            db.sql("UPDATE accounts SET balance = balance + 100 WHERE id = 1")
        return len(attempts)

    assert db.transact(work) == 3
    assert balances(db) == [251, 50]

    def never(tx: trilith.Transaction) -> None:
        attempts.append(1)
        tx.sql("UPDATE accounts SET balance = balance + 1 WHERE id = 1")
        db.sql("UPDATE accounts SET balance = balance + 100 WHERE id = 1")

    attempts.clear()
    with pytest.raises(trilith.Conflict):
        db.transact(never, retries=2)
    assert len(attempts) == 3
    with pytest.raises(ZeroDivisionError):
        db.transact(lambda tx: tx.sql("DELETE FROM accounts") and 1 // 0)
    assert len(accounts) == 2


def test_threads_move_money_and_lose_none(tmp_path: Path) -> None:
    with trilith.connect(tmp_path / "bank.tri", durability="buffered") as db:
        db.create_table("accounts", [{"id": i, "balance": 100} for i in range(4)], primary_key="id")

        def client(seed: int) -> None:
            for i in range(12):
                source, target = (seed + i) % 4, (seed + 3 * i + 1) % 4

                def move(tx: trilith.Transaction, source: int = source, target: int = target) -> None:
                    for account, amount in [(source, -1), (target, 1)]:
                        row = tx.table("accounts").get(account)
                        assert row is not None
                        tx.table("accounts").upsert([{"id": account, "balance": row["balance"] + amount}])

                db.transact(move, retries=100)

        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(balances(db)) == 400


def test_sql_statements_belong_to_one_connection(tmp_path: Path) -> None:
    with trilith.connect(tmp_path / "x.tri") as db, trilith.connect(tmp_path / "x.tri") as other:
        db.create_table("accounts", [{"id": 1, "balance": 50}], primary_key="id")
        table = db.table("accounts")
        db.sql("BEGIN")
        table.append([{"id": 2, "balance": 1}])
        db.collection("notes").insert_one({"_id": 1})
        assert (len(table), len(other.table("accounts"))) == (2, 1)
        db.sql("SAVEPOINT s")
        with pytest.raises(trilith.AlreadyExists):
            table.append([{"id": 2, "balance": 1}])
        with pytest.raises(trilith.Invalid):
            db.sql("SELECT 1")
        db.sql("ROLLBACK TO s")
        db.sql("COMMIT")
        assert len(other.table("accounts")) == 2
        assert len(other.collection("notes")) == 1
        with pytest.raises(trilith.Invalid, match="no transaction is open"):
            db.sql("COMMIT")


def test_its_memory_is_bounded(tmp_path: Path) -> None:
    with trilith.connect(tmp_path / "x.tri", transaction_limit="100KB") as db:
        t = db.create_table("t", {"id": "BIGINT"}, primary_key="id")
        with pytest.raises(trilith.LimitExceeded, match="transaction"), db.transaction() as tx:
            tx.table("t").append({"id": list(range(100_000))})
        assert len(t) == 0
        assert t.append({"id": list(range(100_000))}) == 100_000


def test_closed_under_it(tmp_path: Path) -> None:
    db = trilith.connect(tmp_path / "x.tri")
    db.create_table("t", {"id": "BIGINT"}, primary_key="id")
    tx = db.transaction()
    tx.table("t").append([{"id": 1}])
    db.close()
    with pytest.raises(trilith.Closed):
        tx.commit()
    with trilith.connect(tmp_path / "x.tri") as again:
        assert len(again.table("t")) == 0
