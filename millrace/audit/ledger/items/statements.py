"""The open items of the books, followed statement by statement: each one must be the one before it, moved on by what
its entry does.

Keeps every item that was ever stated, as it stands (about 400 bytes each). Guarantees that no capture exceeds its hold,
that refunds and disputes never exceed their payment, that debts are what involuntary debits did not find, and that a
journal ends for all of its legs or for none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from millrace.audit.ledger.items.checks import CHECKS
from millrace.audit.ledger.items.required import cause_of
from millrace.audit.ledger.rules import is_operators
from millrace.audit.report import Differs, Invariant
from payments.commerce.connector import Outcome
from payments.entries import Entry, EntryKind
from payments.items.details import (
    OPEN_ITEMS,
    Hold,
    Journal,
    JournalLeg,
    OpenItem,
    PaymentOrder,
    Posting,
    ProviderRequest,
    Uncollected,
)
from payments.rejections import Reason


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

    def uncollected_change(self, entry: Entry) -> int:
        """What the entry adds to what is posted and not available yet."""
        return sum(self._change(item) for item in entry.details if isinstance(item, Uncollected))

    def _change(self, after: Uncollected) -> int:
        stated = self.stated.get((Uncollected, after.item_id))
        before = stated.item if stated is not None else None
        before_minor = before.amount_minor if isinstance(before, Uncollected) and before.is_open else 0
        return (after.amount_minor if after.is_open else 0) - before_minor

    def add(self, entry: Entry, where: tuple[int, int, int], place: str) -> None:
        """Raises Differs where an item is not what the one before it and the entry make."""
        for item in followed(entry):
            key = type(item), item.item_id
            before = self.stated.get(key)
            CHECKS[type(item)](entry, before.item if before is not None else None, item, place)
            opened_at_us = before.opened_at_us if before is not None else entry.decided_at_us
            self.stated[key] = Stated(item, opened_at_us, entry.decided_at_us, where)
            self._note_end(entry, item)
        if entry.kind is EntryKind.LEG_REFUSED:
            self._leg_refusals[cause_of(entry)].add(entry.reason)

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
        """A journal is cancelled for a reason of its legs, or of those outside, and posted where there is none."""
        reasons = self._leg_refusals.get(journal.item_id, set()) | self._refusals_outside(journal) or {Reason.NONE}
        if not journal.is_open and journal.refusal not in reasons:
            raise Differs(Invariant.ONE_OUTCOME, place, " or ".join(sorted(reasons)), journal.refusal)

    def _refusals_outside(self, journal: Journal) -> set[Reason]:
        """Of the provider, or of the caller before it was asked."""
        order, request = (self.stated.get((kind, journal.item_id)) for kind in (PaymentOrder, ProviderRequest))
        found = set()
        if request is not None and isinstance(request.item, ProviderRequest) and request.item.outcome is Outcome.FAILED:
            found.add(Reason.PROVIDER_DECLINED)
        if order is not None and isinstance(order.item, PaymentOrder) and order.item.reason is Reason.ORDER_CANCELLED:
            found.add(Reason.ORDER_CANCELLED)
        return found

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
    return [detail for detail in entry.details if isinstance(detail, OPEN_ITEMS) and type(detail) in CHECKS]


def _listed(legs: Counter[Posting]) -> str:
    shown = sorted(f"{leg.amount_minor} {leg.currency} of {leg.account.hex()}" for leg in legs.elements())
    return ", ".join(shown) or "no legs"
