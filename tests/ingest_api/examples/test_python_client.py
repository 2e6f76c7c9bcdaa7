"""Goal: through the Python client money moves once, whatever the line loses, and what was moved is found again.

Method: a whole installation behind a TCP line that swallows answers; the server has done what it was asked by then.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ingest_api.identity.tokens import ALL_SCOPES, issue_token
from millrace.client import AsyncClient, Bearer, Client, InsufficientFunds, OutcomeUnknown, RetryPolicy, transfer_line
from runtime.settings import Settings
from tests.support.lines.tcp import Connection, TcpLine
from tests.support.waiting import PATIENCE_S, eventually

LOAD_LINES, LOAD_BATCH = 40, 4


class LosingLine(TcpLine):
    """Breaks the connection in the place of the next `to_lose` answers; holds still at the piece `holds_at` of them."""

    to_lose = 0
    holds_at = 0

    async def _next_piece(self, connection: Connection, source: asyncio.StreamReader) -> bytes:
        piece = await super()._next_piece(connection, source)
        if not piece or source is not connection.server_reader:
            return piece
        if self.to_lose:
            self.to_lose -= 1
            connection.abort()
            return b""
        self.holds_at -= 1
        if self.holds_at == 0:
            self.hold()
        return piece


@pytest.fixture
async def line(api_url: str) -> AsyncIterator[LosingLine]:
    address = urlsplit(api_url)
    line = LosingLine(address.hostname or "", address.port or 80)
    await line.mend()
    yield line
    await line.cut()


@pytest.fixture
def token(settings: Settings) -> Bearer:
    return Bearer(issue_token(settings, "tester", ALL_SCOPES, 600))


@pytest.fixture
def client(api_url: str, token: Bearer) -> Iterator[Client]:
    """Straight to the API."""
    with Client(api_url, token) as made:
        yield made


def funded(client: Client, amount: str) -> tuple[str, str]:
    """Two accounts, the first with money."""
    payer, payee = (client.accounts.open("EUR", wait_s=30).id for _ in range(2))
    assert client.deposits.create(payer, amount, "EUR", wait_s=30).final
    return payer, payee


async def test_an_answer_that_is_lost_costs_no_money(client: Client, token: Bearer, line: LosingLine) -> None:
    url = f"http://127.0.0.1:{line.port}"
    payer, payee = await asyncio.to_thread(funded, client, "100.00")

    def by_thread() -> Any:
        with Client(url, token) as threads:
            return threads.transfers.create(payer, payee, "10.00", "EUR", wait_s=30)

    async with AsyncClient(url, token) as tasks:
        line.to_lose = 2
        paid = await tasks.transfers.create(payer, payee, "1.00", "EUR", wait_s=30)
        line.to_lose = 1
        also_paid = await asyncio.to_thread(by_thread)
    assert line.to_lose == 0
    assert (paid.status, also_paid.status) == ("posted", "posted")
    async with AsyncClient(url, token, retries=RetryPolicy(attempts=1)) as hasty:
        line.to_lose = 1
        with pytest.raises(OutcomeUnknown) as unknown:
            await hasty.transfers.create(payer, payee, "0.10", "EUR", wait_s=30)
        key = unknown.value.idempotency_key
        paid = await hasty.transfers.create(payer, payee, "0.10", "EUR", wait_s=30, idempotency_key=key)
        assert (await hasty.transfers.wait(paid.id, timeout_s=PATIENCE_S)).status == "posted"
        assert (await hasty.accounts.balance(payee)).posted == "11.10"
        with pytest.raises(InsufficientFunds) as refused:
            await hasty.transfers.create(payer, payee, "88.91", "EUR", wait_s=30)
        assert refused.value.code == "insufficient_funds"


def test_what_was_moved_is_found_page_by_page_and_told(client: Client) -> None:
    payer, payee = funded(client, "10.00")
    lines = [transfer_line(payer, payee, "0.50", "EUR", idempotency_key=f"page-{n}-{payer}") for n in range(5)]
    taken = [line.id for _, receipt in client.send_batches(lines, 2) for line in receipt.lines or []]
    assert len(taken) == 5
    for payment in taken:
        assert client.transfers.wait(payment, timeout_s=PATIENCE_S).status == "posted"
    listed = client.transfers.list(account=payee, limit=2)
    assert {payment.id for payment in listed} == set(taken)
    assert [entry.balance for entry in client.accounts.entries(payee, oldest_first=True, limit=2)] == [
        "0.50",
        "1.00",
        "1.50",
        "2.00",
        "2.50",
    ]
    events = client.events
    eventually(lambda: set(taken) <= {event.object for event in events.list(account=payee, limit=2)}, "events")
    first = events.list(account=payee, limit=2)
    seen = [event.id for event, _ in zip(first, range(2), strict=False)]
    last_two = events.list(account=payee, cursor=events.cursor_before_latest(2, account=payee)).page().items
    assert [event.id for event in last_two] == [event.id for event in events.list(account=payee)][-2:]
    assert seen[0] != last_two[0].id


async def test_a_load_that_was_killed_goes_on(client: Client, token: Bearer, line: LosingLine, tmp_path: Path) -> None:
    payer, payee = await asyncio.to_thread(funded, client, "100.00")
    file = tmp_path / "payments.csv"
    rows = (f"{payer},{payee},0.{number:02},EUR" for number in range(1, LOAD_LINES + 1))
    file.write_text("from_account,to_account,amount,currency\n" + "\n".join(rows) + "\n")
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(f'[default]\nurl = "http://127.0.0.1:{line.port}"\ntoken = "{token.token}"\n')
    profiles.chmod(0o600)
    command = [sys.executable, "-m", "millrace", "load", str(file), "--batch-lines", str(LOAD_BATCH)]
    line.holds_at = 6  # an answer comes in one piece or two: three to five batches are through, and the rest is not
    await asyncio.to_thread(killed_under_way, command, profiles, tmp_path / "payments.csv.progress")
    line.holds_at, line.to_lose = 0, 1  # killed early, it has not held yet
    await line.mend()
    done = await asyncio.to_thread(run, command, profiles)
    assert done.returncode == 0, done.stderr
    assert f"{LOAD_LINES} lines: {LOAD_LINES} accepted, 0 refused" in done.stdout
    expected_minor = sum(range(1, LOAD_LINES + 1))

    def has_all() -> bool:
        return client.accounts.balance(payee).posted_minor == expected_minor

    await asyncio.to_thread(eventually, has_all, "each line once")


def run(command: list[str], profiles: Path) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "MILLRACE_PROFILES": str(profiles)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def killed_under_way(command: list[str], profiles: Path, progress: Path) -> None:
    """Killed when its first batch was answered: the line holds what comes later, and lets it through after the kill."""
    loading = subprocess.Popen(command, env={**os.environ, "MILLRACE_PROFILES": str(profiles)})
    eventually(progress.exists, "the first batch")
    loading.send_signal(signal.SIGKILL)
    assert loading.wait(PATIENCE_S) == -signal.SIGKILL


def test_the_examples_of_the_documentation_run(api_url: str, token: Bearer) -> None:
    text = (Path(__file__).parents[3] / "docs/client.md").read_text()
    examples = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        here = example.replace('"https://pay.example"', repr(api_url)).replace('ApiKey("mk_…")', "CREDENTIALS")
        exec(compile(here, "docs/client.md", "exec"), {"CREDENTIALS": token})
