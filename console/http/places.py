"""Where a page of a list ended, in the address of the next one, and ids in addresses."""

from datetime import date, datetime
from typing import Final
from uuid import UUID

from console.http.faults import Refused, not_found
from payments.identifiers import parse_id

Place = int | date | datetime

NO_NUL: Final = r"^[^\x00]*$"
"""Postgres takes everything else."""


def place_text(at: Place, id_: UUID) -> str:
    """In the address of the next page."""
    return f"{at if isinstance(at, int) else at.isoformat()}_{id_.hex}"


def place_of(text: str, kind: type[Place]) -> tuple[Place, UUID]:
    """Raises Refused for any text that no page of ours has."""
    at, _, id_ = text.rpartition("_")
    try:
        return (int(at) if kind is int else kind.fromisoformat(at)), UUID(id_)  # type: ignore[union-attr]
    except ValueError:
        raise Refused(422, "The address is not right", "Begin at the first page of the list.") from None


def id_of(kind: str, text: str, what: str) -> UUID:
    """Raises Refused 404 for a text that names nothing."""
    id_ = parse_id(kind, text)
    if id_ is None:
        raise not_found(what)
    return UUID(bytes=id_)
