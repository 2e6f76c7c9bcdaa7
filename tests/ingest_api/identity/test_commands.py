"""Goal: a machine's operator makes users and tokens by command, and no password stands on a command line."""

import asyncio
from datetime import datetime

import pytest
from typer.testing import CliRunner

from ingest_api.identity.service import Identity
from ingest_api.identity.tokens import Principal, Scope, TokenVerifier
from ingest_api.reads.database import Database
from millrace.cli import app
from runtime.settings import Settings


@pytest.fixture
def millrace(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("MILLRACE_HOME", str(settings.home))
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    return CliRunner()


def principal(settings: Settings, token: str) -> Principal:
    return TokenVerifier.of(settings).principal(f"Bearer {token.strip()}", None)


def test_a_token_of_a_user_is_for_the_same_user_every_time(millrace: CliRunner, settings: Settings) -> None:
    asked = ["token", "--user", "anna", "--scope", "payments:write,accounts:read", "--scope", "cases:decide"]
    first, again = (millrace.invoke(app, asked) for _ in range(2))
    anna = principal(settings, first.stdout)
    assert anna.subject.startswith("usr_")
    assert anna.scopes == {Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_READ, Scope.CASES_DECIDE}
    assert principal(settings, again.stdout).subject == anna.subject
    assert "made the user anna" in first.stderr
    assert again.stderr == ""


async def test_a_look_that_is_under_way_ends_before_the_process_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`millrace token --user anna` said now and then: query cancellation interrupted, closing connection."""
    database, asking = Database.writing(settings), asyncio.Event()
    identity = Identity.of(settings, TokenVerifier.of(settings), database)

    async def ended_since(_: datetime) -> list[tuple[str, datetime]]:
        async with database.transaction() as connection:
            asking.set()
            await connection.execute("SELECT pg_sleep(60)")
        return []

    monkeypatch.setattr(identity.sessions, "ended_since", ended_since)
    before = asyncio.all_tasks()
    await identity.open()
    await asyncio.wait_for(asking.wait(), 20)
    await identity.close()
    assert asyncio.all_tasks() == before


def test_the_first_admin_is_made_with_a_password_of_stdin(millrace: CliRunner) -> None:
    asked = ["users", "create", "root", "--role", "admin", "--password-file", "-"]
    assert millrace.invoke(app, asked, input="password1234\n").exit_code == 2
    made = millrace.invoke(app, asked, input="tulip hammer seven\n")
    assert (made.exit_code, made.stdout[:4]) == (0, "usr_")
    assert millrace.invoke(app, asked, input="tulip hammer seven\n").exit_code == 1


@pytest.mark.parametrize(
    "asked", [["token", "--scope", "nope"], ["users", "create", "x", "--role", "king"]], ids=" ".join
)
def test_an_unknown_word_names_the_known_ones(millrace: CliRunner, asked: list[str]) -> None:
    refused = millrace.invoke(app, asked)
    assert refused.exit_code == 2
    assert "known:" in refused.stderr
