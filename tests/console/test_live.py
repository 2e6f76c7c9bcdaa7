"""Goal: a list that stays open shows what has changed, keeps nobody signed in, and costs little while nothing does.

Method: as tests/console/test_pages.py; what htmx would ask is asked by hand.
"""

from collections.abc import Callable
from xml.etree.ElementTree import Element

import httpx
import pytest
from psycopg import Connection

from reconciliation.store.importing import Imported
from tests.console.browser import Browser, Page
from tests.console.conftest import FATIMA, Office

LISTS = ("/console/runs", "/console/breaks", "/console/adjustments", "/console/files")


def asking(page: Page) -> Element:
    """The part of the page that asks by itself."""
    [found] = [one for one in page.tree.iter("div") if one.get("id") == "found"]
    return found


async def asked(browser: Browser, page: Page) -> httpx.Response:
    """What the page is answered ten seconds later."""
    name, _, value = asking(page).get("hx-headers", "").strip("{}").partition(": ")
    return await browser.http.get(page.path, headers={name.strip('"'): value.strip('"')}, follow_redirects=False)


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_that_shows_everything_is_answered_nothing(office: Office, broken: str, path: str) -> None:
    browser, _ = await office.at_work(FATIMA, "fatima")
    page = await browser.get(path)
    assert (asking(page).get("hx-trigger"), asking(page).get("hx-get")) == ("every 10s", "")
    again = await asked(browser, page)
    assert (again.status_code, again.content) == (204, b"")


async def test_a_file_that_was_brought_meanwhile_is_shown(
    office: Office, broken: str, bring: Callable[[str, str], Imported]
) -> None:
    browser, _ = await office.at_work(FATIMA, "fatima")
    page = await browser.get("/console/files")
    bring("later.txt", "no statement at all")
    changed = await asked(browser, page)
    assert changed.status_code == 200
    now = Page(changed)
    assert now.rows("The newest first")[0][0] == "later.txt"
    assert (await asked(browser, now)).status_code == 204


async def test_ten_thousand_rows_do_not_ask_by_themselves(office: Office, broken: str) -> None:
    browser, _ = await office.at_work(FATIMA, "fatima")
    assert asking(await browser.get("/console/breaks?limit=10000")).get("hx-trigger") is None


async def test_a_page_that_asks_keeps_no_session_alive(office: Office, books: Connection, broken: str) -> None:
    """Who has gone would stay signed in for a day otherwise, instead of an hour."""
    browser, _ = await office.at_work(FATIMA, "fatima")
    page = await browser.get("/console/breaks")
    used = "SELECT count(*) FROM refresh_tokens"
    before = books.execute(used).fetchone()
    [cookie] = browser.http.cookies.jar
    form, refresh, _ = (cookie.value or "").split(".", 2)
    cookie.value = f"{form}.{refresh}."
    over = await asked(browser, page)
    assert (over.status_code, over.headers["hx-retarget"]) == (286, "#live")
    assert "set-cookie" not in over.headers
    assert 'href=""' in over.text
    assert books.execute(used).fetchone() == before
    assert (await browser.get("/console/breaks")).path == "/console/breaks", "a person who asks goes on"
