"""Goal: events reach their endpoint, signed so that Stripe's SDK believes them, until it takes them, over a kill."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import stripe

from tests.connectors.sandbox_process import WEBHOOK_SECRET, SandboxProcess, running_sandbox
from tests.support.waiting import eventually

PAID = {"amount": 1_000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
EVENTS_OF_A_PAYMENT = {"payment_intent.created", "charge.succeeded", "payment_intent.succeeded"}

Delivery = tuple[bytes, str]


class Endpoint(ThreadingHTTPServer):
    """Refuses the first deliveries, then takes all."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusals = 0
        self.taken: list[Delivery] = []
        self.url = f"http://127.0.0.1:{self.server_port}/webhooks"

    def types(self) -> set[str]:
        return {json.loads(body)["type"] for body, _ in self.taken}


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_refused = self.server.refusals > 0
        self.server.refusals -= is_refused
        if not is_refused:
            self.server.taken.append((body, self.headers["Stripe-Signature"]))
        self.send_response(503 if is_refused else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def telling_sandbox(endpoint: Endpoint, tmp_path: Path) -> Iterator[SandboxProcess]:
    with running_sandbox(tmp_path / "state.sqlite", endpoint.url) as sandbox:
        yield sandbox


def test_events_arrive_signed(telling_sandbox: SandboxProcess, endpoint: Endpoint) -> None:
    intent = telling_sandbox.sdk().payment_intents.create(PAID)
    eventually(lambda: endpoint.types() == EVENTS_OF_A_PAYMENT)
    for body, signature in endpoint.taken:
        event = stripe.Webhook.construct_event(body, signature, WEBHOOK_SECRET)
        assert telling_sandbox.sdk().events.retrieve(event.id).type == event.type
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body + b" ", signature, WEBHOOK_SECRET)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body, signature, "whsec_of_somebody_else")
    assert {event["type"] for event in telling_sandbox.all("events")} == EVENTS_OF_A_PAYMENT
    assert intent.id in endpoint.taken[0][0].decode()


def test_an_event_that_is_refused_comes_again(telling_sandbox: SandboxProcess, endpoint: Endpoint) -> None:
    endpoint.refusals = 4
    telling_sandbox.sdk().payment_intents.create(PAID)
    eventually(lambda: endpoint.types() == EVENTS_OF_A_PAYMENT)
    assert endpoint.refusals == 0


def test_an_event_survives_a_kill(telling_sandbox: SandboxProcess, endpoint: Endpoint) -> None:
    endpoint.refusals = 3
    telling_sandbox.sdk().payment_intents.create(PAID)
    telling_sandbox.kill()
    telling_sandbox.start()
    eventually(lambda: endpoint.types() == EVENTS_OF_A_PAYMENT)


def test_a_webhook_without_a_secret_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRIPE_WEBHOOK_SECRET", raising=False)
    from connectors.sandbox.__main__ import webhook_of

    with pytest.raises(SystemExit, match="STRIPE_WEBHOOK_SECRET"):
        webhook_of("http://127.0.0.1:1/")
    assert webhook_of("") is None
