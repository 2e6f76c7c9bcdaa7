"""The migrations runner: each file once, in order, unchanged, by one runner at a time."""

import sys
import threading
from pathlib import Path

import psycopg
import pytest

from runtime import migrate
from runtime.migrate import MigrationRefused


class Package:
    """A package on the import path with a folder of migrations."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.folder = root / name / "migrations"
        self.folder.mkdir(parents=True)
        (root / name / "__init__.py").touch()

    def write(self, file: str, sql: str) -> None:
        (self.folder / file).write_text(sql)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Package:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"migrated_{abs(hash(request.node.nodeid))}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    made = Package(tmp_path, name)
    made.write("0001_table.sql", "CREATE TABLE t (a int);")
    made.write("0002_column.sql", "ALTER TABLE t ADD b int; INSERT INTO t VALUES (1, 2);")
    return made


def rows(database: str, query: psycopg.abc.QueryNoTemplate) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()


def test_each_file_is_applied_once_and_in_order(database: str, package: Package) -> None:
    assert migrate.up(database, package.name) == ["0001_table.sql", "0002_column.sql"]
    assert migrate.up(database, package.name) == []
    assert rows(database, "SELECT a, b FROM t") == [(1, 2)]
    package.write("0003_more.sql", "INSERT INTO t VALUES (3, 4);")
    assert migrate.up(database, package.name) == ["0003_more.sql"]


def test_an_edited_file_is_refused_and_nothing_applied(database: str, package: Package) -> None:
    migrate.up(database, package.name)
    package.write("0001_table.sql", "CREATE TABLE t (a bigint);")
    package.write("0003_more.sql", "CREATE TABLE never (a int);")
    with pytest.raises(MigrationRefused, match=r"0001_table.sql was applied .* edited since; restore the file"):
        migrate.up(database, package.name)
    assert rows(database, "SELECT to_regclass('never')") == [(None,)]


def test_a_newer_database_is_refused(database: str, package: Package) -> None:
    migrate.up(database, package.name)
    (package.folder / "0002_column.sql").unlink()
    with pytest.raises(MigrationRefused, match="at version 2, which this release does not know"):
        migrate.up(database, package.name)


@pytest.mark.parametrize("name", ["0004_gap.sql", "0002_twice.sql"])
def test_numbers_without_gap_or_repeat(database: str, package: Package, name: str) -> None:
    package.write(name, "SELECT 1;")
    with pytest.raises(MigrationRefused, match="without gap or repeat"):
        migrate.up(database, package.name)


def test_a_badly_named_file_is_refused(database: str, package: Package) -> None:
    package.write("3-more.sql", "SELECT 1;")
    with pytest.raises(MigrationRefused, match=r"0001_what_it_does\.sql"):
        migrate.up(database, package.name)


def test_a_failing_file_leaves_nothing_and_those_before_it_applied(database: str, package: Package) -> None:
    package.write("0003_wrong.sql", "CREATE TABLE half (a int); SELECT 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate.up(database, package.name)
    assert rows(database, "SELECT to_regclass('half')") == [(None,)]
    package.write("0003_wrong.sql", "CREATE TABLE half (a int);")
    assert migrate.up(database, package.name) == ["0003_wrong.sql"]


def test_a_marked_file_runs_outside_a_transaction(database: str, package: Package) -> None:
    index = "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a);"
    package.write("0003_index.sql", index)
    with pytest.raises(psycopg.errors.ActiveSqlTransaction):
        migrate.up(database, package.name)
    package.write("0003_index.sql", f"-- no-transaction\n{index}")
    assert migrate.up(database, package.name) == ["0003_index.sql"]
    assert rows(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass") == [(True,)]


def test_every_package_counts_for_itself(database: str, package: Package, tmp_path: Path) -> None:
    other = Package(tmp_path, f"{package.name}_other")
    other.write("0001_other.sql", "CREATE TABLE other (a int);")
    migrate.up(database, package.name)
    assert migrate.up(database, other.name) == ["0001_other.sql"]
    assert len(rows(database, "SELECT * FROM schema_migrations")) == 3


def test_runners_at_once_apply_each_file_once(database: str, package: Package) -> None:
    package.write("0003_slow.sql", "SELECT pg_sleep(0.5); INSERT INTO t VALUES (9, 9);")
    package.write("0004_index.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a);")
    applied: list[str] = []
    runners = [threading.Thread(target=lambda: applied.extend(migrate.up(database, package.name))) for _ in range(3)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(30)
    assert sorted(applied) == ["0001_table.sql", "0002_column.sql", "0003_slow.sql", "0004_index.sql"]
    assert rows(database, "SELECT a FROM t ORDER BY a") == [(1,), (9,)]


def test_waiting_for_another_runner_is_bounded(
    database: str, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate.up(database, package.name)
    monkeypatch.setattr(migrate, "LOCK_DEADLINE_S", 0.3)
    with psycopg.connect(database) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (0x6D696C6C72616365,))
        with pytest.raises(TimeoutError, match="another process has been migrating"):
            migrate.up(database, package.name)
