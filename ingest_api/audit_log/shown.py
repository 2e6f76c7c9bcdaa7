"""The audit log as answers show it."""

from typing import Annotated, Any, Final

import msgspec

from ingest_api.audit_log.entry import AUDIT_ENTRY
from ingest_api.audit_log.verifying import Difference, Verification
from ingest_api.http.resources import rfc3339
from payments.identifiers import format_id

Said = Annotated[dict[str, Any], msgspec.Meta(description="Ids, words and numbers; never what is about a person")]


class AuditEntry(msgspec.Struct, omit_defaults=True):
    """Who did what. `position` and `hash`: its place in the chain, within a second."""

    id: str
    at: str
    action: str
    request_id: str
    actor: str | None = None
    credential: str | None = None
    """The API key that was used."""
    object: str | None = None
    before: Said | None = None
    after: Said | None = None
    position: int | None = None
    previous_hash: str | None = None
    hash: str | None = None


class AuditPage(msgspec.Struct):
    """Entries, the latest first. `next_cursor` leads on where `has_more`."""

    items: list[AuditEntry]
    has_more: bool
    next_cursor: str | None


class AuditVerification(msgspec.Struct):
    """What was found, and the signed head where all is well. `next_after` leads on where `has_more`."""

    result: Verification
    head: str | None
    has_more: bool
    next_after: int | None


RESOURCES: Final = (AuditEntry, AuditPage, AuditVerification, Verification, Difference)


def shown_entry(row: dict[str, Any]) -> AuditEntry:
    """A row of reads.page_query."""
    return AuditEntry(
        id=format_id(AUDIT_ENTRY, row["entry_id"].bytes),
        at=rfc3339(row["at"]),
        action=row["action"],
        request_id=row["request_id"],
        actor=row["actor"],
        credential=row["credential"],
        object=row["object"],
        before=row["before"],
        after=row["after"],
        position=row["position"],
        previous_hash=row["previous_hash"].hex() if row["previous_hash"] else None,
        hash=row["hash"].hex() if row["hash"] else None,
    )
