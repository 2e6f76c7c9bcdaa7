"""A folder used as an object store: a key names an object, an object is put whole and once, and never changed.

Keys map 1:1 to paths below the folder, so that it can be copied to a bucket with any tool, and the other way round.
Guarantees: an object that can be seen is whole and on disk, whatever crashes; a second object of one key is refused.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_DRAFTS: Final = ".drafts"
"""Beside the objects, because a hard link needs the same file system. Not an object: keys do not begin with a dot."""

_LOCK: Final = ".lock"


class ObjectExists(Exception):
    """The key is taken: what was put there stays."""


class ArchiveInUse(Exception):
    """Another process writes to this folder."""


class ObjectFolder:
    """Reading needs no lock; one process at a time writes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where the object lies, or would."""
        return self.root / key

    def keys(self, prefix: str) -> list[str]:
        """Every key below this prefix (a folder, ending in a slash), sorted."""
        folder = self.root / prefix
        if not folder.is_dir():
            return []
        return sorted(prefix + name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208 - names only

    def folders(self, prefix: str = "") -> list[str]:
        """The folders directly below this prefix, sorted, each ending in a slash."""
        folder = self.root / prefix
        if not folder.is_dir():
            return []
        with os.scandir(folder) as entries:
            return sorted(f"{prefix}{entry.name}/" for entry in entries if entry.is_dir() and entry.name[0] != ".")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one writer, and clear away what an earlier one left unfinished. Raises ArchiveInUse, OSError."""
        drafts = self.root / _DRAFTS
        drafts.mkdir(parents=True, exist_ok=True)
        with (self.root / _LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel releases it with the process
            except BlockingIOError:
                raise ArchiveInUse(f"another process writes to the archive {self.root}: one is enough") from None
            for left in drafts.iterdir():
                left.unlink()
            yield

    def draft(self, name: str) -> Path:
        """Where to write an object before it is put. The caller syncs it."""
        return self.root / _DRAFTS / name

    def write_draft(self, draft: Path, content: bytes) -> None:
        """A small object, synced. Raises OSError."""
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def put(self, draft: Path, key: str) -> None:
        """Make a synced draft the object of this key, durably. Raises ObjectExists; the draft is then kept.

        A link and not a rename, because a rename would replace what is there.
        """
        path = self.path(key)
        self._make_folders(path.parent)
        try:
            os.link(draft, path)
        except FileExistsError:
            raise ObjectExists(key) from None
        _sync_folder(path.parent)
        draft.unlink()

    def _make_folders(self, folder: Path) -> None:
        """A new folder's name is on disk once its parent is synced."""
        if folder.is_dir():
            return
        self._make_folders(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
