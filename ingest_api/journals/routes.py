"""The ledger over HTTP: post a journal, look at one, and the entries of a user."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from ingest_api.http.openapi import describe
from ingest_api.http.serving import respond, show
from ingest_api.identity.tokens import Scope
from ingest_api.journals.history import ledger_of_user
from ingest_api.journals.posting import known_journal, post_journal
from ingest_api.journals.shown import Journal, JournalBody, LedgerPage, SplitBody
from ingest_api.journals.splits import post_split
from ingest_api.statements.history import Span
from ingest_api.statements.moments import TimesQuery
from ingest_api.statements.places import decode_place

router = APIRouter(tags=["ledger"])

PAGE_DEFAULT = 50
PAGE_MAX = 100


class LedgerQuery(TimesQuery):
    """Query of the entries of a user."""

    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before")

    def span(self) -> Span:
        """Which entries. Raises Problem."""
        after = decode_place(self.cursor) if self.cursor is not None else None
        return Span(*self.between, newest_first=True, after=after, limit=self.limit)


@router.post("/ledger", **describe("Post a journal", Scope.LEDGER_WRITE, Journal, body=JournalBody))
async def post_ledger(request: Request) -> Response:
    """For finance. Every leg of a customer is reserved before one is posted: all or none. An adjustment names its
    `reason`, such as the id of a break.
    """
    return await respond(request, post_journal)


@router.post("/ledger/splits", **describe("Divide an amount", Scope.LEDGER_WRITE, Journal, body=SplitBody))
async def post_ledger_split(request: Request) -> Response:
    """For finance. One journal: the parts come to the amount to the minor unit, and all are posted or none."""
    return await respond(request, post_split)


@router.get("/ledger/{user_id}", **describe("Entries of a user's accounts", Scope.ACCOUNTS_READ, LedgerPage))
async def get_ledger(request: Request, user_id: str, query: Annotated[LedgerQuery, Query()]) -> Response:
    """Newest first, each with the balance of its account after it. A page may have one entry more than `limit`: the
    two of a transfer between accounts of the user stay together.
    """
    return await show(
        request, Scope.ACCOUNTS_READ, lambda services, who: ledger_of_user(services, who, user_id, query.span())
    )


@router.get("/journals/{journal_id}", **describe("One journal", Scope.PAYMENTS_READ, Journal))
async def get_journal(request: Request, journal_id: str) -> Response:
    """By its own id, or that of the payment that it posts. Of a journal of many, the legs of the caller's accounts."""
    return await show(request, Scope.PAYMENTS_READ, lambda services, who: known_journal(services, who, journal_id))
