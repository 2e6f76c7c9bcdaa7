"""What may be sent about holds, and what they look like."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from ingest_api.http.bodies import AmountText, Description, TransferBody
from ingest_api.http.resources import Payment, account_text, rfc3339
from payments.entries import EntryKind
from payments.identifiers import HOLD, format_id
from payments.money import format_minor
from payments.rejections import Reason
from schemas.codec.fields import REASONS


class HoldBody(TransferBody, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Set an amount aside for a payee, for 31 days at most."""

    expires_at: datetime


class CaptureBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Take part or all of a hold; the `final` capture gives the rest back."""

    amount: AmountText
    final: bool = False
    description: Description = ""


class IncrementBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Add to a hold."""

    amount: AmountText


class Hold(msgspec.Struct):
    """An amount set aside. `amount` is all that was authorised, `remaining` what may still be captured."""

    id: str
    status: Literal["received", "open", "captured", "voided", "expired"]
    from_account: str
    to_account: str
    amount: str
    amount_minor: int
    captured: str
    captured_minor: int
    remaining: str
    remaining_minor: int
    currency: str
    description: str
    expires_at: str
    placed_at: str | None
    changed_at: str | None
    captures: list[Payment] | None = None
    """Of one hold that is asked for: the payments that came of it, the first one first."""


class HoldPage(msgspec.Struct):
    """Holds, newest first. `next_cursor` leads on where `has_more`."""

    items: list[Hold]
    has_more: bool
    next_cursor: str | None


RESOURCES: tuple[type, ...] = (HoldBody, CaptureBody, IncrementBody, Hold, HoldPage)


def shown_hold(row: Mapping[str, Any]) -> Hold:
    """A hold of a row of reads.HOLDS."""
    currency = row["currency"]
    return Hold(
        id=format_id(HOLD, row["hold_id"].bytes),
        status=_status(row),
        from_account=account_text(row["payer"].bytes),
        to_account=account_text(row["payee"].bytes),
        amount=format_minor(row["authorised_minor"], currency),
        amount_minor=row["authorised_minor"],
        captured=format_minor(row["captured_minor"], currency),
        captured_minor=row["captured_minor"],
        remaining=format_minor(row["remaining_minor"], currency),
        remaining_minor=row["remaining_minor"],
        currency=currency,
        description=row["description"] or "",
        expires_at=rfc3339(row["expires_at"]),
        placed_at=rfc3339(row["opened_at"]),
        changed_at=rfc3339(row["changed_at"]),
    )


def _status(row: Mapping[str, Any]) -> Literal["open", "captured", "voided", "expired"]:
    if row["is_open"]:  # nothing can be captured from the expiry on, whether or not the tick has come by
        return "open" if row["expires_at"] > datetime.now(UTC) else "expired"
    if row["last_kind"] == EntryKind.CAPTURED:
        return "captured"
    return "expired" if REASONS[row["last_reason"]] is Reason.HOLD_EXPIRED else "voided"
