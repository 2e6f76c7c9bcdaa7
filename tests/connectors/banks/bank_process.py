"""The sandbox bank as a child process that a test may break, kill and start again on the same file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from connectors.banks.sandbox.__main__ import SECRET_VARIABLE
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
SECRET = "the secret of the tests"


class BankProcess:
    """One bank. Its port stays the same over restarts."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.url = ""
        self.start()

    def start(self) -> None:
        port = self.url.rpartition(":")[2] or "0"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "connectors.banks.sandbox", "--state", str(self._state), "--port", port],
            cwd=ROOT,
            env=os.environ | {SECRET_VARIABLE: SECRET},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        with self.process.stdout as said:
            self.url = said.readline().strip()
        eventually(self.answers, "the bank answers")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/_sandbox/transfers").is_success
        except httpx.TransportError:
            return False

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

    def fault(self, kind: str, **fields: object) -> None:
        """The next request (or `times` of them) goes wrong in this way."""
        self.tell("faults", kind=kind, **fields)

    def tell(self, what: str, **body: object) -> dict[str, Any]:
        """What happens outside of the API."""
        answer = httpx.post(f"{self.url}/_sandbox/{what}", json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def forget_tokens(self) -> None:
        assert httpx.delete(f"{self.url}/_sandbox/tokens").is_success

    def clear_faults(self) -> None:
        assert httpx.delete(f"{self.url}/_sandbox/faults").is_success

    def transfers(self) -> list[dict[str, Any]]:
        """Everything that the bank has made, the newest first."""
        return list(httpx.get(f"{self.url}/_sandbox/transfers").json())


@contextmanager
def running_bank(state: Path) -> Iterator[BankProcess]:
    bank = BankProcess(state)
    try:
        yield bank
    finally:
        bank.end()
