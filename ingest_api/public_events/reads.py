"""Events in Postgres, in the order in which they were stored, for whom they concern.

Reads public_events, event_accounts and the parts of users in accounts. A page costs as much as its rows and the
accounts that are looked at, wherever in the month it begins. Between two times it costs an index entry for each event
of everybody's in between, too, or each one of the accounts: they are not stored in the order in which they occurred.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.reads.database import Database

_WANTED: Final = """
position {beyond} %(after)s AND (%(type)s::text IS NULL OR type = %(type)s)
AND (%(object)s::text IS NULL OR object = %(object)s)"""
_OCCURRED: Final = """
(%(since)s::timestamptz IS NULL OR occurred_at >= %(since)s)
AND (%(until)s::timestamptz IS NULL OR occurred_at < %(until)s)"""
_SPAN: Final = f"SELECT min(position + 0) AS first, max(position + 0) AS last FROM public_events WHERE {_OCCURRED}"
"""Without it the rows of a page would be looked for in the whole month; and the least position, were it not a sum."""

_WITHIN: Final = f"{_OCCURRED} AND position BETWEEN %(first)s AND %(last)s"
_ALL: Final = "SELECT position, payload FROM public_events WHERE {wanted} ORDER BY position {order} LIMIT %(limit)s"
_OF_ACCOUNTS: Final = """
SELECT DISTINCT event.position, event.payload FROM unnest(%(accounts)s::uuid[]) AS asked (account_id)
CROSS JOIN LATERAL (
    SELECT position, payload FROM event_accounts AS seen JOIN public_events USING (position)
    WHERE seen.account_id = asked.account_id AND {wanted}
    ORDER BY seen.position {order} LIMIT %(limit)s
) AS event
ORDER BY position {order} LIMIT %(limit)s"""
_ONE: Final = "SELECT payload, accounts FROM public_events WHERE event_id = %s"
_BEYOND_ALL: Final = 2**63 - 1
_HELD: Final = "SELECT account_id FROM account_owners WHERE user_id = %s AND until IS NULL"


class Asked(NamedTuple):
    """Which events. `since` and `until`: when they occurred. `after`: the position behind which they begin, in the
    order asked for.
    """

    type: str | None
    object: str | None
    since: datetime | None
    until: datetime | None
    after: int | None
    limit: int
    newest_first: bool


async def page(database: Database, asked: Asked, accounts: Collection[bytes] | None) -> list[dict[str, Any]]:
    """Position and payload, of these accounts or (None) of all. Raises DatabaseUnavailable."""
    order, beyond = ("DESC", "<") if asked.newest_first else ("ASC", ">")
    wanted = _WANTED.format(beyond=beyond)
    parameters = asked._asdict()
    if asked.after is None:
        parameters["after"] = _BEYOND_ALL if asked.newest_first else 0
    if accounts is None:
        if asked.since is not None or asked.until is not None:
            wanted = f"{wanted} AND {_WITHIN}"
            parameters |= (await database.page(_SPAN, parameters))[0]
        return await database.page(_ALL.format(wanted=wanted, order=order), parameters)
    wanted = f"{wanted} AND {_OCCURRED}"
    parameters["accounts"] = [UUID(bytes=account) for account in accounts]
    return await database.page(_OF_ACCOUNTS.format(wanted=wanted, order=order), parameters)


async def held_accounts(database: Database, user: bytes) -> Sequence[bytes]:
    """Accounts in which the user has a part. Raises DatabaseUnavailable."""
    return [row["account_id"].bytes for row in await database.rows(_HELD, (UUID(bytes=user),))]


async def find(database: Database, event: bytes) -> tuple[bytes, list[bytes]] | None:
    """An event's payload and its accounts. Raises DatabaseUnavailable."""
    row = await database.row(_ONE, (UUID(bytes=event),))
    return (row["payload"], [account.bytes for account in row["accounts"]]) if row is not None else None
