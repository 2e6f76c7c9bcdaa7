"""What crosses shards, joined by payment: every reserved amount ends once, and no operation moves money twice.

Keeps 59 bytes per reservation and per end (operation, both accounts, amount, currency, as packed in the entry), joined
by sorting in numpy. With the book of the shard being replayed an audit peaks at 0.6 kB a payment (300,000: 176 MB).
"""

import numpy as np
from numpy.typing import NDArray

from millrace.audit.ledger.entry_batch import EntryBatch, Mask
from millrace.audit.ledger.rules import POSTING
from millrace.audit.report import AuditReport, Differs, Invariant
from payments.entries import EntryKind
from payments.items.details import Cause, CauseKind
from schemas.codec.ledger import ENTRY

_MOVEMENT_BYTES = 59

_MOVEMENT = np.dtype(
    {"names": ["movement"], "formats": [f"S{_MOVEMENT_BYTES}"], "offsets": [2], "itemsize": ENTRY.size}
)
"""operation_id to currency as one string. The currency comes last and is never zero, so numpy strips nothing."""

Movements = NDArray[np.bytes_]


class Settlement:
    """Collects reservations (captures of holds are some), deposits and ends; `conclude` joins them."""

    def __init__(self) -> None:
        self._reserved: list[Movements] = []
        self._deposits: list[Movements] = []
        self._posted: list[Movements] = []
        self._returned: list[Movements] = []
        self._other_journals: list[Movements] = []

    def add(self, batch: EntryBatch, report: AuditReport) -> None:
        """Count the entries of a batch and keep their movements."""
        movements = _movements(batch)
        arrived = batch.is_any(EntryKind.POSTED, EntryKind.RECEIVED) & ~batch.debit_is_system
        at_once = batch.is_any(EntryKind.POSTED) & batch.debit_is_system & batch.decides & ~batch.has_details
        deposits = at_once | batch.is_any(EntryKind.POSTED_UNCOLLECTED)
        self._keep(self._reserved, movements, batch.is_any(EntryKind.RESERVED, EntryKind.CAPTURED))
        self._keep(self._deposits, movements, deposits)
        self._keep(self._posted, movements, arrived)
        self._keep(self._returned, movements, batch.is_any(EntryKind.RETURNED))
        self._keep(self._other_journals, movements, batch.is_any(*POSTING) & ~arrived & ~deposits)
        _count(report, batch)

    @staticmethod
    def _keep(kept: list[Movements], movements: Movements, chosen: Mask) -> None:
        if chosen.any():
            kept.append(movements[chosen])

    def conclude(self, report: AuditReport) -> None:
        """Raises Differs at the first operation that moved money twice or ended without or more than once."""
        reserved, deposits = _sorted(self._reserved), _sorted(self._deposits)
        ends = _sorted([*self._posted, *self._returned])
        report.posted, report.returned = _total(self._posted), _total(self._returned)
        report.deposits = len(deposits)
        report.in_flight = len(reserved) - len(ends)
        report.payments = len(reserved) + report.rejected
        others = _sorted(self._other_journals)
        report.other_journals = len(others)
        moved = np.sort(np.concatenate([_ids(reserved), _ids(deposits), _ids(others)]))
        _require_once(moved, Invariant.IDEMPOTENCY, "moves of money")
        _require_once(_ids(ends), Invariant.ONE_OUTCOME, "ends")
        unknown = ends[~np.isin(ends, reserved, assume_unique=True)]
        if len(unknown):
            operation = bytes(unknown[0][:16])
            raise Differs(
                Invariant.ONE_OUTCOME,
                f"operation {operation.hex()}",
                "a reservation with the same accounts, amount and currency",
                "none" if operation not in _ids(reserved) else "one that differs",
            )


def _movements(batch: EntryBatch) -> Movements:
    """Of every entry. What was held for a review is posted as the payment that it was: the review's cause names it."""
    movements = np.frombuffer(batch.entries, _MOVEMENT)["movement"]
    reviewed = {
        at: detail.cause_id
        for at, _, entry in batch.detailed()
        if entry.kind is EntryKind.CAPTURED
        for detail in entry.details
        if isinstance(detail, Cause) and detail.kind is CauseKind.REVIEW
    }
    if reviewed:
        movements = movements.copy()
        for at, payment_id in reviewed.items():
            movements[at] = payment_id + bytes(movements[at])[16:]
    return movements


def _count(report: AuditReport, batch: EntryBatch) -> None:
    rejected, of_payment = batch.is_any(EntryKind.REJECTED), ~batch.credit_is_nil
    report.ledger_entries += len(batch.entries)
    report.rejected += _number(rejected & of_payment & ~batch.debit_is_system)
    report.deposits_rejected += _number(rejected & of_payment & batch.debit_is_system)
    report.account_operations += _number(batch.decides & ~batch.decides_payment)
    report.holds += _number(batch.is_any(EntryKind.HELD))
    report.replayed += _number(batch.is_any(EntryKind.REPLAYED))
    report.key_reused += _number(batch.is_any(EntryKind.KEY_REUSED))
    report.quarantined += _number(batch.is_any(EntryKind.QUARANTINED))


def _number(chosen: Mask) -> int:
    return int(np.count_nonzero(chosen))


def _sorted(parts: list[Movements]) -> Movements:
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, f"S{_MOVEMENT_BYTES}")


def _ids(movements: Movements) -> NDArray[np.bytes_]:
    """The first sixteen bytes of each; equal ids may have lost the same trailing zeros, so they still compare."""
    return movements.astype("S16")


def _require_once(ids: NDArray[np.bytes_], invariant: Invariant, what: str) -> None:
    twice = np.flatnonzero(ids[1:] == ids[:-1])
    if len(twice):
        operation = bytes(ids[twice[0]]).ljust(16, b"\0")
        count = int((ids == ids[twice[0]]).sum())
        raise Differs(invariant, f"operation {operation.hex()}", f"at most one of its {what}", count)


def _total(parts: list[Movements]) -> int:
    return sum(map(len, parts))
