"""A feature over all accounts while the worker is killed: every attempt is counted once, and decided again alike."""

import time
from functools import partial

import pytest

from millrace.environment import LocalEnvironment
from millrace.replay.decide import decide_again
from payments.identifiers import parse_id
from runtime.settings import Settings
from schemas.partitioning import shard_of
from tests.ingest_api.cases.test_cases import CURRENCY, rules
from tests.ingest_api.client import ApiClient
from tests.support.waiting import eventually

__all__ = ["rules"]  # the fixture: these rules are in force here, too
PAYMENTS = 12
"""Of each payer."""

DEVICE = "the tablet that outlives its worker"


def attempt(payer: str, payee: str) -> dict[str, object]:
    return {
        "from_account": payer,
        "to_account": payee,
        "amount": 1,
        "currency": CURRENCY,
        "risk": {"device": DEVICE},
    }


@pytest.mark.usefixtures("rules")
def test_attempts_are_counted_once_whatever_dies(
    api: ApiClient, installation: LocalEnvironment, settings: Settings
) -> None:
    payee, payers = api.open_account(CURRENCY), [api.funded_account("1000", CURRENCY) for _ in range(2)]
    while len({shard_of(parse_id("acc", payer) or b"", settings.shards) for payer in payers}) == 1:
        payers[1] = api.funded_account("1000", CURRENCY)
    for number in range(PAYMENTS):
        for payer in payers:
            api.post("/v1/transfers", attempt(payer, payee), f"{payer} {number}", prefer="wait=0")
        if number % 4 == 1:
            installation.wait_restarted("worker-0", installation.kill("worker-0"))
    for payer in payers:  # under the same keys: no attempt more
        last = api.post("/v1/transfers", attempt(payer, payee), f"{payer} {PAYMENTS - 1}", prefer="wait=30")
        assert last.headers["Idempotency-Replayed"] == "true"
    paid = PAYMENTS * len(payers)
    for payer in payers:
        time.sleep(1.1)  # a second after the last publication the next one is due
        assert api.post("/v1/transfers", attempt(payer, payee), prefer="wait=20").status_code == 201
        paid += 1
        eventually(partial(knows, api, payer, payee, paid), f"{paid} attempts known to {payer}")
    decided = decide_again(settings)
    assert decided.first_difference is None
    assert decided.identical_records == decided.records > 0


def knows(api: ApiClient, payer: str, payee: str, attempts: int) -> bool:
    """Whether the shard of the payer knows of so many attempts from the device."""
    answer = api.http.post("/v1/risk", json=attempt(payer, payee), headers={"Prefer": "wait=20"})
    assert answer.status_code == 200, answer.text
    features = answer.json()["findings"]["features"]
    assert features.get("device_attempts_24h", 0) <= attempts, "counted twice"
    return bool(features.get("device_attempts_24h") == attempts)
