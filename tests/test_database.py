import sqlite3
import threading
from pathlib import Path

import pytest

from streamcam.database import Database, DatabaseKind, migrate
from streamcam.errors import StoreError

FIRST = ("CREATE TABLE a (x)",)


def kind(*migrations: tuple[str, ...]) -> DatabaseKind:
    return DatabaseKind("the box of cards", StoreError, migrations, "Make another.", "--folder")


def opened(path: Path) -> Database:
    return Database(path, kind(FIRST))


def shape(path: Path) -> tuple[list[int], set[str]]:
    connection = sqlite3.connect(path)
    versions = [row[0] for row in connection.execute("SELECT version FROM migrations")]
    tables = {r[0] for r in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    return versions, tables


def migrated(path: Path, steps: tuple[tuple[str, ...], ...]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        migrate(connection, kind(*steps))
    finally:
        connection.close()


def test_every_migration_is_recorded_once(tmp_path: Path) -> None:
    path = tmp_path / "store"
    for _ in range(2):
        opened(path).close()
    assert shape(path)[0] == [1]


def test_an_older_store_gets_the_missing_steps_only(tmp_path: Path) -> None:
    path = tmp_path / "store"
    first, second = ("CREATE TABLE a (x)",), ("CREATE TABLE b (x)", "INSERT INTO b VALUES (1)")
    migrated(path, (first,))
    migrated(path, (first, second))
    assert shape(path) == ([1, 2], {"a", "b", "migrations"})


def test_a_step_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store"
    first = ("CREATE TABLE a (x)",)
    migrated(path, (first,))
    with pytest.raises(sqlite3.OperationalError):
        migrated(path, (first, ("CREATE TABLE b (x)",), ("CREATE TABLE c (x)", "nonsense")))
    assert shape(path) == ([1], {"a", "migrations"})


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store"
    migrated(path, (FIRST, ("CREATE TABLE later (x)",)))
    with pytest.raises(StoreError, match="newer streamcam"):
        opened(path)


def test_a_file_that_is_no_database_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.write_bytes(b"a shopping list " * 1000)
    with pytest.raises(StoreError, match="is damaged"):
        opened(path)


def test_a_state_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="of the box of cards"):
        opened(tmp_path / "file" / "store")


def test_a_transaction_happens_wholly_or_not_at_all(tmp_path: Path) -> None:
    database = opened(tmp_path / "store")
    database.execute("CREATE TABLE t (x)")

    def insert_and_fail() -> None:
        with database.transaction():
            database.execute("INSERT INTO t VALUES (1)")
            with database.transaction():
                database.execute("INSERT INTO t VALUES (2)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert_and_fail()
    assert database.rows("SELECT * FROM t") == []
    database.close()


def test_a_store_that_another_one_is_making_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    end = threading.Timer(0.3, other.execute, ["COMMIT"])
    end.start()
    opened(path).close()
    end.join()
    other.close()
    assert shape(path)[0] == [1]
