"""Opaque page cursors: where the last page ended, in the order of the list."""

import base64
import binascii
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from ingest_api.problems import Fault, FieldError, field_problem

_BYTES = 24


class Cursor(NamedTuple):
    """Time and id of the last payment of a page."""

    decided_at: datetime
    payment_id: UUID


def encode_cursor(cursor: Cursor) -> str:
    """Eight bytes of microseconds, sixteen of the id, in base64url."""
    delta = cursor.decided_at - datetime.fromtimestamp(0, UTC)
    micros = (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    return base64.urlsafe_b64encode(micros.to_bytes(8, "big") + cursor.payment_id.bytes).decode("ascii")


def decode_cursor(text: str) -> Cursor:
    """The cursor of a page's `next_cursor`. Raises Problem for any other text."""
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        if len(raw) != _BYTES:
            raise ValueError(len(raw))
        seconds, micros = divmod(int.from_bytes(raw[:8], "big"), 1_000_000)
        at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
    except (ValueError, OverflowError, OSError, binascii.Error):
        raise field_problem(
            FieldError("?cursor", Fault.CURSOR_INVALID, "Send next_cursor of the last page as it came.")
        ) from None
    return Cursor(at, UUID(bytes=raw[8:]))
