"""Opaque page cursors of lists that are ordered by a number, a day or a time, and an id."""

import base64
import binascii
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec

from ingest_api.problems import Fault, FieldError, field_problem

_KINDS: Final[dict[str, type]] = {"n": int, "d": date, "t": datetime}


def encode(at: int | date | datetime, id_: UUID) -> str:
    """Where a page ended."""
    kind = "n" if isinstance(at, int) else "t" if isinstance(at, datetime) else "d"
    return base64.urlsafe_b64encode(msgspec.json.encode((kind, at, id_.hex))).decode("ascii")


def decode(text: str, kind: type) -> tuple[int | date | datetime, UUID]:
    """The cursor of a page's `next_cursor`. Raises Problem for any other text."""
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        name, at, id_ = msgspec.json.decode(raw, type=tuple[str, msgspec.Raw, str])
        if _KINDS.get(name) is not kind:
            raise ValueError(name)
        return msgspec.json.decode(at, type=kind), UUID(id_)
    except (ValueError, binascii.Error):
        raise field_problem(
            FieldError("?cursor", Fault.CURSOR_INVALID, "Send next_cursor of the last page as it came.")
        ) from None
