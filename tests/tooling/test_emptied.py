"""Goal: no test finds anything of another one in its database, however that one left it."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.emptied import EmptiedDatabases

_LEFT = (
    "INSERT INTO accounts (account_id, currency, type, status, overdraft_limit_minor, opened_at, changed_at)"
    " SELECT gen_random_uuid(), 'EUR', 0, 0, 0, now(), now() FROM generate_series(1, 2000)",
    "SELECT set_config('millrace.actor', 'a test', false), set_config('millrace.request_id', 'one', false)",
    "INSERT INTO account_owners (account_id, user_id, role, since)"
    " SELECT account_id, gen_random_uuid(), 'owner', now() FROM accounts LIMIT 3",
    "UPDATE account_sums_walk SET walked_to = gen_random_uuid()",
    "DELETE FROM event_feed",
    "SELECT nextval('screening_hits_hit_seq')",
)
_CHANGED = (
    "ALTER TABLE accounts ADD COLUMN more int",
    "CREATE TABLE more ()",
    "CREATE TABLE more (number serial)",
    "REVOKE SELECT ON accounts FROM CURRENT_USER",
    "ANALYZE schema_migrations",
)


@pytest.fixture
def databases(postgres: str, migrated_once: str) -> Iterator[EmptiedDatabases]:
    made = EmptiedDatabases(postgres, migrated_once)
    yield made
    made.close()


def test_what_was_left_is_gone_and_what_migrations_put_there_is_back(databases: EmptiedDatabases) -> None:
    with databases.lent() as first:
        before = _seen(first)
        connection = psycopg.connect(first, autocommit=True)  # stays open, as a pool that nobody closed
        for statement in _LEFT:
            connection.execute(statement.encode())
        assert _seen(first) != before
    with databases.lent() as second:
        assert second == first
        assert _seen(second) == before
    assert connection.closed or _is_ended(connection)


@pytest.mark.parametrize("statement", _CHANGED)
def test_a_database_that_is_another_one_now_is_not_lent_again(databases: EmptiedDatabases, statement: str) -> None:
    with databases.lent() as first, psycopg.connect(first, autocommit=True) as connection:
        connection.execute(statement.encode())
    with databases.lent() as second:
        assert second != first


def _seen(url: str) -> tuple[list[tuple[Any, ...]], ...]:
    with psycopg.connect(url) as connection:
        return tuple(
            connection.execute(statement.encode()).fetchall()
            for statement in (
                "SELECT count(*) FROM accounts",
                "SELECT count(*) FROM account_owners",
                "SELECT count(*) FROM account_owner_changes",
                "SELECT * FROM account_sums_walk",
                "SELECT * FROM event_feed",
                "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1",
            )
        )


def _is_ended(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False
