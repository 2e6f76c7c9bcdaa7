"""Goal: a page costs as much as its rows, however many rows lie before it or around it.

Every list is asked through the functions that its route calls, at its beginning and deep in its tables; what they
execute is explained.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Final
from uuid import UUID

import psycopg
import pytest

from benchmarks.reads.plans import effort_of
from benchmarks.reads.tables import ACCOUNT, BEGINNING, PAYMENT, PAYMENTS, fill, id_of, sum_up, time_of
from ingest_api.audit_log.reads import Filters
from ingest_api.cases.reads import open_cases
from ingest_api.disputes.reads import list_disputes, list_receivables
from ingest_api.holds.reads import list_holds
from ingest_api.owners import holdings
from ingest_api.public_events import reads as events
from ingest_api.quarantine.cases import list_cases
from ingest_api.reads.accounts import AccountFilter, find_balance, list_accounts
from ingest_api.reads.cursor import Cursor, encode_cursor
from ingest_api.reads.items import ItemQuery
from ingest_api.reads.lists.looking import LOOKED_MAX
from ingest_api.reads.payments import PaymentFilter, PaymentType, find_timeline, list_payments
from ingest_api.screening.reads import page_of_hits
from ingest_api.services import Services
from ingest_api.statements.history import Span, entries_page
from ingest_api.statements.line import Place
from payments.accounts import AccountStatus
from payments.identifiers import ACCOUNT as ACCOUNT_ID
from payments.identifiers import format_id
from payments.lifecycle import PaymentStatus
from reconciliation.breaks import reads as breaks
from reconciliation.runs.reads import page_of_matches, page_of_runs
from reconciliation.store.files import page_of_files
from runtime.personal_data.keyring import Keyring
from runtime.postgres import open_session
from runtime.settings import Settings
from schemas.origin import Origin
from schemas.tables.webhooks import DeliveryStatus
from screening.hits import HitStatus
from tests.ingest_api.reads.statements import Statement, listened_to
from tests.ingest_api.reads.tables import (
    ALIAS,
    BANK,
    BREAK,
    DESKS,
    ENDPOINT,
    ENTRY,
    FILE,
    ITEM,
    KEY,
    NOTICE,
    RUN,
    SCHEDULE,
    USER,
)
from tests.support.environment import fresh_database

PAYMENT_ROWS: Final = 20_000
ROWS: Final = 4_000
"""Of every other table."""

DEEP: Final = ROWS // 10
LATE: Final = ROWS - DEEP
"""Rows before which nine tenths of a list are, newest first and oldest first."""

PAGE: Final = 20
TABLES: Final = 5
"""A payment is a row of each of these: decision, journal entry, return, cause, hold."""

READ_MAX: Final = 4 * TABLES * PAGE
"""For every row that a page shows, it may have thrown away three."""

ASIDE: Final = (b"audit_unsealed", b"DISTINCT wrapping_key")
"""The audit log seals meanwhile, and each process compares its keys once."""

PARTY: Final = id_of(ACCOUNT, 1).bytes
PERSON: Final = id_of(USER, 1).bytes

Pages = Callable[[Services, psycopg.Connection, bool], AsyncIterator[str]]
"""Asks for pages one by one, the first ones or (True) deep ones, and names what it has asked for."""


@pytest.fixture(scope="module")
def settings(postgres: str, migrated_once: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Of a database with thousands of rows in every table that a list reads."""
    with fresh_database(postgres, migrated_once) as url:
        made = Settings(home=tmp_path_factory.mktemp("home"), database_url=url)
        with psycopg.connect(url) as connection:
            connection.execute("SET timezone = 'UTC'; SET synchronous_commit = off")
            connection.execute("ALTER TABLE account_owners DISABLE TRIGGER USER")
            fill(connection, PAYMENTS, PAYMENT_ROWS)
            fill(connection, DESKS, ROWS)
            connection.execute("TRUNCATE audit_unsealed")
            connection.execute("UPDATE subject_keys SET wrapping_key = %s", (Keyring.of(made).current,))
        with open_session(url, "test") as connection:
            sum_up(connection, span_legs=32)
        yield made


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    made = Services.of(settings)
    parts = made.database, made.audit, made.aliases, made.machines, made.people, made.schedules, made.webhooks
    for part in (*parts, made.notices):
        await part.open()
    yield made
    for part in (*parts, made.notices):
        await part.close()


@pytest.fixture
def desk(settings: Settings) -> Iterator[psycopg.Connection]:
    with closing(open_session(settings.database_url, "desk")) as connection:
        connection.autocommit = True
        yield connection


def _at(kind: int, number: int = DEEP) -> Cursor:
    return Cursor(time_of(number), id_of(kind, number))


async def _payments(services: Services, desk: psycopg.Connection, is_deep: bool) -> AsyncIterator[str]:
    """What grows with every payment."""
    mine = (PARTY, id_of(ACCOUNT, 7).bytes)
    for wanted in (
        PaymentFilter(),
        PaymentFilter(since=time_of(DEEP // 2), until=time_of(DEEP * 2)),
        PaymentFilter(mine),
        PaymentFilter(mine, PaymentType.TRANSFER),
        PaymentFilter(mine, currency="EUR", min_minor=10**9),
        PaymentFilter(status=PaymentStatus.RETURNED),
        PaymentFilter(status=PaymentStatus.AUTHORISED),
    ):
        await list_payments(services.database, wanted, _at(PAYMENT) if is_deep else None, PAGE)
        yield f"payments {wanted}"
    for newest_first in (True, False):
        asked = events.Asked(None, None, None, None, DEEP if is_deep else None, PAGE, newest_first)
        for one in (asked, asked._replace(type="payment.rejected"), asked._replace(object=f"pay_{DEEP}")):
            await events.page(services.database, one, None)
            yield f"events {one}"
        await events.page(services.database, asked, mine)
        yield "events of accounts"
        place = Place(time_of(DEEP), DEEP % 4, DEEP, 0, 0) if is_deep else None
        span = Span(None, None, newest_first, place, PAGE)
        assert await entries_page(services.database, PARTY, span) is not None
        yield f"entries {span}"
    for account in (AccountFilter(), AccountFilter(status=AccountStatus.CLOSED), AccountFilter(id_of(USER, 1))):
        await list_accounts(services.database, account, id_of(ACCOUNT, LATE) if is_deep else None, PAGE)
        yield f"accounts {account}"
    await find_balance(services.database, id_of(ACCOUNT, 7).bytes)
    yield "a balance"
    await find_timeline(services.database, id_of(PAYMENT, DEEP).bytes)
    yield "a payment"


async def _items(services: Services, desk: psycopg.Connection, is_deep: bool) -> AsyncIterator[str]:
    """Open items and orders of an account or a user."""

    def behind(kind: int, number: int = DEEP) -> Cursor | None:
        return _at(kind, number) if is_deep else None

    for status in (None, "open"):
        for kind, lists in ((PAYMENT, [list_holds]), (ITEM, [list_disputes, list_receivables])):
            asked = ItemQuery(account=format_id(ACCOUNT_ID, PARTY), limit=PAGE, status=status)
            asked.cursor = encode_cursor(_at(kind)) if is_deep else None
            for page in lists:
                await page(services.database, PARTY, asked)
                yield f"{page.__name__} {asked}"
    await open_cases(services.database, (None, None), behind(PAYMENT, LATE), PAGE)
    yield "cases"
    await holdings.page(services.database, holdings.Asked(PERSON, bytes(16)), behind(ACCOUNT), PAGE)
    yield "held accounts"
    for account, person in ((PARTY, None), (None, PERSON)):
        await services.aliases.register.page(account, person, behind(ALIAS), PAGE)
        yield "aliases"
    await services.schedules.page(PARTY, None, behind(SCHEDULE), PAGE)
    yield "schedules"
    await services.schedules.occurrences(id_of(SCHEDULE, 1).bytes, behind(PAYMENT), PAGE)
    yield "occurrences"
    await services.machines.register.page("c1", behind(KEY), PAGE)
    yield "keys"
    for delivered in (None, DeliveryStatus.FAILED):
        await services.webhooks.deliveries(id_of(ENDPOINT, 1).bytes, delivered, DEEP if is_deep else None, PAGE)
        yield f"deliveries {delivered}"
    for user in (PERSON, None):
        await services.notices.page(user, behind(NOTICE), PAGE)
        yield "notices"
    await services.people.banks.banks(behind(BANK, LATE), PAGE)
    yield "banks"


async def _desks(services: Services, desk: psycopg.Connection, is_deep: bool) -> AsyncIterator[str]:
    """What operators and finance look through."""
    at = time_of(DEEP)
    for filters in (Filters(), Filters("c1"), Filters(action="a1"), Filters(object="o1")):
        await services.audit.page(filters, _at(ENTRY) if is_deep else None, PAGE)
        yield f"audit {filters}"
    for status in (HitStatus.OPEN, HitStatus.WITHDRAWN):
        await page_of_hits(services.database, status, Cursor(at, UUID(int=LATE)) if is_deep else None, PAGE)
        yield f"hits {status}"
    list_cases(desk, after=Origin("t", 0, DEEP, 0) if is_deep else None, limit=PAGE)
    yield "quarantine"
    for source in ("", "s1"):
        page_of_files(desk, PAGE, source=source, after=(at, id_of(FILE, DEEP)) if is_deep else None)
        yield f"files {source}"
    for rules in ("", "r1"):
        page_of_runs(desk, PAGE, rules, (at, id_of(RUN, DEEP)) if is_deep else None)
        yield f"runs {rules}"
    page_of_matches(desk, id_of(RUN, 1), PAGE, LATE if is_deep else -1)
    yield "matches"
    breaks.page_of_breaks(desk, breaks.Wanted(), PAGE, (DEEP, id_of(BREAK, DEEP)) if is_deep else None)
    yield "breaks by value"
    day = (BEGINNING + timedelta(LATE // 1_000)).date()
    breaks.page_of_breaks(desk, breaks.Wanted("age"), PAGE, (day, id_of(BREAK, LATE)) if is_deep else None)
    yield "breaks by age"


@pytest.mark.parametrize("is_deep", [False, True])
@pytest.mark.parametrize("pages", [_payments, _items, _desks])
async def test_a_page_costs_as_much_as_its_rows(
    pages: Pages, is_deep: bool, services: Services, settings: Settings, desk: psycopg.Connection
) -> None:
    too_much = []
    with listened_to() as heard:
        async for name in pages(services, desk, is_deep):
            executed = [one for one in heard.values() if not any(table in one.query for table in ASIDE)]
            heard.clear()
            assert executed, name
            too_much += [f"{name}: {wrong}" for one in executed if (wrong := _wrong_with(settings, one))]
    assert not too_much, "\n\n".join(too_much)


def _wrong_with(settings: Settings, page: Statement) -> str:
    """Why a page may cost more than its rows; nothing where it does not."""
    looked = page.parameters.get("looked", 0) if isinstance(page.parameters, dict) else 0
    assert looked <= LOOKED_MAX
    with psycopg.connect(settings.database_url, options=page.session_options) as session:
        effort = effort_of(session, page.query, page.parameters)
    if effort.rows > READ_MAX + TABLES * looked or effort.sorted > READ_MAX:
        return f"{effort}\n{page.query.decode()}\n{page.parameters}"
    return "planned for any place" if b"LIMIT %(" in page.query and page.may_be_kept else ""
