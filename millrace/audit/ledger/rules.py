"""What each kind of entry does to balances: written here once more, and taken neither from the core nor from the sink,
which are audited with it.

Reads entries as they are. An entry that states its legs posts these; all others post Dr debit_account, Cr
credit_account, where their kind posts at all.
"""

from collections.abc import Iterator
from typing import NamedTuple

from payments.entries import Entry, EntryKind
from payments.identifiers import NIL
from payments.items.details import Dispute, Hold, Legs, Uncollected


class Rule(NamedTuple):
    """`debit` and `credit`: what happens to the available balance of these accounts, as a factor of the amount."""

    posts: bool = False
    debit: int = 0
    credit: int = 0
    states: str = ""
    """Whose available balance the entry states: "debit", "credit", or "leg" for the one account that a leg has."""


RULES: dict[EntryKind, Rule] = {
    EntryKind.ACCOUNT_OPENED: Rule(states="debit"),
    EntryKind.RESERVED: Rule(debit=-1, states="debit"),
    EntryKind.RETURNED: Rule(debit=1, states="debit"),
    EntryKind.HELD: Rule(debit=-1, states="debit"),
    EntryKind.HOLD_RAISED: Rule(debit=-1, states="debit"),
    EntryKind.CAPTURED: Rule(states="debit"),
    EntryKind.RELEASED: Rule(debit=1, states="debit"),
    EntryKind.POSTED: Rule(posts=True, credit=1, states="credit"),
    EntryKind.RECEIVED: Rule(posts=True, credit=1, states="credit"),
    EntryKind.POSTED_UNCOLLECTED: Rule(posts=True, states="credit"),
    EntryKind.COLLECTED: Rule(credit=1, states="credit"),
    EntryKind.DEBITED: Rule(posts=True, debit=-1, states="debit"),
    EntryKind.JOURNAL_POSTED: Rule(posts=True),
    EntryKind.LEG_RESERVED: Rule(debit=-1, states="leg"),
    EntryKind.LEG_SETTLED: Rule(credit=1, states="leg"),
    EntryKind.LEG_RELEASED: Rule(debit=1, states="leg"),
}
"""Kinds that are not here change no balance. Accounts of the operator hold nothing back: what is posted there is
available there."""

POSTING = tuple(kind for kind, rule in RULES.items() if rule.posts)


class Move(NamedTuple):
    """What an entry does to one account, in minor units."""

    account: bytes
    currency: str
    posted: int
    available: int


def moves_of(entry: Entry, left_of_hold: int = 0) -> list[Move]:
    """Everything that an entry does. `left_of_hold`: what was left of the hold that a capture is made from."""
    rule = RULES.get(entry.kind, Rule())
    legs = posted_legs(entry)
    if stated_legs(entry):
        side = entry.debit_account if rule.debit else entry.credit_account if rule.credit else NIL
        return [_about(entry, leg) if leg.account == side else _of_other(leg) for leg in legs]
    debit, credit = rule.debit * entry.amount_minor, rule.credit * entry.amount_minor
    if _is_final_capture(entry):
        debit = left_of_hold - entry.amount_minor
    if entry.kind is EntryKind.DEBITED and any(isinstance(detail, Uncollected) for detail in entry.details):
        debit = 0  # it was never available
    posted = entry.amount_minor if rule.posts else 0
    moves = [
        Move(entry.debit_account, entry.currency, -posted, debit),
        Move(entry.credit_account, entry.currency, posted, credit),
    ]
    return [move._replace(available=move.posted) if is_operators(move.account) else move for move in _touched(moves)]


def _touched(moves: list[Move]) -> Iterator[Move]:
    return (move for move in moves if move.account != NIL and (move.posted or move.available))


def _about(entry: Entry, leg: Move) -> Move:
    """A leg of the account that the entry is about. A dispute's takes, and gives back, what is not available first."""
    waiting = any(isinstance(detail, Uncollected) for detail in entry.details)
    disputes = [detail.uncollected_minor for detail in entry.details if isinstance(detail, Dispute)] if waiting else []
    apart = sum(disputes)
    return leg._replace(available=leg.posted - apart if leg.posted > 0 else leg.posted + apart)


def _of_other(leg: Move) -> Move:
    return leg._replace(available=leg.posted) if is_operators(leg.account) else leg


def posted_legs(entry: Entry) -> list[Move]:
    """The legs of a journal entry, with nothing available; none where the entry doesn't post."""
    if not RULES.get(entry.kind, Rule()).posts:
        return []
    return stated_legs(entry) or [
        Move(entry.debit_account, entry.currency, -entry.amount_minor, 0),
        Move(entry.credit_account, entry.currency, entry.amount_minor, 0),
    ]


def stated_legs(entry: Entry) -> list[Move]:
    """The legs that an entry which posts states; none where the two of its fixed fields stand."""
    if not RULES.get(entry.kind, Rule()).posts:
        return []
    return [
        Move(leg.account, leg.currency, leg.amount_minor, 0)
        for detail in entry.details
        if isinstance(detail, Legs)
        for leg in detail.legs
    ]


def stated_account(entry: Entry) -> bytes | None:
    """The account of a customer whose available balance the entry states."""
    rule = RULES.get(entry.kind)
    if rule is None or not rule.states:
        return None
    of_debit = rule.states == "debit" or (rule.states == "leg" and entry.debit_account != NIL)
    account = entry.debit_account if of_debit else entry.credit_account
    return None if is_operators(account) else account


def is_operators(account_id: bytes) -> bool:
    """True for the operator's own accounts, and for no account at all."""
    return account_id[:8] == bytes(8)


def _is_final_capture(entry: Entry) -> bool:
    return entry.kind is EntryKind.CAPTURED and any(
        isinstance(detail, Hold) and not detail.is_open for detail in entry.details
    )
