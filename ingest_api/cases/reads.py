"""Cases as Postgres shows them: the review, its hold, its payment, and the verdict that held it."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from ingest_api.cases.shown import CASE, Case, CasePage, Findings, findings
from ingest_api.http.resources import account_text, rfc3339
from ingest_api.reads.cursor import Cursor, encode_cursor
from ingest_api.reads.database import Database
from payments.entries import EntryKind
from payments.identifiers import PAYMENT, format_id
from payments.items.profiles import rule_set_of
from payments.money import format_minor
from payments.rejections import Reason
from payments.risk.verdict import decode
from schemas.codec.fields import REASONS

_CASES: Final = f"""
SELECT review.hold_id, review.payer, hold.payee, decision.amount_minor, decision.currency, decision.description,
    review.approvals_needed, jsonb_array_length(review.approved_by) AS approvals, review.is_open, review.opened_at,
    review.changed_at, hold.expires_at, hold.captured_minor, verdict.verdict, rules.text,
    (SELECT reason FROM item_events AS event
     WHERE event.item_id = review.hold_id AND event.kind = {EntryKind.RELEASED:d} LIMIT 1) AS ended_by
FROM reviews AS review
JOIN holds AS hold USING (hold_id)
JOIN decisions AS decision ON decision.payment_id = review.hold_id
JOIN verdicts AS verdict ON verdict.operation_id = review.hold_id AND verdict.kind = {EntryKind.HELD:d}
LEFT JOIN rule_sets AS rules ON rules.shard = verdict.shard AND rules.version = verdict.rule_set"""
_ONE: Final = f"{_CASES} WHERE review.hold_id = %s"
_OPEN: Final = f"""{_CASES} WHERE review.is_open
AND (%(since)s::timestamptz IS NULL OR review.opened_at >= %(since)s)
AND (%(until)s::timestamptz IS NULL OR review.opened_at < %(until)s)"""
_AFTER: Final = "AND (review.opened_at, review.hold_id) > (%(at)s, %(after)s)"
_ORDER: Final = "ORDER BY review.opened_at, review.hold_id LIMIT %(rows)s"
_SAID: Final = """
SELECT verdict.verdict, rules.text FROM verdicts AS verdict
LEFT JOIN rule_sets AS rules ON rules.shard = verdict.shard AND rules.version = verdict.rule_set
WHERE verdict.operation_id = %s"""


async def find_case(database: Database, payment_id: bytes) -> Case | None:
    """The case of a payment, or None where it never waited for people. Raises DatabaseUnavailable."""
    row = await database.row(_ONE, (UUID(bytes=payment_id),))
    return None if row is None else _case(row)


async def open_cases(
    database: Database, between: tuple[datetime | None, datetime | None], after: Cursor | None, limit: int
) -> CasePage:
    """One page of those that were opened between two times, those that wait the longest first. Raises
    DatabaseUnavailable.
    """
    parameters: dict[str, Any] = {"since": between[0], "until": between[1], "rows": limit + 1}
    if after is not None:
        parameters |= {"at": after.decided_at, "after": after.payment_id}
    rows = await database.page(f"{_OPEN} {_AFTER if after else ''} {_ORDER}", parameters)
    more, shown = len(rows) > limit, rows[:limit]
    cursor = encode_cursor(Cursor(shown[-1]["opened_at"], shown[-1]["hold_id"])) if more else None
    return CasePage([_case(row) for row in shown], more, cursor)


async def find_findings(database: Database, operation_id: bytes) -> Findings | None:
    """What was said of a payment or an attempt, or None where nothing was, or not yet. Raises DatabaseUnavailable."""
    row = await database.row(_SAID, (UUID(bytes=operation_id),))
    return None if row is None else _findings(row)


def _case(row: dict[str, Any]) -> Case:
    payment_id: bytes = row["hold_id"].bytes
    return Case(
        id=format_id(CASE, payment_id),
        status=_status(row),
        payment=format_id(PAYMENT, payment_id),
        from_account=account_text(row["payer"].bytes),
        to_account=account_text(row["payee"].bytes),
        amount=format_minor(row["amount_minor"], row["currency"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        description=row["description"] or "",
        approvals_needed=row["approvals_needed"],
        approvals=row["approvals"],
        opened_at=rfc3339(row["opened_at"]),
        expires_at=rfc3339(row["expires_at"]),
        changed_at=rfc3339(row["changed_at"]),
        findings=_findings(row),
    )


def _status(row: dict[str, Any]) -> str:
    if row["is_open"]:
        return "open"
    if row["captured_minor"]:
        return "approved"
    return "declined" if REASONS[row["ended_by"]] is Reason.REVIEW_DECLINED else "expired"


def _findings(row: dict[str, Any]) -> Findings:
    texts = rule_set_of(row["text"]).reasons if row["text"] is not None else {}
    return findings(decode(row["verdict"]), texts)
