"""Goal: what is queued arrives signed, in the order of its object, and a bad endpoint harms nobody else.

Method: real HTTP receivers, a real Postgres, and the service as `millrace webhooks` runs it, in a thread.
"""

import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from standardwebhooks import Webhook, WebhookVerificationError

from connectors.webhooks.deliveries import PER_ENDPOINT
from connectors.webhooks.retries import BREAKER_FAILURES, DELAYS_S
from connectors.webhooks.sending import RESPONSE_BYTES_KEPT
from millrace.environment.security.certificates import broker_pem, new_authority
from tests.connectors.webhooks.desk import SECRET, Desk, event, ids_of
from tests.connectors.webhooks.receiver import Answer, Receiver, receiving
from tests.support.waiting import eventually

ANNA = UUID(int=0x51)
ACCOUNT = b"\x61" * 16


def delivered(desk: Desk, count: int) -> None:
    eventually(lambda: desk.statuses().count("delivered") == count)


def attempts(desk: Desk) -> list[dict[str, Any]]:
    return desk.rows("SELECT * FROM webhook_attempts ORDER BY began_at")


def test_a_webhook_is_the_event_signed(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url)
    happened = event(1)
    desk.happen(happened)
    with desk.dispatching():
        delivered(desk, 1)
    (one,) = receiver.received
    assert one.body == happened.payload
    assert one.webhook_id == one.payload["id"] == ids_of([happened])[0]
    assert one.headers["content-type"] == "application/json"
    assert Webhook(SECRET).verify(one.body, one.headers) == one.payload
    (attempt,) = attempts(desk)
    assert (attempt["http_status"], attempt["failure"], attempt["attempt"]) == (200, None, 1)


def test_an_old_or_changed_webhook_is_refused_by_who_verifies(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url)
    desk.happen(event(1))
    with desk.dispatching():
        delivered(desk, 1)
    (one,) = receiver.received
    verifier = Webhook(SECRET)
    with pytest.raises(WebhookVerificationError):
        verifier.verify(one.body.replace(b'"number":1', b'"number":2'), one.headers)
    with pytest.raises(WebhookVerificationError):  # sent again as a new message
        verifier.verify(one.body, one.headers | {"webhook-id": "evt_other"})
    with pytest.raises(WebhookVerificationError):  # sent again later than the tolerance of five minutes
        verifier.verify(one.body, one.headers | {"webhook-timestamp": str(int(time.time()) + 301)})
    with pytest.raises(WebhookVerificationError):
        Webhook(b"\x5f" * 32).verify(one.body, one.headers)


def test_an_object_waits_for_its_earlier_event_and_others_go_on(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url)
    events = [event(1, 7), event(2, 7), event(3, 8), event(4, 7)]
    receiver.answers = lambda one: Answer(500 if one.payload["data"]["number"] == 1 else 200)
    desk.happen(*events)
    with desk.dispatching():
        eventually(lambda: len(attempts(desk)) == 2)
        assert desk.statuses() == ["pending", "pending", "delivered", "pending"]
        receiver.answers = lambda _: Answer()
        desk.hurry()
        delivered(desk, 4)
    first, second, other, last = ids_of(events)
    seen = receiver.ids()
    assert seen.count(first) == 2
    assert [id_ for id_ in seen if id_ != other] == [first, first, second, last]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
def test_what_is_not_2xx_is_a_failure(desk: Desk, receiver: Receiver, status: int) -> None:
    desk.endpoint(receiver.url)
    receiver.answers = lambda _: Answer(status, b"why", {"Location": f"{receiver.url}/elsewhere"})
    desk.happen(event(1))
    with desk.dispatching():
        eventually(lambda: attempts(desk))
    (attempt,) = attempts(desk)
    assert (attempt["http_status"], attempt["response"]) == (status, "why")
    assert desk.statuses() == ["pending"]
    assert [one.path for one in receiver.received] == ["/hooks"], "a redirect was followed"


def test_of_a_long_answer_the_beginning_is_kept(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url)
    receiver.answers = lambda _: Answer(200, b"x\0" * 5_000_000)
    desk.happen(event(1))
    with desk.dispatching():
        delivered(desk, 1)
    (attempt,) = attempts(desk)
    assert len(attempt["response"]) == RESPONSE_BYTES_KEPT


def test_an_endpoint_that_hangs_holds_up_nobody_else(desk: Desk, receiver: Receiver) -> None:
    release = threading.Event()
    with receiving() as hanging:
        hanging.answers = lambda _: Answer(wait=release)
        desk.endpoint(hanging.url)
        desk.endpoint(receiver.url)
        desk.happen(*[event(number) for number in range(1, 41)])
        with desk.dispatching():
            eventually(lambda: len(receiver.received) == 40)
            assert len(hanging.received) <= PER_ENDPOINT
            release.set()


def test_an_endpoint_that_times_out_is_paused(desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.webhooks.sending.CALL_TIMEOUT_S", 1)
    release = threading.Event()
    receiver.answers = lambda _: Answer(wait=release)
    desk.endpoint(receiver.url)
    desk.happen(*[event(number) for number in range(1, 41)])
    with desk.dispatching():
        eventually(lambda: attempts_of(desk, "timeout") >= BREAKER_FAILURES)
        eventually(lambda: desk.rows("SELECT 1 FROM webhook_endpoints WHERE paused_until > now()"))
    release.set()
    assert len(receiver.received) < 2 * PER_ENDPOINT, "it went on"
    assert desk.rows("SELECT failures FROM webhook_endpoints") == [{"failures": BREAKER_FAILURES}]


def attempts_of(desk: Desk, failure: str) -> int:
    return len(desk.rows("SELECT 1 FROM webhook_attempts WHERE failure = %s", failure))


def test_a_paused_endpoint_is_tried_with_one_delivery_and_then_gets_all(desk: Desk, receiver: Receiver) -> None:
    endpoint = desk.endpoint(receiver.url)
    release = threading.Event()
    receiver.answers = lambda _: Answer(wait=release)
    desk.rows("UPDATE webhook_endpoints SET failures = 9, failing_since = now(), paused_until = now()")
    desk.happen(*[event(number) for number in range(1, 6)])
    with desk.dispatching():
        eventually(lambda: receiver.received)
        time.sleep(1)  # five looks at what is due
        assert len(receiver.received) == 1
        release.set()
        delivered(desk, 5)
    (row,) = desk.rows(
        "SELECT failures, failing_since, paused_until FROM webhook_endpoints WHERE endpoint_id = %s", endpoint
    )
    assert row == {"failures": 0, "failing_since": None, "paused_until": None}


def test_gone_disables_the_endpoint_and_ends_its_deliveries(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url)
    receiver.answers = lambda _: Answer(410)
    desk.happen(event(1, 7), event(2, 7))
    with desk.dispatching():
        eventually(lambda: desk.rows("SELECT 1 FROM webhook_endpoints WHERE disabled_reason = 'gone'"))
    desk.hurry()
    with desk.dispatching():
        eventually(lambda: desk.statuses() == ["failed", "failed"])
    assert len(receiver.received) == 1


def test_five_days_of_failures_disable_the_endpoint(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url)
    receiver.answers = lambda _: Answer(500)
    desk.rows("UPDATE webhook_endpoints SET failures = 1, failing_since = now() - interval '121 hours'")
    desk.happen(event(1))
    with desk.dispatching():
        eventually(lambda: desk.rows("SELECT 1 FROM webhook_endpoints WHERE disabled_reason = 'failing'"))


def test_after_its_last_try_a_delivery_is_a_dead_letter(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url)
    receiver.answers = lambda _: Answer(500)
    desk.happen(event(1, 7), event(2, 7))
    desk.rows("UPDATE webhook_deliveries SET attempts = %s WHERE position = 1", len(DELAYS_S))
    with desk.dispatching():
        eventually(lambda: len(receiver.received) == 2)
        eventually(lambda: len(attempts(desk)) == 2)
    assert desk.statuses() == ["failed", "pending"], "its successor goes on"


def test_a_delivery_that_was_queued_three_days_ago_is_given_up(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url)
    receiver.answers = lambda _: Answer(500)
    desk.happen(event(1))
    desk.rows("UPDATE webhook_deliveries SET queued_at = now() - interval '71 hours 59 minutes 58 seconds'")
    with desk.dispatching():
        eventually(lambda: desk.statuses() == ["failed"])


def test_what_a_user_may_no_longer_see_is_withheld(desk: Desk, receiver: Receiver) -> None:
    desk.endpoint(receiver.url, user=ANNA)
    grant(desk, ANNA)
    assert desk.happen(event(1, accounts=(ACCOUNT,)), event(2, accounts=(b"\x62" * 16,))) == 1
    end_grants(desk)
    with desk.dispatching():
        eventually(lambda: desk.statuses() == ["withheld"])
    assert receiver.received == []


def grant(desk: Desk, user: UUID) -> None:
    desk.rows(
        "WITH actor AS (SELECT set_config('millrace.actor', 't', false), set_config('millrace.request_id', 'r', false))"
        " INSERT INTO account_owners SELECT %s, %s, 'owner', now() FROM actor",
        *(UUID(bytes=ACCOUNT), user),
    )


def end_grants(desk: Desk) -> None:
    desk.rows(
        "INSERT INTO accounts (account_id, currency, type, status, overdraft_limit_minor, opened_at, changed_at)"
        " VALUES (%s, 'EUR', 0, 2, 0, now(), now())",
        UUID(bytes=ACCOUNT),
    )
    desk.rows(
        "WITH actor AS (SELECT set_config('millrace.actor', 't', false), set_config('millrace.request_id', 'r', false))"
        " UPDATE account_owners SET until = now() FROM actor"
    )


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_verified(desk: Desk, tmp_path: Path, trusted: bool) -> None:
    ours, others = new_authority(), new_authority()
    certificate, authorities = tmp_path / "endpoint.pem", tmp_path / "authorities.pem"
    certificate.write_bytes(broker_pem(ours))
    authorities.write_bytes((ours if trusted else others).certificate.public_bytes(Encoding.PEM))
    trusting = Desk(desk.settings.model_copy(update={"webhook_ca_file": authorities}))
    with receiving(certificate) as receiver:
        endpoint = trusting.endpoint(receiver.url)
        trusting.happen(event(1))
        with trusting.dispatching():
            eventually(lambda: outcomes(trusting, endpoint))
        assert outcomes(trusting, endpoint) == [None if trusted else "certificate_refused"]
        assert len(receiver.received) == trusted


def outcomes(desk: Desk, endpoint: UUID) -> list[str | None]:
    query = "SELECT failure FROM webhook_attempts JOIN webhook_deliveries USING (delivery_id) WHERE endpoint_id = %s"
    return [row["failure"] for row in desk.rows(query, endpoint)]


def test_outside_of_tests_our_own_network_and_plain_http_are_refused(desk: Desk, receiver: Receiver) -> None:
    strict = Desk(desk.settings.model_copy(update={"webhook_local_receivers": False}))
    port = receiver.url.rsplit(":", 1)[1]
    endpoints = [
        strict.endpoint(url) for url in (receiver.url, f"https://127.0.0.1:{port}", f"https://localhost:{port}")
    ]
    strict.happen(event(1))
    with strict.dispatching():
        eventually(lambda: len(attempts(strict)) == 3)
    found = [outcomes(strict, endpoint) for endpoint in endpoints]
    assert found == [["https_needed"], ["address_refused"], ["address_refused"]]
    assert receiver.received == []
