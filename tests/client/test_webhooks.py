"""Goal: what is believed was sent by Millrace, now, as it is; the official signer of Standard Webhooks is the judge."""

import base64
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from connectors.webhooks.signing import headers
from millrace.client import SignatureMismatch, verify_webhook

SECRET, NEXT, OTHER = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2, 3))
NOW_S = 1_763_812_800
EVENT = {
    "id": "evt_1",
    "type": "payment.posted",
    "timestamp": "2026-11-22T12:00:00Z",
    "object": "pay_1",
    "data": {"amount_minor": 1050},
}
BODY = json.dumps(EVENT).encode()


def delivery(secret: str = SECRET, body: bytes = BODY, sent_s: int = NOW_S) -> dict[str, str]:
    """Signed by the official library."""
    signed = Webhook(secret).sign("evt_1", datetime.fromtimestamp(sent_s, UTC), body.decode())
    return {"webhook-id": "evt_1", "webhook-timestamp": str(sent_s), "webhook-signature": signed}


def test_a_delivery_is_read_and_its_headers_are_named_in_any_case() -> None:
    event = verify_webhook(BODY, {name.title(): text for name, text in delivery().items()}, SECRET, now_s=NOW_S)
    assert (event.id, event.object, event.data) == ("evt_1", "pay_1", {"amount_minor": 1050})


def test_a_rotation_loses_nothing_on_either_side() -> None:
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in (SECRET, NEXT)]
    both = {name.decode(): text.decode() for name, text in headers(keys, "evt_1", NOW_S, BODY)}
    for known in (SECRET, NEXT, [OTHER, NEXT]):
        assert verify_webhook(BODY, both, known, now_s=NOW_S).id == "evt_1"
    assert verify_webhook(BODY, delivery(NEXT), [SECRET, NEXT], now_s=NOW_S).id == "evt_1"


def _is_believed(body: bytes, sent: dict[str, str], now_s: int) -> bool:
    try:
        return verify_webhook(body, sent, SECRET, now_s=now_s).id == "evt_1"
    except SignatureMismatch:
        return False


def test_what_is_changed_old_or_somebody_elses_is_refused() -> None:
    good = delivery()
    refused = {
        "another body": (BODY + b" ", good, NOW_S),
        "another secret": (BODY, delivery(OTHER), NOW_S),
        "another id": (BODY, good | {"webhook-id": "evt_2"}, NOW_S),
        "another time": (BODY, good | {"webhook-timestamp": str(NOW_S + 1)}, NOW_S),
        "too old": (BODY, good, NOW_S + 301),
        "of the future": (BODY, good, NOW_S - 301),
        "no time": (BODY, good | {"webhook-timestamp": "now"}, NOW_S),
        "no signature": (BODY, {name: text for name, text in good.items() if "signature" not in name}, NOW_S),
        "of another version": (
            BODY,
            good | {"webhook-signature": good["webhook-signature"].replace("v1,", "v2,")},
            NOW_S,
        ),
        "not ASCII": (BODY, good | {"webhook-signature": "v1,ä"}, NOW_S),
        "no event": (b"[]", delivery(body=b"[]"), NOW_S),
    }
    assert [case for case, delivered in refused.items() if _is_believed(*delivered)] == []
    assert verify_webhook(BODY, good, SECRET, now_s=NOW_S + 299).id == "evt_1"


def test_a_secret_that_is_none_is_the_receivers_mistake() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook(BODY, delivery(), "my secret", now_s=NOW_S)
