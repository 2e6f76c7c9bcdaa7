"""Goal: what comes in any order, with restarts and runs in between, leaves the breaks that one full run would find.

Method: random deeds on real Postgres: charges, files (of two days, some twice, one cut), days that pass, steps of the
follower, followers that die before they commit, full runs. What one run finds that knows nothing of all this is the
judge, and a run that is written has nothing to change. A follower that forgets late lines must be found out.
"""

import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from millrace.reconciliation.nightly.scheduled import Keeper
from reconciliation.breaks.living import Changes
from reconciliation.following.follower import Fenced, Follower
from reconciliation.following.following import Following
from reconciliation.matching.lines import Line
from reconciliation.runs.rules import read_rules
from reconciliation.runs.run import Asked, compute
from reconciliation.runs.writing import write
from reconciliation.store.importing import Brought, import_file
from runtime.settings import Settings
from tests.reconciliation.conftest import Bring
from tests.reconciliation.ledger import RULES, charge, report
from tests.reconciliation.nightly.plans import plan_in

READ = read_rules(RULES + "group_by: [payout]\n")
MONDAY = datetime(2026, 11, 16, 20, tzinfo=UTC)
BROUGHT = datetime(2026, 11, 16, 8, tzinfo=UTC)
DAYS = [f"2026-11-{day}" for day in range(16, 20)]
SHARDS = 2
SEEDS = range(6)
"""Each is some 25 deeds. Of twenty others, fourteen find the forgetful follower out, as the first of these does."""

_LIVING = """
SELECT break_id, type, reason, keys, difference_minor, currency, day, internal, external
FROM recon_breaks WHERE is_live ORDER BY break_id"""


def living(books: Connection) -> list[tuple[Any, ...]]:
    return books.execute(_LIVING).fetchall()


def as_one_run(books: Connection, now: datetime) -> list[tuple[Any, ...]]:
    """What one run finds that knows nothing of the past."""
    found = compute(books, READ, Asked(now, None, None, "judge")).breaks
    rows = [
        (
            *(one.break_id, str(one.broken.type), one.broken.reason, one.broken.keys, one.broken.difference),
            *(one.broken.currency, one.day, one.internal, one.external),
        )
        for one in found
    ]
    return sorted(rows, key=lambda row: row[0])


def full_run(books: Connection, now: datetime) -> Changes:
    """As the nightly one."""
    return write(books, READ, compute(books, READ, Asked(now, None, None, "night")), SHARDS)


class _Forgetful(Following):
    """A mutant: what comes after a look at the same day is not taken."""

    def take(self, line: Line, *, internal: bool) -> None:
        if not self._compared:
            super().take(line, internal=internal)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_any_order_the_stream_says_what_the_full_run_says(books: Connection, tmp_path: Path, seed: int) -> None:
    now = play(books, tmp_path, seed)
    assert living(books) == as_one_run(books, now)
    assert full_run(books, now) == Changes(), "there is nothing left to say"


def test_a_stream_that_forgets_late_lines_is_found_out(
    books: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciliation.following.follower.Following", _Forgetful)
    with pytest.raises(AssertionError):
        test_in_any_order_the_stream_says_what_the_full_run_says(books, tmp_path, SEEDS[0])


def play(books: Connection, folder: Path, seed: int) -> datetime:
    """Deeds at random; at the end the stream has seen everything."""
    chance = random.Random(seed)
    now, follower = MONDAY, Follower(books, READ, SHARDS)
    deeds = [("charge", number) for number in range(9)] + [("file", number) for number in range(5)]
    deeds += [("day", 0)] * 3 + [("step", 0)] * 5 + [("die", 0), ("run", 0)]
    chance.shuffle(deeds)
    for sequence, (deed, number) in enumerate(deeds):
        match deed:
            case "charge":
                charge(books, number, 100 * (number % 4 + 1), chance.choice(DAYS), place=(number % SHARDS, sequence))
            case "file":
                _bring(books, folder, chance, number)
            case "day":
                now += timedelta(days=1)
            case "step":
                follower.step(now)
            case "run":
                full_run(books, now)
            case "die":
                _die_before_the_commit(books, follower, now)
                follower = Follower(books, READ, SHARDS)
    follower.step(now)
    return now


def _bring(books: Connection, folder: Path, chance: random.Random, number: int) -> None:
    """Lines of charges that are known, of some that never were, and of another amount; two files share a name."""
    rows = [
        (f"order-{of}", f"{of % 4 + 1 + chance.choice([0, 0, 0, 1])}.00", chance.choice(DAYS), "charge")
        for of in chance.sample(range(11), 3)
    ]
    path = folder / str(number) / f"stripe-{number % 3}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(report(*rows))
    import_file(books, path, Brought("stripe", "fatima"))
    books.execute("UPDATE recon_files SET brought_at = %s", (BROUGHT,))  # not by this machine's clock


def _die_before_the_commit(books: Connection, follower: Follower, now: datetime) -> None:
    with books.transaction(force_rollback=True):
        follower.step(now)


def test_a_break_opens_waits_is_missing_and_closes(books: Connection, bring: Bring) -> None:
    follower = Follower(books, READ, SHARDS)
    charge(books, 1, 10_00, DAYS[0])
    assert follower.step(MONDAY).changes == Changes(opened=1)
    assert follower.step(MONDAY) == (0, 0, 0, Changes())
    assert follower.step(MONDAY + timedelta(days=1)).changes == Changes()
    assert follower.step(MONDAY + timedelta(days=2)).changes == Changes(changed=1)
    assert [row[1] for row in living(books)] == ["MISSING_EXTERNAL"]
    bring("late.csv", report(("order-1", "10.00", DAYS[1], "charge")), "stripe")
    assert follower.step(MONDAY + timedelta(days=2)).changes == Changes(closed=1)
    trail = books.execute("SELECT action, by FROM recon_break_events ORDER BY event").fetchall()
    assert trail == [(action, "rules:stripe-daily@3") for action in ("open", "change", "close")]
    followed = books.execute("SELECT step, positions, files, internal_lines, external_lines FROM recon_follows")
    assert followed.fetchall() == [(4, {"0": 2, "1": 0}, 1, 1, 1)]


def test_of_two_followers_one_goes_on(books: Connection) -> None:
    first, second = Follower(books, READ, SHARDS), Follower(books, READ, SHARDS)
    first.step(MONDAY)
    second.step(MONDAY)
    charge(books, 1, 10_00, DAYS[0])
    with pytest.raises(Fenced):
        first.step(MONDAY)
    assert second.step(MONDAY).changes == Changes(opened=1)


def test_a_lost_connection_is_a_new_beginning(books: Connection, migrated: str, tmp_path: Path) -> None:
    [night] = plan_in(tmp_path).nights
    keeper = Keeper(Settings(home=tmp_path, database_url=migrated, shards=SHARDS), night, threading.Event())
    keeper.step()
    charge(books, 1, 10_00, DAYS[0])
    books.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millrace recon follow'"
        " AND datname = current_database()"
    )
    keeper.step()
    keeper.step()
    keeper.close()
    assert len(living(books)) == 1


def test_days_before_the_window_are_left_as_they_are(books: Connection) -> None:
    """A week later the follower looks at two days alone: the break of Monday stands, though no line of it is read."""
    charge(books, 1, 10_00, DAYS[0])
    Follower(books, READ, SHARDS).step(MONDAY)
    later = Follower(books, READ, SHARDS, look_back_days=2)
    charge(books, 2, 20_00, "2026-11-30")
    assert later.step(MONDAY + timedelta(days=14)).changes == Changes(opened=1)
    assert {row[4] for row in living(books)} == {10_00, 20_00}
