"""Goal: what Stripe says is read as what it means, also where its sandbox never says it."""

import pytest
import stripe

from connectors.contract import ProviderRefusesUs
from connectors.psp import stripe_answers
from connectors.psp.stripe_answers import answer_of_error, answer_of_intent, answer_of_movement
from schemas.codec.connectors import ConnectorOperation, Decline, Outcome

CHARGE, CAPTURE, VOID = ConnectorOperation.CHARGE, ConnectorOperation.CAPTURE, ConnectorOperation.VOID


def test_no_code_has_two_words() -> None:
    codes = " ".join(stripe_answers._DECLINES.values()).split()
    assert len(codes) == len(set(codes)) == len(stripe_answers.DECLINE_OF_CODE)


@pytest.mark.parametrize(
    ("status", "operation", "outcome"),
    [
        ("succeeded", CHARGE, Outcome.SUCCEEDED),
        ("processing", CHARGE, Outcome.PENDING),
        ("requires_action", CHARGE, Outcome.REQUIRES_ACTION),
        ("requires_confirmation", CHARGE, Outcome.REQUIRES_ACTION),
        ("requires_payment_method", CHARGE, Outcome.FAILED),
        ("canceled", CHARGE, Outcome.FAILED),
        ("canceled", VOID, Outcome.SUCCEEDED),
        ("succeeded", VOID, Outcome.FAILED),
        ("requires_capture", CAPTURE, Outcome.UNKNOWN),
        ("requires_capture", ConnectorOperation.AUTHORISE, Outcome.SUCCEEDED),
        ("status_of_next_year", CHARGE, Outcome.UNKNOWN),
    ],
)
def test_the_status_of_an_intent(status: str, operation: ConnectorOperation, outcome: Outcome) -> None:
    answer = answer_of_intent({"id": "pi_1", "status": status}, operation)
    assert (answer.outcome, answer.provider_reference) == (outcome, "pi_1")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("succeeded", Outcome.SUCCEEDED),
        ("paid", Outcome.SUCCEEDED),
        ("pending", Outcome.PENDING),
        ("in_transit", Outcome.PENDING),
        ("requires_action", Outcome.REQUIRES_ACTION),
        ("failed", Outcome.FAILED),
        ("canceled", Outcome.FAILED),
        ("status_of_next_year", Outcome.UNKNOWN),
    ],
)
def test_the_status_of_a_refund_or_payout(status: str, outcome: Outcome) -> None:
    assert answer_of_movement({"id": "re_1", "status": status}).outcome is outcome


UNANSWERED = [
    stripe.APIConnectionError("connection lost"),  # type: ignore[no-untyped-call]  # the SDK's own
    stripe.APIError("bad gateway", http_status=502),
    stripe.APIError("in use", http_status=409, code="idempotency_key_in_use"),
    stripe.APIError("no JSON at all", http_body="<html>", http_status=200),
    stripe.RateLimitError("slower", http_status=429),
    stripe.PermissionError("not with this key", http_status=403),
]


@pytest.mark.parametrize("error", UNANSWERED, ids=lambda error: f"{type(error).__name__} {error.http_status}")
def test_what_may_hide_a_success_is_unknown_and_asked_again(error: stripe.StripeError) -> None:
    answer = answer_of_error(error)
    assert (answer.outcome, answer.may_repeat) == (Outcome.UNKNOWN, True)


def test_a_decline_that_has_no_word_yet_is_a_decline() -> None:
    body = {"error": {"type": "card_error", "code": "card_declined", "decline_code": "of_next_year"}}
    error = stripe.CardError("no", None, "card_declined", http_status=402, json_body=body)  # type: ignore[no-untyped-call]
    answer = answer_of_error(error)
    assert (answer.outcome, answer.decline, answer.provider_code) == (
        Outcome.FAILED,
        Decline.CARD_DECLINED,
        "of_next_year",
    )


def test_a_refused_key_is_no_answer() -> None:
    with pytest.raises(ProviderRefusesUs, match="HTTP 401"):
        answer_of_error(stripe.AuthenticationError("who?", http_status=401))
