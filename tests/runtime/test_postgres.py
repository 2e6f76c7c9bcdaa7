"""Connections with bounded waits."""

import threading
import time
from urllib.parse import urlsplit

import psycopg
import pytest

from millrace.environment import ports
from runtime.postgres import connect, is_transient
from tests.support.patience import noticed_after_ms


def test_an_absent_server_is_given_up_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    dsn = f"postgresql://millrace@127.0.0.1:{ports.free_base([])}/millrace"
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"did not let nobody in for 1 s .*refused.*; check that it runs"):
        connect(dsn, "nobody", deadline_s=1)
    assert time.monotonic() - began < 10
    said = [record.getMessage() for record in caplog.records if record.name == "millrace.postgres"]
    assert len(said) == 1, "the same reason is said once, however many attempts it took"
    assert "trying for 1 s" in said[0]


def test_a_server_that_comes_back_is_found(postgres: str, database: str) -> None:
    name = urlsplit(database).path.removeprefix("/")
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        opening = threading.Timer(0.5, server.execute, [f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode()])
        opening.start()
        with connect(database, "patient", deadline_s=10) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        opening.join()


def test_sessions_are_named_and_limited(database: str) -> None:
    with connect(database, "millrace test") as connection:
        for setting, value in {
            "application_name": "millrace test",
            "lock_timeout": "10s",
            "idle_in_transaction_session_timeout": "20s",
            "statement_timeout": "1min",
            "jit": "off",
        }.items():
            assert connection.execute("SELECT current_setting(%s)", (setting,)).fetchone() == (value,)


def test_a_server_that_vanished_is_noticed(database: str) -> None:
    with connect(database, "millrace test") as connection:
        assert noticed_after_ms(connection) == (25_000, 25_000)


def test_which_errors_are_worth_another_try(database: str) -> None:
    with connect(database, "millrace test") as connection:
        with pytest.raises(psycopg.Error) as wrong:
            connection.execute("SELECT 1 / 0")
        assert not is_transient(wrong.value, connection)
        connection.rollback()
        with pytest.raises(psycopg.Error) as ended:
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        assert is_transient(ended.value, connection)


def test_an_abandoned_transaction_ends_with_its_session(database: str) -> None:
    with connect(database, "millrace test") as connection:
        connection.execute("SET idle_in_transaction_session_timeout = 100")
        time.sleep(0.5)
        with pytest.raises(psycopg.Error) as ended:
            connection.execute("SELECT 1")
        assert is_transient(ended.value, connection)
