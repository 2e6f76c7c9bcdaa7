"""Goal: captures that race each other and the expiry of their hold never take more than was held, and each is told one
thing: over HTTP, on a real broker, with ticks of the real ticker. One by one, in each order:
tests/payments/movements/test_regressions.py.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import httpx

from runtime.settings import Settings
from streams.ticker import Ticker
from tests.ingest_api.client import ApiClient
from tests.ingest_api.holds.test_holds import look, place, step
from tests.support.waiting import eventually

EXPIRES_IN_S = 6.0
OFFSETS_S = (-EXPIRES_IN_S, -0.4, -0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 1.0)
"""When each pair of captures is asked for, from the expiry on: the first one long before it, the last one after it."""
TICK_EVERY_S = 0.05
TOO_LATE, TOO_MUCH = (422, "hold_expired"), (422, "capture_exceeds_hold")


class Race(NamedTuple):
    """A hold of 100.00, and the two captures that are asked for at once."""

    payer: str
    payee: str
    amount: str
    offset_s: float

    @property
    def fit(self) -> int:
        return 1 if self.amount == "60.00" else 2


def test_two_captures_racing_an_expiry(api: ApiClient, settings: Settings) -> None:
    races = [
        Race(api.funded_account("100.00"), api.open_account(), amount, offset_s)
        for offset_s in OFFSETS_S
        for amount in ("60.00", "40.00")
    ]
    ends_s = time.time() + EXPIRES_IN_S
    expires_at = datetime.fromtimestamp(ends_s, UTC).isoformat()
    holds = [place(api, race.payer, race.payee, "100.00", expires_at=expires_at) for race in races]
    with ticking(settings), ThreadPoolExecutor(2 * len(races)) as callers:
        asked = [
            [callers.submit(captured_at, api, hold, race, ends_s) for _ in range(2)]
            for race, hold in zip(races, holds, strict=True)
        ]
        answers = [[one.result() for one in two] for two in asked]
        for race, hold, two in zip(races, holds, answers, strict=True):
            assert_one_clear_outcome_each(race, two)
            assert_books_balance(api, race, hold, two)


def captured_at(api: ApiClient, hold: httpx.Response, race: Race, ends_s: float) -> httpx.Response:
    assert hold.status_code == 201, hold.text
    time.sleep(max(0.0, ends_s + race.offset_s - time.time()))
    return step(api, hold, "capture", amount=race.amount)


@contextmanager
def ticking(settings: Settings) -> Iterator[None]:
    """As `millrace ticker` does it, twenty times as often."""
    often = settings.model_copy(update={"tick_interval_ms": round(TICK_EVERY_S * 1_000)})
    ticker = Ticker(often)
    with ThreadPoolExecutor(1) as process:
        running = process.submit(ticker.run)
        try:
            yield
        finally:
            ticker.stop()
        assert running.result() == 0


def assert_one_clear_outcome_each(race: Race, answers: list[httpx.Response]) -> None:
    refused = [(answer.status_code, answer.json()["code"]) for answer in answers if answer.status_code != 201]
    assert set(refused) <= {TOO_LATE, TOO_MUCH}, race
    posted = len(answers) - len(refused)
    assert posted <= race.fit, race
    assert refused.count(TOO_MUCH) <= (posted if race.fit == 1 else 0), (race, "less was captured than was left")
    if race.offset_s == OFFSETS_S[0]:
        assert posted == race.fit, (race, refused, "long before the expiry")
    if race.offset_s == OFFSETS_S[-1]:
        assert refused == [TOO_LATE] * 2, (race, "after the expiry")


def assert_books_balance(api: ApiClient, race: Race, hold: httpx.Response, answers: list[httpx.Response]) -> None:
    """What was captured is the payee's, and the rest the payer's again once a tick has come by."""
    posted = [answer for answer in answers if answer.status_code == 201]
    taken_minor = sum(answer.json()["amount_minor"] for answer in posted)
    eventually(lambda: look(api, hold, hold)["remaining_minor"] == 0, "a tick has ended the hold")
    shown = look(api, hold, hold)
    assert (shown["status"], shown["captured_minor"]) == ("expired", taken_minor), race
    assert sorted(one["id"] for one in shown["captures"]) == sorted(answer.json()["id"] for answer in posted)
    for account, has_minor in ((race.payer, 10_000 - taken_minor), (race.payee, taken_minor)):
        balance = api.get(f"/v1/accounts/{account}/balance").json()
        assert (balance["posted_minor"], balance["available_minor"]) == (has_minor, has_minor), (race, account)
