"""The bytes of files as they came, in pieces; one line of them is found again without reading the rest.

Reads files; reads and writes recon_contents. Guarantees: the pieces of a hash are the bytes that have this hash.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from psycopg import Connection

PIECE_BYTES: Final = 1 << 20
LINE_BYTES_MAX: Final = 1 << 16
"""Of a line that is shown: a CSV row has some kilobytes, but XML may be one line of a gigabyte."""

_INSERT: Final = "INSERT INTO recon_contents VALUES (%s, %s, %s, %s)"
_KNOWN: Final = "SELECT FROM recon_contents WHERE sha256 = %s LIMIT 1"
_FIRST: Final = """
SELECT piece, first_line FROM recon_contents WHERE sha256 = %s AND (first_line < %s OR piece = 0)
ORDER BY piece DESC LIMIT 1"""
_PIECE: Final = "SELECT content FROM recon_contents WHERE sha256 = %s AND piece = %s"


class FileChanged(OSError):
    """The file is another one than it was a moment ago: whoever sends it has not ended yet."""


class Fingerprint(NamedTuple):
    """What tells one file from another."""

    sha256: bytes
    size: int


def fingerprint(path: Path, advance: Callable[[int], None] = lambda _: None) -> Fingerprint:
    """Of the bytes of a file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(path):
        digest.update(piece)
        size += len(piece)
        advance(len(piece))
    return Fingerprint(digest.digest(), size)


def keep(connection: Connection, path: Path, sha256: bytes) -> None:
    """Store the bytes, once. Raises FileChanged, OSError."""
    if connection.execute(_KNOWN, (sha256,)).fetchone() is not None:
        return
    digest, line = hashlib.sha256(), 1
    for number, piece in enumerate(_pieces(path)):
        digest.update(piece)
        connection.execute(_INSERT, (sha256, number, line, piece))
        line += piece.count(b"\n")
    if digest.digest() != sha256:
        raise FileChanged(f"{path} was changed while it was being read; bring it again")


def raw_line(connection: Connection, sha256: bytes, line_number: int) -> bytes:
    """A line of a file without its end, from 1; at most LINE_BYTES_MAX of it, empty where there is none."""
    found = connection.execute(_FIRST, (sha256, line_number)).fetchone()
    if found is None:
        return b""
    number, first_line = found
    skip, kept = line_number - first_line, b""
    while (row := connection.execute(_PIECE, (sha256, number)).fetchone()) is not None and len(kept) < LINE_BYTES_MAX:
        content = bytes(row[0])
        if skip:
            *before, content = content.split(b"\n", skip)
            skip -= len(before)
        if not skip:
            line, end, _ = content.partition(b"\n")
            kept += line
            if end:
                break
        number += 1
    return kept[:LINE_BYTES_MAX].rstrip(b"\r")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            yield piece
