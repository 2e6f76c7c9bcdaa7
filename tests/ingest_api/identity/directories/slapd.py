"""A real slapd with TLS and a throw-away authority: the one on PATH, or Debian's packages out of the user's cache.

The packages are pinned by sha256 and unpacked without root; where a mirror has none of them any more, set
MILLRACE_DEBIAN_URL, or install slapd.
"""

import io
import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from millrace.environment.downloads import fetch_all, parse_pinned_list
from millrace.environment.ports import free_base

_PACKAGES: Final = parse_pinned_list((Path(__file__).parent / "debian_packages.txt").read_text())
_MIRROR: Final = "https://deb.debian.org"
_READY_S: Final = 20
SUFFIX: Final = "dc=example,dc=com"
ADMIN: Final = f"cn=admin,{SUFFIX}"
ADMIN_PASSWORD: Final = "admin's own"


class Slapd(NamedTuple):
    """Where it listens: LDAPS, and LDAP for StartTLS."""

    ldaps_url: str
    ldap_url: str
    process: subprocess.Popen[bytes]


class Installed(NamedTuple):
    """A slapd that can be run."""

    program: Path
    root: Path
    environment: dict[str, str]


def installed(cache: Path) -> Installed:
    """Raises DownloadFault."""
    found = shutil.which("slapd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is not None:
        return Installed(Path(found), Path("/"), {})
    folder = cache / "debian"
    fetch_all(_PACKAGES, os.environ.get("MILLRACE_DEBIAN_URL", _MIRROR), folder)
    root = cache / f"slapd-{_PACKAGES[0].sha256[:16]}"
    if not root.exists():
        _unpack(folder, root)
    libraries = [root / "usr/lib/x86_64-linux-gnu", root / "lib/x86_64-linux-gnu"]
    return Installed(root / "usr/sbin/slapd", root, {"LD_LIBRARY_PATH": ":".join(map(str, libraries))})


def _unpack(folder: Path, root: Path) -> None:
    """Whole or not at all, whoever else unpacks at the same time."""
    private = root.with_name(f".{root.name}.{os.getpid()}")
    for package in _PACKAGES:
        with tarfile.open(fileobj=io.BytesIO(_content(folder / package.path))) as tar:
            tar.extractall(private, filter="tar")
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
    raise AssertionError(f"{package.name} is no Debian package")


_CONFIGURATION: Final = """
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
pidfile {home}/pid
TLSCertificateFile {certificate}
TLSCertificateKeyFile {certificate}
disallow bind_anon
database mdb
suffix "{suffix}"
directory {home}/books
rootdn "{admin}"
rootpw "{password}"
access to attrs=userPassword by anonymous auth by * none
access to * by users read
"""


@contextmanager
def running_slapd(cache: Path, home: Path, certificate: Path) -> Iterator[Slapd]:
    """On free ports, empty. `certificate`: PEM of the key and the certificate for localhost."""
    found = installed(cache)
    (home / "books").mkdir(parents=True)
    base = free_base([1])
    (home / "slapd.conf").write_text(
        _CONFIGURATION.format(
            schema=found.root / "etc/ldap/schema",
            modules=found.root / "usr/lib/ldap",
            home=home,
            certificate=certificate,
            suffix=SUFFIX,
            admin=ADMIN,
            password=ADMIN_PASSWORD,
        )
    )
    urls = f"ldaps://localhost:{base + 1}", f"ldap://localhost:{base}"
    command = [str(found.program), "-f", str(home / "slapd.conf"), "-h", " ".join(urls), "-d", "0"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **found.environment}, stdout=log, stderr=log)
    try:
        _await_listening(base + 1, process, home / "log")
        yield Slapd(*urls, process)
    finally:
        process.kill()
        process.wait()


def _await_listening(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up_at = time.monotonic() + _READY_S
    while True:
        with suppress(OSError), socket.create_connection(("localhost", port), 1):
            return
        assert process.poll() is None, f"slapd has ended: {log.read_text()}"
        assert time.monotonic() < give_up_at, "slapd does not listen"
        time.sleep(0.05)
