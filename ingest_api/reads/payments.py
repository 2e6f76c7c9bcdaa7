"""Payments as Postgres shows them: one, one with its timeline, or a page of them by keyset."""

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from ingest_api.http.resources import STATUS_OF, Payment, PaymentPage, Step, account_text, rfc3339
from ingest_api.problems import Fault, Problem
from ingest_api.reads.cursor import Cursor, encode_cursor
from ingest_api.reads.database import Database
from ingest_api.reads.lists.looking import cut, how_far, looking_query
from payments.entries import EntryKind
from payments.identifiers import JOURNAL, PAYMENT, format_id
from payments.items.details import CauseKind
from payments.lifecycle import FINAL, PaymentStatus
from payments.money import format_minor
from payments.rejections import Reason
from schemas.codec.fields import REASONS
from schemas.topics import COMMANDS, LEDGER

_COLUMNS = """payment_id, state, reason, payer, payee, amount_minor, currency, description, decided_at, posted_at,
    returned_at"""
_PAYMENT = f"SELECT {_COLUMNS} FROM payments WHERE payment_id = %s"
_WHERE = "shard, ledger_sequence, ledger_offset"
_POSTED_AT_ONCE = f"{EntryKind.POSTED:d}, {EntryKind.POSTED_UNCOLLECTED:d}, {EntryKind.DEBITED:d}"
_STEP = f"""CASE WHEN kind IN ({_POSTED_AT_ONCE}) THEN {EntryKind.POSTED:d}
    WHEN kind IN ({EntryKind.CAPTURED:d}, {EntryKind.HELD:d}) THEN {EntryKind.RESERVED:d} ELSE kind END"""
_STEPS = f"""
SELECT {_STEP} AS kind, reason, decided_at AS at, {_WHERE} FROM decisions WHERE payment_id = %(id)s
UNION ALL
SELECT {EntryKind.POSTED:d}, {REASONS.index(Reason.NONE)}, posted_at, {_WHERE} FROM journal_entries
    WHERE journal_id = %(id)s
    AND NOT EXISTS (SELECT FROM decisions WHERE payment_id = %(id)s AND kind IN ({_POSTED_AT_ONCE}))
UNION ALL
SELECT {EntryKind.REFUSED:d}, reason, refused_at, {_WHERE} FROM refusals WHERE payment_id = %(id)s
UNION ALL
SELECT {EntryKind.RETURNED:d}, reason, returned_at, {_WHERE} FROM returns WHERE payment_id = %(id)s
ORDER BY 1"""
_COMMAND = "SELECT decided_at, shard, command_offset, command_item FROM decisions WHERE payment_id = %s"

_KEYSET = "(decided_at <= %(at)s AND (decided_at < %(at)s OR payment_id > %(after)s))"
_ORDER = "decided_at DESC, payment_id"


class PaymentType(StrEnum):
    """What a payment is, by its parties and what it follows from."""

    TRANSFER = "transfer"
    CAPTURE = "capture"
    """Of a hold."""
    DEPOSIT = "deposit"
    DEPOSIT_RETURNED = "deposit_returned"
    WITHDRAWAL = "withdrawal"
    REFUND = "refund"
    DISPUTE = "dispute"
    DEBT_RECOVERED = "debt_recovered"


_FIRST_OF_CUSTOMERS = "'00000000-0000-1000-0000-000000000000'"
"""Ids below are of accounts of the operator (payments.identifiers.is_system)."""

_TYPES: dict[PaymentType, str] = {
    PaymentType.TRANSFER: f"""cause_kind IS NULL AND payer >= {_FIRST_OF_CUSTOMERS}
        AND payee >= {_FIRST_OF_CUSTOMERS}""",
    PaymentType.DEPOSIT: f"cause_kind IS NULL AND payer < {_FIRST_OF_CUSTOMERS}",
    PaymentType.WITHDRAWAL: f"cause_kind IS NULL AND payee < {_FIRST_OF_CUSTOMERS}",
    PaymentType.CAPTURE: f"cause_kind = {CauseKind.CAPTURE:d}",
    PaymentType.DEPOSIT_RETURNED: f"cause_kind = {CauseKind.DEPOSIT:d}",
    PaymentType.REFUND: f"cause_kind = {CauseKind.REFUND:d}",
    PaymentType.DISPUTE: f"cause_kind = {CauseKind.DISPUTE:d}",
    PaymentType.DEBT_RECOVERED: f"cause_kind = {CauseKind.RECEIVABLE:d}",
}


class PaymentFilter(NamedTuple):
    """What a list shows. `since` is inclusive, `until` exclusive; amounts are minor units of `currency`."""

    accounts: tuple[bytes, ...] | None = None
    """Of which payer or payee is one; None for all."""
    type: PaymentType | None = None
    status: PaymentStatus | None = None
    since: datetime | None = None
    until: datetime | None = None
    currency: str | None = None
    min_minor: int | None = None
    max_minor: int | None = None


async def find_payment(database: Database, payment_id: bytes) -> Payment | None:
    """The payment, or None where Postgres has none. Raises DatabaseUnavailable."""
    row = await database.row(_PAYMENT, (UUID(bytes=payment_id),))
    return _payment(row) if row is not None else None


async def find_timeline(database: Database, payment_id: bytes) -> Payment:
    """The payment with every step that it took. Raises Problem where Postgres has none, DatabaseUnavailable."""
    payment = await find_payment(database, payment_id)
    command = await database.row(_COMMAND, (UUID(bytes=payment_id),))
    if payment is None or command is None:
        raise unknown_payment()
    steps = await database.rows(_STEPS, {"id": UUID(bytes=payment_id)})
    payment.timeline = [_received(command), *(_step(row, payment.id) for row in steps)]
    return payment


async def list_payments(database: Database, wanted: PaymentFilter, after: Cursor | None, limit: int) -> PaymentPage:
    """One page, newest first. Raises DatabaseUnavailable."""
    if wanted.status is PaymentStatus.RECEIVED:  # Postgres has what was decided
        return PaymentPage([], has_more=False, next_cursor=None)
    fits, parameters = _fits(wanted)
    select, bound = _select(wanted, after)
    query = looking_query(select, _ORDER, fits)
    shown, last = cut(await database.page(query, parameters | bound | how_far(limit, fits)), limit)
    cursor = encode_cursor(Cursor(last["decided_at"], last["payment_id"])) if last is not None else None
    return PaymentPage([_payment(row) for row in shown], last is not None, cursor)


def _select(wanted: PaymentFilter, after: Cursor | None) -> tuple[str, dict[str, Any]]:
    """SQL and parameters of what an index has in page order: payments of accounts, between times, behind a cursor."""
    parameters: dict[str, Any] = {"since": wanted.since, "until": wanted.until}
    conditions = [
        *(["decided_at >= %(since)s"] if wanted.since is not None else []),
        *(["decided_at < %(until)s"] if wanted.until is not None else []),
    ]
    if after is not None:
        conditions.append(_KEYSET)
        parameters |= {"at": after.decided_at, "after": after.payment_id}
    if wanted.accounts is None:
        return _arm(conditions), parameters
    # Each side of each account walks its own index in page order; a payment between two of them is shown once.
    arms = []
    for number, account in enumerate(wanted.accounts):
        parameters[f"account{number}"] = UUID(bytes=account)
        arms.append(_arm([f"payer = %(account{number})s", *conditions]))
        arms.append(_arm([f"payee = %(account{number})s", "payer <> ALL(%(accounts)s)", *conditions]))
    parameters["accounts"] = [UUID(bytes=account) for account in wanted.accounts]
    sides = " UNION ALL ".join(f"({arm} ORDER BY {_ORDER} LIMIT %(looked)s)" for arm in arms)
    return f"SELECT * FROM ({sides}) AS sides", parameters


def _arm(conditions: list[str]) -> str:
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {_COLUMNS}, cause_kind FROM payments {where}"


def _fits(wanted: PaymentFilter) -> tuple[list[str], dict[str, Any]]:
    """What no index has of the filter, and its parameters."""
    states = [kind for kind, status in STATUS_OF.items() if status is wanted.status]
    choices: dict[str, tuple[str, Any]] = {
        "states": ("state = ANY(%(states)s)", [int(kind) for kind in states] if wanted.status else None),
        "currency": ("currency = %(currency)s", wanted.currency),
        "min_minor": ("amount_minor >= %(min_minor)s", wanted.min_minor),
        "max_minor": ("amount_minor <= %(max_minor)s", wanted.max_minor),
    }
    kinds = [f"({_TYPES[wanted.type]})"] if wanted.type is not None else []
    used = {name: choice for name, choice in choices.items() if choice[1] is not None}
    return [*kinds, *(text for text, _ in used.values())], {name: value for name, (_, value) in used.items()}


def unknown_payment() -> Problem:
    """404: never accepted, or not visible yet."""
    detail = "Check the id. A payment accepted just now is visible when its Consistency-Token is sent with the request."
    return Problem(Fault.PAYMENT_NOT_FOUND, detail)


def _payment(row: dict[str, Any]) -> Payment:
    status, reason = STATUS_OF[EntryKind(row["state"])], REASONS[row["reason"]]
    payment_id: bytes = row["payment_id"].bytes
    return Payment(
        id=format_id(PAYMENT, payment_id),
        status=status,
        final=status in FINAL,
        from_account=account_text(row["payer"].bytes),
        to_account=account_text(row["payee"].bytes),
        amount=format_minor(row["amount_minor"], row["currency"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        description=row["description"] or "",
        reason=str(reason) if reason is not Reason.NONE else None,
        journal_id=format_id(JOURNAL, payment_id) if status is PaymentStatus.POSTED else None,
        decided_at=rfc3339(row["decided_at"]),
        posted_at=rfc3339(row["posted_at"]) if row["posted_at"] else None,
        returned_at=rfc3339(row["returned_at"]) if row["returned_at"] else None,
    )


def _received(command: dict[str, Any]) -> Step:
    return Step(
        status=PaymentStatus.RECEIVED,
        at=rfc3339(command["decided_at"]),
        topic=COMMANDS.name,
        partition=command["shard"],
        offset=command["command_offset"],
        item=command["command_item"],
    )


def _step(row: dict[str, Any], payment_id: str) -> Step:
    kind, reason = EntryKind(row["kind"]), REASONS[row["reason"]]
    posted = kind is EntryKind.POSTED
    return Step(
        status=STATUS_OF[kind] if kind is not EntryKind.REFUSED else "refused",
        at=rfc3339(row["at"]),
        topic=LEDGER.name,
        partition=row["shard"],
        offset=row["ledger_offset"],
        ledger_sequence=row["ledger_sequence"],
        journal_id=payment_id.replace(PAYMENT, JOURNAL, 1) if posted else None,
        code=str(reason) if reason is not Reason.NONE else None,
    )
