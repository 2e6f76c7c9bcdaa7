"""An installation of its own behind the gateway, with users who have passwords, accounts and money, for load plans."""

import argparse
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.environment import LocalEnvironment, ports
from millrace.environment.layout import home_of
from runtime.settings import Settings

PASSWORD = "a load plan's own pass phrase"
_TIMEOUT_S = 60
_API_PROCESSES = 2


class Payer(NamedTuple):
    """A virtual user, and whom it pays."""

    username: str
    account: str
    payee: str


class Target(NamedTuple):
    """Where to send load, and as whom."""

    url: str
    authority: Path
    payers: list[Payer]


def arguments(command: str, description: str | None) -> argparse.Namespace:
    """How long and by how many."""
    parser = argparse.ArgumentParser(prog=command, description=description)
    parser.add_argument("--users", type=int, default=16, help="virtual users, each with a log-in of its own")
    parser.add_argument("--seconds", type=int, default=30)
    return parser.parse_args()


@contextmanager
def behind_a_gateway(users: int) -> Iterator[Target]:
    """Two API processes behind nginx; ends with the block."""
    kafka, postgres = ports.free_base([1]), ports.free_base([])
    own = ports.free_base(range(1, _API_PROCESSES + 1))
    with tempfile.TemporaryDirectory(prefix="millrace-load-") as home:
        settings = Settings(
            home=Path(home),
            kafka_port=kafka,
            postgres_port=postgres,
            gateway=True,
            gateway_port=own,
            gateway_requests_per_s=1_000_000,
            gateway_connections=65_535,
            api_port=own + 1,
            api_processes=_API_PROCESSES,
        )
        with LocalEnvironment(settings) as environment:
            authority = home_of(settings).gateway_authority
            url = f"https://localhost:{settings.gateway_port}"
            yield Target(url, authority, _payers(environment, url, authority, users))


def _payers(environment: LocalEnvironment, url: str, authority: Path, count: int) -> list[Payer]:
    """Each pays the next one."""
    context = ssl.create_default_context(cafile=str(authority))
    token = issue_token(environment.settings, "load", ALL_SCOPES, 3_600)
    headers = {"Authorization": f"Bearer {token}", "Prefer": "wait=30"}
    with httpx.Client(base_url=f"{url}/v1", headers=headers, verify=context, timeout=_TIMEOUT_S) as http:
        accounts = [_account(http, number) for number in range(count)]
    return [Payer(_name(number), account, accounts[number - 1]) for number, account in enumerate(accounts)]


def _name(number: int) -> str:
    return f"payer-{number}"


def _account(http: httpx.Client, number: int) -> str:
    """Of a user who has just signed up, with money in it."""
    signed_up = http.post("/users", json={"username": _name(number), "password": PASSWORD}).raise_for_status().json()
    owners = [{"user": signed_up["userId"], "role": "owner"}]
    keys = [{"Idempotency-Key": f"{what}-{number}"} for what in ("open", "deposit")]
    opened = http.post("/accounts", json={"currency": "EUR", "owners": owners}, headers=keys[0]).raise_for_status()
    account: str = opened.json()["id"]
    money = {"amount": "100000.00", "currency": "EUR", "method": "cash"}
    http.post(f"/accounts/{account}/deposit", json=money, headers=keys[1]).raise_for_status()
    return account
