"""Goal: the files of a package are read in one order, whatever lies beside them, and a wrong name or number is refused.

No database: what a database says about them is tested in test_migrate.py.
"""

import hashlib
import sys
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import migrate
from runtime.migrate import Migration, MigrationRefused, State, Status, migrations


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The migrations of a package named `ledger_of_a_test`."""
    package = tmp_path / "ledger_of_a_test"
    made = package / "migrations"
    made.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ledger_of_a_test", raising=False)
    return made


def found(folder: Path) -> list[Migration]:
    assert folder.exists()
    return migrations("ledger_of_a_test")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_files_come_by_number_however_they_were_made(folder: Path, order: tuple[int, ...]) -> None:
    names = ["0001_z.sql", "0002_a.sql", "0003_m.sql"]
    for index in order:
        (folder / names[index]).write_text(f"SELECT {index};")
    assert [migration.name for migration in found(folder)] == names
    assert [migration.version for migration in found(folder)] == [1, 2, 3]


def test_a_migration_is_its_bytes(folder: Path) -> None:
    content = "-- größer\nSELECT 1;\r\n".encode()
    (folder / "0001_a.sql").write_bytes(content)
    [migration] = found(folder)
    assert migration.sql.encode() == content
    assert migration.checksum == hashlib.sha256(content).hexdigest()


def test_white_space_is_a_change_too(folder: Path) -> None:
    """What ran is what is kept: nobody has to argue about which edits matter."""
    (folder / "0001_a.sql").write_text("SELECT 1;")
    [before] = found(folder)
    (folder / "0001_a.sql").write_text("SELECT 1;\n")
    assert found(folder)[0].checksum != before.checksum


def test_what_is_no_sql_file_is_not_looked_at(folder: Path) -> None:
    (folder / "0001_a.sql").write_text("SELECT 1;")
    for name in ("README.md", "0002_b.sql.orig", "__pycache__", "0002_b.SQL"):
        (folder / name).touch()
    assert [migration.name for migration in found(folder)] == ["0001_a.sql"]


def test_a_package_without_files_has_nothing_to_apply(folder: Path) -> None:
    assert found(folder) == []


@pytest.mark.parametrize(
    "name",
    ["1_a.sql", "001_a.sql", "00001_a.sql", "0001.sql", "0001_.sql", "0001_A.sql", "0001-a.sql", "a_0001.sql"],
)
def test_a_name_of_another_form_is_refused_with_the_form(folder: Path, name: str) -> None:
    (folder / name).write_text("SELECT 1;")
    with pytest.raises(MigrationRefused, match=rf"{name}: a migration is named 0001_what_it_does\.sql"):
        found(folder)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=6))
def test_only_numbers_from_one_without_gap_or_repeat_are_taken(versions: list[int]) -> None:
    listed = [Migration(version, f"{version:04}_{index}.sql", "", "") for index, version in enumerate(versions)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "files", lambda _: _Folder(listed))
        patch.setattr(migrate, "_read", lambda name, _: next(one for one in listed if one.name == name))
        if sorted(versions) == list(range(1, len(versions) + 1)):
            assert [one.version for one in migrations("p")] == sorted(versions)
        else:
            with pytest.raises(MigrationRefused, match=r"p: migrations must be numbered .* found "):
                migrations("p")


class _Folder:
    """As importlib.resources shows a package: one folder of files."""

    def __init__(self, listed: list[Migration]) -> None:
        self._listed = listed

    def __truediv__(self, _: str) -> "_Folder":
        return self

    def iterdir(self) -> list["_File"]:
        return [_File(one.name) for one in self._listed]


class _File:
    def __init__(self, name: str) -> None:
        self.name = name

    def read_bytes(self) -> bytes:
        return b""


ONE = Migration(1, "0001_a.sql", "SELECT 1;", "aa")


@pytest.mark.parametrize(
    ("applied", "state"),
    [({}, State.PENDING), ({1: "aa"}, State.APPLIED), ({1: "bb"}, State.EDITED), ({2: "aa"}, State.PENDING)],
)
def test_where_a_file_stands_follows_from_its_checksum(applied: dict[int, str], state: State) -> None:
    assert migrate._state(ONE, applied) is state


CONTRADICTIONS = [
    (State.EDITED, r"sinks: 0001_a\.sql was applied .* edited since; restore the file and put the change into a new"),
    (State.UNKNOWN, r"sinks: this database is at version 1, .* run the newer release"),
]


@pytest.mark.parametrize(("state", "says"), CONTRADICTIONS)
def test_a_contradiction_names_the_package_and_the_way_out(state: State, says: str) -> None:
    with pytest.raises(MigrationRefused, match=says):
        migrate._refuse_contradictions("sinks", [Status(1, "0001_a.sql", state)])


def test_what_is_pending_or_applied_is_no_contradiction() -> None:
    migrate._refuse_contradictions("sinks", [Status(1, "a", State.APPLIED), Status(2, "b", State.PENDING)])


@pytest.mark.parametrize("package", ["sinks", "ingest_api.schedules", "screening", "reconciliation"])
def test_a_file_outside_a_transaction_holds_one_statement_that_may_run_twice(package: str) -> None:
    """A crash can fall between the statement and its row; the file then runs again."""
    shipped = migrations(package)
    assert shipped
    for migration in shipped:
        if migration.sql.startswith(migrate.NO_TRANSACTION):
            statements = [part for part in migration.sql.split(";") if part.strip()]
            assert len(statements) == 1, migration.name
            assert "IF NOT EXISTS" in migration.sql, migration.name
