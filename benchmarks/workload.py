"""Accounts and payments of a benchmark run: made before the clock starts, different ids in every run."""

import random
import secrets
from collections.abc import Iterator

import msgspec

from benchmarks.http_load import Answer, LoadClient
from payments.errors import InvariantViolation

CURRENCY = "EUR"
SETUP_LINES = 1_000
FUNDS = "1000000000.00"


class Workload:
    """Accounts opened and funded through the batch route, and the requests of the load on them."""

    def __init__(self, client: LoadClient, accounts: int, seed: int) -> None:
        self._client = client
        self._random = random.Random(seed)
        self._run = secrets.token_hex(6)
        self._accounts_wanted = accounts
        self.accounts: list[str] = []
        self._next_key = 0

    async def open_accounts(self) -> None:
        """Open and fund every account. Raises InvariantViolation when the API refuses one."""
        opened: list[str] = []

        def seen(answer: Answer) -> None:
            if answer.status not in (200, 201):
                raise InvariantViolation(f"opening an account: {answer.status} {answer.body.decode()[:300]}")
            opened.append(msgspec.json.decode(answer.body)["id"])

        body = msgspec.json.encode({"currency": CURRENCY})
        requests = (
            self._client.request(
                "POST",
                "/v1/accounts",
                body,
                Idempotency_Key=f"open-{self._run}-{number}",
                Content_Type="application/json",
            )
            for number in range(self._accounts_wanted)
        )
        await self._client.run(requests, 32, seen)
        self.accounts = opened
        deposits = [
            {"kind": "deposit", "account": id_, "amount": FUNDS, "currency": CURRENCY, "idempotency_key": "funds"}
            for id_ in opened
        ]
        await self._client.run(self._batched(deposits, SETUP_LINES), 1, require_accepted)

    def batches(self, payments: int, lines: int) -> list[bytes]:
        """Whole requests for the batch route."""
        return list(self._batched([self._transfer() for _ in range(payments)], lines))

    def singles(self, payments: int, wait_s: int) -> list[bytes]:
        """Whole requests for the single route."""
        return [self._single(wait_s) for _ in range(payments)]

    def _single(self, wait_s: int) -> bytes:
        body = self._transfer()
        key = body.pop("idempotency_key")
        return self._client.request(
            "POST",
            "/v1/transfers",
            msgspec.json.encode(body),
            Idempotency_Key=key,
            Content_Type="application/json",
            Prefer=f"wait={wait_s}",
        )

    def _transfer(self) -> dict[str, str]:
        self._next_key += 1
        payer, payee = self._random.sample(self.accounts, 2)
        return {
            "from_account": payer,
            "to_account": payee,
            "amount": f"{self._random.randrange(1, 1_000)}.{self._random.randrange(100):02}",
            "currency": CURRENCY,
            "idempotency_key": f"{self._run}-{self._next_key}",
        }

    def _batched(self, items: list[dict[str, str]], lines: int) -> Iterator[bytes]:
        for at in range(0, len(items), lines):
            body = b"\n".join(map(msgspec.json.encode, items[at : at + lines]))
            yield self._client.request("POST", "/v1/transfers:batch", body, Content_Type="application/x-ndjson")


def require_accepted(answer: Answer) -> None:
    """Raises InvariantViolation: a figure with refused payments in it would mean nothing."""
    if answer.status not in (200, 201, 202) or b'"rejected":[{' in answer.body:
        raise InvariantViolation(f"refused: {answer.status} {answer.body.decode()[:500]}")
