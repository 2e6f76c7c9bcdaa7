"""Limits and rules on what is more than a plain transfer: a hold that is raised, and the kinds that a rule may name."""

import pytest

from payments.commands import CommandKind
from payments.entries import Entry, EntryKind
from payments.identifiers import system_account
from payments.items.details import Assessed, Posting
from payments.movements.instructions import CaptureHold, PayOut, PricedTransfer
from payments.postings import SystemAccount, clearing_account
from payments.rejections import Reason
from payments.risk import verdict
from payments.risk.verdict import Hit
from tests.payments.movements.test_reviews import ANNA, Desk, outcomes, verdict_of

FEES = system_account(SystemAccount.FEES, "EUR")


def hits_of(entry: Entry) -> tuple[Hit, ...]:
    return tuple(
        hit for detail in entry.details if isinstance(detail, Assessed) for hit in verdict.decode(detail.verdict).hits
    )


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"per_transaction": 100}, Reason.PER_TRANSACTION_LIMIT_EXCEEDED),
        ({"daily": 100}, Reason.DAILY_LIMIT_EXCEEDED),
        ({"monthly": 100}, Reason.MONTHLY_LIMIT_EXCEEDED),
    ],
)
def test_a_limit_holds_for_a_hold_that_is_raised(limits: dict[str, int], reason: Reason) -> None:
    """Nothing looked at it: a hold of one cent was raised to whatever the account had, and captured."""
    desk = Desk()
    desk.limit(**limits)
    hold_id = desk.hold(60)
    assert outcomes(desk.increase(hold_id, 41)) == [(EntryKind.REJECTED, reason)]
    assert outcomes(desk.increase(hold_id, 40)) == [(EntryKind.HOLD_RAISED, Reason.NONE)]
    assert outcomes(desk.increase(hold_id, 1)) == [(EntryKind.REJECTED, reason)]
    assert desk.available(ANNA) == 100_000 - 100


def test_what_was_captured_of_a_hold_still_counts_when_it_is_raised() -> None:
    desk = Desk()
    desk.limit(per_transaction=100)
    hold_id = desk.hold(100)
    desk.ask(CaptureHold(payer=ANNA, hold_id=hold_id, amount_minor=90, is_final=False, envelope=desk.envelope()))
    assert outcomes(desk.increase(hold_id, 1)) == [(EntryKind.REJECTED, Reason.PER_TRANSACTION_LIMIT_EXCEEDED)]


def test_a_rule_looks_at_all_of_a_hold_that_is_raised() -> None:
    desk = Desk()
    desk.rule()
    hold_id = desk.hold(1_000)
    entries = desk.increase(hold_id, 1_000)
    assert outcomes(entries) == [(EntryKind.REJECTED, Reason.REVIEW_BY_RULE)], "an authorisation can't wait"
    assert verdict_of(entries[0]).features["amount_minor"] == 2_000
    assert outcomes(desk.increase(hold_id, 999)) == [(EntryKind.HOLD_RAISED, Reason.NONE)]


KINDS = """
version: {version}
rules:
  - {{id: held, when: "kind == 'hold'", verdict: deny, reason: x, mode: shadow}}
  - {{id: out, when: "kind == 'withdrawal'", verdict: deny, reason: x, mode: shadow}}
  - {{id: paid, when: "kind == 'payout'", verdict: deny, reason: x, mode: shadow}}
  - {{id: sent, when: "kind == 'transfer'", verdict: deny, reason: x, mode: shadow}}
"""


def play_every_kind(desk: Desk) -> None:
    hold_id = desk.hold(10)
    desk.increase(hold_id, 10)
    desk.pay(10)
    cash = clearing_account("EUR")
    desk.command(CommandKind.TRANSFER, ANNA, cash, 10)
    legs = Posting(ANNA, -11, "EUR"), Posting(cash, 10, "EUR"), Posting(FEES, 1, "EUR")
    desk.ask(PricedTransfer(payer=ANNA, payee=cash, legs=legs, envelope=desk.envelope()))
    asked = PayOut(
        account=ANNA, provider="stripe", amount_minor=10, currency="EUR", token="ba_1", envelope=desk.envelope()
    )
    desk.ask(asked)


def test_a_rule_tells_the_kinds_of_movements_apart() -> None:
    """Every one was a transfer to it: a rule on holds, as the documents show one, never held."""
    desk = Desk()
    desk.rule(text=KINDS)
    play_every_kind(desk)
    hits = [hit.rule for entry in desk.entries for hit in hits_of(entry)]
    assert hits == ["held", "held", "sent", "out", "out", "paid"]
