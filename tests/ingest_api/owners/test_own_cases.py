"""Goal: nobody decides a payment that leaves, or arrives at, an account in which they have a part."""

from uuid import UUID

import pytest

from ingest_api.cases.shown import CASE
from ingest_api.identity.tokens import Scope
from payments.identifiers import format_id
from payments.risk.verdict import Outcome, Verdict, encode
from tests.ingest_api.owners.world import ANNA, BERTA, CARLA, World, raw

HELD = bytes([0x77]) * 16
_DECIDED = "INSERT INTO decisions VALUES (%s, 13, 0, %s, %s, 100, 'EUR', now(), 0, 0, 0, 0, 0, '') RETURNING 1"
_HOLD = """
INSERT INTO holds VALUES (%s, %s, %s, 100, 0, 'EUR', now() + interval '1 day', true, true, now(), now(), 0, 0, 0)
RETURNING 1"""
_REVIEW = "INSERT INTO reviews VALUES (%s, %s, '[]', 1, '[]', true, now(), now(), 0, 0, 0) RETURNING 1"
_VERDICT = "INSERT INTO verdicts VALUES (0, 0, 0, %s, 13, %s, 1, 0, '{}', %s, now()) RETURNING 1"


def held(world: World, payer: str, payee: str) -> str:
    """Path of the case of a payment that waits, as the sink shows it."""
    id_, from_, to = UUID(bytes=HELD), UUID(bytes=raw(payer)), UUID(bytes=raw(payee))
    world.rows(_DECIDED, id_, from_, to)
    world.rows(_HOLD, id_, from_, to)
    world.rows(_REVIEW, id_, from_)
    world.rows(_VERDICT, id_, from_, encode(Verdict(Outcome.REVIEW, is_watched=True)))
    return f"/v1/cases/{format_id(CASE, HELD)}/decision"


@pytest.mark.parametrize("decision", ["approve", "decline"])
@pytest.mark.parametrize(("user", "status"), [(ANNA, 403), (BERTA, 403), (CARLA, 404)], ids=["payer", "payee", "other"])
async def test_an_analyst_decides_no_payment_of_an_own_account(
    world: World, user: str, status: int, decision: str
) -> None:
    path = held(world, await world.account_of(world.anna), await world.account_of(world.berta))
    decided_before = len(world.partition.entries)
    analyst = world.caller(user, Scope.CASES_READ, Scope.CASES_DECIDE, Scope.ACCOUNTS_ANY)
    answer = await analyst("POST", path, {"decision": decision})
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] == ("role_insufficient" if status == 403 else "review_not_found")
    assert len(world.partition.entries) - decided_before == (status == 404), "asked of the shard, which knows of none"
