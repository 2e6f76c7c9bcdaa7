"""Goal: each command says what it did, to people and to machines; what went wrong ends in advice and its exit code."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from ingest_api.problems import Fault
from millrace.cli import EXIT_FAILED, EXIT_NOT_RUNNING, EXIT_UNKNOWN, app
from millrace.client.credentials import ApiKey, Bearer, ClientCredentials, Password
from millrace.client.signatures import SignedRequests
from millrace.remote.profiles import ProfileRefused, chosen
from payments.rejections import Reason
from tests.client.world import PAYMENT, problem
from tests.remote.conftest import Run

MOVE = ("transfer", "acc_1", "acc_2", "10.50", "EUR")


def paid(request: httpx.Request) -> httpx.Response:
    assert json.loads(request.content)["amount"] == "10.50"
    assert request.headers["Authorization"] == "Bearer mk_1"
    return httpx.Response(201, json=PAYMENT | {"description": "[red]not markup"})


def refused(_: httpx.Request) -> httpx.Response:
    return httpx.Response(422, content=problem(Reason.INSUFFICIENT_FUNDS).content)


def unknown(_: httpx.Request) -> httpx.Response:
    return httpx.Response(503, content=problem(Fault.OUTCOME_UNKNOWN).content)


def nobody(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def test_a_transfer_is_shown_to_people_and_to_machines(run: Run) -> None:
    shown = run(paid, *MOVE)
    assert shown.exit_code == 0, shown.output
    assert "pay_1" in shown.output
    assert "[red]not markup" in shown.output
    assert json.loads(run(paid, *MOVE, "--json").output)["amount_minor"] == 1050


def test_what_went_wrong_has_advice_and_a_code(run: Run) -> None:
    no = run(refused, *MOVE)
    assert (no.exit_code, "insufficient_funds" in no.stderr, "request r-1" in no.stderr) == (EXIT_FAILED, True, True)
    assert json.loads(run(refused, *MOVE, "--json").stdout)["code"] == "insufficient_funds"
    maybe = run(unknown, *MOVE, "--key", "order-7")
    assert maybe.exit_code == EXIT_UNKNOWN
    assert "--key order-7" in maybe.stderr
    assert run(nobody, *MOVE).exit_code == EXIT_NOT_RUNNING


def test_an_id_that_can_not_be_one_is_told_without_a_traceback(run: Run) -> None:
    wrong = run(paid, "accounts", "show", "")
    assert (wrong.exit_code, "is empty" in wrong.stderr) == (EXIT_FAILED, True)


def test_a_list_takes_only_as_many_pages_as_it_shows(run: Run) -> None:
    asked: list[str] = []

    def accounts(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("cursor", ""))
        items = [{"id": f"acc_{len(asked)}{n}", "type": "wallet", "currency": "EUR"} for n in range(2)]
        return httpx.Response(200, json={"items": items, "has_more": True, "next_cursor": str(len(asked))})

    shown = json.loads(run(accounts, "accounts", "list", "-n", "3", "--json").output)
    assert [account["id"] for account in shown] == ["acc_10", "acc_11", "acc_20"]
    assert asked == ["", "1"]


def test_watch_begins_with_the_latest_and_goes_on(run: Run) -> None:
    queries: list[dict[str, str]] = []

    def events(request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        queries.append(query)
        told = {"type": "payment.posted", "timestamp": "2026", "object": "pay_1", "data": {"amount": "1.00"}}
        if query.get("order") == "newest":
            return httpx.Response(200, json={"items": [], "has_more": True, "next_cursor": "place-40"})
        number = len(queries)
        page = {"items": [told | {"id": f"evt_{number}"}], "has_more": False, "next_cursor": f"place-{number}"}
        return httpx.Response(200, json=page)

    shown = run(events, "watch", "acc_1", "--last", "2", "--count", "3", "--json")
    assert [json.loads(line)["id"] for line in shown.output.splitlines()] == ["evt_2", "evt_3", "evt_4"]
    assert queries[0] == {"account": "acc_1", "order": "newest", "limit": "3"}
    assert [query["cursor"] for query in queries[1:]] == ["place-40", "place-2", "place-3"]
    assert "payment.posted" in run(events, "watch", "pay_1", "--count", "1").output
    assert queries[-1]["object"] == "pay_1"


PROFILES: dict[str, tuple[str, Any]] = {
    "key": ('api_key = "mk_1"', ApiKey("mk_1")),
    "token": ('token = "ey"', Bearer("ey")),
    "client": ('client_id = "till"\nclient_secret = "s"', ClientCredentials("till", "s")),
}


def test_a_profile_says_where_and_who(profiles: Path, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("PEM")
    tables = [f'[{name}]\nurl = "http://{name}"\n{fields}\n' for name, (fields, _) in PROFILES.items()]
    signing = f'key_id = "key_1"\nalgorithm = "ed25519"\nprivate_key_file = "{tmp_path}/key.pem"'
    user = 'username = "anna"\npassword = "p"'
    profiles.write_text("\n".join([*tables, f'[signs]\nurl = "u"\n{signing}', f'[anna]\nurl = "u"\n{user}']))
    for name, (_, credentials) in PROFILES.items():
        assert chosen(None, name) == (f"http://{name}", credentials)
    assert chosen("http://else", "key").url == "http://else"
    assert chosen(None, "signs").credentials == SignedRequests("key_1", "ed25519", "PEM")
    anna = chosen(None, "anna").credentials
    assert isinstance(anna, Password)
    assert (anna.username, anna.password, anna.otp is not None) == ("anna", "p", True)


def test_a_profile_that_others_can_read_is_not_read(run: Run, profiles: Path) -> None:
    profiles.chmod(0o640)
    shown = run(paid, *MOVE)
    assert (shown.exit_code, f"chmod 600 {profiles}" in shown.stderr) == (EXIT_FAILED, True)


def test_a_profile_that_says_too_little_is_refused(profiles: Path) -> None:
    for text, why in {
        '[default]\napi_key = "x"': "needs a url",
        '[default]\nurl = "u"': "one of",
        '[default]\nurl = "u"\nclient_id = "x"': "one of",
        '[default]\nurl = "u"\napi_key = 1': "texts in quotes",
        "[default": "profiles.toml",
        '[till]\nurl = "u"\napi_key = "x"': "no profile default",
    }.items():
        profiles.write_text(text)
        with pytest.raises(ProfileRefused, match=why):
            chosen(None, "default")


def completed(*words: str) -> list[str]:
    """What bash is told after these words, the last of which has only begun."""
    asked = {"COMP_WORDS": " ".join(["millrace", *words]), "COMP_CWORD": str(len(words))}
    return (
        CliRunner()
        .invoke(app, env=asked | {"_MILLRACE_COMPLETE": "complete_bash"}, prog_name="millrace")
        .output.split()
    )


def groups(group: TyperGroup, *path: str) -> Iterator[tuple[tuple[str, ...], TyperGroup]]:
    """Each group of commands, by the words that lead to it."""
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from groups(command, *path, name)


def test_shells_complete_every_command_however_deep_and_its_options() -> None:
    assert completed("accounts", "b") == ["balance"]
    root = typer.main.get_group(app)
    assert isinstance(root, TyperGroup)
    found = {path: list(group.commands) for path, group in groups(root)}
    assert {("accounts",), ("recon", "internal"), ("quarantine",)} <= found.keys()
    assert {path: completed(*path, "") for path in found} == found
    assert {"--url", "--profile"} <= set(completed("quarantine", "list", "--"))
