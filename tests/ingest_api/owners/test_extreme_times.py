"""Goal: a time at either end of the calendar is answered like any other."""

import pytest

from tests.ingest_api.owners.world import World

FIRST, LAST = "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"balance?at={FIRST}", 200),
        (f"balance?at={LAST}", 422),
        (f"entries?from={FIRST}", 200),
        (f"entries?to={FIRST}", 200),
        (f"entries?from={LAST}", 200),
        (f"entries?to={LAST}", 200),
        ("statement?month=9998-12", 422),
        ("statement?month=1970-01", 200),
        ("tax-report?year=1970", 200),
        ("tax-report?year=9998", 200),
    ],
)
async def test_times_at_the_ends_of_the_calendar(world: World, path: str, status: int) -> None:
    account = await world.account_of(world.anna)
    answer = await world.anna("GET", f"/v1/accounts/{account}/{path}")
    assert answer.status_code == status, answer.text
