"""Entries with running balances, monthly statements, the tax report of a year, and the balance by query, over HTTP."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ingest_api.accounts import BalanceQuery, show_balance, viewable
from ingest_api.http.call import Call
from ingest_api.http.openapi import describe
from ingest_api.http.resources import Balance
from ingest_api.http.serving import read, respond
from ingest_api.identity.tokens import Principal, Scope
from ingest_api.owners.access import user_named
from ingest_api.problems import refused
from ingest_api.reads.consistency import HEADER, await_visible
from ingest_api.services import Services
from ingest_api.statements.download import Download, read_apart, respond_with_download
from ingest_api.statements.formats.files import FORMATS, StatementFormat
from ingest_api.statements.history import Span, entries_page
from ingest_api.statements.moments import TimesQuery, Year, named_period
from ingest_api.statements.month import rendered
from ingest_api.statements.places import decode_place, encode_place
from ingest_api.statements.shown import AccountEntryPage, Statement, shown_page
from ingest_api.statements.tax import owned_accounts, tax_report
from payments.rejections import Reason

router = APIRouter(tags=["statements"])

PAGE_DEFAULT = 50
PAGE_MAX = 500


class Order(StrEnum):
    """Which end of the history comes first."""

    NEWEST_FIRST = "desc"
    OLDEST_FIRST = "asc"


class EntryQuery(TimesQuery):
    """Query of the entries."""

    order: Order = Order.NEWEST_FIRST
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    cursor: str | None = Field(None, max_length=64, description="next_cursor of the page before, with the same order")

    def span(self) -> Span:
        """Which entries. Raises Problem."""
        after = decode_place(self.cursor) if self.cursor is not None else None
        return Span(*self.between, self.order is Order.NEWEST_FIRST, after, self.limit)


class StatementQuery(BaseModel, extra="forbid"):
    """Query of a statement."""

    month: str | None = Field(None, description="2026-10: from its first microsecond in UTC to its last")
    year: str | None = Field(None, description="2026, in UTC: instead of a month")
    format: StatementFormat = StatementFormat.JSON


class TaxQuery(BaseModel, extra="forbid"):
    """Query of a tax report."""

    year: str = Field(description="2026, in UTC")


class AccountBalanceQuery(BalanceQuery, extra="forbid", populate_by_name=False):
    """Query of a balance that names its account."""

    account: str = Field(alias="accountId")


async def _page(services: Services, account: bytes, span: Span) -> AccountEntryPage:
    page = await entries_page(services.database, account, span)
    if page is None:
        raise refused(Reason.ACCOUNT_NOT_FOUND)
    return shown_page(account, page, encode_place(page.lines[-1].place) if page.has_more else None)


async def _statement(services: Services, call: Call, account_id: str, query: StatementQuery) -> Download:
    account, period = await _asked(services, call, account_id), named_period(query.month, query.year)
    written = FORMATS[query.format]
    rendering = await asyncio.to_thread(written.begin)  # the libraries of PDF take two seconds to load
    parts = read_apart(services.settings, lambda database: rendered(database, account, period, rendering))
    return Download(parts, written.media, f"{account_id}-{period}.{written.suffix}")


async def _tax_report(services: Services, call: Call, account_id: str, query: TaxQuery) -> Download:
    account, year = await _asked(services, call, account_id), Year.parse(query.year)
    return _reported(services, [account], year, account_id)


async def _tax_report_of_user(services: Services, call: Call, user_id: str, query: TaxQuery) -> Download:
    principal = services.tokens.principal(call.header(b"authorization"), Scope.ACCOUNTS_READ)
    await await_visible(services.database, call.header(HEADER.lower().encode()))
    user, year = user_named(principal, user_id), Year.parse(query.year)
    return _reported(services, await owned_accounts(services.database, user), year, user_id)


def _reported(services: Services, accounts: Sequence[bytes], year: Year, name: str) -> Download:
    parts = read_apart(services.settings, lambda database: tax_report(database, accounts, year))
    return Download(parts, FORMATS[StatementFormat.CSV].media, f"{name}-{year}-tax.csv")


async def _asked(services: Services, call: Call, account_id: str) -> bytes:
    """The account of a download, once its caller may look at it and sees what they have written. Raises Problem."""
    principal = services.tokens.principal(call.header(b"authorization"), Scope.ACCOUNTS_READ)
    await await_visible(services.database, call.header(HEADER.lower().encode()))
    return await viewable(services, principal, account_id)


def _described(summary: str, *formats: StatementFormat) -> dict[str, Any]:
    """A read whose answer has one of these forms."""
    described = describe(summary, Scope.ACCOUNTS_READ, Statement)
    content = described["responses"][200]["content"]
    shown = {FORMATS[format_].media: {"schema": {"type": "string"}} for format_ in formats}
    described["responses"][200]["content"] = shown | {media: content[media] for media in shown if media in content}
    return described


@router.get(
    "/accounts/{account_id}/entries",
    **describe("Entries of an account, each with the balance after it", Scope.ACCOUNTS_READ, AccountEntryPage),
)
async def get_entries(request: Request, account_id: str, query: Annotated[EntryQuery, Query()]) -> Response:
    """In ledger order, from either end; each page states the balance before its earliest and after its latest entry."""

    async def page(services: Services, principal: Principal) -> AccountEntryPage:
        return await _page(services, await viewable(services, principal, account_id), query.span())

    return await respond(
        request, lambda services, call: read(services, call, Scope.ACCOUNTS_READ, lambda who: page(services, who))
    )


@router.get("/accounts/{account_id}/statement", **_described("Statement of a month or a year", *StatementFormat))
async def get_statement(request: Request, account_id: str, query: Annotated[StatementQuery, Query()]) -> Response:
    """Opening balance, every entry with the balance after it, totals per kind, closing balance; as JSON, CSV, ISO 20022
    camt.053.001.08 or PDF (at most 10,000 entries). Final, and the same bytes for ever, an hour after its end.
    """
    return await respond_with_download(request, lambda services, call: _statement(services, call, account_id, query))


@router.get("/accounts/{account_id}/tax-report", **_described("Tax report of a year", StatementFormat.CSV))
async def get_tax_report(request: Request, account_id: str, query: Annotated[TaxQuery, Query()]) -> Response:
    """What came in and went out by kind, fees, refunds and disputes among them, with opening and closing balance."""
    return await respond_with_download(request, lambda services, call: _tax_report(services, call, account_id, query))


@router.get("/users/{user_id}/tax-report", **_described("Tax report of a user's year", StatementFormat.CSV))
async def get_tax_report_of_user(request: Request, user_id: str, query: Annotated[TaxQuery, Query()]) -> Response:
    """The same of every account of which the user is an owner, and the totals of all by currency."""
    return await respond_with_download(
        request, lambda services, call: _tax_report_of_user(services, call, user_id, query)
    )


@router.get("/balance", **describe("What an account holds, by query", Scope.ACCOUNTS_READ, Balance))
async def get_balance_by_query(request: Request, query: Annotated[AccountBalanceQuery, Query()]) -> Response:
    """The same as `/accounts/{id}/balance`."""
    return await respond(request, lambda services, call: show_balance(services, call, query.account, query.at))
