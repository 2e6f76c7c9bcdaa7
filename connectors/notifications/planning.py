"""What happened since the last look → notices, each once: the place in the feed and its notices commit together.

Reads public_events, audit_seals, who has a part in an account, and what users have chosen; writes notices and
notice_feeds. Both feeds give out positions in the order of their commits, so a position that was passed never gets
anything below it. One process plans a feed at a time; another one passes it over.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from connectors.notifications.deciding import Notice, Recipient, decide, to_previous
from connectors.notifications.happenings import OF_ACTION, OF_EVENT, Happening, of_action, of_event
from payments.identifiers import derive_consequence_id
from runtime.exactly_once.failpoints import Failpoints
from runtime.personal_data.store import PersonalData
from schemas.tables.notifications import (
    DECODE_PREFERENCES,
    DEVICE_FIELD,
    EMAIL_FIELD,
    PHONE_FIELD,
    PREFERENCES_FIELD,
    Channel,
    NoticeKind,
    NoticeStatus,
    Preferences,
)

Connection = psycopg.AsyncConnection[DictRow]

BATCH: Final = 500
"""Positions planned at a time."""

SUMMARIES: Final = 200
"""Summaries made at a time."""

_LOCK_SUMMARIES: Final = 0x6D726E6F74696365  # "mrnotice": one process makes summaries at a time


class Feed(NamedTuple):
    """Something with positions that notices are made of."""

    name: str
    start: str
    last: str
    rows: str
    wanted: Collection[str]
    read: Callable[[dict[str, Any]], list[Happening]]


EVENTS: Final = Feed(
    "events",
    "SELECT next_position FROM event_feed",
    "SELECT position FROM public_events WHERE position >= %(from)s ORDER BY position LIMIT %(limit)s",
    """
    SELECT position, occurred_at, payload FROM public_events
    WHERE position BETWEEN %(from)s AND %(last)s AND type = ANY(%(wanted)s) ORDER BY position""",
    list(OF_EVENT),
    lambda row: of_event(row["position"], row["occurred_at"], msgspec.json.decode(row["payload"])),
)
ACTIONS: Final = Feed(
    "audit",
    "SELECT coalesce(max(position), 0) + 1 AS next_position FROM audit_seals",
    "SELECT position FROM audit_seals WHERE position >= %(from)s ORDER BY position LIMIT %(limit)s",
    """
    SELECT position, actor, action, object, before, after, at FROM audit_seals JOIN audit_entries USING (entry_id)
    WHERE position BETWEEN %(from)s AND %(last)s AND action = ANY(%(wanted)s) ORDER BY position""",
    list(OF_ACTION),
    lambda row: of_action(row["position"], row),
)

_AUDIT_IS_THERE: Final = "SELECT to_regclass('audit_seals') IS NOT NULL AS there"
_ENTER: Final = "INSERT INTO notice_feeds (feed, next_position) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_KNOWN: Final = "SELECT 1 FROM notice_feeds WHERE feed = %s"
_TAKE: Final = "SELECT next_position FROM notice_feeds WHERE feed = %s FOR UPDATE SKIP LOCKED"
_MOVE: Final = "UPDATE notice_feeds SET next_position = %s WHERE feed = %s"
_HOLDERS: Final = "SELECT account_id, user_id FROM account_owners WHERE account_id = ANY(%s) AND until IS NULL"
_FIELDS: Final = f"""
SELECT subject_id, field FROM personal_values WHERE subject_id = ANY(%s)
AND (field IN ('{EMAIL_FIELD}', '{PHONE_FIELD}', '{PREFERENCES_FIELD}') OR field LIKE '{DEVICE_FIELD}%%')"""
_RECENT: Final = f"""
SELECT user_id, channel, count(*) AS notices FROM notices
WHERE user_id = ANY(%s) AND queued_at > now() - interval '1 hour'
AND status NOT IN ('{NoticeStatus.COLLECTED}', '{NoticeStatus.SUMMARISED}') GROUP BY user_id, channel"""
_INSERT: Final = """
INSERT INTO notices (notice_id, cause, user_id, channel, target, kind, account_id, details, happened_at, status, due_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(%s) AS mine"
_SUMMARISE: Final = f"""
WITH due AS (
    SELECT user_id, max(happened_at) AS happened_at FROM notices
    WHERE status = '{NoticeStatus.COLLECTED}' AND due_at <= now() GROUP BY user_id LIMIT {SUMMARIES}
), made AS (
    INSERT INTO notices (notice_id, cause, user_id, channel, target, kind, details, happened_at, status, due_at)
    SELECT id, 'summary:' || id, user_id, '{Channel.EMAIL}', '', '{NoticeKind.DAILY_SUMMARY}', '{{}}', happened_at,
        '{NoticeStatus.PENDING}', now()
    FROM (SELECT gen_random_uuid() AS id, * FROM due) AS fresh RETURNING notice_id, user_id
)
UPDATE notices SET status = '{NoticeStatus.SUMMARISED}', ended_at = now(), summary_id = made.notice_id
FROM made WHERE notices.user_id = made.user_id AND status = '{NoticeStatus.COLLECTED}' AND due_at <= now()"""


class Planner:
    """Every method raises psycopg.Error, KeyringFault, Tampered."""

    def __init__(
        self, personal: PersonalData, channels: frozenset[Channel], hourly_max: int, failpoints: Failpoints
    ) -> None:
        self._personal = personal
        self._channels = channels
        self._hourly_max = hourly_max
        self._failpoints = failpoints

    async def start(self, connection: Connection) -> None:
        """What happened before notices were first switched on is not told."""
        for feed in (EVENTS, ACTIONS):
            if await _rows(connection, _KNOWN, (feed.name,)):
                continue
            has_rows = feed is EVENTS or await _audit_is_there(connection)
            [begin] = await _rows(connection, feed.start) if has_rows else [{"next_position": 1}]
            await connection.execute(_ENTER, (feed.name, begin["next_position"]))

    async def plan(self, connection: Connection) -> int:
        """One step of each feed; how many notices were made. Positions that were passed were BATCH each at most."""
        planned = await self._plan_feed(connection, EVENTS)
        if await _audit_is_there(connection):
            planned += await self._plan_feed(connection, ACTIONS)
        return planned

    async def _plan_feed(self, connection: Connection, feed: Feed) -> int:
        async with connection.transaction():
            taken = await _rows(connection, _TAKE, (feed.name,))
            if not taken:  # another process is planning it
                return 0
            at = {"from": taken[0]["next_position"], "limit": BATCH, "wanted": list(feed.wanted)}
            positions = await _rows(connection, feed.last, at)
            if not positions:
                return 0
            last = positions[-1]["position"]
            rows = await _rows(connection, feed.rows, at | {"last": last})
            planned = await self._plan(connection, [happening for row in rows for happening in feed.read(row)])
            await connection.execute(_MOVE, (last + 1, feed.name))
            # Crash up to here: rolled back, the same rows are read again. After the commit each notice is there once.
            self._failpoints.reach("notices_before_commit")
        return planned

    async def _plan(self, connection: Connection, happenings: list[Happening]) -> int:
        users = await _users_of(connection, happenings)
        everybody = {user for told in users for user in told}
        if not everybody:
            return 0
        recipients = await self._recipients(connection, everybody)
        now = datetime.now(UTC)
        notices = []
        for happening, told in zip(happenings, users, strict=True):
            for user in told:
                decided = decide(happening, recipients[user], now, self._hourly_max)
                recipients[user].recent.update(notice.channel for notice in decided if not notice.collected)
                decided += to_previous(happening, self._channels, now)
                notices += [_row(happening, user, notice) for notice in decided]
        async with connection.cursor() as cursor:
            await cursor.executemany(_INSERT, notices)
        return len(notices)

    async def _recipients(self, connection: Connection, users: Iterable[UUID]) -> dict[UUID, Recipient]:
        wanted = list(users)
        fields: defaultdict[UUID, set[str]] = defaultdict(set)
        for row in await _rows(connection, _FIELDS, (wanted,)):
            fields[row["subject_id"]].add(row["field"])
        recent: defaultdict[UUID, Counter[Channel]] = defaultdict(Counter)
        for row in await _rows(connection, _RECENT, (wanted,)):
            recent[row["user_id"]][Channel(row["channel"])] = row["notices"]
        return {user: await self._recipient(connection, user, fields[user], recent[user]) for user in wanted}

    async def _recipient(
        self, connection: Connection, user: UUID, fields: set[str], recent: Counter[Channel]
    ) -> Recipient:
        devices = tuple(sorted(name.removeprefix(DEVICE_FIELD) for name in fields if name.startswith(DEVICE_FIELD)))
        has = {Channel.EMAIL: EMAIL_FIELD in fields, Channel.SMS: PHONE_FIELD in fields, Channel.PUSH: bool(devices)}
        reachable = frozenset(channel for channel, is_there in has.items() if is_there) & self._channels
        preferences = Preferences()
        if PREFERENCES_FIELD in fields:
            found = await self._personal.values(connection, user.bytes, PREFERENCES_FIELD)
            preferences = DECODE_PREFERENCES(found[PREFERENCES_FIELD].reveal())
        return Recipient(preferences, reachable, devices, recent)

    async def summarise(self, connection: Connection) -> int:
        """Make the summaries that are due; how many lines they have together. All of it or nothing."""
        async with connection.transaction():
            [lock] = await _rows(connection, _LOCK, (_LOCK_SUMMARIES,))
            if not lock["mine"]:
                return 0
            return (await connection.execute(_SUMMARISE.encode())).rowcount


async def _users_of(connection: Connection, happenings: Iterable[Happening]) -> list[list[UUID]]:
    """Whom each of them concerns."""
    listed = list(happenings)
    holders: defaultdict[bytes, list[UUID]] = defaultdict(list)
    accounts = {UUID(bytes=happening.account) for happening in listed if happening.account is not None}
    for row in await _rows(connection, _HOLDERS, (list(accounts),)) if accounts else ():
        holders[row["account_id"].bytes].append(row["user_id"])
    return [
        holders[happening.account] if happening.account is not None else [UUID(bytes=happening.user or b"")]
        for happening in listed
    ]


def _row(happening: Happening, user: UUID, notice: Notice) -> tuple[object, ...]:
    named = f"notice/{happening.cause}/{happening.kind}/{notice.channel}/{notice.target}"
    account = UUID(bytes=happening.account) if happening.account is not None else None
    status = NoticeStatus.COLLECTED if notice.collected else NoticeStatus.PENDING
    return (
        *(UUID(bytes=derive_consequence_id(user.bytes, named)), happening.cause, user, notice.channel, notice.target),
        *(happening.kind, account, Jsonb(dict(happening.details)), happening.happened_at, status, notice.due_at),
    )


async def _audit_is_there(connection: Connection) -> bool:
    """The API makes the tables of the audit log when it first writes to it."""
    [row] = await _rows(connection, _AUDIT_IS_THERE)
    return bool(row["there"])


async def _rows(
    connection: Connection, query: str, parameters: Mapping[str, Any] | tuple[Any, ...] = ()
) -> list[DictRow]:
    cursor = await connection.execute(query.encode(), parameters)
    return await cursor.fetchall()
