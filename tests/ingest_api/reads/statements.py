"""Listens to the statements that the code runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest


class Statement(NamedTuple):
    """What was executed. `may_be_kept`: on its sixth run Postgres may take a plan that it keeps for any values."""

    query: bytes
    parameters: Any
    may_be_kept: bool
    session_options: str


@contextmanager
def listened_to() -> Iterator[dict[bytes, Statement]]:
    """The queries of everybody as they are executed, one of each text."""
    heard: dict[bytes, Statement] = {}

    def hear(execute: Callable[..., Any]) -> Callable[..., Any]:
        def heard_execute(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
            text = query if isinstance(query, bytes) else str(query).encode()
            if text.lstrip().startswith(b"SELECT"):
                may_be_kept = options.get("prepare") is not False and isinstance(cursor, psycopg.AsyncCursor)
                heard.setdefault(text, Statement(text, params, may_be_kept, cursor.connection.info.options))
            return execute(cursor, query, params, **options)

        return heard_execute

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "execute", hear(psycopg.AsyncCursor.execute))
        patch.setattr(psycopg.Cursor, "execute", hear(psycopg.Cursor.execute))
        yield heard
