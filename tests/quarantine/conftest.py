"""A whole installation, and an operator: bad commands in, cases out, by command line and HTTP."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from confluent_kafka import Message, Producer
from psycopg import Connection

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from ingest_api.quarantine import cases
from ingest_api.quarantine.cases import Case
from millrace.environment import LocalEnvironment
from payments.commands import NO_REPLY, Command, CommandKind
from payments.identifiers import ACCOUNT, derive_account_id, format_id, parse_id
from schemas.codec.commands import encode_command
from schemas.origin import Origin
from schemas.partitioning import shard_of
from schemas.topics import COMMANDS
from tests.ingest_api.client import ApiClient
from tests.support.environment import running_installation
from tests.support.waiting import eventually

DEADLINE_S = 40


class Operator:
    """One installation's senders and operators."""

    def __init__(self, environment: LocalEnvironment) -> None:
        self.settings = environment.settings
        self.profile: Mapping[str, str] = {}
        self.shards = environment.settings.shards
        assert environment.addresses.api_url is not None
        self.url = environment.addresses.api_url
        self.api = self.caller(*ALL_SCOPES)
        self._producer = Producer({"bootstrap.servers": self.settings.kafka_bootstrap, "linger.ms": 0})

    def caller(self, *scopes: Any) -> ApiClient:
        return ApiClient(self.url, issue_token(self.settings, "olga", scopes, 600))

    def accounts(self, funds: str = "100.00") -> tuple[str, str]:
        """A funded payer and a payee."""
        return self.api.funded_account(funds), self.api.open_account()

    def send(self, partition: int, value: bytes, key: bytes | None = b"anybody") -> Origin:
        """Write bytes to payments.commands; the origin of its first item."""
        reports: list[Message] = []
        self._producer.produce(COMMANDS.name, value, key, partition, on_delivery=lambda _, made: reports.append(made))
        self._producer.flush(DEADLINE_S)
        return Origin(COMMANDS.name, partition, reports[0].offset(), 0)

    def send_astray(self, command: Command) -> Origin:
        """Write a command to a partition that is not its account's."""
        return self.send((shard_of(command.authority, self.shards) + 1) % self.shards, encode_command(command))

    def await_case(self, origin: Origin) -> Case:
        """The case, once the sink has applied it."""
        found: list[Case] = []

        def look() -> bool:
            with self.desk() as connection:
                found.extend(case for case in [cases.find_case(connection, origin)] if case is not None)
            return bool(found)

        eventually(look)
        return found[0]

    def desk(self) -> Connection:
        return psycopg.connect(self.settings.database_url, autocommit=True)

    def run(self, *arguments: str, failpoint: str = "") -> "subprocess.CompletedProcess[str]":
        """`millrace quarantine …` as a process."""
        return subprocess.run(
            [sys.executable, "-m", "millrace", "quarantine", *arguments],
            env={**os.environ, **(self.profile or self.settings.variables()), "MILLRACE_FAILPOINT": failpoint},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *arguments: str, expect: int = 0) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def far(self, profiles: Path) -> Self:
        """The same operator at another machine: what is not told there is asked of the API."""
        token = issue_token(self.settings, "olga", ALL_SCOPES, 600)
        profiles.write_text(f'[far]\nurl = "{self.url}"\ntoken = "{token}"\n')
        profiles.chmod(0o600)
        there = copy(self)
        there.profile = {"MILLRACE_PROFILES": str(profiles), "MILLRACE_PROFILE": "far"}
        return there

    def await_balance(self, account: str, posted_minor: int) -> None:
        """Until Postgres shows it; an account that it does not show yet is waited for too."""
        path = f"/v1/accounts/{account}/balance"
        eventually(lambda: self.api.get(path).json().get("posted_minor") == posted_minor)


def transfer(payer: str, payee: str, amount_minor: int = 500, **fields: Any) -> Command:
    """A transfer with a key of its own."""
    key = secrets.token_hex(8)
    command = Command(CommandKind.TRANSFER, _bytes_of(payer), _bytes_of(payee), amount_minor, "EUR", NO_REPLY, key)
    return command._replace(**fields)


def stranger() -> str:
    """An account that was never opened."""
    return format_id(ACCOUNT, derive_account_id("stranger", secrets.token_hex(8)))


def _bytes_of(account: str) -> bytes:
    parsed = parse_id(ACCOUNT, account)
    assert parsed is not None
    return parsed


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEnvironment]:
    """Of its own: its cases are counted."""
    with running_installation(tmp_path_factory.mktemp("quarantine")) as environment:
        yield environment


@pytest.fixture(scope="package")
def operator(installation: LocalEnvironment) -> Operator:
    return Operator(installation)
