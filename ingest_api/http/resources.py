"""What answers look like: one Struct per resource, used for encoding and for OpenAPI alike.

Status words come from payments.lifecycle alone; money goes out as text and as integer minor units.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

from payments.accounts import AccountStatus, AccountType
from payments.commands import Command
from payments.entries import EntryKind
from payments.identifiers import ACCOUNT, JOURNAL, PAYMENT, format_id
from payments.lifecycle import FINAL, TRANSITIONS, PaymentStatus
from payments.money import format_minor
from payments.rejections import Reason
from schemas.codec.replies import Reply

STATUS_OF: dict[EntryKind, PaymentStatus] = {kind: status for (_, kind), status in TRANSITIONS.items()}
"""Where a payment stands after the furthest of its entries."""

_PENDING = frozenset(kind for kind, status in STATUS_OF.items() if status is PaymentStatus.AUTHORISED) - {
    EntryKind.CAPTURED  # of a review, the analyst's answer; that of a hold is never told
}
"""What waits for people is answered as it stands: no call waits as long as they may."""
_encode = msgspec.json.Encoder().encode


def is_final(kind: EntryKind) -> bool:
    """True where no further reply follows this one."""
    return kind not in _PENDING


class Step(msgspec.Struct, omit_defaults=True):
    """One step of a payment and where it stands in the log."""

    status: str
    at: str
    topic: str
    partition: int
    offset: int
    item: int | None = None
    """Place inside a packed command record, from 0."""
    ledger_sequence: int | None = None
    journal_id: str | None = None
    code: str | None = None


class Payment(msgspec.Struct, omit_defaults=True):
    """A transfer or a deposit. `reason` says why it was refused or came back."""

    id: str
    status: str
    final: bool
    from_account: str
    to_account: str
    amount: str
    amount_minor: int
    currency: str
    description: str = ""
    reason: str | None = None
    journal_id: str | None = None
    decided_at: str | None = None
    posted_at: str | None = None
    returned_at: str | None = None
    timeline: list[Step] | None = None


class PaymentState(msgspec.Struct):
    """Where a payment stands, and no more. `transfer_status` says it in the words of document 4: `pending`,
    `processing`, `under_review`, `completed`, `cancelled` (it waited for people, and was given up) or `failed`.
    """

    id: str
    status: str
    transfer_status: str
    final: bool
    reason: str | None


class PaymentPage(msgspec.Struct):
    """Payments, newest first. `next_cursor` leads on where `has_more`."""

    items: list[Payment]
    has_more: bool
    next_cursor: str | None


class AccountLimits(msgspec.Struct, omit_defaults=True):
    """An account's own limits and its KYC tier. A limit that is left out is none."""

    tier: str
    per_transaction: str | None = None
    daily: str | None = None
    monthly: str | None = None


class Account(msgspec.Struct, omit_defaults=True):
    """An account. Without `status` the opening is not decided yet."""

    id: str
    type: str
    currency: str
    overdraft_limit: str | None = None
    overdraft_limit_minor: int | None = None
    status: str | None = None
    opened_at: str | None = None
    changed_at: str | None = None
    limits: AccountLimits | None = None


class AccountPage(msgspec.Struct):
    """Accounts by id. `next_cursor` leads on where `has_more`."""

    items: list[Account]
    has_more: bool
    next_cursor: str | None


class Balance(msgspec.Struct):
    """`available` is `posted` less what is held, in flight, or not collected yet. `held` waits for a capture or for the
    other legs of a journal; `incoming` is to come: deposits that may bounce, credits of journals under way.
    """

    account: str
    currency: str
    posted: str
    posted_minor: int
    available: str
    available_minor: int
    held: str
    held_minor: int
    incoming: str
    incoming_minor: int
    as_of: str


class AccountChange(msgspec.Struct):
    """What was asked of an account, command by command."""

    account: str
    commands: list["CommandOutcome"]


class CommandOutcome(msgspec.Struct, omit_defaults=True):
    """One command of a change. Without `decided_at` it is not decided yet."""

    command: str
    decided_at: str | None = None
    code: str | None = None


class LineRefusal(msgspec.Struct):
    """A batch line that was not taken, counted from 1. Nothing of it moved."""

    line: int
    code: str
    detail: str
    pointer: str


class LineAccepted(msgspec.Struct):
    """A batch line that Kafka has: the payment (or account) that it means."""

    line: int
    id: str


class Position(msgspec.Struct):
    """Last command of a request in one partition of the log."""

    topic: str
    partition: int
    offset: int


class BatchReceipt(msgspec.Struct, omit_defaults=True):
    """Every accepted line is in Kafka; the outcomes follow."""

    accepted: int
    rejected: list[LineRefusal]
    positions: list[Position]
    lines: list[LineAccepted] | None = None
    """With `Prefer: return=representation`."""


class Health(msgspec.Struct):
    """`ok`, or what is missing."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, bool]


class FieldErrorBody(msgspec.Struct):
    """One bad place: JSON pointer, `?parameter`, or the name of a header."""

    pointer: str
    code: str
    detail: str


class ProblemBody(msgspec.Struct):
    """RFC 9457. `errorMessage` repeats `detail`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldErrorBody]
    request_id: str
    errorMessage: str
    payment: Payment | None = None


RESOURCES: tuple[type, ...] = (
    Payment,
    PaymentState,
    PaymentPage,
    Account,
    AccountPage,
    AccountChange,
    Balance,
    BatchReceipt,
    Health,
    ProblemBody,
)


def encode(resource: Any) -> bytes:
    """JSON of a resource."""
    return _encode(resource)


def rfc3339(at: datetime) -> str:
    """`2026-01-31T12:00:00.000000Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc3339_of_us(at_us: int) -> str:
    """The same from microseconds since 1970."""
    seconds, micros = divmod(at_us, 1_000_000)
    return rfc3339(datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros))


@lru_cache(maxsize=65_536)  # accounts repeat; 65,536 × about 150 bytes = 10 MB, and a miss costs 3 µs
def account_text(account: bytes) -> str:
    """`acc_…` of an account."""
    return format_id(ACCOUNT, account)


_DECIDED = frozenset({PaymentStatus.IN_REVIEW, PaymentStatus.AUTHORISED, PaymentStatus.REJECTED})


def payment_of(operation_id: bytes, command: Command, reply: Reply | None) -> Payment:
    """The payment as its own command and latest reply tell it, without a look at Postgres."""
    status = STATUS_OF[reply.kind] if reply is not None else PaymentStatus.RECEIVED
    at = rfc3339_of_us(reply.decided_at_us) if reply is not None else None
    return Payment(
        id=format_id(PAYMENT, operation_id),
        status=status,
        final=status in FINAL,
        from_account=account_text(command.payer),
        to_account=account_text(command.payee),
        amount=format_minor(command.amount_minor, command.currency),
        amount_minor=command.amount_minor,
        currency=command.currency,
        description=command.description,
        reason=str(reply.reason) if reply is not None and reply.reason is not Reason.NONE else None,
        journal_id=format_id(JOURNAL, operation_id) if status is PaymentStatus.POSTED else None,
        decided_at=at if status in _DECIDED else None,
        posted_at=at if status is PaymentStatus.POSTED else None,
        returned_at=at if status is PaymentStatus.RETURNED else None,
    )


def account_status_word(status: int) -> str:
    """`open`, `frozen`, `debits_frozen`, `dormant` or `closed`."""
    return AccountStatus(status).name.lower()


def account_type_word(type_: int) -> str:
    """`checking`, `savings`, `wallet` or `merchant`."""
    return AccountType(type_).name.lower()
