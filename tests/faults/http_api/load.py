"""Payments by POST /v1/transfers at a steady rate: callers repeat until they know, some too early, some tenfold.

Every payment has a key of its own. A caller that is left without an answer repeats with the same key, as the API tells
it to; one in a hundred gives up after some milliseconds, and one in a hundred submits ten times at once.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

import msgspec
import psycopg
import uvloop

from benchmarks.http_load import Answer, Connection, LoadClient
from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.environment import LocalEnvironment
from payments.identifiers import ACCOUNT, PAYMENT, format_id
from tests.faults.http_api.history import Attempt, Expected, Row, ShownPayment, Told, disagreements, read_answer
from tests.faults.load import CURRENCY, SLICE_S, UNKNOWN_PAYEE_PERCENT, Load, Sent

CALLERS = 400
"""At 1,000 payments/s and 0.1 s each 100 are in flight; after 3 s without an API the others catch up."""

TENFOLD_PER_MILLE, IMPATIENT_PER_MILLE = 10, 10
ANSWER_DEADLINE_S = 15.0
GIVES_UP_S = 0.02
RETRY_PAUSE_S, RETRY_PAUSE_MAX_S = 0.1, 1.0
"""With a pause that did not grow, the callers of an API that was down kept the load from sending: 37 payments/s."""
KNOWN_DEADLINE_S = 90
"""A broker's restart takes 10 s here, the API's 4 s; beyond this a caller has every reason to call it lost."""

STATUS_OF_STATE = {0: "authorised", 1: "rejected", 2: "posted", 4: "returned"}


class HttpLoad(Load):
    """The same payments as Load's, by HTTP."""

    def __init__(self, env: LocalEnvironment, seed: int, rate_per_s: int) -> None:
        super().__init__(env, seed, rate_per_s)
        token = issue_token(env.settings, "faults", ALL_SCOPES, 3_600)
        self._address = env.settings.api_host, env.settings.api_port
        self._client = LoadClient(f"http://{self._address[0]}:{self._address[1]}", token)
        self._idle: asyncio.Queue[Connection | None] = asyncio.Queue()
        self.attempts: list[Attempt] = []

    def run(self) -> None:
        uvloop.run(self._pay_steadily())

    def finish(self) -> None:
        """Stop sending; callers without an answer go on until they have one."""
        self._finishing.set()
        self.join()

    def disagreements(self, database_url: str) -> list[str]:
        asked = {
            key: Expected(format_id(ACCOUNT, s.payer), format_id(ACCOUNT, s.payee), s.amount_minor)
            for key, s in self.sent.items()
        }
        with psycopg.connect(database_url) as database:
            found = database.execute("SELECT payment_id, state FROM payments").fetchall()
        rows = [Row(format_id(PAYMENT, id_.bytes), STATUS_OF_STATE[state]) for id_, state in found]
        return disagreements(self.attempts, asked, rows)

    async def _pay_steadily(self) -> None:
        for _ in range(CALLERS):
            self._idle.put_nowait(None)
        started_s, begun = time.monotonic(), 0
        async with asyncio.TaskGroup() as callers:
            while not self._finishing.is_set():
                due = int((time.monotonic() - started_s) * self._rate_per_s)
                for number in range(begun, due):  # not one for each turn of a loop that is full of repeating callers
                    callers.create_task(self._pay_once(number))
                begun = max(begun, due)
                await asyncio.sleep(SLICE_S)
        while not self._idle.empty():
            if connection := self._idle.get_nowait():
                connection.close()

    async def _pay_once(self, number: int) -> None:
        payer = self._random.choice(self.accounts)
        unknown = self._random.randrange(100) < UNKNOWN_PAYEE_PERCENT
        payee = self._stranger if unknown else self._random.choice([a for a in self.accounts if a != payer])
        key, amount_minor = f"{self._run}-{number}", self._random.randrange(1, 500)
        self.sent[key] = Sent(payer, payee, amount_minor, key)
        self.unacknowledged.add(key)
        request = self._request(self.sent[key])
        chance = random.Random(number)
        times = 10 if chance.randrange(1_000) < TENFOLD_PER_MILLE else 1
        impatient = chance.randrange(1_000) < IMPATIENT_PER_MILLE
        patience_s = chance.uniform(0.001, GIVES_UP_S) if impatient else ANSWER_DEADLINE_S
        await asyncio.gather(*(self._until_known(key, request, patience_s) for _ in range(times)))

    def _request(self, sent: Sent) -> bytes:
        body = {
            "from_account": format_id(ACCOUNT, sent.payer),
            "to_account": format_id(ACCOUNT, sent.payee),
            "amount": f"{sent.amount_minor // 100}.{sent.amount_minor % 100:02}",
            "currency": CURRENCY,
        }
        headers = {"Idempotency_Key": sent.key, "Content_Type": "application/json", "Prefer": "wait=5"}
        return self._client.request("POST", "/v1/transfers", msgspec.json.encode(body), **headers)

    async def _until_known(self, key: str, request: bytes, patience_s: float) -> None:
        deadline_s = time.monotonic() + KNOWN_DEADLINE_S
        pause_s = RETRY_PAUSE_S
        while time.monotonic() < deadline_s:
            attempt = await self._attempt(key, request, patience_s)
            self.attempts.append(attempt)
            patience_s = ANSWER_DEADLINE_S
            if attempt.payment is not None:
                self.unacknowledged.discard(key)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_PAUSE_MAX_S)

    async def _attempt(self, key: str, request: bytes, patience_s: float) -> Attempt:
        started_s = time.monotonic()
        told, payment, replayed = Told.UNKNOWN, None, False
        with contextlib.suppress(OSError, TimeoutError):
            async with self._connection() as connection:
                started_s = time.monotonic()
                answer = await asyncio.wait_for(connection.ask(request), patience_s)
                told, payment, replayed = _read(answer)
        return Attempt(key, told, started_s, time.monotonic(), payment, replayed)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """One of CALLERS; a caller that was not answered closes it."""
        connection = await self._idle.get()
        try:
            if connection is None:
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(Connection, *self._address)
            yield connection
        except BaseException:
            if connection is not None:
                connection.close()
            connection = None
            raise
        finally:
            self._idle.put_nowait(connection)


def _read(answer: Answer) -> tuple[Told, ShownPayment | None, bool]:
    told, payment = read_answer(answer.status, answer.body)
    return told, payment, answer.headers.get("idempotency-replayed") == "true"
