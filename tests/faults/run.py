"""One run per seed: load on, faults in, everything settled, verified from nothing, and summed up.

The seeds of one scenario share an installation where they can: the books go on, accounts and payments are new, and each
run is verified together with all that came before it. A run with a finding ends its installation.
"""

import itertools
import math
import random
import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from streams.app import APPLICATION
from tests.faults.installation import Installation, running
from tests.faults.processes import PRODUCT, Kept
from tests.faults.scenario import Fault, Scenario
from tests.faults.scenarios import SCENARIOS
from tests.faults.table_tail import TableTail
from tests.faults.tail import Tail
from tests.faults.verifier import Verdict, Verifier

RATE_PER_S = 1_000
KEPT_LOGS = Path(".millrace") / "faults"
"""Where the logs of a run with a finding are kept, by scenario and seed."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` writes."""

    scenario: str
    seed: int
    payments: int
    rate_per_s: int
    """Payments sent per second while the faults happened: what the generator reached, not what it was asked for."""

    faults: list[str]
    lost: int
    duplicates: int
    overdrawn: int
    drift_minor: int
    recovery_s: list[float]
    """From each fault to the end of the longest silence of any shard that it began; from the last of several faults
    that fell into one silence."""

    recovery_p50_s: float
    recovery_max_s: float
    stall_s: float
    """The longest silence of a reader of any shard, in the ledger or in the tables, while the load ran."""

    exits: dict[str, list[int]]
    findings: list[str]
    passed: bool


def run(name: str, seeds: Iterable[int], rate_per_s: int = RATE_PER_S) -> Iterator[Outcome]:
    """Raises KeyError for a scenario that does not exist."""
    return run_seeds(name, SCENARIOS[name], seeds, rate_per_s)


def run_scenario(
    name: str, scenario: Scenario, seed: int, rate_per_s: int = RATE_PER_S, program: Sequence[str] = PRODUCT
) -> Outcome:
    """One seed. `program` runs the services: the product, or the product without one of its guards."""
    [outcome] = run_seeds(name, scenario, [seed], rate_per_s, program)
    return outcome


def run_seeds(
    name: str,
    scenario: Scenario,
    seeds: Iterable[int],
    rate_per_s: int = RATE_PER_S,
    program: Sequence[str] = PRODUCT,
) -> Iterator[Outcome]:
    """As many installations as needed: one, if all goes well and the scenario can be repeated in it."""
    waiting = deque(seeds)
    while waiting:
        with watched(scenario, program) as bench:
            goes_on = True
            while waiting and goes_on:
                outcome = bench.run(name, scenario, waiting.popleft(), rate_per_s)
                yield outcome
                goes_on = outcome.passed and not scenario.fresh_each_seed


class Bench:
    """An installation with a reader at its ledger and a verifier that remembers the books."""

    def __init__(self, installation: Installation) -> None:
        settings = installation.env.settings
        self.tail = Tail(installation.env)
        self.table_tail = TableTail(installation.database_url, settings.shards)
        self._installation = installation
        self._verifier = Verifier(
            settings.kafka_bootstrap,
            installation.database_url,
            settings.shards,
            APPLICATION,
            settings.transaction_timeout_ms,
        )

    def run(self, name: str, scenario: Scenario, seed: int, rate_per_s: int) -> Outcome:
        """Raises what a fault raises that could not be done."""
        load = scenario.load(self._installation.env, seed, rate_per_s)
        exits_before = {kept.name: len(kept.exits) for kept in self._kept}
        load.open_accounts()
        settled = self._installation.settle()
        started_s = time.monotonic()
        load.start()
        faults = self._broken(scenario, seed, started_s)
        ended_s = time.monotonic()
        went_on = load.is_alive()
        load.finish()
        settled = self._installation.settle() and settled
        verdict = self._verifier.verify(load, self.tail)
        verdict.findings += load.disagreements(self._installation.database_url)
        verdict.findings += load.missing() if went_on else ["the load ended before the faults did"]
        if not settled:
            verdict.findings.append("not everything was decided and applied in time")
        verdict.findings += [f"{fault.name}: {fault.missing}" for fault in faults if fault.missing]
        if verdict.findings:
            self._installation.keep_logs(KEPT_LOGS / f"{name}-{seed}")
        exits = {kept.name: kept.exits[exits_before.get(kept.name, 0) :] for kept in self._kept}
        stall_s = max(tail.longest_gap_s(started_s, ended_s) for tail in (self.tail, self.table_tail))
        sent_per_s = round(verdict.payments / (ended_s - started_s))
        return self._outcome(name, seed, sent_per_s, faults, verdict, exits, stall_s)

    @property
    def _kept(self) -> Sequence[Kept]:
        return (*self._installation.workers, self._installation.sink, *self._installation.others.values())

    def _broken(self, scenario: Scenario, seed: int, started_s: float) -> list[Fault]:
        rng = random.Random(seed)
        faults: list[Fault] = []
        while time.monotonic() - started_s < scenario.duration_s:
            faults += scenario.faults(self._installation, rng)
        return faults

    def _outcome(
        self,
        name: str,
        seed: int,
        sent_per_s: int,
        faults: Sequence[Fault],
        verdict: Verdict,
        exits: dict[str, list[int]],
        stall_s: float,
    ) -> Outcome:
        recovery_s = recoveries((self.tail, self.table_tail), faults)
        return Outcome(
            scenario=name,
            seed=seed,
            payments=verdict.payments,
            rate_per_s=sent_per_s,
            faults=[fault.name for fault in faults],
            lost=verdict.lost,
            duplicates=verdict.duplicates,
            overdrawn=verdict.overdrawn,
            drift_minor=verdict.drift_minor,
            recovery_s=recovery_s,
            recovery_p50_s=statistics.median(recovery_s or [0.0]),
            recovery_max_s=max(recovery_s, default=0.0),
            stall_s=round(stall_s, 2),
            exits=exits,
            findings=verdict.findings,
            passed=not verdict.findings,
        )


def recoveries(tails: Sequence[Tail | TableTail], faults: Sequence[Fault]) -> list[float]:
    """Of each fault that no later one fell into: until the ledger, and the tables, go on."""
    starts = [fault.at_s for fault in faults] + [math.inf]
    found = []
    for at_s, next_s in itertools.pairwise(starts):
        took_s = [tail.recovery_s(at_s) for tail in tails]
        known_s = [took for took in took_s if took is not None]
        if len(known_s) == len(tails) and at_s + max(known_s) < next_s:
            found.append(round(max(known_s), 2))
    return found


@contextmanager
def watched(scenario: Scenario, program: Sequence[str] = PRODUCT) -> Iterator[Bench]:
    """An installation as this scenario needs it."""
    with running(
        brokers=scenario.brokers,
        environment=scenario.environment,
        surround=scenario.surround,
        program=program,
        settle_timeout_s=scenario.settle_timeout_s,
        others=scenario.others,
    ) as installation:
        bench = Bench(installation)
        bench.tail.start()
        bench.table_tail.start()
        try:
            yield bench
        finally:
            bench.tail.finish()
            bench.table_tail.finish()
