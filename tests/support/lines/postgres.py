"""A line to Postgres that breaks a connection around its COMMIT: before the server hears of it, or before the client
hears that it is done.

Source of the bytes: PostgreSQL manual, "Frontend/Backend Protocol", the simple query message (Q, length, text, 0).
"""

import asyncio
from enum import Enum

from tests.support.lines.tcp import Connection, TcpLine

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class Moment(Enum):
    """Where the connection breaks."""

    BEFORE_COMMIT = "before COMMIT"
    AFTER_COMMIT = "after COMMIT, before its answer"


class PostgresLine(TcpLine):
    """One port in front of one server. Carries plain connections: the messages must be readable."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._armed: Moment | None = None
        self._answering: Connection | None = None

    def break_next_commit(self, moment: Moment) -> None:
        """Once; `waits_for_commit` says whether it has happened."""
        self._armed = moment

    @property
    def waits_for_commit(self) -> bool:
        return self._armed is not None

    async def _next_piece(self, connection: Connection, source: asyncio.StreamReader) -> bytes:
        piece = await super()._next_piece(connection, source)
        if source is connection.server_reader:
            return self._answer(connection, piece)
        if self._armed is None or COMMIT not in piece:
            return piece
        if self._armed is Moment.BEFORE_COMMIT:
            self._armed = None
            connection.abort()
            return b""
        self._answering = connection
        return piece

    def _answer(self, connection: Connection, piece: bytes) -> bytes:
        """The server has done what it was told when it answers; the client is not to know."""
        if connection is not self._answering:
            return piece
        self._armed = self._answering = None
        connection.abort()
        return b""
