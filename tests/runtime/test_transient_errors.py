"""Goal: work is repeated on a new connection where that may help, and a bug in a statement is never repeated.

The table names errors by their SQLSTATE (PostgreSQL 18, appendix A), as the server sends them.
"""

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg import errors

from runtime import postgres as under_test
from runtime.postgres import SESSION_OPTIONS, connect, is_transient

AGAIN = {
    "57P01": "the server is being shut down",
    "57P02": "another process of the server crashed",
    "57P03": "the server starts and replays its log",
    "08006": "the connection broke",
    "08001": "the server could not be reached",
    "08003": "the connection is gone",
    "53300": "too many connections",
    "53100": "the disk is full",
    "53200": "out of memory",
    "55P03": "a lock was not had in its time",
    "40P01": "a deadlock was broken",
    "40001": "a serialisation failed",
    "57014": "the statement took longer than it may",
    "58030": "the disk did not answer",
}
NEVER = {
    "23505": "a key exists already: the fence of the progress row, or a bug",
    "23514": "a check does not hold",
    "23503": "a row is referred to that is not there",
    "22012": "a division by zero",
    "22003": "a number out of range",
    "42P01": "a table that is not there",
    "42703": "a column that is not there",
    "42601": "a syntax error",
    "42501": "a right that is missing",
    "25P02": "a statement in a transaction that has failed",
    "22P02": "a text that is no number",
    "XX001": "corrupted data",
}
OPEN: Any = SimpleNamespace(closed=False)
CLOSED: Any = SimpleNamespace(closed=True)


def error_of(code: str) -> psycopg.Error:
    """As psycopg raises it for this state."""
    error: psycopg.Error = errors.lookup(code)("as the server says it")
    return error


@pytest.mark.parametrize("code", AGAIN, ids=AGAIN.get)
def test_what_passes_by_itself_is_tried_again(code: str) -> None:
    assert is_transient(error_of(code), OPEN)


@pytest.mark.parametrize("code", NEVER, ids=NEVER.get)
def test_what_would_fail_again_is_not_repeated(code: str) -> None:
    assert not is_transient(error_of(code), OPEN)


@pytest.mark.parametrize("code", [*AGAIN, *NEVER])
def test_on_a_connection_that_is_closed_everything_is_tried_again_on_a_new_one(code: str) -> None:
    """The error of a statement may be the connection's end in another guise, as with 25P03 (idle in transaction)."""
    assert is_transient(error_of(code), CLOSED)


def test_the_table_names_each_state_once() -> None:
    assert not AGAIN.keys() & NEVER.keys()


class Server:
    """Refuses so many attempts, for the reasons given, then lets in."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        self.attempts = 0
        self.now_s = 0.0

    def open(self, dsn: str, name: str) -> Any:
        self.attempts += 1
        if self.reasons:
            raise psycopg.OperationalError(self.reasons.pop(0))
        return (dsn, name)

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def use(server: Server, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(under_test, "open_session", server.open)
    patch.setattr(under_test, "time", server)


def test_a_server_that_replays_its_log_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server("refused", "refused", "the database system\n is starting up", "refused")
    use(server, monkeypatch)
    opened: Any = connect("dsn", "sink")
    assert opened == ("dsn", "sink")
    assert server.attempts == 5
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "refused",
        "the database system is starting up",
        "refused",
    ], "a new reason is said, a repeated one is not"


def test_patience_ends_with_the_last_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(*["refused"] * 1_000)
    use(server, monkeypatch)
    with pytest.raises(TimeoutError, match=r"did not let sink in for 3 s \(refused\); check that it runs"):
        connect("dsn", "sink", deadline_s=3)
    assert 3 <= server.now_s < 3.5


def test_an_error_in_the_address_is_not_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: str) -> Any:
        raise psycopg.ProgrammingError("invalid dsn")

    monkeypatch.setattr(under_test, "open_session", wrong)
    with pytest.raises(psycopg.ProgrammingError):
        connect("no dsn", "sink")


def test_every_wait_of_a_session_is_bounded() -> None:
    options = dict(option.split("=") for option in SESSION_OPTIONS.removeprefix("-c ").split(" -c "))
    limits_ms = {name: int(value) for name, value in options.items() if name.endswith("timeout")}
    assert limits_ms.keys() == {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"}
    assert all(0 < limit <= 60_000 for limit in limits_ms.values())
    assert limits_ms["lock_timeout"] < limits_ms["statement_timeout"], "else it would never be the reason"
