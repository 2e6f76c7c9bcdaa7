"""GET /ledger/{user}: the entries of all accounts of a user, newest first, each with the balance of its account after
it.

Each account is read by itself, as /accounts/{id}/entries reads it, and its pages are merged by place. A transfer
between two accounts of the user has one place and two entries: they are never on two pages.
"""

from typing import Any

import msgspec

from ingest_api.http.resources import account_text
from ingest_api.identity.tokens import Principal
from ingest_api.journals.shown import LedgerEntry, LedgerPage
from ingest_api.owners.access import user_named
from ingest_api.owners.holdings import accounts_of
from ingest_api.reads.database import Database
from ingest_api.services import Services
from ingest_api.statements.history import Span, entries_page
from ingest_api.statements.line import Line
from ingest_api.statements.places import encode_place
from ingest_api.statements.shown import shown_entry


async def ledger_of_user(services: Services, principal: Principal, user_id: str, span: Span) -> LedgerPage:
    """One page. Raises Problem where the user is not the principal's, DatabaseUnavailable."""
    accounts = await accounts_of(services.database, user_named(principal, user_id))
    found = [await _entries(services.database, account, span) for account in accounts]
    merged = sorted((one for entries in found for one in entries), key=lambda one: one[0].place, reverse=True)
    shown = merged[: span.limit]
    shown += [one for one in merged[span.limit :] if one[0].place == shown[-1][0].place]
    has_more = len(merged) > len(shown)
    cursor = encode_place(shown[-1][0].place) if has_more else None
    return LedgerPage(user_id, [entry for _, entry in shown], has_more, cursor)


async def _entries(database: Database, account: bytes, span: Span) -> list[tuple[Line, LedgerEntry]]:
    """One entry more than the page has tells whether there is another page."""
    page = await entries_page(database, account, span._replace(limit=span.limit + 1))
    if page is None:  # its owners are written before it is open
        return []
    return [(line, _entry(account, line, page.currency)) for line in page.lines]


def _entry(account: bytes, line: Line, currency: str) -> LedgerEntry:
    of_account: dict[str, Any] = msgspec.structs.asdict(shown_entry(line, currency))
    return LedgerEntry(account=account_text(account), currency=currency, **of_account)
