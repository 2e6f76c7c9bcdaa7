"""Opaque page cursors of lists in the order of a number: where the last page ended."""

import base64
import binascii
from typing import Final

from ingest_api.problems import Fault, FieldError, field_problem

_BYTES: Final = 8


def encode_place(position: int) -> str:
    """The number in base64url."""
    return base64.urlsafe_b64encode(position.to_bytes(_BYTES, "big")).decode("ascii")


def decode_place(text: str) -> int:
    """The number of a page's `next_cursor`. Raises Problem for any other text."""
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        if len(raw) != _BYTES or raw[0] & 0x80:
            raise ValueError(len(raw))
    except (ValueError, binascii.Error):
        raise field_problem(
            FieldError("?cursor", Fault.CURSOR_INVALID, "Send next_cursor of the last page as it came.")
        ) from None
    return int.from_bytes(raw, "big")
