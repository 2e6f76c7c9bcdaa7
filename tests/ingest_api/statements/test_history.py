"""Goal: pages of entries in either direction say what an independent fold of the ledger says, at every cut."""

from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate, combinations_with_replacement, pairwise
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ingest_api.reads.accounts import find_balance
from ingest_api.reads.database import Database
from ingest_api.statements.history import Page, Span, entries_page, page_query
from ingest_api.statements.line import Place, fees_account
from tests.ingest_api.statements.fold import legs_of
from tests.sinks.every_kind import ANNA, BERT, CARL, DORA, EVE, SHOP
from tests.sinks.test_every_kind import Played

ACCOUNTS = [ANNA, BERT, CARL, DORA, SHOP, EVE]
NAMES = ["anna", "bert", "carl", "dora", "shop", "eve"]
ALL = Span(None, None, newest_first=False, after=None, limit=500)


async def walk(ledger: Database, account: bytes, span: Span) -> list[Page]:
    """Every page from the first to the last."""
    pages = []
    while True:
        page = await entries_page(ledger, account, span)
        assert page is not None
        assert len(page.lines) <= span.limit
        pages.append(page)
        if not page.has_more:
            return pages
        span = span._replace(after=page.lines[-1].place)


@pytest.mark.parametrize("account", ACCOUNTS, ids=NAMES)
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
@pytest.mark.parametrize("limit", [1, 3, 500])
async def test_pages_are_the_fold_of_the_ledger(
    ledger: Database, played: Played, account: bytes, newest_first: bool, limit: int
) -> None:
    pages = await walk(ledger, account, ALL._replace(newest_first=newest_first, limit=limit))
    lines = [line for page in pages for line in page.lines]
    in_order = lines[::-1] if newest_first else lines
    legs = legs_of(played, account)
    assert [(line.place.posted_at, line.amount_minor) for line in in_order] == legs
    assert [line.balance_minor for line in in_order] == list(accumulate(amount for _, amount in legs))


@pytest.mark.parametrize("account", ACCOUNTS, ids=NAMES)
@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
async def test_pages_join_without_a_gap(ledger: Database, account: bytes, newest_first: bool) -> None:
    pages = await walk(ledger, account, ALL._replace(newest_first=newest_first, limit=3))
    in_order = pages[::-1] if newest_first else pages
    assert in_order[0].opening_minor == 0
    for earlier, later in pairwise(in_order):
        assert earlier.closing_minor == later.opening_minor
    assert in_order[-1].closing_minor == (await find_balance(ledger, account)).posted_minor


@pytest.mark.parametrize("account", ACCOUNTS, ids=NAMES)
async def test_a_span_opens_and_closes_with_the_balances_of_its_ends(
    ledger: Database, played: Played, account: bytes
) -> None:
    """Also where nothing is in it."""
    times = sorted({at for at, _ in legs_of(played, account)})
    cuts = [times[0], times[len(times) // 2], times[-1]]
    for since, until in combinations_with_replacement(cuts, 2):
        page = await entries_page(ledger, account, ALL._replace(since=since, until=until))
        assert page is not None
        assert page.opening_minor == balance_before(played, account, since)
        assert page.closing_minor == balance_before(played, account, until)


def balance_before(played: Played, account: bytes, end: datetime) -> int:
    return sum(amount for at, amount in legs_of(played, account) if at < end)


async def test_an_unknown_account_has_no_pages(ledger: Database) -> None:
    assert await entries_page(ledger, bytes(15) + b"\x07", ALL) is None


BUSY = """INSERT INTO journal_entries (journal_id, payment_id, debit_account, credit_account, amount_minor, currency,
    posted_at, shard, ledger_sequence, ledger_offset, entry_index, source, source_offset, source_item)
SELECT gen_random_uuid(), gen_random_uuid(), CASE n %% 2 WHEN 0 THEN %(account)s ELSE gen_random_uuid() END,
    CASE n %% 2 WHEN 1 THEN %(account)s ELSE gen_random_uuid() END, 1, 'EUR',
    timestamptz '2026-09-01 00:00Z' + n / 20 * interval '1 second', 0, n / 20, 0, n %% 20, 0, 0, 0
FROM generate_series(1, 20000) AS n"""
"""Debits and credits in turn, twenty of one microsecond."""


def reads_of(node: dict[str, Any]) -> Iterator[int]:
    """Rows that each scan of journal entries in a plan has looked at."""
    if "Scan" in node["Node Type"] and node.get("Relation Name") == "journal_entries":
        yield node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    for child in node.get("Plans", []):
        yield from reads_of(child)


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first page", "a later page"])
def test_a_page_reads_as_much_of_a_busy_month_as_it_shows(ledger_url: str, newest_first: bool, is_first: bool) -> None:
    middle = Place(datetime.fromisoformat("2026-09-01T00:08:20Z"), 0, 500, 10, 0)
    span = Span(None, None, newest_first, None if is_first else middle, 100)
    asked = {"account": UUID(bytes=ANNA), "until": None, "fees": fees_account("EUR")}
    query, parameters = page_query(span, asked)
    with psycopg.connect(ledger_url) as connection:
        connection.execute(BUSY, asked)
        connection.execute("ANALYZE journal_entries")
        found = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}".encode(), parameters).fetchone()
        connection.rollback()
    assert found is not None
    reads = [*reads_of(found[0][0]["Plan"])]
    assert sum(reads) >= 101
    assert max(reads) <= 101 + 20, "one page, and what shares a microsecond with its ends"
