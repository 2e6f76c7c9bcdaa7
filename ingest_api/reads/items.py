"""Lists of open items (holds, disputes, receivables) of an account, newest first, page by keyset."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from pydantic import Field

from ingest_api.reads.cursor import Cursor, decode_cursor, encode_cursor
from ingest_api.reads.database import Database
from ingest_api.statements.moments import TimesQuery

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 200


class ItemQuery(TimesQuery):
    """Query of a list, by when the items were opened."""

    account: str = Field(description="On either side")
    status: Literal["open", "ended"] | None = None
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")


class ItemPage(NamedTuple):
    """The rows of a page, and where the next one begins."""

    rows: list[dict[str, Any]]
    next_cursor: str | None


def page_query(select: str, item_id: str, sides: Sequence[str], is_open: str = "item.is_open") -> str:
    """SQL of a page of items, from a SELECT of them as `item` that ends in its conditions.

    Each side of an account walks its own index in page order. `is_open`: what counts as open.
    """
    arms = " UNION ALL ".join(
        f"""({select} AND item.{side} = %(account)s
        AND (%(is_open)s::boolean IS NULL OR ({is_open}) = %(is_open)s)
        AND (%(since)s::timestamptz IS NULL OR item.opened_at >= %(since)s)
        AND (%(until)s::timestamptz IS NULL OR item.opened_at < %(until)s)
        AND (%(at)s::timestamptz IS NULL OR (item.opened_at, item.{item_id}) < (%(at)s, %(id)s::uuid))
        ORDER BY item.opened_at DESC, item.{item_id} DESC LIMIT %(rows)s)"""
        for side in sides
    )
    return f"SELECT * FROM ({arms}) AS sides ORDER BY opened_at DESC, {item_id} DESC LIMIT %(rows)s"


async def item_page(database: Database, query: str, item_id: str, account: bytes, asked: ItemQuery) -> ItemPage:
    """One page of `page_query`. Raises Problem for a cursor of somebody else's, DatabaseUnavailable."""
    after = decode_cursor(asked.cursor) if asked.cursor is not None else None
    at, id_ = after or (None, None)
    is_open = asked.status == "open" if asked.status is not None else None
    since, until = asked.between
    named = {"account": UUID(bytes=account), "is_open": is_open, "at": at, "id": id_, "rows": asked.limit + 1}
    named |= {"since": since, "until": until}
    rows = await database.page(query, named)
    shown = rows[: asked.limit]
    more = len(rows) > asked.limit
    return ItemPage(shown, encode_cursor(Cursor(shown[-1]["opened_at"], shown[-1][item_id])) if more else None)
