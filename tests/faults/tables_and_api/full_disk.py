"""A disk that fills up under a server: a small file system of its own, and a file that takes what is left of it.

As root the file system is a tmpfs that the run mounts. Anybody else names an empty folder on a small file system of
theirs (100 MB to 2 GB, nothing else on it) in FAULTS_SMALL_DISK; there is no other way to a full disk that hits nobody
else: a limit on file sizes ends in EFBIG, which servers treat as a different error.
"""

import errno
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from millrace.environment import LocalEnvironment
from millrace.environment.accounts import give, unprivileged
from millrace.environment.layout import Home
from millrace.supervisor.service import Service
from runtime.settings import Settings
from tests.faults.installation import Around, Installation
from tests.faults.scenario import Fault, fault_now

SMALL_DISK = "FAULTS_SMALL_DISK"
SIZE_MIB = 1_024
"""Kafka's topics take 100 MB at rest, Postgres 60 MB and its log grows by 3 MB/s; the rest is filled up."""

FULL_S = (3, 5)
NO_SPACE = "No space left on device"
PIECE_BYTES, SMALLEST_BYTES = 16 << 20, 4_096


class SmallDisk(LocalEnvironment):
    """An environment one of whose servers keeps its files on a small file system, behind a link in the home."""

    def __init__(
        self, settings: Settings, *, brokers: int, pipeline: bool, place: Callable[[Home], Path], service: str
    ) -> None:
        super().__init__(settings, brokers=brokers, pipeline=pipeline)
        self.service = service
        self.folder = small_file_system()
        self._link = place(Home(settings.home.absolute()))

    def _prepare(self) -> list[Service]:
        self._link.parent.mkdir(parents=True, exist_ok=True)
        self._link.symlink_to(self.folder, target_is_directory=True)
        give(unprivileged() if self.service == "postgres" else None, self.folder)
        return super()._prepare()

    def __enter__(self) -> Self:
        try:
            return super().__enter__()
        except BaseException:
            self._unmount()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """The file system goes with the servers."""
        super().__exit__(kind, error, traceback)
        self._unmount()

    def _unmount(self) -> None:
        if self.folder.is_mount():
            _command("umount", str(self.folder))
            self.folder.rmdir()


def disk_of_postgres(settings: Settings, *, brokers: int, pipeline: bool) -> LocalEnvironment:
    return SmallDisk(settings, brokers=brokers, pipeline=pipeline, place=lambda home: home.postgres, service="postgres")


def disk_of_broker(settings: Settings, *, brokers: int, pipeline: bool) -> LocalEnvironment:
    return SmallDisk(settings, brokers=brokers, pipeline=pipeline, place=lambda home: home.broker(1), service="broker")


def small_file_system() -> Path:
    """An empty folder on one. Raises RuntimeError where there is none and none can be mounted."""
    if os.geteuid() == 0:
        folder = Path(tempfile.mkdtemp(prefix="millrace-disk-"))
        _command("mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=0700", "millrace-faults", str(folder))
        return folder
    if given := os.environ.get(SMALL_DISK):
        folder = Path(given).absolute()
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        return folder
    raise RuntimeError(f"only root may mount a small disk: name one of yours in {SMALL_DISK} (see full_disk.py)")


def _command(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")


@contextmanager
def emptied_after(env: LocalEnvironment, _: Path) -> Iterator[Around]:
    """For `Scenario.surround`, with a SmallDisk as its environment."""
    assert isinstance(env, SmallDisk)
    disk = Disk(env.folder)
    try:
        yield disk
    finally:
        disk.empty()


class Disk:
    """The file system that is filled and emptied."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"
        self.variables: dict[str, str] = {}

    def fill(self) -> int:
        """Take what is left, piece by piece, for the server writes meanwhile; how many bytes that was."""
        taken, piece = 0, PIECE_BYTES
        with self._ballast.open("wb") as ballast:
            while piece >= SMALLEST_BYTES:
                try:
                    os.posix_fallocate(ballast.fileno(), taken, piece)
                    taken += piece
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2
        return taken

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)


def full_disk(installation: Installation, rng: random.Random) -> Iterator[Fault]:
    """Full for some seconds, then the operator makes room: the server and its clients must go on by themselves."""
    time.sleep(rng.uniform(3, 5))
    disk, env = installation.around, installation.env
    assert isinstance(disk, Disk)
    assert isinstance(env, SmallDisk)
    said_before = _complaints(env)
    taken = disk.fill()
    fault = fault_now(f"disk of {env.service} full ({taken >> 20} MiB taken)")
    time.sleep(rng.uniform(*FULL_S))
    disk.empty()
    noticed = _complaints(env) > said_before
    yield fault._replace(missing="" if noticed else "the server did not notice")
    time.sleep(rng.uniform(10, 14))


def _complaints(env: SmallDisk) -> int:
    """How often the server has said that there is no space left."""
    logs = Home(env.settings.home).logs.glob(f"{env.service}*.log")
    return sum(log.read_text(errors="replace").count(NO_SPACE) for log in logs)
