"""Child processes that end with their parent, and that a later run can recognise.

Spawns each child in a session of its own (Ctrl-C in a terminal does not reach it) with a death signal from the kernel;
writes pids with their start times, so that a recycled pid is never killed.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import psutil

from millrace.supervisor.service import Service

_PR_SET_PDEATHSIG = 1
_LOG_BYTES_MAX = 16 << 20
"""A log that has grown past this is put aside (one generation) when its process starts again."""

_SAME_START_S = 2.0  # psutil derives start times from the boot time, which moves when the clock is set
_ORPHAN_STOP_S = 10.0

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Footprint(msgspec.Struct, frozen=True):
    """Enough to find a process again, and to be sure that it is the same one."""

    pid: int
    started_at_s: float
    death_signal: int


def spawn(service: Service, log: Path) -> subprocess.Popen[bytes]:
    """Start the process, its output appended to `log`. Raises OSError when the system refuses."""
    _put_aside(log)
    account = service.account
    with log.open("ab") as output:
        return subprocess.Popen(
            service.argv,
            env={**os.environ, **service.env},
            cwd="/" if account else None,  # another account may not be allowed to stand where we do
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=leash(service.death_signal),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def leash(death_signal: int) -> Callable[[], None] | None:
    """What the kernel sends the child when we die. Runs in the child between fork and exec, after the change of account
    (which would clear the setting).
    """
    if _LIBC is None:
        return None
    parent, prctl = os.getpid(), _LIBC.prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            os._exit(1)  # the parent died before the tie was made

    return tie


def _put_aside(log: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_BYTES_MAX:
            log.replace(log.with_name(log.name + ".1"))


def kill_group(pid: int) -> None:
    """What an exited child left behind in its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def footprint(pid: int, service: Service) -> Footprint | None:
    """None when the process is gone already."""
    with contextlib.suppress(psutil.Error):
        return Footprint(pid, psutil.Process(pid).create_time(), service.death_signal)
    return None


def write_footprints(path: Path, footprints: Iterable[Footprint]) -> None:
    """Replace the record of what runs."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(msgspec.json.encode(list(footprints)))
    fresh.replace(path)


def end_orphans(path: Path) -> int:
    """End what a supervisor that was killed left running (only systems without death signals leave anything).

    Answers how many were found alive.
    """
    try:
        recorded = msgspec.json.decode(path.read_bytes(), type=list[Footprint])
    except (FileNotFoundError, msgspec.DecodeError):
        return 0
    orphans = [process for mark in recorded if (process := _alive(mark))]
    _, stubborn = psutil.wait_procs(orphans, timeout=_ORPHAN_STOP_S)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=_ORPHAN_STOP_S)
    path.unlink(missing_ok=True)
    return len(orphans)


def _alive(mark: Footprint) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(mark.pid)
        if abs(process.create_time() - mark.started_at_s) < _SAME_START_S:
            process.send_signal(mark.death_signal)
            return process
    return None
