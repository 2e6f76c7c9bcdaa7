"""How long what is remembered of a payment lasts, and when each item is looked at whether it may be forgotten.

All by the broker's time of the entries, so that a replay forgets at the same ones.
"""

from typing import Final

from payments.items.details import AttemptSettlement, GivenBack, Hold, OpenItem, PaymentOrder

HOUR_US: Final = 3_600_000_000

RECEIPT_WINDOW_HOURS: Final = 180 * 24
"""A payment can be refunded, disputed or returned for 180 days: card networks allow a chargeback for 120, and SEPA a
refund of a direct debit for 56 (13 months where it was never authorised: by a journal)."""

GRACE_US: Final = 14 * 24 * HOUR_US
"""Twice as long as messages between shards are kept (payments.credits, payments.returns: 7 days): a refund that its
receiver could not take is back by then."""

KEPT_US: Final = RECEIPT_WINDOW_HOURS * HOUR_US + GRACE_US

Ending = Hold | GivenBack | PaymentOrder | AttemptSettlement
"""Items that time ends."""


def kept_until_us(now_us: int) -> int:
    """When what was charged, given back or settled now is looked at again: its receipt has been gone for 14 days."""
    return now_us + KEPT_US


def end_of(item: OpenItem) -> int | None:
    """When time may end an item; None where only a command or an answer does."""
    if isinstance(item, Hold):
        return item.expires_at_us
    if isinstance(item, (GivenBack, PaymentOrder)):
        return item.ends_at_us
    return item.ends_at_us or None if isinstance(item, AttemptSettlement) else None
