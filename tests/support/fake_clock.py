"""A wall clock that can be set for chosen processes alone; their monotonic clocks are left as they are.

For a JVM: libfaketime, installed (Debian's `libfaketime`) or fetched and unpacked, which needs no rights. For Python:
`time.time` and `time.time_ns` replaced at the start, because libfaketime turns a sleep of Python 3.11, which ends at a
monotonic time, into an error.
"""

import os
import subprocess
from pathlib import Path

LIBRARY = "faketime/libfaketime.so.1"
INSTALLED = ("/usr/lib", "/usr/local/lib", *map(str, Path("/usr/lib").glob("*-linux-gnu")))
SEEN_AFTER_S = 1.0
"""Both look at the file once a second: at each reading of the clock that would cost a file."""

AT_START = """
import os, time

_true, _true_ns, _monotonic = time.time, time.time_ns, time.monotonic
_seen = [float("-inf"), 0]

def _offset_s():
    if _monotonic() - _seen[0] > 1:
        with open(os.environ["FAKETIME_TIMESTAMP_FILE"]) as offset:
            _seen[:] = _monotonic(), int(offset.read())
    return _seen[1]

time.time = lambda: _true() + _offset_s()
time.time_ns = lambda: _true_ns() + _offset_s() * 1_000_000_000
"""


class FakeClock:
    """Processes that get its variables share this clock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offset = folder / "clock"
        self.set(0)
        (folder / "sitecustomize.py").write_text(AT_START)
        self._here = {"FAKETIME_TIMESTAMP_FILE": str(self._offset)}

    def python_variables(self) -> dict[str, str]:
        """For a Python process."""
        path = os.pathsep.join(filter(None, (str(self._folder), os.environ.get("PYTHONPATH"))))
        return {**self._here, "PYTHONPATH": path}

    def native_variables(self) -> dict[str, str]:
        """For any other. Raises RuntimeError where the library is neither installed nor to be had."""
        return {
            **self._here,
            "LD_PRELOAD": str(_library(self._folder)),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
            # its repair of waits by the monotonic clock is for an older glibc: with it a JVM never gets up
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def set(self, offset_s: int) -> None:
        """So many seconds from the true time, within SEEN_AFTER_S."""
        fresh = self._offset.with_suffix(".new")
        fresh.write_text(f"{offset_s:+d}\n")
        fresh.replace(self._offset)


def _library(folder: Path) -> Path:
    for place in INSTALLED:
        if (library := Path(place) / LIBRARY).exists():
            return library
    for command in (["apt-get", "download", "libfaketime"], ["sh", "-c", "dpkg -x libfaketime_*.deb ."]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"no libfaketime: install the package `faketime` ({done.stderr.strip()[-200:]})")
    return next(folder.glob(f"usr/lib/*/{LIBRARY}"))
