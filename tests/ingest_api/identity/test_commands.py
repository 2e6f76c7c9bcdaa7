"""Goal: a machine's operator makes users and tokens by command, and no password stands on a command line."""

import asyncio
from datetime import datetime

import pytest
from typer.testing import CliRunner

from ingest_api.identity.roles import roles_that_allow
from ingest_api.identity.service import Identity
from ingest_api.identity.tokens import ALL_SCOPES, Principal, Scope, TokenVerifier
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
    asked = ["token", "--user", "anna", "--scope", "payments:write,accounts:read", "--scope", "users:read"]
    first, again = (millrace.invoke(app, asked) for _ in range(2))
    anna = principal(settings, first.stdout)
    assert anna.subject.startswith("usr_")
    assert anna.scopes == {Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_READ, Scope.USERS_READ}
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


def test_a_token_of_a_user_has_no_more_than_the_roles_allow(millrace: CliRunner, settings: Settings) -> None:
    """Whatever was asked for was signed, and with `api_keys:write` it went into a key for good."""
    made = millrace.invoke(app, ["users", "create", "rita", "--role", "risk_analyst"])
    assert (made.exit_code, "rita cannot log in yet; `millrace users password rita`" in made.stderr) == (0, True)
    allowed = millrace.invoke(app, ["token", "--user", "rita", "--scope", "cases:decide"])
    assert principal(settings, allowed.stdout).scopes == {Scope.CASES_DECIDE}
    refused = millrace.invoke(app, ["token", "--user", "rita", "--scope", "cases:decide,ledger:write,aliases:verify"])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "rita is risk_analyst, which does not allow aliases:verify, ledger:write" in refused.stderr
    assert "millrace users roles rita --role finance --role operator --role risk_analyst" in refused.stderr


@pytest.mark.parametrize(
    ("scopes", "role"),
    [
        ("payments:read", "customer"),
        ("quarantine:read,quarantine:write", "operator"),
        ("reconciliation:approve", "finance"),
        ("cases:decide,payments:write", "customer and risk_analyst"),
    ],
)
def test_who_is_made_for_a_token_has_the_fewest_roles_that_allow_it(
    millrace: CliRunner, settings: Settings, scopes: str, role: str
) -> None:
    """Only customers were made, so that no token of a user could look into the quarantine."""
    made = millrace.invoke(app, ["token", "--user", "nils", "--scope", scopes])
    assert made.exit_code == 0, made.stderr
    assert f"made the user nils, {role};" in made.stderr
    assert principal(settings, made.stdout).scopes == set(scopes.split(","))


def test_each_scope_is_in_a_role() -> None:
    for scope in ALL_SCOPES:
        assert roles_that_allow([scope])


def test_a_token_for_a_users_id_goes_by_the_users_roles(millrace: CliRunner) -> None:
    """The subject was taken for a machine's, with every scope."""
    user = millrace.invoke(app, ["users", "create", "olaf", "--role", "customer"]).stdout.strip()
    refused = millrace.invoke(app, ["token", user])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--user" in refused.stderr


def test_a_user_is_given_other_roles(millrace: CliRunner, settings: Settings) -> None:
    """Nothing could change the roles of a user once made."""
    assert millrace.invoke(app, ["users", "create", "rosa", "--role", "customer"]).exit_code == 0
    assert millrace.invoke(app, ["users", "roles", "rosa", "--role", "finance", "--role", "operator"]).exit_code == 0
    token = millrace.invoke(app, ["token", "--user", "rosa"])
    scopes = principal(settings, token.stdout).scopes
    assert {Scope.LEDGER_WRITE, Scope.ALIASES_VERIFY} <= scopes
    assert Scope.PAYMENTS_WRITE not in scopes
    nobody = millrace.invoke(app, ["users", "roles", "nobody", "--role", "finance"])
    assert (nobody.exit_code, nobody.stderr) == (1, "millrace: no user is called nobody\n")


def test_a_suspended_user_gets_no_token_until_restored(millrace: CliRunner) -> None:
    """Nothing could suspend a user."""
    assert millrace.invoke(app, ["token", "--user", "sven"]).exit_code == 0
    assert millrace.invoke(app, ["users", "suspend", "sven"]).exit_code == 0
    refused = millrace.invoke(app, ["token", "--user", "sven"])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "the user sven is suspended" in refused.stderr
    assert millrace.invoke(app, ["users", "restore", "sven"]).exit_code == 0
    assert millrace.invoke(app, ["token", "--user", "sven"]).exit_code == 0


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
