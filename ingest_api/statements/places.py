"""Cursors of entries: the place of the last one of a page."""

import base64
import binascii
import struct
from datetime import timedelta
from typing import Final

from ingest_api.problems import Fault, FieldError, field_problem
from ingest_api.statements.line import Place
from ingest_api.statements.moments import UNIX_EPOCH

_PLACE: Final = struct.Struct(">qhqih")
"""Microseconds, shard, sequence, index, leg: the widths of their columns."""


def encode_place(place: Place) -> str:
    """32 characters of base64url."""
    since = (place.posted_at - UNIX_EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(_PLACE.pack(since, *place[1:])).decode("ascii")


def decode_place(text: str) -> Place:
    """The place of a page's `next_cursor`. Raises Problem for any other text."""
    try:
        micros, *rest = _PLACE.unpack(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True))
        return Place(UNIX_EPOCH + timedelta(microseconds=micros), *rest)
    except (ValueError, OverflowError, struct.error, binascii.Error):
        raise field_problem(
            FieldError("?cursor", Fault.CURSOR_INVALID, "Send next_cursor of the last page as it came.")
        ) from None
