"""Events of a file → one JSON object in bounded memory: lines wait on disk until the file is known to be good.

Lines of several statements may be mixed (a provider's report by account and currency), so each statement's lines are
kept as chunks of one temporary file: 64 KiB of each statement that is open in memory, and where its chunks lie.
"""

from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO

import msgspec

from reconciliation.statements.lines import Line, Statement

_BUFFER_BYTES = 1 << 16
_encode = msgspec.json.Encoder().encode


class Spool:
    """Lines of a file by statement. Close it (`with`): the temporary file goes."""

    def __init__(self) -> None:
        self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115 – closed by __exit__
        self._waiting: dict[int, bytearray] = {}
        self._chunks: dict[int, list[tuple[int, int]]] = {}
        self._counts: dict[int, int] = {}
        self._frames: dict[int, Statement] = {}

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def statements(self) -> int:
        return len(self._frames)

    def add_line(self, line: Line) -> None:
        """Keep a line."""
        waiting = self._waiting.setdefault(line.statement, bytearray())
        if waiting or self._chunks.get(line.statement):
            waiting += b","
        waiting += _encode(line)
        self._counts[line.statement] = self._counts.get(line.statement, 0) + 1
        if len(waiting) > _BUFFER_BYTES:
            self._write_out(line.statement, waiting)

    def add_statement(self, statement: Statement) -> None:
        """Keep a frame; its lines are complete."""
        self._frames[statement.number] = statement
        if waiting := self._waiting.pop(statement.number, None):
            self._write_out(statement.number, waiting)

    def _write_out(self, number: int, waiting: bytearray) -> None:
        self._chunks.setdefault(number, []).append((self._file.tell(), len(waiting)))
        self._file.write(waiting)
        waiting.clear()

    def frames(self) -> Iterator[tuple[Statement, int]]:
        """Each statement and how many lines it has."""
        for number, frame in sorted(self._frames.items()):
            yield frame, self._counts.get(number, 0)

    def json(self) -> Iterator[bytes]:
        """The statements as a JSON array, in the order of their numbers, piece by piece."""
        yield b"["
        for place, (frame, count) in enumerate(self.frames()):
            head = msgspec.to_builtins(frame) | {"lines_count": count, "control_totals_ok": frame.control_totals_ok}
            yield (b"," if place else b"") + _encode(head)[:-1] + b',"lines":['
            for start, length in self._chunks.get(frame.number, []):
                self._file.seek(start)
                yield self._file.read(length)
            yield b"]}"
        yield b"]"
