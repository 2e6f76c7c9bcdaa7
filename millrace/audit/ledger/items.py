"""The open items of the books, followed statement by statement: each one must be the one before it, moved on by what
its entry does.

Keeps every item that was ever stated, as it stands (about 400 bytes each). Guarantees that no capture exceeds its hold,
that refunds and disputes never exceed their payment, that debts are what involuntary debits did not find, and that a
journal ends for all of its legs or for none.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from millrace.audit.ledger.rules import is_operators, posted_legs
from millrace.audit.report import Differs, Invariant
from payments.entries import Entry, EntryKind
from payments.identifiers import NIL, system_account
from payments.items.details import (
    OPEN_ITEMS,
    Cause,
    Dispute,
    GivenBack,
    Hold,
    Journal,
    JournalLeg,
    OpenItem,
    Posting,
    Receivable,
    Review,
    Uncollected,
)
from payments.postings import SystemAccount
from payments.rejections import Reason

Item = TypeVar("Item", bound=OpenItem)


class Stated(NamedTuple):
    """An item as it stands, and the times of the first and the newest entry that state it."""

    item: OpenItem
    opened_at_us: int
    changed_at_us: int
    place: tuple[int, int, int]
    """Shard, sequence and entry of the newest one."""


class Items:
    """Feed it every entry with details by `add`, shard after shard; `conclude` joins what crosses them."""

    def __init__(self) -> None:
        self.stated: dict[tuple[type[OpenItem], bytes], Stated] = {}
        self.journal_ends: dict[bytes, EntryKind] = {}
        self.leg_ends: dict[bytes, EntryKind] = {}
        self._leg_refusals: defaultdict[bytes, set[Reason]] = defaultdict(set)
        """By journal."""

    def left_of_hold(self, entry: Entry) -> int:
        """What is left of the hold that the entry changes, before it does."""
        ids = [detail.item_id for detail in entry.details if isinstance(detail, Hold)]
        before = self.stated.get((Hold, ids[0])) if ids else None
        return before.item.amount_minor if before is not None and isinstance(before.item, Hold) else 0

    def add(self, entry: Entry, where: tuple[int, int, int], place: str) -> None:
        """Raises Differs where an item is not what the one before it and the entry make."""
        for item in followed(entry):
            key = type(item), item.item_id
            before = self.stated.get(key)
            _CHECKS[type(item)](entry, before.item if before is not None else None, item, place)
            opened_at_us = before.opened_at_us if before is not None else entry.decided_at_us
            self.stated[key] = Stated(item, opened_at_us, entry.decided_at_us, where)
            self._note_end(entry, item)
        if entry.kind is EntryKind.LEG_REFUSED:
            self._leg_refusals[_cause_of(entry)].add(entry.reason)

    def _note_end(self, entry: Entry, item: OpenItem) -> None:
        if isinstance(item, Journal) and not item.is_open:
            self.journal_ends[item.item_id] = entry.kind
        if isinstance(item, JournalLeg) and not item.is_open:
            self.leg_ends[item.item_id] = entry.kind

    def of(self, kind: type[OpenItem]) -> Iterator[Any]:
        """Every item of a kind as it stands."""
        return (stated.item for (found, _), stated in self.stated.items() if found is kind)

    def set_aside(self) -> Counter[str]:
        """Per currency: what is held, and what is posted and not collected yet."""
        sums: Counter[str] = Counter()
        for kind in (Hold, Uncollected):
            for item in self.of(kind):
                sums[item.currency] += item.amount_minor if item.is_open else 0
        return sums

    def conclude(self, at_rest: bool) -> None:
        """Raises Differs where a journal ended otherwise for one of its legs. At rest, none may be left behind."""
        legs: defaultdict[bytes, list[JournalLeg]] = defaultdict(list)
        for leg in self.of(JournalLeg):
            legs[leg.journal_id].append(leg)
        journals = {journal.item_id: journal for journal in self.of(Journal)}
        for journal_id in legs.keys() | self._leg_refusals.keys() | journals.keys():
            place = f"journal {journal_id.hex()}"
            journal = journals.get(journal_id)
            if journal is None:
                raise Differs(Invariant.ONE_OUTCOME, place, "a journal of these legs", "none")
            self._require_refusal(journal, place)
            self._require_one_end(journal, legs[journal_id], place, at_rest)

    def _require_refusal(self, journal: Journal, place: str) -> None:
        """A journal is cancelled for the reason of one of its legs, and posted where there is none."""
        reasons = self._leg_refusals.get(journal.item_id, {Reason.NONE})
        if not journal.is_open and journal.refusal not in reasons:
            raise Differs(Invariant.ONE_OUTCOME, place, " or ".join(sorted(reasons)), journal.refusal)

    def _require_one_end(self, journal: Journal, reserved: list[JournalLeg], place: str, at_rest: bool) -> None:
        end = self.journal_ends.get(journal.item_id)
        asked = Counter(leg for leg in journal.legs if not is_operators(leg.account))
        found = Counter(Posting(leg.owner, leg.amount_minor, leg.currency) for leg in reserved)
        if found - asked or (end is EntryKind.JOURNAL_POSTED and found != asked):
            raise Differs(Invariant.ONE_OUTCOME, place, f"{_listed(asked)} reserved", f"{_listed(found)}")
        wanted = _LEG_ENDS.get(end) if end is not None else None
        for leg in reserved:
            leg_end = self.leg_ends.get(leg.item_id)
            if leg_end is not wanted and (leg_end is not None or at_rest):
                shown = [kind.name if kind is not None else "still reserved" for kind in (wanted, leg_end)]
                raise Differs(Invariant.ONE_OUTCOME, f"{place}, leg {leg.item_id.hex()}", *shown)


_LEG_ENDS = {EntryKind.JOURNAL_POSTED: EntryKind.LEG_SETTLED, EntryKind.JOURNAL_CANCELLED: EntryKind.LEG_RELEASED}


def followed(entry: Entry) -> list[OpenItem]:
    """The items of an entry that money rests on."""
    return [detail for detail in entry.details if isinstance(detail, OPEN_ITEMS) and type(detail) in _CHECKS]


def _listed(legs: Counter[Posting]) -> str:
    shown = sorted(f"{leg.amount_minor} {leg.currency} of {leg.account.hex()}" for leg in legs.elements())
    return ", ".join(shown) or "no legs"


def _hold(entry: Entry, before: Hold | None, after: Hold, place: str) -> None:
    if entry.kind is EntryKind.HELD:
        parties = entry.operation_id, entry.debit_account, entry.credit_account
        is_review = any(isinstance(detail, Review) for detail in entry.details)
        before = Hold(*parties, 0, 0, entry.currency, after.expires_at_us, is_open=True, is_review=is_review)
    before = _open(before, place)
    left, captured, amount, is_open = before.amount_minor, before.captured_minor, entry.amount_minor, True
    if entry.kind is EntryKind.CAPTURED:
        if amount > left:
            raise Differs(Invariant.LIMITS, place, f"a capture of at most {left}, which is left of its hold", amount)
        is_open = after.is_open and left > amount
        left, captured = (left - amount if is_open else 0), captured + amount
    elif entry.kind is EntryKind.RELEASED:
        _require(place, "amount_minor of what is left of the hold", left, amount)
        left, is_open = 0, False
    else:
        left += amount
    expected = before._replace(amount_minor=left, captured_minor=captured, is_open=is_open)
    _require(place, "a hold", expected, after)


def _uncollected(entry: Entry, before: Uncollected | None, after: Uncollected, place: str) -> None:
    deposit = Uncollected(entry.operation_id, entry.credit_account, entry.amount_minor, entry.currency, is_open=True)
    opens = entry.kind is EntryKind.POSTED_UNCOLLECTED
    _require(place, "an uncollected deposit", deposit if opens else _open(before, place)._replace(is_open=False), after)
    _require(place, "amount_minor of the deposit", after.amount_minor, entry.amount_minor)


def _given_back(entry: Entry, before: GivenBack | None, after: GivenBack, place: str) -> None:
    contested = next((detail for detail in entry.details if isinstance(detail, Dispute)), None)
    disputed = contested.amount_minor if contested is not None else 0
    payment = contested.payment_id if contested is not None else _cause_of(entry)
    so_far = before or GivenBack(payment, entry.debit_account, after.amount_minor, 0, 0)
    sign = -1 if entry.kind in (EntryKind.RETURNED, EntryKind.POSTED) else 1
    if disputed:
        expected = so_far._replace(disputed_minor=so_far.disputed_minor + sign * disputed)
    else:
        expected = so_far._replace(refunded_minor=so_far.refunded_minor + sign * entry.amount_minor)
    if min(expected.refunded_minor, expected.disputed_minor) < 0 or (
        expected.refunded_minor + expected.disputed_minor > expected.amount_minor
    ):
        given = f"{expected.refunded_minor} refunded and {expected.disputed_minor} disputed"
        raise Differs(Invariant.LIMITS, place, f"at most the payment of {expected.amount_minor} given back", given)
    _require(place, "what was given back", expected, after)


def _dispute(entry: Entry, before: Dispute | None, after: Dispute, place: str) -> None:
    if entry.kind is EntryKind.DEBITED:
        expected = after._replace(item_id=entry.operation_id, owner=entry.debit_account, is_open=True)
    else:
        expected = _open(before, place)._replace(is_open=after.is_open)
    _require(place, "a dispute", expected, after)
    moved = after.amount_minor if entry.kind is EntryKind.DEBITED else -after.amount_minor
    if entry.kind is not EntryKind.NOTED:
        found = _posted_on(entry, SystemAccount.DISPUTES, after.currency)
        _require(place, "posted on disputes", moved, found)


def _receivable(entry: Entry, before: Receivable | None, after: Receivable, place: str) -> None:
    opening = Receivable(entry.operation_id, entry.debit_account, 0, after.currency, is_open=True)
    debt = before or opening
    owed = debt.amount_minor
    expected = owed - _posted_on(entry, SystemAccount.RECEIVABLES, after.currency)
    _require(place, "a debt", debt._replace(amount_minor=expected, is_open=expected > 0), after)
    if expected > owed and entry.available_after_minor > 0:
        found = f"{entry.available_after_minor} left available"
        raise Differs(Invariant.LIMITS, place, "a debt only for what the account does not have", found)


def _journal_leg(entry: Entry, before: JournalLeg | None, after: JournalLeg, place: str) -> None:
    is_debit = after.amount_minor < 0
    account = entry.debit_account if is_debit else entry.credit_account
    stated = JournalLeg(entry.operation_id, account, after.journal_id, after.amount_minor, entry.currency, is_open=True)
    is_new = entry.kind is EntryKind.LEG_RESERVED
    expected = stated if is_new else _open(before, place)._replace(is_open=False)
    _require(place, "a leg of a journal", expected, after)
    _require(place, "amount_minor of the leg", abs(after.amount_minor), entry.amount_minor)


def _journal(entry: Entry, before: Journal | None, after: Journal, place: str) -> None:
    if before is None:
        asked = sum(not is_operators(leg.account) for leg in after.legs)
        expected = Journal(
            entry.operation_id, entry.debit_account, after.legs, asked, Reason.NONE, after.reply_to, True
        )
    else:
        refusal = after.refusal if before.refusal is Reason.NONE else before.refusal
        expected = before._replace(awaited=before.awaited - 1, refusal=refusal)
    _require(place, "a journal", expected._replace(is_open=expected.awaited > 0), after)
    if entry.kind is EntryKind.JOURNAL_POSTED:
        _require(place, "a posted journal that no leg refused", Reason.NONE, after.refusal)
        legs = tuple(Posting(leg.account, leg.posted, leg.currency) for leg in posted_legs(entry))
        _require(place, "legs", after.legs, legs)
    if entry.kind is EntryKind.JOURNAL_CANCELLED and after.refusal is Reason.NONE:
        raise Differs(Invariant.ONE_OUTCOME, place, "a cancelled journal that a leg refused", "none that did")


def _review(entry: Entry, before: Review | None, after: Review, place: str) -> None:
    if entry.kind is EntryKind.HELD:
        so_far = Review(entry.operation_id, entry.debit_account, after.legs, after.approvals_needed, (), is_open=True)
    else:
        so_far = _open(before, place)
    approves = entry.kind in (EntryKind.NOTED, EntryKind.CAPTURED)
    approved_by = (*so_far.approved_by, *after.approved_by[-1:]) if approves else so_far.approved_by
    is_open = entry.kind in (EntryKind.HELD, EntryKind.NOTED)
    _require(place, "a review", so_far._replace(approved_by=approved_by, is_open=is_open), after)
    if len(set(approved_by)) < len(approved_by):
        raise Differs(Invariant.LIMITS, place, "analysts who approve once each", _text(approved_by))
    if entry.kind is EntryKind.CAPTURED and len(approved_by) != after.approvals_needed:
        raise Differs(Invariant.LIMITS, place, f"{after.approvals_needed} approvals", len(approved_by))


def _open(before: Item | None, place: str) -> Item:
    if before is None or not before.is_open:
        raise Differs(
            Invariant.ONE_OUTCOME, place, "an item that was open", "none" if before is None else _text(before)
        )
    return before


def _cause_of(entry: Entry) -> bytes:
    return next((detail.cause_id for detail in entry.details if isinstance(detail, Cause)), NIL)


def _posted_on(entry: Entry, code: SystemAccount, currency: str) -> int:
    account = system_account(code, currency)
    return sum(leg.posted for leg in posted_legs(entry) if leg.account == account)


def _require(place: str, what: str, expected: object, found: object) -> None:
    if expected != found:
        raise Differs(Invariant.CONSERVATION, place, f"{what}: {_text(expected)}", _text(found))


def _text(value: object) -> str:
    """Ids as hexadecimal digits."""
    if isinstance(value, bytes):
        return value.hex()
    fields = getattr(value, "_asdict", None)
    if fields is not None:
        return ", ".join(f"{name} {_text(field)}" for name, field in fields().items())
    return "; ".join(map(_text, value)) if isinstance(value, tuple) else str(value)


_CHECKS: dict[type[OpenItem], Callable[[Entry, Any, Any, str], None]] = {
    Hold: _hold,
    Uncollected: _uncollected,
    GivenBack: _given_back,
    Dispute: _dispute,
    Receivable: _receivable,
    JournalLeg: _journal_leg,
    Journal: _journal,
    Review: _review,
}
