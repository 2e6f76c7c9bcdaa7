"""Goal: what the connectors look for beside the money neither ends them nor ends in silence, and a Postgres that comes
back is never one restart too many.
"""

import asyncio
import logging
import threading

import psycopg
import pytest

from connectors import rounds
from connectors.rounds import RECONNECTS_MAX, Connection, beside, connected, served
from tests.support.patience import noticed_after_ms

LOGGER = logging.getLogger("tests.rounds")
THERE = "SELECT true AS there"


async def test_what_fails_in_an_unforeseen_way_is_told_of_and_begins_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rounds, "AGAIN_S", 0.0)
    stop, begun = threading.Event(), 0

    async def follow(stopping: threading.Event) -> None:
        nonlocal begun
        begun += 1
        if begun == 3:
            stopping.set()
            return
        raise KeyError("nobody has thought of it")

    await asyncio.wait_for(beside(follow, stop), 10)
    assert begun == 3
    assert caplog.text.count("ALARM") == 2
    assert "nobody has thought of it" in caplog.text


async def test_a_server_that_vanished_is_noticed(postgres: str) -> None:
    """Webhooks, notices and inquiries were silent for a quarter of an hour, or for two, and the stop was not heard."""
    stop, noticed = threading.Event(), []

    async def look(connection: psycopg.AsyncConnection) -> None:
        noticed.append(noticed_after_ms(connection))
        stop.set()

    await asyncio.wait_for(rounds.rounds(postgres, stop, look, "nothing"), 20)
    async with await connected(postgres, "millrace test", stop) as connection:
        noticed.append(noticed_after_ms(connection))
    assert noticed == [(25_000, 25_000)] * 2


async def test_a_trouble_that_lasts_is_told_of_once_and_again_after_it_was_over(
    postgres: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An installation without reconciliation wrote two lines every five seconds: tables of its are missing."""
    monkeypatch.setattr(rounds, "AGAIN_S", 0.0)
    caplog.set_level(logging.INFO, "millrace.connectors")
    stop, faults = threading.Event(), ["missing"] * 3 + ["", "missing", "missing", "cut", "end"]

    async def look(connection: psycopg.AsyncConnection) -> None:
        match faults.pop(0):
            case "missing":
                await connection.execute("SELECT * FROM made_by_nobody")
            case "cut":
                raise psycopg.OperationalError("cut")
            case "end":
                stop.set()

    await asyncio.wait_for(rounds.rounds(postgres, stop, look, "nothing"), 20)
    told = [record.getMessage() for record in caplog.records if record.name == "millrace.connectors"]
    assert told == ["nothing: UndefinedTable", "nothing: UndefinedTable", "nothing: OperationalError"]


class Losing:
    """Loses its connection again and again, after so many passes each time."""

    def __init__(self, stop: threading.Event, times: int, passes_between: int) -> None:
        self.passes = 0
        self.lost = 0
        self._stop, self._times, self._passes_between = stop, times, passes_between

    async def run(self, connection: Connection, stop: threading.Event) -> None:
        assert not connection.closed
        self.passes += self._passes_between
        if self.lost == self._times:
            self._stop.set()
            return
        self.lost += 1
        raise psycopg.OperationalError("the connection is lost")


async def test_connections_that_were_lost_after_work_are_not_counted_together(postgres: str) -> None:
    stop = threading.Event()
    losing = Losing(stop, 2 * RECONNECTS_MAX, passes_between=1)
    await served(postgres, "test rounds", stop, THERE, losing, LOGGER)
    assert losing.lost == 2 * RECONNECTS_MAX


async def test_connections_that_are_lost_at_once_end_it(postgres: str) -> None:
    stop = threading.Event()
    losing = Losing(stop, 100, passes_between=0)
    with pytest.raises(psycopg.OperationalError):
        await served(postgres, "test rounds", stop, THERE, losing, LOGGER)
    assert losing.lost == RECONNECTS_MAX + 1
