"""A few faults of the matrix, one seed each, in one installation whose books go on. `make nightly` runs them all."""

from collections.abc import Iterator

import pytest

from tests.faults.mutants.run import run_mutant
from tests.faults.run import Bench, watched
from tests.faults.scenarios import SCENARIOS

SEED = 20_261_121
DURATION_S, RATE_PER_S = 6, 300
"""Of the load; a scenario takes 20-40 s at 1,000 payments/s in the matrix."""

SMOKE = ("poison_kill", "worker_restore_kill", "sink_kill", "postgres_kill", "broker_restart")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """Brokers, Postgres, two workers and a sink of this module's own."""
    with watched(SCENARIOS["nothing"]) as bench:
        yield bench


@pytest.mark.parametrize("name", SMOKE)
def test_the_books_are_right_after(bench: Bench, name: str) -> None:
    outcome = bench.run(name, SCENARIOS[name]._replace(duration_s=DURATION_S), SEED, RATE_PER_S)
    assert outcome.faults, "nothing was broken"
    assert outcome.payments >= RATE_PER_S
    assert outcome.passed, f"seed {SEED}: {outcome.findings}"


def test_without_idempotency_keys_the_same_suite_fails() -> None:
    outcome = run_mutant("keys", SEED, rate_per_s=RATE_PER_S)
    assert not outcome.passed
    assert outcome.as_expected, outcome.findings
