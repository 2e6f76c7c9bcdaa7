"""A real slapd with TLS and a throw-away authority: the one on PATH, or Debian's packages out of the user's cache.

The packages are pinned by sha256 and unpacked without root; where a mirror has none of them any more, set
MILLRACE_DEBIAN_URL, or install slapd.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from millrace.environment.debian import find_program
from millrace.environment.downloads import parse_pinned_list
from millrace.environment.ports import free_base

_PACKAGES: Final = parse_pinned_list((Path(__file__).parent / "debian_packages.txt").read_text())
_READY_S: Final = 20
SUFFIX: Final = "dc=example,dc=com"
ADMIN: Final = f"cn=admin,{SUFFIX}"
ADMIN_PASSWORD: Final = "admin's own"


class Slapd(NamedTuple):
    """Where it listens: LDAPS, and LDAP for StartTLS."""

    ldaps_url: str
    ldap_url: str
    process: subprocess.Popen[bytes]


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
    found = find_program("slapd", _PACKAGES, cache)
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
    command = [str(found.executable), "-f", str(home / "slapd.conf"), "-h", " ".join(urls), "-d", "0"]
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
