"""A file on disk → its hash, its size and its text line by line, read in bounded memory whatever its size.

One pass over the bytes learns the SHA-256, whether the text is UTF-8 and which of its bytes are not ASCII; from these
the encoding follows. A NUL byte or a line of more than a megabyte is no text and refused by name.
"""

import codecs
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from reconciliation.statements.refusals import Reason, Refused

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 1 << 16
LINE_CHARS_MAX = 1 << 20
"""The longest line of any text format here is a CSV row of some kilobytes."""

_ASCII = bytes(range(128))
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_EIGHT_BIT = ("cp1252", "cp852")
"""Western and Central European text of banks; tried in this order, the one that gives more letters wins."""


def _unwatched(_: int) -> None:
    pass


class Source(NamedTuple):
    """A file that has been looked through once. `advance` is told the bytes of every pass over it: progress bars."""

    path: Path
    sha256: str
    size: int
    head: bytes
    encoding: str
    nul: bool
    advance: Callable[[int], None] = _unwatched

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The bytes of the file. Raises Refused when they can't be read."""
        try:
            with self.path.open("rb") as stream:
                while chunk := stream.read(size):
                    self.advance(len(chunk))
                    yield chunk
        except OSError as error:
            raise Refused(Reason.UNREADABLE, f"{error.strerror or error}") from None


def look_through(path: Path, advance: Callable[[int], None] = _unwatched) -> Source:
    """Hash and encoding of a file. Raises Refused when it can't be read or is empty."""
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    utf8, nul, size, head = True, False, 0, b""
    others: Counter[int] = Counter()
    for chunk in Source(path, "", 0, b"", "", False, advance).chunks():
        head = head or chunk[:HEAD_BYTES]
        digest.update(chunk)
        size += len(chunk)
        nul = nul or b"\0" in chunk
        utf8 = utf8 and _decodes(decoder, chunk)
        others.update(chunk.translate(None, _ASCII))
    if not head.strip():
        raise Refused(Reason.EMPTY, "the file has no content")
    return Source(path, digest.hexdigest(), size, head, _encoding(head, utf8, others), nul, advance)


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes) -> bool:
    try:
        decoder.decode(chunk)
    except UnicodeDecodeError:
        return False
    return True


def _encoding(head: bytes, utf8: bool, others: Counter[int]) -> str:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if utf8:
        return "utf-8"
    return max(_EIGHT_BIT, key=lambda name: _letters(others, name))


def _letters(others: Counter[int], encoding: str) -> int:
    """How many of the bytes that aren't ASCII are letters in an encoding."""
    return sum(count for byte, count in others.items() if bytes((byte,)).decode(encoding, errors="replace").isalpha())


def head_text(source: Source) -> str:
    """The first characters of the file, as far as they are text."""
    return source.head.decode(source.encoding, errors="replace").lstrip("\ufeff")


def text_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line, without its end. Raises Refused for what is no text."""
    refuse_nul(source)
    with source.path.open("r", encoding=source.encoding, errors="replace", newline=None) as stream:
        number, told = 0, 0
        while line := stream.readline(LINE_CHARS_MAX + 1):
            number += 1
            if len(line) > LINE_CHARS_MAX:
                raise Refused(Reason.LINE_TOO_LONG, f"line {number} has more than {LINE_CHARS_MAX:,} characters")
            told += len(line)
            if told > CHUNK_BYTES:
                source.advance(told)
                told = 0
            yield number, line.rstrip("\n")


def refuse_nul(source: Source) -> None:
    """A NUL byte is in no text. Raises Refused."""
    if source.nul and source.encoding != "utf-16":
        raise Refused(Reason.NUL_BYTES, "the file has NUL bytes: it is no text, or was damaged on its way")
