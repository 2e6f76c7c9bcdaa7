"""What a provider has news about is asked about at once; everything else keeps its time."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from connectors.hints import Hints
from connectors.lanes import Work
from connectors.loop import Connectors, Route
from runtime.exactly_once.failpoints import Failpoints
from tests.connectors.requests import HOUR_US, charge
from tests.support.environment import fresh_database

NOW_US = 1_763_800_000_000_000


async def test_where_a_payer_acts_is_written_at_once(
    postgres: str, migrated_once: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The world is told that the payer has to act, too: whoever then looks for the page should find it."""
    monkeypatch.setattr("connectors.hints.LOOK_S", 600.0)
    with fresh_database(postgres, migrated_once) as database:
        hints = Hints(database)
        following = asyncio.create_task(hints.follow(threading.Event()))
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            for number in (1, 2):
                hints.payer_acts(bytes([number]) * 16, "https://bank.example/act")
                async with asyncio.timeout(60):
                    while (await _pages(connection)) < number:
                        await asyncio.sleep(0.01)
        following.cancel()


async def _pages(connection: psycopg.AsyncConnection) -> int:
    return len(await (await connection.execute("SELECT url FROM payer_actions")).fetchall())


def test_news_bring_a_parked_request_forward_once() -> None:
    nowhere: Any = SimpleNamespace()
    hints = Hints("")
    connectors = Connectors(nowhere, nowhere, {}, 4, lambda: NOW_US, Failpoints(""), Route(), hints)
    works = [
        Work(0, offset, bytes([offset]) * 16, charge(attempt=2, not_before_us=NOW_US + HOUR_US), NOW_US)
        for offset in range(3)
    ]
    for work in works:
        connectors._park_or_line_up(work)
    hints.request_ids = frozenset({works[1].request.request_id, b"\x99" * 16})
    connectors._line_up_what_is_due()
    assert connectors._lanes.start_next() == works[1]
    assert connectors._lanes.start_next() is None
    assert sorted(work.offset for _, _, work in connectors._parked) == [0, 2]
    assert hints.request_ids == {b"\x99" * 16}, "news about what somebody else has stay"
