"""Limits, rules and reviews, as a caller meets them: what passes, what is refused, what waits for whom."""

import pytest

from payments.book import Book
from payments.commands import NO_REPLY, Command, CommandKind
from payments.entries import Entry, EntryKind, Source
from payments.expiry import expire
from payments.identifiers import NIL, derive_operation_id
from payments.items.details import Assessed, Hold, Posting
from payments.items.profiles import risk_state_of
from payments.lifecycle import decide as decide_command
from payments.movements.assessing import REVIEW_US, UNKNOWN
from payments.movements.deciding import decide, settled
from payments.movements.instructions import (
    Attributes,
    CaptureHold,
    DecideReview,
    Envelope,
    Instruction,
    PlaceHold,
    PricedTransfer,
    RaiseHold,
    SetLimits,
    SetRules,
    VoidHold,
)
from payments.postings import clearing_account, postings
from payments.rejections import Reason
from payments.risk import verdict
from payments.risk.limits import NO_LIMIT, RiskReason, Tier

ANNA, BERT = b"a" * 16, b"b" * 16
ALICE, BOB = b"1" * 16, b"2" * 16
START_US = 1_795_000_000_000_000

RULES = """
version: {version}
rules:
  - id: large
    when: amount_minor >= 2000
    verdict: review
    reason: a person looks at large payments
  - id: elsewhere
    when: ip_country == 'XX'
    verdict: deny
    reason: not from there
reporting_thresholds:
  EUR: '50.00'
"""


class Desk:
    """One book; each call settles everything."""

    def __init__(self) -> None:
        self.book = Book()
        self.entries: list[Entry] = []
        self.now_us = START_US
        self.calls = 0
        for account in (ANNA, BERT):
            self.command(CommandKind.OPEN_ACCOUNT, account, NIL, 0)
        self.command(CommandKind.DEPOSIT, clearing_account("EUR"), ANNA, 100_000)

    def command(self, kind: CommandKind, payer: bytes, payee: bytes, amount_minor: int, key: str = "") -> list[Entry]:
        asked = Command(kind, payer, payee, amount_minor, "EUR", NO_REPLY, key or self._key())
        operation_id = derive_operation_id(asked.authority, asked.idempotency_key, 0)
        return self._settled(decide_command(self.book, operation_id, asked, self.source))

    def ask(self, asked: Instruction) -> list[Entry]:
        operation_id = derive_operation_id(asked.authority, asked.envelope.idempotency_key, 0)
        return self._settled(decide(self.book, operation_id, asked, self.source))

    def _settled(self, entry: Entry) -> list[Entry]:
        found = list(settled(self.book, entry, self.source))
        self.entries += found
        return found

    def pay(self, amount_minor: int) -> list[Entry]:
        return self.command(CommandKind.TRANSFER, ANNA, BERT, amount_minor)

    def limit(self, per_transaction: int = NO_LIMIT, daily: int = NO_LIMIT, monthly: int = NO_LIMIT) -> Entry:
        asked = SetLimits(
            account=ANNA,
            per_transaction_minor=per_transaction,
            daily_minor=daily,
            monthly_minor=monthly,
            tier=Tier.BASIC,
            envelope=self.envelope(),
        )
        return self.ask(asked)[0]

    def rule(self, version: int = 1, text: str = RULES) -> Entry:
        return self.ask(SetRules(shard=0, text=text.format(version=version), envelope=self.envelope()))[0]

    def decide(self, hold_id: bytes, analyst: bytes, is_approved: bool = True) -> list[Entry]:
        asked = DecideReview(
            payer=ANNA, hold_id=hold_id, analyst=analyst, is_approved=is_approved, envelope=self.envelope()
        )
        return self.ask(asked)

    def hold(self, amount_minor: int) -> bytes:
        asked = PlaceHold(
            payer=ANNA,
            payee=BERT,
            amount_minor=amount_minor,
            currency="EUR",
            expires_at_us=self.now_us + 3_600_000_000,
            envelope=self.envelope(),
        )
        (entry,) = self.ask(asked)
        assert entry.kind is EntryKind.HELD
        return entry.operation_id

    def increase(self, hold_id: bytes, amount_minor: int) -> list[Entry]:
        return self.ask(RaiseHold(payer=ANNA, hold_id=hold_id, amount_minor=amount_minor, envelope=self.envelope()))

    def envelope(self, attributes: Attributes = UNKNOWN) -> Envelope:
        return Envelope(self._key(), attributes=attributes)

    def available(self, account: bytes) -> int:
        return self.book.accounts[account].available_minor

    @property
    def source(self) -> Source:
        return Source(self.calls, 0, self.now_us)

    def _key(self) -> str:
        self.calls += 1
        return f"key {self.calls}"


def outcomes(entries: list[Entry]) -> list[tuple[EntryKind, Reason]]:
    return [(entry.kind, entry.reason) for entry in entries]


def verdict_of(entry: Entry) -> verdict.Verdict:
    (assessed,) = (detail for detail in entry.details if isinstance(detail, Assessed))
    return verdict.decode(assessed.verdict)


POSTED = [(EntryKind.RESERVED, Reason.NONE), (EntryKind.POSTED, Reason.NONE)]


def test_without_limits_and_rules_nothing_is_assessed_and_nothing_is_kept() -> None:
    desk = Desk()
    assert desk.pay(5_000)[0].details == ()
    assert risk_state_of(desk.book.items, ANNA) is None


@pytest.mark.parametrize(
    ("limits", "payments", "reason"),
    [
        ({"per_transaction": 100}, [100, 101], Reason.PER_TRANSACTION_LIMIT_EXCEEDED),
        ({"daily": 100}, [60, 41], Reason.DAILY_LIMIT_EXCEEDED),
        ({"monthly": 100}, [60, 41], Reason.MONTHLY_LIMIT_EXCEEDED),
    ],
)
def test_a_limit_refuses_what_is_above_it(limits: dict[str, int], payments: list[int], reason: Reason) -> None:
    desk = Desk()
    desk.limit(**limits)
    assert outcomes(desk.pay(payments[0])) == POSTED
    assert outcomes(desk.pay(payments[1])) == [(EntryKind.REJECTED, reason)]
    assert desk.available(ANNA) == 100_000 - payments[0]


def test_a_limit_holds_for_authorisations_and_priced_transfers_too() -> None:
    desk = Desk()
    desk.limit(per_transaction=100)
    hold = PlaceHold(
        payer=ANNA,
        payee=BERT,
        amount_minor=101,
        currency="EUR",
        expires_at_us=START_US + 1_000_000,
        envelope=desk.envelope(),
    )
    legs = (Posting(ANNA, -101, "EUR"), Posting(BERT, 101, "EUR"))
    refused = [(EntryKind.REJECTED, Reason.PER_TRANSACTION_LIMIT_EXCEEDED)]
    assert outcomes(desk.ask(hold)) == refused
    assert outcomes(desk.ask(PricedTransfer(payer=ANNA, payee=BERT, legs=legs, envelope=desk.envelope()))) == refused


def test_what_a_day_has_used_up_is_there_again_the_next_day() -> None:
    desk = Desk()
    desk.limit(daily=100)
    desk.pay(100)
    desk.now_us += 24 * 3_600_000_000
    assert outcomes(desk.pay(100)) == POSTED


def test_a_limit_that_is_taken_away_is_gone() -> None:
    desk = Desk()
    desk.limit(per_transaction=100)
    entry = desk.limit()
    assert entry.kind is EntryKind.LIMITS_SET
    assert outcomes(desk.pay(5_000)) == POSTED


def test_a_refused_attempt_is_counted_as_an_attempt_and_not_as_an_approval() -> None:
    desk = Desk()
    desk.limit(daily=100)
    entries = desk.pay(200_000)
    assert outcomes(entries) == [(EntryKind.REJECTED, Reason.INSUFFICIENT_FUNDS)]
    assert entries[0].details, "insufficient funds are an attempt as well: card testing looks like this"
    assert outcomes(desk.pay(100)) == POSTED, "nothing of the limit was used up"


def test_a_rule_denies_and_tells_the_values_that_it_read() -> None:
    desk = Desk()
    desk.rule()
    legs = (Posting(ANNA, -10, "EUR"), Posting(BERT, 10, "EUR"))
    there = desk.envelope(Attributes(ip_key=b"I" * 8, ip_country="XX"))
    (entry,) = desk.ask(PricedTransfer(payer=ANNA, payee=BERT, legs=legs, envelope=there))
    assert (entry.kind, entry.reason) == (EntryKind.REJECTED, Reason.DENIED_BY_RULE)
    found = verdict_of(entry)
    assert [hit.rule for hit in found.hits] == ["elsewhere"]
    assert found.rule_set == 1
    assert found.features["ip_country"] == "XX"


def test_rules_come_into_force_where_they_stand_in_the_log_and_only_newer_ones() -> None:
    desk = Desk()
    assert outcomes(desk.pay(2_000)) == POSTED
    assert desk.rule(version=2).kind is EntryKind.RULES_SET
    assert outcomes(desk.pay(2_000)) == [(EntryKind.HELD, Reason.REVIEW_BY_RULE)]
    assert outcomes([desk.rule(version=2)]) == [(EntryKind.REJECTED, Reason.RULES_INVALID)]
    assert outcomes([desk.rule(text="version: {version}\nrules: 7")]) == [(EntryKind.REJECTED, Reason.RULES_INVALID)]


def held(desk: Desk, amount_minor: int) -> bytes:
    (entry,) = desk.pay(amount_minor)
    assert (entry.kind, entry.reason) == (EntryKind.HELD, Reason.REVIEW_BY_RULE)
    return entry.operation_id


def test_a_reviewed_payment_is_posted_as_the_payment_that_it_was() -> None:
    desk = Desk()
    desk.rule()
    payment_id = held(desk, 3_000)
    assert desk.available(ANNA) == 97_000
    captured, posted = desk.decide(payment_id, ALICE)
    assert (captured.kind, posted.kind, posted.operation_id) == (EntryKind.CAPTURED, EntryKind.POSTED, payment_id)
    assert (desk.available(ANNA), desk.available(BERT)) == (97_000, 3_000)
    assert list(desk.book.items.of(ANNA)) == [item for item in desk.book.items.of(ANNA) if not isinstance(item, Hold)]


def test_a_priced_transfer_that_waited_posts_its_own_legs() -> None:
    desk = Desk()
    desk.rule()
    fees = clearing_account("EUR")
    legs = (Posting(ANNA, -3_000, "EUR"), Posting(BERT, 2_900, "EUR"), Posting(fees, 100, "EUR"))
    (entry,) = desk.ask(PricedTransfer(payer=ANNA, payee=BERT, legs=legs, envelope=desk.envelope()))
    _, posted = desk.decide(entry.operation_id, ALICE)
    assert postings(posted) == legs


def test_from_the_reporting_threshold_on_two_different_analysts_have_to_approve() -> None:
    desk = Desk()
    desk.rule()
    payment_id = held(desk, 5_000)
    assert outcomes(desk.decide(payment_id, ALICE)) == [(EntryKind.NOTED, Reason.NONE)]
    assert outcomes(desk.decide(payment_id, ALICE)) == [(EntryKind.REJECTED, Reason.REVIEWER_REPEATED)]
    assert desk.available(BERT) == 0
    assert [entry.kind for entry in desk.decide(payment_id, BOB)] == [EntryKind.CAPTURED, EntryKind.POSTED]
    assert outcomes(desk.decide(payment_id, BOB)) == [(EntryKind.REJECTED, Reason.REVIEW_NOT_FOUND)]


def test_one_analyst_declines_and_the_payer_has_it_back() -> None:
    desk = Desk()
    desk.rule()
    payment_id = held(desk, 5_000)
    desk.decide(payment_id, ALICE)
    assert outcomes(desk.decide(payment_id, BOB, is_approved=False)) == [(EntryKind.RELEASED, Reason.REVIEW_DECLINED)]
    assert (desk.available(ANNA), desk.available(BERT)) == (100_000, 0)


def test_what_nobody_decides_goes_back_after_a_day() -> None:
    desk = Desk()
    desk.rule()
    payment_id = held(desk, 3_000)
    desk.now_us += REVIEW_US
    assert outcomes(desk.decide(payment_id, ALICE)) == [(EntryKind.REJECTED, Reason.REVIEW_EXPIRED)]
    expired = [entry for each in expire(desk.book, desk.source) for entry in settled(desk.book, each, desk.source)]
    assert outcomes(expired) == [(EntryKind.RELEASED, Reason.REVIEW_EXPIRED)]
    assert desk.available(ANNA) == 100_000
    assert list(expire(desk.book, desk.source)) == []


def test_a_payment_in_review_is_no_hold_to_be_captured_or_voided() -> None:
    desk = Desk()
    desk.rule()
    payment_id = held(desk, 3_000)
    capture = CaptureHold(payer=ANNA, hold_id=payment_id, amount_minor=1, is_final=True, envelope=desk.envelope())
    void = VoidHold(payer=ANNA, hold_id=payment_id, envelope=desk.envelope())
    for asked in (capture, void):
        assert outcomes(desk.ask(asked)) == [(EntryKind.REJECTED, Reason.HOLD_NOT_FOUND)]


def test_an_authorisation_that_a_rule_would_review_is_refused_because_it_cannot_wait() -> None:
    desk = Desk()
    desk.rule()
    asked = PlaceHold(
        payer=ANNA,
        payee=BERT,
        amount_minor=3_000,
        currency="EUR",
        expires_at_us=START_US + 1_000_000,
        envelope=desk.envelope(),
    )
    assert outcomes(desk.ask(asked)) == [(EntryKind.REJECTED, Reason.REVIEW_BY_RULE)]


def test_a_tier_that_may_not_pay_so_much_is_told_that_a_verification_would_help() -> None:
    desk = Desk()
    desk.rule(text="version: {version}\nrules: []\ntiers:\n  unverified:\n    EUR:\n      per_transaction: '1.00'\n")
    (entry,) = desk.pay(101)
    assert entry.reason is Reason.PER_TRANSACTION_LIMIT_EXCEEDED
    assert RiskReason.VERIFICATION_REQUIRED in verdict_of(entry).reasons


def test_the_same_key_answers_a_review_and_assesses_nothing_again() -> None:
    desk = Desk()
    desk.rule()
    (first,) = desk.command(CommandKind.TRANSFER, ANNA, BERT, 3_000, "k")
    (second,) = desk.command(CommandKind.TRANSFER, ANNA, BERT, 3_000, "k")
    assert (first.kind, second.kind, second.details) == (EntryKind.HELD, EntryKind.REPLAYED, ())


@pytest.mark.parametrize("amount_minor", [3_000, 4_000])
def test_a_key_that_is_used_again_after_its_window_does_not_replace_the_review_it_began(amount_minor: int) -> None:
    """No tick came for three days: the second took the first one's place, whose amount nobody could release."""
    desk = Desk()
    desk.rule()
    desk.command(CommandKind.TRANSFER, ANNA, BERT, 3_000, "k")
    desk.now_us += 80 * 3_600_000_000
    desk.pay(1)  # forgets what is older than 72 hours
    (again,) = desk.command(CommandKind.TRANSFER, ANNA, BERT, amount_minor, "k")
    assert again.reason is Reason.IDEMPOTENCY_KEY_REUSED
    released = [entry for due in expire(desk.book, desk.source) for entry in settled(desk.book, due, desk.source)]
    assert [entry.amount_minor for entry in released] == [3_000]
    assert desk.available(ANNA) == 100_000 - 1


def test_what_an_account_waits_to_pay_does_not_leave_it_when_it_was_frozen_meanwhile() -> None:
    """Two analysts approved, and the money left a frozen account."""
    desk = Desk()
    desk.rule()
    (held,) = desk.command(CommandKind.TRANSFER, ANNA, BERT, 3_000)
    desk.command(CommandKind.FREEZE_ACCOUNT, ANNA, NIL, 0)
    assert outcomes(desk.decide(held.operation_id, ALICE)) == [(EntryKind.REJECTED, Reason.ACCOUNT_FROZEN)]
    desk.command(CommandKind.UNFREEZE_ACCOUNT, ANNA, NIL, 0)
    assert desk.decide(held.operation_id, ALICE)[0].kind is EntryKind.CAPTURED
