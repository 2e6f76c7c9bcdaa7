"""An independent account of what was decided: the four figures of an account after every entry, from the ledger alone.

Slow and plain: entry by entry in the order of time, by what payments.entries says of each kind.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

from payments.entries import Entry, EntryKind
from payments.items.details import Hold, JournalLeg, Uncollected
from payments.postings import postings
from schemas.codec.ledger import decode_ledger_record
from tests.sinks.every_kind import SHARDS
from tests.sinks.test_every_kind import Played

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Placed(NamedTuple):
    """An entry in the order of time, then of its place."""

    at: datetime
    shard: int
    sequence: int
    entry_index: int
    entry: Entry


class Figures(NamedTuple):
    """Of one account, in minor units."""

    posted_minor: int
    available_minor: int
    held_minor: int
    incoming_minor: int


@cache
def placed_entries(played: Played) -> list[Placed]:
    """Every entry of every shard."""
    return sorted(_placed(played), key=lambda placed: placed[:4])


def _placed(played: Played) -> Iterator[Placed]:
    for shard in range(SHARDS):
        for value in played.ledgers[shard]:
            record = decode_ledger_record(value)
            for index, entry in enumerate(record.entries()):
                yield Placed(moment(entry.decided_at_us), shard, record.header.sequence, index, entry)


def moment(unix_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=unix_us)


def legs_of(played: Played, account: bytes) -> list[tuple[datetime, int]]:
    """Time and amount of every leg of the account, in its order."""
    return [
        (placed.at, leg.amount_minor)
        for placed in placed_entries(played)
        for leg in postings(placed.entry)
        if leg.account == account
    ]


def figures_at(played: Played, account: bytes, at: datetime) -> Figures:
    """After every entry that is not later."""
    steps = figures_of(played, account)
    reached = bisect_right(steps, at, key=lambda step: step[0])
    return steps[reached - 1][1] if reached else Figures(0, 0, 0, 0)


@cache
def figures_of(played: Played, account: bytes) -> list[tuple[datetime, Figures]]:
    """After every entry. `available` is what the account's shard stated last."""
    posted = available = 0
    items: dict[tuple[type, bytes], tuple[int, int]] = {}
    steps = []
    for placed in placed_entries(played):
        posted += sum(leg.amount_minor for leg in postings(placed.entry) if leg.account == account)
        if _states(placed.entry, account):
            available = placed.entry.available_after_minor
        for detail in placed.entry.details:
            if isinstance(detail, Hold | Uncollected | JournalLeg) and detail.owner == account:
                items[type(detail), detail.item_id] = _set_aside(detail) if detail.is_open else (0, 0)
        held, incoming = (sum(item[side] for item in items.values()) for side in (0, 1))
        steps.append((placed.at, Figures(posted, available, held, incoming)))
    return steps


def _set_aside(item: Hold | Uncollected | JournalLeg) -> tuple[int, int]:
    match item:
        case Hold():
            return item.amount_minor, 0
        case Uncollected():
            return 0, item.amount_minor
        case JournalLeg():
            return max(-item.amount_minor - item.uncollected_minor, 0), max(item.amount_minor, 0)


_OF_DEBIT = {
    EntryKind.RESERVED,
    EntryKind.RETURNED,
    EntryKind.HELD,
    EntryKind.HOLD_RAISED,
    EntryKind.CAPTURED,
    EntryKind.RELEASED,
    EntryKind.DEBITED,
    EntryKind.ACCOUNT_OPENED,
}
_OF_CREDIT = {EntryKind.POSTED, EntryKind.RECEIVED, EntryKind.POSTED_UNCOLLECTED, EntryKind.COLLECTED}
_OF_EITHER = {EntryKind.LEG_RESERVED, EntryKind.LEG_SETTLED, EntryKind.LEG_RELEASED}


def _states(entry: Entry, account: bytes) -> bool:
    """Whether the entry states the available balance of the account."""
    return (entry.kind in _OF_DEBIT | _OF_EITHER and entry.debit_account == account) or (
        entry.kind in _OF_CREDIT | _OF_EITHER and entry.credit_account == account
    )
