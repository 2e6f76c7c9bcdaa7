"""GET /v1/events: everything in order and once, of one's own accounts alone, as webhooks carry it."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import msgspec

from payments.events.event import EventType
from payments.identifiers import ACCOUNT, format_id
from schemas.tables.webhooks import EVENT
from tests.ingest_api.owners.world import Caller, World
from tests.ingest_api.webhooks.hooks import OCCURRED_AT_US, happen, posted


async def pages(caller: Caller, query: str = "", limit: int = 2) -> list[Any]:
    """All items, page by page."""
    found: list[Any] = []
    cursor = ""
    while True:
        page = (await caller("GET", f"/v1/events?limit={limit}{query}{cursor}")).json()
        found += page["items"]
        if not page["has_more"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def test_all_events_of_ones_accounts_in_both_orders(world: World) -> None:
    annas = [await world.account_of(world.anna) for _ in range(2)]
    bertas = await world.account_of(world.berta)
    others = format_id(ACCOUNT, b"\x79" * 16)
    events = [
        posted(1, annas[0], bertas),
        posted(2, others, bertas),
        posted(3, annas[0], annas[1]),
        posted(4, others, annas[1], EventType.PAYMENT_RETURNED),
        posted(5, annas[1], annas[0]),
    ]
    happen(world, events)
    payloads = [msgspec.json.decode(event.payload) for event in events]
    of_anna = [payloads[place] for place in (0, 2, 3, 4)]
    assert await pages(world.anna) == of_anna
    assert await pages(world.anna, "&order=newest") == of_anna[::-1]
    assert await pages(world.anna, f"&account={annas[0]}") == [payloads[place] for place in (0, 2, 4)]
    assert await pages(world.anna, "&type=payment.returned", limit=500) == [payloads[3]]
    assert await pages(world.anna, f"&object={events[0].object}") == [payloads[0]]
    assert await pages(world.anna, f"&object={events[1].object}") == []
    assert await pages(world.operator) == payloads
    assert await pages(world.carla) == []


async def test_between_two_times_whatever_the_order_in_which_they_were_stored(world: World) -> None:
    annas, bertas = await world.account_of(world.anna), await world.account_of(world.berta)
    hour = timedelta(hours=1)
    hours = {1: 1, 2: 4, 3: 2, 4: 3, 5: 5}
    events = [
        posted(number, annas, bertas, at_us=OCCURRED_AT_US + after * hour // timedelta(microseconds=1))
        for number, after in hours.items()
    ]
    happen(world, events)
    objects = [event.object for event in events]
    first = events[0].occurred_at
    since, until = (quote((first + hours * hour).isoformat()) for hours in (1, 3))
    for caller in (world.anna, world.operator):
        for query, order in ((f"&from={since}&to={until}", 1), (f"&start={since}&end={until}&order=newest", -1)):
            found = [event["object"] for event in await pages(caller, query, limit=1)]
            assert found == [objects[2], objects[3]][::order]
        assert await pages(caller, f"&to={quote(first.isoformat())}") == []
    assert len(await pages(world.operator, f"&from={since}")) == 4


async def test_a_reader_goes_on_where_it_was(world: World) -> None:
    account, other = await world.account_of(world.anna), await world.account_of(world.carla)
    happen(world, [posted(1, account, other)])
    first = (await world.anna("GET", "/v1/events")).json()
    assert first["has_more"] is False
    following = f"/v1/events?cursor={first['next_cursor']}"
    empty = (await world.anna("GET", following)).json()
    assert (empty["items"], empty["next_cursor"]) == ([], first["next_cursor"])
    happen(world, [posted(2, account, other)])
    assert [one["id"] for one in (await world.anna("GET", following)).json()["items"]] == [
        format_id(EVENT, posted(2, account, other).event_id)
    ]


async def test_a_type_that_is_none_is_refused_and_those_there_are_are_named(world: World) -> None:
    """Regression: who wrote `payment_posted` waited for events that never came."""
    refused = await world.anna("GET", "/v1/events?type=payment_posted")
    assert (refused.status_code, "payment.posted" in refused.text) == (422, True)


async def test_one_event_is_the_body_of_its_webhook(world: World) -> None:
    account, payee = await world.account_of(world.anna), await world.account_of(world.berta)
    event = posted(1, account, payee)
    happen(world, [event])
    path = f"/v1/events/{format_id(EVENT, event.event_id)}"
    for caller in (world.anna, world.berta, world.operator):
        assert (await caller("GET", path)).content == event.payload
    assert (await world.carla("GET", path)).json()["code"] == "event_not_found"
