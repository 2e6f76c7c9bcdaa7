"""One run: installation up, load on, faults in, everything settled, verified from nothing, and summed up."""

import random
import time
from collections.abc import Sequence

import msgspec

from streams.app import APPLICATION
from tests.faults.installation import Installation, running
from tests.faults.load import Load
from tests.faults.processes import PRODUCT
from tests.faults.scenario import Fault, Scenario
from tests.faults.scenarios import SCENARIOS
from tests.faults.tail import Tail
from tests.faults.verifier import Verifier

RATE_PER_S = 1_000


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` writes."""

    scenario: str
    seed: int
    payments: int
    rate_per_s: int
    faults: list[str]
    lost: int
    duplicates: int
    overdrawn: int
    drift_minor: int
    recovery_s: list[float]
    """From each fault to the next committed ledger record."""

    stall_s: float
    """The longest silence of a committed reader while the load ran."""

    exits: dict[str, list[int]]
    findings: list[str]
    passed: bool


def run(name: str, seed: int, rate_per_s: int = RATE_PER_S) -> Outcome:
    """Raises KeyError for a scenario that does not exist."""
    return run_scenario(name, SCENARIOS[name], seed, rate_per_s)


def run_scenario(
    name: str, scenario: Scenario, seed: int, rate_per_s: int = RATE_PER_S, program: Sequence[str] = PRODUCT
) -> Outcome:
    """`program` runs the services: the product, or the product without one of its guards."""
    with running(
        brokers=scenario.brokers,
        surround=scenario.surround,
        program=program,
        settle_timeout_s=scenario.settle_timeout_s,
    ) as installation:
        load = Load(installation.env, seed, rate_per_s, poison_per_mille=scenario.poison_per_mille)
        tail = Tail(installation.env)
        tail.start()
        load.open_accounts()
        settled = installation.settle()
        started_s = time.monotonic()
        load.start()
        faults = _broken(installation, scenario, seed, started_s)
        ended_s = time.monotonic()
        load.finish()
        settled = installation.settle() and settled
        tail.finish()
        settings = installation.env.settings
        verifier = Verifier(settings.kafka_bootstrap, installation.database_url, settings.shards, APPLICATION)
        verdict = verifier.verify(load, tail)
        if not settled:
            verdict.findings.append("not everything was decided and applied in time")
        recovered = [tail.first_after(fault.at_s) for fault in faults]
        return Outcome(
            scenario=name,
            seed=seed,
            payments=verdict.payments,
            rate_per_s=rate_per_s,
            faults=[fault.name for fault in faults],
            lost=verdict.lost,
            duplicates=verdict.duplicates,
            overdrawn=verdict.overdrawn,
            drift_minor=verdict.drift_minor,
            recovery_s=[round(r - f.at_s, 2) for r, f in zip(recovered, faults, strict=True) if r is not None],
            stall_s=round(tail.longest_gap_s(started_s, ended_s), 2),
            exits={kept.name: kept.exits for kept in (*installation.workers, installation.sink)},
            findings=verdict.findings,
            passed=not verdict.findings,
        )


def _broken(installation: Installation, scenario: Scenario, seed: int, started_s: float) -> list[Fault]:
    rng = random.Random(seed)
    faults: list[Fault] = []
    while time.monotonic() - started_s < scenario.duration_s:
        faults += scenario.faults(installation, rng)
    return faults
