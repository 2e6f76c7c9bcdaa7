"""Goal: every operation, through the official SDK to the sandbox's process, in the words of the contract."""

from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from connectors.contract import ProviderRefusesUs
from connectors.psp.stripe import StripeProvider
from schemas.codec.connectors import ConnectorOperation, Decline, Outcome
from tests.connectors.requests import about, authorisation, charge, now_us, request_of
from tests.connectors.sandbox_process import API_KEY, SandboxProcess

CAPTURE, VOID, REFUND = ConnectorOperation.CAPTURE, ConnectorOperation.VOID, ConnectorOperation.REFUND
PAYOUT, INQUIRE = ConnectorOperation.PAYOUT, ConnectorOperation.INQUIRE


@pytest.mark.parametrize("token", ["pm_card_visa", "pm_card_mastercard", "tok_visa"])
async def test_a_charge_succeeds_and_tells_its_fee(provider: StripeProvider, token: str) -> None:
    answer = await provider.charge(charge(token=token))
    assert answer.outcome is Outcome.SUCCEEDED
    assert answer.provider_reference.startswith("pi_")
    assert (answer.fee_minor, answer.fee_currency) == (62, "USD")


async def test_the_same_request_again_is_the_same_charge(provider: StripeProvider, sandbox: SandboxProcess) -> None:
    request = charge()
    first = await provider.charge(request)
    assert await provider.charge(request) == first
    assert sandbox.taken_of("millrace_request_id")[request.request_id.hex()] == 1


@pytest.mark.parametrize(
    ("token", "decline"),
    [
        ("pm_card_chargeDeclined", Decline.CARD_DECLINED),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", Decline.INSUFFICIENT_FUNDS),
        ("pm_card_visa_chargeDeclinedLostCard", Decline.CARD_LOST_OR_STOLEN),
        ("pm_card_visa_chargeDeclinedStolenCard", Decline.CARD_LOST_OR_STOLEN),
        ("pm_card_chargeDeclinedExpiredCard", Decline.CARD_EXPIRED),
        ("pm_card_chargeDeclinedIncorrectCvc", Decline.CARD_DETAILS_WRONG),
        ("pm_card_chargeDeclinedProcessingError", Decline.PROVIDER_FAULT),
        ("tok_chargeDeclinedFraudulent", Decline.FRAUD_SUSPECTED),
        ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", Decline.LIMIT_EXCEEDED),
        ("pm_card_of_nobody", Decline.REFERENCE_UNKNOWN),
    ],
)
async def test_a_decline_has_a_word_of_ours(provider: StripeProvider, token: str, decline: Decline) -> None:
    request = charge(token=token)
    answer = await provider.charge(request)
    assert (answer.outcome, answer.decline) == (Outcome.FAILED, decline)
    assert await provider.charge(request) == answer


async def test_a_declined_charge_is_found_as_declined(provider: StripeProvider) -> None:
    request = charge(token="pm_card_visa_chargeDeclinedInsufficientFunds")
    assert await provider.inquire(request) == await provider.inquire(request)
    await provider.charge(request)
    assert (await provider.inquire(request)).decline is Decline.INSUFFICIENT_FUNDS


async def test_yen_and_kronur_are_charged_as_they_are(provider: StripeProvider, sandbox: SandboxProcess) -> None:
    for currency, amount in (("JPY", 500), ("ISK", 50_000)):
        answer = await provider.charge(charge(amount_minor=500, currency=currency))
        assert sandbox.sdk().payment_intents.retrieve(answer.provider_reference).amount_received == amount
        assert answer.fee_minor is None or answer.fee_currency == currency


@pytest.mark.parametrize(("amount", "currency"), [(49, "USD"), (505, "MGA"), (10**8, "USD")])
async def test_an_amount_that_stripe_does_not_take(provider: StripeProvider, amount: int, currency: str) -> None:
    answer = await provider.charge(charge(amount_minor=amount, currency=currency))
    assert (answer.outcome, answer.decline) == (Outcome.FAILED, Decline.AMOUNT_UNSUPPORTED)


async def test_authorise_then_capture_part_of_it(provider: StripeProvider) -> None:
    request = authorisation()
    held = await provider.authorise(request)
    assert (held.outcome, held.fee_minor) == (Outcome.SUCCEEDED, None)
    assert (await provider.inquire(request)).outcome is Outcome.SUCCEEDED
    more = about(CAPTURE, held.provider_reference, amount_minor=1_100)
    assert (await provider.capture(more)).decline is Decline.AMOUNT_EXCEEDED
    part = about(CAPTURE, held.provider_reference, amount_minor=600)
    assert (await provider.inquire(part)).is_without_trace
    captured = await provider.capture(part)
    assert (captured.outcome, captured.fee_minor) == (Outcome.SUCCEEDED, 47)
    assert await provider.capture(part) == captured
    assert (await provider.inquire(part)).outcome is Outcome.SUCCEEDED


async def test_captured_is_captured_by_whoever_captured_it(provider: StripeProvider) -> None:
    held = await provider.authorise(authorisation())
    await provider.capture(about(CAPTURE, held.provider_reference, amount_minor=600))
    other = about(CAPTURE, held.provider_reference, amount_minor=700)
    assert (await provider.capture(other)).decline is Decline.WRONG_STATE
    assert (await provider.inquire(other)).provider_code == "captured_otherwise"


async def test_void(provider: StripeProvider) -> None:
    held = await provider.authorise(authorisation())
    request = about(VOID, held.provider_reference, amount_minor=0)
    assert (await provider.inquire(request)).is_without_trace
    assert (await provider.void(request)).outcome is Outcome.SUCCEEDED
    assert (await provider.inquire(request)).outcome is Outcome.SUCCEEDED
    late = about(CAPTURE, held.provider_reference)
    assert (await provider.capture(late)).decline is Decline.WRONG_STATE
    assert (await provider.inquire(late)).decline is Decline.WRONG_STATE


async def test_refunds_never_exceed_the_charge(provider: StripeProvider, sandbox: SandboxProcess) -> None:
    paid = await provider.charge(charge())
    first = about(REFUND, paid.provider_reference, amount_minor=600)
    given_back = await provider.refund(first)
    assert (given_back.outcome, given_back.fee_minor, given_back.fee_currency) == (Outcome.SUCCEEDED, 0, "USD")
    assert (await provider.refund(first)).outcome is Outcome.SUCCEEDED, "the same one again"
    assert (await provider.refund(about(REFUND, paid.provider_reference, amount_minor=600))).decline is (
        Decline.AMOUNT_EXCEEDED
    )
    assert (await provider.refund(about(REFUND, paid.provider_reference, amount_minor=499))).outcome is (
        Outcome.SUCCEEDED
    )
    assert (await provider.refund(about(REFUND, paid.provider_reference, amount_minor=1))).decline is (
        Decline.AMOUNT_EXCEEDED
    )
    refunded = sandbox.all("refunds", payment_intent=paid.provider_reference)
    assert sum(refund["amount"] for refund in refunded) == 1_099


async def test_a_refund_is_found_by_its_request(provider: StripeProvider) -> None:
    paid = await provider.charge(charge())
    request = about(REFUND, paid.provider_reference, amount_minor=100)
    assert (await provider.inquire(request)).is_without_trace
    made = await provider.refund(request)
    assert await provider.inquire(request) == made


async def test_a_pending_refund_is_pending_until_the_bank_has_it(
    provider: StripeProvider, sandbox: SandboxProcess
) -> None:
    paid = await provider.charge(charge(token="pm_card_pendingRefund"))
    made = await provider.refund(about(REFUND, paid.provider_reference))
    assert made.outcome is Outcome.PENDING
    inquiry = about(INQUIRE, made.provider_reference, amount_minor=0)
    assert (await provider.inquire(inquiry)).outcome is Outcome.PENDING
    sandbox.outside(f"refunds/{made.provider_reference}/complete", {})
    assert (await provider.inquire(inquiry)).outcome is Outcome.SUCCEEDED


async def test_a_refund_that_fails_has_failed(provider: StripeProvider) -> None:
    paid = await provider.charge(charge(token="pm_card_refundFail"))
    assert (await provider.refund(about(REFUND, paid.provider_reference))).outcome is Outcome.FAILED


async def test_a_payer_acts_on_a_page_and_comes_back(sandbox: SandboxProcess) -> None:
    """Once: the page of a payment that was answered asks for nothing any more."""
    provider = StripeProvider(SecretStr(API_KEY), sandbox.url, "https://shop.example/paid?lang=en")
    request = charge(token="pm_card_authenticationRequired", payment_order_id="order 1&2")
    waiting, again = await provider.charge(request), await provider.charge(request)
    assert waiting == again
    assert httpx.get(waiting.action_url).status_code == 200
    back, late = [httpx.post(waiting.action_url, data={"success": "true"}) for _ in range(2)]
    query = dict(parse_qsl(urlsplit(back.headers["location"]).query))
    told = {"payment_intent": waiting.provider_reference, "redirect_status": "succeeded"}
    assert query == {"lang": "en", "payment_order_id": "order 1&2"} | told
    assert (back.status_code, late.status_code, httpx.get(waiting.action_url).status_code) == (303, 410, 410)
    assert (await provider.inquire(request)).outcome is Outcome.SUCCEEDED
    assert sandbox.taken_of("millrace_request_id")[request.request_id.hex()] == 1
    await provider.close()


@pytest.mark.parametrize("is_successful", [True, False], ids=["authenticated", "not authenticated"])
async def test_three_d_secure(provider: StripeProvider, sandbox: SandboxProcess, is_successful: bool) -> None:
    request = charge(token="pm_card_authenticationRequired")
    waiting = await provider.charge(request)
    assert (waiting.outcome, waiting.action_url) == (Outcome.REQUIRES_ACTION, ""), "nobody comes back: no page"
    sandbox.outside(f"payment_intents/{waiting.provider_reference}/authenticate", {"success": is_successful})
    answer = await provider.inquire(about(INQUIRE, waiting.provider_reference, amount_minor=0))
    if is_successful:
        assert (answer.outcome, answer.fee_minor) == (Outcome.SUCCEEDED, 62)
    else:
        assert answer.decline is Decline.AUTHENTICATION_REQUIRED


async def test_payouts_and_transfers(provider: StripeProvider, sandbox: SandboxProcess) -> None:
    await provider.charge(charge(amount_minor=100_000))
    transfer = request_of(PAYOUT, token="acct_seller", amount_minor=700)
    payout = request_of(PAYOUT, token="ba_seller", amount_minor=800, first_asked_at_us=now_us())
    assert (await provider.inquire(payout)).is_without_trace
    assert (await provider.payout(transfer)).outcome is Outcome.SUCCEEDED
    made = await provider.payout(payout)
    assert made.outcome is Outcome.PENDING
    assert (await provider.inquire(payout)).provider_reference == made.provider_reference
    assert (made.fee_minor, made.fee_currency) == (None, ""), "told when it is done"
    assert (await provider.inquire(transfer._replace(first_asked_at_us=now_us()))).outcome is Outcome.SUCCEEDED
    sandbox.outside(f"payouts/{made.provider_reference}/arrive", {"paid": False})
    back = await provider.inquire(about(INQUIRE, made.provider_reference, amount_minor=0))
    assert (back.outcome, back.provider_code) == (Outcome.FAILED, "account_closed")


async def test_more_than_the_balance_is_not_paid_out(provider: StripeProvider) -> None:
    answer = await provider.payout(request_of(PAYOUT, token="ba_seller", amount_minor=99_999_999))
    assert (answer.outcome, answer.decline) == (Outcome.FAILED, Decline.INSUFFICIENT_FUNDS)


async def test_an_order_is_found_without_its_reference(provider: StripeProvider) -> None:
    request = charge(payment_order_id='o\'1 \\ "two"')
    paid = await provider.charge(request)
    inquiry = request_of(INQUIRE, payment_order_id=request.payment_order_id, amount_minor=0, token="")
    assert await provider.inquire(inquiry) == paid
    nobody = request_of(INQUIRE, payment_order_id="nobody's", amount_minor=0, token="")
    assert (await provider.inquire(nobody)).is_without_trace


async def test_a_key_of_another_request_does_not_say_what_became_of_that_one(provider: StripeProvider) -> None:
    first = charge()
    await provider.charge(first)
    answer = await provider.charge(charge(idempotency_key=first.idempotency_key))
    assert (answer.outcome, answer.decline) == (Outcome.UNKNOWN, Decline.IDEMPOTENCY_KEY_REUSED)


async def test_a_refused_key_stops_everything_and_stands_in_no_message(sandbox: SandboxProcess) -> None:
    stranger = StripeProvider(SecretStr("rk_live_secret"), sandbox.url)
    with pytest.raises(ProviderRefusesUs) as refused:
        await stranger.charge(charge())
    await stranger.close()
    assert "rk_live_secret" not in str(refused.value)
    assert "MILLRACE_STRIPE_API_KEY_FILE" in str(refused.value)
