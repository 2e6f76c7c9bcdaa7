"""The files that a command line names."""

from collections.abc import Iterator, Sequence
from pathlib import Path


def files_of(paths: Sequence[Path]) -> Iterator[Path]:
    """The files named, and those under the folders named, in the order of their names. Hidden ones (`.DS_Store`, a
    file that is still being written as `.name`) are no statements; neither is what lies in a hidden folder.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.is_file() and not _is_hidden(one, path))
        else:
            yield path


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
