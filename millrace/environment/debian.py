"""Programs out of Debian's packages, for machines that have not installed them: fetched by a pinned list, unpacked into
the user's cache without root, run with the libraries that come along.

Guarantees that a tree under its final name is whole, whoever else unpacks at the same time.
"""

import io
import os
import shutil
import tarfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from millrace.environment.downloads import Artifact, fetch_all
from millrace.environment.faults import EnvironmentFault

_MIRROR = "https://deb.debian.org"
_MACHINE_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
_SYSTEM_PATHS = ":/usr/sbin:/usr/local/sbin"
"""Where servers are, and the PATH of normal users does not look."""


class Program(NamedTuple):
    """One that can be run: where it is, the root of its tree and what its environment needs."""

    executable: Path
    root: Path
    environment: dict[str, str]


def find_program(name: str, packages: Sequence[Artifact], cache: Path) -> Program:
    """The one of the system, else the one of these packages, the first of which gives the tree its name.

    Raises DownloadFault, EnvironmentFault.
    """
    found = shutil.which(name, path=os.environ.get("PATH", "") + _SYSTEM_PATHS)
    if found is not None:
        return Program(Path(found), Path("/"), {})
    if os.uname().machine != "x86_64" or os.uname().sysname != "Linux":
        raise EnvironmentFault(f"there is no {name} on PATH: install it with the system's package manager")
    folder = cache / "debian"
    fetch_all(packages, os.environ.get("MILLRACE_DEBIAN_URL", _MIRROR), folder)
    root = cache / f"{name}-{packages[0].sha256[:16]}"
    if not root.exists():
        _unpack([folder / package.path for package in packages], root)
    libraries = ":".join(str(root / part) for part in _MACHINE_LIBRARIES)
    return Program(root / "usr/sbin" / name, root, {"LD_LIBRARY_PATH": libraries})


def _unpack(packages: Sequence[Path], root: Path) -> None:
    private = root.with_name(f".{root.name}.{os.getpid()}")
    for package in packages:
        with tarfile.open(fileobj=io.BytesIO(_content(package))) as tar:
            tar.extractall(private, filter="tar")  # the filter refuses what lies outside  # nosec B202
    with suppress(OSError):  # another process was first
        private.rename(root)
    shutil.rmtree(private, ignore_errors=True)


def _content(package: Path) -> bytes:
    """data.tar of a package: members of `ar`, sixty bytes of header each."""
    archive = package.read_bytes()
    at = 8
    while at < len(archive):
        name, size = archive[at : at + 16].strip(), int(archive[at + 48 : at + 58])
        if name.startswith(b"data.tar"):
            return archive[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    raise EnvironmentFault(f"{package.name} is no Debian package: delete it, or install the program itself")
