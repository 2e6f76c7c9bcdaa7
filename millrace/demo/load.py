"""Opens the accounts, funds the debtors, and pushes the payments through `POST /v1/transfers:batch`.

Every step may be repeated with the same keys: a second run of the demo moves nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import NamedTuple

import msgspec

from millrace.demo.client import PatientClient
from millrace.demo.payments_file import RealPayment, banks, batches, funding_minor
from payments.errors import InvariantViolation
from payments.identifiers import ACCOUNT, derive_operation_id, parse_id
from payments.money import format_minor
from schemas.partitioning import shard_of

BATCH_LINES = 500
CONCURRENT_BATCHES = 4
CONCURRENT_SINGLES = 16
_PATIENT = "wait=30"
"""Right after a start the first decision waits for the group to form."""

TOKEN_HEADER = "Consistency-Token"

Job = Callable[[], Awaitable[None]]

Progress = Callable[[int], None]
"""Called with the number of items just done."""


class BatchTiming(NamedTuple):
    """One batch: how long from its sending until all of it was final and visible in Postgres."""

    payments: int
    visible_ms: int


class Load:
    """What was done, and how long it took."""

    def __init__(self, client: PatientClient, payments: list[RealPayment], shards: int) -> None:
        self._client = client
        self._shards = shards
        self.payments = payments
        self.accounts: dict[str, str] = {}
        """BIC → account id."""
        self.timings: list[BatchTiming] = []

    @property
    def banks(self) -> list[str]:
        return banks(self.payments)

    @property
    def funding_minor(self) -> dict[str, int]:
        return funding_minor(self.payments)

    async def open_accounts(self, progress: Progress) -> None:
        """One account per bank. The account id follows from the key, so a second run finds the same ones."""
        currency = self.payments[0].currency

        async def open_one(bic: str) -> None:
            response = await self._client.call(
                "POST",
                "/v1/accounts",
                headers={"Idempotency-Key": f"demo-open-{bic}", "Prefer": _PATIENT},
                json={"currency": currency},
            )
            _require(response.status_code in (200, 201), f"opening the account of {bic}", response.text)
            self.accounts[bic] = response.json()["id"]
            progress(1)

        await _bounded(CONCURRENT_SINGLES, [partial(open_one, bic) for bic in self.banks])

    async def fund(self, progress: Progress) -> None:
        """Deposit to each debtor its share of what it will send, and wait until it shows: what follows is counted."""
        currency = self.payments[0].currency

        async def fund_one(bic: str, minor: int) -> None:
            response = await self._client.call(
                "POST",
                f"/v1/accounts/{self.accounts[bic]}/deposit",
                headers={"Idempotency-Key": "demo-fund", "Prefer": _PATIENT},
                json={"amount": format_minor(minor, currency), "currency": currency, "method": "cash"},
            )
            _require(response.status_code in (200, 201, 202), f"funding {bic}", response.text)
            await self._read_back(response.headers[TOKEN_HEADER])
            progress(1)

        await _bounded(CONCURRENT_SINGLES, [partial(fund_one, *item) for item in self.funding_minor.items()])

    async def push(self, accepted: Progress, visible: Progress) -> None:
        """All payments, in batches, each followed until it is final and visible in Postgres."""
        followers: list[asyncio.Task[None]] = []

        async def push_batch(batch: list[RealPayment]) -> None:
            started_s = time.monotonic()
            token = await self._send(batch)
            accepted(len(batch))
            followers.append(asyncio.create_task(follow(len(batch), started_s, token)))

        async def follow(count: int, started_s: float, token: str) -> None:
            await self._follow(count, started_s, token)
            visible(count)

        await _bounded(
            CONCURRENT_BATCHES, [partial(push_batch, batch) for batch in batches(self.payments, BATCH_LINES)]
        )
        await asyncio.gather(*followers)

    def payment_ids(self) -> list[bytes]:
        """The payment ids that follow from the accounts and keys."""
        ids = []
        for payment in self.payments:
            payer = parse_id(ACCOUNT, self.accounts[payment.debtor])
            assert payer is not None, "the API answers with account ids"
            ids.append(derive_operation_id(payer, payment.payment_id, shard_of(payer, self._shards)))
        return ids

    async def _send(self, batch: list[RealPayment]) -> str:
        lines = b"\n".join(msgspec.json.encode(self._line(payment)) for payment in batch)
        headers = {"Content-Type": "application/x-ndjson"}
        response = await self._client.call("POST", "/v1/transfers:batch", headers=headers, content=lines)
        _require(response.status_code in (200, 202, 207), "a batch", response.text)
        return response.headers[TOKEN_HEADER]

    def _line(self, payment: RealPayment) -> dict[str, str]:
        return {
            "from_account": self.accounts[payment.debtor],
            "to_account": self.accounts[payment.creditor],
            "amount": format_minor(payment.amount_minor, payment.currency),
            "currency": payment.currency,
            "idempotency_key": payment.payment_id,
        }

    async def _read_back(self, token: str) -> None:
        """A read with the write's token is answered once everything behind it is final and visible."""
        response = await self._client.call(
            "GET", "/v1/transactions", headers={TOKEN_HEADER: token}, params={"limit": "1"}
        )
        _require(response.status_code == 200, "reading back", response.text)

    async def _follow(self, count: int, started_s: float, token: str) -> None:
        await self._read_back(token)
        self.timings.append(BatchTiming(count, round((time.monotonic() - started_s) * 1000)))


def percentile_ms(timings: Iterable[BatchTiming], percent: int) -> int:
    """Time by which this share of the payments was visible; a payment counts as slow as the last of its batch."""
    ordered = sorted(timings, key=lambda timing: timing.visible_ms)
    wanted = sum(timing.payments for timing in ordered) * percent / 100
    seen = 0
    for timing in ordered:
        seen += timing.payments
        if seen >= wanted:
            return timing.visible_ms
    return 0


def _require(good: bool, what: str, answer: str) -> None:
    if not good:
        raise InvariantViolation(f"{what} was refused: {answer[:500]}")


async def _bounded(limit: int, jobs: list[Job]) -> None:
    """Run all jobs, at most `limit` at a time, in order of their start. Raises the first failure, cancels the rest."""
    slots = asyncio.Semaphore(limit)

    async def run(job: Job) -> None:
        async with slots:
            await job()  # made here: one that is made and then never awaited is warned about at Ctrl-C

    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(run(job))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
