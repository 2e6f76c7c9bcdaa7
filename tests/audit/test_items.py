"""Open items and legs: the fold follows all of them, and names the entry at which one is not what it must be."""

import re
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

import pytest

from millrace.audit.ledger.fold import Fold
from millrace.audit.ledger.items import followed
from millrace.audit.report import Difference, Differs, Invariant
from payments.entries import Entry, EntryKind
from payments.identifiers import NIL, system_account
from payments.items.details import (
    Cause,
    CauseKind,
    Detail,
    GivenBack,
    Hold,
    Journal,
    JournalLeg,
    Legs,
    Posting,
    Receivable,
    Review,
    RiskProfile,
)
from payments.items.endings import kept_until_us
from payments.postings import JOURNAL_ENTRIES, SystemAccount
from payments.rejections import Reason
from schemas.codec.ledger import decode_ledger_record, encode_ledger_record
from tests.audit.records import ALICE, BOB, deposited, entry, opened, record
from tests.sinks.every_kind import CHECKOUTS, SHARDS, EveryKind
from tests.sinks.shards_in_memory import ShardsInMemory

Ledgers = list[list[bytes]]
DISPUTES, RECEIVABLES = (system_account(code, "EUR") for code in (SystemAccount.DISPUTES, SystemAccount.RECEIVABLES))


@pytest.fixture(scope="module")
def shards() -> ShardsInMemory:
    """By which everything was decided."""
    shards = ShardsInMemory(SHARDS)
    EveryKind(shards).run()
    return shards


@pytest.fixture(scope="module")
def ledgers(shards: ShardsInMemory) -> Ledgers:
    return [shards.ledger(shard) for shard in range(SHARDS)]


def folded(ledgers: Ledgers) -> Fold:
    fold = Fold()
    for shard, values in enumerate(ledgers):
        for offset, value in enumerate(values):
            fold.add(decode_ledger_record(value), f"ledger[{shard}] offset {offset}")
    fold.items.conclude(at_rest=True)
    return fold


def test_every_kind_adds_up_after_every_record(ledgers: Ledgers) -> None:
    fold = Fold()
    for values in ledgers:
        for value in values:
            fold.add(decode_ledger_record(value), "somewhere")
            postings, held = fold.sums()
            assert not any((*postings.values(), *held.values()))
    assert fold.below_limit == {}


def test_accounts_and_items_are_those_of_the_shards(shards: ShardsInMemory, ledgers: Ledgers) -> None:
    fold = folded(ledgers)
    for account_id, account in fold.accounts.items():
        state = next(found for shard in shards.shards if (found := shard.book.accounts.get(account_id)))
        assert state[:5] == (account.currency, account.available, account.limit, account.status, account.type)
    still_open = {stated.item for stated in fold.items.stated.values() if stated.item.is_open}
    owners = (*fold.accounts, *CHECKOUTS)
    held = (item for s in shards.shards for id_ in owners for item in s.book.items.of(id_))
    assert still_open == {item for item in held if not isinstance(item, RiskProfile)}
    assert Counter(fold.items.journal_ends.values()) == {EntryKind.JOURNAL_POSTED: 18, EntryKind.JOURNAL_CANCELLED: 8}


class Place(NamedTuple):
    """A field of a detail in the ledgers."""

    shard: int
    offset: int
    entry: int
    detail: int
    field: str


ASKED_FOR = {
    "Hold.expires_at_us",
    "Review.legs",
    "Review.approvals_needed",
    "GivenBack.amount_minor",
    "Dispute.customer",
    "Dispute.is_provisional",
    "Dispute.is_open",
    "Journal.refusal",
    "Journal.reply_to",
    "ProviderRequest.attempt",
    "ProviderRequest.attempt_follows",
    "ProviderRequest.decline",
    "ProviderRequest.provider_reference",
    "ProviderRequest.fee_minor",
    "ProviderRequest.fee_currency",
    "AttemptSettlement.item_id",
    "AttemptSettlement.is_succeeded",
    "AttemptSettlement.provider_reference",
    "AttemptSettlement.settled_by",
}
"""What an entry says first or alone, because it was asked for or answered so: deciding again proves that. Changed in
any later entry it is noticed here."""


def places(ledgers: Ledgers) -> list[Place]:
    """Of each field, the first and the last place in every kind of entry: all of them would take three minutes."""
    found: dict[tuple[EntryKind, type[Detail], str], list[Place]] = {}
    for kind, detail, place in _places(ledgers):
        same = found.setdefault((kind, type(detail), place.field), [])
        same[1:] = [place]
    return [place for same in found.values() for place in same]


def _places(ledgers: Ledgers) -> Iterator[tuple[EntryKind, Detail, Place]]:
    for shard, values in enumerate(ledgers):
        for offset, value in enumerate(values):
            for index, entry_ in decode_ledger_record(value).detailed():
                checked: list[Detail] = [*followed(entry_)]
                if entry_.kind in JOURNAL_ENTRIES:
                    checked += (detail for detail in entry_.details if isinstance(detail, Legs))
                for at, detail in enumerate(entry_.details):
                    if detail in checked:
                        for field in detail._fields:
                            yield entry_.kind, detail, Place(shard, offset, index, at, field)


def changed(value: Any, field: str = "") -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case Reason():
            return Reason.MALFORMED if value is Reason.NONE else Reason.NONE
        case Enum():
            return next(member for member in type(value) if member is not value)
        case int():
            return value + 1
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:]
        case Posting():
            return value._replace(amount_minor=value.amount_minor + 1)
        case (first, *others):
            return (changed(first), *others)
        case ():
            return (b"B" * 16,) if field == "approved_by" else (Posting(BOB, 1, "EUR"),)
        case _:
            return "CHF"


def tampered(ledgers: Ledgers, place: Place) -> Ledgers:
    record_ = decode_ledger_record(ledgers[place.shard][place.offset])
    entries = list(record_.entries())
    details: list[Any] = list(entries[place.entry].details)
    detail = details[place.detail]
    details[place.detail] = detail._replace(**{place.field: changed(getattr(detail, place.field), place.field)})
    entries[place.entry] = entries[place.entry]._replace(details=tuple(details))
    copy = [values[:] for values in ledgers]
    copy[place.shard][place.offset] = encode_ledger_record(record_.header, entries, record_.descriptions)
    return copy


def changed_one_by_one(ledgers: Ledgers, changed_places: list[Place]) -> tuple[Counter[str], Counter[str]]:
    """How often each field was changed, and how often nobody noticed."""
    fields: Counter[str] = Counter()
    unnoticed: Counter[str] = Counter()
    for place in changed_places:
        field = f"{type(detail_at(ledgers, place)).__name__}.{place.field}"
        fields[field] += 1
        unnoticed[field] += not is_noticed(ledgers, place)
    return fields, +unnoticed


def test_a_leg_or_a_field_of_an_item_that_is_changed_is_noticed(ledgers: Ledgers) -> None:
    _, unnoticed = changed_one_by_one(ledgers, places(ledgers)[::9])
    assert set(unnoticed) <= ASKED_FOR


@pytest.mark.night
def test_no_leg_and_no_field_of_an_item_can_be_changed(ledgers: Ledgers) -> None:
    fields, unnoticed = changed_one_by_one(ledgers, places(ledgers))
    assert set(unnoticed) == ASKED_FOR
    assert all(unnoticed[field] < fields[field] for field in ASKED_FOR)
    assert len(fields) > 30


def detail_at(ledgers: Ledgers, place: Place) -> Detail:
    entries = list(decode_ledger_record(ledgers[place.shard][place.offset]).entries())
    return entries[place.entry].details[place.detail]


def is_noticed(ledgers: Ledgers, place: Place) -> bool:
    try:
        fold = folded(tampered(ledgers, place))
    except Differs as differs:
        return bool(differs.difference.place)
    return any(any(sums.values()) for sums in fold.sums())


def hold(amount: int, captured: int = 0, *, is_open: bool = True) -> Hold:
    return Hold(b"\2" * 16, ALICE, BOB, amount, captured, "EUR", 9, is_open)


def held(kind: EntryKind, amount: int, after: int, item: Hold, operation: int = 3) -> Entry:
    return entry(kind, operation, amount=amount, after=after)._replace(details=(item,))


PLACED = held(EntryKind.HELD, 100, 400, hold(100), operation=2)
PAYMENT = b"\7" * 16
FUNDED = opened(ALICE), opened(BOB), deposited(ALICE, 500, 500)


def difference_of(*entries: Entry) -> Difference:
    with pytest.raises(Differs) as raised:
        Fold().add(record(*FUNDED, *entries), "ledger[0] offset 7")
    return raised.value.difference


def test_a_hold_is_captured_in_parts_and_the_rest_is_given_back() -> None:
    fold = Fold()
    first = held(EntryKind.CAPTURED, 30, 400, hold(70, 30))
    last = held(EntryKind.CAPTURED, 50, 420, hold(0, 80, is_open=False), operation=4)
    fold.add(record(*FUNDED, PLACED, first, last), "here")
    assert fold.in_flight() == {"EUR": 80}
    assert fold.sums() == ({"EUR": 0}, {"EUR": 0})


def test_a_capture_beyond_its_hold() -> None:
    taken = held(EntryKind.CAPTURED, 101, 399, hold(0, 101, is_open=False))
    difference = difference_of(PLACED, taken)
    assert difference == Difference(
        Invariant.LIMITS, "ledger[0] offset 7 entry 4", "a capture of at most 100, which is left of its hold", "101"
    )


def test_a_capture_that_leaves_the_hold_as_it_was() -> None:
    difference = difference_of(PLACED, held(EntryKind.CAPTURED, 30, 400, hold(100, 30)))
    assert "amount_minor 70" in difference.expected
    assert "amount_minor 100" in difference.found


def test_a_hold_released_twice() -> None:
    released = held(EntryKind.RELEASED, 100, 500, hold(0, is_open=False))
    difference = difference_of(PLACED, released, released._replace(available_after_minor=600))
    assert (difference.invariant, difference.place) == (Invariant.ONE_OUTCOME, "ledger[0] offset 7 entry 5")


def refunded(amount: int, so_far: int, after: int, operation: int) -> Entry:
    reserved = entry(EntryKind.RESERVED, operation, amount=amount, after=after)
    item = GivenBack(PAYMENT, ALICE, 100, so_far, 0, ends_at_us=kept_until_us(reserved.decided_at_us))
    return reserved._replace(details=(Cause(CauseKind.REFUND, PAYMENT), item))


def test_refunds_of_sixty_and_sixty_on_a_hundred() -> None:
    difference = difference_of(refunded(60, 60, 440, 5), refunded(60, 120, 380, 6))
    assert difference.invariant is Invariant.LIMITS
    assert difference.expected == "at most the payment of 100 given back"
    assert difference.found == "120 refunded and 0 disputed"


def debited(paid: int, owed: int, after: int) -> Entry:
    legs = [Posting(ALICE, -paid, "EUR"), Posting(RECEIVABLES, -owed, "EUR"), Posting(DISPUTES, paid + owed, "EUR")]
    details = Legs(tuple(legs)), Receivable(b"\5" * 16, ALICE, owed, "EUR", is_open=True)
    return entry(EntryKind.DEBITED, 5, credit=DISPUTES, amount=paid + owed, after=after)._replace(details=details)


def test_a_debt_for_what_the_account_does_not_have() -> None:
    fold = Fold()
    fold.add(record(*FUNDED, debited(500, 200, 0)), "here")
    assert fold.sums() == ({"EUR": 0}, {"EUR": 0})
    assert fold.below_limit == {}
    difference = difference_of(debited(400, 300, 100))
    assert (difference.invariant, difference.found) == (Invariant.LIMITS, "100 left available")


def test_an_involuntary_debit_below_the_limit() -> None:
    fold = Fold()
    legs = Posting(ALICE, -600, "EUR"), Posting(DISPUTES, 600, "EUR")
    taken = entry(EntryKind.DEBITED, 5, credit=DISPUTES, amount=600, after=-100)._replace(details=(Legs(legs),))
    fold.add(record(*FUNDED, taken), "here")
    assert fold.below_limit.keys() == {ALICE}


@pytest.mark.parametrize(
    ("legs", "expected"),
    [
        ((Posting(RECEIVABLES, -7, "EUR"), Posting(DISPUTES, 8, "EUR")), "legs that add up to 0 EUR"),
        ((Posting(RECEIVABLES, -7, "EUR"), Posting(DISPUTES, 7, "USD")), "legs that add up to 0 EUR"),
        ((Posting(RECEIVABLES, -7, "EUR"), Posting(NIL, 7, "EUR")), "an account for every leg"),
    ],
    ids=["amounts", "currencies", "account"],
)
def test_legs_that_do_not_balance(legs: tuple[Posting, ...], expected: str) -> None:
    journal = entry(EntryKind.JOURNAL_POSTED, 5, credit=NIL, amount=7)._replace(details=(Legs(legs),))
    assert difference_of(journal).expected == expected


def test_an_entry_without_the_details_of_its_kind() -> None:
    difference = difference_of(entry(EntryKind.HELD, after=400))
    assert (difference.expected, difference.found) == ("details of HELD", "none")


def journal_of_two(end: EntryKind, *leg_ends: EntryKind | None) -> Fold:
    """Alice −10, Bob +10; the journal ends so, and its legs so (None: still reserved)."""
    legs = Posting(ALICE, -10, "EUR"), Posting(BOB, 10, "EUR")
    refusal = Reason.NONE if end is EntryKind.JOURNAL_POSTED else Reason.PAYEE_FROZEN
    asked = Journal(b"\5" * 16, ALICE, legs, 2, Reason.NONE, bytes(8), is_open=True)
    ended = asked._replace(awaited=0, refusal=refusal, is_open=False)
    noted = asked._replace(awaited=1)
    entries = [_journal_entry(EntryKind.JOURNAL_OPENED, asked), _journal_entry(EntryKind.NOTED, noted)]
    entries.append(_journal_entry(end, ended, *([Legs(legs)] if end is EntryKind.JOURNAL_POSTED else [])))
    for number, leg in enumerate(legs):
        item = JournalLeg(bytes([6 + number]) * 16, leg.account, asked.item_id, leg.amount_minor, "EUR", is_open=True)
        entries.append(_leg_entry(EntryKind.LEG_RESERVED, item, (490, 0)[number]))
        leg_end = leg_ends[number]
        if leg_end is not None:
            after = (490, 10)[number] if leg_end is EntryKind.LEG_SETTLED else (500, 0)[number]
            entries.append(_leg_entry(leg_end, item._replace(is_open=False), after))
    fold = Fold()
    fold.add(record(*FUNDED, *entries), "here")
    return fold


def _journal_entry(kind: EntryKind, item: Journal, *details: Detail) -> Entry:
    return entry(kind, 5, credit=NIL, amount=10)._replace(details=(*details, item))


def _leg_entry(kind: EntryKind, item: JournalLeg, after: int) -> Entry:
    debit, credit = (item.owner, NIL) if item.amount_minor < 0 else (NIL, item.owner)
    return entry(kind, item.item_id[0], debit, credit, 10, after)._replace(details=(item,))


POSTED, CANCELLED = EntryKind.JOURNAL_POSTED, EntryKind.JOURNAL_CANCELLED
SETTLED, RELEASED = EntryKind.LEG_SETTLED, EntryKind.LEG_RELEASED


def test_a_journal_that_ends_for_all_of_its_legs() -> None:
    fold = journal_of_two(POSTED, SETTLED, SETTLED)
    fold.items.conclude(at_rest=True)
    assert fold.sums() == ({"EUR": 0}, {"EUR": 0})


@pytest.mark.parametrize(
    ("end", "leg_ends", "found"),
    [
        (POSTED, (SETTLED, RELEASED), "LEG_RELEASED"),
        (POSTED, (SETTLED, None), "still reserved"),
    ],
    ids=["released", "left behind"],
)
def test_a_journal_that_ends_otherwise_for_one_leg(
    end: EntryKind, leg_ends: tuple[EntryKind | None, ...], found: str
) -> None:
    fold = journal_of_two(end, *leg_ends)
    with pytest.raises(Differs) as raised:
        fold.items.conclude(at_rest=True)
    difference = raised.value.difference
    assert (difference.invariant, difference.expected, difference.found) == (
        Invariant.ONE_OUTCOME,
        "LEG_SETTLED",
        found,
    )


def test_a_journal_cancelled_without_a_leg_that_refused() -> None:
    with pytest.raises(Differs, match="expected none, found payee_frozen"):
        journal_of_two(CANCELLED, RELEASED, RELEASED).items.conclude(at_rest=True)


def test_a_leg_whose_end_is_on_its_way() -> None:
    journal_of_two(POSTED, SETTLED, None).items.conclude(at_rest=False)


def reviewed(kind: EntryKind, *approved_by: bytes, after: int = 400, is_open: bool = True) -> Entry:
    review = Review(b"\2" * 16, ALICE, (), 2, approved_by, is_open)
    item = Hold(b"\2" * 16, ALICE, BOB, 100 if is_open else 0, 0 if is_open else 100, "EUR", 9, is_open, is_review=True)
    details: tuple[Detail, ...] = (review,) if kind is EntryKind.NOTED else (item, review)
    return entry(kind, 2, amount=100, after=after)._replace(details=details)


ONE, OTHER = b"1" * 16, b"2" * 16
WAITING = reviewed(EntryKind.HELD), reviewed(EntryKind.NOTED, ONE)


def test_a_payment_that_two_analysts_approve() -> None:
    fold = Fold()
    fold.add(record(*FUNDED, *WAITING, reviewed(EntryKind.CAPTURED, ONE, OTHER, is_open=False)), "here")
    assert fold.in_flight() == {"EUR": 100}


@pytest.mark.parametrize(
    ("approved_by", "expected"),
    [((ONE, ONE), "analysts who approve once each"), ((ONE, OTHER, b"3" * 16), "a review: .*")],
    ids=["twice", "too many"],
)
def test_a_review_ended_by_the_wrong_analysts(approved_by: tuple[bytes, ...], expected: str) -> None:
    difference = difference_of(*WAITING, reviewed(EntryKind.CAPTURED, *approved_by, is_open=False))
    assert re.fullmatch(expected, difference.expected)


def test_a_payment_released_by_one_analyst_where_two_are_needed() -> None:
    difference = difference_of(reviewed(EntryKind.HELD), reviewed(EntryKind.CAPTURED, ONE, is_open=False))
    assert (difference.invariant, difference.expected) == (Invariant.LIMITS, "2 approvals")
