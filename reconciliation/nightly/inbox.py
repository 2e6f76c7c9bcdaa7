"""The folder where senders put files: `<inbox>/<source>/<file>`. A file is taken once it is whole, and by one taker.

Whole: under its own name (what is being written is called `.name`, `name.part` …) and of the same size and time in two
looks. Taken: renamed into `.taken`, which one process alone succeeds in. Afterwards it lies in `.imported`, `.refused`
(the same bytes were there before) or `.quarantine`, there with its reason beside it. Guarantees: what a crash leaves in
`.taken` is taken again by the next look; the import knows its bytes, so nothing counts twice.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from reconciliation.store.importing import FileStatus

TAKEN: Final = ".taken"
_OUTCOMES: Final = {
    FileStatus.IMPORTED: ".imported",
    FileStatus.REFUSED: ".refused",
    FileStatus.QUARANTINED: ".quarantine",
}
_UNFINISHED: Final = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".swp", "~")
FILES_MAX: Final = 1_000
"""Of one look, over all sources: the rest is taken by the next one."""


class Waiting(NamedTuple):
    """A file that is ours now."""

    source: str
    path: Path


class Inbox:
    """One folder. `take` again and again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[Path, tuple[int, int, int]] = {}

    def take(self) -> Iterator[Waiting]:
        """Files that are whole, in the order of their names, those that a crash has left first."""
        seen: dict[Path, tuple[int, int, int]] = {}
        taken = 0
        for source in _folders(self._folder):
            yield from (Waiting(source.name, path) for path in _files(source / TAKEN))
            for path in _files(source):
                look = _look(path)
                if look is None or path.name.startswith(".") or path.name.lower().endswith(_UNFINISHED):
                    continue
                seen[path] = look
                if self._seen.get(path) == look and taken < FILES_MAX and (ours := _moved(path, source / TAKEN)):
                    taken += 1
                    yield Waiting(source.name, ours)
        self._seen = seen

    def done(self, file: Waiting, status: FileStatus, reason: str) -> Path:
        """Where it lies now. A second one of the same name gets a number. Raises OSError."""
        folder = self._folder / file.source / _OUTCOMES[status]
        folder.mkdir(exist_ok=True)
        path = folder / file.path.name
        number = 1
        while path.exists():
            number += 1
            path = folder / f"{file.path.name}.{number}"
        if status is FileStatus.QUARANTINED:
            path.with_name(f"{path.name}.reason").write_text(f"{reason}\n", encoding="utf-8")
        file.path.rename(path)
        return path


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _look(path: Path) -> tuple[int, int, int] | None:
    """Size, time and inode of a file that has something in it; a link is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ino) if stat.S_ISREG(found.st_mode) and found.st_size else None


def _moved(path: Path, folder: Path) -> Path | None:
    """None where somebody else was quicker, or one of that name is being read."""
    folder.mkdir(exist_ok=True)
    ours = folder / path.name
    if ours.exists():
        return None
    try:
        path.rename(ours)
    except FileNotFoundError:
        return None
    return ours
