"""A file that is made once and readable by its owner alone, however many processes start at the same time.

Each writes a file of its own under a private name and links it into place; the first link wins and all read that one.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def made_once(path: Path, make: Callable[[], str]) -> str:
    """The text of the file; where there is none, what `make` gives, on disk before this returns."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = _written(path, make())
        try:
            os.link(private, path)
        except FileExistsError:
            pass  # another process was first: its file is the file
        finally:
            private.unlink()
    return path.read_text()


def replace(path: Path, text: str) -> None:
    """Another text in one step: a reader finds the old one or the new one, whole."""
    _written(path, text).replace(path)


def _written(path: Path, text: str) -> Path:
    private = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return private
