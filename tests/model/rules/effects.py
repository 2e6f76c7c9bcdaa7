"""What an operation did, as its caller has to be told: the words in which model and pipeline are compared."""

from typing import NamedTuple

from payments.entries import NO_FINGERPRINT, Credit, Entry, EntryKind
from payments.identifiers import NIL
from payments.items.details import Assessed, Detail, Legs, Posting, Published
from payments.postings import postings
from payments.rejections import Reason
from payments.risk.limits import RiskReason
from payments.risk.verdict import Outcome, decode


class Parties(NamedTuple):
    """Who pays whom how much, as an answer names it."""

    debit: bytes
    credit: bytes = NIL
    amount: int = 0
    currency: str = ""


class Judged(NamedTuple):
    """What a verdict says; not by which values, which is a matter of the rules alone."""

    outcome: Outcome
    reasons: tuple[RiskReason, ...]


class Effect(NamedTuple):
    """What one decision did."""

    kind: EntryKind
    parties: Parties
    account: bytes = NIL
    """Whose available balance the caller is told; NIL for nobody's."""
    details: tuple[Detail | Judged, ...] = ()
    posted: tuple[Posting, ...] = ()
    reason: Reason = Reason.NONE
    messages: tuple[Credit, ...] = ()
    """What other accounts are told because of it, in order."""
    operation_id: bytes = b""
    """Where it is another than the operation's own."""


class Told(NamedTuple):
    """Everything that an entry says about an outcome."""

    kind: EntryKind
    reason: Reason
    operation_id: bytes
    parties: Parties
    available: int
    is_decision: bool
    """Of something asked for, whose key is remembered."""
    posted: tuple[Posting, ...]
    details: frozenset[tuple[str, Detail | Judged]]


def told(entry: Entry) -> Told:
    """What an entry of the pipeline says."""
    parties = Parties(entry.debit_account, entry.credit_account, entry.amount_minor, entry.currency)
    return Told(
        entry.kind,
        entry.reason,
        entry.operation_id,
        parties,
        entry.available_after_minor,
        entry.fingerprint != NO_FINGERPRINT,
        tuple(sorted(postings(entry))),
        in_any_order(_said(entry)),
    )


def _said(entry: Entry) -> tuple[Detail, ...]:
    """What an observation makes known is looked at apart: when it does is not for the model to say."""
    if entry.kind is not EntryKind.OBSERVED:
        return entry.details
    return tuple(detail for detail in entry.details if not isinstance(detail, Published))


def in_any_order(details: tuple[Detail | Judged, ...]) -> frozenset[tuple[str, Detail | Judged]]:
    """Details and legs are sets; tuples of equal content but another kind differ."""
    found = (_comparable(detail) for detail in details)
    return frozenset((type(detail).__name__, detail) for detail in found)


def _comparable(detail: Detail | Judged) -> Detail | Judged:
    if isinstance(detail, Legs):
        return Legs(tuple(sorted(detail.legs)))
    if isinstance(detail, Assessed):
        verdict = decode(detail.verdict)
        return Judged(verdict.outcome, verdict.reasons)
    return detail


def difference(expected: Told, found: Told) -> str:
    """The fields in which they differ."""
    return "; ".join(
        f"{name}: expected {_shown(one)}, found {_shown(other)}"
        for name, one, other in zip(Told._fields, expected, found, strict=True)
        if one != other
    )


def _shown(value: object) -> str:
    """Accounts as hexadecimal digits, kinds by name."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, EntryKind):
        return value.name
    if isinstance(value, tuple | frozenset):
        return f"({', '.join(map(_shown, value))})"
    return str(value)
