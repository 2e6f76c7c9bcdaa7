"""Requests to providers as Postgres shows them, with what people have found out."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.attempts.shown import ATTEMPT, ProposedEnd, ProviderAttempt, ProviderAttemptPage
from ingest_api.http.resources import account_text, rfc3339
from ingest_api.reads.cursor import Cursor, encode_cursor
from ingest_api.reads.database import Database
from payments.commerce.connector import ConnectorOperation, Outcome
from payments.identifiers import format_id
from payments.money import format_minor
from schemas.tables.provider_requests import IS_LOST, WAITS_FOR_PEOPLE

_REQUESTS: Final = f"""
SELECT request.*, placed.payment_order_id, coalesce(placed.seller, request.owner) AS account, settlement.is_succeeded,
    settlement.provider_reference AS found_reference, settlement.contradiction,
    jsonb_array_length(settlement.settled_by) AS settled_by, {IS_LOST} AS is_lost
FROM provider_requests AS request
LEFT JOIN payment_orders AS placed USING (order_id)
LEFT JOIN attempt_settlements AS settlement USING (request_id)"""
_ONE: Final = f"{_REQUESTS} WHERE request_id = %s"
_UNKNOWN: Final = f"WHERE {WAITS_FOR_PEOPLE}"
_AFTER: Final = "AND (request.changed_at, request.request_id) > (%(at)s, %(after)s)"
_ORDER: Final = "ORDER BY request.changed_at, request.request_id LIMIT %(rows)s"


class Found(NamedTuple):
    """A request, and what an instruction about it names."""

    owner: bytes
    account: bytes
    shown: ProviderAttempt


async def find_attempt(database: Database, request_id: bytes) -> Found | None:
    """A request of whatever standing. Raises DatabaseUnavailable."""
    row = await database.row(_ONE, (UUID(bytes=request_id),))
    return Found(row["owner"].bytes, row["account"].bytes, _attempt(row)) if row is not None else None


async def unknown_attempts(database: Database, after: Cursor | None, limit: int) -> ProviderAttemptPage:
    """One page of those that nobody asks about any more. Raises DatabaseUnavailable."""
    parameters: dict[str, Any] = {"rows": limit + 1}
    if after is not None:
        parameters |= {"at": after.decided_at, "after": after.payment_id}
    rows = await database.page(f"{_REQUESTS} {_UNKNOWN} {_AFTER if after else ''} {_ORDER}", parameters)
    more, shown = len(rows) > limit, rows[:limit]
    cursor = encode_cursor(Cursor(shown[-1]["changed_at"], shown[-1]["request_id"])) if more else None
    return ProviderAttemptPage([_attempt(row) for row in shown], more, cursor)


def _attempt(row: Mapping[str, Any]) -> ProviderAttempt:
    return ProviderAttempt(
        id=format_id(ATTEMPT, row["request_id"].bytes),
        status=_status(row),
        operation=ConnectorOperation(row["operation"]).name.lower(),
        provider=row["provider"],
        outcome=row["outcome"],
        attempts=row["attempt"],
        account=account_text(row["account"].bytes),
        amount=format_minor(row["amount_minor"], row["currency"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        opened_at=rfc3339(row["opened_at"]),
        changed_at=rfc3339(row["changed_at"]),
        payment_order_id=row["payment_order_id"],
        provider_reference=row["provider_reference"] or None,
        settlement=_proposed(row) if row["settled_by"] is not None else None,
    )


def _status(row: Mapping[str, Any]) -> str:
    if not row["is_open"]:
        return "ended"
    if row["is_lost"]:
        return "lost"
    return "executing" if row["attempt_follows"] else "unknown"


def _proposed(row: Mapping[str, Any]) -> ProposedEnd:
    outcome = Outcome.SUCCEEDED if row["is_succeeded"] else Outcome.FAILED
    return ProposedEnd(outcome, row["found_reference"], row["settled_by"], row["contradiction"] or None)
