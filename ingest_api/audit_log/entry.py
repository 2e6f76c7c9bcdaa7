"""One entry of the audit log, and its hash in the chain: pure, the same for who seals and for who verifies.

Guarantees: what is about a person is no part of an entry, so an erasure never touches the chain.
"""

import hashlib
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from payments.identifiers import uuid7
from runtime.personal_data.personal import Personal

AUDIT_ENTRY: Final = "aud"
"""Kind prefix of entries' ids."""

GENESIS: Final = bytes(32)
"""In the place of the hash before the first one."""

LEFT_OUT: Final = "(personal)"
"""Stands for a value about a person: that it was given or changed is told, never what it is."""

Value = str | int | bool | list[str] | Personal | None
Values = Mapping[str, Value]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class Entry(NamedTuple):
    """A row of audit_entries."""

    entry_id: UUID
    at: datetime
    actor: str | None
    credential: str | None
    action: str
    object: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str


def new_entry(
    actor: str | None,
    action: str,
    object_: str | None,
    *,
    request_id: str,
    before: Values | None = None,
    after: Values | None = None,
    credential: str | None = None,
) -> Entry:
    """What happens now."""
    now_ns = time.time_ns()
    id_ = UUID(bytes=uuid7(now_ns // 1_000_000, secrets.token_bytes(10)))
    at = _EPOCH + now_ns // 1_000 * _MICROSECOND
    return Entry(id_, at, actor, credential, action, object_, _shown(before), _shown(after), request_id)


def _shown(values: Values | None) -> dict[str, Any] | None:
    if values is None:
        return None
    return {name: LEFT_OUT if isinstance(value, Personal) else value for name, value in values.items()}


def chained(previous_hash: bytes, position: int, entry: Entry) -> bytes:
    """SHA-256 of the hash before and of everything that the entry says, in its place."""
    at_us = (entry.at - _EPOCH) // _MICROSECOND
    said = _encode([position, entry.entry_id.hex, at_us, *entry[2:]])
    return hashlib.sha256(previous_hash + said).digest()
