"""What the world is told of each kind of movement, and of whom: decided by the core, told by its entries alone."""

from functools import cache

import pytest

from payments.accounts import AccountStatus
from payments.commerce.connector import Outcome
from payments.entries import NO_FINGERPRINT, Entry, EntryKind
from payments.events.changes import events_of
from payments.events.event import Event, EventType
from payments.identifiers import ACCOUNT, CHECKOUT, DISPUTE, HOLD, NIL, PAYMENT, format_id, parse_id
from payments.items.details import Cause, CauseKind
from payments.movements.instructions import Order, PlaceCheckout, RefundOrder
from payments.rejections import Reason
from schemas.ledger_page.commerce import CHECKOUT as PLACED
from schemas.ledger_page.example import ANNA, BERT, DORA, SHOP, Example
from schemas.ledger_page.examples import examples
from tests.sinks.every_kind import SHARDS, EveryKind
from tests.sinks.shards_in_memory import ShardsInMemory

TOLD = {
    "Transfer": "payment.authorised payment.posted",
    "Deposit": "payment.posted",
    "Deposit that has to be collected": "payment.posted payment.collected",
    "Deposit that bounces": "payment.posted payment.reversed",
    "Hold": "hold.placed"
    " hold.captured payment.authorised payment.posted"
    " hold.captured payment.authorised payment.posted",
    "Hold that is voided": "hold.placed hold.released",
    "Refund": "payment.authorised payment.posted payment.refunded payment.authorised payment.posted payment.refunded",
    "Dispute, the merchant loses": "dispute.opened payment.disputed dispute.lost dispute.credited",
    "Dispute with provisional credit, the merchant wins": "dispute.opened payment.disputed dispute.credited"
    " payment.authorised payment.posted dispute.won dispute.collected",
    "Chargeback on money already spent": "dispute.opened payment.disputed dispute.lost dispute.credited"
    " payment.posted journal.posted",
    "Journal": "journal.posted",
    "Checkout": "order.placed order.placed order.executing order.executing order.succeeded order.failed",
    "Checkout whose payer has to act": "order.placed order.executing order.requires_action order.succeeded",
    "Checkout on delivery": "order.placed order.executing order.succeeded payment.collected",
    "Refund through the provider": "order.placed order.executing order.succeeded"
    " refund.opened refund.posted order.refunded",
    "Payout": "payout.opened payout.posted",
    "Payout that fails": "payout.opened payout.failed",
}


@cache
def shown() -> dict[str, Example]:
    return {example.title: example for example in examples()}


def told(title: str) -> list[Event]:
    return [event for step in shown()[title].steps for event in events_of(step.entry)]


@cache
def script() -> tuple[Event, ...]:
    """Of a run in which everything happens that can."""
    shards = ShardsInMemory(SHARDS)
    EveryKind(shards).run()
    return tuple(event for entry in shards.entries() for event in events_of(entry))


@pytest.mark.parametrize("title", TOLD)
def test_each_movement_is_told_step_by_step(title: str) -> None:
    assert [event.type.value for event in told(title)] == TOLD[title].split()


def test_every_type_occurs() -> None:
    assert {event.type for event in script()} >= set(EventType) - {EventType.ACCOUNT_OVERDRAFT_LIMIT_SET}


def test_nothing_is_told_twice() -> None:
    """Of one subject only that happens again which may."""
    repeatable = {
        *(EventType.ACCOUNT_ACTIVATED, EventType.ACCOUNT_FROZEN, EventType.ACCOUNT_DORMANT),
        *(EventType.HOLD_CAPTURED, EventType.ORDER_REFUNDED),
        *(EventType.PAYMENT_REFUNDED, EventType.PAYMENT_DISPUTED, EventType.DISPUTE_CREDITED),
    }
    once = [(event.subject, event.type) for event in script() if event.type not in repeatable]
    assert len(set(once)) == len(once)


def test_the_subject_is_of_the_kind_that_the_type_says() -> None:
    prefixes = {"account": "acc", "hold": "hld", "dispute": "dsp", "journal": "jnl", "order": "ord", "refund": "rfd"}
    for event in script():
        prefix = prefixes.get(event.type.partition(".")[0], "pay")
        assert parse_id(prefix, event.subject) is not None, event


def test_parties_and_amount_of_a_transfer() -> None:
    authorised, posted = told("Transfer")
    for event in (authorised, posted):
        assert (event.payer, event.payee) == (format_id(ACCOUNT, ANNA), format_id(ACCOUNT, BERT))
        assert (event.amount_minor, event.currency, event.reason, event.cause) == (3_000, "EUR", None, None)
        assert event.payee_amount_minor is None
    assert authorised.subject == posted.subject


def test_what_reaches_the_payee_is_said_where_it_differs() -> None:
    on_top, _, out_of_it, _ = told("Transfer with a fee")
    assert (on_top.amount_minor, on_top.payee_amount_minor, on_top.payee_currency) == (5_050, 5_000, "EUR")
    assert (out_of_it.amount_minor, out_of_it.payee_amount_minor) == (5_000, 4_950)
    exchanged = told("Transfer into another currency")[-1]
    assert (exchanged.amount_minor, exchanged.currency) == (5_000, "EUR")
    assert (exchanged.payee_amount_minor, exchanged.payee_currency) == (5_500, "USD")
    assert exchanged.payee == format_id(ACCOUNT, DORA)


def test_a_capture_and_its_hold_name_each_other() -> None:
    placed, captured, authorised, posted, *_ = told("Hold")
    assert captured.subject == placed.subject == authorised.cause == posted.cause
    assert captured.cause == authorised.subject == posted.subject
    assert (placed.amount_minor, captured.amount_minor) == (8_000, 2_000)


def test_a_refund_and_its_payment_name_each_other() -> None:
    authorised, posted, refunded, *_ = told("Refund")
    assert (authorised.cause, posted.cause) == (refunded.subject, refunded.subject)
    assert refunded.cause == posted.subject
    assert (refunded.payer, refunded.amount_minor) == (format_id(ACCOUNT, SHOP), 6_000)


def test_a_dispute_names_the_parties_of_its_payment() -> None:
    opened, disputed, *_ = told("Dispute, the merchant loses")
    for event in (opened, disputed):
        assert (event.payer, event.payee) == (format_id(ACCOUNT, ANNA), format_id(ACCOUNT, SHOP))
    assert (opened.cause, disputed.cause) == (disputed.subject, opened.subject)


def test_a_returned_deposit_carries_the_code_of_its_network() -> None:
    assert [event.network_code for event in told("Deposit that comes back later")] == [None, None, None, "R06"]


def test_an_order_names_its_checkout_and_not_its_buyer() -> None:
    placed, *_, failed = told("Checkout")
    assert failed.reason == Reason.PROVIDER_DECLINED.value
    assert parse_id(CHECKOUT, placed.cause or "") is not None
    assert placed.payer is None


def test_an_order_whose_payer_has_to_act_is_told_of_like_any_other_step() -> None:
    """Where the payer acts stands in no event: whoever has the page acts as the payer."""
    placed, _, acts, _ = told("Checkout whose payer has to act")
    assert acts == placed._replace(type=EventType.ORDER_REQUIRES_ACTION, occurred_at_us=acts.occurred_at_us)
    assert acts.payee == format_id(ACCOUNT, SHOP)


def test_a_refund_that_waits_at_its_provider_is_no_business_of_the_payers() -> None:
    shown = Example("Refund", "").funded(SHOP)
    shown.ask(
        "an order",
        PlaceCheckout(
            checkout=PLACED,
            provider="stripe",
            token="pm",
            buyer="Anna",
            orders=(Order("shoes", SHOP, 6_000, "EUR", False),),
            envelope=shown.envelope(),
        ),
    )
    shown.answer("charged", Outcome.SUCCEEDED)
    shown.ask(
        "a refund",
        RefundOrder(
            checkout=PLACED,
            payment_order_id="shoes",
            amount_minor=100,
            currency="EUR",
            envelope=shown.envelope(),
        ),
    )
    (entry,) = shown.answer("waits", Outcome.REQUIRES_ACTION)
    assert (entry.kind, events_of(entry)) == (EntryKind.NOTED, ())


def an_entry(kind: EntryKind, **fields: object) -> Entry:
    entry = Entry(kind, Reason.NONE, b"O" * 16, ANNA, NIL, 0, "", 0, 7, NO_FINGERPRINT, 0, 0)
    return entry._replace(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [EntryKind.REPLAYED, EntryKind.KEY_REUSED, EntryKind.QUARANTINED, EntryKind.REFUSED])
def test_what_changes_nothing_is_not_told(kind: EntryKind) -> None:
    assert events_of(an_entry(kind, credit_account=BERT)) == ()


def test_a_refusal_about_one_account_is_its_callers_alone() -> None:
    refused = an_entry(EntryKind.REJECTED, reason=Reason.BALANCE_NOT_ZERO)
    assert events_of(refused) == ()
    (event,) = events_of(refused._replace(credit_account=BERT, reason=Reason.INSUFFICIENT_FUNDS))
    assert (event.type, event.reason) == (EventType.PAYMENT_REJECTED, "insufficient_funds")


def test_an_expired_hold_says_why() -> None:
    details = (Cause(CauseKind.CAPTURE, b"H" * 16),)
    (event,) = events_of(an_entry(EntryKind.RELEASED, reason=Reason.HOLD_EXPIRED, details=details))
    assert (event.type, event.subject) == (EventType.HOLD_RELEASED, format_id(HOLD, b"H" * 16))
    assert event.reason == "hold_expired"


def test_a_declined_review_rejects_its_payment_and_names_no_analyst() -> None:
    details = (Cause(CauseKind.REVIEW, b"P" * 16, (b"A" * 16).hex()),)
    (event,) = events_of(an_entry(EntryKind.RELEASED, reason=Reason.REVIEW_DECLINED, details=details))
    assert (event.type, event.subject) == (EventType.PAYMENT_REJECTED, format_id(PAYMENT, b"P" * 16))
    assert (event.cause, event.network_code) == (None, None)


@pytest.mark.parametrize("status", AccountStatus)
def test_each_standing_of_an_account_has_its_word(status: AccountStatus) -> None:
    (event,) = events_of(an_entry(EntryKind.STANDING_SET, amount_minor=status.value))
    word = "activated" if status is AccountStatus.OPEN else status.name.lower()
    assert (event.type.value, event.subject) == (f"account.{word}", format_id(ACCOUNT, ANNA))
    assert event.amount_minor is None


def test_a_limit_is_told_with_its_amount() -> None:
    (event,) = events_of(an_entry(EntryKind.OVERDRAFT_LIMIT_SET, amount_minor=500, currency=""))
    assert (event.amount_minor, event.currency) == (500, None)


def test_the_customer_of_a_dispute_is_credited_under_its_id() -> None:
    details = (Cause(CauseKind.DISPUTE, b"D" * 16),)
    (event,) = events_of(
        an_entry(EntryKind.POSTED, credit_account=BERT, amount_minor=9, currency="EUR", details=details)
    )
    assert (event.type, event.subject) == (EventType.DISPUTE_CREDITED, format_id(DISPUTE, b"D" * 16))
