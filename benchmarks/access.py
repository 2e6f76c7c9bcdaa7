"""`DATABASE_URL=… python -m benchmarks.access`: what ownership costs a POST /v1/transfers, in process, in CPU µs.

The call is whole but for Kafka, the replies and the look for earlier decisions. Each way runs in rounds; the quickest
is shown, because what makes the others slower is the rest of the machine. Postgres' own work is not in the figures.
Writes the owner of an account into the database that is named: use one to throw away.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.machine import machine
from ingest_api.aliases.parties import USER
from ingest_api.http.call import Call
from ingest_api.identity.tokens import Principal, Scope, issue_token
from ingest_api.owners import access
from ingest_api.owners.access import Access
from ingest_api.owners.register import By
from ingest_api.owners.rights import Action, Role
from ingest_api.publisher import Publisher, Record
from ingest_api.reads.earlier_decisions import Asked, EarlierDecisions, Found
from ingest_api.services import Services
from ingest_api.submission import Submission
from ingest_api.transfers import create_transfer
from payments.identifiers import ACCOUNT, format_id
from runtime import migrate
from runtime.settings import Settings

ROUNDS, CALLS, TOGETHER = 20, 500, 100
_USER, _ACCOUNT, _PAYEE = (bytes([number]) * 16 for number in (0x41, 0x42, 0x43))


class _NoKafka(Publisher):
    def __init__(self) -> None:
        """Takes everything at once."""

    def send(self, records: Sequence[Record], headers: list[tuple[str, bytes]]) -> Any:
        return self

    async def wait(self) -> dict[int, int]:
        return {0: 1}


class _NothingEarlier(EarlierDecisions):
    def __init__(self) -> None:
        """Nothing was decided long ago."""

    async def find_together(self, asked: Sequence[Asked]) -> Found:
        return {}


class _Everybody(Access):
    async def require(self, principal: Principal, account: bytes, action: Action) -> None:
        """As before there were owners."""


async def cpu_us(step: Callable[[], Awaitable[object]], calls: int) -> float:
    """CPU µs a call, in one round."""
    began = time.process_time()
    for _ in range(calls):
        await step()
    return (time.process_time() - began) / calls * 10**6


async def figures(settings: Settings) -> dict[str, float]:
    """By way of deciding."""
    made = Services.of(settings)
    submission = Submission(_NoKafka(), made.waiting, _NothingEarlier(), settings.shards)
    services = Services(**vars(made) | {"submission": submission})
    unchecked = Services(**vars(services) | {"access": _Everybody(made.database)})
    forgetful = Services(**vars(services) | {"access": Access(made.database, _Running())})
    await made.database.open()
    await made.owners.open()
    await made.owners.establish(_ACCOUNT, {_USER: Role.OWNER}, By("benchmark", "benchmark"))
    anna = issue_token(settings, format_id(USER, _USER), [Scope.PAYMENTS_WRITE], 600)
    service = issue_token(settings, "till", [Scope.PAYMENTS_WRITE, Scope.ACCOUNTS_ANY], 600)
    ways: dict[str, Callable[[], Awaitable[float]]] = {
        "without asking whose account it is": lambda: cpu_us(lambda: transfer(unchecked, service), CALLS),
        "a service, by its scope": lambda: cpu_us(lambda: transfer(services, service), CALLS),
        f"a user, role read less than {access.ROLE_KEPT_S} s ago": lambda: cpu_us(
            lambda: transfer(services, anna), CALLS
        ),
        "a user, role read from Postgres": lambda: cpu_us(lambda: transfer(forgetful, anna), CALLS // 5),
        f"the same, {TOGETHER} at a time": lambda: together(forgetful, anna),
    }
    rounds = [[await way() for way in ways.values()] for _ in range(ROUNDS)]
    results = {name: round(min(each), 1) for name, each in zip(ways, zip(*rounds, strict=True), strict=True)}
    await made.owners.close()
    await made.database.close()
    return results


async def together(services: Services, token: str) -> float:
    """CPU µs a call, of calls of one moment: they share a query."""

    async def moment() -> None:
        await asyncio.gather(*(transfer(services, token) for _ in range(TOGETHER)))

    return await cpu_us(moment, 5) / TOGETHER


class _Running:
    """A clock on which every look is too old."""

    def __init__(self) -> None:
        self._now = 0

    def __call__(self) -> int:
        self._now += 2 * access.ROLE_KEPT_S
        return self._now


_BODY = msgspec.json.encode(
    {"from_account": format_id(ACCOUNT, _ACCOUNT), "to_account": format_id(ACCOUNT, _PAYEE), "amount": "1.00"}
    | {"currency": "EUR"}
)


async def transfer(services: Services, token: str) -> None:
    """One call, answered 202."""
    headers = {
        b"authorization": f"Bearer {token}".encode(),
        b"content-type": b"application/json",
        b"idempotency-key": b"order-4711",
        b"prefer": b"wait=0",
    }
    answer = await create_transfer(services, Call("/v1/transfers", headers, _received))
    assert answer.status == 202, answer.body


async def _received() -> dict[str, Any]:
    return {"type": "http.request", "body": _BODY}


def main() -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), api_client_commands_per_s=10**9, api_client_burst=10**9)
        migrate.up(settings.database_url, "sinks")
        results = asyncio.run(figures(settings))
    text = msgspec.json.format(msgspec.json.encode({"us": results, "machine": machine()}), indent=2).decode()
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
