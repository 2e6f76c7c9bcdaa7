"""Notices in Postgres: which are due, who has them, and what came of each try.

Reads and writes notices. Guarantees: a notice is taken by one process at a time, for LOST_AFTER; what came of a try is
written by whoever has it still.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from connectors.notifications.channels.contract import Outcome, Verdict
from connectors.notifications.planning import Connection
from connectors.notifications.rendering import SUMMARY_LINES_MAX, Told
from connectors.webhooks.retries import delay_after
from schemas.tables.notifications import (
    DEVICE_FIELD,
    EMAIL_FIELD,
    PHONE_FIELD,
    Channel,
    NoticeKind,
    NoticeStatus,
    channel_of_previous,
)

LOST_AFTER: Final = timedelta(seconds=120)
"""When a notice under way counts as lost with its process. A message takes five waits for a server at most (connect,
TLS, login, message, end), each up to 20 s, and 2 s for a connection that turns out to have ended."""

TRIES_MAX: Final = 7
"""Over 7 h 37 min to 8 h 23 min (connectors/webhooks/retries.py): later nobody wants to be told."""

KEPT: Final = timedelta(days=30)
UPKEEP_ROWS: Final = 1_000

_CLAIM: Final = f"""
WITH due AS (
    SELECT notice_id, under_way FROM notices
    WHERE status = '{NoticeStatus.PENDING}' AND channel = %s AND due_at <= clock_timestamp()
    ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE notices AS notice SET attempts = attempts + 1, under_way = true, due_at = clock_timestamp() + %s
FROM due WHERE notice.notice_id = due.notice_id
RETURNING notice.notice_id, user_id, channel, target, kind, details, happened_at, attempts,
    due.under_way AS was_lost,
    account_id IS NULL OR EXISTS (
        SELECT FROM account_owners AS held
        WHERE held.user_id = notice.user_id AND held.account_id = notice.account_id AND held.until IS NULL
    ) AS may_see"""
_LINES: Final = f"""
SELECT kind, happened_at, details FROM notices AS line
WHERE summary_id = %s AND (account_id IS NULL OR EXISTS (
    SELECT FROM account_owners AS held
    WHERE held.user_id = line.user_id AND held.account_id = line.account_id AND held.until IS NULL
)) ORDER BY happened_at, notice_id LIMIT {10 * SUMMARY_LINES_MAX}"""
_END: Final = f"""
UPDATE notices SET status = %s, failure = %s, under_way = false, ended_at = now()
WHERE notice_id = %s AND attempts = %s AND status = '{NoticeStatus.PENDING}'"""
_TRY_AGAIN: Final = f"""
UPDATE notices SET due_at = now() + %s, failure = %s, under_way = false
WHERE notice_id = %s AND attempts = %s AND status = '{NoticeStatus.PENDING}'"""
_FORGET: Final = f"""
WITH old AS (
    DELETE FROM notices WHERE notice_id IN (
        SELECT notice_id FROM notices WHERE ended_at < now() - %s::interval LIMIT {UPKEEP_ROWS}
    ) RETURNING user_id, target
), of_before AS (
    DELETE FROM personal_values AS kept USING old
    WHERE kept.subject_id = old.user_id AND kept.field = old.target AND target <> ''
)
SELECT count(*) FROM old"""
"""With the contacts of before that could not be told."""


class Claim(NamedTuple):
    """A notice that this process has for LOST_AFTER."""

    notice_id: UUID
    user: bytes
    channel: Channel
    target: str
    told: Told
    attempt: int
    was_lost: bool
    """A process that had it has died: it may have been sent."""
    may_see: bool

    @property
    def address_field(self) -> str:
        """Name of the personal value that it goes to."""
        if self.channel is Channel.PUSH:
            return DEVICE_FIELD + self.target
        return self.target or {Channel.EMAIL: EMAIL_FIELD, Channel.SMS: PHONE_FIELD}[self.channel]

    @property
    def is_to_previous(self) -> bool:
        return channel_of_previous(self.target) is not None


class Ended(NamedTuple):
    """What came of a claim: a status for good, or None to try again."""

    claim: Claim
    status: NoticeStatus | None
    failure: str | None


async def claim(connection: Connection, channel: Channel, slots: int) -> list[Claim]:
    """Up to `slots` notices of a channel that are due, counted as begun. Committed when it returns."""
    cursor = await connection.execute(_CLAIM.encode(), (channel, slots, LOST_AFTER))
    return [_claim(row) for row in await cursor.fetchall()]


def _claim(row: dict[str, Any]) -> Claim:
    return Claim(
        row["notice_id"],
        row["user_id"].bytes,
        Channel(row["channel"]),
        row["target"],
        _told(row),
        row["attempts"],
        row["was_lost"],
        row["may_see"],
    )


def _told(row: dict[str, Any]) -> Told:
    happened_at: datetime = row["happened_at"]
    return Told(NoticeKind(row["kind"]), happened_at, row["details"])


async def lines_of(connection: Connection, summary: UUID) -> list[Told]:
    """What a summary tells: of accounts in which its user has a part still."""
    cursor = await connection.execute(_LINES.encode(), (summary,))
    return [_told(row) for row in await cursor.fetchall()]


def ended(claimed: Claim, outcome: Outcome, *, recognises_repeats: bool) -> Ended:
    """What an outcome means for the notice. Pure."""
    verdict, reason = outcome
    if verdict is Verdict.DELIVERED:
        return Ended(claimed, NoticeStatus.DELIVERED, None)
    if verdict is Verdict.GONE:
        return Ended(claimed, NoticeStatus.WITHHELD, reason)
    may_repeat = verdict is Verdict.AGAIN or (verdict is Verdict.UNKNOWN and recognises_repeats)
    is_last = delay_of(claimed) is None
    return Ended(claimed, None if may_repeat and not is_last else NoticeStatus.FAILED, reason)


def delay_of(claimed: Claim) -> timedelta | None:
    """How long to wait after this try, None where none follows."""
    return delay_after(claimed.notice_id.bytes, claimed.attempt) if claimed.attempt < TRIES_MAX else None


async def record(connection: Connection, results: Iterable[Ended]) -> None:
    """Keep what came of claims: all of it or nothing."""
    async with connection.transaction():
        for claimed, status, failure in results:
            key = failure, claimed.notice_id, claimed.attempt
            if status is None:
                await connection.execute(_TRY_AGAIN.encode(), (delay_of(claimed), *key))
            else:
                await connection.execute(_END.encode(), (status, *key))


async def forget(connection: Connection) -> int:
    """Delete some of what ended long ago; how many."""
    [row] = await (await connection.execute(_FORGET.encode(), (KEPT,))).fetchall()
    return int(row["count"])
