"""Goal: the console works in a real browser: its cookie is kept, its policies stop none of its own scripts and styles.

Method: Chromium without a window against the app behind a socket; sign in, filter the breaks, propose an adjustment.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from millrace.environment.layout import cache_of
from tests.console.chromium import Tab, running_chromium
from tests.console.conftest import FATIMA, HOSTILE, Office
from tests.ingest_api.identity.people import PASSWORD
from tests.ingest_api.owners.world import World


@pytest.fixture
async def address(world: World) -> AsyncIterator[str]:
    """Where the app listens; only local browsers keep its cookie without TLS."""
    server = uvicorn.Server(uvicorn.Config(world.app, port=0, lifespan="off", log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/console"
    server.should_exit = True
    await serving


def walk(tab: Tab, address: str, code: str) -> None:
    tab.goes_to(f"{address}/breaks")
    tab.shows("Sign in")
    tab.types(username="fatima", password=PASSWORD, code=code)
    tab.clicks("main button")
    tab.shows("AMOUNT_MISMATCH")
    assert tab.runs("getComputedStyle(document.querySelector('td.number')).textAlign") == "right"
    tab.chooses("status", "closed")
    tab.shows("Nothing that is asked for.")
    assert "status=closed" in tab.runs("location.search")
    tab.chooses("status", "open")
    tab.shows(HOSTILE)
    tab.clicks("#found tbody a")
    tab.shows("As it was sent")
    tab.clicks("summary")
    legs = {"account_0": "fees", "amount_0": "1.00", "account_1": "stripe_clearing", "amount_1": "1.00"}
    tab.types(**legs, reason_code="PROVIDER_FEE", **{"propose-because": "their invoice"})
    tab.clicks("form[action$='/adjustments'] button")
    tab.shows("You proposed it: another person has to approve.")


async def test_a_browser_signs_in_filters_and_proposes(
    office: Office, world: World, address: str, broken: str, tmp_path: Path
) -> None:
    codes = await office.employs(FATIMA, "fatima")
    with running_chromium(cache_of(world.services.settings), tmp_path / "profile") as tab:
        await asyncio.to_thread(walk, tab, address, codes.pop())
