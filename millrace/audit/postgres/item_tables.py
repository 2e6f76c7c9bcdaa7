"""Tables of open items, compared by key with the newest statement of each item: holds to journals."""

from contextlib import ExitStack
from enum import Enum
from typing import Any
from uuid import UUID

from millrace.audit.ledger.items import Items, Stated
from millrace.audit.postgres.detail_rows import time_of
from millrace.audit.postgres.snapshot import DatabaseSnapshot
from millrace.audit.postgres.sums import compare_keyed, selected
from payments.items.details import (
    AttemptSettlement,
    Dispute,
    GivenBack,
    Hold,
    Journal,
    JournalLeg,
    OpenItem,
    PaymentOrder,
    Posting,
    ProviderRequest,
    Receivable,
    Review,
    Uncollected,
)
from payments.rejections import Reason
from schemas.codec.fields import REASONS

_AMOUNT = ("account_id", "amount_minor", "currency", "is_open")
_TABLES: dict[type[OpenItem], tuple[str, ...]] = {
    Hold: (
        *("holds", "hold_id", "payer", "payee", "remaining_minor", "captured_minor"),
        *("currency", "expires_at", "is_open", "is_review"),
    ),
    Uncollected: ("uncollected_deposits", "deposit_id", *_AMOUNT, "refunding_minor"),
    GivenBack: ("given_back", "payment_id", "account_id", "amount_minor", "refunded_minor", "disputed_minor"),
    Dispute: (
        *("disputes", "dispute_id", "merchant", "payment_id", "customer"),
        *("amount_minor", "currency", "is_provisional", "is_open", "uncollected_minor"),
    ),
    Receivable: ("receivables", "receivable_id", *_AMOUNT),
    JournalLeg: (
        *("reserved_legs", "leg_id", "account_id", "journal_id", "amount_minor", "currency", "is_open"),
        "uncollected_minor",
    ),
    Journal: ("journals", "journal_id", "account_id", "legs", "awaited", "refusal", "is_open"),
    Review: ("reviews", "hold_id", "payer", "legs", "approvals_needed", "approved_by", "is_open"),
    PaymentOrder: (
        *("payment_orders", "order_id", "checkout_id", "payment_order_id", "provider", "buyer", "seller"),
        *("amount_minor", "currency", "is_on_delivery", "status", "reason", "provider_reference", "refunded_minor"),
    ),
    ProviderRequest: (
        *("provider_requests", "request_id", "owner", "provider", "operation", "order_id", "amount_minor", "currency"),
        *("idempotency_key", "attempt", "outcome", "attempt_follows", "decline", "provider_reference", "is_open"),
        *("fee_minor", "fee_currency"),
    ),
    AttemptSettlement: (
        *("attempt_settlements", "request_id", "owner", "is_succeeded", "provider_reference", "settled_by"),
        *("contradiction", "is_open"),
    ),
}
"""Table, then its columns in the order of the item's fields."""

_NOT_SHOWN: dict[type[OpenItem], frozenset[str]] = {
    GivenBack: frozenset({"is_open", "under_way", "ends_at_us"}),
    Journal: frozenset({"reply_to"}),
    PaymentOrder: frozenset({"is_open", "ends_at_us"}),
    AttemptSettlement: frozenset({"ends_at_us"}),
    ProviderRequest: frozenset({"payment_order_id", "token", "refers_to"}),
}
_PLACE = ("opened_at", "changed_at", "shard", "ledger_sequence", "entry_index")


def compare_items(snapshot: DatabaseSnapshot, items: Items, stack: ExitStack) -> None:
    """Raises Differs at the first item that is not shown as it stands."""
    for kind, (table, *names) in _TABLES.items():
        columns = (*names, *_PLACE)
        expected = {
            UUID(bytes=item_id): _row(stated)[1:] for (found, item_id), stated in items.stated.items() if found is kind
        }
        compare_keyed(table, columns, expected, selected(snapshot, table, columns, stack))


def _row(stated: Stated) -> tuple[Any, ...]:
    item = stated.item
    left_out = _NOT_SHOWN.get(type(item), frozenset())
    own = [_shown(name, value) for name, value in item._asdict().items() if name not in left_out]
    return *own, time_of(stated.opened_at_us), time_of(stated.changed_at_us), *stated.place


def _shown(name: str, value: Any) -> Any:
    match value:
        case bytes():
            return UUID(bytes=value)
        case Reason():
            return REASONS.index(value)
        case Enum():
            return value.value
        case tuple():
            return [_listed(one) for one in value]
        case _:
            return time_of(value) if name == "expires_at_us" else value


def _listed(one: Posting | bytes) -> Any:
    if isinstance(one, bytes):
        return str(UUID(bytes=one))
    return [str(UUID(bytes=one.account)), one.amount_minor, one.currency]
