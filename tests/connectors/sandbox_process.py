"""The Stripe-shaped sandbox as a child process that a test may break, kill and start again on the same file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import stripe

from connectors.sandbox.__main__ import SECRET_VARIABLE
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
API_KEY = "sk_test_of_the_tests"
WEBHOOK_SECRET = "whsec_of_the_tests"


class SandboxProcess:
    """One sandbox. Its port stays the same over restarts."""

    def __init__(self, state: Path, webhook_url: str = "") -> None:
        self._state = state
        self._webhook_url = webhook_url
        self.url = ""
        self.start()

    def start(self) -> None:
        port = self.url.rpartition(":")[2] or "0"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "connectors.sandbox", "--state", str(self._state)),
                *("--port", port, "--webhook-url", self._webhook_url),
            ],
            cwd=ROOT,
            env=os.environ | {SECRET_VARIABLE: WEBHOOK_SECRET},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        with self.process.stdout as said:
            self.url = said.readline().strip()
        eventually(self.answers, "the sandbox answers")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v1/balance", headers=_AUTHORIZED).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wait_killed(self) -> None:
        """It was told to kill itself."""
        assert self.process.wait(10) == -9

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

    def fault(self, kind: str, **fields: object) -> None:
        """The next request (or `times` of them) goes wrong in this way."""
        self.outside("faults", {"kind": kind, **fields})

    def is_met(self, kind: str) -> bool:
        """A fault of this kind has met a request."""
        return any(one["kind"] == kind and one["met"] for one in httpx.get(f"{self.url}/_sandbox/faults").json())

    def clear_faults(self) -> None:
        assert httpx.delete(f"{self.url}/_sandbox/faults").is_success

    def outside(self, what: str, body: dict[str, object]) -> dict[str, Any]:
        """What happens outside of the API."""
        answer = httpx.post(f"{self.url}/_sandbox/{what}", json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def sdk(self) -> Any:
        """Stripe's own client, synchronous."""
        client = stripe.StripeClient(API_KEY, base_addresses={"api": self.url}, max_network_retries=0)
        return client.v1

    def all(self, kind: str, **params: object) -> list[dict[str, Any]]:
        """Every object of this kind, as the SDK pages through them."""
        service = getattr(self.sdk(), kind)
        return [item.to_dict() for item in service.list({"limit": 100, **params}).auto_paging_iter()]

    def taken_of(self, key: str) -> dict[str, int]:
        """Per value of this metadata key: how often money was taken from a card."""
        counts: dict[str, int] = {}
        for charge in self.all("charges"):
            name = charge["metadata"][key]
            counts[name] = counts.get(name, 0) + bool(charge["captured"])
        return counts


_AUTHORIZED = {"Authorization": f"Bearer {API_KEY}"}


@contextmanager
def running_sandbox(state: Path, webhook_url: str = "") -> Iterator[SandboxProcess]:
    sandbox = SandboxProcess(state, webhook_url)
    try:
        yield sandbox
    finally:
        sandbox.end()
