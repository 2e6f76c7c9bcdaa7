"""Goal: with everything dying at random at once, each order ends as the provider has it, told once for each attempt.

Method: eighty orders; lost answers, resets, 500s and 429s; connectors and sandbox are killed at random times. In the
end the provider's own list of charges is compared with the last result of every order.
"""

import random

import pytest

from connectors.sandbox.faults import FaultKind
from schemas.codec.connectors import ConnectorResult, Outcome
from schemas.tables.psp_events import REQUEST_ID
from tests.connectors.loop.world import World, per_request
from tests.connectors.requests import charge
from tests.support.side_by_side import by_night
from tests.support.waiting import eventually

ORDERS, KILLS = 80, 5
QUICK = [kind for kind in FaultKind if not kind.startswith(("hang", "kill"))]
FINAL = {Outcome.SUCCEEDED, Outcome.FAILED}


def final_results(world: World) -> dict[bytes, ConnectorResult]:
    return {one.result.request_id: one.result for one in world.told() if one.result.outcome in FINAL}


@pytest.mark.parametrize("seed", [1, *by_night(2)])
def test_each_order_ends_as_the_provider_has_it(world: World, seed: int) -> None:
    chance = random.Random(seed)
    tokens = ["pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined"]
    requests = [charge(token=chance.choice(tokens)) for _ in range(ORDERS)]
    for _ in range(30):
        world.sandbox.fault(chance.choice(QUICK), seconds=0.2)
    world.sandbox.fault(FaultKind.HANG_AFTER, times=3)
    portion = ORDERS // KILLS
    for kill in range(KILLS):
        before = len(world.told())
        world.ask(requests[kill * portion : (kill + 1) * portion])
        process = world.start()
        world.await_results(before + chance.randint(1, portion // 2))
        process.kill()
        process.wait()
        if chance.random() < 0.5:
            world.sandbox.kill()
            world.sandbox.start()
    with world.running():
        eventually(lambda: len(final_results(world)) == ORDERS, "a final result for every order")
    told, last = world.told(), final_results(world)
    assert set(per_request(told).values()) == {1}
    charged = world.sandbox.taken_of(REQUEST_ID)
    for request in requests:
        is_paid = last[request.request_id].outcome is Outcome.SUCCEEDED
        assert charged.get(request.request_id.hex(), 0) == is_paid
        assert is_paid == (request.token == "pm_card_visa")
