"""Fetches pinned files over HTTPS: in parallel, resumed when cut, checked by sha256, renamed into place when whole.

Reads a list of artifacts; keeps `<file>.part` between tries and runs; writes the cache folder.
Guarantees that a file under its final name has the pinned content, whoever else downloads at the same time.
"""

import errno
import fcntl
import hashlib
import os
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import certifi
import httpx

from millrace.environment.faults import DownloadFault, EnvironmentFault

_PARALLEL = 6  # Maven Central serves one connection at 5-20 MB/s; six fill a usual line without looking like a crawler
_TRIES = 6  # pauses of 0.2, 0.4 … 3.2 s: a registry that is away for 6 s is bridged
_TIMEOUT = httpx.Timeout(20.0, connect=8.0)

OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Artifact:
    """One pinned file: where it lies below the registry's root, and what it must contain."""

    path: str
    sha256: str
    size_bytes: int


def parse_pinned_list(text: str) -> tuple[Artifact, ...]:
    """Lines of `sha256  bytes  path`; `#` starts a comment line."""
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(Artifact(path, sha256, int(size)) for sha256, size, path in rows)


def missing(artifacts: Sequence[Artifact], cache: Path) -> list[Artifact]:
    """Those that are absent from the cache or differ from their pin (40 jars, 39 MB: 60 ms)."""
    return [artifact for artifact in artifacts if not _is_whole(artifact, cache / artifact.path)]


def fetch_all(artifacts: Sequence[Artifact], base_url: str, cache: Path, on_bytes: OnBytes = lambda _: None) -> None:
    """Bring every artifact into the cache.

    Raises DownloadFault (unreachable, refused, wrong content) or EnvironmentFault (no room, not writable).
    """
    with _space_faults_named(cache):
        cache.mkdir(parents=True, exist_ok=True)
        with _exclusive(cache / ".lock"), _client() as client, ThreadPoolExecutor(_PARALLEL) as pool:
            fetch = _Fetch(client, base_url.rstrip("/"), cache, len(artifacts), on_bytes)
            try:
                list(pool.map(fetch.one, missing(artifacts, cache)))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _client() -> httpx.Client:
    """Trusts the system's authorities (a company's proxy stands there) and certifi's, for systems without any."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return httpx.Client(verify=context, timeout=_TIMEOUT, follow_redirects=True)


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    """One process at a time fills a cache; the second finds everything there."""
    with lock.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _space_faults_named(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise EnvironmentFault(
                f"the disk is full: free some space for {cache}, or set MILLRACE_CACHE_DIR to a folder with room"
            ) from error
        raise EnvironmentFault(
            f"can't write to {cache} ({error.strerror}): set MILLRACE_CACHE_DIR to a folder that you may write to"
        ) from error


@dataclass(frozen=True, slots=True)
class _Fetch:
    """One run's downloads: the connection pool, the registry and the cache they share."""

    client: httpx.Client
    base_url: str
    cache: Path
    count: int
    on_bytes: OnBytes

    def one(self, artifact: Artifact) -> None:
        target = self.cache / artifact.path
        part = target.with_name(target.name + ".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        for fresh_start in (False, True):
            self._complete(artifact, part)
            if _sha256(part) == artifact.sha256:
                os.replace(part, target)  # noqa: PTH105 - the atomic step, spelled as what it is
                return
            part.unlink()
            if fresh_start:
                raise DownloadFault(
                    f"{artifact.path} from {self.base_url} has another content than the pinned sha256:"
                    f" check the mirror (MILLRACE_MAVEN_URL), or copy the right file into {self.cache}"
                )

    def _complete(self, artifact: Artifact, part: Path) -> None:
        """Repeat requests until the registry has said "that is all"."""
        cause = "no answer"
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(0.1 * 2**attempt)
            try:
                cause = self._append(artifact, part)
            except httpx.HTTPError as error:
                cause = f"{type(error).__name__}: {error}"
            if not cause:
                return
        raise DownloadFault(
            f"can't download {artifact.path} from {self.base_url} ({cause}): set MILLRACE_MAVEN_URL to a reachable"
            f" Maven mirror, or copy its tree with the {self.count} files of jars.txt to {self.cache}"
        )

    def _append(self, artifact: Artifact, part: Path) -> str:
        """One request, continued where the file ends. Answers why it must be repeated, or "" when all is there."""
        have = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with self.client.stream("GET", f"{self.base_url}/{artifact.path}", headers=headers) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return self._forget(part, "the registry refused to continue") if have != artifact.size_bytes else ""
            if response.status_code not in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
                return f"HTTP {response.status_code}"
            append = response.status_code == httpx.codes.PARTIAL_CONTENT
            with part.open("ab" if append else "wb") as handle:
                for chunk in response.iter_raw():  # as it arrives: a chunk size would drop the last bytes before a cut
                    handle.write(chunk)
                    self.on_bytes(len(chunk))
        return ""

    @staticmethod
    def _forget(part: Path, reason: str) -> str:
        part.unlink()
        return reason


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _is_whole(artifact: Artifact, path: Path) -> bool:
    return path.is_file() and path.stat().st_size == artifact.size_bytes and _sha256(path) == artifact.sha256
